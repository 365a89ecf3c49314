//! How many tests ran, as their runners say.

use std::fmt;

use anyhow::{Context, ensure};

#[derive(Debug, Default)]
pub(crate) struct Count {
    passed: u64,
    skipped: u64,
}

impl Count {
    /// Adds what nextest says in its summary.
    pub(super) fn add_nextest(&mut self, lines: &[String]) -> anyhow::Result<()> {
        let summary = lines
            .iter()
            .rev()
            .find(|line| line.contains("tests run:"))
            .context("the test runner gave no summary")?;
        let passed = number_before(summary, "passed");
        ensure!(passed > 0, "no test ran");
        self.passed += passed;
        self.skipped += number_before(summary, "skipped");
        Ok(())
    }

    /// Adds what the standard test runner says, once per crate.
    pub(super) fn add_libtest(&mut self, lines: &[String]) -> anyhow::Result<()> {
        let results = lines.iter().filter(|line| line.starts_with("test result:"));
        let passed: u64 = results.map(|line| number_before(line, "passed")).sum();
        ensure!(passed > 0, "no documentation test ran");
        self.passed += passed;
        Ok(())
    }
}

impl fmt::Display for Count {
    /// A failure ends the task before this is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, 0 failed", self.passed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// The number that stands before a word; colours of a terminal are passed over.
fn number_before(line: &str, word: &str) -> u64 {
    let plain: String = strip_colours(line);
    let words: Vec<&str> = plain
        .split([' ', ',', ';', '.'])
        .filter(|w| !w.is_empty())
        .collect();
    words
        .windows(2)
        .find(|pair| pair[1] == word)
        .and_then(|pair| pair[0].parse().ok())
        .unwrap_or(0)
}

fn strip_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            for c in rest.by_ref() {
                if c.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        let mut count = Count::default();
        let nextest = "\u{1b}[32;1m     Summary\u{1b}[0m [   2.041s] \u{1b}[1m12\u{1b}[0m tests run: \u{1b}[1m11\u{1b}[0m passed, 1 skipped";
        count.add_nextest(&[nextest.to_owned()]).unwrap();
        let libtest = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        count
            .add_libtest(&[libtest.to_owned(), libtest.to_owned()])
            .unwrap();
        assert_eq!(count.to_string(), "17 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn a_run_without_tests_is_no_success() {
        let mut count = Count::default();
        assert!(count.add_nextest(&[]).is_err());
        assert!(
            count
                .add_nextest(&["Summary 0 tests run: 0 passed".to_owned()])
                .is_err()
        );
        assert!(count.add_libtest(&["running 0 tests".to_owned()]).is_err());
    }
}
