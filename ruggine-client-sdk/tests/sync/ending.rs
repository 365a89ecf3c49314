//! What an end leaves behind: of a connection while rows are stored, and of the client.

use ruggine_client_sdk::{ClientEvent, ConnectionState};
use ruggine_core::api::sync::{HeadsRequest, Hello};
use ruggine_server::testing::{eventually, patiently};

use super::support::replies::result;
use super::support::script::Script;
use super::support::world::World;
use super::support::{assert_whole, kept, next_event, quick, rows_told, seq};

/// A connection that ends while rows are being stored: they are stored, so
/// they have to be told as well.
#[tokio::test]
async fn rows_stored_while_the_connection_ends_are_told() {
    let mut world = World::new();
    let id = world.room(3);
    let script = Script::start(world, quick());
    let mut events = script.client.events();
    script.store.hold("apply");
    let mut greetings = 0;
    let served = script.serve(move |world, asked| {
        if asked.is::<Hello>() {
            greetings += 1;
            if greetings == 2 {
                // Nothing is new, so nothing is read before the step goes on.
                let mut heads = world.heads();
                heads.conversations.clear();
                return result::<Hello>(asked, &heads);
            }
        }
        world.answer(asked)
    });
    eventually("a page to be on its way into the store", async || {
        served.store.is_holding()
    })
    .await;
    served.lose();
    next_event(&mut events, "the connection to be lost", |event| {
        matches!(event, ClientEvent::Connection(ConnectionState::Waiting(_))).then_some(())
    })
    .await;
    served.online().await;
    // A sign that comes after the greeting says that the greeting was heard.
    served.settled().await;
    served.store.release();
    eventually("the rows to be stored", async || {
        kept(served.store.direct(), id).len() == 3
    })
    .await;
    served.write(id, "row 4");
    let rows = rows_told(&mut events, id, seq(4)).await;
    assert_whole(&rows, 1, 4);
}

#[tokio::test]
async fn a_client_that_stops_answers_and_tells_no_more() {
    let mut world = World::new();
    world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    let client = served.client.clone();
    patiently("the client to stop", client.stop()).await;
    assert_eq!(client.connection(), ConnectionState::Stopped);
    let refused = client.request(HeadsRequest::default()).await;
    assert!(refused.is_err());
}
