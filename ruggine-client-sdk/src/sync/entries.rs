//! What a server sends, as entries of the log that are kept.

use ruggine_core::api::message::{Item, Page, Row, RowKind};
use ruggine_core::{Content, UserId};

use crate::store::{LogEntry, LogRow};

/// A page as entries to be kept. What this build does not know is crossed.
pub(crate) fn log_entries(page: &Page, me: Option<UserId>) -> Vec<LogEntry> {
    let mut entries = Vec::with_capacity(page.items.len());
    let mut at = page.from;
    for item in &page.items {
        match log_entry(item, me) {
            Some(entry) => {
                at = entry.to.next();
                entries.push(entry);
            }
            None => {
                entries.push(LogEntry {
                    from: at,
                    to: at,
                    row: None,
                });
                at = at.next();
            }
        }
    }
    entries
}

pub(super) fn log_entry(item: &Item, me: Option<UserId>) -> Option<LogEntry> {
    let (from, to) = item.span()?;
    let row = match item {
        Item::Row(row) => Some(log_row(row, me)),
        Item::Undecryptable(lost) => Some(LogRow {
            kind: lost.kind,
            sender: lost.sender,
            device: lost.device,
            client_msg_id: lost.client_msg_id,
            server_ts: lost.server_ts,
            payload: None,
            countable: lost.kind == RowKind::Message,
            mentions_me: false,
            title: None,
        }),
        _ => None,
    };
    (from <= to).then_some(LogEntry { from, to, row })
}

fn log_row(row: &Row, me: Option<UserId>) -> LogRow {
    let content = match row.kind {
        RowKind::Message => Content::from_payload(&row.payload).ok(),
        _ => None,
    };
    let names_me = |content: &Content| {
        content
            .as_text()
            .is_some_and(|text| me.is_some_and(|me| text.mentions_user(me)))
    };
    LogRow {
        kind: row.kind,
        sender: row.sender,
        device: row.device,
        client_msg_id: row.client_msg_id,
        server_ts: row.server_ts,
        payload: Some(row.payload.clone()),
        // What cannot be read is still something that somebody wrote.
        countable: row.kind == RowKind::Message
            && content.as_ref().is_none_or(Content::is_countable),
        mentions_me: content.as_ref().is_some_and(names_me),
        title: match content {
            Some(Content::Title(title)) => Some(title.title),
            _ => None,
        },
    }
}
