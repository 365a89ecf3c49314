//! Notices as they cross Redis: MessagePack with named fields. Bodies are the
//! sealed records and nothing else that people wrote is in them. An instance
//! passes over kinds and versions that it does not know.

use ruggine_core::api::message::RowKind;
use ruggine_core::api::presence::Presence;
use ruggine_core::codec::Encoding;
use ruggine_core::event::{PositionEvent, TypingEvent};
use ruggine_core::{
    ClientMsgId, ConversationId, DeviceId, Event, Incarnation, Seq, SessionId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

use crate::bus::{Audience, BusError, InstanceId, Notice, RosterDelta};
use crate::store::{ConversationHead, StoredRow};

const VERSION: u8 = 1;

/// Bytes that were not read as a notice.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotUnderstood(String);

#[derive(Serialize, Deserialize)]
struct Hint {
    v: u8,
    from: u64,
    notice: Wire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    Rows(Rows),
    Head(Head),
    Joined {
        user: UserId,
        conversation: ConversationId,
    },
    Ephemeral {
        conversation: ConversationId,
        roster_version: u64,
        except: UserId,
        event: Told,
    },
    ForUser {
        user: UserId,
        event: Told,
    },
    SessionRevoked {
        user: UserId,
        session: SessionId,
    },
}

#[derive(Serialize, Deserialize)]
struct Rows {
    incarnation: Incarnation,
    conversation: ConversationId,
    roster_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delta: Option<Delta>,
    rows: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Delta {
    added: Vec<UserId>,
    removed: Vec<UserId>,
    member_count: u32,
}

#[derive(Serialize, Deserialize)]
struct Row {
    seq: Seq,
    kind: RowKind,
    sender: UserId,
    device: DeviceId,
    client_msg_id: ClientMsgId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    server_ts: Timestamp,
    body: String,
}

#[derive(Serialize, Deserialize)]
struct Head {
    conversation: ConversationId,
    head: Seq,
    roster_version: u64,
}

/// What is told of people and not stored.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Told {
    Typing(TypingEvent),
    Presence(Presence),
    Delivered(PositionEvent),
    Read(PositionEvent),
}

pub(super) fn encode(from: InstanceId, notice: &Notice) -> Result<Vec<u8>, BusError> {
    let hint = Hint {
        v: VERSION,
        from: from.number(),
        notice: Wire::of(notice).ok_or_else(|| BusError("the notice does not travel".into()))?,
    };
    let bytes = Encoding::MsgPack
        .encode(&hint)
        .map_err(|error| BusError(Box::new(error)))?;
    Ok(bytes.into())
}

pub(super) fn decode(bytes: &[u8]) -> Result<(InstanceId, Notice), NotUnderstood> {
    let hint: Hint = Encoding::MsgPack
        .decode_from_server(bytes)
        .map_err(|error| NotUnderstood(error.to_string()))?;
    if hint.v != VERSION {
        return Err(NotUnderstood(format!("it has version {}", hint.v)));
    }
    Ok((InstanceId::from_number(hint.from), hint.notice.into()))
}

impl Wire {
    fn of(notice: &Notice) -> Option<Self> {
        Some(match notice {
            Notice::Rows {
                incarnation,
                conversation,
                roster_version,
                delta,
                rows,
            } => Self::Rows(Rows {
                incarnation: *incarnation,
                conversation: *conversation,
                roster_version: *roster_version,
                delta: delta.as_ref().map(Delta::of),
                rows: rows.iter().map(Row::of).collect(),
            }),
            Notice::Head(head) => Self::Head(Head {
                conversation: head.conversation,
                head: head.head,
                roster_version: head.roster_version,
            }),
            Notice::Joined { user, conversation } => Self::Joined {
                user: *user,
                conversation: *conversation,
            },
            Notice::Ephemeral { to, event } => Self::Ephemeral {
                conversation: to.conversation,
                roster_version: to.roster_version,
                except: to.except,
                event: Told::of(event)?,
            },
            Notice::ForUser { user, event } => Self::ForUser {
                user: *user,
                event: Told::of(event)?,
            },
            Notice::SessionRevoked { user, session } => Self::SessionRevoked {
                user: *user,
                session: *session,
            },
        })
    }
}

impl From<Wire> for Notice {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Rows(rows) => Self::Rows {
                incarnation: rows.incarnation,
                conversation: rows.conversation,
                roster_version: rows.roster_version,
                delta: rows.delta.map(Into::into),
                rows: rows
                    .rows
                    .into_iter()
                    .map(|row| row.stored(rows.conversation))
                    .collect(),
            },
            Wire::Head(head) => Self::Head(ConversationHead {
                conversation: head.conversation,
                head: head.head,
                roster_version: head.roster_version,
            }),
            Wire::Joined { user, conversation } => Self::Joined { user, conversation },
            Wire::Ephemeral {
                conversation,
                roster_version,
                except,
                event,
            } => Self::Ephemeral {
                to: Audience {
                    conversation,
                    roster_version,
                    except,
                },
                event: event.into(),
            },
            Wire::ForUser { user, event } => Self::ForUser {
                user,
                event: event.into(),
            },
            Wire::SessionRevoked { user, session } => Self::SessionRevoked { user, session },
        }
    }
}

impl Delta {
    fn of(delta: &RosterDelta) -> Self {
        Self {
            added: delta.added.clone(),
            removed: delta.removed.clone(),
            member_count: delta.member_count,
        }
    }
}

impl From<Delta> for RosterDelta {
    fn from(delta: Delta) -> Self {
        Self {
            added: delta.added,
            removed: delta.removed,
            member_count: delta.member_count,
        }
    }
}

impl Row {
    fn of(row: &StoredRow) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            sender: row.sender,
            device: row.device,
            client_msg_id: row.client_msg_id,
            epoch: row.epoch,
            server_ts: row.server_ts,
            body: row.body.as_ref().to_owned(),
        }
    }

    fn stored(self, conversation: ConversationId) -> StoredRow {
        StoredRow {
            conversation,
            seq: self.seq,
            kind: self.kind,
            sender: self.sender,
            device: self.device,
            client_msg_id: self.client_msg_id,
            epoch: self.epoch,
            server_ts: self.server_ts,
            body: self.body.into(),
        }
    }
}

impl Told {
    const fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::Typing(typing) => Self::Typing(*typing),
            Event::Presence(presence) => Self::Presence(*presence),
            Event::Delivered(position) => Self::Delivered(*position),
            Event::Read(position) => Self::Read(*position),
            // Rows travel as rows, and nothing else is told between instances.
            _ => return None,
        })
    }
}

impl From<Told> for Event {
    fn from(told: Told) -> Self {
        match told {
            Told::Typing(typing) => Self::Typing(typing),
            Told::Presence(presence) => Self::Presence(presence),
            Told::Delivered(position) => Self::Delivered(position),
            Told::Read(position) => Self::Read(position),
        }
    }
}
