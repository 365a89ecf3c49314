//! What must be true at the end.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use ruggine_client_sdk::store::MessageRecord;
use ruggine_core::{ConversationId, Seq, UserId};
use ruggine_server::testing::inspect::{find_plaintext, sealed_rows};

use super::person::Person;
use super::story::Said;

/// A row as it must be for everybody: number, sender, payload.
type LogLine = (Seq, UserId, Option<Vec<u8>>);

/// Everybody's log of a conversation is the same, without gaps, and holds what
/// was said, each thing once and in its speaker's order.
pub(super) async fn log_is_whole(
    id: ConversationId,
    people: &[&Person],
    said: &[Said],
) -> anyhow::Result<usize> {
    let mut first: Option<Vec<LogLine>> = None;
    for person in people {
        let mut rows = person.conversation(id)?.messages(Seq::MAX, 10_000).await?;
        rows.reverse();
        numbers_follow(person, &rows)?;
        everything_is_there(person, &rows, said)?;
        let log: Vec<LogLine> = rows
            .iter()
            .map(|row| {
                let payload = row.payload.as_deref().map(<[u8]>::to_vec);
                (row.seq, row.sender, payload)
            })
            .collect();
        match &first {
            None => first = Some(log),
            Some(other) => ensure!(*other == log, "the log of {} differs", person.name),
        }
    }
    Ok(first.map_or(0, |log| log.len()))
}

fn numbers_follow(person: &Person, rows: &[MessageRecord]) -> anyhow::Result<()> {
    for (index, row) in rows.iter().enumerate() {
        let expected = Seq::new(index as u64 + 1);
        ensure!(
            row.seq == expected,
            "{} has number {} where {expected} belongs",
            person.name,
            row.seq
        );
    }
    Ok(())
}

fn everything_is_there(
    person: &Person,
    rows: &[MessageRecord],
    said: &[Said],
) -> anyhow::Result<()> {
    let mut heard: BTreeMap<UserId, Vec<String>> = BTreeMap::new();
    for row in rows {
        if let Some(words) = super::story::words(row) {
            heard.entry(row.sender).or_default().push(words);
        }
    }
    let mut expected: BTreeMap<UserId, Vec<String>> = BTreeMap::new();
    for word in said {
        expected
            .entry(word.sender)
            .or_default()
            .push(word.text.clone());
    }
    if heard == expected {
        return Ok(());
    }
    for (sender, words) in &expected {
        let got = heard.get(sender).map_or(&[][..], Vec::as_slice);
        for word in words {
            let times = got.iter().filter(|other| *other == word).count();
            match times {
                1 => {}
                0 => bail!("{} misses {word:?}", person.name),
                times => bail!("{} has {word:?} {times} times", person.name),
            }
        }
        ensure!(
            got == words.as_slice(),
            "{} has messages out of order",
            person.name
        );
    }
    bail!("{} has messages that nobody sent", person.name)
}

/// One stored row, as a thief of the database sees it.
pub(super) async fn one_sealed_row(database: &Path) -> anyhow::Result<String> {
    let rows = sealed_rows(database).await?;
    rows.into_iter()
        .next_back()
        .context("the database holds no message")
}

/// None of these texts stands in any file; how many files were searched.
pub(super) fn nothing_is_readable(folder: &Path, texts: &[String]) -> anyhow::Result<usize> {
    let needles: Vec<&str> = texts.iter().map(String::as_str).collect();
    let hits = find_plaintext(folder, &needles)?;
    if let Some(hit) = hits.first() {
        bail!("{:?} is readable in {}", hit.needle, hit.file.display());
    }
    count_files(folder)
}

fn count_files(folder: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        count += if path.is_dir() {
            count_files(&path)?
        } else {
            1
        };
    }
    Ok(count)
}
