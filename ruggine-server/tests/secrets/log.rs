//! Everything that a process logs, as text to look into.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

/// Everything that is logged in this process, at every level.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Begins to listen; the panics of this process are written down too.
    pub(crate) fn listen() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(move || writer.clone())
                .init();
            let panics = log.clone();
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let mut panics = panics.clone();
                // Writing to memory does not fail.
                let _ = writeln!(panics, "panicked: {panic}");
                report(panic);
            }));
            log
        })
        .clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }

    pub(crate) fn lines_with(&self, words: &str) -> Vec<String> {
        self.text()
            .lines()
            .filter(|line| line.contains(words))
            .map(str::to_owned)
            .collect()
    }
}
