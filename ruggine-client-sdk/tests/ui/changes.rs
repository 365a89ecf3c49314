//! The changes lead to the same list, whatever happens, until the client ends.

use std::time::Duration;

use ruggine_client_sdk::store::SendProgress;
use ruggine_core::ErrorCode;
use ruggine_core::content::{Content, Title};
use ruggine_core::secret::SecretText;
use ruggine_server::testing::{TestServer, patiently};

use super::reader::{Changing, Read, list, timeline};
use super::support::device::{Device, PASSWORD};
use super::support::script::Script;
use super::support::world::World;
use super::support::{quick, seq, until};

#[tokio::test]
async fn another_users_login_empties_what_is_shown() {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let _bob = Device::register(&server, "bob").await;
    let group = ada.group(&[]).await;
    ada.say(group, "mine").await;
    ada.has(group, 2).await;
    let mut list = list(ada.client()).await;
    let mut timeline = timeline(ada.client(), group).await;
    list.until("the conversation", |items| items.len() == 1)
        .await;
    timeline.until("the rows", |items| items.len() == 2).await;
    // What is still on its way would make the lists look again by chance.
    list.drain().await;
    timeline.drain().await;
    let login = ada
        .client()
        .log_in("bob", SecretText::new(PASSWORD), None)
        .await;
    login.expect("the password is right");
    list.until("nothing", |items| items.is_empty()).await;
    timeline.until("nothing", |items| items.is_empty()).await;
}

#[tokio::test]
async fn lists_end_with_their_client() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let mut list = served.client.conversation_list().await.expect("readable");
    let mut timeline = served.client.timeline(id).await.expect("readable");
    patiently("the client to stop", served.client.stop()).await;
    drop(served);
    patiently("the list to end", async {
        while list.next().await.expect("readable").is_some() {}
    })
    .await;
    patiently("the timeline to end", async {
        while timeline.next().await.expect("readable").is_some() {}
    })
    .await;
}

#[tokio::test]
async fn a_reader_who_was_too_slow_sees_the_state_as_it_is() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let mut list = list(&served.client).await;
    let mut timeline = timeline(&served.client, id).await;
    for number in 2..=1_500 {
        served.write(id, &format!("row {number}"));
    }
    served.has(id, 1_500).await;
    served.settled().await;
    list.until("the last row", |items| {
        items[0]
            .newest
            .as_ref()
            .is_some_and(|newest| newest.seq == seq(1_500))
    })
    .await;
    timeline
        .until("the last row", |items| {
            items.last().and_then(|item| item.seq) == Some(seq(1_500))
        })
        .await;
    assert_eq!(timeline.seen.len(), 50);
}

/// A sequence of numbers that looks random.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Random doings of three people, while the first one's lists are read.
async fn random_activity(seed: u64) {
    let server = TestServer::start().await;
    let ada = Device::register(&server, "ada").await;
    let bob = Device::register(&server, "bob").await;
    let eva = Device::register(&server, "eva").await;
    let mut rooms = vec![ada.group(&[&bob]).await, bob.group(&[&ada, &eva]).await];
    for room in &rooms {
        ada.has(*room, 1).await;
        bob.has(*room, 1).await;
    }
    let mut list = list(ada.client()).await;
    let mut lines = Vec::new();
    for room in &rooms {
        lines.push(timeline(ada.client(), *room).await);
    }
    let mut dice = Dice(seed);
    for step in 0..60 {
        let room = rooms[dice.roll(2)];
        let who = [&ada, &bob][dice.roll(2)];
        // Refusals are part of the game.
        match dice.roll(8) {
            0..=3 => who.say(room, &format!("step {step}")).await,
            4 => {
                let head = who.record(room).await.head;
                who.mark_read(room, head.get()).await;
            }
            5 => {
                let title = Content::Title(Title {
                    title: format!("title {step}"),
                });
                let _ = who.at(room).send(title).await;
            }
            6 => {
                let _ = who.at(room).add(vec![eva.user()]).await;
            }
            _ => {
                let _ = who.at(room).remove(eva.user()).await;
            }
        }
        if step == 30 {
            rooms.push(ada.direct(&eva).await);
        }
    }
    for room in &rooms {
        until(
            ada.client(),
            "every message to have an answer",
            async || {
                let line = ada.at(*room).outbox().await.expect("readable");
                line.iter().all(|message| match message.progress {
                    SendProgress::Failed(code) => {
                        // A plain member may not change a title.
                        assert_eq!(code, ErrorCode::Forbidden);
                        true
                    }
                    _ => false,
                })
            },
        )
        .await;
    }
    agree(&ada, &mut list, async || {
        ada.client().conversation_list().await.expect("readable")
    })
    .await;
    for (line, room) in lines.iter_mut().zip(&rooms) {
        agree(&ada, line, async || {
            ada.client().timeline(*room).await.expect("readable")
        })
        .await;
    }
}

/// A list that was led along by its changes becomes what a new one is at once.
async fn agree<L: Changing>(ada: &Device, read: &mut Read<L, L::Item>, fresh: impl AsyncFn() -> L) {
    patiently("the list to be as it is", async {
        while read.seen != fresh().await.items() {
            tokio::select! {
                _ = read.step() => {}
                // What comes late makes the fresh one another.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    })
    .await;
    assert!(ada.client().identity().await.expect("readable").is_some());
}

#[tokio::test]
async fn changes_lead_to_the_same_lists_whatever_happens_1() {
    random_activity(1).await;
}

#[tokio::test]
async fn changes_lead_to_the_same_lists_whatever_happens_2() {
    random_activity(2).await;
}

#[tokio::test]
async fn changes_lead_to_the_same_lists_whatever_happens_3() {
    random_activity(3).await;
}
