//! Requests that are full of canaries.

use ruggine_core::api::account::{KnownDevice, LogIn, Register};
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_core::api::message::{PageRequest, PageStart};
use ruggine_core::api::sync::Hello;
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::version::ProtocolVersion;
use ruggine_core::{ConversationId, Seq, UserId};

pub(crate) const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

pub(crate) const PASSWORD: &str = "canarino-9f27c1 tavolo di vetro";
pub(crate) const WRONG_PASSWORD: &str = "canarino-41bb07 sedia di sasso";
pub(crate) const DISPLAY_NAME: &str = "Canarina Mostrata 7d31e8";
pub(crate) const DEVICE_NAME: &str = "canary device 5c90af";
pub(crate) const MESSAGE: &str = "canary message e3b772: nobody but the members reads this";
pub(crate) const TITLE: &str = "canary title 18d4c6";
pub(crate) const MISPLACED: &str = "canary misplaced 60aa9d";

pub(crate) fn register(username: &str) -> Register {
    Register {
        username: username.to_owned(),
        password: SecretText::new(PASSWORD),
        display_name: Some(DISPLAY_NAME.to_owned()),
        device_name: Some(DEVICE_NAME.to_owned()),
    }
}

pub(crate) fn log_in(username: &str, password: &str, device: Option<KnownDevice>) -> LogIn {
    LogIn {
        username: username.to_owned(),
        password: SecretText::new(password),
        device,
        device_name: Some(DEVICE_NAME.to_owned()),
    }
}

pub(crate) fn hello(token: &SecretText) -> Hello {
    Hello {
        token: token.clone(),
        protocol: ProtocolVersion::CURRENT,
        locale: None,
        incarnation: None,
    }
}

pub(crate) fn group_of(members: Vec<UserId>) -> Create {
    Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members,
        id: None,
    }
}

pub(crate) fn page_of(conversation: ConversationId) -> PageRequest {
    PageRequest {
        conversation,
        from: PageStart::After(Seq::ZERO),
        limit: None,
        as_content: false,
    }
}
