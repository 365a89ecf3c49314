//! What people say is neither logged nor kept readable, unless encryption is off.

use ruggine_core::api::account::{LogIn, Register};
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_server::testing::inspect::find_plaintext;
use ruggine_server::testing::{patiently, text_message, words_of};

use super::logs::speak_nonsense;
use super::support::{self, KEY, OTHER_KEY, Setup};

#[tokio::test]
async fn nothing_that_people_say_is_logged_or_kept_readable() {
    const PASSWORD: &str = "quattro sassi nel torrente";
    const WORDS: &str = "what Ada wrote to Bob";
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path())
        .env("LOG_LEVEL", "trace")
        .env("ENCRYPTION_MASTER_KEY", KEY)
        .env("ENCRYPTION_LEGACY_KEYS", OTHER_KEY);
    let server = setup.start().await;
    let registration = Register {
        username: "ada".to_owned(),
        password: SecretText::new(PASSWORD),
        display_name: None,
        device_name: None,
    };
    let ada = server.http().call(registration).await.unwrap();
    let log_in = LogIn {
        username: "ada".to_owned(),
        password: SecretText::new(PASSWORD),
        device: None,
        device_name: None,
    };
    server.http().call(log_in).await.unwrap();
    let ada = ruggine_server::testing::Person { login: ada };
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    for encoding in [Encoding::Json, Encoding::MsgPack] {
        let mut socket = server.socket(&ada, encoding).await;
        socket.call(text_message(group, WORDS)).await.unwrap();
        socket.close().await;
    }
    server
        .http_of(&ada)
        .call(text_message(group, WORDS))
        .await
        .unwrap();
    server.http_of(&bob).read_log(group).await.unwrap();
    speak_nonsense(server.api(), ada.token().expose()).await;
    let ended = server.stop().await;
    assert_eq!(ended.code(), Some(0));
    assert!(
        ended.stdout.contains("\"DEBUG\""),
        "the loudest level was asked for"
    );

    let device_secret = ada.login.device_secret.clone().unwrap();
    let hex = |text: &str| {
        text.bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut secrets = Vec::new();
    for secret in [
        PASSWORD,
        WORDS,
        KEY,
        OTHER_KEY,
        ada.token().expose(),
        ada.login.tokens.refresh.expose(),
        device_secret.expose(),
    ] {
        secrets.push(secret.to_owned());
        secrets.push(hex(secret));
    }
    let everything = ended.everything();
    for secret in &secrets {
        assert!(
            !everything.contains(secret.as_str()),
            "{secret} is in the log"
        );
    }
    let needles: Vec<&str> = secrets.iter().map(String::as_str).collect();
    let hits = find_plaintext(folder.path(), &needles).unwrap();
    assert!(hits.is_empty(), "{hits:?}");
}

#[tokio::test]
async fn with_encryption_off_it_says_so_and_does_so() {
    const WORDS: &str = "readable by whoever has the disk";
    let folder = support::folder();
    let setup = Setup::in_folder(folder.path()).flag("--enable-encryption", "false");
    let mut server = setup.start().await;
    let warning = server
        .line(
            "ENABLE_ENCRYPTION=false: EVERY TEXT IS STORED READABLE. Whoever reads the database reads the messages",
        )
        .await;
    assert_eq!(warning["level"], "WARN");
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let group = server.group(&ada, &[&bob]).await;
    server
        .http_of(&ada)
        .call(text_message(group, WORDS))
        .await
        .unwrap();
    let log = server.http_of(&bob).read_log(group).await.unwrap();
    assert_eq!(log.last().and_then(words_of).as_deref(), Some(WORDS));
    assert_eq!(server.stop().await.code(), Some(0));
    assert!(
        !folder
            .path()
            .join("ruggine-data")
            .join("master.key")
            .exists()
    );
    // Sealed and readable records are never mixed.
    let ended = patiently("the end", Setup::in_folder(folder.path()).run()).await;
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("unsealed records"),
        "{}",
        ended.stderr
    );
}
