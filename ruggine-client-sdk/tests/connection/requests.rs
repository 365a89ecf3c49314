//! Requests under way, and the answers to them.

use ruggine_client_sdk::RequestError;
use ruggine_core::api::account::LookUp;
use ruggine_core::api::sync::HeadsRequest;

use super::nobody;
use super::support::replies::result;
use super::support::script::Script;
use super::support::world::World;
use super::support::{is_waiting, person, slow};

#[tokio::test]
async fn a_request_under_way_fails_when_the_connection_is_lost() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.greeted().await;
    let client = script.client.clone();
    let asking = client.request(nobody());
    let losing = async {
        wire.asked_for::<LookUp>(&mut script.world).await;
        drop(wire);
    };
    let (answer, ()) = tokio::join!(asking, losing);
    let failed = answer.expect_err("there is no answer");
    assert!(matches!(failed, RequestError::Disconnected), "{failed:?}");
    assert!(failed.is_retryable());
    script.wait_for(is_waiting).await;
    let refused = script.client.request(nobody()).await;
    assert!(
        matches!(refused, Err(RequestError::Disconnected)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn answers_find_who_asked_in_whatever_order_they_come() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.greeted().await;
    let look_up = |name: &str| {
        script.client.request(LookUp {
            username: name.to_owned(),
        })
    };
    let asking = async { tokio::join!(look_up("ada"), look_up("bob"), look_up("eva")) };
    let answering = async {
        let mut asked = Vec::new();
        while asked.len() < 3 {
            let next = wire.asked().await;
            if next.is::<LookUp>() {
                asked.push(next);
            }
        }
        for asked in asked.iter().rev() {
            let name = asked.read::<LookUp>().username;
            wire.reply(result::<LookUp>(asked, &person(&name)));
            // An answer that comes twice finds nobody.
            wire.reply(result::<LookUp>(asked, &person("twice")));
        }
    };
    let ((ada, bob, eva), ()) = tokio::join!(asking, answering);
    for (answer, name) in [(ada, "ada"), (bob, "bob"), (eva, "eva")] {
        assert_eq!(answer.expect("it was answered").username.as_str(), name);
    }
}

#[tokio::test]
async fn an_answer_of_another_form_is_nonsense_and_harms_nothing_else() {
    let mut script = Script::start(World::new(), slow());
    let mut wire = script.greeted().await;
    let client = script.client.clone();
    let answering = async {
        let asked = wire.asked_for::<LookUp>(&mut script.world).await;
        wire.reply(result::<HeadsRequest>(&asked, &script.world.heads()));
        let asked = wire.asked_for::<LookUp>(&mut script.world).await;
        wire.reply(result::<LookUp>(&asked, &person("ada")));
    };
    let asking = async {
        let nonsense = client.request(nobody()).await;
        assert!(
            matches!(nonsense, Err(RequestError::Nonsense(_))),
            "{nonsense:?}"
        );
        client
            .request(nobody())
            .await
            .expect("the connection holds");
    };
    tokio::join!(asking, answering);
}
