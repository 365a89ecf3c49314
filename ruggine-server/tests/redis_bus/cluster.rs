//! A cluster that changes while it is used.

use ruggine_core::{ConversationId, UserId};
use ruggine_server::bus::{BusState, Topic};
use ruggine_server::testing::{eventually, patiently};
use ruggine_services::RedisCluster;
use tokio::sync::watch;

use super::{Instance, NOW, head, options};

/// Waits until the bus was away and is back.
async fn away_and_back(state: &mut watch::Receiver<BusState>) {
    let changed = patiently("the bus to be away", state.changed()).await;
    changed.expect("the bus is still there");
    let back = state.wait_for(|state| *state == BusState::Connected);
    let back = patiently("the bus to be back", back).await;
    drop(back.expect("the bus is still there"));
}

#[tokio::test]
async fn a_slot_that_moves_is_followed_to_its_new_node() {
    let cluster = RedisCluster::create().expect("Redis is installed");
    let options = options(&cluster.url());
    let one = Instance::attach(options.clone()).await;
    let mut other = Instance::attach(options).await;
    let user = UserId::new(NOW);
    let topic = Topic::User(user);
    other.follow(topic).await;
    one.publish(topic, head(1)).await;
    assert_eq!(other.next().await, head(1));

    let bucket = user.as_bytes()[15] % 64;
    let slot = cluster.nodes()[0].ask(&format!("CLUSTER KEYSLOT {{ruggine:{bucket:02}}}"));
    let slot: u16 = slot.unwrap().parse().unwrap();
    let mut state = other.notices.state();
    state.mark_unchanged();
    // Somebody other than the one that has a third of the slots with this one.
    let taker = (usize::from(slot / 5_462) + 1) % cluster.nodes().len();
    cluster.give_slot(slot, taker).unwrap();
    away_and_back(&mut state).await;

    let passage = one.publish(topic, head(2)).await;
    assert!(patiently("the notice to go out", passage.went_out()).await);
    other.hear(&head(2)).await;
    eventually("who is online to be known again", || async {
        let leased = one.bus.lease(one.id, vec![user]).await.is_ok();
        let online = other.bus.leased(vec![user]).await;
        leased && online.is_ok_and(|online| online.contains(&user))
    })
    .await;
}

#[tokio::test]
async fn a_node_that_was_gone_is_heard_again() {
    let mut cluster = RedisCluster::create().expect("Redis is installed");
    let options = options(&cluster.url());
    let one = Instance::attach(options.clone()).await;
    let mut other = Instance::attach(options).await;
    let topics: Vec<Topic> = (0..64)
        .map(|last| {
            let mut bytes = *ConversationId::new(NOW).as_bytes();
            bytes[15] = last;
            Topic::Conversation(ConversationId::from_bytes(bytes))
        })
        .collect();
    let followed = other.bus.follow(other.id, topics.clone()).await;
    followed.expect("topics on all nodes can be followed");
    let mut state = other.notices.state();
    state.mark_unchanged();
    // Not the one of the URL, which is asked first.
    let node = cluster.node(2).expect("there are three");
    node.kill().unwrap();
    patiently("the bus to be away", state.changed())
        .await
        .unwrap();
    node.start().unwrap();
    let back = state.wait_for(|state| *state == BusState::Connected);
    drop(patiently("the bus to be back", back).await.unwrap());
    for (number, topic) in (1..).zip(topics) {
        let passage = one.publish(topic, head(number)).await;
        assert!(patiently("the notice to go out", passage.went_out()).await);
        other.hear(&head(number)).await;
    }
}

#[tokio::test]
async fn any_node_of_a_cluster_leads_to_all_of_them() {
    let cluster = RedisCluster::create().expect("Redis is installed");
    let [first, second, third] = cluster.nodes() else {
        panic!("there are three nodes");
    };
    let mut heard = Instance::attach(options(&first.url())).await;
    let users: Vec<UserId> = (0..200).map(|_| UserId::new(NOW)).collect();
    let topics = users.iter().map(|user| Topic::User(*user)).collect();
    let followed = heard.bus.follow(heard.id, topics).await;
    followed.expect("topics on all nodes can be followed");
    for node in [second, third] {
        let one = Instance::attach(options(&node.url())).await;
        for (number, user) in (1..).zip(&users) {
            one.publish(Topic::User(*user), head(number)).await;
        }
        let mut numbers = Vec::new();
        for _ in &users {
            numbers.push(heard.next().await);
        }
        for number in 1..=200 {
            assert!(numbers.contains(&head(number)), "{number}");
        }
        one.bus.lease(one.id, users.clone()).await.unwrap();
        let online = heard.bus.leased(users.clone()).await.unwrap();
        assert_eq!(online.len(), users.len());
        one.bus.release(one.id, users.clone()).await.unwrap();
        assert!(heard.bus.leased(users.clone()).await.unwrap().is_empty());
    }
}
