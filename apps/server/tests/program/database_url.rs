//! The program's `DATABASE_URL` alone says where the database is and who comes:
//! not the variables and files that PostgreSQL's own programs look at.

use std::os::unix::fs::PermissionsExt;

use ruggine_server::testing::TestDatabase;

use super::support::{self, KEY, Setup};

fn setup(folder: &std::path::Path, url: &str) -> Setup {
    Setup::in_folder(folder)
        .env("DATABASE_URL", url)
        .env("ENCRYPTION_MASTER_KEY", KEY)
        .env("RUGGINE_DRAIN_LEAD_SECONDS", "0")
        .env("RUGGINE_DRAIN_SPREAD_SECONDS", "0")
}

#[tokio::test]
async fn no_variable_of_postgresql_changes_what_the_url_says() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let url = database.url();
    let mut setup = setup(folder.path(), url.expose());
    for (name, value) in [
        // An address that is given to nobody.
        ("PGHOST", "192.0.2.1"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGPORT", "1"),
        ("PGUSER", "nobody"),
        ("PGPASSWORD", "wrong"),
        ("PGDATABASE", "no_such_database"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", "/nonexistent.pem"),
    ] {
        setup = setup.env(name, value);
    }
    let server = setup.start().await;
    server.register("ada").await;
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_password_that_the_url_does_not_give_is_found_nowhere_else() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let url = database.url();
    let (login, rest) = url.expose().split_once('@').expect("it has a login");
    let (user, password) = login.rsplit_once(':').expect("it has a password");
    let file = folder.path().join(".pgpass");
    std::fs::write(&file, format!("*:*:*:*:{password}\n")).expect("the folder can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))
        .expect("the file is ours");
    let ended = setup(folder.path(), &format!("{user}@{rest}"))
        .env("PGPASSWORD", password)
        .env("PGPASSFILE", &file)
        .env("HOME", folder.path())
        .run()
        .await;
    assert_eq!(ended.code(), Some(1), "{}", ended.everything());
    assert!(
        ended.stderr.contains("the database refuses the login"),
        "{}",
        ended.everything()
    );
}

#[tokio::test]
async fn a_variable_that_the_driver_heeds_in_any_case_is_refused() {
    let folder = support::folder();
    for (name, value) in [
        ("PGOPTIONS", "-c default_transaction_read_only=on"),
        ("PGSSLCERT", "/nonexistent.pem"),
        ("PGSSLKEY", "/nonexistent.key"),
    ] {
        let setup = setup(folder.path(), "postgres://ada@127.0.0.1/chat");
        let ended = setup.env(name, value).bare_flag("--check").run().await;
        assert_eq!(ended.code(), Some(2), "{}", ended.everything());
        for words in ["DATABASE_URL cannot be used", name] {
            assert!(ended.stderr.contains(words), "{}", ended.everything());
        }
    }
    let setup = setup(folder.path(), "postgres://ada@127.0.0.1/chat");
    let ended = setup.bare_flag("--check").run().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.everything());
}
