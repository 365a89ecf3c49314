//! Nothing that others say steers the terminal.

use std::sync::Arc;

use ruggine_core::api::Method;
use ruggine_core::content::{Content, Text, Title};
use ruggine_core::{ConversationId, ErrorCode};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::testing::TestServer;

use super::machine::{Machine, PASSWORD};
use super::{account, assert_says, post};

/// Nothing in a text moves the cursor, recolours the terminal or turns the
/// order of letters.
fn assert_harmless(text: &str) {
    for c in text.chars() {
        let turns = matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        assert!(c == '\n' || !(c.is_control() || turns), "{c:?} in {text:?}");
    }
}

#[tokio::test]
async fn text_of_others_never_steers_the_terminal() {
    hostile_text(&[]).await;
}

#[tokio::test]
async fn text_of_others_never_steers_the_terminal_as_json_either() {
    hostile_text(&["--json"]).await;
}

/// Shows what could do harm in every way that there is, with these arguments.
async fn hostile_text(arguments: &[&str]) {
    const HOSTILE: [&str; 5] = [
        "\u{1b}[2J\u{1b}[1;31mred\u{1b}]0;title\u{7}",
        "\u{202e}desrever\u{202c} \u{2066}isolated\u{2069} \u{200f}\u{061c}",
        "two\nlines\r\rover\u{8}\u{8}\u{b}\u{c}",
        "\u{9b}31m c1 \u{85} \u{90}device control\u{9c}",
        "\u{0}\u{7f} nothing and delete",
    ];
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine
        .run("ada", &["group", "Lake", "bob"])
        .await
        .printed();
    let chats = machine.run("ada", &["chats", "--json"]).await.objects();
    let id = chats[0]["id"].as_str().and_then(|id| id.parse().ok());
    let id: ConversationId = id.expect("a conversation has an id");
    let ada = account(&server, "ada").await;
    let mut tail = machine.tail("bob", arguments);
    let mut shown = String::new();
    for words in HOSTILE {
        post(&server, &ada, id, Text::new(words).into()).await;
        let title = Title {
            title: words.to_owned(),
        };
        post(&server, &ada, id, Content::Title(title)).await;
    }
    post(&server, &ada, id, Text::new("the end").into()).await;
    while !shown.contains("the end") {
        shown += &tail.line().await;
        shown.push('\n');
    }
    assert_eq!(tail.interrupt().await, Some(130));
    assert_says(
        &shown,
        &[
            "red",
            "desrever",
            "lines",
            "device control",
            "nothing and delete",
        ],
    );
    assert_harmless(&shown);
    let id = id.to_string();
    for command in [
        &["history", id.as_str()][..],
        &["chats"],
        &["chats", "--offline"],
    ] {
        let printed = machine
            .run("bob", &[command, arguments].concat())
            .await
            .printed();
        assert!(!printed.is_empty());
        assert_harmless(&printed);
    }
    // Scripts still get every character, in a form that does no harm.
    let words = machine.words("bob", &id).await;
    assert_eq!(words[..5], HOSTILE);
}

/// Refuses an operation, for a reason that is meant for the terminal.
struct Rude(Method);

impl Hooks for Rude {
    async fn before(&self, attempt: Attempt) -> Verdict {
        if attempt.method == self.0 {
            return Verdict::Deny {
                reason: "\u{1b}[2J\u{202e}go away\u{9b}1m".to_owned(),
            };
        }
        Verdict::Allow
    }

    async fn after(&self, _: Outcome) {}
}

#[tokio::test]
async fn what_a_server_answers_never_steers_the_terminal() {
    let server = TestServer::options()
        .hooks(Arc::new(Rude(Method::AccountRegister)))
        .start()
        .await;
    let machine = Machine::of(&server);
    let register = ["register", "ada", "--server", &machine.server];
    let said = machine
        .with_password("ada", &register, PASSWORD)
        .await
        .said();
    assert_says(&said, &["go away"]);
    assert_harmless(&said);

    let server = TestServer::options()
        .hooks(Arc::new(Rude(Method::MessageSend)))
        .start()
        .await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    let said = machine.run("ada", &["send", "bob", "ciao"]).await.said();
    assert_says(
        &said,
        &[
            "the server refused the message",
            ErrorCode::Refused.as_str(),
        ],
    );
    assert_harmless(&said);
}
