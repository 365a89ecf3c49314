//! Accounts: registered, logged in and logged out, and what is said where that fails.

use ruggine_server::testing::TestServer;

use super::assert_says;
use super::machine::{Machine, PASSWORD, run};

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
