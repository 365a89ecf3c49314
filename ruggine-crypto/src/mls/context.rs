//! What all members agree on about a conversation: who has a seat with which
//! role, and who is invited. It is an extension of the group's context, so MLS
//! authenticates it with every epoch and only a commit can change it.
//!
//! In the presentation language of TLS (RFC 8446 §3, vectors of RFC 9420 §2.1.2):
//!
//! ```text
//! struct {
//!   uint8  version = 1;
//!   opaque conversation[16];
//!   uint8  kind;                 // 1 direct, 2 group
//!   Seat   seats<V>;             // ascending by user, one per user
//!   opaque banned<V>;            // users of 16 bytes, ascending
//! } ConversationContext;
//!
//! struct {
//!   opaque user[16];
//!   uint8  role;                 // 1 owner, 2 admin, 3 member
//!   optional<Invitation> invitation;
//! } Seat;
//!
//! struct {
//!   opaque by[16];
//!   uint64 expires_at;           // milliseconds since 1970
//! } Invitation;
//! ```

use openmls::prelude::{Extension, ExtensionType, Extensions, GroupContext, UnknownExtension};
use ruggine_core::api::conversation::{ConversationKind, Role};
use ruggine_core::{ConversationId, Timestamp, UserId};
use tls_codec::{
    DeserializeBytes as _, Serialize as _, TlsDeserializeBytes, TlsSerialize, TlsSize,
};

/// The extension's number, from the range for private use (RFC 9420 §17.3).
pub(crate) const EXTENSION: u16 = 0xF52A;
const VERSION: u8 = 1;
/// Seats at the most; one more than any server allows members.
const SEATS_MAX: usize = 4_096;

/// The conversation, as its members have agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationContext {
    /// Which conversation the group belongs to.
    pub conversation: ConversationId,
    /// What it is.
    pub kind: ConversationKind,
    /// Members and invited people, ascending by user.
    pub seats: Vec<Seat>,
    /// People who may not be given a seat, ascending.
    pub banned: Vec<UserId>,
}

/// A place in a conversation. Its user is a member once one of their devices
/// is in the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Whose.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// By which their devices may join on their own.
    pub invitation: Option<Invitation>,
}

/// That somebody may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invitation {
    /// Who invited them.
    pub by: UserId,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}

/// A context that breaks its own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContext {
    /// The group has none, so it is not one of ours.
    #[error("the group carries no context of a conversation")]
    Missing,
    /// The bytes are not a context.
    #[error("the context of the conversation is not well-formed")]
    Malformed,
    /// It was written by a newer program.
    #[error("the context of the conversation has version {0}, which this program does not know")]
    Version(u8),
    /// Seats or bans are not in their order, or somebody has two, or both.
    #[error("the context of the conversation names somebody twice or out of order")]
    Order,
    /// A role that this program does not know, or one that the kind does not have.
    #[error("the context of the conversation gives a role that does not exist there")]
    Role,
    /// Nobody, or too many.
    #[error("the context of the conversation has a number of seats that cannot be")]
    Seats,
    /// A group without an owner.
    #[error("the context of the conversation leaves the group without an owner")]
    NoOwner,
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct Wire {
    version: u8,
    conversation: [u8; 16],
    kind: u8,
    seats: Vec<WireSeat>,
    banned: Vec<[u8; 16]>,
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct WireSeat {
    user: [u8; 16],
    role: u8,
    invitation: Option<WireInvitation>,
}

#[derive(Debug, TlsSerialize, TlsDeserializeBytes, TlsSize)]
struct WireInvitation {
    by: [u8; 16],
    expires_at: u64,
}

impl Seat {
    /// Whether its user may join on their own at a time.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        self.invitation
            .is_some_and(|invitation| at < invitation.expires_at)
    }
}

impl ConversationContext {
    /// The seat of a user.
    #[must_use]
    pub fn seat(&self, user: UserId) -> Option<&Seat> {
        let place = self.seats.binary_search_by_key(&user, |seat| seat.user);
        place.ok().map(|index| &self.seats[index])
    }

    /// Gives a user a seat, in place of the one that they had.
    pub fn seat_user(&mut self, seat: Seat) {
        match self
            .seats
            .binary_search_by_key(&seat.user, |seat| seat.user)
        {
            Ok(index) => self.seats[index] = seat,
            Err(index) => self.seats.insert(index, seat),
        }
    }

    /// Takes a user's seat away.
    pub fn unseat(&mut self, user: UserId) {
        self.seats.retain(|seat| seat.user != user);
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            version: VERSION,
            conversation: *self.conversation.as_bytes(),
            kind: match self.kind {
                ConversationKind::Direct => 1,
                ConversationKind::Group => 2,
                _ => 0,
            },
            seats: self.seats.iter().map(WireSeat::of).collect(),
            banned: self.banned.iter().map(|user| *user.as_bytes()).collect(),
        };
        // Only a length beyond 2^30 cannot be written, and such a context is not valid.
        wire.tls_serialize_detached().unwrap_or_default()
    }

    /// Reads and checks a context.
    ///
    /// # Errors
    /// When the bytes are none, or break a rule.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidContext> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(InvalidContext::Version(*other)),
            None => return Err(InvalidContext::Malformed),
        }
        let wire =
            Wire::tls_deserialize_exact_bytes(bytes).map_err(|_| InvalidContext::Malformed)?;
        let context = Self {
            conversation: ConversationId::from_bytes(wire.conversation),
            kind: match wire.kind {
                1 => ConversationKind::Direct,
                2 => ConversationKind::Group,
                _ => return Err(InvalidContext::Malformed),
            },
            seats: wire
                .seats
                .iter()
                .map(WireSeat::seat)
                .collect::<Result<_, _>>()?,
            banned: wire.banned.into_iter().map(UserId::from_bytes).collect(),
        };
        context.check()?;
        Ok(context)
    }

    /// Whether it keeps its own rules.
    ///
    /// # Errors
    /// When it does not.
    pub fn check(&self) -> Result<(), InvalidContext> {
        let ascends = self.seats.is_sorted_by(|one, next| one.user < next.user)
            && self.banned.is_sorted_by(|one, next| one < next);
        if !ascends || self.banned.iter().any(|user| self.seat(*user).is_some()) {
            return Err(InvalidContext::Order);
        }
        let roles = self.seats.iter().map(|seat| seat.role);
        match self.kind {
            ConversationKind::Direct => {
                if !(1..=2).contains(&self.seats.len()) || !self.banned.is_empty() {
                    return Err(InvalidContext::Seats);
                }
                if roles.into_iter().any(|role| role != Role::Member) {
                    return Err(InvalidContext::Role);
                }
            }
            ConversationKind::Group => {
                if self.seats.len() > SEATS_MAX || self.banned.len() > SEATS_MAX {
                    return Err(InvalidContext::Seats);
                }
                if roles.clone().any(|role| role == Role::Unknown) {
                    return Err(InvalidContext::Role);
                }
                if !roles.into_iter().any(|role| role == Role::Owner) {
                    return Err(InvalidContext::NoOwner);
                }
            }
            _ => return Err(InvalidContext::Malformed),
        }
        Ok(())
    }

    pub(crate) fn of(extensions: &Extensions<GroupContext>) -> Result<Self, InvalidContext> {
        let extension = extensions
            .unknown(EXTENSION)
            .ok_or(InvalidContext::Missing)?;
        Self::from_bytes(&extension.0)
    }

    pub(crate) fn extension(&self) -> Extension {
        Extension::Unknown(EXTENSION, UnknownExtension(self.to_bytes()))
    }
}

pub(crate) const fn extension_type() -> ExtensionType {
    ExtensionType::Unknown(EXTENSION)
}

impl WireSeat {
    fn of(seat: &Seat) -> Self {
        Self {
            user: *seat.user.as_bytes(),
            role: match seat.role {
                Role::Owner => 1,
                Role::Admin => 2,
                Role::Member => 3,
                _ => 0,
            },
            invitation: seat.invitation.map(|invitation| WireInvitation {
                by: *invitation.by.as_bytes(),
                expires_at: u64::try_from(invitation.expires_at.as_millis()).unwrap_or(0),
            }),
        }
    }

    fn seat(&self) -> Result<Seat, InvalidContext> {
        Ok(Seat {
            user: UserId::from_bytes(self.user),
            role: match self.role {
                1 => Role::Owner,
                2 => Role::Admin,
                3 => Role::Member,
                _ => return Err(InvalidContext::Role),
            },
            invitation: match &self.invitation {
                None => None,
                Some(invitation) => Some(Invitation {
                    by: UserId::from_bytes(invitation.by),
                    expires_at: i64::try_from(invitation.expires_at)
                        .map(Timestamp::from_millis)
                        .map_err(|_| InvalidContext::Malformed)?,
                }),
            },
        })
    }
}
