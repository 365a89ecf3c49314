//! Registering, logging in, logging out.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use clap::Args;
use ruggine_client_sdk::RequestError;
use ruggine_core::secret::SecretText;

use crate::output;
use crate::profile::{Profile, using};

#[derive(Debug, Args)]
pub(crate) struct RegisterArguments {
    /// The handle that is wanted: 3 to 32 of a-z 0-9 . _ -
    username: String,
    /// Where the server is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8443")]
    server: String,
    /// The name that others see [default: the username].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    password: PasswordArguments,
}

#[derive(Debug, Args)]
pub(crate) struct LoginArguments {
    /// The handle.
    username: String,
    /// Where the server is [default: where this profile's account is].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    password: PasswordArguments,
}

#[derive(Debug, Args)]
struct PasswordArguments {
    /// Read the password from the first line of standard input.
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordArguments {
    /// Asks for the password, or reads it where nobody can be asked.
    async fn password(&self) -> anyhow::Result<SecretText> {
        let from_stdin = self.password_stdin || !std::io::stdin().is_terminal();
        tokio::task::spawn_blocking(move || {
            if !from_stdin {
                return Ok(SecretText::new(rpassword::prompt_password("Password: ")?));
            }
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            let password = SecretText::new(line.trim_end_matches(['\r', '\n']));
            drop(SecretText::new(line));
            Ok(password)
        })
        .await?
        .map_err(|error: std::io::Error| anyhow::anyhow!("cannot read the password: {error}"))
    }
}

pub(crate) async fn register(
    profile: &Profile,
    arguments: RegisterArguments,
) -> anyhow::Result<ExitCode> {
    using(profile.open_on(Some(&arguments.server))?, async |client| {
        let password = arguments.password.password().await?;
        let registered = client
            .register(&arguments.username, password, arguments.name, device_name())
            .await;
        let user = registered.map_err(explained)?;
        profile.remember(Some(&arguments.server))?;
        output::line(&format!("Welcome, {}. You are logged in.", user.username))?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

pub(crate) async fn login(
    profile: &Profile,
    arguments: LoginArguments,
) -> anyhow::Result<ExitCode> {
    let server = arguments.server.as_deref();
    using(profile.open_on(server)?, async |client| {
        let password = arguments.password.password().await?;
        let user = client
            .log_in(&arguments.username, password, device_name())
            .await
            .map_err(explained)?;
        profile.remember(server)?;
        output::line(&format!("You are logged in as {}.", user.username))?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

pub(crate) async fn logout(profile: &Profile) -> anyhow::Result<ExitCode> {
    using(profile.open()?, async |client| {
        crate::profile::online(client).await?;
        client.log_out().await.map_err(explained)?;
        output::line("You are logged out. Your messages stay readable here.")?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// A server's refusal with what it says about the field.
fn explained(error: RequestError) -> anyhow::Error {
    let details = match &error {
        RequestError::Refused(refusal) => refusal.details.clone(),
        _ => None,
    };
    let error = anyhow::Error::new(error);
    match details {
        Some(details) => error.context(details),
        None => error,
    }
}

fn device_name() -> Option<String> {
    std::fs::read_to_string("/etc/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}
