//! Sending and reading.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use ruggine_client_sdk::store::{MessageRecord, SendProgress};
use ruggine_client_sdk::ui::{Body, SendState, TimelineItem};
use ruggine_client_sdk::{Client, ClientEvent, Conversation};
use ruggine_core::api::sync::HeadsRequest;
use ruggine_core::content::Notice;
use ruggine_core::{ConversationId, Seq};
use serde::Serialize;

use super::target::conversation;
use crate::output::{clean, line};
use crate::profile::{Profile, online, using};

/// How long a sent message may wait for its acknowledgement before the command
/// leaves it to a later one.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// A username, a group's title, or a conversation's id.
    to: String,
    /// The message; several words need no quotes.
    #[arg(required = true)]
    text: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// Only this conversation: a username, a group's title, or an id.
    to: Option<String>,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArguments {
    /// A username, a group's title, or a conversation's id.
    to: String,
    /// How many messages.
    #[arg(long, short = 'n', default_value_t = 50)]
    limit: usize,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// A message as scripts read it.
#[derive(Debug, Serialize)]
struct MessageLine {
    conversation: String,
    seq: Option<u64>,
    sender: String,
    sender_name: Option<String>,
    at: i64,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

pub(crate) async fn send(profile: &Profile, arguments: SendArguments) -> anyhow::Result<ExitCode> {
    using(profile.open()?, async |client| {
        let conversation = conversation(client, &arguments.to).await?;
        conversation.send_text(arguments.text.join(" ")).await?;
        flushed(client, &conversation).await?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// Waits until everything that was written to a conversation is in its log here.
pub(crate) async fn flushed(client: &Client, conversation: &Conversation) -> anyhow::Result<()> {
    // Listening begins before looking, so that no answer falls between.
    let mut events = client.events();
    let settled = async {
        loop {
            let outbox = conversation.outbox().await?;
            let failure = outbox.iter().find_map(|message| match message.progress {
                SendProgress::Failed(code) => Some((message.client_msg_id, code)),
                _ => None,
            });
            if let Some((client_msg_id, code)) = failure {
                conversation.discard(client_msg_id).await?;
                bail!("the server refused the message: {code}");
            }
            // An acknowledged message leaves when its row has come back: only
            // then does the next command know of it.
            if outbox.is_empty() {
                return Ok(());
            }
            if events.next().await.is_none() {
                bail!("the client stopped");
            }
        }
    };
    match tokio::time::timeout(PATIENCE, settled).await {
        Ok(result) => result,
        Err(_) => bail!(
            "the server has not answered yet: the message is kept and will be sent with the next command"
        ),
    }
}

/// Waits until what earlier commands left in the outbox is sent.
pub(crate) async fn nothing_waits(client: &Client) -> anyhow::Result<()> {
    for record in client.conversations().await? {
        flushed(client, &client.conversation(record.id)).await?;
    }
    Ok(())
}

/// Waits until everything that the server has is here.
pub(crate) async fn caught_up(client: &Client) -> anyhow::Result<()> {
    let mut events = client.events();
    let caught_up = async {
        let mut after = None;
        loop {
            // Without an incarnation, the server lists every conversation.
            let heads = client
                .request(HeadsRequest {
                    incarnation: None,
                    after,
                })
                .await?;
            for head in &heads.conversations {
                let conversation = client.conversation(head.id);
                loop {
                    let record = conversation.record().await?;
                    if record.is_some_and(|record| record.cursor >= head.head) {
                        break;
                    }
                    if events.next().await.is_none() {
                        bail!("the client stopped");
                    }
                }
            }
            after = heads.next;
            if after.is_none() {
                return Ok(());
            }
        }
    };
    match tokio::time::timeout(PATIENCE, caught_up).await {
        Ok(result) => result,
        Err(_) => bail!("not everything could be read in time: try again"),
    }
}

pub(crate) async fn history(
    profile: &Profile,
    arguments: HistoryArguments,
) -> anyhow::Result<ExitCode> {
    using(profile.open()?, async |client| {
        online(client).await?;
        nothing_waits(client).await?;
        caught_up(client).await?;
        let conversation = conversation(client, &arguments.to).await?;
        let mut timeline = client.timeline(conversation.id()).await?;
        while timeline.items().len() < arguments.limit {
            if timeline.look_back().await?.is_empty() {
                break;
            }
        }
        let items = timeline.items();
        let skipped = items.len().saturating_sub(arguments.limit);
        for item in &items[skipped..] {
            print(conversation.id(), item, arguments.json)?;
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

pub(crate) async fn tail(profile: &Profile, arguments: TailArguments) -> anyhow::Result<ExitCode> {
    using(profile.open()?, async |client| {
        let mut events = client.events();
        let only = match &arguments.to {
            Some(to) => Some(conversation(client, to).await?.id()),
            None => None,
        };
        while let Some(event) = events.next().await {
            let ClientEvent::Message {
                conversation,
                message,
            } = event
            else {
                continue;
            };
            if only.is_none_or(|only| only == conversation) {
                show(client, conversation, &message, arguments.json).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

async fn show(
    client: &Client,
    conversation: ConversationId,
    message: &MessageRecord,
    json: bool,
) -> anyhow::Result<()> {
    // The timeline knows names and states; the row is in it by now.
    let timeline = client.timeline(conversation).await?;
    let item = timeline
        .items()
        .iter()
        .find(|item| item.seq == Some(message.seq));
    match item {
        Some(item) => print(conversation, item, json),
        // Behind by more than the timeline shows: the next command shows it.
        None => Ok(()),
    }
}

fn print(conversation: ConversationId, item: &TimelineItem, json: bool) -> anyhow::Result<()> {
    let (kind, text) = match &item.body {
        Body::Text(text) => ("text", Some(text.body.clone())),
        Body::Title(title) => ("title", Some(title.clone())),
        Body::Notice(notice) => ("notice", Some(notice_text(notice))),
        Body::Undecryptable => ("undecryptable", None),
        _ => ("unsupported", None),
    };
    if json {
        line(&crate::output::json(&MessageLine {
            conversation: conversation.to_string(),
            seq: item.seq.map(Seq::get),
            sender: item.sender.to_string(),
            sender_name: item.sender_name.clone(),
            at: item.at.as_millis(),
            kind,
            text,
        })?)?;
        return Ok(());
    }
    let number = item
        .seq
        .map_or_else(|| "…".to_owned(), |seq| format!("#{seq}"));
    let name = clean(item.sender_name.as_deref().unwrap_or("somebody"));
    let said = match (&item.body, text) {
        (Body::Text(_), Some(text)) => format!(": {}", clean(&text)),
        (Body::Title(_), Some(title)) => format!(" set the title {:?}", clean(&title)),
        (_, Some(text)) => format!(" {text}"),
        (Body::Undecryptable, None) => ": (the server cannot open this message)".to_owned(),
        (_, None) => ": (a message that this version cannot show)".to_owned(),
    };
    let state = match item.state {
        SendState::Sending => "  (sending)".to_owned(),
        SendState::Failed(code) => format!("  (not sent: {code})"),
        _ => String::new(),
    };
    line(&format!("{number} {name}{said}{state}"))?;
    Ok(())
}

/// What happened to the roster, with counts where names may be unknown here.
fn notice_text(notice: &Notice) -> String {
    match notice {
        Notice::Created { members, .. } => {
            format!("began the conversation with {} members", members.len())
        }
        Notice::Added { users } => format!("added {} members", users.len()),
        Notice::Removed { .. } => "removed a member".to_owned(),
        Notice::Left {} => "left".to_owned(),
        Notice::RoleChanged { role, .. } => format!("made a member {role}"),
        _ => "changed the roster".to_owned(),
    }
}
