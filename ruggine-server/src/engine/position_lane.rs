//! The lane of receipts: positions that wait are moved in one commit.

use parking_lot::RwLock;
use ruggine_core::event::PositionEvent;
use ruggine_core::{ErrorCode, Event, Seq};
use tokio::sync::{mpsc, oneshot};

use super::{Engine, EngineError, EngineResult};
use crate::bus::Audience;
use crate::config::Limits;
use crate::store::{MovePosition, Moved, PositionKind, StoreError, StoreResult};

/// Positions moved together at the most.
const BATCH: usize = 256;

pub(super) struct PositionJob {
    to: MovePosition,
    answer: oneshot::Sender<StoreResult<Moved>>,
}

pub(super) struct PositionLane(RwLock<Option<mpsc::Sender<PositionJob>>>);

impl PositionLane {
    pub(super) fn new(limits: &Limits) -> (Self, mpsc::Receiver<PositionJob>) {
        let (sender, jobs) = mpsc::channel(limits.waiting_messages.max(1));
        (Self(RwLock::new(Some(sender))), jobs)
    }

    pub(super) fn close(&self) {
        self.0.write().take();
    }
}

impl Engine {
    pub(super) async fn move_position(&self, to: MovePosition) -> EngineResult<()> {
        let (answer, outcome) = oneshot::channel();
        let unavailable = || EngineError::rejected(ErrorCode::Unavailable);
        {
            let sender = self.0.positions.0.read();
            let sender = sender.as_ref().ok_or_else(unavailable)?;
            sender
                .try_send(PositionJob { to, answer })
                .map_err(|_| EngineError::Limited {
                    code: ErrorCode::Overloaded,
                    retry_after: std::time::Duration::from_millis(250),
                })?;
        }
        match outcome.await.map_err(|_| unavailable())?? {
            Moved::NotAMember => Err(EngineError::rejected(ErrorCode::ConversationNotFound)),
            Moved::To { .. } | Moved::Unmoved => Ok(()),
        }
    }

    pub(super) async fn run_position_lane(self, mut jobs: mpsc::Receiver<PositionJob>) {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.recv_many(&mut batch, BATCH).await > 0 {
            let moves: Vec<MovePosition> = batch.iter().map(|job| job.to).collect();
            match self.0.store.move_positions(moves).await {
                Ok(outcomes) => {
                    for (job, moved) in batch.drain(..).zip(outcomes) {
                        if let Moved::To {
                            seq,
                            roster_version,
                        } = moved
                        {
                            self.tell_position(&job.to, seq, roster_version).await;
                        }
                        // Who no longer waits has no use for the answer.
                        let _ = job.answer.send(Ok(moved));
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "positions were not moved");
                    let text = error.to_string();
                    for job in batch.drain(..) {
                        let again = StoreError::Unavailable(text.clone().into());
                        let _ = job.answer.send(Err(again));
                    }
                }
            }
        }
    }

    async fn tell_position(&self, to: &MovePosition, seq: Seq, roster_version: u64) {
        let position = PositionEvent {
            conversation: to.conversation,
            user: to.user,
            seq,
        };
        let event = match to.kind {
            PositionKind::Delivered => Event::Delivered(position),
            PositionKind::Read => Event::Read(position),
        };
        let to = Audience {
            conversation: to.conversation,
            roster_version,
            except: to.user,
        };
        self.tell_members(to, event).await;
    }
}
