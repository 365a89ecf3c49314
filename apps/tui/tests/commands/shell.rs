//! The manners of a command line: exit codes, passwords and pipes.

use ruggine_server::testing::{TestServer, patiently};

use super::assert_says;
use super::machine::{Machine, PASSWORD};

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
