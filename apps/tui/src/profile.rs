//! A profile: where one device keeps its store, its key and its server's address.

use std::path::PathBuf;

use anyhow::{Context, bail};
use ruggine_client_sdk::store::KeyFile;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::transport::{ServerUrl, WebSocketTransport};
use ruggine_client_sdk::{Client, ClientOptions, ConnectionState};
use serde::{Deserialize, Serialize};

/// How long a command waits for a connection.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Profile {
    folder: PathBuf,
    name: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    server: String,
}

impl Profile {
    pub(crate) fn new(home: Option<PathBuf>, name: &str) -> anyhow::Result<Self> {
        let fits = !name.is_empty()
            && name.len() <= 64
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        if !fits {
            bail!("a profile's name has 1 to 64 letters, digits, hyphens and underscores");
        }
        let home = match home {
            Some(home) => home,
            None => data_folder()?.join("ruggine"),
        };
        Ok(Self {
            folder: home.join(name),
            name: name.to_owned(),
        })
    }

    /// The client of this profile on the server it knows.
    pub(crate) fn open(&self) -> anyhow::Result<Client> {
        let path = self.folder.join("profile.toml");
        let text = std::fs::read_to_string(&path).map_err(|_| {
            anyhow::anyhow!(
                "the profile {:?} has no account yet: use `ruggine-tui register` or `ruggine-tui login`",
                self.name
            )
        })?;
        let settings: Settings =
            toml::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
        self.start(&settings.server)
    }

    /// The client of this profile on a server that is named, or known already.
    pub(crate) fn open_on(&self, server: Option<&str>) -> anyhow::Result<Client> {
        match server {
            None => self.open(),
            Some(server) => self.start(server),
        }
    }

    /// Remembers the server, once an account there is known to be good.
    pub(crate) fn remember(&self, server: Option<&str>) -> anyhow::Result<()> {
        let Some(server) = server else {
            return Ok(());
        };
        let settings = Settings {
            server: server.parse::<ServerUrl>()?.to_string(),
        };
        let path = self.folder.join("profile.toml");
        std::fs::write(&path, toml::to_string(&settings)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn start(&self, server: &str) -> anyhow::Result<Client> {
        let server: ServerUrl = server.parse()?;
        create_private(&self.folder)
            .with_context(|| format!("cannot use the folder {}", self.folder.display()))?;
        let key = KeyFile::new(self.folder.join("client.key"));
        let store = SqliteStore::open(self.folder.join("client.store"), &key)?;
        let mut options = ClientOptions::default();
        options.locale = locale();
        let transport = WebSocketTransport::new(server);
        let transport = match &options.locale {
            Some(locale) => transport.speaking(locale),
            None => transport,
        };
        Ok(Client::builder().options(options).start(transport, store))
    }
}

/// Does something with a client and stops it, however that ended.
pub(crate) async fn using<T>(
    client: Client,
    work: impl AsyncFnOnce(&Client) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let result = work(&client).await;
    client.stop().await;
    result
}

/// Waits until the client is connected.
pub(crate) async fn online(client: &Client) -> anyhow::Result<()> {
    if client
        .identity()
        .await?
        .is_none_or(|identity| identity.tokens.is_none())
    {
        bail!("nobody is logged in: use `ruggine-tui login`");
    }
    let settled = client.wait_for_connection(|state| {
        matches!(state, ConnectionState::Online | ConnectionState::Stopped)
    });
    match tokio::time::timeout(PATIENCE, settled).await {
        Ok(ConnectionState::Online) => Ok(()),
        Ok(_) => bail!("the client stopped"),
        Err(_) => bail!(
            "the server did not answer within {} seconds: check that it runs and that its address is right",
            PATIENCE.as_secs()
        ),
    }
}

/// The language of the environment, as the server's messages should be.
fn locale() -> Option<std::sync::Arc<str>> {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .map(Into::into)
}

fn data_folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home =
        std::env::var_os("HOME").context("set --home: there is no HOME in the environment")?;
    Ok(PathBuf::from(home).join(".local").join("share"))
}

fn create_private(folder: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
