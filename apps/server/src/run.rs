//! The server from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ruggine_server::config::{EngineConfig, Limits};
use ruggine_server::engine::Engine;
use ruggine_server::http::EdgeConfig;
use ruggine_server::metrics::PrometheusMetrics;
use ruggine_server::store::postgres::PostgresStore;
use ruggine_server::store::sqlite::SqliteStore;
use ruggine_server::store::{Store, StoreError};
use ruggine_server::{Server, ServerBuilder};
use rustix::process::{Resource, Rlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::settings::{Database, Keys, Settings};

/// How often the program asks whether its database is still the same.
const LOOK: Duration = Duration::from_secs(2);

pub(crate) fn run(settings: Settings) -> anyhow::Result<()> {
    forbid_core_dumps();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(serve(settings))
}

/// Gives the log another identity, by which devices know that it was restored.
pub(crate) fn begin_anew(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let store: Arc<dyn Store> = match settings.database {
            Database::Sqlite(path) => Arc::new(SqliteStore::open(path).await?),
            Database::Postgres(options) => Arc::new(PostgresStore::open(*options).await?),
        };
        let incarnation = store.begin_incarnation().await?;
        store.close().await;
        tracing::info!(%incarnation, "the log begins anew: every device reads it again");
        Ok(())
    })
}

/// Keys live in memory, so memory must not be written to disk by a crash.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "core dumps could not be switched off");
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let metrics = Arc::new(PrometheusMetrics::new()?);
    let (admin_listener, admin) = admin::listen(settings.admin, Arc::clone(&metrics)).await?;
    if !admin.ip().is_loopback() {
        tracing::warn!(%admin, "metrics are served off the loopback, without TLS or a login");
    }
    let mut edge = EdgeConfig::default();
    edge.allowed_origins.clone_from(&settings.allowed_origins);
    edge.trusted_proxies.clone_from(&settings.trusted_proxies);
    let mut builder = with_services(Server::builder(), &settings)
        .await?
        .config(engine_config(&settings))
        .metrics(metrics)
        .edge(edge)
        .listen(settings.api)
        .listen_websocket(settings.websocket);
    if let Some(tls) = settings.tls.clone() {
        builder = builder.tls(tls);
    }
    let server = with_keys(builder, &settings)?.start().await?;
    let stop_admin = CancellationToken::new();
    let admin_task = tokio::spawn(admin_listener.run(stop_admin.clone()));
    announce(&server, &settings, admin);

    tokio::select! {
        () = signals.next() => {}
        () = replaced(server.engine()) => {
            // Nothing that was taken can be kept. Whoever watches over the
            // process starts it again, and then the log begins anew.
            bail!(StoreError::Replaced);
        }
    }
    tracing::info!("ending: no new connections, what was taken is finished");
    tokio::select! {
        () = server.shut_down(settings.drain) => tracing::info!("ended"),
        () = signals.next() => {
            tracing::warn!("ended at once by a second signal");
            std::process::exit(130);
        }
    }
    stop_admin.cancel();
    admin_task.await.context("the admin listener failed")
}

/// Waits until the database turns out to be another one.
async fn replaced(engine: &Engine) {
    while !matches!(engine.ready().await, Err(StoreError::Replaced)) {
        tokio::time::sleep(LOOK).await;
    }
}

fn engine_config(settings: &Settings) -> EngineConfig {
    let mut config = EngineConfig::default();
    if !settings.rate_limits {
        tracing::warn!(
            "RUGGINE_RATE_LIMITS=false: clients may do everything as often as they like"
        );
        config.limits = Limits::without_rates();
    }
    config
}

/// Opens the database and the bus.
async fn with_services(
    builder: ServerBuilder,
    settings: &Settings,
) -> anyhow::Result<ServerBuilder> {
    let builder = match &settings.database {
        Database::Sqlite(path) => builder.sqlite(path).await?,
        Database::Postgres(options) => builder.postgres((**options).clone()).await?,
    };
    match &settings.redis {
        Some(options) => builder
            .redis(options.clone())
            .await
            .context("cannot use the server of REDIS_URL"),
        None => Ok(builder),
    }
}

fn with_keys(builder: ServerBuilder, settings: &Settings) -> anyhow::Result<ServerBuilder> {
    Ok(match &settings.keys {
        Keys::Given(keys) => builder.keys(keys.clone()),
        Keys::Embedded(file, path) => {
            let fingerprint = file.fingerprint()?;
            tracing::info!(
                path = %path.display(),
                %fingerprint,
                "texts are sealed under the master key in this file: keep a copy elsewhere, \
                 without it they are lost"
            );
            builder.keys(file.clone())
        }
        Keys::None => {
            tracing::warn!(
                "ENABLE_ENCRYPTION=false: EVERY TEXT IS STORED READABLE. Whoever reads the database reads \
                 the messages"
            );
            builder.without_sealing()
        }
    })
}

fn announce(server: &Server, settings: &Settings, admin: SocketAddr) {
    let (http, ws) = match settings.tls {
        Some(_) => ("https", "wss"),
        None => ("http", "ws"),
    };
    for address in server.addresses() {
        tracing::info!(url = format!("{http}://{address}"), "API and WebSocket");
    }
    for address in server.websocket_addresses() {
        tracing::info!(url = format!("{ws}://{address}/v1/ws"), "WebSocket");
    }
    tracing::info!(url = format!("http://{admin}/metrics"), "metrics");
    tracing::info!(database = %settings.database, "ready");
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
