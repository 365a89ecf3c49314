//! Keeping the local store level with the server's log.
//!
//! A row is applied only at the cursor + 1, together with the cursor, so what
//! a person sees is exactly once and in order, whatever the server sends.
//! Whatever does not follow makes the range between be read. This task never
//! waits for the network itself: reading goes on in futures of its own, one a
//! conversation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use ruggine_core::api::conversation::{Focus, Get};
use ruggine_core::api::member::List as MemberList;
use ruggine_core::api::message::{Item, Page, PageRequest, PageStart, Row, RowKind};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::sync::{Head, Heads, HeadsRequest};
use ruggine_core::event::{MessageEvent, PositionEvent};
use ruggine_core::{Content, ConversationId, Event, Incarnation, Seq, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::Shared;
use crate::error::RequestError;
use crate::event::ClientEvent;
use crate::link::LinkEvent;
use crate::store::{
    Applied, ConversationRecord, LogEntry, LogRow, MessageRecord, Position, StoreError, StoreResult,
};

/// Events handled before anything else gets a turn.
const BURST: usize = 256;
/// Conversations read at the same time.
const PULLS: usize = 8;
/// Conversations whose positions are read anew with each connection.
const POSITIONS: usize = 50;
/// Pause before a range is asked for again.
const AGAIN: Duration = Duration::from_millis(500);

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

#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    head: Seq,
    roster_version: u64,
    /// What the reading that is under way was begun for.
    begun_for: (Seq, u64),
    reading: Reading,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    /// It has not begun.
    #[default]
    Waits,
    /// It is under way.
    Runs,
    /// It failed and begins again after a pause.
    Rests,
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

    /// A connection begins: what is new is found out, and what waits is sent.
    async fn greet(&mut self, first: Heads) -> StoreResult<()> {
        self.go_offline();
        self.online = true;
        self.me = Some(first.user);
        let incarnation = first.incarnation;
        self.incarnation = Some(incarnation);
        let (reset, records, lines) = self
            .shared
            .store_step(move |store| {
                let reset = store.set_incarnation(incarnation)?;
                Ok((reset, store.conversations()?, store.lines()?))
            })
            .await?;
        self.rosters = records
            .iter()
            .map(|record| (record.id, record.members_version))
            .collect();
        if reset {
            for record in &records {
                self.shared.emit(ClientEvent::Conversation(record.id));
            }
        }
        for id in lines {
            self.shared.lines().work(&self.shared, id);
        }
        self.work
            .push(Box::pin(refresh_positions(self.shared.clone(), records)));
        self.shared.note_receipt();
        if let Some(conversation) = self.shared.focus() {
            let link = self.shared.link().clone();
            self.work.push(Box::pin(async move {
                let conversation = Some(conversation);
                // Lost with the connection, it is said on the next one.
                let _ = link.request(Focus { conversation }).await;
                Done::Told
            }));
        }
        self.work.push(Box::pin(all_heads(
            self.shared.clone(),
            self.generation,
            first,
        )));
        Ok(())
    }

    async fn finish(&mut self, done: Done) -> StoreResult<()> {
        match done {
            Done::Heads(generation, _)
            | Done::Pulled(generation, ..)
            | Done::Rested(generation, _)
                if generation != self.generation => {}
            Done::Rested(_, id) => {
                if let Some(wanted) = self.wanted.get_mut(&id) {
                    wanted.reading = Reading::Waits;
                }
            }
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

    async fn hear_head(&mut self, head: Head) -> StoreResult<()> {
        let id = head.id;
        let (moved, record) = self
            .shared
            .store_step(move |store| {
                // Reported back, it tells the server that this device knows it.
                let moved = store.set_read(id, head.own_read)?;
                Ok((moved, store.conversation(id)?))
            })
            .await?;
        if moved {
            self.shared.emit(ClientEvent::Conversation(id));
        }
        let behind = record.as_ref().is_none_or(|record| {
            record.cursor < head.head || record.members_version < head.roster_version
        });
        if behind {
            self.want(id, head.head, head.roster_version);
        } else if record.is_some_and(|record| record.cursor > head.cursor) {
            self.undelivered.insert(id);
        }
        self.shared.note_receipt();
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

    async fn apply_all(
        &mut self,
        rows: &mut BTreeMap<ConversationId, Vec<MessageEvent>>,
    ) -> StoreResult<()> {
        for (id, events) in std::mem::take(rows) {
            self.apply_events(id, events).await?;
        }
        Ok(())
    }

    async fn apply_events(
        &mut self,
        id: ConversationId,
        events: Vec<MessageEvent>,
    ) -> StoreResult<()> {
        // Numbers of another log mean nothing here.
        if events
            .iter()
            .any(|event| Some(event.incarnation) != self.incarnation)
        {
            self.shared.note_fault();
            return Ok(());
        }
        let roster_version = events.iter().map(|event| event.roster_version).max();
        let roster_version = roster_version.unwrap_or(0);
        let entries: Vec<LogEntry> = events
            .iter()
            .filter_map(|event| log_entry(&event.item, self.me))
            .collect();
        let Some(last) = entries.last().map(|entry| entry.to) else {
            // An entry of a kind that this build does not know: reading the
            // range shows where it stands.
            self.want(id, Seq::ZERO, roster_version);
            return Ok(());
        };
        if self.wanted.contains_key(&id) {
            self.want(id, last, roster_version);
            return Ok(());
        }
        match apply(&self.shared, id, entries).await? {
            Applied::Advanced { to, .. } => {
                self.undelivered.insert(id);
                let known = self.rosters.get(&id).copied().unwrap_or(0);
                if to < last || roster_version > known {
                    self.want(id, last, roster_version);
                }
            }
            Applied::Gap(_) | Applied::Unknown => self.want(id, last, roster_version),
        }
        Ok(())
    }

    /// A conversation has to be read at least up to here.
    fn want(&mut self, id: ConversationId, head: Seq, roster_version: u64) {
        let wanted = self.wanted.entry(id).or_default();
        wanted.head = wanted.head.max(head);
        wanted.roster_version = wanted.roster_version.max(roster_version);
    }

    fn start_pulls(&mut self) {
        if !self.online {
            return;
        }
        let runs = |wanted: &Wanted| wanted.reading == Reading::Runs;
        let running = self.wanted.values().filter(|wanted| runs(wanted)).count();
        let free = PULLS.saturating_sub(running);
        let waiting = self
            .wanted
            .iter_mut()
            .filter(|(_, wanted)| wanted.reading == Reading::Waits);
        for (id, wanted) in waiting.take(free) {
            wanted.reading = Reading::Runs;
            wanted.begun_for = (wanted.head, wanted.roster_version);
            let pull = Pull {
                shared: self.shared.clone(),
                id: *id,
                me: self.me,
                incarnation: self.incarnation,
                roster_version: wanted.roster_version,
                generation: self.generation,
            };
            self.work.push(Box::pin(pull.run()));
        }
    }

    async fn finish_pull(&mut self, id: ConversationId, good: bool) -> StoreResult<()> {
        let Some(wanted) = self.wanted.remove(&id) else {
            return Ok(());
        };
        let record = self
            .shared
            .store_step(move |store| store.conversation(id))
            .await?;
        if let Some(record) = &record {
            self.rosters.insert(id, record.members_version);
            self.undelivered.insert(id);
        }
        if !good {
            // Again, but not at once: that would only repeat the failure.
            let again = Wanted {
                reading: Reading::Rests,
                ..wanted
            };
            self.wanted.insert(id, again);
            let generation = self.generation;
            self.work.push(Box::pin(async move {
                tokio::time::sleep(AGAIN).await;
                Done::Rested(generation, id)
            }));
            return Ok(());
        }
        // A head or a roster beyond what may be read here is not asked for twice:
        // the server has shown all that there is, unless more was told of since.
        let (head, roster_version) = wanted.begun_for;
        let was_all = wanted.head <= head && wanted.roster_version <= roster_version;
        let reached = record.is_some_and(|record| {
            record.cursor >= wanted.head && record.members_version >= wanted.roster_version
        });
        if !was_all && !reached {
            let again = Wanted {
                reading: Reading::Waits,
                ..wanted
            };
            self.wanted.insert(id, again);
        }
        Ok(())
    }

    /// Tells the server what was stored and read here.
    async fn tell_receipts(&mut self) -> StoreResult<()> {
        let delivered = std::mem::take(&mut self.undelivered);
        let (cursors, reads) = self
            .shared
            .store_step(move |store| {
                let mut cursors = Vec::new();
                for id in delivered {
                    if let Some(record) = store.conversation(id)? {
                        cursors.push((id, record.cursor));
                    }
                }
                Ok((cursors, store.reads_to_tell()?))
            })
            .await?;
        for (conversation, seq) in cursors {
            let link = self.shared.link().clone();
            self.work.push(Box::pin(async move {
                // A report that is lost is made again: the next hello shows it.
                let _ = link.request(Delivered { conversation, seq }).await;
                Done::Told
            }));
        }
        for (conversation, seq) in reads {
            let shared = self.shared.clone();
            self.work.push(Box::pin(async move {
                let told = shared.link().request(Read { conversation, seq }).await;
                if told.is_ok() {
                    let noted = shared
                        .store_step(move |store| store.read_told(conversation, seq))
                        .await;
                    if let Err(error) = noted {
                        error.report();
                    }
                }
                Done::Told
            }));
        }
        Ok(())
    }
}

/// Reads where the members of the conversations used last are: what moved
/// while this device was away was told to nobody.
async fn refresh_positions(shared: Shared, mut records: Vec<ConversationRecord>) -> Done {
    records.retain(|record| record.role.is_some() && record.members_version > 0);
    records.sort_by_key(|record| {
        let newest = record.newest.as_ref().map(|newest| newest.server_ts);
        std::cmp::Reverse(newest.unwrap_or(record.created_at))
    });
    for record in records.into_iter().take(POSITIONS) {
        let id = record.id;
        let request = MemberList {
            conversation: id,
            after: None,
        };
        let Ok(page) = shared.link().request(request).await else {
            continue;
        };
        let stored = shared
            .store_step(move |store| {
                for member in &page.members {
                    store.set_position(
                        id,
                        member.user.id,
                        Position::Delivered(member.delivered),
                    )?;
                    store.set_position(id, member.user.id, Position::Read(member.read))?;
                }
                Ok(page.members.first().map(|member| member.user.id))
            })
            .await;
        if let Ok(Some(user)) = stored {
            shared.emit(ClientEvent::Receipt {
                conversation: id,
                user,
            });
        }
    }
    Done::Told
}

async fn all_heads(shared: Shared, generation: u64, first: Heads) -> Done {
    let mut heads = first.conversations;
    let mut next = first.next;
    while let Some(after) = next {
        let request = HeadsRequest {
            incarnation: Some(first.incarnation),
            after: Some(after),
        };
        match shared.link().request(request).await {
            Ok(page) => {
                heads.extend(page.conversations);
                next = page.next;
            }
            Err(error) => return Done::Heads(generation, Err(error)),
        }
    }
    Done::Heads(generation, Ok(heads))
}

/// Reading one conversation up to its head.
struct Pull {
    shared: Shared,
    id: ConversationId,
    me: Option<UserId>,
    incarnation: Option<Incarnation>,
    /// A roster at least this new is wanted.
    roster_version: u64,
    generation: u64,
}

impl Pull {
    async fn run(self) -> Done {
        let result = self.pull().await;
        Done::Pulled(self.generation, self.id, result)
    }

    async fn pull(&self) -> Result<(), RequestError> {
        let id = self.id;
        self.refresh().await?;
        loop {
            let record = self
                .shared
                .store_step(move |store| store.conversation(id))
                .await?
                .ok_or(RequestError::Nonsense("a conversation vanished"))?;
            let page = self
                .shared
                .link()
                .request(PageRequest {
                    conversation: id,
                    from: PageStart::After(record.cursor),
                    limit: None,
                    as_content: false,
                })
                .await?;
            if Some(page.incarnation) != self.incarnation {
                self.shared.note_fault();
                return Err(RequestError::Nonsense("the server serves another log"));
            }
            let entries = log_entries(&page, self.me);
            if entries.is_empty() {
                return Ok(());
            }
            match apply(&self.shared, id, entries).await? {
                Applied::Advanced { from, to } if to > from && to < page.head => {}
                Applied::Advanced { .. } => return Ok(()),
                Applied::Gap(_) | Applied::Unknown => {
                    return Err(RequestError::Nonsense("a page does not continue the log"));
                }
            }
        }
    }

    /// What the server says of the conversation, and its members where they
    /// are not known yet or have changed.
    async fn refresh(&self) -> Result<(), RequestError> {
        let id = self.id;
        let known = self
            .shared
            .store_step(move |store| store.conversation(id))
            .await?;
        let fresh = known.is_some_and(|record| {
            record.members_version >= self.roster_version.max(record.roster_version)
                && record.members_version > 0
        });
        if fresh {
            return Ok(());
        }
        let conversation = self.shared.link().request(Get { conversation: id }).await?;
        let (recent, is_member) = (self.shared.options().recent, conversation.role.is_some());
        let version = conversation.roster_version;
        self.shared
            .store_step(move |store| store.put_conversation(&conversation, recent))
            .await?;
        if is_member {
            self.refresh_members().await?;
        } else {
            // Who left sees no roster; the last known one stays.
            let members = Vec::new();
            self.shared
                .store_step(move |store| store.put_members(id, version, &members))
                .await?;
        }
        self.shared.emit(ClientEvent::Conversation(id));
        Ok(())
    }

    async fn refresh_members(&self) -> Result<(), RequestError> {
        let id = self.id;
        let mut members = Vec::new();
        let mut after = None;
        let mut version = 0;
        loop {
            let page = self
                .shared
                .link()
                .request(MemberList {
                    conversation: id,
                    after,
                })
                .await?;
            members.extend(page.members);
            version = page.roster_version.max(version);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.shared
            .store_step(move |store| store.put_members(id, version, &members))
            .await?;
        Ok(())
    }
}

/// Applies entries and tells the rows that are new. Both happen in one step
/// that goes on even if nobody waits for it any more, so that no row is stored
/// without being told; one such step runs at a time, so that rows are told in
/// their order.
async fn apply(
    shared: &Shared,
    id: ConversationId,
    entries: Vec<LogEntry>,
) -> Result<Applied, StoreError> {
    let teller = shared.clone();
    shared
        .store_step(move |store| {
            let _turn = teller.apply_turn();
            let applied = store.apply(id, &entries)?;
            if let Applied::Advanced { from, to } = applied {
                tell_rows(&teller, id, entries, from, to);
            }
            Ok(applied)
        })
        .await
}

/// Tells the rows after `from`, up to `to`, each once.
fn tell_rows(shared: &Shared, id: ConversationId, entries: Vec<LogEntry>, from: Seq, to: Seq) {
    let mut told = from;
    for entry in entries {
        if entry.to <= told || entry.to > to {
            continue;
        }
        told = entry.to;
        if let Some(row) = entry.row {
            shared.emit(ClientEvent::Message {
                conversation: id,
                message: MessageRecord {
                    seq: entry.to,
                    kind: row.kind,
                    sender: row.sender,
                    device: row.device,
                    client_msg_id: row.client_msg_id,
                    server_ts: row.server_ts,
                    payload: row.payload,
                },
            });
        }
    }
    if to > from {
        shared.emit(ClientEvent::Conversation(id));
    }
}

/// A page as entries to be kept. What this build does not know is crossed.
pub(crate) fn log_entries(page: &Page, me: Option<UserId>) -> Vec<LogEntry> {
    let mut entries = Vec::with_capacity(page.items.len());
    let mut at = page.from;
    for item in &page.items {
        match log_entry(item, me) {
            Some(entry) => {
                at = entry.to.next();
                entries.push(entry);
            }
            None => {
                entries.push(LogEntry {
                    from: at,
                    to: at,
                    row: None,
                });
                at = at.next();
            }
        }
    }
    entries
}

fn log_entry(item: &Item, me: Option<UserId>) -> Option<LogEntry> {
    let (from, to) = item.span()?;
    let row = match item {
        Item::Row(row) => Some(log_row(row, me)),
        Item::Undecryptable(lost) => Some(LogRow {
            kind: lost.kind,
            sender: lost.sender,
            device: lost.device,
            client_msg_id: lost.client_msg_id,
            server_ts: lost.server_ts,
            payload: None,
            countable: lost.kind == RowKind::Message,
            mentions_me: false,
            title: None,
        }),
        _ => None,
    };
    (from <= to).then_some(LogEntry { from, to, row })
}

fn log_row(row: &Row, me: Option<UserId>) -> LogRow {
    let content = match row.kind {
        RowKind::Message => Content::from_payload(&row.payload).ok(),
        _ => None,
    };
    let names_me = |content: &Content| {
        content
            .as_text()
            .is_some_and(|text| me.is_some_and(|me| text.mentions_user(me)))
    };
    LogRow {
        kind: row.kind,
        sender: row.sender,
        device: row.device,
        client_msg_id: row.client_msg_id,
        server_ts: row.server_ts,
        payload: Some(row.payload.clone()),
        // What cannot be read is still something that somebody wrote.
        countable: row.kind == RowKind::Message
            && content.as_ref().is_none_or(Content::is_countable),
        mentions_me: content.as_ref().is_some_and(names_me),
        title: match content {
            Some(Content::Title(title)) => Some(title.title),
            _ => None,
        },
    }
}
