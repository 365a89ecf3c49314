//! A configuration without rates, and a group to talk in.

use ruggine_core::UserId;
use ruggine_core::api::conversation::{ConversationKind, Create, ProtectionMode};
use ruggine_server::config::{EngineConfig, Limits};

pub(crate) fn group_of(members: &[UserId]) -> Create {
    Create {
        kind: ConversationKind::Group,
        mode: ProtectionMode::Managed,
        members: members.to_vec(),
        id: None,
    }
}

pub(crate) fn quick() -> EngineConfig {
    let mut config = EngineConfig::default();
    config.limits = Limits::without_rates();
    config
}
