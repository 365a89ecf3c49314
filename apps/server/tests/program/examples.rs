//! The small clients of the documents, against the program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use ruggine_server::testing::patiently;
use tokio::process::Command;

use super::support::{self, Setup};

/// An example, and the program that runs it.
const EXAMPLES: [(&str, &str); 2] = [("bash", "curl.sh"), ("python3", "live.py")];

/// An example, ready to be run against a server at this URL.
pub(crate) fn example(runner: &str, name: &str, url: &str) -> Command {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "..",
        "..",
        "doc",
        "examples",
        name,
    ]
    .iter()
    .collect();
    let mut command = Command::new(runner);
    command
        .arg(path)
        .env("RUGGINE_URL", url)
        // Whatever proxy this machine uses, its own ports are not behind it.
        .env("no_proxy", "127.0.0.1,localhost")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn output(mut command: Command) -> Output {
    let output = patiently("the end of an example", command.output()).await;
    output.expect("the example can be run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[tokio::test]
async fn the_examples_of_the_documents_run_against_the_program() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    for (runner, name) in EXAMPLES {
        // Twice, as the documents say that they can be.
        for _ in 0..2 {
            let ran = output(example(runner, name, &url(server.api()))).await;
            let (out, errors) = (text(&ran.stdout), text(&ran.stderr));
            assert!(ran.status.success(), "{name}: {out}{errors}");
            assert_eq!(errors, "", "{name}");
            let last = out.lines().next_back().unwrap_or_default();
            assert!(last.starts_with("done"), "{name}: {out}");
        }
    }
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn the_examples_fail_without_a_server() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let url = url(server.api());
    server.kill().await;
    for (runner, name) in EXAMPLES {
        let ran = output(example(runner, name, &url)).await;
        let errors = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{name}: {errors}");
        assert!(errors.contains("failed:"), "{name}: {errors}");
        assert!(!text(&ran.stdout).contains("done"), "{name}");
    }
}

#[tokio::test]
async fn the_examples_fail_at_the_port_that_serves_the_websocket_alone() {
    let folder = support::folder();
    let server = Setup::in_folder(folder.path()).start().await;
    let url = url(server.websocket());
    let ran = output(example("bash", "curl.sh", &url)).await;
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran.stderr));
    // Live conversations need no other port.
    let ran = output(example("python3", "live.py", &url)).await;
    assert!(ran.status.success(), "{}", text(&ran.stderr));
}
