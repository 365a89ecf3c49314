//! Connections that break, and a server that takes subscriptions only.

use std::net::{Ipv4Addr, SocketAddr};

use ruggine_server::bus::BusState;
use ruggine_server::bus::redis::RedisPrefix;
use ruggine_server::testing::{FaultProxy, patiently};

use super::{Instance, head, options, server, topic};

/// A proxy before a server, and the URL that leads through it.
async fn behind_proxy(port: u16) -> (FaultProxy, String) {
    let proxy = FaultProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
    let url = format!("redis://{}", proxy.address());
    (proxy, url)
}

#[tokio::test]
async fn what_was_in_hand_when_the_connection_broke_goes_out_over_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &[]);
    let (proxy, through) = behind_proxy(redis.port()).await;
    let one = Instance::attach(options(&through)).await;
    let mut other = Instance::attach(options(&redis.url())).await;
    let topic = topic();
    other.follow(topic).await;
    for number in 1..=20 {
        proxy.reset();
        let passage = one.publish(topic, head(number)).await;
        assert!(patiently("the notice to go out", passage.went_out()).await);
        other.hear(&head(number)).await;
    }
}

#[tokio::test]
async fn what_cannot_go_out_is_said_to_be_lost_and_the_bus_to_be_away_until_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &[]);
    // A user who may hear and not speak, so that only the way out is closed.
    let rights = "ACL SETUSER mute on >secret ~* &* +@all -publish";
    redis.ask(rights).expect("users can be made");
    let url = format!("redis://mute:secret@127.0.0.1:{}", redis.port());
    let mut mute = Instance::attach(options(&url)).await;
    let one = Instance::attach(options(&redis.url())).await;
    let topic = topic();
    mute.follow(topic).await;
    let mut state = mute.notices.state();
    assert_eq!(*state.borrow(), BusState::Connected);

    let passage = mute.publish(topic, head(1)).await;
    let away = state.wait_for(|state| *state == BusState::Away);
    drop(patiently("the bus to be away", away).await.unwrap());
    assert!(!patiently("the notice to be lost", passage.went_out()).await);
    // It hears as before.
    one.publish(topic, head(2)).await;
    assert_eq!(mute.next().await, head(2));

    // Nothing more is published, and yet it is found out that it could be.
    redis
        .ask("ACL SETUSER mute +publish")
        .expect("rights can be given");
    let back = state.wait_for(|state| *state == BusState::Connected);
    drop(patiently("the bus to be back", back).await.unwrap());
    let passage = mute.publish(topic, head(3)).await;
    assert!(patiently("the notice to go out", passage.went_out()).await);
}

#[tokio::test]
async fn what_is_published_after_the_bus_is_back_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &[]);
    let (proxy, through) = behind_proxy(redis.port()).await;
    let one = Instance::attach(options(&redis.url())).await;
    let mut other = Instance::attach(options(&through)).await;
    let [before, meanwhile] = [topic(), topic()];
    other.follow(before).await;
    let mut state = other.notices.state();
    proxy.refuse(true);
    proxy.reset();
    let away = state.wait_for(|state| *state == BusState::Away);
    drop(patiently("the bus to be away", away).await.unwrap());
    // It cannot be followed now, and is not forgotten.
    assert!(other.bus.follow(other.id, vec![meanwhile]).await.is_err());
    proxy.heal();
    let back = state.wait_for(|state| *state == BusState::Connected);
    drop(patiently("the bus to be back", back).await.unwrap());
    for (number, topic) in (1..).zip([before, meanwhile]) {
        one.publish(topic, head(number)).await;
        assert_eq!(other.next().await, head(number));
    }
}

#[tokio::test]
async fn deployments_with_other_prefixes_do_not_hear_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &[]);
    let of = |prefix: &str| {
        let prefix: RedisPrefix = prefix.parse().unwrap();
        Instance::attach(options(&redis.url()).prefix(prefix))
    };
    let (stranger, one, mut other) = (of("theirs").await, of("ours").await, of("ours").await);
    let topic = topic();
    other.follow(topic).await;
    let passage = stranger.publish(topic, head(1)).await;
    assert!(patiently("the notice to go out", passage.went_out()).await);
    one.publish(topic, head(2)).await;
    assert_eq!(other.next().await, head(2));
}
