//! What is new for a device.

use ruggine_core::api::sync::{Head, Heads, HeadsRequest, Hello};
use ruggine_core::limits;

use super::{Caller, Engine, EngineResult, Verb};
use crate::auth::Principal;
use crate::store::HeadsQuery;

impl Engine {
    pub(super) async fn heads(
        &self,
        principal: Principal,
        request: HeadsRequest,
    ) -> EngineResult<Heads> {
        // Cursors of another log mean nothing: everything is new.
        let all = request.incarnation != Some(self.0.incarnation);
        let records = self
            .0
            .store
            .device_heads(HeadsQuery {
                user: principal.user,
                device: principal.device,
                after: request.after,
                all,
                limit: limits::HEADS_PAGE,
            })
            .await?;
        let next = (records.len() == limits::HEADS_PAGE)
            .then(|| records.last().map(|record| record.conversation))
            .flatten();
        let conversations = records
            .into_iter()
            .map(|record| Head {
                id: record.conversation,
                kind: record.kind,
                mode: record.mode,
                head: record.head,
                cursor: record.cursor,
                own_read: record.own_read,
                roster_version: record.roster_version,
            })
            .collect();
        Ok(Heads {
            user: principal.user,
            device: principal.device,
            incarnation: self.0.incarnation,
            conversations,
            queue_head: 0,
            next,
        })
    }
}

impl Verb for HeadsRequest {
    async fn run(self, engine: &Engine, caller: &Caller) -> EngineResult<Heads> {
        engine.heads(caller.principal()?, self).await
    }
}

/// Over HTTP, `hello` reports what is new and opens nothing.
impl Verb for Hello {
    async fn run(self, engine: &Engine, _: &Caller) -> EngineResult<Heads> {
        let principal = engine.greet(&self).await?;
        let request = HeadsRequest {
            incarnation: self.incarnation,
            after: None,
        };
        engine.heads(principal, request).await
    }
}
