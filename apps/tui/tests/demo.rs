//! The demo, as somebody runs it who has just built the program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// The demo in an empty environment, with its temporary files in this folder.
fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ruggine-tui"));
    command
        .env_clear()
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .current_dir(folder)
        .arg("demo")
        .stdin(Stdio::null());
    command
}

/// Runs it. It sets itself a deadline, so this needs none.
fn told(mut command: Command) -> String {
    let output = command.output().expect("the program can be run");
    let text = String::from_utf8(output.stdout).expect("a story is text");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
    assert_eq!(errors, "");
    text
}

fn entries(folder: &TempDir) -> Vec<String> {
    fs::read_dir(folder.path())
        .expect("the folder can be read")
        .map(|entry| entry.expect("the folder can be read").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn it_tells_its_story_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let text = told(demo(folder.path()));
    for words in [
        "A server listens on http://127.0.0.1:",
        "Ada: Ciao Bob, do you read me?",
        "Bob starts it again and has all 50 after ",
        "none missing, doubled or out of order",
        "the same for both",
        "the same for all three",
        "is readable in any of",
        "All is well, after ",
    ] {
        assert!(text.contains(words), "{words:?} is missing in {text}");
    }
    for what in [
        "from send to acknowledgement: p50 ",
        "from send to receipt: p50 ",
    ] {
        let line = text.lines().find(|line| line.contains(what));
        let line = line.unwrap_or_else(|| panic!("{what:?} is missing in {text}"));
        let times: Vec<f64> = line
            .split([' ', ','])
            .filter_map(|word| word.parse().ok())
            .collect();
        let [p50, p99, count] = times[..] else {
            panic!("not three numbers: {line}");
        };
        assert!(0.0 < p50 && p50 <= p99, "{line}");
        assert!(count >= 100.0, "{line}");
    }
    let sealed: Vec<Value> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [sealed] = &sealed[..] else {
        panic!("not one sealed row: {text}");
    };
    assert!(
        sealed.as_object().is_some_and(|fields| fields.len() > 3),
        "{sealed}"
    );
    for words in ["lake", "packs", "Ada"] {
        assert!(!sealed.to_string().contains(words), "{sealed}");
    }
    let numbered = text
        .lines()
        .filter(|line| line.trim_start().starts_with('#'));
    assert!(numbered.count() >= 15, "{text}");
    assert_eq!(entries(&folder), Vec::<String>::new(), "nothing is left");
}

#[test]
fn it_needs_nobody_with_a_home() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path());
    command.env_remove("HOME");
    told(command);
    assert_eq!(entries(&folder), Vec::<String>::new());
}

#[test]
fn it_keeps_its_folder_where_it_is_told_to() {
    let (elsewhere, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = demo(elsewhere.path());
    command.arg("--keep").arg("--in").arg(folder.path());
    let text = told(command);
    let left = entries(&folder);
    let [name] = &left[..] else {
        panic!("not one folder: {left:?}");
    };
    let kept = folder.path().join(name);
    let last = format!("The folder is kept: {}", kept.display());
    assert_eq!(text.lines().next_back(), Some(last.as_str()));
    let database = fs::read(kept.join("server").join("chat.sqlite")).unwrap();
    assert!(database.starts_with(b"SQLite format 3\0"));
    for person in ["ada", "bob", "eva"] {
        let store = fs::read(kept.join("people").join(person).join("client.store")).unwrap();
        assert!(
            !store.starts_with(b"SQLite format 3\0"),
            "the store of {person} is encrypted"
        );
    }
    assert_eq!(
        entries(&elsewhere),
        Vec::<String>::new(),
        "nothing is left elsewhere"
    );
}

#[test]
fn without_the_word_to_keep_it_leaves_nothing_there_either() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path());
    command.arg("--in").arg(folder.path());
    told(command);
    assert_eq!(entries(&folder), Vec::<String>::new());
}

#[test]
fn a_folder_that_cannot_be_used_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path());
    command.args(["--in", "/nonexistent/folder"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("cannot make a folder for the demo"),
        "{errors}"
    );
    assert_eq!(entries(&folder), Vec::<String>::new());
}

#[test]
fn interrupted_it_leaves_nothing() {
    // At several points of the story, each known by a line of it.
    for lines in [1, 2, 6, 14] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = demo(folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..lines {
            told.next().unwrap().unwrap();
        }
        let id = i32::try_from(child.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
        // Reading on, so that it is not held up by a full pipe.
        told.for_each(drop);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "after {lines} lines");
        assert_eq!(
            entries(&folder),
            Vec::<String>::new(),
            "after {lines} lines"
        );
    }
}
