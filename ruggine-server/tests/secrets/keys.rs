//! A server does not start with keys that are bad, exposed, or do not fit its
//! database.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ruggine_core::secret::SecretText;
use ruggine_crypto::at_rest::{KeyRing, MasterKey, MasterKeyError};
use ruggine_server::engine::StartError;
use ruggine_server::key_source::{FixedKeys, KeyFile, KeySourceError};
use ruggine_server::metrics::NoMetrics;
use ruggine_server::sealing::{KeyCheckError, Sealer};
use ruggine_server::store::Store;
#[cfg(feature = "postgres")]
use ruggine_server::testing::TestDatabase;
use ruggine_server::testing::{SharedStore, TestServer, eventually, open_sqlite};
use ruggine_server::{BuildError, Server};
use sqlx::Connection;

use super::canaries::{Canaries, shows_nothing};
use super::database::{beside, damage};
use super::sealing::{Sealing, keys, refused, registered, sealed, some, start, stop, text, words};

#[tokio::test]
async fn a_key_file_is_made_for_its_owner_alone_and_kept() {
    let mut server = TestServer::start().await;
    let path = server.folder().join("master.key");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(MasterKey::from_hex(key.trim()).is_ok());
    server.restart().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key);
}

#[tokio::test]
async fn a_server_does_not_start_with_keys_that_do_not_fit_its_database() {
    let [right, wrong, third] = [(); 3].map(|()| MasterKey::generate());
    let (folder, login, group) = sealed(Sealing::Under(keys(&right, &[]))).await;
    let before = registered(folder.path()).await;
    assert_eq!(before, [right.id().to_string()]);

    let cases = [keys(&wrong, &[]), keys(&wrong, &[&third])];
    for unfit in cases {
        let error = refused(folder.path(), Sealing::Under(unfit)).await;
        let StartError::KeyCheck(KeyCheckError::MissingKey(kid)) = &error else {
            panic!("{error}");
        };
        assert_eq!(*kid, right.id().to_string());
        assert!(
            error.to_string().contains("ENCRYPTION_LEGACY_KEYS"),
            "{error}"
        );
    }
    let error = refused(folder.path(), Sealing::Off).await;
    assert!(
        matches!(error, StartError::KeyCheck(KeyCheckError::HoldsSealed)),
        "{error}"
    );
    assert!(
        error.to_string().contains("ENABLE_ENCRYPTION=false"),
        "{error}"
    );
    let error = refused(folder.path(), Sealing::Under(keys(&right, &[&right]))).await;
    assert!(matches!(error, StartError::DuplicateKey(_)), "{error}");
    let error = refused(
        folder.path(),
        Sealing::Under(keys(&right, &[&third, &third])),
    )
    .await;
    assert!(matches!(error, StartError::DuplicateKey(_)), "{error}");
    assert_eq!(
        registered(folder.path()).await,
        before,
        "nothing was registered"
    );

    // A check record that was changed is no proof.
    let mut database = beside(&folder.path().join("ruggine.db")).await;
    let good: String = sqlx::query_scalar("SELECT record FROM sealing_keys")
        .fetch_one(&mut database)
        .await
        .unwrap();
    for record in [
        damage(&good, "ciphertext"),
        damage(&good, "commit"),
        "{}".to_owned(),
    ] {
        sqlx::query("UPDATE sealing_keys SET record = ?1")
            .bind(&record)
            .execute(&mut database)
            .await
            .unwrap();
        let error = refused(folder.path(), Sealing::Under(keys(&right, &[]))).await;
        assert!(
            matches!(error, StartError::KeyCheck(KeyCheckError::WrongKey(..))),
            "{error}"
        );
    }
    sqlx::query("UPDATE sealing_keys SET record = ?1")
        .bind(&good)
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();

    // None of this harmed the database, nor was it left in use.
    let server = start(folder.path(), Sealing::Under(keys(&right, &[&third])))
        .await
        .unwrap();
    assert_eq!(words(&server, &login, group).await, some(&["old words"]));
    stop(server).await;
    assert_eq!(
        registered(folder.path()).await,
        before,
        "a legacy key seals nothing"
    );
}

#[tokio::test]
async fn of_two_first_starts_with_different_keys_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    of_two_first_starts(open_sqlite(folder.path()).await).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn of_two_first_starts_on_postgresql_with_different_keys_one_is_refused() {
    let database = TestDatabase::create().await;
    of_two_first_starts(database.open().await).await;
}

/// One server has found no key and is about to register its own, when another
/// starts with a key that the first does not have.
async fn of_two_first_starts(store: Arc<dyn Store>) {
    let sealer = |primary: &MasterKey, legacy: Option<&MasterKey>| {
        let copy = |key: &MasterKey| MasterKey::from_hex(&key.to_hex()).unwrap();
        let ring = KeyRing::new(copy(primary), legacy.map(copy).into_iter().collect());
        Sealer::new(Some(ring.unwrap()), Arc::new(NoMetrics))
    };
    let [slow, quick] = [(); 2].map(|()| MasterKey::generate());
    let shared = SharedStore::new(Arc::clone(&store));
    let held = shared.hold_keys().await;
    let checking = tokio::spawn({
        let (sealer, shared) = (sealer(&slow, None), shared.clone());
        async move { sealer.check(&shared).await }
    });
    eventually("the first to have read the keys", || async {
        shared.waiting_for_keys() == 1
    })
    .await;
    sealer(&quick, None).check(&*store).await.unwrap();
    drop(held);
    let error = checking.await.unwrap().unwrap_err();
    let KeyCheckError::MissingKey(kid) = &error else {
        panic!("{error}");
    };
    assert_eq!(*kid, quick.id().to_string());
    let registered = async || {
        let keys = store.sealing_keys().await.unwrap();
        keys.into_iter().map(|(kid, _)| kid).collect::<Vec<_>>()
    };
    assert_eq!(
        registered().await,
        [quick.id().to_string()],
        "who was refused leaves nothing that the other would miss at its next start"
    );
    sealer(&quick, None).check(&*store).await.unwrap();
    // With the other's key at hand nothing stands in the way.
    sealer(&slow, Some(&quick)).check(&*store).await.unwrap();
    let mut both = [&slow, &quick].map(|key| key.id().to_string());
    both.sort();
    assert_eq!(registered().await, both);
}

#[tokio::test]
async fn a_key_that_anybody_could_guess_is_not_taken() {
    const SAMPLE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let good = MasterKey::generate();
    let good_text = good.to_hex().to_string();
    let bad = [
        (SAMPLE.to_owned(), MasterKeyError::Sample),
        (SAMPLE.to_uppercase(), MasterKeyError::Sample),
        ("0".repeat(64), MasterKeyError::AllEqual),
        ("ab".repeat(32), MasterKeyError::AllEqual),
        (good_text[..62].to_owned(), MasterKeyError::Length(62)),
        (format!("{good_text}00"), MasterKeyError::Length(66)),
        (String::new(), MasterKeyError::Length(0)),
        (format!("{}zz", &good_text[..62]), MasterKeyError::NotHex),
        (format!("{}è", &good_text[..62]), MasterKeyError::NotHex),
    ];
    let folder = tempfile::tempdir().unwrap();
    let canary = Canaries::of([("a key", &good_text[..48])]);
    for (number, (bad, expected)) in bad.iter().enumerate() {
        let secret = SecretText::new(bad.as_str());
        let path = folder.path().join(format!("bad-{number}.key"));
        std::fs::write(&path, bad).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let tried = [
            (
                Sealing::Under(FixedKeys::new(secret.clone(), Vec::new())),
                "ENCRYPTION_MASTER_KEY",
            ),
            (
                Sealing::Under(FixedKeys::new(text(&good), vec![secret])),
                "ENCRYPTION_LEGACY_KEYS",
            ),
            (Sealing::File(KeyFile::new(&path)), "bad-"),
        ];
        for (sealing, named) in tried {
            let error = refused(folder.path(), sealing).await;
            let StartError::Keys(KeySourceError::Key { name, reason }) = &error else {
                panic!("{error}");
            };
            assert!(name.contains(named), "{name}");
            assert_eq!(reason, expected);
            shows_nothing(&canary, &error);
            assert_eq!(canary.in_text(&error.to_string()), [""; 0]);
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            *bad,
            "a bad key is not replaced"
        );
    }
    assert_eq!(registered(folder.path()).await, [""; 0]);
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let file = || Sealing::File(KeyFile::new(&path));
    stop(start(folder.path(), file()).await.unwrap()).await;
    for mode in [0o644, 0o640, 0o604, 0o660, 0o620, 0o610, 0o601, 0o777] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = refused(folder.path(), file()).await;
        assert!(
            matches!(error, StartError::Keys(KeySourceError::Exposed(_))),
            "{mode:o}: {error}"
        );
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    for mode in [0o600, 0o400] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        stop(start(folder.path(), file()).await.unwrap()).await;
    }
    // A key that is gone is not made anew under a database that needs it.
    std::fs::remove_file(&path).unwrap();
    let error = refused(folder.path(), file()).await;
    assert!(
        matches!(error, StartError::KeyCheck(KeyCheckError::MissingKey(_))),
        "{error}"
    );
    let nowhere = folder.path().join("master.key").join("below.key");
    let error = refused(folder.path(), Sealing::File(KeyFile::new(nowhere))).await;
    assert!(
        matches!(error, StartError::Keys(KeySourceError::File { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_without_a_word_about_keys_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Server::builder()
        .sqlite(folder.path().join("ruggine.db"))
        .await
        .unwrap();
    assert!(matches!(builder.start().await, Err(BuildError::NoKeys)));
    assert!(matches!(
        Server::builder().without_sealing().start().await,
        Err(BuildError::NoStore)
    ));
}
