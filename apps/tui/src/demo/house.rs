//! The server of the demo.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ruggine_server::config::{EngineConfig, Limits};
use ruggine_server::key_source::KeyFile;
use ruggine_server::{Drain, Server};

/// A server in this process that can be restarted on its port and folder.
#[derive(Debug)]
pub(super) struct House {
    folder: PathBuf,
    address: SocketAddr,
    server: Option<Server>,
}

impl House {
    /// Starts the server on a free port of the loopback.
    pub(super) async fn open(folder: &Path) -> anyhow::Result<Self> {
        let mut house = Self {
            folder: folder.to_path_buf(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            server: None,
        };
        house.start().await?;
        Ok(house)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join("chat.sqlite")
    }

    /// Ends the server and starts it again where it was.
    pub(super) async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await;
        self.start().await
    }

    pub(super) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shut_down(Drain::default()).await;
        }
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        let mut config = EngineConfig::default();
        // The demo measures the server, not the patience that it asks of people.
        config.limits = Limits::without_rates();
        let server = Server::builder()
            .sqlite(self.database())
            .await?
            .keys(KeyFile::new(self.folder.join("master.key")))
            .config(config)
            .listen(self.address)
            .start()
            .await?;
        if let Some(address) = server.addresses().first() {
            self.address = *address;
        }
        self.server = Some(server);
        Ok(())
    }
}
