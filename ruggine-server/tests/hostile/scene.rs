//! A server with somebody who means harm, and the neighbour who must not notice.

use std::net::SocketAddr;
use std::sync::Arc;

use ruggine_core::codec::Encoding;
use ruggine_core::secret::SecretText;
use ruggine_core::{ApiError, ConversationId};
use ruggine_server::metrics::PrometheusMetrics;
use ruggine_server::testing::{
    HttpClient, Person, ServerOptions, SocketClient, TestServer, text_message,
};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Row};

use super::raw_socket::RawSocket;

pub(crate) const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::MsgPack];

/// A server with somebody who means harm and a neighbour who must not notice.
pub(crate) struct Scene {
    pub(crate) server: TestServer,
    pub(crate) metrics: Arc<PrometheusMetrics>,
    pub(crate) mallory: Person,
    /// A group that Mallory is in.
    pub(crate) shared: ConversationId,
    /// One of the neighbour's that Mallory is not in.
    pub(crate) private: ConversationId,
    pub(crate) neighbour: SocketClient,
    database: SqliteConnection,
    stored: Vec<i64>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::of(TestServer::options()).await
    }

    pub(crate) async fn of(options: ServerOptions) -> Self {
        let metrics = Arc::new(PrometheusMetrics::new().unwrap());
        let server = options.metrics(metrics.clone()).start().await;
        let ada = server.register("ada").await;
        let mallory = server.register("mallory").await;
        let shared = server.group(&ada, &[&mallory]).await;
        let private = server.group(&ada, &[]).await;
        let mut neighbour = SocketClient::connect(server.address(), Encoding::MsgPack).await;
        neighbour.hello(ada.token()).await.unwrap();
        let database = SqliteConnectOptions::new()
            .filename(server.database())
            .read_only(true)
            .connect()
            .await
            .unwrap();
        let mut scene = Self {
            server,
            metrics,
            mallory,
            shared,
            private,
            neighbour,
            database,
            stored: Vec::new(),
        };
        scene.stored = scene.count().await;
        scene
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Mallory over HTTP.
    pub(crate) fn http(&self) -> HttpClient {
        self.server.http_of(&self.mallory)
    }

    /// Mallory over a WebSocket, after hello where `greeted`.
    pub(crate) async fn raw(&self, encoding: Encoding, greeted: bool) -> RawSocket {
        let mut socket = RawSocket::open(self.address(), encoding).await;
        if greeted {
            let hello = hello(self.mallory.token());
            socket.begin(0, &hello).await;
            let answer = socket.answer().await;
            assert!(answer["result"].is_object(), "{answer}");
        }
        socket
    }

    /// How much the database holds of everything that a request can add.
    async fn count(&mut self) -> Vec<i64> {
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM usernames),
                    (SELECT count(*) FROM devices), (SELECT count(*) FROM sessions),
                    (SELECT count(*) FROM tokens), (SELECT count(*) FROM conversations),
                    (SELECT count(*) FROM members), (SELECT count(*) FROM messages),
                    (SELECT count(*) FROM device_cursors), (SELECT count(*) FROM read_positions),
                    (SELECT count(*) FROM device_lists), (SELECT count(*) FROM key_packages),
                    (SELECT sum(last_seq) FROM conversations),
                    (SELECT count(*) FROM sessions WHERE revoked_at IS NULL),
                    (SELECT sum(write_counter) FROM devices)",
        )
        .fetch_one(&mut self.database)
        .await
        .unwrap();
        (0..row.len()).map(|column| row.get(column)).collect()
    }

    /// Takes what has been stored since as meant to be.
    pub(crate) async fn accept(&mut self) {
        self.stored = self.count().await;
    }

    /// Nothing was stored, nothing panicked, and the neighbour is still served.
    pub(crate) async fn is_unharmed(&mut self, after: &str) {
        assert_eq!(self.count().await, self.stored, "stored by {after}");
        let figures = self.metrics.render();
        assert!(figures.contains("\npanics 0\n"), "{after}: {figures}");
        let message = text_message(self.private, after);
        let ack = self.neighbour.call(message).await.unwrap();
        // What was sent elsewhere comes to the neighbour too.
        let row = loop {
            let (conversation, row) = self.neighbour.next_row().await;
            if conversation == self.private {
                break row;
            }
        };
        assert_eq!(row.seq, ack.seq, "{after}");
        self.accept().await;
    }
}

pub(crate) fn hello(token: &SecretText) -> Value {
    let params = json!({"token": token.expose(), "protocol": 1});
    json!({"method": "hello", "params": params})
}

pub(crate) async fn refused<O: ruggine_core::api::Operation>(
    http: &HttpClient,
    request: O,
) -> ApiError
where
    O::Response: std::fmt::Debug,
{
    http.call(request).await.unwrap_err()
}
