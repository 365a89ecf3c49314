//! A client on a real server, with a store of its own that outlives it.

use std::net::SocketAddr;
use std::path::Path;

use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::store::{
    ConversationRecord, KeyFile, MessageRecord, SendProgress, StoreError,
};
use ruggine_client_sdk::transport::WebSocketTransport;
use ruggine_client_sdk::{Client, ClientOptions, ConnectionState, Conversation, Events};
use ruggine_core::api::conversation::ProtectionMode;
use ruggine_core::secret::SecretText;
use ruggine_core::{ConversationId, Seq, UserId};
use ruggine_server::testing::{TestServer, patiently};
use tempfile::TempDir;

use super::{quick, until};

pub(crate) const PASSWORD: &str = "pontile cenere valigia otto";

#[derive(Debug)]
pub(crate) struct Device {
    folder: TempDir,
    address: SocketAddr,
    options: ClientOptions,
    user: UserId,
    client: Option<Client>,
}

/// A store that is in a folder, once whoever had it open has let go of it.
pub(crate) async fn open_store(folder: &Path) -> SqliteStore {
    let folder = folder.to_path_buf();
    let opened = tokio::task::spawn_blocking(move || {
        loop {
            let key = KeyFile::new(folder.join("key"));
            match SqliteStore::open(folder.join("store"), &key) {
                Err(StoreError::InUse) => {}
                opened => return opened,
            }
        }
    });
    patiently("the store to be free", opened)
        .await
        .expect("opening does not panic")
        .expect("the store opens")
}

pub(crate) async fn start(folder: &Path, address: SocketAddr, options: ClientOptions) -> Client {
    let store = open_store(folder).await;
    let server = format!("http://{address}").parse().expect("an address");
    Client::builder()
        .options(options)
        .start(WebSocketTransport::new(server), store)
}

impl Device {
    /// A new account on its first device, online.
    pub(crate) async fn register(server: &TestServer, username: &str) -> Self {
        Self::register_with(server, username, quick()).await
    }

    pub(crate) async fn register_with(
        server: &TestServer,
        username: &str,
        options: ClientOptions,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let client = start(folder.path(), server.address(), options.clone()).await;
        let user = client
            .register(username, SecretText::new(PASSWORD), None, None)
            .await
            .expect("the username is free");
        let device = Self {
            folder,
            address: server.address(),
            options,
            user: user.id,
            client: Some(client),
        };
        device.online().await;
        device
    }

    /// A further device of an account, and its events from the login on.
    pub(crate) async fn log_in(
        server: &TestServer,
        username: &str,
        options: ClientOptions,
    ) -> (Self, Events) {
        let folder = tempfile::tempdir().expect("a folder");
        let client = start(folder.path(), server.address(), options.clone()).await;
        let events = client.events();
        let user = client
            .log_in(username, SecretText::new(PASSWORD), None)
            .await
            .expect("the password is right");
        let device = Self {
            folder,
            address: server.address(),
            options,
            user: user.id,
            client: Some(client),
        };
        device.online().await;
        (device, events)
    }

    pub(crate) fn user(&self) -> UserId {
        self.user
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().expect("the device is switched on")
    }

    pub(crate) fn at(&self, id: ConversationId) -> Conversation {
        self.client().conversation(id)
    }

    pub(crate) fn events(&self) -> Events {
        self.client().events()
    }

    pub(crate) async fn online(&self) {
        self.wait_for(ConnectionState::Online).await;
    }

    pub(crate) async fn wait_for(&self, wanted: ConnectionState) {
        let client = self.client();
        let what = format!("the connection to be {wanted:?}");
        patiently(&what, client.wait_for_connection(|state| *state == wanted)).await;
    }

    /// Ends the client; its store stays.
    pub(crate) async fn close(&mut self) {
        if let Some(client) = self.client.take() {
            patiently("the client to stop", client.stop()).await;
        }
    }

    /// Drops the client without a word.
    pub(crate) fn vanish(&mut self) {
        self.client = None;
    }

    /// Starts the client on what it had stored, without waiting for a connection.
    pub(crate) async fn open(&mut self) -> Events {
        let client = start(self.folder.path(), self.address, self.options.clone()).await;
        let events = client.events();
        self.client = Some(client);
        events
    }

    pub(crate) async fn group(&self, others: &[&Self]) -> ConversationId {
        let users = others.iter().map(|device| device.user).collect();
        self.client()
            .group(users, ProtectionMode::Managed, None)
            .await
            .expect("a group can be made")
            .id()
    }

    pub(crate) async fn direct(&self, other: &Self) -> ConversationId {
        self.client()
            .direct(other.user, ProtectionMode::Managed)
            .await
            .expect("a conversation can be made")
            .id()
    }

    pub(crate) async fn say(&self, id: ConversationId, words: &str) {
        self.at(id)
            .send_text(words)
            .await
            .expect("the message is queued");
    }

    pub(crate) async fn mark_read(&self, id: ConversationId, number: u64) {
        self.at(id)
            .mark_read(Seq::new(number))
            .await
            .expect("the store can be written");
    }

    pub(crate) async fn record(&self, id: ConversationId) -> ConversationRecord {
        self.at(id)
            .record()
            .await
            .expect("the store can be read")
            .expect("the conversation is known")
    }

    /// Waits until the log is stored here up to a number.
    pub(crate) async fn has(&self, id: ConversationId, number: u64) {
        let what = format!("number {number} to be stored");
        until(self.client(), &what, async || {
            self.cursor(id).await >= Seq::new(number)
        })
        .await;
    }

    async fn cursor(&self, id: ConversationId) -> Seq {
        let line = self.at(id).outbox().await.expect("the store can be read");
        let failed = line.iter().find_map(|message| match message.progress {
            SendProgress::Failed(code) => Some(code),
            _ => None,
        });
        assert_eq!(failed, None, "a message was refused for good");
        let record = self.at(id).record().await.expect("the store can be read");
        record.map_or(Seq::ZERO, |record| record.cursor)
    }

    /// The rows that are stored here, oldest first.
    pub(crate) async fn log(&self, id: ConversationId) -> Vec<MessageRecord> {
        let rows = self.at(id).messages(Seq::MAX, usize::MAX).await;
        let mut rows = rows.expect("the store can be read");
        rows.reverse();
        rows
    }
}
