//! Conversations and the parts of their logs that are kept.

use ruggine_core::api::conversation::{Conversation, ConversationKind, ProtectionMode, Role};
use ruggine_core::{ConversationId, Incarnation, Seq};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::identity::{set, value};
use super::rows::{collect, id, integer, message, number, optional_id, seq, text, time};
use super::{database, outbox};
use crate::store::{
    Applied, ConversationRecord, LogEntry, LogRow, MessageRecord, StoreError, StoreResult,
};

const INCARNATION: &str = "incarnation";

pub(super) fn incarnation(db: &Connection) -> StoreResult<Option<Incarnation>> {
    value(db, INCARNATION)?
        .map(|text| {
            text.parse()
                .map(Incarnation::new)
                .map_err(|_| StoreError::Inconsistent(INCARNATION))
        })
        .transpose()
}

pub(super) fn set_incarnation(db: &Connection, now: Incarnation) -> StoreResult<bool> {
    let before = incarnation(db)?;
    if before == Some(now) {
        return Ok(false);
    }
    set(db, INCARNATION, &now.to_string())?;
    if before.is_none() {
        return Ok(false);
    }
    db.execute_batch(
        "DELETE FROM messages;
         UPDATE conversations SET head = 0, cursor = 0, floor = 0, own_read = 0, read_told = 0,
                roster_version = 0, members_version = 0, title = '', title_seq = 0;
         UPDATE outbox SET acked_seq = NULL, acked_at = NULL;",
    )
    .map_err(database)?;
    Ok(true)
}

pub(super) fn put_conversation(
    db: &Connection,
    conversation: &Conversation,
    recent: u64,
) -> StoreResult<()> {
    let begin = conversation.head.get().saturating_sub(recent);
    db.execute(
        "INSERT INTO conversations (conv_id, kind, mode, created_at, head, cursor, floor, own_read,
                                    role, peer, roster_version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT DO UPDATE SET head = max(head, excluded.head),
                own_read = max(own_read, excluded.own_read), role = excluded.role,
                roster_version = max(roster_version, excluded.roster_version)",
        params![
            conversation.id.as_bytes(),
            conversation.kind.as_str(),
            conversation.mode.as_str(),
            conversation.created_at.as_millis(),
            integer(conversation.head.get()),
            integer(begin),
            integer(conversation.own_read.get()),
            conversation.role.map(Role::as_str),
            conversation
                .peer
                .as_ref()
                .map(ruggine_core::UserId::as_bytes),
            integer(conversation.roster_version),
        ],
    )
    .map_err(database)?;
    Ok(())
}

pub(super) fn conversations(
    db: &Connection,
    only: Option<ConversationId>,
) -> StoreResult<Vec<ConversationRecord>> {
    let mut statement = db
        .prepare_cached(
            "SELECT c.*,
                    (SELECT count(*) FROM messages m WHERE m.conv_id = c.conv_id AND m.seq > c.own_read
                     AND m.weight > 0 AND m.sender <> ?2) AS unread,
                    (SELECT count(*) FROM messages m WHERE m.conv_id = c.conv_id AND m.seq > c.own_read
                     AND m.weight > 1 AND m.sender <> ?2) AS mentions,
                    (SELECT max(seq) FROM messages m WHERE m.conv_id = c.conv_id AND m.weight > 0) AS newest
             FROM conversations c WHERE ?1 IS NULL OR c.conv_id = ?1",
        )
        .map_err(database)?;
    let me = super::identity::load(db)?.map(|identity| *identity.user.id.as_bytes());
    let rows = statement
        .query(params![
            only.as_ref().map(ConversationId::as_bytes),
            me.unwrap_or_default()
        ])
        .map_err(database)?;
    collect(rows, |row| conversation(db, row))
}

fn conversation(db: &Connection, row: &Row<'_>) -> StoreResult<ConversationRecord> {
    let conv: ConversationId = id(row, "conv_id")?;
    let role: Option<String> = row.get("role").map_err(database)?;
    let newest: Option<i64> = row.get("newest").map_err(database)?;
    let newest = match newest {
        None => None,
        Some(_) => one(db, conv, seq(row, "newest")?)?,
    };
    let count =
        |column| number(row, column).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    Ok(ConversationRecord {
        id: conv,
        kind: ConversationKind::from_name(&text(row, "kind")?),
        mode: ProtectionMode::from_name(&text(row, "mode")?),
        created_at: time(row, "created_at")?,
        head: seq(row, "head")?,
        cursor: seq(row, "cursor")?,
        floor: seq(row, "floor")?,
        own_read: seq(row, "own_read")?,
        role: role.as_deref().map(Role::from_name),
        peer: optional_id(row, "peer")?,
        roster_version: number(row, "roster_version")?,
        members_version: number(row, "members_version")?,
        title: text(row, "title")?,
        unread: count("unread")?,
        mentions: count("mentions")?,
        newest,
    })
}

fn one(db: &Connection, conv: ConversationId, seq: Seq) -> StoreResult<Option<MessageRecord>> {
    let mut statement = db
        .prepare_cached("SELECT * FROM messages WHERE conv_id = ?1 AND seq = ?2")
        .map_err(database)?;
    let rows = statement
        .query(params![conv.as_bytes(), integer(seq.get())])
        .map_err(database)?;
    Ok(collect(rows, message)?.pop())
}

pub(super) fn apply(
    db: &Connection,
    conv: ConversationId,
    entries: &[LogEntry],
) -> StoreResult<Applied> {
    let cursor: Option<i64> = db
        .prepare_cached("SELECT cursor FROM conversations WHERE conv_id = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([conv.as_bytes()], |row| row.get(0))
                .optional()
        })
        .map_err(database)?;
    let Some(cursor) = cursor else {
        return Ok(Applied::Unknown);
    };
    let mut at = Seq::new(u64::try_from(cursor).unwrap_or(0));
    let before = at;
    for entry in entries {
        if entry.to <= at {
            continue;
        }
        if entry.from > at.next() {
            if at == before {
                return Ok(Applied::Gap(at));
            }
            break;
        }
        if let Some(row) = &entry.row {
            insert(db, conv, entry.to, row)?;
            outbox::seen(db, conv, row)?;
        }
        at = entry.to;
    }
    if at > before {
        db.execute(
            "UPDATE conversations SET cursor = ?2, head = max(head, ?2) WHERE conv_id = ?1",
            params![conv.as_bytes(), integer(at.get())],
        )
        .map_err(database)?;
    }
    Ok(Applied::Advanced {
        from: before,
        to: at,
    })
}

pub(super) fn apply_older(
    db: &Connection,
    conv: ConversationId,
    entries: &[LogEntry],
) -> StoreResult<()> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return Ok(());
    };
    let follows = entries
        .windows(2)
        .all(|pair| pair[1].from == pair[0].to.next());
    if !follows || entries.iter().any(|entry| entry.from > entry.to) {
        return Ok(());
    }
    // Only what ends where the kept part begins makes it longer.
    let moved = db
        .execute(
            "UPDATE conversations SET floor = ?2 WHERE conv_id = ?1 AND floor = ?3",
            params![
                conv.as_bytes(),
                integer(first.from.previous().get()),
                integer(last.to.get())
            ],
        )
        .map_err(database)?;
    if moved == 1 {
        for entry in entries {
            if let Some(row) = &entry.row {
                insert(db, conv, entry.to, row)?;
            }
        }
    }
    Ok(())
}

fn insert(db: &Connection, conv: ConversationId, seq: Seq, row: &LogRow) -> StoreResult<()> {
    let weight = u8::from(row.countable) + u8::from(row.countable && row.mentions_me);
    db.prepare_cached(
        "INSERT OR IGNORE INTO messages
             (conv_id, seq, kind, sender, device_id, client_msg_id, server_ts, payload, weight)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            conv.as_bytes(),
            integer(seq.get()),
            row.kind.as_str(),
            row.sender.as_bytes(),
            row.device.as_bytes(),
            row.client_msg_id.as_bytes(),
            row.server_ts.as_millis(),
            row.payload.as_deref(),
            weight,
        ])
    })
    .map_err(database)?;
    if let Some(title) = &row.title {
        db.execute(
            "UPDATE conversations SET title = ?2, title_seq = ?3
             WHERE conv_id = ?1 AND title_seq < ?3",
            params![conv.as_bytes(), title, integer(seq.get())],
        )
        .map_err(database)?;
    }
    Ok(())
}

pub(super) fn messages(
    db: &Connection,
    conv: ConversationId,
    before: Seq,
    limit: usize,
) -> StoreResult<Vec<MessageRecord>> {
    let mut statement = db
        .prepare_cached(
            "SELECT * FROM messages WHERE conv_id = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3",
        )
        .map_err(database)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement
        .query(params![conv.as_bytes(), integer(before.get()), limit])
        .map_err(database)?;
    collect(rows, message)
}

pub(super) fn set_read(db: &Connection, conv: ConversationId, seq: Seq) -> StoreResult<bool> {
    let moved = db
        .execute(
            "UPDATE conversations SET own_read = ?2 WHERE conv_id = ?1 AND own_read < ?2",
            params![conv.as_bytes(), integer(seq.get())],
        )
        .map_err(database)?;
    Ok(moved > 0)
}

pub(super) fn reads_to_tell(db: &Connection) -> StoreResult<Vec<(ConversationId, Seq)>> {
    let mut statement = db
        .prepare_cached("SELECT conv_id, own_read FROM conversations WHERE own_read > read_told")
        .map_err(database)?;
    let rows = statement.query([]).map_err(database)?;
    collect(rows, |row| Ok((id(row, "conv_id")?, seq(row, "own_read")?)))
}

pub(super) fn read_told(db: &Connection, conv: ConversationId, seq: Seq) -> StoreResult<()> {
    db.execute(
        "UPDATE conversations SET read_told = max(read_told, ?2) WHERE conv_id = ?1",
        params![conv.as_bytes(), integer(seq.get())],
    )
    .map_err(database)?;
    Ok(())
}
