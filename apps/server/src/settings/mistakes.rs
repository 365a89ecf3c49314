//! All that is wrong with the settings, as sentences.

use std::fmt;

#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<String>);

impl Mistakes {
    pub(crate) fn add(&mut self, name: &str, what: &str) {
        self.0.push(format!("{name} {what}"));
    }

    pub(crate) fn add_sentence(&mut self, sentence: String) {
        self.0.push(sentence);
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "mistake" } else { "mistakes" };
        writeln!(f, "ruggine-server: {count} {noun} in the configuration:")?;
        for sentence in &self.0 {
            writeln!(f, "  - {sentence}")?;
        }
        writeln!(f, "`ruggine-server --help` lists every setting.")
    }
}
