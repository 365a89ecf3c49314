//! Registering, logging in, logging out.

use ruggine_core::api::Operation;
use ruggine_core::api::account::{KnownDevice, LogIn, Login, LookUp, Register, User};
use ruggine_core::api::session::LogOut;
use ruggine_core::secret::SecretText;

use super::Client;
use crate::error::RequestError;
use crate::event::ClientEvent;
use crate::link::Live;
use crate::store::{ClientStore, Identity};

impl Client {
    /// Creates an account and logs this device in.
    ///
    /// # Errors
    /// When the name is taken, the password too weak, or the server cannot be
    /// reached. The store is unchanged then.
    pub async fn register(
        &self,
        username: &str,
        password: SecretText,
        display_name: Option<String>,
        device_name: Option<String>,
    ) -> Result<User, RequestError> {
        let login = self
            .alone(&Register {
                username: username.to_owned(),
                password,
                display_name,
                device_name,
            })
            .await?;
        self.adopt(login, None).await
    }

    /// Logs in: as the device that this store belongs to where it belongs to
    /// that user, else as a new one. A store that the server has found to be an
    /// old copy is emptied and begins as a new device.
    ///
    /// # Errors
    /// When name and password do not match, or the server cannot be reached.
    /// The store is unchanged then.
    pub async fn log_in(
        &self,
        username: &str,
        password: SecretText,
        device_name: Option<String>,
    ) -> Result<User, RequestError> {
        let known = self
            .shared
            .store_step(ClientStore::identity)
            .await?
            .filter(|identity| {
                identity
                    .user
                    .username
                    .as_str()
                    .eq_ignore_ascii_case(username)
            });
        let known = known.and_then(|identity| {
            let secret = identity.device_secret?;
            Some(KnownDevice {
                id: identity.device,
                secret,
            })
        });
        let secret = known.as_ref().map(|device| device.secret.clone());
        let login = self
            .alone(&LogIn {
                username: username.to_owned(),
                password,
                device: known,
                device_name,
            })
            .await?;
        self.adopt(login, secret).await
    }

    /// Ends the login on the server and here. Messages stay readable.
    ///
    /// # Errors
    /// When the server cannot be reached; the tokens are forgotten all the same.
    pub async fn log_out(&self) -> Result<(), RequestError> {
        let answer = self.request(LogOut {}).await;
        self.shared.store_step(ClientStore::forget_tokens).await?;
        self.shared.end_connection();
        match answer {
            // The server closes the connection of the session that it ends, and
            // that may come before its answer.
            Ok(_) | Err(RequestError::Disconnected | RequestError::LoggedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Who is logged in, or was last.
    ///
    /// # Errors
    /// When the local store fails.
    pub async fn identity(&self) -> Result<Option<Identity>, RequestError> {
        Ok(self.shared.store_step(ClientStore::identity).await?)
    }

    /// Finds a user by exact username.
    ///
    /// # Errors
    /// When there is none, or no connection.
    pub async fn look_up(&self, username: &str) -> Result<User, RequestError> {
        let user = self
            .request(LookUp {
                username: username.to_owned(),
            })
            .await?;
        let known = user.clone();
        self.shared
            .store_step(move |store| store.put_user(&known))
            .await?;
        Ok(user)
    }

    /// Asks over a connection of its own, as one must before a login.
    async fn alone<O: Operation>(&self, operation: &O) -> Result<O::Response, RequestError> {
        let connection = self.shared.transport().connect().await?;
        Live::new(connection).exchange(operation, None).await
    }

    async fn adopt(
        &self,
        login: Login,
        known_secret: Option<SecretText>,
    ) -> Result<User, RequestError> {
        let device_secret = login
            .device_secret
            .or(known_secret)
            .ok_or(RequestError::Nonsense("a login without a device secret"))?;
        let user = login.user.clone();
        let identity = Identity {
            user: login.user,
            device: login.device,
            device_secret: Some(device_secret),
            session: login.session,
            tokens: Some(login.tokens),
        };
        self.shared
            .store_step(move |store| store.set_identity(identity))
            .await?;
        self.shared.emit(ClientEvent::Login);
        self.shared.end_connection();
        self.shared.note_login();
        Ok(user)
    }
}
