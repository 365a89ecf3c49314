//! What of a log those see who were removed, were added again, or never were in it.

use ruggine_core::api::conversation::{Get, Role};
use ruggine_core::api::member;
use ruggine_core::api::message::{Fetch, Hole, Item, PageRequest, PageStart};
use ruggine_core::api::position::{Delivered, Read};
use ruggine_core::api::presence::SetTyping;
use ruggine_core::content::Notice;
use ruggine_core::{ConversationId, ErrorCode, Seq, Timestamp};
use ruggine_server::testing::{TestServer, text_message};

use super::pages::{walk_backward, walk_forward};
use super::support::{add, change_role, code, page, remove, say, seq};

#[tokio::test]
async fn a_removed_members_view_ends_with_the_removal() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    say(&a, group, "before").await;
    let removed = a.call(remove(group, &bob)).await.unwrap();
    let after = say(&a, group, "behind bob's back").await;

    let seen = b
        .call(Get {
            conversation: group,
        })
        .await
        .unwrap();
    assert_eq!(seen.head, removed.head);
    assert_eq!(seen.role, None);
    let log = b.read_log(group).await.unwrap();
    assert_eq!(log.len(), 3);
    let Some(Item::Row(last)) = log.last() else {
        panic!()
    };
    assert_eq!(last.seq, removed.head);
    assert_eq!(
        Notice::from_payload(&last.payload),
        Some(Notice::Removed { user: bob.user() })
    );
    let newest = page(&b, group, PageStart::Newest, None).await;
    assert_eq!((newest.to, newest.head), (removed.head, removed.head));

    let fetch = |seq| Fetch {
        conversation: group,
        seq,
    };
    assert!(b.call(fetch(removed.head)).await.is_ok());
    assert_eq!(code(b.call(fetch(after)).await), ErrorCode::MessageNotFound);
    let not_found = ErrorCode::ConversationNotFound;
    assert_eq!(
        code(b.call(text_message(group, "still here")).await),
        not_found
    );
    let typing = SetTyping {
        conversation: group,
        active: true,
    };
    assert_eq!(code(b.call(typing).await), not_found);
    let members = member::List {
        conversation: group,
        after: None,
    };
    assert_eq!(code(b.call(members).await), not_found);
    assert_eq!(code(b.call(add(group, &ada)).await), not_found);
}

#[tokio::test]
async fn who_was_added_again_sees_a_hole_where_they_were_not_there() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    say(&a, group, "long ago").await;
    let first = a.call(add(group, &bob)).await.unwrap().head;
    say(&a, group, "with bob").await;
    let last = a.call(remove(group, &bob)).await.unwrap().head;
    say(&a, group, "without bob").await;
    say(&a, group, "still without").await;
    let again = a.call(add(group, &bob)).await.unwrap().head;
    say(&a, group, "with bob again").await;

    let mut expected = vec![(seq(1), first.previous(), false)];
    expected.extend((first.get()..=last.get()).map(|n| (seq(n), seq(n), true)));
    expected.push((last.next(), again.previous(), false));
    expected.extend((again.get()..=again.get() + 1).map(|n| (seq(n), seq(n), true)));
    let shape = |items: &[Item]| -> Vec<(Seq, Seq, bool)> {
        items
            .iter()
            .map(|item| match item {
                Item::Row(row) => (row.seq, row.seq, true),
                Item::Hole(Hole { from, to }) => (*from, *to, false),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    assert_eq!(shape(&b.read_log(group).await.unwrap()), expected);
    let backward = page(&b, group, PageStart::Newest, None).await;
    assert_eq!(shape(&backward.items), expected);
    assert_eq!((backward.from, backward.to), (seq(1), backward.head));
    for limit in 1..=4 {
        assert_eq!(
            shape(&walk_forward(&b, group, limit).await),
            expected,
            "{limit}"
        );
        assert_eq!(
            shape(&walk_backward(&b, group, limit).await),
            expected,
            "{limit}"
        );
    }
}

#[tokio::test]
async fn a_stranger_cannot_tell_a_conversation_from_none() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let eve = server.register("eve").await;
    let group = server.group(&ada, &[]).await;
    let none = ConversationId::new(Timestamp::from_millis(1));
    let http = server.http_of(&eve);
    let not_found = ErrorCode::ConversationNotFound;
    for conversation in [group, none] {
        let start = PageRequest {
            conversation,
            from: PageStart::Newest,
            limit: None,
            as_content: false,
        };
        let one = seq(1);
        let answers = [
            http.call(Get { conversation }).await.err(),
            http.call(start).await.err(),
            http.call(Fetch {
                conversation,
                seq: one,
            })
            .await
            .err(),
            http.call(text_message(conversation, "knock")).await.err(),
            http.call(Delivered {
                conversation,
                seq: one,
            })
            .await
            .err(),
            http.call(Read {
                conversation,
                seq: one,
            })
            .await
            .err(),
            http.call(SetTyping {
                conversation,
                active: true,
            })
            .await
            .err(),
            http.call(member::List {
                conversation,
                after: None,
            })
            .await
            .err(),
            http.call(add(conversation, &eve)).await.err(),
            http.call(remove(conversation, &ada)).await.err(),
            http.call(member::Leave { conversation }).await.err(),
            http.call(change_role(conversation, &eve, Role::Owner))
                .await
                .err(),
        ];
        for answer in &answers {
            let error = answer.as_ref().expect("a stranger does nothing");
            assert_eq!(error.code, not_found);
            assert_eq!(Some(error), answers[0].as_ref(), "all are answered alike");
        }
    }
    assert_eq!(server.http_of(&ada).read_log(group).await.unwrap().len(), 1);
}
