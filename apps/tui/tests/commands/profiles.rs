//! Profiles: apart from one another, private, and found in three ways.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use ruggine_server::testing::TestServer;
use ruggine_server::testing::inspect::find_plaintext;
use tokio::process::Command;

use super::assert_says;
use super::machine::{Machine, PASSWORD, run};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path)
        .expect("it is there")
        .permissions()
        .mode()
        & 0o777
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
