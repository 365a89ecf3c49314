//! Keeping the local store level with the server's log.
//!
//! A row is applied only at the cursor + 1, together with the cursor, so what
//! a person sees is exactly once and in order, whatever the server sends.
//! Whatever does not follow makes the range between be read. This task never
//! waits for the network itself: reading goes on in futures of its own, one a
//! conversation.

mod applying;
mod entries;
mod greeting;
mod pull;
mod receipts;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use ruggine_core::api::sync::Head;
use ruggine_core::event::{MessageEvent, PositionEvent};
use ruggine_core::{ConversationId, Event, Incarnation, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(crate) use entries::log_entries;
use wanted::Wanted;

use crate::client::Shared;
use crate::error::RequestError;
use crate::event::ClientEvent;
use crate::link::LinkEvent;
use crate::store::{Position, StoreResult};

/// Events handled before anything else gets a turn.
const BURST: usize = 256;

/// What a future of the sync has done.
enum Done {
    /// All heads that `hello` had to tell.
    Heads(u64, Result<Vec<Head>, RequestError>),
    /// A conversation was read.
    Pulled(u64, ConversationId, Result<(), RequestError>),
    /// The pause after a failed reading is over.
    Rested(u64, ConversationId),
    /// A receipt was told, or not.
    Told,
}

pub(crate) struct LogSync {
    shared: Shared,
    /// Conversations that are being read or wait to be, and up to where.
    wanted: BTreeMap<ConversationId, Wanted>,
    /// Conversations with a cursor that the server has not been told.
    undelivered: BTreeSet<ConversationId>,
    /// Roster versions whose members are known here.
    rosters: HashMap<ConversationId, u64>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    incarnation: Option<Incarnation>,
    me: Option<UserId>,
    online: bool,
    /// Grows with every connection; what an earlier one brings is no news.
    generation: u64,
}

impl LogSync {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared,
            wanted: BTreeMap::new(),
            undelivered: BTreeSet::new(),
            rosters: HashMap::new(),
            work: FuturesUnordered::new(),
            incarnation: None,
            me: None,
            online: false,
            generation: 0,
        }
    }

    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<LinkEvent>) {
        let stopping = self.shared.stopping();
        let interval = self.shared.options().receipt_interval;
        let mut receipts_due = Instant::now();
        let mut reads_due = false;
        let mut burst = Vec::with_capacity(BURST);
        loop {
            let receipts_wait = self.online && (reads_due || !self.undelivered.is_empty());
            let step = tokio::select! {
                taken = events.recv_many(&mut burst, BURST) => {
                    if taken == 0 {
                        return;
                    }
                    self.hear(&mut burst).await
                }
                Some(done) = self.work.next() => self.finish(done).await,
                () = self.shared.receipt_noted() => {
                    reads_due = true;
                    Ok(())
                }
                () = tokio::time::sleep_until(receipts_due), if receipts_wait => {
                    receipts_due = Instant::now() + interval;
                    reads_due = false;
                    self.tell_receipts().await
                }
                () = stopping.cancelled() => return,
            };
            if let Err(error) = step {
                error.report();
                self.shared.note_fault();
            }
            self.start_pulls();
        }
    }

    async fn hear(&mut self, burst: &mut Vec<LinkEvent>) -> StoreResult<()> {
        // Rows that came together are applied together.
        let mut rows: BTreeMap<ConversationId, Vec<MessageEvent>> = BTreeMap::new();
        for event in burst.drain(..) {
            match event {
                LinkEvent::Event(Event::Message(message)) => {
                    rows.entry(message.conversation).or_default().push(message);
                }
                LinkEvent::Event(other) => {
                    self.apply_all(&mut rows).await?;
                    self.hear_event(other).await?;
                }
                LinkEvent::Online(heads) => {
                    rows.clear();
                    self.greet(heads).await?;
                }
                LinkEvent::Offline => {
                    self.apply_all(&mut rows).await?;
                    self.go_offline();
                }
            }
        }
        self.apply_all(&mut rows).await
    }

    fn go_offline(&mut self) {
        self.online = false;
        self.wanted.clear();
        // What is under way is finished: rows that were stored must be told.
        self.generation += 1;
    }

    async fn finish(&mut self, done: Done) -> StoreResult<()> {
        match done {
            Done::Heads(generation, _)
            | Done::Pulled(generation, ..)
            | Done::Rested(generation, _)
                if generation != self.generation => {}
            Done::Rested(_, id) => self.finish_rest(id),
            Done::Heads(_, Ok(heads)) => {
                for head in heads {
                    self.hear_head(head).await?;
                }
            }
            Done::Heads(_, Err(error)) => {
                tracing::info!(%error, "what is new could not be found out: connecting anew");
                self.shared.note_fault();
            }
            Done::Pulled(_, id, result) => {
                if let Err(error) = &result {
                    tracing::info!(%error, conversation = %id, "a range could not be read yet");
                }
                self.finish_pull(id, result.is_ok()).await?;
            }
            Done::Told => {}
        }
        Ok(())
    }

    async fn hear_event(&mut self, event: Event) -> StoreResult<()> {
        match event {
            Event::Delivered(position) => {
                self.move_position(position, Position::Delivered(position.seq))
                    .await?;
            }
            Event::Read(position) => {
                self.move_position(position, Position::Read(position.seq))
                    .await?;
            }
            Event::Typing(typing) => self.shared.emit(ClientEvent::Typing(typing)),
            Event::Presence(presence) => self.shared.emit(ClientEvent::Presence(presence)),
            Event::Resync(resync) => {
                for mark in resync.heads {
                    self.want(mark.conversation, mark.head, 0);
                }
            }
            _ => {}
        }
        Ok(())
    }

    async fn move_position(&mut self, event: PositionEvent, position: Position) -> StoreResult<()> {
        let mine = self.me == Some(event.user);
        let (id, user) = (event.conversation, event.user);
        self.shared
            .store_step(move |store| {
                if let (true, Position::Read(seq)) = (mine, position) {
                    store.set_read(id, seq)?;
                }
                store.set_position(id, user, position)
            })
            .await?;
        if mine {
            self.shared.note_receipt();
            self.shared.emit(ClientEvent::Conversation(id));
        }
        self.shared.emit(ClientEvent::Receipt {
            conversation: id,
            user,
        });
        Ok(())
    }
}
