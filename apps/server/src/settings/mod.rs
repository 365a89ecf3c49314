//! Settings: gathered as texts, read into types, all mistakes told at once.

mod mistakes;
mod sources;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ruggine_core::secret::SecretText;
use ruggine_server::Drain;
use ruggine_server::bus::redis::{RedisOptions, RedisPrefix};
use ruggine_server::http::{Network, TlsConfig};
use ruggine_server::key_source::{FixedKeys, KeyFile};
use ruggine_server::store::postgres::PostgresOptions;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub(crate) use mistakes::Mistakes;
pub(crate) use sources::Sources;

const DATA: &str = "ruggine-data";

/// What the server was told.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) database: Database,
    pub(crate) redis: Option<RedisOptions>,
    pub(crate) keys: Keys,
    pub(crate) api: SocketAddr,
    pub(crate) websocket: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) tls: Option<TlsConfig>,
    pub(crate) log_filter: String,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) drain: Drain,
    /// Whether clients are limited in how often they may do what they may do.
    pub(crate) rate_limits: bool,
}

/// Where everything is kept.
#[derive(Debug)]
pub(crate) enum Database {
    /// In a SQLite file, of which this process has the only use.
    Sqlite(PathBuf),
    /// On a PostgreSQL server, together with other instances.
    Postgres(Box<PostgresOptions>),
}

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(options) => options.fmt(f),
        }
    }
}

/// Where the master keys come from.
#[derive(Debug)]
pub(crate) enum Keys {
    /// They were given.
    Given(FixedKeys),
    /// A file beside the embedded database, made on first use.
    Embedded(KeyFile, PathBuf),
    /// Encryption is off.
    None,
}

impl Settings {
    /// Reads the texts. What can be checked without touching the database is
    /// checked here, TLS files included.
    pub(crate) fn read(sources: &Sources) -> Result<Self, Mistakes> {
        let mut reader = Reader {
            sources,
            mistakes: Mistakes::default(),
        };
        let host: IpAddr = reader.parsed("SERVER_HOST", Ipv4Addr::LOCALHOST.into());
        let port = reader.parsed("SERVER_PORT", 8443);
        let websocket_port = reader.parsed("WEBSOCKET_PORT", 8444);
        if port == websocket_port && port != 0 {
            reader.mistake(
                "WEBSOCKET_PORT",
                "is the same as SERVER_PORT: choose another",
            );
        }
        let admin = reader.parsed("ADMIN_ADDR", (Ipv4Addr::LOCALHOST, 9464).into());
        let database = reader.database();
        let embedded = database.is_none();
        let keys = reader.keys(embedded);
        let tls = reader.tls();
        let allow_plaintext = reader.parsed("ALLOW_PLAINTEXT", false);
        if !host.is_loopback() && tls.is_none() && !allow_plaintext && reader.mistakes.is_empty() {
            reader.mistake(
                "SERVER_HOST",
                "is not the loopback, so TLS_CERT_PATH and TLS_KEY_PATH are needed; behind a proxy that \
                 speaks TLS, set ALLOW_PLAINTEXT=true",
            );
        }
        let redis = reader.redis(database.as_ref());
        let log_filter = reader.log_filter();
        let allowed_origins = reader.list("RUGGINE_ALLOWED_ORIGINS");
        let trusted_proxies = reader.networks("RUGGINE_TRUSTED_PROXIES");
        let waits = if embedded {
            Drain::default()
        } else {
            Drain::GRACEFUL
        };
        let drain = Drain {
            lead: reader.seconds("RUGGINE_DRAIN_LEAD_SECONDS", waits.lead),
            spread: reader.seconds("RUGGINE_DRAIN_SPREAD_SECONDS", waits.spread),
            finish: reader.seconds("RUGGINE_DRAIN_FINISH_SECONDS", waits.finish),
        };
        let rate_limits = reader.parsed("RUGGINE_RATE_LIMITS", true);
        reader.mistakes.into_result()?;
        Ok(Self {
            database: database
                .unwrap_or_else(|| Database::Sqlite(Path::new(DATA).join("ruggine.sqlite"))),
            redis,
            keys,
            api: (host, port).into(),
            websocket: (host, websocket_port).into(),
            admin,
            tls,
            log_filter,
            allowed_origins,
            trusted_proxies,
            drain,
            rate_limits,
        })
    }
}

struct Reader<'a> {
    sources: &'a Sources,
    mistakes: Mistakes,
}

impl Reader<'_> {
    fn mistake(&mut self, name: &str, what: &str) {
        self.mistakes.add(name, what);
    }

    /// A setting, or its default where it is absent or, noted, unreadable.
    fn parsed<T: FromStr>(&mut self, name: &str, default: T) -> T {
        match self.sources.get(name) {
            None => default,
            Some(text) => text.expose().trim().parse().unwrap_or_else(|_| {
                self.mistake(name, &format!("must be {}", form_of(name)));
                default
            }),
        }
    }

    fn seconds(&mut self, name: &str, default: Duration) -> Duration {
        Duration::from_secs(self.parsed(name, default.as_secs()))
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = self.sources.get(name);
        let entries = text.iter().flat_map(|text| text.expose().split(','));
        entries
            .map(|entry| entry.trim().to_owned())
            .filter(|entry| !entry.is_empty())
            .collect()
    }

    fn networks(&mut self, name: &str) -> Vec<Network> {
        let entries = self.list(name);
        let parsed: Result<Vec<Network>, _> = entries.iter().map(|entry| entry.parse()).collect();
        parsed.unwrap_or_else(|_| {
            self.mistake(
                name,
                "must be IP addresses or networks such as 10.0.0.0/8, separated by commas",
            );
            Vec::new()
        })
    }

    /// The database; `None` for the embedded default.
    fn database(&mut self) -> Option<Database> {
        let text = self.sources.get("DATABASE_URL")?;
        let url = text.expose().trim();
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let options = PostgresOptions::from_url(&SecretText::new(url));
            return options
                .map(|options| Database::Postgres(Box::new(options)))
                .map_err(|error| self.mistake("DATABASE_URL", &format!("cannot be used: {error}")))
                .ok();
        }
        let path = url
            .strip_prefix("sqlite://")
            .or_else(|| url.strip_prefix("sqlite:"));
        match path {
            Some(path) if !path.is_empty() => Some(Database::Sqlite(path.into())),
            Some(_) => {
                self.mistake(
                    "DATABASE_URL",
                    "names no file: write it like sqlite:/var/lib/ruggine/ruggine.sqlite",
                );
                None
            }
            None => {
                self.mistake("DATABASE_URL", "must begin with postgres: or sqlite:");
                None
            }
        }
    }

    fn redis(&mut self, database: Option<&Database>) -> Option<RedisOptions> {
        let prefix = self.parsed("REDIS_PREFIX", RedisPrefix::default());
        let Some(url) = self.sources.get("REDIS_URL") else {
            for name in ["REDIS_CA_PATH", "REDIS_PREFIX"] {
                if self.sources.get(name).is_some() {
                    self.mistake(name, "is of no use without REDIS_URL: set both");
                }
            }
            return None;
        };
        if !matches!(database, Some(Database::Postgres(_))) && self.mistakes.is_empty() {
            self.mistake(
                "REDIS_URL",
                "is of no use: a SQLite file has one server; set DATABASE_URL to a PostgreSQL database \
                 to run several",
            );
            return None;
        }
        let options = RedisOptions::from_url(&SecretText::new(url.expose().trim()))
            .map_err(|error| self.mistake("REDIS_URL", &format!("cannot be used: {error}")))
            .ok()?
            .prefix(prefix);
        match self.sources.get("REDIS_CA_PATH") {
            None => Some(options),
            Some(path) => self.redis_ca(options, Path::new(path.expose().trim())),
        }
    }

    fn redis_ca(&mut self, options: RedisOptions, path: &Path) -> Option<RedisOptions> {
        let named = path.display();
        let pem = std::fs::read(path).map_err(|error| {
            let what = format!("names {named}, which cannot be read: {error}");
            self.mistake("REDIS_CA_PATH", &what);
        });
        let trusting = options.ca(&pem.ok()?).map_err(|error| {
            self.mistake(
                "REDIS_CA_PATH",
                &format!("names {named}, which cannot be used: {error}"),
            );
        });
        trusting.ok()
    }

    fn keys(&mut self, embedded: bool) -> Keys {
        if !self.parsed("ENABLE_ENCRYPTION", true) {
            return Keys::None;
        }
        let legacy = self
            .list("ENCRYPTION_LEGACY_KEYS")
            .into_iter()
            .map(SecretText::new)
            .collect();
        match self.sources.get("ENCRYPTION_MASTER_KEY") {
            Some(key) => {
                let keys = FixedKeys::new(SecretText::new(key.expose().trim()), legacy);
                if let Err(error) = keys.check() {
                    self.mistakes.add_sentence(error.to_string());
                }
                Keys::Given(keys)
            }
            None if embedded => {
                if !legacy.is_empty() {
                    self.mistake(
                        "ENCRYPTION_LEGACY_KEYS",
                        "is of no use without ENCRYPTION_MASTER_KEY: set both",
                    );
                }
                let path = Path::new(DATA).join("master.key");
                Keys::Embedded(KeyFile::new(&path), path)
            }
            None => {
                self.mistake(
                    "ENCRYPTION_MASTER_KEY",
                    "is missing: make one with `openssl rand -hex 32` and keep it outside the database's \
                     backups; or set ENABLE_ENCRYPTION=false to store texts readable",
                );
                Keys::None
            }
        }
    }

    fn tls(&mut self) -> Option<TlsConfig> {
        let certificate = self.sources.get("TLS_CERT_PATH");
        let key = self.sources.get("TLS_KEY_PATH");
        match (certificate, key) {
            (None, None) => None,
            (Some(_), None) => {
                self.mistake("TLS_KEY_PATH", "is missing beside TLS_CERT_PATH");
                None
            }
            (None, Some(_)) => {
                self.mistake("TLS_CERT_PATH", "is missing beside TLS_KEY_PATH");
                None
            }
            (Some(certificate), Some(key)) => {
                let loaded =
                    TlsConfig::from_files(Path::new(certificate.expose()), Path::new(key.expose()));
                match loaded {
                    Ok(tls) => Some(tls),
                    Err(error) => {
                        self.mistakes
                            .add_sentence(format!("TLS_CERT_PATH, TLS_KEY_PATH: {error}"));
                        None
                    }
                }
            }
        }
    }

    fn log_filter(&mut self) -> String {
        let filter = self
            .sources
            .get("LOG_LEVEL")
            .map_or_else(|| "info".to_owned(), |text| text.expose().trim().to_owned());
        let names_levels = filter.split(',').all(|part| {
            // Without a module or a span before it, a word must be a level.
            let level = part
                .rsplit_once('=')
                .map_or(part, |(_, level)| level)
                .trim();
            part.contains('[') || level.parse::<LevelFilter>().is_ok()
        });
        if !names_levels || EnvFilter::try_new(&filter).is_err() {
            self.mistake("LOG_LEVEL", "must be error, warn, info, debug or trace");
        }
        filter
    }
}

fn form_of(name: &str) -> &'static str {
    match name {
        "SERVER_HOST" => "an IP address, such as 127.0.0.1 or 0.0.0.0",
        "ADMIN_ADDR" => "an IP address and a port, such as 127.0.0.1:9464",
        "SERVER_PORT" | "WEBSOCKET_PORT" => "a port from 0 to 65535",
        "ALLOW_PLAINTEXT" | "ENABLE_ENCRYPTION" | "RUGGINE_RATE_LIMITS" => "true or false",
        "REDIS_PREFIX" => "1 to 64 letters, digits and the signs - _ . :",
        _ => "a whole number of seconds",
    }
}

#[cfg(test)]
mod tests;
