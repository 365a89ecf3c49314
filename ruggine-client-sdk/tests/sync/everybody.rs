//! What is written is told to everybody, once and in order.

use ruggine_server::testing::TestServer;

use super::support::device::Device;
use super::support::{all_words, assert_whole, quick, rows_told, seq};

#[tokio::test]
async fn what_two_people_write_is_told_to_both_once_and_in_order() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let (mut of_ada, mut of_bob) = (ada.events(), bob.events());
    let talk = ada.direct(&bob).await;
    bob.has(talk, 1).await;
    for number in 1..=40 {
        ada.say(talk, &format!("ada {number}")).await;
        bob.say(talk, &format!("bob {number}")).await;
    }
    let heard_by_ada = rows_told(&mut of_ada, talk, seq(81)).await;
    let heard_by_bob = rows_told(&mut of_bob, talk, seq(81)).await;
    assert_whole(&heard_by_ada, 1, 81);
    assert_eq!(heard_by_ada, heard_by_bob);
    for name in ["ada", "bob"] {
        let mine: Vec<String> = all_words(&heard_by_ada)
            .into_iter()
            .filter(|words| words.starts_with(name))
            .collect();
        let said: Vec<String> = (1..=40).map(|number| format!("{name} {number}")).collect();
        assert_eq!(mine, said);
    }
    assert_eq!(ada.log(talk).await, heard_by_ada);
}

#[tokio::test]
async fn three_people_in_a_group_have_the_same_log() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let eva = Device::register(&server, "eva").await;
    let group = ada.group(&[&bob, &eva]).await;
    let everybody = [&ada, &bob, &eva];
    for device in everybody {
        device.has(group, 1).await;
    }
    for number in 1..=15 {
        for device in everybody {
            device.say(group, &format!("round {number}")).await;
        }
    }
    for device in everybody {
        device.has(group, 46).await;
    }
    let log = ada.log(group).await;
    assert_whole(&log, 1, 46);
    for device in everybody {
        assert_eq!(device.log(group).await, log);
        let members = device
            .at(group)
            .members()
            .await
            .expect("the store can be read");
        assert_eq!(members.len(), 3);
    }
}

#[tokio::test]
async fn two_devices_of_one_user_have_the_same_log_and_count_none_of_it() {
    let server = TestServer::start().await;
    let phone = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let (laptop, _events) = Device::log_in(&server, "ada", quick()).await;
    let talk = phone.direct(&bob).await;
    laptop.has(talk, 1).await;
    for number in 1..=10 {
        phone.say(talk, &format!("phone {number}")).await;
        laptop.say(talk, &format!("laptop {number}")).await;
    }
    for device in [&phone, &laptop] {
        device.has(talk, 21).await;
        assert_eq!(device.record(talk).await.unread, 0);
        let waiting = device
            .at(talk)
            .outbox()
            .await
            .expect("the store can be read");
        assert_eq!(waiting, []);
        let timeline = device
            .client()
            .timeline(talk)
            .await
            .expect("the store can be read");
        assert!(timeline.items().iter().all(|item| item.is_own));
    }
    assert_eq!(phone.log(talk).await, laptop.log(talk).await);
}

#[tokio::test]
async fn both_who_begin_a_direct_conversation_have_the_same_one() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let (one, other) = tokio::join!(ada.direct(&bob), bob.direct(&ada));
    assert_eq!(one, other);
    ada.say(one, "from ada").await;
    bob.say(one, "from bob").await;
    for device in [&ada, &bob] {
        device.has(one, 3).await;
        assert_whole(&device.log(one).await, 1, 3);
    }
    assert_eq!(ada.record(one).await.peer, Some(bob.user()));
    assert_eq!(bob.record(one).await.peer, Some(ada.user()));
}
