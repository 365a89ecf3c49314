//! Listing and beginning conversations.

use std::process::ExitCode;

use clap::Args;
use ruggine_client_sdk::ui::{Body, ConversationItem};
use ruggine_core::api::conversation::ProtectionMode;
use serde::Serialize;

use crate::output::{clean, line};
use crate::profile::{Profile, online, using};

#[derive(Debug, Args)]
pub(crate) struct ChatsArguments {
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Show what is kept here, without asking the server.
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GroupArguments {
    /// The group's title.
    title: String,
    /// Usernames of the others.
    #[arg(required = true)]
    members: Vec<String>,
}

/// A conversation as scripts read it.
#[derive(Debug, Serialize)]
struct ChatLine<'a> {
    id: String,
    kind: &'a str,
    mode: &'a str,
    title: String,
    unread: u32,
    mentions: u32,
    is_member: bool,
    at: i64,
}

pub(crate) async fn chats(
    profile: &Profile,
    arguments: &ChatsArguments,
) -> anyhow::Result<ExitCode> {
    using(profile.open()?, async |client| {
        if !arguments.offline {
            online(client).await?;
            super::messages::nothing_waits(client).await?;
            super::messages::caught_up(client).await?;
        }
        let list = client.conversation_list().await?;
        for item in list.items() {
            if arguments.json {
                line(&crate::output::json(&ChatLine {
                    id: item.id.to_string(),
                    kind: item.kind.as_str(),
                    mode: item.mode.as_str(),
                    title: title(item),
                    unread: item.unread,
                    mentions: item.mentions,
                    is_member: item.is_member,
                    at: item.at.as_millis(),
                })?)?;
            } else {
                line(&readable(item))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
    .await
}

pub(crate) async fn group(
    profile: &Profile,
    arguments: GroupArguments,
) -> anyhow::Result<ExitCode> {
    using(profile.open()?, async |client| {
        online(client).await?;
        let mut members = Vec::new();
        for username in &arguments.members {
            let user = client
                .look_up(username)
                .await
                .map_err(|error| anyhow::anyhow!("{username}: {error}"))?;
            members.push(user.id);
        }
        let group = client
            .group(members, ProtectionMode::Managed, Some(&arguments.title))
            .await?;
        super::messages::flushed(client, &group).await?;
        line(&format!(
            "The group {} has the id {}.",
            clean(&arguments.title),
            group.id()
        ))?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

pub(crate) fn title(item: &ConversationItem) -> String {
    match &item.title {
        Some(title) => clean(title),
        None if item.names.is_empty() => "(nobody else)".to_owned(),
        None => {
            let names: Vec<String> = item.names.iter().map(|name| clean(name)).collect();
            let more = item.others - item.names.len();
            match more {
                0 => names.join(", "),
                more => format!("{} and {more} more", names.join(", ")),
            }
        }
    }
}

fn readable(item: &ConversationItem) -> String {
    let unread = match item.unread {
        0 => String::new(),
        count => format!("  [{count} unread]"),
    };
    let left = if item.is_member { "" } else { "  (left)" };
    let preview = item.newest.as_ref().map_or(String::new(), |newest| {
        let who = newest.sender_name.as_deref().unwrap_or("somebody");
        let what = match &newest.body {
            Body::Text(text) => clean(&text.body),
            _ => "…".to_owned(),
        };
        format!("  {}: {what}", clean(who))
    });
    // Until there is encryption between devices, every conversation is of this mode.
    let mode = match item.mode {
        ProtectionMode::E2ee => "end-to-end encrypted",
        _ => "readable by the server",
    };
    format!("{}{left}{unread}  ({mode}){preview}", title(item))
}
