//! More and more instances on one database and one bus.

use ruggine_core::ConversationId;
use ruggine_core::codec::Encoding;
use ruggine_server::testing::{Person, SocketClient, text_message};

use super::cost::{Cost, WARM_UP};
use super::history::write;
use super::scene::{Scene, Wires};

/// Instances, each with one user.
const SIZES: [usize; 3] = [2, 4, 8];
/// Messages of which the cost is counted.
const SENDS: u64 = 32;

async fn say(socket: &mut SocketClient, conversation: ConversationId) {
    let ack = socket.call(text_message(conversation, "ciao")).await;
    ack.expect("a member may write");
}

/// In a group of half of the users one writes, so that half of the instances
/// have a member: the writer's hears nothing, the others with a member hear each
/// message once, and those without hear nothing.
async fn half_of_the_instances_hear_each_message_once(wires: Wires) {
    let mut scene = Scene::start(wires).await;
    let mut meter = scene.meter().await;
    let mut people = Vec::new();
    for number in 0..SIZES[2] {
        people.push(scene.server().register(&format!("user{number}")).await);
    }
    let everybody = group_of(&scene, &people).await;
    let mut groups = Vec::new();
    for size in SIZES {
        let group = group_of(&scene, &people[..size / 2]).await;
        write(scene.server(), &people[0], group, 1_000).await;
        groups.push(group);
    }

    let mut costs = [Cost::default(); 3];
    for (at, (size, group)) in SIZES.into_iter().zip(groups).enumerate() {
        while scene.servers.len() < size {
            scene.add_instance().await;
        }
        meter.refresh().await;
        // Her bytes are counted, and what she writes is published by the first.
        let mut sockets = vec![meter.socket(&people[0]).await];
        for (server, person) in scene.servers.iter().zip(&people).skip(1) {
            sockets.push(server.socket(person, Encoding::MsgPack).await);
        }
        let heard_before: Vec<u64> = scene.buses.iter().map(|bus| bus.heard()).collect();
        costs[at] = meter
            .measure(SENDS, async || {
                say(&mut sockets[0], group).await;
                for socket in &mut sockets[..size / 2] {
                    socket.next_row().await;
                }
            })
            .await;
        assert_eq!(costs[at].published, SENDS, "{size} instances");

        // An instance hears in order: what had come before would be counted.
        say(&mut sockets[0], everybody).await;
        for socket in &mut sockets {
            socket.next_row().await;
        }
        for (number, bus) in scene.buses.iter().enumerate() {
            let expected = match number {
                0 => 0,
                member if member < size / 2 => WARM_UP + SENDS + 1,
                _ => 1,
            };
            let heard = bus.heard() - heard_before[number];
            assert_eq!(heard, expected, "by number {number} of {size} instances");
        }
        for socket in sockets {
            socket.close().await;
        }
    }
    Cost::assert_all_flat("32 sends with more instances", costs);
    scene.end().await;
}

/// A group of these people, which the first of them owns.
async fn group_of(scene: &Scene, people: &[Person]) -> ConversationId {
    let (owner, others) = people.split_first().expect("there is somebody");
    let others: Vec<&Person> = others.iter().collect();
    scene.server().group(owner, &others).await
}

#[tokio::test]
async fn a_send_is_heard_once_by_each_other_instance_with_a_member_and_by_no_other() {
    half_of_the_instances_hear_each_message_once(Wires::local()).await;
}

#[tokio::test]
async fn a_send_over_redis_is_heard_once_by_each_other_instance_with_a_member_and_by_no_other() {
    half_of_the_instances_hear_each_message_once(Wires::redis()).await;
}
