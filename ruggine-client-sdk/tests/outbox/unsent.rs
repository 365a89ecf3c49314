//! What is never sent: what cannot be, what nobody has written, what another user had written.

use ruggine_client_sdk::{Client, SendError};
use ruggine_core::api::account::{LogIn, Login};
use ruggine_core::api::message::{PageRequest, Send};
use ruggine_core::content::{Content, Text, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::{DeviceId, SessionId, limits};

use super::support::replies::result;
use super::support::script::Script;
use super::support::world::{World, tokens};
use super::support::{self, fresh_conversation, is_waiting, now, person, quick, seq, slow, until};
use super::{line, said, say, sends};

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is_queued() {
    let mut world = World::new();
    let id = world.room(1);
    let served = Script::start(world, quick()).serve_well().await;
    served.has(id, 1).await;
    let conversation = served.client.conversation(id);
    let long = conversation
        .send_text("x".repeat(limits::PAYLOAD_MAX))
        .await;
    assert!(matches!(long, Err(SendError::Content(_))), "{long:?}");
    let title = Content::Title(Title {
        title: "x".repeat(limits::TITLE_MAX + 1),
    });
    assert!(matches!(
        conversation.send(title).await,
        Err(SendError::Content(_))
    ));
    let nobody = Text::new("hé").mentioning(person("eva").id, 0..2);
    assert!(matches!(
        conversation.send(nobody.into()).await,
        Err(SendError::Content(_))
    ));
    let nowhere = served.client.conversation(fresh_conversation());
    let unknown = nowhere.send_text("anybody?").await;
    assert!(
        matches!(unknown, Err(SendError::UnknownConversation)),
        "{unknown:?}"
    );
    assert!(line(&served.client, id).await.is_empty());
    assert_eq!(
        served
            .store
            .direct()
            .write_counter()
            .expect("the store can be read"),
        0
    );
}

#[tokio::test]
async fn nobody_can_write_before_a_login() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = support::device::open_store(folder.path()).await;
    let (transport, _arrivals) = ruggine_client_sdk::transport::scripted::ScriptedTransport::new();
    let client = Client::builder().options(quick()).start(transport, store);
    let refused = client
        .conversation(fresh_conversation())
        .send_text("hello?")
        .await;
    assert!(matches!(refused, Err(SendError::LoggedOut)), "{refused:?}");
}

/// Two people may use one program one after the other. What the first had
/// not sent is gone with their store, and is never sent in the name of the second.
#[tokio::test]
async fn what_one_user_had_written_is_never_sent_in_the_name_of_the_next() {
    let mut world = World::new();
    let id = world.room(1);
    let mut script = Script::start(world, slow());
    let mut wire = script.greeted().await;
    let page = wire.asked_for::<PageRequest>(&mut script.world).await;
    wire.reply(script.world.answer(&page));
    until(&script.client, "the row", async || {
        let record = script
            .store
            .direct()
            .conversation(id)
            .expect("the store can be read");
        record.is_some_and(|record| record.cursor == seq(1))
    })
    .await;
    say(&script.client, id, "for my eyes only").await;
    wire.asked_for::<Send>(&mut script.world).await;
    drop(wire);
    script.wait_for(is_waiting).await;

    // The same program, another user, who is in the same conversation.
    let device = DeviceId::new(now());
    let next = person("eva");
    let client = script.client.clone();
    let logging_in = async {
        let login = client.log_in("eva", SecretText::new("four unrelated quiet words"), None);
        login.await.expect("the script agrees")
    };
    let agreeing = async {
        let mut wire = script.arrival().await;
        let asked = wire.asked().await;
        let login = Login {
            user: next.clone(),
            device,
            device_secret: Some(SecretText::new("another secret")),
            session: SessionId::new(now()),
            tokens: tokens("of the next"),
        };
        wire.reply(result::<LogIn>(&asked, &login));
        // Until the client lets go.
        while wire.try_asked().await.is_some() {}
    };
    tokio::join!(logging_in, agreeing);
    script.world.device = device;
    script.world.me = next;
    script.client.connect_now();
    let served = script.serve_well().await;
    served.has(id, 1).await;
    say(&served.client, id, "my own words").await;
    served.has(id, 2).await;
    let words: Vec<String> = sends(&served).iter().map(said).collect();
    assert_eq!(words, ["my own words"]);
}
