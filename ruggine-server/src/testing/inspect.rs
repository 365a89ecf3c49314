//! Looking at what a server left on disk, as a thief of the disk would.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

/// A database that could not be looked at.
#[derive(Debug, thiserror::Error)]
#[error("cannot look into {path}: {source}")]
pub struct InspectError {
    path: PathBuf,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// A text that was found where it should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// In which file.
    pub file: PathBuf,
    /// Which of the texts.
    pub needle: String,
}

/// What the message rows of a SQLite database hold: the sealed JSON of each, in
/// the order of conversations and their numbers. Needs no key and no server,
/// and changes nothing.
///
/// # Errors
/// When the file is not a database of a server.
pub async fn sealed_rows(database: impl AsRef<Path>) -> Result<Vec<String>, InspectError> {
    let path = database.as_ref();
    let failed = |source: sqlx::Error| InspectError {
        path: path.to_path_buf(),
        source: Box::new(source),
    };
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)?;
    let rows = sqlx::query_scalar("SELECT body FROM messages ORDER BY conv_id, seq")
        .fetch_all(&mut connection)
        .await
        .map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(rows)
}

/// Searches every file in a folder and below it for the bytes of these texts,
/// and returns where which of them stands.
///
/// # Errors
/// When the folder or a file in it cannot be read.
pub fn find_plaintext(folder: impl AsRef<Path>, needles: &[&str]) -> io::Result<Vec<Hit>> {
    let mut hits = Vec::new();
    for file in files(folder.as_ref())? {
        let mut bytes = Vec::new();
        File::open(&file)?.read_to_end(&mut bytes)?;
        for needle in needles {
            if contains(&bytes, needle.as_bytes()) {
                hits.push(Hit {
                    file: file.clone(),
                    needle: (*needle).to_owned(),
                });
            }
        }
    }
    Ok(hits)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn contains(mut bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else {
        return true;
    };
    while let Some(at) = bytes.iter().position(|byte| byte == first) {
        bytes = &bytes[at..];
        if bytes.starts_with(needle) {
            return true;
        }
        bytes = &bytes[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_any_file_at_any_depth_and_only_there() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a").join("b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("clean"), b"ssecre secre\0t").unwrap();
        std::fs::write(deep.join("dirty"), b"\0\xffsesecret").unwrap();
        let hits = find_plaintext(folder.path(), &["secret", "other"]).unwrap();
        let expected = Hit {
            file: deep.join("dirty"),
            needle: "secret".to_owned(),
        };
        assert_eq!(hits, [expected]);
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nothing.db");
        assert!(sealed_rows(&path).await.is_err());
        std::fs::write(&path, b"not a database, certainly").unwrap();
        assert!(sealed_rows(&path).await.is_err());
    }
}
