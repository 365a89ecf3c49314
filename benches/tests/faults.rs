//! The short form of `cargo xtask faults`: every harm once.

use std::path::Path;
use std::process::Command;

/// Messages between one harm and the next.
const BETWEEN: &str = "200";

#[test]
fn whatever_fails_under_load_no_promise_is_broken() {
    let faults = Path::new(env!("CARGO_BIN_EXE_ruggine-faults"));
    // Cargo puts every program of the workspace into one folder.
    let server = faults.with_file_name("ruggine-server");
    assert!(
        server.is_file(),
        "build the server as well: `cargo build --package ruggine-server-app`"
    );
    let report = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let ended = Command::new(faults)
        .arg("--server")
        .arg(server)
        .args(["--messages", "0", "--between", BETWEEN, "--json"])
        .arg(report.path())
        .status()
        .expect("the program can be run");
    assert!(ended.success(), "{ended}");
    let report = std::fs::read(report.path()).expect("the report was written");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("the report is JSON");
    let harms = report["harms"].as_array().expect("harms were counted");
    assert_eq!(harms.len(), 13, "{report}");
    assert_eq!(report["sent"], report["acked"], "{report}");
    assert!(report["acked"].as_u64() > Some(13 * 200), "{report}");
}
