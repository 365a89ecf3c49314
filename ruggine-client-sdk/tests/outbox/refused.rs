//! What the server refuses for good, and what becomes of it.

use ruggine_client_sdk::ClientEvent;
use ruggine_client_sdk::store::SendProgress;
use ruggine_core::ErrorCode;
use ruggine_core::api::message::Send;

use super::support::replies::{Asked, Reply, error, refusal};
use super::support::script::Script;
use super::support::world::World;
use super::support::{all_words, kept, next_event, quick, until};
use super::{line, progress, said, say, sends};

/// A server that refuses what says so, for good.
fn refusing(world: &mut World, asked: &Asked) -> Reply {
    if asked.is::<Send>() && said(&asked.read()).starts_with("refuse") {
        world.requests.push(asked.clone());
        return error(asked, &refusal(ErrorCode::Refused));
    }
    world.answer(asked)
}

#[tokio::test]
async fn what_is_refused_for_good_fails_and_the_next_goes_on() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(refusing);
    served.has(id, 1).await;
    let mut events = served.client.events();
    let message = say(&served.client, id, "refuse me").await;
    say(&served.client, id, "good words").await;
    let code = next_event(&mut events, "the failure", |event| match event {
        ClientEvent::SendFailed {
            conversation,
            client_msg_id,
            code,
        } if (conversation, client_msg_id) == (id, message) => Some(code),
        _ => None,
    })
    .await;
    assert_eq!(code, ErrorCode::Refused);
    served.has(id, 2).await;
    until(&served.client, "the other to leave the line", async || {
        progress(&served.client, id).await == [SendProgress::Failed(ErrorCode::Refused)]
    })
    .await;
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "good words"]
    );
    assert_eq!(
        sends(&served).len(),
        2,
        "what failed is not sent again by itself"
    );
}

#[tokio::test]
async fn what_failed_stays_failed_over_a_new_start() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(refusing);
    served.has(id, 1).await;
    say(&served.client, id, "refuse me").await;
    until(&served.client, "the failure", async || {
        progress(&served.client, id).await == [SendProgress::Failed(ErrorCode::Refused)]
    })
    .await;
    let connections = served.connections();
    served.lose();
    until(&served.client, "a new connection", async || {
        served.connections() > connections
    })
    .await;
    served.online().await;
    served.settled().await;
    say(&served.client, id, "after it").await;
    served.has(id, 2).await;
    let words: Vec<String> = sends(&served).iter().map(said).collect();
    assert_eq!(words, ["refuse me", "after it"]);
}

#[tokio::test]
async fn what_failed_can_be_sent_again_or_given_up() {
    let mut world = World::new();
    let id = world.room(1);
    let mut refusals = 2;
    let served = Script::start(world, quick()).serve(move |world, asked| {
        if asked.is::<Send>() && refusals > 0 {
            refusals -= 1;
            return error(asked, &refusal(ErrorCode::Refused));
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let conversation = served.client.conversation(id);
    let again = say(&served.client, id, "again").await;
    let never = say(&served.client, id, "never").await;
    let failed = SendProgress::Failed(ErrorCode::Refused);
    until(&served.client, "both to fail", async || {
        progress(&served.client, id).await == [failed; 2]
    })
    .await;
    assert!(
        conversation
            .retry(again)
            .await
            .expect("the store can be written")
    );
    served.has(id, 2).await;
    until(&served.client, "the one to leave the line", async || {
        progress(&served.client, id).await == [failed]
    })
    .await;
    assert!(
        conversation
            .discard(never)
            .await
            .expect("the store can be written")
    );
    assert!(line(&served.client, id).await.is_empty());
    for gone in [again, never] {
        assert!(
            !conversation
                .retry(gone)
                .await
                .expect("the store can be written")
        );
        assert!(
            !conversation
                .discard(gone)
                .await
                .expect("the store can be written")
        );
    }
    assert_eq!(
        all_words(&kept(served.store.direct(), id)),
        ["row 1", "again"]
    );
}

#[tokio::test]
async fn what_still_waits_can_be_neither_retried_nor_discarded() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve(|world, asked| {
        if asked.is::<Send>() {
            return Reply::Silence;
        }
        world.answer(asked)
    });
    served.has(id, 1).await;
    let message = say(&served.client, id, "on its way").await;
    let conversation = served.client.conversation(id);
    assert!(
        !conversation
            .retry(message)
            .await
            .expect("the store can be written")
    );
    assert!(
        !conversation
            .discard(message)
            .await
            .expect("the store can be written")
    );
    assert_eq!(progress(&served.client, id).await, [SendProgress::Waiting]);
}
