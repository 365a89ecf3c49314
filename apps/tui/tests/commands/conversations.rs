//! Conversations: listed, read, found by a name, and kept for the next command.

use ruggine_core::ConversationId;
use ruggine_core::content::Text;
use ruggine_server::testing::TestServer;

use super::machine::Machine;
use super::{account, assert_says, post};

#[tokio::test]
async fn conversations_are_listed_with_what_is_new() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    assert!(
        machine
            .run("bob", &["chats", "--json"])
            .await
            .objects()
            .is_empty()
    );
    let words = ["send", "bob", "several", "words", "need", "no", "quotes"];
    assert_eq!(machine.run("ada", &words).await.printed(), "");
    machine.send("ada", "bob", "and one more 🦀").await;

    let chats = machine.run("bob", &["chats", "--json"]).await.objects();
    assert_eq!(chats.len(), 1);
    let chat = &chats[0];
    assert_eq!(chat["kind"], "direct");
    assert_eq!(chat["mode"], "managed");
    assert_eq!(chat["title"], "ada");
    assert_eq!(chat["unread"], 2);
    assert_eq!(chat["mentions"], 0);
    assert_eq!(chat["is_member"], true);
    assert!(chat["at"].as_i64().unwrap() > 1_600_000_000_000);
    let id = chat["id"].as_str().unwrap();
    assert!(id.parse::<ConversationId>().is_ok());
    let listed = machine.run("bob", &["chats"]).await.printed();
    assert_says(
        &listed,
        &[
            "ada",
            "[2 unread]",
            "readable by the server",
            "and one more 🦀",
        ],
    );

    // The id is as good a name as the username.
    machine.send("bob", id, "got both").await;
    let said = [
        "several words need no quotes",
        "and one more 🦀",
        "got both",
    ];
    assert_eq!(machine.words("ada", id).await, said);
    assert_eq!(machine.words("ada", "BOB").await, said);
    // One's own words are not new to oneself.
    let chats = machine.run("ada", &["chats", "--json"]).await.objects();
    assert_eq!(chats[0]["unread"], 1);
    // What is kept here is shown without a server.
    assert_eq!(
        machine
            .run("ada", &["chats", "--offline", "--json"])
            .await
            .objects(),
        chats
    );
}

#[tokio::test]
async fn history_is_numbered_and_as_long_as_wanted() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", "word 1").await;
    // More than a page, and more than a timeline shows at first.
    let ada = account(&server, "ada").await;
    let chats = machine.run("ada", &["chats", "--json"]).await.objects();
    let id: ConversationId = chats[0]["id"].as_str().unwrap().parse().unwrap();
    for number in 2..=240 {
        post(
            &server,
            &ada,
            id,
            Text::new(format!("word {number}")).into(),
        )
        .await;
    }
    for limit in [1, 3, 50, 51, 100, 241, 1_000] {
        let arguments = ["history", "ada", "--json", "-n", &limit.to_string()];
        let items = machine.run("bob", &arguments).await.objects();
        let expected = 241.min(limit);
        let numbers: Vec<u64> = items
            .iter()
            .map(|item| item["seq"].as_u64().unwrap())
            .collect();
        let wanted: Vec<u64> = (242 - expected..=241).collect();
        assert_eq!(numbers, wanted, "-n {limit}");
    }
    let default = machine
        .run("bob", &["history", "ada", "--json"])
        .await
        .objects();
    assert_eq!(default.len(), 50);
    let newest = default.last().unwrap();
    assert_eq!(newest["text"], "word 240");
    assert_eq!(newest["kind"], "text");
    assert_eq!(newest["sender_name"], "ada");
    assert_eq!(newest["sender"], ada.user().to_string());
    assert_eq!(newest["conversation"], id.to_string());
    assert!(newest["at"].as_i64().unwrap() > 1_600_000_000_000);
    let readable = machine
        .run("bob", &["history", "ada", "-n", "2"])
        .await
        .printed();
    assert_eq!(readable, "#240 ada: word 239\n#241 ada: word 240\n");
}

#[tokio::test]
async fn a_group_is_found_by_its_title() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    for username in ["ada", "bob", "eva"] {
        machine.register(username).await;
    }
    let made = machine
        .run("ada", &["group", "Trip to the lake", "bob", "eva"])
        .await
        .printed();
    assert_says(&made, &["The group Trip to the lake has the id "]);
    machine
        .send("ada", "Trip to the lake", "who brings bread?")
        .await;
    // Who is new learns of the group by listing what there is.
    let chats = machine.run("eva", &["chats", "--json"]).await.objects();
    assert_eq!(chats[0]["title"], "Trip to the lake");
    assert_eq!(chats[0]["kind"], "group");
    assert!(made.contains(chats[0]["id"].as_str().unwrap()), "{made}");
    machine.send("eva", "Trip to the lake", "I do").await;
    assert_eq!(
        machine.words("bob", "Trip to the lake").await,
        ["who brings bread?", "I do"]
    );
    let history = machine
        .run("bob", &["history", "Trip to the lake"])
        .await
        .printed();
    assert_says(
        &history,
        &[
            "#1 ada began the conversation with 3 members",
            "#2 ada set the title \"Trip to the lake\"",
            "#4 eva: I do",
        ],
    );

    let said = machine
        .run("ada", &["group", "Nobody", "bob", "nobody-there"])
        .await
        .said();
    assert_says(&said, &["nobody-there", "No such user."]);
    assert_eq!(
        machine
            .run("ada", &["chats", "--json"])
            .await
            .objects()
            .len(),
        1
    );
    // Two of one title are not guessed between.
    machine
        .run("ada", &["group", "Trip to the lake", "eva"])
        .await
        .printed();
    let said = machine
        .run("ada", &["send", "Trip to the lake", "which?"])
        .await
        .said();
    assert_says(&said, &["2 groups are called", "by its id"]);
}

#[tokio::test]
async fn what_one_command_did_the_next_one_knows() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    // Several times, for it must not depend on who is faster.
    for round in 1..=10 {
        let title = format!("Group {round}");
        machine
            .run("ada", &["group", &title, "bob"])
            .await
            .printed();
        machine.send("ada", &title, &format!("word {round}")).await;
        let offline = machine.run("ada", &["chats", "--offline"]).await.printed();
        let newest = offline.lines().next().unwrap_or_default();
        assert_says(newest, &[&title, &format!("word {round}")]);
    }
}

#[tokio::test]
async fn a_target_that_is_nothing_is_explained() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    let said = machine
        .run("ada", &["send", "nobody-there", "ciao"])
        .await
        .said();
    assert_says(
        &said,
        &["no group is called", "nobody-there", "No such user."],
    );
    let id = "01a20cb1-dc75-7479-92ad-02b2cae7533a";
    for command in ["history", "send", "tail"] {
        let mut arguments = vec![command, id];
        if command == "send" {
            arguments.push("ciao");
        }
        let said = machine.run("ada", &arguments).await.said();
        assert_says(&said, &["no conversation has the id", "ruggine-tui chats"]);
    }
}
