//! The outbox: a line per conversation, each with one worker while there is
//! something in it.
//!
//! A worker takes the head of its line, sends those very bytes until there is
//! an answer, and only then goes on. So messages of one conversation keep their
//! order, and a lost answer makes neither a loss nor a double.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use ruggine_core::api::message::{Ack, Send};
use ruggine_core::{ApiError, ClientMsgId, ConversationId, Seq};

use crate::client::Shared;
use crate::error::RequestError;
use crate::event::{ClientEvent, ConnectionState};
use crate::link::bounded;
use crate::store::{ClientStore, OutboxRecord, StoreResult};

/// Pause after a failure that names no time of its own.
const PAUSE: Duration = Duration::from_millis(250);
/// Rows among which a message is looked for that has just come back.
const RECENT: usize = 1_000;
/// Pause after the server asked to wait without saying how long.
const COURTESY: Duration = Duration::from_secs(1);

/// The lines that have a worker, and whether something was added since it
/// looked last.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<HashMap<ConversationId, bool>>);

impl Lines {
    /// There is something in a line.
    pub(crate) fn work(&self, shared: &Shared, id: ConversationId) {
        let mut lines = self.0.lock();
        match lines.get_mut(&id) {
            Some(added) => *added = true,
            None => {
                lines.insert(id, false);
                shared.spawn(work(shared.clone(), id));
            }
        }
    }

    /// A worker found its line empty; whether it may go.
    fn may_go(&self, id: ConversationId) -> bool {
        let mut lines = self.0.lock();
        match lines.get_mut(&id) {
            Some(added) if *added => {
                *added = false;
                false
            }
            _ => {
                lines.remove(&id);
                true
            }
        }
    }

    fn gone(&self, id: ConversationId) {
        self.0.lock().remove(&id);
    }
}

async fn work(shared: Shared, id: ConversationId) {
    let stopping = shared.stopping();
    let work = async {
        let mut unanswered = None;
        loop {
            match attempt(&shared, id, &mut unanswered).await {
                Ok(Some(pause)) => tokio::time::sleep(pause).await,
                Ok(None) if shared.lines().may_go(id) => return,
                Ok(None) => {}
                Err(error) => {
                    error.report();
                    tokio::time::sleep(COURTESY).await;
                }
            }
        }
    };
    if stopping.run_until_cancelled(work).await.is_none() {
        shared.lines().gone(id);
    }
}

/// Sends the head of a line once; how long to wait before looking at the line
/// again, or nothing when it is empty. The line is read anew for each attempt:
/// meanwhile somebody else may have logged in.
///
/// A message whose answer was lost may come back in the log first, and leaves
/// the line with it: `unanswered` remembers it, so that its arrival is told.
async fn attempt(
    shared: &Shared,
    id: ConversationId,
    unanswered: &mut Option<ClientMsgId>,
) -> StoreResult<Option<Duration>> {
    let head = move |store: &dyn ClientStore| store.head_of_line(id);
    let first = shared.store_step(head).await?;
    if let Some(message) = unanswered.take_if(|message| {
        first
            .as_ref()
            .is_none_or(|first| first.client_msg_id != *message)
    }) {
        arrived(shared, id, message).await?;
    }
    if first.is_none() {
        return Ok(None);
    }
    let online = shared
        .wait_for_state(|state| matches!(state, ConnectionState::Online | ConnectionState::Stopped))
        .await;
    if online == ConnectionState::Stopped {
        // Cancellation ends this worker; nothing is left to be done.
        std::future::pending::<()>().await;
    }
    let Some(message) = shared.store_step(head).await? else {
        return Ok(None);
    };
    let client_msg_id = message.client_msg_id;
    *unanswered = Some(client_msg_id);
    let answer = shared
        .link()
        .request(Send {
            conversation: id,
            client_msg_id,
            epoch: None,
            payload: Some(message.payload.clone()),
            content: None,
        })
        .await;
    match answer {
        Ok(ack) if ack.client_msg_id == client_msg_id && ack.conversation == id => {
            *unanswered = None;
            acknowledged(shared, ack).await?;
            Ok(Some(Duration::ZERO))
        }
        Ok(_) => {
            tracing::warn!("the server acknowledged another message");
            Ok(Some(COURTESY))
        }
        Err(RequestError::Refused(error)) if !error.retryable => {
            *unanswered = None;
            refused(shared, id, &message, &error).await?;
            Ok(Some(Duration::ZERO))
        }
        Err(RequestError::Refused(error)) => {
            Ok(Some(error.retry_after_ms.map_or(COURTESY, |wait| {
                bounded(Duration::from_millis(wait))
            })))
        }
        Err(_) => Ok(Some(PAUSE)),
    }
}

/// Tells that a message is in the log whose acknowledgement was lost.
async fn arrived(
    shared: &Shared,
    id: ConversationId,
    client_msg_id: ClientMsgId,
) -> StoreResult<()> {
    let rows = shared
        .store_step(move |store| store.messages(id, Seq::MAX, RECENT))
        .await?;
    if let Some(row) = rows.iter().find(|row| row.client_msg_id == client_msg_id) {
        shared.emit(ClientEvent::Acknowledged {
            conversation: id,
            client_msg_id,
            seq: row.seq,
        });
    }
    Ok(())
}

async fn acknowledged(shared: &Shared, ack: Ack) -> StoreResult<()> {
    shared
        .store_step(move |store| {
            store.acknowledged(ack.conversation, ack.client_msg_id, ack.seq, ack.server_ts)
        })
        .await?;
    shared.emit(ClientEvent::Acknowledged {
        conversation: ack.conversation,
        client_msg_id: ack.client_msg_id,
        seq: ack.seq,
    });
    shared.emit(ClientEvent::Outbox(ack.conversation));
    Ok(())
}

async fn refused(
    shared: &Shared,
    id: ConversationId,
    message: &OutboxRecord,
    error: &ApiError,
) -> StoreResult<()> {
    let (client_msg_id, code) = (message.client_msg_id, error.code);
    shared
        .store_step(move |store| store.failed(id, client_msg_id, code))
        .await?;
    shared.emit(ClientEvent::SendFailed {
        conversation: id,
        client_msg_id,
        code,
    });
    shared.emit(ClientEvent::Outbox(id));
    Ok(())
}
