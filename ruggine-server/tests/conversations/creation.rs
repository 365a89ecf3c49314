//! How conversations come to be, and which do not.

use futures_util::future::join_all;
use ruggine_core::api::conversation::{
    Conversation, ConversationKind, Create, List, ProtectionMode, Role,
};
use ruggine_core::api::member;
use ruggine_core::api::message::{Item, RowKind};
use ruggine_core::content::Notice;
use ruggine_core::{ConversationId, ErrorCode, Timestamp};
use ruggine_server::testing::TestServer;

use super::support::{a_user_who_does_not_exist, add, change_role, code, create, remove, say, seq};

#[tokio::test]
async fn a_direct_conversation_is_unique_per_pair_also_when_both_create_it_at_once() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    let attempts = (0..10).flat_map(|_| {
        [
            a.call(create(ConversationKind::Direct, &[bob.user()])),
            b.call(create(ConversationKind::Direct, &[ada.user()])),
        ]
    });
    let made: Vec<Conversation> = join_all(attempts)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let first = made[0].id;
    assert!(made.iter().all(|conversation| conversation.id == first));
    assert_eq!(made[0].peer, Some(bob.user()));
    assert_eq!(made[1].peer, Some(ada.user()));
    assert_eq!(made[0].head, seq(1), "there is one beginning");
    assert_eq!(made[0].role, Some(Role::Member));
    assert_ne!(server.direct(&ada, &cleo).await, first);
    let all = a.call(List::default()).await.unwrap();
    assert_eq!(all.conversations.len(), 2);
}

#[tokio::test]
async fn a_direct_conversation_has_exactly_one_other_member() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let http = server.http_of(&ada);
    for members in [vec![], vec![ada.user()], vec![bob.user(), cleo.user()]] {
        let refused = code(http.call(create(ConversationKind::Direct, &members)).await);
        assert_eq!(refused, ErrorCode::InvalidParams);
    }
    let oneself_too = [ada.user(), bob.user(), bob.user()];
    let direct = http
        .call(create(ConversationKind::Direct, &oneself_too))
        .await;
    assert_eq!(direct.unwrap().peer, Some(bob.user()));
}

#[tokio::test]
async fn nobody_is_added_to_or_removed_from_a_direct_conversation() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let direct = server.direct(&ada, &bob).await;
    let http = server.http_of(&ada);
    assert_eq!(
        code(http.call(add(direct, &cleo)).await),
        ErrorCode::WrongMode
    );
    assert_eq!(
        code(http.call(remove(direct, &bob)).await),
        ErrorCode::WrongMode
    );
    assert_eq!(
        code(http.call(change_role(direct, &bob, Role::Owner)).await),
        ErrorCode::WrongMode
    );
    let leave = member::Leave {
        conversation: direct,
    };
    assert_eq!(code(http.call(leave).await), ErrorCode::WrongMode);
}

#[tokio::test]
async fn users_who_do_not_exist_are_no_members() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    let nobody = a_user_who_does_not_exist();
    for kind in [ConversationKind::Direct, ConversationKind::Group] {
        let refused = code(http.call(create(kind, &[nobody])).await);
        assert_eq!(refused, ErrorCode::UserNotFound);
    }
    let group = server.group(&ada, &[]).await;
    let request = member::Add {
        conversation: group,
        users: vec![nobody],
    };
    assert_eq!(code(http.call(request).await), ErrorCode::UserNotFound);
}

#[tokio::test]
async fn an_end_to_end_encrypted_conversation_is_refused_and_not_made_a_managed_one() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    for kind in [ConversationKind::Direct, ConversationKind::Group] {
        let request = Create {
            mode: ProtectionMode::E2ee,
            ..create(kind, &[bob.user()])
        };
        assert_eq!(code(http.call(request).await), ErrorCode::WrongMode);
    }
    let all = http.call(List::default()).await.unwrap();
    assert!(all.conversations.is_empty());
}

#[tokio::test]
async fn a_group_created_again_under_its_id_is_the_same_group() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http_of(&ada);
    let id = ConversationId::new(Timestamp::from_millis(1_700_000_000_000));
    let request = Create {
        id: Some(id),
        ..create(ConversationKind::Group, &[bob.user()])
    };
    let attempts = (0..5).map(|_| http.call(request.clone()));
    for made in join_all(attempts).await {
        let made = made.unwrap();
        assert_eq!(made.id, id);
        assert_eq!(made.head, seq(1));
        assert_eq!(made.role, Some(Role::Owner));
        assert_eq!(made.member_count, 2);
    }
    say(&http, id, "one").await;
    assert_eq!(http.call(request.clone()).await.unwrap().head, seq(2));
    let foreign = server.http_of(&bob).call(request).await;
    assert_eq!(code(foreign), ErrorCode::ConversationExists);
}

#[tokio::test]
async fn a_conversation_begins_with_a_notice_of_who_is_in_it() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    let [Item::Row(row)] = log.as_slice() else {
        panic!("{log:?}")
    };
    assert_eq!(
        (row.kind, row.sender, row.seq),
        (RowKind::System, ada.user(), seq(1))
    );
    let notice = Notice::from_payload(&row.payload);
    let expected = Notice::Created {
        kind: ConversationKind::Group,
        members: vec![ada.user(), bob.user()],
    };
    assert_eq!(notice, Some(expected));
}
