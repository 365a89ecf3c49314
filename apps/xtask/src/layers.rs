//! The arrows between crates point one way.

use std::collections::BTreeMap;

use anyhow::bail;

use crate::command::{cargo, say};

/// What a crate must not depend on directly, in any of its features.
const FORBIDDEN: [(&str, &[&str]); 5] = [
    (
        "ruggine-core",
        &[
            "tokio",
            "axum",
            "sqlx",
            "rusqlite",
            "aes-gcm",
            "openmls",
            "ruggine-crypto",
            "ruggine-server",
            "ruggine-client-sdk",
        ],
    ),
    (
        "ruggine-crypto",
        &[
            "tokio",
            "axum",
            "sqlx",
            "rusqlite",
            "ruggine-server",
            "ruggine-client-sdk",
        ],
    ),
    (
        "ruggine-server",
        &["rusqlite", "openmls", "ruggine-client-sdk"],
    ),
    ("ruggine-client-sdk", &["sqlx", "axum", "ruggine-server"]),
    (
        "ruggine-tui",
        &[
            "openmls",
            "sqlx",
            "rusqlite",
            "tokio-tungstenite",
            "tungstenite",
        ],
    ),
];

/// Checks direct dependencies; dev-dependencies may point anywhere.
pub(crate) fn check() -> anyhow::Result<()> {
    let output = cargo(&[
        "tree",
        "--workspace",
        "--all-features",
        "--edges",
        "normal",
        "--depth",
        "1",
        "--prefix",
        "depth",
        "--format",
        "{p}",
    ])
    .output()?;
    if !output.status.success() {
        bail!(
            "cargo tree failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let text = String::from_utf8(output.stdout)?;
    let mut dependencies: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let (Some(depth), Some(name)) = (
            line.get(..1),
            line.get(1..).and_then(|rest| rest.split(' ').next()),
        ) else {
            continue;
        };
        if depth == "0" {
            name.clone_into(&mut current);
            dependencies.entry(current.clone()).or_default();
        } else {
            dependencies
                .entry(current.clone())
                .or_default()
                .push(name.to_owned());
        }
    }
    let mut broken = Vec::new();
    for (name, forbidden) in FORBIDDEN {
        let Some(direct) = dependencies.get(name) else {
            bail!("the crate {name} was not found: the layers were not checked");
        };
        for dependency in direct
            .iter()
            .filter(|dependency| forbidden.contains(&dependency.as_str()))
        {
            broken.push(format!("{name} must not depend on {dependency}"));
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    say(&format!(
        "The layers of {} crates are kept.",
        FORBIDDEN.len()
    ));
    Ok(())
}
