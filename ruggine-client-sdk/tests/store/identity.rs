//! Whose the store is, and that nobody finds what belonged to another.

use ruggine_client_sdk::store::{ClientStore, Identity, SendProgress};
use ruggine_core::api::conversation::Role;
use ruggine_core::{Blob, ClientMsgId, DeviceId, ErrorCode, Incarnation, Seq, SessionId};

use super::own_store::{apply, member, new_store, numbers, open, said};
use super::support::world::tokens;
use super::support::{fresh_conversation, now, person};

#[test]
fn a_new_store_belongs_to_nobody_and_holds_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    assert!(store.identity().expect("readable").is_none());
    assert_eq!(store.incarnation().expect("readable"), None);
    assert_eq!(store.write_counter().expect("readable"), 0);
    assert_eq!(store.conversations().expect("readable"), []);
    assert_eq!(store.lines().expect("readable"), []);
    assert_eq!(store.reads_to_tell().expect("readable"), []);
    let id = fresh_conversation();
    assert_eq!(store.conversation(id).expect("readable"), None);
    assert_eq!(store.members(id).expect("readable"), []);
    assert_eq!(store.line(id).expect("readable"), []);
    assert_eq!(store.head_of_line(id).expect("readable"), None);
    assert_eq!(store.messages(id, Seq::MAX, 10).expect("readable"), []);
    assert_eq!(store.user(person("eva").id).expect("readable"), None);
}

#[test]
fn a_device_that_is_given_up_keeps_what_it_read_and_sends_nothing_more() {
    let kept = new_store();
    let id = fresh_conversation();
    let waiting = ClientMsgId::new(now());
    kept.store
        .enqueue(id, waiting, Blob::from(b"perhaps sent".to_vec()), now())
        .expect("writable");
    kept.store.forget_device().expect("writable");
    let kept = kept.reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.user, kept.me.user);
    assert!(identity.device_secret.is_none() && identity.tokens.is_none());
    assert_eq!(kept.store.lines().expect("readable"), []);
    let line = kept.store.line(id).expect("readable");
    let progress: Vec<_> = line.iter().map(|message| message.progress).collect();
    assert_eq!(progress, [SendProgress::Failed(ErrorCode::DeviceRestored)]);
}

#[test]
fn a_login_is_kept_with_its_secrets() {
    let kept = new_store().reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.user, kept.me.user);
    assert_eq!(identity.device, kept.me.device);
    assert_eq!(identity.device_secret, kept.me.device_secret);
    assert_eq!(identity.session, kept.me.session);
    assert_eq!(identity.tokens, Some(tokens("one")));
    let own = kept.store.user(kept.me.user.id).expect("readable");
    assert_eq!(own.as_ref(), Some(&kept.me.user));
}

#[test]
fn tokens_are_replaced_and_forgotten_without_the_rest() {
    let kept = new_store();
    kept.store.set_tokens(tokens("two")).expect("writable");
    let kept = kept.reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.tokens, Some(tokens("two")));
    kept.store.forget_tokens().expect("writable");
    let kept = kept.reopened();
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.tokens, None);
    assert_eq!(identity.device_secret, kept.me.device_secret);
}

#[test]
fn the_same_user_on_the_same_device_finds_everything_again() {
    let kept = new_store();
    let id = kept.room(0);
    apply(&kept.store, id, &[said(1)]);
    kept.queue(id, "waiting");
    kept.store.forget_tokens().expect("writable");
    let again = Identity {
        session: SessionId::new(now()),
        tokens: Some(tokens("again")),
        ..kept.me.clone()
    };
    kept.store.set_identity(again.clone()).expect("writable");
    assert_eq!(numbers(&kept.store, id), [1]);
    assert_eq!(kept.progress(id), [SendProgress::Waiting]);
    assert_eq!(kept.store.write_counter().expect("readable"), 1);
    let identity = kept.store.identity().expect("readable").expect("somebody");
    assert_eq!(identity.session, again.session);
}

#[test]
fn another_user_or_device_finds_an_empty_store() {
    let other_device = |me: &Identity| Identity {
        device: DeviceId::new(now()),
        ..me.clone()
    };
    let other_user = |me: &Identity| Identity {
        user: person("bob"),
        ..me.clone()
    };
    let others: [fn(&Identity) -> Identity; 2] = [other_device, other_user];
    for other in others {
        let kept = new_store();
        let id = kept.room(0);
        let eva = person("eva");
        kept.store.put_user(&eva).expect("writable");
        kept.store
            .set_incarnation(Incarnation::new(5))
            .expect("writable");
        let members = [member(&eva, Role::Owner, 0)];
        kept.store.put_members(id, 1, &members).expect("writable");
        apply(&kept.store, id, &[said(1)]);
        kept.queue(id, "waiting");
        let next = other(&kept.me);
        kept.store.set_identity(next.clone()).expect("writable");
        let kept = kept.reopened();
        assert_eq!(kept.store.conversations().expect("readable"), []);
        assert_eq!(numbers(&kept.store, id), [0; 0]);
        assert_eq!(kept.store.line(id).expect("readable"), []);
        assert_eq!(kept.store.lines().expect("readable"), []);
        assert_eq!(kept.store.members(id).expect("readable"), []);
        assert_eq!(kept.store.user(eva.id).expect("readable"), None);
        assert_eq!(kept.store.incarnation().expect("readable"), None);
        assert_eq!(kept.store.write_counter().expect("readable"), 0);
        let identity = kept.store.identity().expect("readable").expect("somebody");
        assert_eq!((identity.user, identity.device), (next.user, next.device));
    }
}
