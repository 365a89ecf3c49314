//! Redis servers with which the program starts, and those with which it says
//! what to do instead.

use std::path::Path;

use ruggine_core::codec::Encoding;
use ruggine_server::testing::{TestDatabase, text_message};
use ruggine_services::{Redis, RedisCluster, free_port};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::services::setup;
use super::support::{self, Ended, Setup};
use super::tls::Certificate;

fn server(folder: &Path, arguments: &[&str]) -> Redis {
    Redis::create_with(&folder.join("redis"), arguments).expect("Redis is installed")
}

/// What the program says that does not start because of Redis.
async fn refusal(setup: Setup, words: &[&str]) -> Ended {
    let ended = setup.run().await;
    assert_eq!(ended.code(), Some(1), "{}", ended.everything());
    for word in ["REDIS_URL", "Redis"].iter().chain(words) {
        assert!(ended.stderr.contains(word), "{word:?} in {}", ended.stderr);
    }
    ended
}

async fn starts_and_ends(setup: &Setup) {
    let ended = setup.start().await.stop().await;
    assert_eq!(ended.code(), Some(0), "{}", ended.everything());
    assert!(
        !ended.everything().contains("hunter"),
        "no password is told"
    );
}

#[tokio::test]
async fn the_password_of_redis_is_right_or_the_start_says_so() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let redis = server(folder.path(), &["--requirepass", "hunter2"]);
    let setup = |login: &str| {
        let url = format!("redis://{login}127.0.0.1:{}", redis.port());
        setup(folder.path(), &database).env("REDIS_URL", url)
    };
    starts_and_ends(&setup(":hunter2@")).await;
    for (login, words) in [
        (":hunter3@", ["refuses the login", "user and password"]),
        (
            "hunter:hunter2@",
            ["refuses the login", "user and password"],
        ),
        ("", ["wants a password", "redis://USER:PASSWORD@HOST:PORT"]),
    ] {
        let ended = refusal(setup(login), &words).await;
        assert!(!ended.everything().contains("hunter"), "{}", ended.stderr);
    }
}

/// Answers as a server of some version does, to one client after the other.
async fn answer_as(listener: TcpListener, version: &'static str) {
    while let Ok((client, _)) = listener.accept().await {
        // Whoever has heard enough goes away.
        let _ = answer(client, version).await;
    }
}

async fn answer(client: TcpStream, version: &str) -> std::io::Result<()> {
    let (requests, mut answers) = client.into_split();
    let mut lines = BufReader::new(requests).lines();
    while let Some(first) = lines.next_line().await? {
        let words: usize = first.trim_start_matches('*').parse().unwrap_or(0);
        let mut command = Vec::new();
        for _ in 0..words {
            // The length of each word stands before it.
            lines.next_line().await?;
            command.extend(lines.next_line().await?);
        }
        let said = match command.first().map(String::as_str) {
            Some("INFO") => {
                let info = format!("# Server\r\nredis_version:{version}\r\n");
                format!("${}\r\n{info}\r\n", info.len())
            }
            _ => "+OK\r\n".to_owned(),
        };
        answers.write_all(said.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_redis_that_is_too_old_is_refused_with_its_version() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(answer_as(listener, "5.0.14"));
    let setup = setup(folder.path(), &database).env("REDIS_URL", url);
    refusal(setup, &["version 5.0.14", "Redis 6 or newer"]).await;
}

#[tokio::test]
async fn redis_over_tls_is_verified_by_the_authority_of_its_setting() {
    let folder = support::folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let database = TestDatabase::create().await;
    let certificate = Certificate::new();
    certificate.write(path("cert.pem").as_ref(), path("key.pem").as_ref());
    certificate.write_authority(path("ca.pem").as_ref());
    Certificate::new().write_authority(path("other.pem").as_ref());
    let port = free_port().unwrap().to_string();
    let _redis = server(
        folder.path(),
        &[
            "--tls-port",
            &port,
            "--tls-cert-file",
            &path("cert.pem"),
            "--tls-key-file",
            &path("key.pem"),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-auth-clients",
            "no",
        ],
    );
    let url = format!("rediss://127.0.0.1:{port}");
    let setup = setup(folder.path(), &database).env("REDIS_URL", url);
    let trusting = |authority: &str| setup.clone().env("REDIS_CA_PATH", path(authority));
    starts_and_ends(&trusting("ca.pem")).await;
    for untrusting in [trusting("other.pem"), setup.clone()] {
        refusal(untrusting, &["TLS", "certificate", "authority"]).await;
    }
    // What is no certificate, or is not there, is a mistake in the settings.
    for (file, why) in [
        ("key.pem", "no certificate"),
        ("none.pem", "cannot be read"),
    ] {
        let ended = trusting(file).run().await;
        assert_eq!(ended.code(), Some(2), "{}", ended.everything());
        for word in ["REDIS_CA_PATH", file, why] {
            assert!(ended.stderr.contains(word), "{}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn processes_hear_of_each_other_over_a_cluster() {
    let folder = support::folder();
    let database = TestDatabase::create().await;
    let cluster = RedisCluster::create().expect("Redis is installed");
    let setup = setup(folder.path(), &database)
        .env("REDIS_URL", cluster.url())
        .env("REDIS_PREFIX", "chat-of-a-test");
    let one = setup.start().await;
    let other = setup.start().await;
    let ada = one.register("ada").await;
    let bob = other.register("bob").await;
    let group = one.group(&ada, &[&bob]).await;
    let mut ear = other.socket(&bob, Encoding::MsgPack).await;
    for _ in 0..5 {
        let ack = one.http_of(&ada).call(text_message(group, "ciao")).await;
        let (_, row) = ear.next_row().await;
        assert_eq!(row.seq, ack.expect("a member may write").seq);
    }
    for process in [one, other] {
        assert_eq!(process.metrics().await.value("bus_away"), Some(0.0));
        assert_eq!(process.stop().await.code(), Some(0));
    }
}
