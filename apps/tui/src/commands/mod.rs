//! One-shot commands, for people and scripts.

mod account;
mod chats;
mod messages;
mod target;

pub(crate) use account::{LoginArguments, RegisterArguments, login, logout, register};
pub(crate) use chats::{ChatsArguments, GroupArguments, chats, group};
pub(crate) use messages::{HistoryArguments, SendArguments, TailArguments, history, send, tail};
