//! Command line flags. Each has an environment variable of the same meaning;
//! secrets have none, for a command line can be read by everybody.

use std::path::PathBuf;

use clap::Parser;

/// The Ruggine chat server.
///
/// With nothing set it listens on the loopback alone, keeps everything in
/// ./ruggine-data, and makes itself a master key there. A setting comes from a
/// flag, else from the environment, else from the file named by --config or
/// RUGGINE_CONFIG, else from its default.
#[derive(Debug, Parser)]
#[command(name = "ruggine-server", version, after_long_help = SECRETS)]
pub(crate) struct Arguments {
    /// Read settings from this TOML file, by their names in lower case [env: RUGGINE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where everything is kept: postgres://USER@HOST/NAME or sqlite:PATH [env: DATABASE_URL] [default: sqlite:ruggine-data/ruggine.sqlite]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Address to listen on [env: SERVER_HOST] [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,

    /// Port of the API and the WebSocket [env: SERVER_PORT] [default: 8443]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<String>,

    /// Port of the WebSocket alone [env: WEBSOCKET_PORT] [default: 8444]
    #[arg(long, value_name = "PORT")]
    pub(crate) websocket_port: Option<String>,

    /// Address of /metrics [env: ADMIN_ADDR] [default: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) admin_addr: Option<String>,

    /// Certificate chain, PEM [env: TLS_CERT_PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<String>,

    /// Private key, PEM [env: TLS_KEY_PATH]
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<String>,

    /// File with the master key of 64 hexadecimal characters [env: ENCRYPTION_MASTER_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) master_key_file: Option<String>,

    /// Seal what is stored: true or false [env: ENABLE_ENCRYPTION] [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) enable_encryption: Option<String>,

    /// Serve plain text off the loopback, behind a proxy that speaks TLS [env: ALLOW_PLAINTEXT]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) allow_plaintext: Option<String>,

    /// error, warn, info, debug or trace, also per module [env: LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,

    /// Check the settings and end
    #[arg(long)]
    pub(crate) check: bool,

    /// Say that the database was restored from a backup, and end: every device reads its log anew
    #[arg(long, conflicts_with = "check")]
    pub(crate) restored: bool,
}

const SECRETS: &str = "\
Further settings, from the environment or the file:
  ENCRYPTION_MASTER_KEY         64 hexadecimal characters: openssl rand -hex 32
  ENCRYPTION_LEGACY_KEYS        former master keys that still open, separated by commas
  ENCRYPTION_LEGACY_KEYS_FILE   a file with them
  DATABASE_URL_FILE             a file with DATABASE_URL
  REDIS_URL, REDIS_URL_FILE     redis://HOST:PORT, over which several servers on one database hear of each other;
                                any node of a Redis Cluster will do
  REDIS_CA_PATH                 certificates, PEM, of the authorities that are trusted for rediss://, and no others
  REDIS_PREFIX                  what names in Redis begin with, ruggine unless told: another for each deployment
  RUGGINE_ALLOWED_ORIGINS       web origins whose pages may open a WebSocket, separated by commas
  RUGGINE_TRUSTED_PROXIES       addresses or networks whose X-Forwarded-For is believed, separated by commas
  RUGGINE_DRAIN_LEAD_SECONDS    from \"not ready\" to closed ports at the end
  RUGGINE_DRAIN_SPREAD_SECONDS  over which WebSockets are closed at the end
  RUGGINE_DRAIN_FINISH_SECONDS  that everything else may take after that
  RUGGINE_RATE_LIMITS           false for measuring, or behind a gateway that limits clients itself

Signals: SIGTERM or Ctrl-C ends the server in order; a second one ends it at once.";
