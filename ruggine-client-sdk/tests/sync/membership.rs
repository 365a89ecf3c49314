//! Who joins, leaves, is removed or gets another role, and the title of a group.

use ruggine_client_sdk::store::MemberRecord;
use ruggine_core::Seq;
use ruggine_core::api::conversation::{ProtectionMode, Role};
use ruggine_core::content::{Content, Title};
use ruggine_server::testing::TestServer;

use super::support::device::Device;
use super::support::{all_words, assert_whole, quick, rows_told, seq, until};

#[tokio::test]
async fn who_joins_later_sees_a_hole_and_not_the_past() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let mut options = quick();
    options.recent = 1;
    let eva = Device::register_with(&server, "eva", options).await;
    let group = ada.group(&[&bob]).await;
    for number in 1..=3 {
        ada.say(group, &format!("before {number}")).await;
    }
    ada.has(group, 4).await;
    ada.at(group)
        .add(vec![eva.user()])
        .await
        .expect("an owner may add");
    ada.has(group, 5).await;
    ada.say(group, "after").await;
    eva.has(group, 6).await;
    while eva
        .at(group)
        .load_older()
        .await
        .expect("a page can be read")
    {}
    let log = eva.log(group).await;
    assert_whole(&log, 5, 6);
    assert_eq!(all_words(&log), ["after"]);
    assert_eq!(eva.record(group).await.floor, Seq::ZERO);
    assert_eq!(eva.record(group).await.unread, 1);
    until(ada.client(), "the new member to be known", async || {
        let members = ada
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        members.len() == 3
    })
    .await;
}

#[tokio::test]
async fn who_is_removed_hears_no_more_until_they_are_added_again() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    let talk = ada.direct(&bob).await;
    bob.has(group, 1).await;
    bob.has(talk, 1).await;
    let removal = ada.at(group).remove(bob.user()).await;
    removal.expect("an owner may remove");
    until(bob.client(), "the removal to be known", async || {
        bob.record(group).await.role.is_none()
    })
    .await;
    bob.has(group, 2).await;
    ada.has(group, 2).await;
    ada.say(group, "not for bob").await;
    ada.has(group, 3).await;
    // What is said elsewhere later has come, so this would have come too.
    ada.say(talk, "for bob").await;
    bob.has(talk, 2).await;
    let record = bob.record(group).await;
    assert_eq!((record.cursor, record.head), (seq(2), seq(2)));
    assert_eq!(
        bob.at(group)
            .members()
            .await
            .expect("the store can be read"),
        []
    );

    ada.at(group)
        .add(vec![bob.user()])
        .await
        .expect("an owner may add");
    ada.has(group, 4).await;
    ada.say(group, "welcome back").await;
    bob.has(group, 5).await;
    until(bob.client(), "the role to be known", async || {
        bob.record(group).await.role == Some(Role::Member)
    })
    .await;
    let log = bob.log(group).await;
    let numbers: Vec<u64> = log.iter().map(|row| row.seq.get()).collect();
    assert_eq!(numbers, [1, 2, 4, 5]);
    assert_eq!(all_words(&log), ["welcome back"]);
}

#[tokio::test]
async fn who_was_removed_and_added_while_away_finds_the_hole_too() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    bob.close().await;
    ada.at(group)
        .remove(bob.user())
        .await
        .expect("an owner may remove");
    ada.say(group, "not for bob").await;
    ada.has(group, 3).await;
    ada.at(group)
        .add(vec![bob.user()])
        .await
        .expect("an owner may add");
    ada.has(group, 4).await;
    ada.say(group, "welcome back").await;
    ada.has(group, 5).await;
    let mut events = bob.open().await;
    let rows = rows_told(&mut events, group, seq(5)).await;
    let numbers: Vec<u64> = rows.iter().map(|row| row.seq.get()).collect();
    assert_eq!(numbers, [2, 4, 5]);
}

#[tokio::test]
async fn who_leaves_is_no_member_for_anybody() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    bob.at(group).leave().await.expect("anybody may leave");
    until(bob.client(), "the own leaving to be known", async || {
        bob.record(group).await.role.is_none()
    })
    .await;
    until(ada.client(), "the leaving to be known", async || {
        let members = ada
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        members.len() == 1
    })
    .await;
    assert_whole(&bob.log(group).await, 1, 2);
}

#[tokio::test]
async fn a_role_that_changes_is_known_to_its_bearer_and_to_others() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let group = ada.group(&[&bob]).await;
    bob.has(group, 1).await;
    let change = ada.at(group).change_role(bob.user(), Role::Admin).await;
    change.expect("an owner may give roles");
    until(bob.client(), "the own role", async || {
        bob.record(group).await.role == Some(Role::Admin)
    })
    .await;
    until(ada.client(), "the role", async || {
        let members = ada
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        let is_bob = |member: &&MemberRecord| member.user.id == bob.user();
        members
            .iter()
            .find(is_bob)
            .is_some_and(|member| member.role == Role::Admin)
    })
    .await;
}

#[tokio::test]
async fn the_last_title_is_in_force_for_everybody() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let mut bob = Device::register(&server, "bob").await;
    let group = ada
        .client()
        .group(vec![bob.user()], ProtectionMode::Managed, Some("Lake"))
        .await
        .expect("a group can be made")
        .id();
    for device in [&ada, &bob] {
        device.has(group, 2).await;
        assert_eq!(device.record(group).await.title, "Lake");
    }
    bob.close().await;
    for title in ["Mountain", "Sea"] {
        let title = Content::Title(Title {
            title: title.to_owned(),
        });
        ada.at(group)
            .send(title)
            .await
            .expect("the title is queued");
    }
    ada.has(group, 4).await;
    bob.open().await;
    bob.has(group, 4).await;
    for device in [&ada, &bob] {
        let record = device.record(group).await;
        assert_eq!(record.title, "Sea");
        assert_eq!(record.unread, 0, "a title is nothing to be read");
    }
    let none = Content::Title(Title {
        title: String::new(),
    });
    ada.at(group).send(none).await.expect("the title is queued");
    bob.has(group, 5).await;
    assert_eq!(bob.record(group).await.title, "");
}
