//! The Ruggine terminal client.

mod commands;
mod demo;
mod output;
mod profile;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Chat from a terminal.
///
/// Each profile is one device of one user on one server. Its messages are kept
/// in an encrypted file and are readable without a connection.
#[derive(Debug, Parser)]
#[command(name = "ruggine-tui", version, propagate_version = true)]
struct Arguments {
    /// Which profile to use.
    #[arg(
        long,
        global = true,
        default_value = "default",
        env = "RUGGINE_PROFILE"
    )]
    profile: String,

    /// Folder of all profiles [default: the user's data folder].
    #[arg(long, global = true, env = "RUGGINE_HOME", value_name = "FOLDER")]
    home: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the whole of Ruggine at work: a server, three people, a restart.
    ///
    /// Everything runs in this process and in a fresh folder. Nothing else is
    /// needed and nothing is left.
    Demo(demo::DemoArguments),
    /// Create an account on a server and log this profile in.
    Register(commands::RegisterArguments),
    /// Log this profile in.
    Login(commands::LoginArguments),
    /// End the login of this profile. Messages stay readable.
    Logout,
    /// List conversations, the newest first.
    Chats(commands::ChatsArguments),
    /// Begin a group.
    Group(commands::GroupArguments),
    /// Send a message and wait until the server has it.
    Send(commands::SendArguments),
    /// Show messages as they arrive, until Ctrl-C.
    Tail(commands::TailArguments),
    /// Show the newest messages of a conversation.
    History(commands::HistoryArguments),
}

/// How long open stores may take to close at the end.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(2);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("LOG_LEVEL").unwrap_or_else(|_| EnvFilter::new("error")),
        )
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&error.into()),
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = run(arguments) => result,
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
        }
    });
    // Stores close before the libraries below them are taken down; a password
    // prompt that nobody answers is not waited for.
    runtime.shutdown_timeout(GOODBYE);
    result.unwrap_or_else(|error| output::failure(&error))
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let command = match arguments.command {
        // The demo is nobody's profile.
        Command::Demo(demo) => return demo::run(demo).await,
        command => command,
    };
    let profile = profile::Profile::new(arguments.home, &arguments.profile)?;
    match command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Register(register) => commands::register(&profile, register).await,
        Command::Login(login) => commands::login(&profile, login).await,
        Command::Logout => commands::logout(&profile).await,
        Command::Chats(chats) => commands::chats(&profile, &chats).await,
        Command::Group(group) => commands::group(&profile, group).await,
        Command::Send(send) => commands::send(&profile, send).await,
        Command::Tail(tail) => commands::tail(&profile, tail).await,
        Command::History(history) => commands::history(&profile, history).await,
    }
}
