//! Every operation, defined once: a request, a response and a name.
//!
//! An operation can be called over HTTP (`POST /v1/<name>`) and over a
//! WebSocket, in both encodings, with the same two types. The table in
//! [`for_each_operation!`](crate::for_each_operation) is the only list of them:
//! the server's dispatch and its OpenAPI document are made from it, so neither
//! can miss one.

pub mod account;
pub mod conversation;
pub mod identity;
pub mod key_package;
pub mod member;
pub mod message;
pub mod position;
pub mod presence;
pub mod session;
pub mod sync;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A request, and with it the operation that it asks for.
pub trait Operation: Serialize + DeserializeOwned + Send + 'static {
    /// What the server answers.
    type Response: Serialize + DeserializeOwned + Send + 'static;

    /// The operation's name and rules.
    const METHOD: Method;
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Anybody, before a login.
    Public,
    /// A logged-in device.
    Session,
}

/// Whether an operation changes what the server keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It only reads, or its effect is forgotten by itself.
    Reads,
    /// It writes, so the client's write counter is checked.
    Writes,
}

/// An empty response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Done {}

/// Calls a macro with the table of all operations. Each line reads
/// `/// what it does` `Variant "name" path::to::Request => path::to::Response, access, effect;`.
#[macro_export]
macro_rules! for_each_operation {
    ($callback:ident) => {
        $callback! {
            /// Creates an account and logs its first device in.
            AccountRegister "account.register" account::Register => account::Login, Public, Writes;
            /// Logs a device in, a new one where none is named.
            AccountLogin "account.login" account::LogIn => account::Login, Public, Writes;
            /// Finds a user by exact username.
            UserLookup "user.lookup" account::LookUp => account::User, Session, Reads;
            /// Exchanges a refresh token for new tokens.
            SessionRefresh "session.refresh" session::Refresh => session::Tokens, Public, Writes;
            /// Ends the calling session.
            SessionLogout "session.logout" session::LogOut => Done, Session, Writes;
            /// Lists the caller's sessions.
            SessionList "session.list" session::List => session::Sessions, Session, Reads;
            /// Ends one of the caller's sessions and closes its sockets.
            SessionRevoke "session.revoke" session::Revoke => Done, Session, Writes;
            /// Creates a conversation, or returns the existing direct one.
            ConversationCreate "conversation.create" conversation::Create => conversation::Conversation, Session, Writes;
            /// Lists the caller's conversations.
            ConversationList "conversation.list" conversation::List => conversation::Conversations, Session, Reads;
            /// Returns one conversation.
            ConversationGet "conversation.get" conversation::Get => conversation::Conversation, Session, Reads;
            /// Says which conversation the user has before them.
            ConversationFocus "conversation.focus" conversation::Focus => Done, Session, Reads;
            /// Lists members with their roles and positions.
            MemberList "member.list" member::List => member::Members, Session, Reads;
            /// Adds users to a group.
            MemberAdd "member.add" member::Add => member::RosterChanged, Session, Writes;
            /// Removes a user from a group.
            MemberRemove "member.remove" member::Remove => member::RosterChanged, Session, Writes;
            /// Leaves a group.
            MemberLeave "member.leave" member::Leave => member::RosterChanged, Session, Writes;
            /// Changes a member's role.
            MemberRole "member.role" member::ChangeRole => member::RosterChanged, Session, Writes;
            /// Sends a message.
            MessageSend "message.send" message::Send => message::Ack, Session, Writes;
            /// Reads a range of the log, forward or backward.
            MessagePage "message.page" message::PageRequest => message::Page, Session, Reads;
            /// Reads one row, also one too large for a page.
            MessageFetch "message.fetch" message::Fetch => message::Fetched, Session, Reads;
            /// Reports up to where this device has stored the log.
            PositionDelivered "position.delivered" position::Delivered => Done, Session, Writes;
            /// Reports up to where the user has read.
            PositionRead "position.read" position::Read => Done, Session, Writes;
            /// Says that the user is typing, or has stopped.
            TypingSet "typing.set" presence::SetTyping => Done, Session, Reads;
            /// Asks which users are online.
            PresenceQuery "presence.query" presence::Query => presence::Presences, Session, Reads;
            /// Publishes the next version of the caller's device list.
            IdentityPublish "identity.publish" identity::Publish => identity::Published, Session, Writes;
            /// Returns the device lists of users that are newer than the known ones.
            IdentityGet "identity.get" identity::Get => identity::Lists, Session, Reads;
            /// Leaves key packages of the calling device with the server.
            KeyPackagePublish "key_package.publish" key_package::Publish => key_package::Stock, Session, Writes;
            /// Says how many key packages of the calling device are left.
            KeyPackageStock "key_package.stock" key_package::StockRequest => key_package::Stock, Session, Reads;
            /// Takes one key package of each device of a user.
            KeyPackageClaim "key_package.claim" key_package::Claim => key_package::Claimed, Session, Writes;
            /// Opens a WebSocket's session and reports what is new.
            Hello "hello" sync::Hello => sync::Heads, Public, Reads;
            /// Continues the report of `hello`, or repeats it.
            SyncHeads "sync.heads" sync::HeadsRequest => sync::Heads, Session, Reads;
        }
    };
}

macro_rules! methods {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
        /// The name of an operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Method {
            $( $(#[$meta])* $variant, )+
        }

        impl Method {
            /// Every operation, in the order of the table.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )+
                }
            }

            /// The operation with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $name => Some(Self::$variant), )+
                    _ => None,
                }
            }

            /// Who may call it.
            #[must_use]
            pub const fn access(self) -> Access {
                match self {
                    $( Self::$variant => Access::$access, )+
                }
            }

            /// Whether it writes.
            #[must_use]
            pub const fn effect(self) -> Effect {
                match self {
                    $( Self::$variant => Effect::$effect, )+
                }
            }
        }

        $(
            impl Operation for $request {
                type Response = $response;

                const METHOD: Method = Method::$variant;
            }
        )+
    };
}

for_each_operation!(methods);

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
