//! Delivered and read positions.

use ruggine_core::ConversationId;
use ruggine_core::api::Done;
use ruggine_core::api::position::{Delivered, Read};

use super::{Caller, Engine, EngineResult, Verb};
use crate::store::{MovePosition, PositionKind};

impl Verb for Delivered {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Done> {
        let principal = caller.principal()?;
        let to = MovePosition {
            kind: PositionKind::Delivered,
            user: principal.user,
            device: principal.device,
            conversation: self.conversation,
            seq: self.seq,
        };
        engine.move_position(to).await.map(|()| Done {})
    }
}

impl Verb for Read {
    fn conversation(&self) -> Option<ConversationId> {
        Some(self.conversation)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Done> {
        let principal = caller.principal()?;
        let to = MovePosition {
            kind: PositionKind::Read,
            user: principal.user,
            device: principal.device,
            conversation: self.conversation,
            seq: self.seq,
        };
        engine.move_position(to).await.map(|()| Done {})
    }
}
