//! Servers that are started on one folder with these keys or those.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ruggine_core::ConversationId;
use ruggine_core::api::account::Login;
use ruggine_core::secret::SecretText;
use ruggine_crypto::at_rest::MasterKey;
use ruggine_server::engine::StartError;
use ruggine_server::key_source::{FixedKeys, KeyFile};
use ruggine_server::testing::{HttpClient, text_message, words_of};
use ruggine_server::{BuildError, Drain, Server};
use sqlx::Connection;
use tempfile::TempDir;

use super::database::beside;
use super::requests::{group_of, register};

pub(crate) fn text(key: &MasterKey) -> SecretText {
    SecretText::new(key.to_hex().to_string())
}

pub(crate) fn keys(primary: &MasterKey, legacy: &[&MasterKey]) -> FixedKeys {
    FixedKeys::new(text(primary), legacy.iter().map(|key| text(key)).collect())
}

pub(crate) enum Sealing {
    Under(FixedKeys),
    File(KeyFile),
    Off,
}

/// Starts a server on a folder's database, or does not.
pub(crate) async fn start(folder: &Path, sealing: Sealing) -> Result<Server, BuildError> {
    let builder = Server::builder()
        .sqlite(folder.join("ruggine.db"))
        .await?
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    match sealing {
        Sealing::Under(keys) => builder.keys(keys),
        Sealing::File(file) => builder.keys(file),
        Sealing::Off => builder.without_sealing(),
    }
    .start()
    .await
}

pub(crate) async fn refused(folder: &Path, sealing: Sealing) -> StartError {
    match start(folder, sealing).await {
        Err(BuildError::Engine(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(server) => {
            server.shut_down(Drain::default()).await;
            panic!("the server started");
        }
    }
}

pub(crate) async fn stop(server: Server) {
    server.shut_down(Drain::default()).await;
}

pub(crate) fn client(server: &Server) -> HttpClient {
    HttpClient::new(server.addresses()[0])
}

/// The ids of the keys that are registered, in the folder's database.
pub(crate) async fn registered(folder: &Path) -> Vec<String> {
    let mut database = beside(&folder.join("ruggine.db")).await;
    let kids = sqlx::query_scalar("SELECT kid FROM sealing_keys ORDER BY kid")
        .fetch_all(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    kids
}

/// A folder with a database that was sealed so, and somebody in it.
pub(crate) async fn sealed(sealing: Sealing) -> (TempDir, Login, ConversationId) {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), sealing).await.unwrap();
    let login = client(&server).call(register("ada")).await.unwrap();
    let http = client(&server).with_token(&login.tokens.access);
    let group = http.call(group_of(Vec::new())).await.unwrap().id;
    http.call(text_message(group, "old words")).await.unwrap();
    stop(server).await;
    (folder, login, group)
}

pub(crate) async fn words(
    server: &Server,
    login: &Login,
    group: ConversationId,
) -> Vec<Option<String>> {
    let http = client(server).with_token(&login.tokens.access);
    let log = http.read_log(group).await.unwrap();
    log.iter().skip(1).map(words_of).collect()
}

pub(crate) fn some(words: &[&str]) -> Vec<Option<String>> {
    words
        .iter()
        .map(|words| Some((*words).to_owned()))
        .collect()
}
