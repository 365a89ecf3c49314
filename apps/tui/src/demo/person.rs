//! Somebody in the story: a client with a store of its own, and an ear.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ruggine_client_sdk::store::KeyFile;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::transport::WebSocketTransport;
use ruggine_client_sdk::{
    BackoffBounds, Client, ClientEvent, ClientOptions, ConnectionState, Conversation, Events,
};
use ruggine_core::secret::SecretText;
use ruggine_core::{ClientMsgId, ConversationId, Seq, UserId};

use super::latency::Stopwatch;

#[derive(Debug)]
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) user: UserId,
    store: PathBuf,
    server: String,
    watch: Stopwatch,
    /// Absent while the program is closed.
    client: Option<Client>,
}

impl Person {
    /// Creates an account and connects.
    pub(super) async fn arrive(
        name: &'static str,
        password: &str,
        server: &str,
        folder: &Path,
        watch: Stopwatch,
    ) -> anyhow::Result<Self> {
        let store = folder.join(name.to_lowercase());
        std::fs::create_dir_all(&store)?;
        let client = connect(&store, server)?;
        listen(client.events(), watch.clone());
        let user = client
            .register(
                &name.to_lowercase(),
                SecretText::new(password),
                Some(name.to_owned()),
                None,
            )
            .await
            .with_context(|| format!("{name} could not register"))?;
        let person = Self {
            name,
            user: user.id,
            store,
            server: server.to_owned(),
            watch,
            client: Some(client),
        };
        person.wait_online().await?;
        Ok(person)
    }

    /// Stops the client, as if the program had been closed.
    pub(super) async fn leave(&mut self) {
        if let Some(client) = self.client.take() {
            client.stop().await;
        }
    }

    /// Starts the client anew on what it had stored.
    pub(super) async fn come_back(&mut self) -> anyhow::Result<()> {
        let client = connect(&self.store, &self.server)?;
        listen(client.events(), self.watch.clone());
        self.client = Some(client);
        self.wait_online().await
    }

    async fn wait_online(&self) -> anyhow::Result<()> {
        self.client()?
            .wait_for_connection(|state| *state == ConnectionState::Online)
            .await;
        Ok(())
    }

    pub(super) fn client(&self) -> anyhow::Result<&Client> {
        self.client
            .as_ref()
            .with_context(|| format!("{} is away", self.name))
    }

    pub(super) fn conversation(&self, id: ConversationId) -> anyhow::Result<Conversation> {
        Ok(self.client()?.conversation(id))
    }

    /// Says something; it is in the outbox when this returns.
    pub(super) async fn say(&self, id: ConversationId, text: &str) -> anyhow::Result<ClientMsgId> {
        let now = Instant::now();
        let message = self.conversation(id)?.send_text(text).await?;
        self.watch.sent(message, now);
        Ok(message)
    }

    /// Waits until the log up to this number is stored here.
    pub(super) async fn wait_for(&self, id: ConversationId, seq: Seq) -> anyhow::Result<()> {
        let mut events = self.client()?.events();
        loop {
            let record = self.conversation(id)?.record().await?;
            if record.is_some_and(|record| record.cursor >= seq) {
                return Ok(());
            }
            if events.next().await.is_none() {
                bail!("the client of {} stopped", self.name);
            }
        }
    }
}

fn connect(store: &Path, server: &str) -> anyhow::Result<Client> {
    let key = KeyFile::new(store.join("client.key"));
    let store = SqliteStore::open(store.join("client.store"), &key)?;
    let mut options = ClientOptions::default();
    // The server of the demo comes back at once: so do its clients.
    options.backoff = BackoffBounds {
        base: Duration::from_millis(50),
        cap: Duration::from_millis(500),
        ..BackoffBounds::default()
    };
    Ok(Client::builder()
        .options(options)
        .start(WebSocketTransport::new(server.parse()?), store))
}

/// Notes when messages are acknowledged and received.
fn listen(mut events: Events, watch: Stopwatch) {
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                ClientEvent::Acknowledged { client_msg_id, .. } => {
                    watch.acknowledged(client_msg_id);
                }
                ClientEvent::Message { message, .. } => watch.received(message.client_msg_id),
                _ => {}
            }
        }
    });
}
