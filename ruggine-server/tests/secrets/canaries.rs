//! Texts and bytes that must be found nowhere, in every way they can be spelt.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use ruggine_core::Blob;
use ruggine_core::secret::SecretText;

fn base64(bytes: &[u8]) -> String {
    let text = serde_json::to_string(&Blob::from(bytes.to_vec())).unwrap();
    text.trim_matches('"').to_owned()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each byte as the character of its number, so that bytes can be searched as text.
fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The ways in which bytes may stand somewhere: as they are, in hexadecimal, in
/// base64 whatever is before and after them.
fn spellings(bytes: &[u8]) -> Vec<String> {
    let mut spellings = vec![latin(bytes), hex(bytes)];
    for before in 0..3 {
        let shifted = [&[0; 2][..before], bytes].concat();
        let text = base64(&shifted);
        // What the neighbours have a share in is cut off.
        let inner = text[before + usize::from(before > 0)..text.len() - 2].to_owned();
        spellings.push(inner.replace('-', "+").replace('_', "/"));
        spellings.push(inner);
    }
    spellings
}

/// What must be found nowhere, in every spelling.
#[derive(Clone)]
pub(crate) struct Canaries(pub(crate) Vec<(&'static str, Vec<String>)>);

impl Canaries {
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        let texts = texts.into_iter();
        Self(
            texts
                .map(|(name, text)| (name, spellings(text.as_bytes())))
                .collect(),
        )
    }

    /// A token, and the secret in it alone.
    pub(crate) fn and_token(mut self, token: &SecretText) -> Self {
        const PREFIX: usize = 4;
        const USER: usize = 16;
        let text = &token.expose()[PREFIX..];
        let bytes: Blob = serde_json::from_value(text.into()).unwrap();
        assert_eq!(bytes.len(), USER + 32);
        let mut ways = spellings(&bytes[USER..]);
        ways.push(token.expose().to_owned());
        self.0.push(("a token", ways));
        self
    }

    /// A master key, as text and as what it spells.
    pub(crate) fn and_key(mut self, key: &str) -> Self {
        let digit = |at: usize| u8::from_str_radix(&key[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..key.len()).step_by(2).map(digit).collect();
        let mut ways = spellings(&bytes);
        ways.extend(spellings(key.as_bytes()));
        ways.push(key.to_uppercase());
        self.0.push(("a master key", ways));
        self
    }

    fn in_bytes(&self, bytes: &[u8]) -> BTreeSet<&'static str> {
        let text = latin(bytes);
        let found = self
            .0
            .iter()
            .filter(|(_, ways)| ways.iter().any(|way| text.contains(way)));
        found.map(|(name, _)| *name).collect()
    }

    pub(crate) fn in_text(&self, text: &str) -> Vec<&'static str> {
        self.in_bytes(text.as_bytes()).into_iter().collect()
    }

    /// Which of these stand in a file of the folder, and in which.
    pub(crate) fn in_folder(&self, folder: &Path) -> BTreeSet<(String, &'static str)> {
        let mut hits = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().to_string_lossy().into_owned();
            let found = self.in_bytes(&std::fs::read(entry.path()).unwrap());
            hits.extend(found.into_iter().map(|name| (file.clone(), name)));
        }
        hits
    }
}

pub(crate) fn shows_nothing(canaries: &Canaries, value: &impl Debug) {
    for text in [format!("{value:?}"), format!("{value:#?}")] {
        assert_eq!(canaries.in_text(&text), [""; 0], "{text}");
    }
}
