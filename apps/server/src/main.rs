//! The Ruggine chat server.

mod admin;
mod arguments;
mod logging;
mod run;
mod settings;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use settings::{Settings, Sources};

/// Every message is some dozens of small allocations that another thread frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (check_only, restored) = (arguments.check, arguments.restored);
    let settings = match Sources::gather(&arguments).and_then(|sources| Settings::read(&sources)) {
        Ok(settings) => settings,
        Err(mistakes) => {
            // No log exists yet, and these sentences are for whoever starts the program.
            let _ = write!(std::io::stderr().lock(), "{mistakes}");
            return ExitCode::from(2);
        }
    };
    if check_only {
        let _ = writeln!(std::io::stdout().lock(), "The configuration is good.");
        return ExitCode::SUCCESS;
    }
    logging::start(&settings.log_filter);
    let run = if restored { run::begin_anew } else { run::run };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("the server did not start: {error:#}");
            let _ = writeln!(std::io::stderr().lock(), "ruggine-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
