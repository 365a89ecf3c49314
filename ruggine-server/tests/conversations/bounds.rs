//! How many users, members and conversations there may be.

use ruggine_core::api::conversation::ConversationKind;
use ruggine_core::api::member;
use ruggine_core::{ErrorCode, UserId, limits};
use ruggine_server::testing::TestServer;

use super::support::{a_user_who_does_not_exist, add, code, create};

#[tokio::test]
async fn no_more_users_are_named_at_once_than_the_limit() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let http = server.http_of(&ada);
    let too_many: Vec<UserId> = (0..=limits::MEMBERS_PER_REQUEST)
        .map(|_| a_user_who_does_not_exist())
        .collect();
    let refused = http.call(create(ConversationKind::Group, &too_many)).await;
    assert_eq!(code(refused), ErrorCode::LimitReached);
    let group = server.group(&ada, &[]).await;
    let request = member::Add {
        conversation: group,
        users: too_many,
    };
    assert_eq!(code(http.call(request).await), ErrorCode::LimitReached);
}

#[tokio::test]
async fn groups_and_lists_of_conversations_grow_to_their_limits_and_no_further() {
    let server = TestServer::options()
        .config(|config| {
            config.limits.group_members = 3;
            config.limits.conversations_per_user = 2;
        })
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let dina = server.register("dina").await;
    let http = server.http_of(&ada);
    let group = server.group(&ada, &[&bob]).await;
    http.call(add(group, &cleo)).await.unwrap();
    assert_eq!(
        code(http.call(add(group, &dina)).await),
        ErrorCode::LimitReached
    );
    server.group(&bob, &[]).await;
    let refused = http
        .call(create(ConversationKind::Direct, &[bob.user()]))
        .await;
    assert_eq!(code(refused), ErrorCode::LimitReached);
    let second = server.group(&ada, &[]).await;
    assert_eq!(
        code(http.call(add(second, &bob)).await),
        ErrorCode::LimitReached
    );
    let own = http.call(create(ConversationKind::Group, &[])).await;
    assert_eq!(code(own), ErrorCode::LimitReached);
}

#[tokio::test]
async fn a_group_is_not_created_with_more_members_than_a_group_may_have() {
    let server = TestServer::options()
        .config(|config| config.limits.group_members = 2)
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let cleo = server.register("cleo").await;
    let members = [bob.user(), cleo.user()];
    let refused = server
        .http_of(&ada)
        .call(create(ConversationKind::Group, &members))
        .await;
    assert_eq!(code(refused), ErrorCode::LimitReached);
}
