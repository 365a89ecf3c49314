//! `tail`, which shows what arrives as long as it runs.

use ruggine_server::testing::TestServer;
use serde_json::Value;

use super::assert_says;
use super::machine::Machine;

#[tokio::test]
async fn tail_shows_what_arrives_until_it_is_interrupted() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    for username in ["ada", "bob", "eva"] {
        machine.register(username).await;
    }
    let mut all = machine.tail("bob", &["--json"]);
    machine.send("ada", "bob", "are you there?").await;
    let began: Value = serde_json::from_str(&all.line().await).unwrap();
    assert_eq!(
        (began["seq"].as_u64(), &began["kind"]),
        (Some(1), &Value::from("notice"))
    );
    let heard: Value = serde_json::from_str(&all.line().await).unwrap();
    assert_eq!(heard["text"], "are you there?");
    assert_eq!(heard["seq"], 2);
    assert_eq!(heard["kind"], "text");
    assert_eq!(heard["sender_name"], "ada");
    // It hears as long as it runs.
    machine.send("ada", "bob", "still there?").await;
    let heard: Value = serde_json::from_str(&all.line().await).unwrap();
    assert_eq!(heard["text"], "still there?");
    // A profile is one device: a second process does not use it meanwhile.
    let said = machine.run("bob", &["chats"]).await.said();
    assert_says(&said, &["in use"]);
    assert_eq!(all.interrupt().await, Some(130));
    assert_eq!(
        machine.words("bob", "ada").await,
        ["are you there?", "still there?"]
    );

    // Only one conversation, readable.
    let mut one = machine.tail("bob", &["ada"]);
    machine.send("eva", "bob", "something else").await;
    machine.send("ada", "bob", "a third time").await;
    assert_eq!(one.line().await, "#4 ada: a third time");
    assert_eq!(one.interrupt().await, Some(130));
}
