//! Logins and registrations: failures, rates of an address, and the hashing of
//! passwords.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ruggine_core::ErrorCode;
use ruggine_core::api::account::LogIn;
use ruggine_core::api::session::List;
use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::time::ManualClock;
use ruggine_server::config::Limits;
use ruggine_server::testing::{HttpClient, Person, SocketClient, patiently};

use super::support::{START, limited, look_up, wait_of};

fn wrong_login(username: &str) -> LogIn {
    LogIn {
        username: username.to_owned(),
        password: SecretText::new("certainly not the password"),
        device: None,
        device_name: None,
    }
}

#[tokio::test]
async fn the_wait_after_failed_logins_doubles_up_to_an_hour() {
    let clock = Arc::new(ManualClock::new(START));
    let server = limited(|limits| limits.login_failures_per_account = 2)
        .clock(clock.clone())
        .start()
        .await;
    let ada = server.register("ada").await;
    let bob = server.register("bob").await;
    let http = server.http();
    for username in ["ada", "nobody-here"] {
        let first = http.call(wrong_login(username)).await.unwrap_err();
        assert_eq!(first.code, ErrorCode::InvalidCredentials);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let failed = http.call(wrong_login(username)).await.unwrap_err();
            assert_eq!(failed.code, ErrorCode::InvalidCredentials, "{username}");
            // In any case of the letters, and with the right password too.
            let upper = username.to_ascii_uppercase();
            for login in [
                wrong_login(&upper),
                LogIn {
                    username: username.to_owned(),
                    ..ada.new_login()
                },
            ] {
                let refused = http.call(login).await.unwrap_err();
                wait_of(
                    &refused,
                    ErrorCode::RateLimited,
                    Duration::from_secs(60 * 60),
                );
            }
            let refused = http.call(wrong_login(username)).await.unwrap_err();
            let wait = refused.retry_after_ms.unwrap() - 1;
            clock.advance(Duration::from_millis(wait - 1));
            let refused = http.call(wrong_login(username)).await.unwrap_err();
            assert_eq!(
                refused.code,
                ErrorCode::RateLimited,
                "a millisecond is left"
            );
            clock.advance(Duration::from_millis(1));
            waits.push(wait / 60_000);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60], "{username}");
    }
    http.call(bob.new_login()).await.unwrap();
    // A success ends it: the next failures count from one.
    http.call(ada.new_login()).await.unwrap();
    http.call(wrong_login("ada")).await.unwrap_err();
    http.call(ada.new_login()).await.unwrap();
    // So does a minute without any.
    http.call(wrong_login("ada")).await.unwrap_err();
    clock.advance(Duration::from_secs(61));
    http.call(wrong_login("ada")).await.unwrap_err();
    http.call(ada.new_login()).await.unwrap();
}

#[tokio::test]
async fn a_text_that_cannot_be_a_username_is_not_counted() {
    let server = limited(|limits| limits.login_failures_per_account = 1)
        .start()
        .await;
    let http = server.http();
    for _ in 0..3 {
        let failed = http.call(wrong_login("no such name")).await.unwrap_err();
        assert_eq!(failed.code, ErrorCode::InvalidCredentials);
    }
}

/// Who asks many times at once must not get more guesses than who asks in turn.
#[tokio::test]
async fn guesses_that_are_made_at_once_count_like_those_in_turn() {
    let server = limited(|limits| {
        limits.login_failures_per_account = 3;
        limits.hashing_permits = 1;
    })
    .start()
    .await;
    server.register("ada").await;
    let http = server.http();
    let guesses = join_all((0..12).map(|_| http.call(wrong_login("ada")))).await;
    let codes: Vec<_> = guesses
        .into_iter()
        .map(|guess| guess.unwrap_err().code)
        .collect();
    let tried = codes
        .iter()
        .filter(|code| **code == ErrorCode::InvalidCredentials)
        .count();
    assert!(
        tried <= 3,
        "{tried} passwords were tried of 3 allowed: {codes:?}"
    );
}

#[tokio::test]
async fn logins_and_registrations_of_an_address_are_limited_apart() {
    let server = limited(|limits| {
        limits.logins_per_address = 2;
        limits.registrations_per_address = 2;
    })
    .start()
    .await;
    let http = server.http();
    let ada = server.register("ada").await;
    server.register("bob").await;
    let refused = http.call(Person::registration("eve")).await.unwrap_err();
    wait_of(
        &refused,
        ErrorCode::RateLimited,
        Duration::from_secs(30 * 60),
    );
    // A name that is free by the answer is free in fact.
    let found = server.http_of(&ada).call(look_up("eve")).await.unwrap_err();
    assert_eq!(found.code, ErrorCode::UserNotFound);

    // Good and bad logins count alike; so no other account helps.
    http.call(ada.new_login()).await.unwrap();
    http.call(wrong_login("bob")).await.unwrap_err();
    for login in [ada.new_login(), wrong_login("nobody")] {
        let refused = http.call(login).await.unwrap_err();
        wait_of(&refused, ErrorCode::RateLimited, Duration::from_secs(30));
    }
    let mut socket = SocketClient::connect(server.address(), Encoding::Json).await;
    let refused = socket.call(ada.new_login()).await.unwrap_err();
    wait_of(&refused, ErrorCode::RateLimited, Duration::from_secs(30));
    let refused = socket.call(Person::registration("eve")).await.unwrap_err();
    wait_of(
        &refused,
        ErrorCode::RateLimited,
        Duration::from_secs(30 * 60),
    );
    // Who is logged in already notices nothing.
    socket.hello(ada.token()).await.unwrap();
    let sessions = server.http_of(&ada).call(List {}).await.unwrap().sessions;
    assert_eq!(sessions.len(), 2);
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
    let from = |http: &HttpClient, chain: &str| http.clone().with_header("x-forwarded-for", chain);
    let one_login = |limits: &mut Limits| limits.logins_per_address = 1;

    let server = limited(one_login).start().await;
    let ada = server.register("ada").await;
    let http = server.http();
    from(&http, "192.0.2.1")
        .call(ada.new_login())
        .await
        .unwrap();
    for pretended in ["192.0.2.2", "127.0.0.2", "::1"] {
        let refused = from(&http, pretended)
            .call(ada.new_login())
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited, "{pretended}");
    }

    let proxies = ["127.0.0.1", "198.51.100.0/24"].map(|text| text.parse().unwrap());
    let server = limited(one_login)
        .edge(|edge| edge.trusted_proxies = proxies.to_vec())
        .start()
        .await;
    let ada = server.register("ada").await;
    let http = server.http();
    for real in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        from(&http, real).call(ada.new_login()).await.unwrap();
        let same = [
            real.to_owned(),
            format!("203.0.113.9, {real}"),
            format!("nonsense, {real}, 198.51.100.1"),
            format!("{real},127.0.0.1"),
        ];
        for chain in same {
            let refused = from(&http, &chain).call(ada.new_login()).await.unwrap_err();
            assert_eq!(refused.code, ErrorCode::RateLimited, "{chain}");
        }
    }
    // One address, however it is written.
    let mapped = from(&http, "::ffff:192.0.2.1")
        .call(ada.new_login())
        .await
        .unwrap_err();
    assert_eq!(mapped.code, ErrorCode::RateLimited);
}

#[tokio::test]
async fn passwords_beyond_those_that_may_wait_are_not_hashed() {
    let server = limited(|limits| {
        limits.hashing_permits = 1;
        limits.hashing_queue = 2;
    })
    .start()
    .await;
    let ada = server.register("ada").await;
    let http = server.http();
    let (mut logged_in, mut overloaded, mut round) = (1, 0, 0);
    patiently("the queue to be full", async {
        while overloaded == 0 {
            round += 1;
            let registrations = (0..4)
                .map(|number| http.call(Person::registration(&format!("user{round}.{number}"))));
            let logins = (0..12).map(|_| http.call(ada.new_login()));
            let (logins, registrations) = tokio::join!(join_all(logins), join_all(registrations));
            for login in logins {
                match login {
                    Ok(_) => logged_in += 1,
                    Err(error) => {
                        wait_of(&error, ErrorCode::Overloaded, Duration::from_secs(1));
                        overloaded += 1;
                    }
                }
            }
            for (number, registered) in registrations.into_iter().enumerate() {
                let found = server
                    .http_of(&ada)
                    .call(look_up(&format!("user{round}.{number}")))
                    .await;
                assert_eq!(found.is_ok(), registered.is_ok(), "{registered:?}");
            }
        }
    })
    .await;
    assert!(logged_in > 1, "those who found a place were served");
    let sessions = server.http_of(&ada).call(List {}).await.unwrap().sessions;
    assert_eq!(sessions.len(), logged_in);
    http.call(ada.new_login()).await.unwrap();
}
