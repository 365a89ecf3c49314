//! Who may change a roster, and what such a change leaves behind.

use futures_util::future::join_all;
use ruggine_core::ErrorCode;
use ruggine_core::api::conversation::{Get, Role};
use ruggine_core::api::member;
use ruggine_core::api::position::{Delivered, Read};
use ruggine_server::testing::TestServer;

use super::support::{add, change_role, code, remove, seq};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Add,
    Remove(Role),
    Change(Role, Role),
    Leave,
}

/// What the documentation of the roles says.
fn is_allowed(actor: Role, deed: Deed) -> bool {
    let by_an_admin = matches!(deed, Deed::Add | Deed::Remove(Role::Member));
    actor == Role::Owner || deed == Deed::Leave || (actor == Role::Admin && by_an_admin)
}

#[tokio::test]
async fn each_role_may_do_what_its_documentation_says_and_nothing_else() {
    const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Member];
    let server = TestServer::start().await;
    let owner = server.register("owner").await;
    let actor = server.register("actor").await;
    let target = server.register("target").await;
    let guest = server.register("guest").await;
    let mut deeds = vec![Deed::Add, Deed::Leave];
    deeds.extend(ROLES.map(Deed::Remove));
    deeds.extend(
        ROLES
            .iter()
            .flat_map(|from| ROLES.map(|to| Deed::Change(*from, to))),
    );

    for role in ROLES {
        for deed in &deeds {
            let group = server.group(&owner, &[&actor, &target]).await;
            let http = server.http_of(&owner);
            http.call(change_role(group, &actor, role)).await.unwrap();
            if let Deed::Remove(theirs) | Deed::Change(theirs, _) = deed {
                http.call(change_role(group, &target, *theirs))
                    .await
                    .unwrap();
            }
            let http = server.http_of(&actor);
            let result = match deed {
                Deed::Add => http.call(add(group, &guest)).await,
                Deed::Remove(_) => http.call(remove(group, &target)).await,
                Deed::Change(_, to) => http.call(change_role(group, &target, *to)).await,
                Deed::Leave => {
                    http.call(member::Leave {
                        conversation: group,
                    })
                    .await
                }
            };
            match result {
                Ok(_) => assert!(is_allowed(role, *deed), "{role} could {deed:?}"),
                Err(error) => {
                    assert!(
                        !is_allowed(role, *deed),
                        "{role} could not {deed:?}: {error}"
                    );
                    assert_eq!(error.code, ErrorCode::Forbidden);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_group_with_members_keeps_an_owner() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    let leave = member::Leave {
        conversation: group,
    };
    assert_eq!(code(a.call(leave).await), ErrorCode::LastOwner);
    for role in [Role::Admin, Role::Member] {
        assert_eq!(
            code(a.call(change_role(group, &ada, role)).await),
            ErrorCode::LastOwner
        );
    }
    a.call(change_role(group, &bob, Role::Owner)).await.unwrap();
    a.call(leave).await.unwrap();
    b.call(leave).await.unwrap();
    assert_eq!(
        b.call(Get {
            conversation: group
        })
        .await
        .unwrap()
        .member_count,
        0
    );
}

#[tokio::test]
async fn an_owner_who_is_alone_stays_owner() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let group = server.group(&ada, &[]).await;
    let refused = server
        .http_of(&ada)
        .call(change_role(group, &ada, Role::Member))
        .await;
    assert_eq!(code(refused), ErrorCode::LastOwner);
}

#[tokio::test]
async fn of_two_owners_who_demote_each_other_at_once_one_remains() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    for _ in 0..10 {
        let group = server.group(&ada, &[&bob]).await;
        a.call(change_role(group, &bob, Role::Owner)).await.unwrap();
        let (one, other) = tokio::join!(
            a.call(change_role(group, &bob, Role::Member)),
            b.call(change_role(group, &ada, Role::Member)),
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        let list = member::List {
            conversation: group,
            after: None,
        };
        let members = a.call(list).await.unwrap().members;
        let owners = members.iter().filter(|member| member.role == Role::Owner);
        assert_eq!(owners.count(), 1);
    }
}

#[tokio::test]
async fn a_change_that_changes_nothing_writes_nothing() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    let http = server.http_of(&ada);
    let added = http.call(add(group, &bob)).await.unwrap();
    let changed = http
        .call(change_role(group, &bob, Role::Member))
        .await
        .unwrap();
    assert_eq!((added.roster_version, added.head), (1, seq(1)));
    assert_eq!(changed, added);
}

#[tokio::test]
async fn many_who_change_a_roster_at_once_each_leave_their_notice() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let mut others = Vec::new();
    for name in ["bob", "cleo", "dina", "emil", "finn", "gaia"] {
        others.push(server.register(name).await);
    }
    let group = server.group(&ada, &[]).await;
    let http = server.http_of(&ada);
    let adding = others.iter().map(|person| http.call(add(group, person)));
    for added in join_all(adding).await {
        added.unwrap();
    }
    let conversation = http
        .call(Get {
            conversation: group,
        })
        .await
        .unwrap();
    assert_eq!(conversation.member_count, 7);
    assert_eq!(conversation.roster_version, 7);
    assert_eq!(conversation.head, seq(7));
}

#[tokio::test]
async fn members_are_listed_with_their_roles_and_positions() {
    let server = TestServer::start().await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[]).await;
    let (a, b) = (server.http_of(&ada), server.http_of(&bob));
    let from = a.call(add(group, &bob)).await.unwrap().head;
    b.call(Delivered {
        conversation: group,
        seq: from,
    })
    .await
    .unwrap();
    b.call(Read {
        conversation: group,
        seq: seq(1),
    })
    .await
    .unwrap();
    let list = member::List {
        conversation: group,
        after: None,
    };
    let listed = a.call(list).await.unwrap();
    assert_eq!(listed.roster_version, 2);
    assert_eq!(listed.next, None);
    let bob_listed = listed
        .members
        .iter()
        .find(|member| member.user == bob.login.user)
        .unwrap();
    assert_eq!(bob_listed.role, Role::Member);
    assert_eq!(bob_listed.from_seq, from);
    assert_eq!((bob_listed.delivered, bob_listed.read), (from, seq(1)));
    let after = member::List {
        conversation: group,
        after: Some(listed.members[0].user.id),
    };
    assert_eq!(a.call(after).await.unwrap().members, listed.members[1..]);
}
