//! The commands as people and scripts run them: real processes against a real server.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use ruggine_core::api::Method;
use ruggine_core::api::account::LogIn;
use ruggine_core::api::message::Send;
use ruggine_core::content::{Content, Text, Title};
use ruggine_core::secret::SecretText;
use ruggine_core::{ConversationId, ErrorCode};
use ruggine_server::hooks::{Attempt, Hooks, Outcome, Verdict};
use ruggine_server::testing::inspect::find_plaintext;
use ruggine_server::testing::{Person, TestServer, fresh_message_id, patiently, words_of};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const PASSWORD: &str = "quattro sassi nel torrente";

/// A machine on which people have their profiles.
struct Machine {
    home: TempDir,
    server: String,
}

/// A command that has ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    /// What was printed by a command that succeeded.
    fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(self.err, "");
        self.out
    }

    /// What was said by a command that failed.
    fn said(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.out, "");
        assert!(self.err.starts_with("ruggine-tui: "), "{}", self.err);
        self.err
    }

    /// The objects that were printed, one a line.
    fn objects(self) -> Vec<Value> {
        let out = self.printed();
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    }
}

impl Machine {
    fn of(server: &TestServer) -> Self {
        Self {
            home: tempfile::tempdir().expect("a temporary folder can be made"),
            server: format!("http://{}", server.address()),
        }
    }

    /// The folder of all profiles.
    fn home(&self) -> PathBuf {
        self.home.path().join("profiles")
    }

    fn command(
        &self,
        profile: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ruggine-tui"));
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("RUGGINE_HOME", self.home())
            .args(["--profile", profile])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, profile: &str, arguments: &[&str]) -> Ran {
        run(self.command(profile, arguments), "").await
    }

    /// Runs a command that asks for a password.
    async fn with_password(&self, profile: &str, arguments: &[&str], password: &str) -> Ran {
        run(self.command(profile, arguments), &format!("{password}\n")).await
    }

    /// Makes an account and logs a profile of the same name in.
    async fn register(&self, username: &str) {
        let arguments = ["register", username, "--server", &self.server];
        let ran = self.with_password(username, &arguments, PASSWORD).await;
        assert_eq!(
            ran.printed(),
            format!("Welcome, {username}. You are logged in.\n")
        );
    }

    async fn send(&self, from: &str, to: &str, words: &str) {
        assert_eq!(self.run(from, &["send", to, words]).await.printed(), "");
    }

    /// The words of a conversation, as a profile has them.
    async fn words(&self, profile: &str, to: &str) -> Vec<String> {
        let items = self
            .run(profile, &["history", to, "--json"])
            .await
            .objects();
        items
            .iter()
            .filter(|item| item["kind"] == "text")
            .map(|item| item["text"].as_str().expect("a text has words").to_owned())
            .collect()
    }

    /// Begins to show messages as they arrive.
    fn tail(&self, profile: &str, arguments: &[&str]) -> Tail {
        let mut child = self
            .command(profile, ["tail"].iter().chain(arguments))
            .spawn()
            .expect("the program can be run");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let lines = BufReader::new(stdout).lines();
        Tail { child, lines }
    }
}

/// Runs a command to its end with this on its standard input.
async fn run(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped());
    let mut child = command.spawn().expect("the program can be run");
    let mut stdin = child.stdin.take().expect("standard input is a pipe");
    // Who does not ask does not read.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = patiently("the end of a command", child.wait_with_output()).await;
    let output = output.expect("the program can be waited for");
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("it prints text"),
        err: String::from_utf8(output.stderr).expect("it says text"),
    }
}

/// A `tail` that runs.
struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    async fn line(&mut self) -> String {
        let line = patiently("a line of tail", self.lines.next_line()).await;
        let line = line.expect("it prints text");
        line.expect("tail goes on")
    }

    /// Presses Ctrl-C and returns the exit code.
    async fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id.and_then(Pid::from_raw).expect("tail runs");
        kill_process(id, Signal::INT).expect("tail runs");
        let status = patiently("the end of tail", self.child.wait()).await;
        status.expect("tail can be waited for").code()
    }
}

/// An account of a registered user, beside their profile.
async fn account(server: &TestServer, username: &str) -> Person {
    let log_in = LogIn {
        username: username.to_owned(),
        password: SecretText::new(PASSWORD),
        device: None,
        device_name: None,
    };
    let login = server.http().call(log_in).await;
    Person {
        login: login.expect("the password is right"),
    }
}

async fn post(
    server: &TestServer,
    person: &Person,
    conversation: ConversationId,
    content: Content,
) {
    let payload = content.to_payload().expect("the content is short");
    let send = Send {
        conversation,
        client_msg_id: fresh_message_id(),
        epoch: None,
        payload: Some(payload),
        content: None,
    };
    let sent = server.http_of(person).call(send).await;
    sent.expect("a member may write");
}

fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in {said}");
    }
}

/// Nothing in a text moves the cursor, recolours the terminal or turns the
/// order of letters.
fn assert_harmless(text: &str) {
    for c in text.chars() {
        let turns = matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        assert!(c == '\n' || !(c.is_control() || turns), "{c:?} in {text:?}");
    }
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
}

#[tokio::test]
async fn an_account_is_used_from_two_profiles() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    // Also where the password is asked for by name, and the server is known.
    let login = [
        "login",
        "ada",
        "--server",
        &machine.server,
        "--password-stdin",
    ];
    let ran = machine.with_password("phone", &login, PASSWORD).await;
    assert_eq!(ran.printed(), "You are logged in as ada.\n");
    let again = machine
        .with_password("phone", &["login", "ada"], PASSWORD)
        .await;
    assert_eq!(again.printed(), "You are logged in as ada.\n");

    machine.send("ada", "bob", "from the laptop").await;
    machine.send("phone", "bob", "from the phone").await;
    for profile in ["ada", "phone"] {
        assert_eq!(
            machine.words(profile, "bob").await,
            ["from the laptop", "from the phone"]
        );
    }
    assert_eq!(
        machine.words("bob", "ada").await,
        ["from the laptop", "from the phone"]
    );
}

#[tokio::test]
async fn a_wrong_password_is_said_and_changes_nothing() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    let login = ["login", "ada", "--server", &machine.server];
    for (profile, user) in [("phone", "ada"), ("ghost", "nobody-there")] {
        let login = ["login", user, login[2], login[3]];
        let said = machine
            .with_password(profile, &login, "lontano dal mare calmo")
            .await
            .said();
        // The same for a wrong name, so that nobody learns who has an account.
        assert_eq!(said, "ruggine-tui: Username and password do not match.\n");
        let said = machine.run(profile, &["chats"]).await.said();
        assert_says(&said, &["has no account yet", "ruggine-tui login"]);
    }
    // Nothing is no password either.
    let said = machine.run("phone", &login).await.said();
    assert_says(&said, &["do not match"]);
    // The profile that is logged in stays so.
    let said = machine
        .with_password("ada", &["login", "ada"], "lontano dal mare calmo")
        .await
        .said();
    assert_says(&said, &["do not match"]);
    assert_eq!(machine.run("ada", &["chats"]).await.printed(), "");
}

#[tokio::test]
async fn what_cannot_be_registered_is_explained() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    for (username, password, words) in [
        (
            "ada",
            PASSWORD,
            &["That username is taken: choose another."][..],
        ),
        ("ADA", PASSWORD, &["That username is taken"]),
        ("a b", PASSWORD, &["3 to 32 characters"]),
        ("eva", "nebbia", &["12 to 128 characters"]),
        ("eva", "", &["12 to 128 characters"]),
    ] {
        let register = ["register", username, "--server", &machine.server];
        let said = machine
            .with_password("other", &register, password)
            .await
            .said();
        assert_says(&said, words);
        assert!(password.is_empty() || !said.contains(password), "{said}");
    }
    // The profile is free for another try.
    let register = [
        "register",
        "eva",
        "--server",
        &machine.server,
        "--name",
        "Eva dal mare",
    ];
    machine
        .with_password("other", &register, PASSWORD)
        .await
        .printed();
}

#[tokio::test]
async fn servers_that_are_none_are_explained() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    for (url, words) in [
        ("chat", "not a server address"),
        ("http://chat.example.org", "use https"),
        ("http://127.0.0.1:1", "cannot be reached"),
    ] {
        let register = ["register", "ada", "--server", url];
        let said = machine
            .with_password("ada", &register, PASSWORD)
            .await
            .said();
        assert_says(&said, &[words]);
    }
}

#[tokio::test]
async fn sentences_come_in_the_language_of_the_user() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    let login = ["login", "ada", "--server", &machine.server];
    let mut command = machine.command("phone", login);
    command.env("LC_ALL", "it_IT.UTF-8");
    let ran = run(command, "lontano dal mare calmo\n").await;
    assert_says(&ran.said(), &["Nome utente e password non corrispondono."]);
}

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

#[tokio::test]
async fn profiles_are_apart_and_private() {
    const WORDS: &str = "only for the eyes of Bob";
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", WORDS).await;
    machine.words("bob", "ada").await;
    for profile in ["ada", "bob"] {
        let folder = machine.home().join(profile);
        assert_eq!(mode(&folder), 0o700, "nobody else may look into a profile");
        assert_eq!(
            mode(folder.join("client.key")),
            0o600,
            "nobody else may read a key"
        );
    }
    let hits = find_plaintext(machine.home.path(), &[WORDS, PASSWORD]).unwrap();
    assert!(hits.is_empty(), "{hits:?}");
    // The folder and the profile can be said in three ways; the flag wins.
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ruggine-tui"));
        command
            .env_clear()
            .env("HOME", machine.home.path().join("nowhere"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    };
    let home = machine.home();
    let home = home.to_str().unwrap();
    let by_flag = bare(&["--home", home, "--profile", "bob", "chats"]);
    assert_says(&run(by_flag, "").await.printed(), &[WORDS]);
    let mut by_environment = bare(&["chats"]);
    by_environment
        .env("RUGGINE_HOME", home)
        .env("RUGGINE_PROFILE", "bob");
    assert_says(&run(by_environment, "").await.printed(), &[WORDS]);
    let mut both = bare(&["chats", "--profile", "bob", "--home", home]);
    both.env("RUGGINE_HOME", "/nonexistent")
        .env("RUGGINE_PROFILE", "ada");
    assert_says(&run(both, "").await.printed(), &[WORDS]);
    // Another folder, and the folder of the user, know nobody.
    let other = tempfile::tempdir().unwrap();
    for mut command in [bare(&["chats"]), bare(&["chats"])] {
        command.env("XDG_DATA_HOME", other.path());
        assert_says(
            &run(command, "").await.said(),
            &["\"default\" has no account yet"],
        );
    }
    for bad in ["../bob", "a/b", "", ".", &"x".repeat(65)] {
        let said = run(bare(&["--home", home, "--profile", bad, "chats"]), "")
            .await
            .said();
        assert_says(&said, &["a profile's name has"]);
    }
    assert!(
        !machine.home.path().join("nowhere").exists(),
        "looking makes no folders"
    );
}

#[tokio::test]
async fn after_a_logout_messages_stay_readable() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", "remember this").await;
    let said = machine.run("ada", &["logout"]).await.printed();
    assert_says(&said, &["You are logged out."]);
    for arguments in [&["chats"][..], &["history", "bob"], &["logout"]] {
        let said = machine.run("ada", arguments).await.said();
        assert_says(&said, &["nobody is logged in", "ruggine-tui login"]);
    }
    let offline = machine.run("ada", &["chats", "--offline"]).await.printed();
    assert_says(&offline, &["bob", "remember this"]);
    machine
        .with_password("ada", &["login", "ada"], PASSWORD)
        .await
        .printed();
    machine.send("ada", "bob", "back again").await;
    assert_eq!(
        machine.words("ada", "bob").await,
        ["remember this", "back again"]
    );
}

#[tokio::test]
async fn a_password_never_stands_on_a_command_line() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    for command in ["register", "login"] {
        let help = machine.run("ada", &[command, "--help"]).await.printed();
        assert_says(&help, &["--password-stdin"]);
        let takes_one = help.lines().any(|line| {
            line.contains("--password ")
                || line.contains("--password=")
                || line.contains("--password <")
        });
        assert!(!takes_one, "{help}");
        let ran = machine
            .run("ada", &[command, "ada", "--password", PASSWORD])
            .await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let ran = machine.run("ada", &[command, "ada", PASSWORD]).await;
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    assert!(!machine.home().exists(), "a slip makes nothing");
}

#[tokio::test]
async fn exit_codes_tell_slips_from_failures() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    for slip in [
        &[][..],
        &["chatz"],
        &["send"],
        &["send", "bob"],
        &["history", "bob", "-n", "many"],
        &["group", "alone"],
    ] {
        let ran = machine.run("ada", slip).await;
        assert_eq!(ran.code, Some(2), "{slip:?}: {ran:?}");
        assert!(ran.err.contains("--help"), "{slip:?}: {ran:?}");
    }
    for command in ["--help", "--version"] {
        machine.run("ada", &[command]).await.printed();
    }
    for failure in [
        &["chats"][..],
        &["send", "bob", "ciao"],
        &["tail"],
        &["logout"],
        &["history", "bob"],
    ] {
        let said = machine.run("ada", failure).await.said();
        assert_says(&said, &["\"ada\" has no account yet"]);
    }
}

#[tokio::test]
async fn a_reader_that_is_gone_ends_a_command_quietly() {
    let server = TestServer::start().await;
    let machine = Machine::of(&server);
    machine.register("ada").await;
    machine.register("bob").await;
    machine.send("ada", "bob", "ciao").await;
    for arguments in [&["history", "bob"][..], &["chats"], &["chats", "--json"]] {
        let mut child = machine.command("ada", arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = patiently("the end", child.wait_with_output())
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}
