//! What goes to the terminal: untrusted text is cleaned on its way.

use std::io::{self, Write};
use std::process::ExitCode;

/// Prints a line. A reader that is gone, such as `head`, ends the program quietly.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Says why the program failed.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    let broken_pipe = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    // When even the error stream is gone there is nobody to tell.
    let text = clean(&format!("{error:#}"));
    let _ = writeln!(io::stderr().lock(), "ruggine-tui: {text}");
    ExitCode::FAILURE
}

/// Text of others without what could move the cursor, recolour the terminal or
/// disguise its order. Line breaks become spaces.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(' '),
            '\u{200E}' | '\u{200F}' | '\u{061C}' => None,
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => None,
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

/// JSON whose texts keep every character and steer no terminal: what JSON may
/// hold but a terminal obeys is escaped.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> serde_json::Result<String> {
    let plain = serde_json::to_string(value)?;
    let mut escaped = String::with_capacity(plain.len());
    for c in plain.chars() {
        let obeyed = c.is_control()
            || matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if obeyed {
            use std::fmt::Write;
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{202e}c\r\nd\u{7}"), "a[31mbc d");
        assert_eq!(clean("zoë 🦀"), "zoë 🦀");
    }
}
