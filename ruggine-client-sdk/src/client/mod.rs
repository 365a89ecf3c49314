//! A client: one device of one user on one server.

mod account;
mod builder;
mod conversations;
mod shared;

use ruggine_core::api::Operation;

pub use builder::{ClientBuilder, ClientOptions};
pub use conversations::Conversation;
pub(crate) use shared::Shared;

use crate::error::RequestError;
use crate::event::{ConnectionState, Events};

/// A client. Cloning it gives another handle to the same one; its work goes on
/// until [`Client::stop`] is called or the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Shared,
    /// Stops the work when the last handle goes.
    _guard: std::sync::Arc<shared::StopGuard>,
}

impl Client {
    /// Begins to say what a client is made of.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.shared.subscribe())
    }

    /// How the connection is now.
    #[must_use]
    pub fn connection(&self) -> ConnectionState {
        self.shared.state()
    }

    /// Waits until the connection is as wanted. Cancel safe.
    pub async fn wait_for_connection(
        &self,
        wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> ConnectionState {
        self.shared.wait_for_state(wanted).await
    }

    /// Does not wait any longer before the next attempt to connect.
    pub fn connect_now(&self) {
        self.shared.hurry();
    }

    /// Asks the server for any operation of the protocol.
    ///
    /// # Errors
    /// When there is no connection, or the server refuses.
    pub async fn request<O: Operation>(&self, operation: O) -> Result<O::Response, RequestError> {
        self.shared.link().request(operation).await
    }

    pub(crate) fn shared_handle(&self) -> Shared {
        self.shared.clone()
    }

    /// Ends the connection and all work. What waits in the outbox stays there.
    pub async fn stop(&self) {
        self.shared.stop().await;
    }
}
