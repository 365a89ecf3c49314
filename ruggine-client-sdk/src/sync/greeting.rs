//! What a connection begins with: finding out what is new, and sending what waits.

use ruggine_core::api::conversation::Focus;
use ruggine_core::api::member::List as MemberList;
use ruggine_core::api::sync::{Head, Heads, HeadsRequest};

use super::{Done, LogSync};
use crate::client::Shared;
use crate::event::ClientEvent;
use crate::store::{ConversationRecord, Position, StoreResult};

/// Conversations whose positions are read anew with each connection.
const POSITIONS: usize = 50;

impl LogSync {
    /// A connection begins: what is new is found out, and what waits is sent.
    pub(super) async fn greet(&mut self, first: Heads) -> StoreResult<()> {
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

    pub(super) async fn hear_head(&mut self, head: Head) -> StoreResult<()> {
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
