//! One store in the hands of several threads.

use ruggine_client_sdk::store::ClientStore;
use ruggine_core::ConversationId;

use super::own_store::{apply, new_store, said};
use super::support::{self, assert_whole, seq};

#[test]
fn threads_that_use_one_store_do_not_disturb_each_other() {
    let kept = new_store();
    let rooms: Vec<ConversationId> = (0..4).map(|_| kept.room(0)).collect();
    std::thread::scope(|scope| {
        for id in &rooms {
            let kept = &kept;
            scope.spawn(move || {
                for number in 1..=40 {
                    kept.queue(*id, "queued");
                    apply(&kept.store, *id, &[said(number)]);
                    assert_eq!(kept.record(*id).cursor, seq(number));
                }
            });
        }
    });
    assert_eq!(kept.store.write_counter().expect("readable"), 160);
    for id in rooms {
        assert_whole(&support::kept(&kept.store, id), 1, 40);
        assert_eq!(kept.progress(id).len(), 40);
    }
}
