//! Telling the server what was stored and read here.

use ruggine_core::api::position::{Delivered, Read};

use super::{Done, LogSync};
use crate::store::StoreResult;

impl LogSync {
    /// Tells the server what was stored and read here.
    pub(super) async fn tell_receipts(&mut self) -> StoreResult<()> {
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
