//! How far a command has come: a bar on a terminal, elsewhere a line every few seconds.

use std::{
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(5);

/// Of one piece of work.
pub struct Progress {
    what: &'static str,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Counted in bytes.
    pub fn bytes(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
        let bar = style.ok().filter(|_| std::io::stderr().is_terminal());
        let bar = bar.map(|style| ProgressBar::new(0).with_style(style).with_message(what));
        Self { what, bar, last_line: Mutex::new(Instant::now()) }
    }

    /// So much of so much is done.
    pub fn show(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            eprintln!("{}: {done} of {total} bytes", self.what);
        }
    }

    /// The work is done.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
