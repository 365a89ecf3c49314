//! Whom a command is about: a username, a group's title, or a conversation's id.

use anyhow::bail;
use ruggine_client_sdk::ui::ConversationItem;
use ruggine_client_sdk::{Client, Conversation};
use ruggine_core::ConversationId;
use ruggine_core::api::conversation::{ConversationKind, ProtectionMode};

/// The conversation that `to` names. A direct one with a user is begun where
/// there is none.
pub(crate) async fn conversation(client: &Client, to: &str) -> anyhow::Result<Conversation> {
    let list = client.conversation_list().await?;
    if let Ok(id) = to.parse::<ConversationId>() {
        if list.items().iter().any(|item| item.id == id) {
            return Ok(client.conversation(id));
        }
        bail!("no conversation has the id {id}: see `ruggine-tui chats`");
    }
    let titled: Vec<&ConversationItem> = list
        .items()
        .iter()
        .filter(|item| item.kind == ConversationKind::Group && item.title.as_deref() == Some(to))
        .collect();
    match titled.as_slice() {
        [item] => return Ok(client.conversation(item.id)),
        [] => {}
        _ => bail!(
            "{} groups are called {to:?}: name one by its id",
            titled.len()
        ),
    }
    if let Some(known) = known_direct(client, to).await? {
        return Ok(known);
    }
    crate::profile::online(client).await?;
    let user = match client.look_up(to).await {
        Ok(user) => user,
        Err(error) => bail!("no group is called {to:?}, and as a username: {error}"),
    };
    Ok(client.direct(user.id, ProtectionMode::Managed).await?)
}

/// The direct conversation with this user, where it is known here already: no
/// connection is needed to write to it.
async fn known_direct(client: &Client, username: &str) -> anyhow::Result<Option<Conversation>> {
    for record in client.conversations().await? {
        let Some(peer) = record.peer else { continue };
        let conversation = client.conversation(record.id);
        let is_peer = conversation.members().await?.iter().any(|member| {
            member.user.id == peer && member.user.username.as_str().eq_ignore_ascii_case(username)
        });
        if is_peer {
            return Ok(Some(conversation));
        }
    }
    Ok(None)
}
