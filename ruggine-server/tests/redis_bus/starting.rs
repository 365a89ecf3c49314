//! Servers with which the bus starts, and those that it refuses.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use ruggine_server::bus::redis::{ConnectRedisError, RedisBus, RedisOptions};
use ruggine_server::testing::patiently;
use ruggine_services::{Redis, free_port};

use super::{Instance, head, options, server, topic};

async fn refused(options: RedisOptions) -> ConnectRedisError {
    let connecting = patiently("the refusal", RedisBus::connect(options)).await;
    connecting.expect_err("the server cannot be used")
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_from_one_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &["--requirepass", "hunter2"]);
    let port = redis.port();
    for user in ["", "default"] {
        let right = options(&format!("redis://{user}:hunter2@127.0.0.1:{port}"));
        Instance::attach(right).await;
    }
    let error = refused(options(&format!("redis://:hunter3@127.0.0.1:{port}"))).await;
    assert!(
        matches!(error, ConnectRedisError::Credentials(_)),
        "{error}"
    );
    assert!(
        !format!("{error} {error:?}").contains("hunter"),
        "{error:?}"
    );
    let error = refused(options(&redis.url())).await;
    assert!(
        matches!(error, ConnectRedisError::NoCredentials(_)),
        "{error}"
    );
    let error = refused(options("redis://:hunter2@127.0.0.1:1")).await;
    assert!(
        matches!(error, ConnectRedisError::Unreachable(_)),
        "{error}"
    );
    assert!(
        !format!("{error} {error:?}").contains("hunter"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_user_without_rights_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &[]);
    let rights = "ACL SETUSER weak on >secret ~* &* +ping +client";
    redis.ask(rights).expect("users can be made");
    let url = format!("redis://weak:secret@127.0.0.1:{}", redis.port());
    let error = refused(options(&url)).await;
    assert!(matches!(error, ConnectRedisError::Forbidden(_)), "{error}");
}

#[tokio::test]
async fn a_user_with_the_documented_rights_can_do_everything() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(folder.path(), &[]);
    let rights = "ACL SETUSER chat on >secret resetchannels ~ruggine:* &ruggine:* \
                  +info +ping +publish +subscribe +unsubscribe +zadd +zrem +zremrangebyscore +zcount \
                  +pexpire";
    redis.ask(rights).expect("users can be made");
    let url = format!("redis://chat:secret@127.0.0.1:{}", redis.port());
    let one = Instance::attach(options(&url)).await;
    let mut other = Instance::attach(options(&url)).await;
    let topic = topic();
    other.follow(topic).await;
    one.publish(topic, head(1)).await;
    assert_eq!(other.next().await, head(1));
    let left = other.bus.unfollow(other.id, vec![topic]).await;
    left.expect("a topic can be left");
    let user = ruggine_core::UserId::new(super::NOW);
    one.bus.lease(one.id, vec![user]).await.unwrap();
    assert!(other.bus.leased(vec![user]).await.unwrap().contains(&user));
    one.bus.release(one.id, vec![user]).await.unwrap();
}

/// A fresh authority, and a certificate of this machine that it signed.
struct Certificate {
    authority: String,
    certificate: String,
    key: String,
}

impl Certificate {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of the same name as its authority, a certificate would seem to sign itself.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority of a test");
        let authority_key = KeyPair::generate().expect("a key can be made");
        let authority = params.self_signed(&authority_key).expect("it signs itself");
        let issuer = Issuer::new(params, authority_key);
        let params =
            CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("it is an address");
        let key = KeyPair::generate().expect("a key can be made");
        let leaf = params.signed_by(&key, &issuer).expect("it is signed");
        Self {
            authority: authority.pem(),
            certificate: leaf.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server that shows it, and its URL.
    fn server(&self, folder: &Path) -> (Redis, String) {
        let port = free_port().expect("a port is free").to_string();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("the folder can be written");
            path.display().to_string()
        };
        let (certificate, key, authority) = (
            file("cert.pem", &self.certificate),
            file("key.pem", &self.key),
            file("ca.pem", &self.authority),
        );
        let redis = server(
            folder,
            &[
                "--tls-port",
                &port,
                "--tls-cert-file",
                &certificate,
                "--tls-key-file",
                &key,
                "--tls-ca-cert-file",
                &authority,
                "--tls-auth-clients",
                "no",
            ],
        );
        (redis, format!("rediss://127.0.0.1:{port}"))
    }
}

#[tokio::test]
async fn a_certificate_is_verified_by_the_authority_that_was_named_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Certificate::new();
    let (_redis, url) = ours.server(folder.path());
    let trusting = options(&url).ca(ours.authority.as_bytes()).unwrap();
    let one = Instance::attach(trusting.clone()).await;
    let mut other = Instance::attach(trusting).await;
    let topic = topic();
    other.follow(topic).await;
    one.publish(topic, head(1)).await;
    assert_eq!(other.next().await, head(1));

    let theirs = Certificate::new().authority;
    let trusting_others = options(&url).ca(theirs.as_bytes()).unwrap();
    let trusting_the_public = options(&url);
    for options in [trusting_others, trusting_the_public] {
        let error = refused(options).await;
        assert!(matches!(error, ConnectRedisError::Tls(_)), "{error:?}");
    }
}
