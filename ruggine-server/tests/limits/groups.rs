//! How large groups and lists of conversations grow, and how many users are named
//! at once.

use ruggine_core::api::conversation::{self, Conversation, ConversationKind, Create};
use ruggine_core::api::member::{self, Add};
use ruggine_core::api::presence::Query;
use ruggine_core::time::SystemClock;
use ruggine_core::{ApiError, Clock, ConversationId, ErrorCode, UserId, limits};
use ruggine_server::testing::{Person, TestServer};

use super::support::{START, group_of, head, limited, refused};

fn strangers(count: usize) -> Vec<UserId> {
    (0..count).map(|_| UserId::new(START)).collect()
}

#[tokio::test]
async fn a_group_grows_to_its_limit_and_no_further() {
    let server = limited(|limits| limits.group_members = 3).start().await;
    let ada = server.register("ada").await;
    let people = [
        server.register("bob").await,
        server.register("eve").await,
        server.register("dan").await,
    ];
    let [bob, eve, dan] = &people;
    let group = server.group(&ada, &[bob]).await;
    let http = server.http_of(&ada);
    let add = |people: &[&Person]| Add {
        conversation: group,
        users: people.iter().map(|person| person.user()).collect(),
    };
    let error = refused(&http, add(&[eve, dan])).await;
    assert_eq!(error.code, ErrorCode::LimitReached);
    assert!(error.details.unwrap().contains("members"));
    assert!(!error.retryable);
    assert_eq!(head(&http, group).await, 1, "none of them was added");
    http.call(add(&[eve])).await.unwrap();
    assert_eq!(
        refused(&http, add(&[dan])).await.code,
        ErrorCode::LimitReached
    );
    // Who is in it already needs no room.
    http.call(add(&[eve, bob, &ada])).await.unwrap();
    server
        .http_of(bob)
        .call(member::Leave {
            conversation: group,
        })
        .await
        .unwrap();
    http.call(add(&[dan])).await.unwrap();
    assert_eq!(
        refused(&http, add(&[bob])).await.code,
        ErrorCode::LimitReached
    );
}

#[tokio::test]
async fn a_group_does_not_begin_beyond_its_limit() {
    let server = limited(|limits| limits.group_members = 2).start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let http = server.http_of(&ada);
    http.call(group_of(vec![bob.user()])).await.unwrap();
    let create = group_of(vec![bob.user(), eve.user()]);
    assert_eq!(refused(&http, create).await.code, ErrorCode::LimitReached);
}

#[tokio::test]
async fn a_user_is_in_so_many_conversations_and_no_more() {
    let server = limited(|limits| limits.conversations_per_user = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    let first = server.group(&ada, &[]).await;
    server.direct(&ada, &bob).await;
    let direct = |to: &Person| Create {
        kind: ConversationKind::Direct,
        ..group_of(vec![to.user()])
    };
    let eve = server.register("eve").await;
    for create in [
        group_of(Vec::new()),
        group_of(vec![bob.user()]),
        direct(&eve),
    ] {
        let error = refused(&http, create).await;
        assert_eq!(error.code, ErrorCode::LimitReached);
        assert!(error.details.unwrap().contains("conversations"));
    }
    // Nobody else can put them over it either.
    let theirs = server.http_of(&bob);
    let group = theirs.call(group_of(Vec::new())).await.unwrap().id;
    let add = Add {
        conversation: group,
        users: vec![ada.user()],
    };
    assert_eq!(
        refused(&theirs, add.clone()).await.code,
        ErrorCode::LimitReached
    );
    for create in [group_of(vec![ada.user()]), direct(&ada)] {
        let error = refused(&server.http_of(&eve), create).await;
        assert_eq!(error.code, ErrorCode::LimitReached);
    }
    let list = conversation::List::default();
    assert_eq!(http.call(list).await.unwrap().conversations.len(), 2);
    assert_eq!(
        server.http_of(&eve).call(list).await.unwrap().conversations,
        []
    );
    // A conversation that was left counts no more.
    http.call(member::Leave {
        conversation: first,
    })
    .await
    .unwrap();
    theirs.call(add).await.unwrap();
}

/// What exists is returned as it is, however many there are.
#[tokio::test]
async fn a_conversation_that_exists_is_returned_to_one_who_may_have_no_more() {
    let server = limited(|limits| limits.conversations_per_user = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    let group = Create {
        id: Some(ConversationId::new(SystemClock.now())),
        ..group_of(Vec::new())
    };
    let direct = Create {
        kind: ConversationKind::Direct,
        ..group_of(vec![bob.user()])
    };
    let made = [
        http.call(direct.clone()).await.unwrap(),
        http.call(group.clone()).await.unwrap(),
    ];
    let again: [Result<Conversation, ApiError>; 2] =
        [http.call(direct).await, http.call(group).await];
    assert_eq!(again, made.map(Ok));
}

#[tokio::test]
async fn no_more_users_are_named_at_once_than_may() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let add = |users| Add {
        conversation: group,
        users,
    };
    let most = limits::MEMBERS_PER_REQUEST;
    assert_eq!(
        refused(&http, group_of(strangers(most))).await.code,
        ErrorCode::UserNotFound
    );
    assert_eq!(
        refused(&http, group_of(strangers(most + 1))).await.code,
        ErrorCode::LimitReached
    );
    assert_eq!(
        refused(&http, add(strangers(most))).await.code,
        ErrorCode::UserNotFound
    );
    assert_eq!(
        refused(&http, add(strangers(most + 1))).await.code,
        ErrorCode::LimitReached
    );
    // The same one many times is many names.
    let same = vec![ada.user(); most + 1];
    assert_eq!(
        refused(&http, group_of(same.clone())).await.code,
        ErrorCode::LimitReached
    );
    assert_eq!(
        refused(&http, add(same)).await.code,
        ErrorCode::LimitReached
    );
    http.call(group_of(vec![ada.user(); most])).await.unwrap();

    let query = |users| Query { users };
    let most = limits::PRESENCE_QUERY_MAX;
    assert_eq!(
        http.call(query(strangers(most))).await.unwrap().presences,
        []
    );
    assert_eq!(
        refused(&http, query(strangers(most + 1))).await.code,
        ErrorCode::LimitReached
    );
    assert_eq!(http.call(query(Vec::new())).await.unwrap().presences, []);
    assert_eq!(head(&http, group).await, 1);
}
