//! What is sent while the server is away, and what is not sent at all.

use ruggine_core::ConversationId;
use ruggine_server::testing::{TestServer, words_of};

use super::machine::Machine;
use super::{account, assert_says};

#[tokio::test]
async fn what_is_written_while_the_server_is_away_is_kept_and_sent_later() {
    let mut server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", "before").await;
    server.stop().await;
    let said = machine
        .run("ada", &["send", "bob", "while away"])
        .await
        .said();
    assert_says(
        &said,
        &["the message is kept and will be sent with the next command"],
    );
    let offline = machine.run("ada", &["chats", "--offline"]).await.printed();
    assert_says(&offline, &["bob", "ada: before"]);
    server.resume().await;
    machine.send("ada", "bob", "after").await;
    assert_eq!(
        machine.words("bob", "ada").await,
        ["before", "while away", "after"]
    );
    assert_eq!(
        machine.words("ada", "bob").await,
        ["before", "while away", "after"]
    );
}

#[tokio::test]
async fn any_next_command_sends_what_is_kept() {
    let mut server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", "before").await;
    let chats = machine.run("ada", &["chats", "--json"]).await.objects();
    let id: ConversationId = chats[0]["id"].as_str().unwrap().parse().unwrap();
    server.stop().await;
    let said = machine
        .run("ada", &["send", "bob", "while away"])
        .await
        .said();
    assert_says(&said, &["will be sent with the next command"]);
    server.resume().await;
    machine.run("ada", &["chats"]).await.printed();
    let bob = account(&server, "bob").await;
    let log = server.http_of(&bob).read_log(id).await.unwrap();
    let words: Vec<String> = log.iter().filter_map(words_of).collect();
    assert_eq!(words, ["before", "while away"]);
}

#[tokio::test]
async fn a_message_that_is_refused_is_told_and_not_kept() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", "short").await;
    // Longer than a payload may be: it never leaves.
    let long = "x".repeat(41 * 1024);
    let said = machine.run("ada", &["send", "bob", &long]).await.said();
    assert_says(&said, &["more than the 40960 allowed"]);
    machine.send("ada", "bob", "short again").await;
    assert_eq!(machine.words("bob", "ada").await, ["short", "short again"]);
}
