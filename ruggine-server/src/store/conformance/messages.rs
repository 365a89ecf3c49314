//! Cases of [`MessageStore`](crate::store::MessageStore): rows that are appended,
//! each once, and rows that are refused.

use std::sync::Arc;

use ruggine_core::api::conversation::Role;
use ruggine_core::{ClientMsgId, ConversationId, Seq};

use super::fixture::{
    NOW, another_device, append, append_one, change, group, group_of_two, later, message, messages,
    numbers, people, say, sealed, version,
};
use super::reads::{gap_free_log, head, log, refused};
use crate::store::{AppendOutcome, AppendRefusal, MemberEffect, NewRow, Store, StoredRow};

/// Everything about a row is read back as it was given.
pub async fn a_row_is_stored_as_it_was_given(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let new = NewRow {
        server_ts: later(123),
        key_id: "k1".into(),
        body: sealed("perché no? 🦀"),
        ..message(id, ada)
    };
    let outcome = append_one(&*store, new.clone()).await;
    let expected = StoredRow {
        conversation: id,
        seq: Seq::new(2),
        kind: new.kind,
        sender: ada.user,
        device: ada.device,
        client_msg_id: new.client_msg_id,
        epoch: None,
        server_ts: later(123),
        body: new.body,
    };
    let roster_version = version(&*store, id).await;
    assert_eq!(
        outcome,
        AppendOutcome::Appended {
            seq: Seq::new(2),
            roster_version
        }
    );
    assert_eq!(log(&*store, id).await[1], expected);
}

/// Within a batch the numbers of each conversation follow the order of the
/// rows, whatever stands between them.
pub async fn rows_keep_the_order_of_their_batch(store: Arc<dyn Store>) {
    let (one, ada, bob) = group_of_two(&*store).await;
    let two = group(&*store, bob, &[ada]).await;
    let batch: Vec<NewRow> = (0..20)
        .map(|index| {
            let id = if index % 3 == 0 { two } else { one };
            message(id, if index % 2 == 0 { ada } else { bob })
        })
        .collect();
    append(&*store, batch.clone()).await;
    for id in [one, two] {
        let sent: Vec<ClientMsgId> = batch
            .iter()
            .filter(|row| row.conversation == id)
            .map(|row| row.client_msg_id)
            .collect();
        let log = gap_free_log(&*store, id).await;
        let found: Vec<ClientMsgId> = log[1..].iter().map(|row| row.client_msg_id).collect();
        assert_eq!(found, sent);
    }
}

/// A row tells the version of the roster that stands at its number.
pub async fn a_row_comes_with_the_version_of_its_roster(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let before = version(&*store, id).await;
    let row = message(id, ada);
    let first = append_one(&*store, row.clone()).await;
    let AppendOutcome::Appended { roster_version, .. } = first else {
        panic!("the row is new");
    };
    assert_eq!(roster_version, before);

    let (_, after) = change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let second = append(&*store, vec![message(id, ada), row]).await;
    for outcome in second {
        let (AppendOutcome::Appended { roster_version, .. }
        | AppendOutcome::Duplicate { roster_version, .. }) = outcome
        else {
            panic!("the sender is a member");
        };
        assert_eq!(roster_version, after);
    }
}

/// A row sent again gets the row that it was, whatever it says this time, and
/// takes no number.
pub async fn a_row_sent_again_gets_the_original(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let first = message(id, ada);
    append_one(&*store, first.clone()).await;
    say(&*store, id, ada, 3).await;
    let original = log(&*store, id).await[1].clone();
    assert_eq!(original.client_msg_id, first.client_msg_id);

    let again = NewRow {
        body: sealed("something else"),
        server_ts: later(9),
        ..first
    };
    let expected = AppendOutcome::Duplicate {
        row: Box::new(original),
        roster_version: version(&*store, id).await,
    };
    assert_eq!(append_one(&*store, again).await, expected);
    assert_eq!(gap_free_log(&*store, id).await.len(), 5);
}

/// A row that stands twice in one batch is written once.
pub async fn a_row_twice_in_a_batch_is_written_once(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let row = message(id, ada);
    let batch = vec![row.clone(), message(id, ada), row.clone(), message(id, ada)];
    let outcomes = append(&*store, batch).await;
    let log = gap_free_log(&*store, id).await;
    assert_eq!(log.len(), 4);
    let AppendOutcome::Duplicate { row: original, .. } = &outcomes[2] else {
        panic!("the row is a duplicate, not {:?}", outcomes[2]);
    };
    assert_eq!(**original, log[1]);
    assert_eq!(original.client_msg_id, row.client_msg_id);
    let others = [
        outcomes[0].clone(),
        outcomes[1].clone(),
        outcomes[3].clone(),
    ];
    assert_eq!(numbers(&others), [2, 3, 4]);
}

/// An id counts for one device in one conversation.
pub async fn an_id_of_another_device_or_conversation_is_no_duplicate(store: Arc<dyn Store>) {
    let (one, ada, bob) = group_of_two(&*store).await;
    let two = group(&*store, ada, &[bob]).await;
    let phone = another_device(&*store, ada.user).await;
    let client_msg_id = ClientMsgId::new(NOW);
    let batch = [(one, ada), (one, phone), (one, bob), (two, ada)].map(|(id, by)| NewRow {
        client_msg_id,
        ..message(id, by)
    });
    let outcomes = append(&*store, batch.to_vec()).await;
    assert_eq!(numbers(&outcomes), [2, 3, 4, 2]);
}

/// Idempotency comes before membership: somebody who was removed still learns
/// that their row had arrived.
pub async fn a_removed_member_still_gets_the_original_of_a_row(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let row = message(id, bob);
    append_one(&*store, row.clone()).await;
    change(&*store, id, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let again = append_one(&*store, row).await;
    assert!(matches!(again, AppendOutcome::Duplicate { row, .. } if row.seq == Seq::new(2)));
    refused(&*store, message(id, bob), AppendRefusal::NotAMember).await;
}

/// Strangers write nowhere, and nobody writes where there is no conversation.
pub async fn only_members_append(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    refused(&*store, message(id, stranger), AppendRefusal::NotAMember).await;
    let unknown = ConversationId::new(NOW);
    refused(&*store, message(unknown, ada), AppendRefusal::NotAMember).await;
    assert_eq!(store.heads(vec![unknown]).await.expect("read"), []);
}

/// What a store may remember of earlier batches lets nobody in who has left.
pub async fn who_wrote_before_writes_no_more_once_removed(store: Arc<dyn Store>) {
    let [ada, bob] = people(&*store).await;
    let group = group(&*store, ada, &[bob]).await;
    for _ in 0..3 {
        say(&*store, group, bob, 1).await;
    }
    let (removed, _) = change(&*store, group, ada, vec![MemberEffect::Remove(bob.user)]).await;
    let outcomes = append(&*store, messages(group, bob, 1)).await;
    let refused = AppendOutcome::Refused(AppendRefusal::NotAMember);
    assert_eq!(outcomes, [refused]);
    assert_eq!(head(&*store, group).await, removed);
}

/// A role that this program does not know reads, but does not write.
pub async fn an_unknown_role_appends_nothing(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let effect = MemberEffect::SetRole(bob.user, Role::Unknown);
    change(&*store, id, ada, vec![effect]).await;
    refused(&*store, message(id, bob), AppendRefusal::Forbidden).await;
}

/// A row sealed in another MLS epoch than the conversation's is refused; a
/// conversation without any takes rows without any.
pub async fn a_row_of_another_epoch_is_stale(store: Arc<dyn Store>) {
    let (id, ada, _) = group_of_two(&*store).await;
    for epoch in [0, 1, u64::MAX] {
        let row = NewRow {
            epoch: Some(epoch),
            ..message(id, ada)
        };
        refused(&*store, row, AppendRefusal::StaleEpoch).await;
    }
}

/// Refused rows take no number and stop nobody else's.
pub async fn a_refused_row_among_good_ones_takes_no_number(store: Arc<dyn Store>) {
    let (id, ada, bob) = group_of_two(&*store).await;
    let [stranger] = people(&*store).await;
    let stale = NewRow {
        epoch: Some(1),
        ..message(id, bob)
    };
    let batch = vec![
        message(id, ada),
        message(id, stranger),
        message(id, bob),
        stale,
        message(ConversationId::new(NOW), ada),
        message(id, ada),
    ];
    let outcomes = append(&*store, batch).await;
    let good = [0, 2, 5].map(|index: usize| outcomes[index].clone());
    assert_eq!(numbers(&good), [2, 3, 4]);
    let bad = [1, 3, 4].map(|index: usize| outcomes[index].clone());
    let expected = [
        AppendRefusal::NotAMember,
        AppendRefusal::StaleEpoch,
        AppendRefusal::NotAMember,
    ];
    assert_eq!(bad, expected.map(AppendOutcome::Refused));
    assert_eq!(gap_free_log(&*store, id).await.len(), 4);
}
