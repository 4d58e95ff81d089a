//! What the program says: its log, and sentences before and beside it. With `COMMERCE_LOG_FORMAT=json` each line that a server
//! writes is a JSON object, from the first to the last.

use std::io::{IsTerminal as _, Write as _};

use commerce_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::Settings,
    config::{self, ConfigError},
};

/// The format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

impl Format {
    /// What the settings ask for; text, if that can't be said.
    pub fn of(settings: &Settings) -> Self {
        if config::logs_json(settings).unwrap_or(false) { Self::Json } else { Self::Text }
    }

    /// The same where the command line couldn't be read.
    pub fn of_environment() -> Self {
        match std::env::var("COMMERCE_LOG_FORMAT") {
            Ok(value) if value.trim() == "json" => Self::Json,
            _ => Self::Text,
        }
    }

    /// Says why the program ends.
    pub fn error(self, sentence: &str) {
        let line = self.line("ERROR", sentence, &Value::Null);
        // Nobody may be listening.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Says something to whoever started the program, on its standard output, which is no part of the log.
    pub fn notice(self, sentence: &str, members: &Value) {
        let line = self.line("INFO", sentence, members);
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    /// A sentence; as JSON it looks as in the log, with further members.
    fn line(self, level: &str, sentence: &str, members: &Value) -> String {
        if self == Self::Text {
            return sentence.to_owned();
        }
        let timestamp = SystemClock.now().to_string();
        let mut line = json!({ "timestamp": timestamp, "level": level, "message": sentence });
        if let (Value::Object(line), Value::Object(members)) = (&mut line, members) {
            line.extend(members.clone());
        }
        line["target"] = json!("commerce_server");
        line.to_string()
    }
}

/// Turns logging on. In JSON, panics are lines like all others.
pub fn log(settings: &Settings) -> Result<(), ConfigError> {
    let json = config::logs_json(settings)?;
    let filter = EnvFilter::try_new(&settings.log);
    let filter = filter.map_err(|error| config::wrong("COMMERCE_LOG", format!("is wrong: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        lines.json().flatten_event(true).init();
        std::panic::set_hook(Box::new(log_panic));
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).init();
    }
    Ok(())
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let what = payload.downcast_ref::<&str>().copied();
    let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic");
    let at = panic.location().map(ToString::to_string);
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = (backtrace.status() == std::backtrace::BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(at, backtrace, "panicked: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_itself_or_a_member_of_an_object() {
        let members = json!({ "email": "admin@example.com" });
        assert_eq!(Format::Text.line("INFO", "Two\n\"lines\"", &members), "Two\n\"lines\"");
        let line = Format::Json.line("INFO", "Two\n\"lines\"", &members);
        assert!(!line.contains('\n'));
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "Two\n\"lines\"");
        assert_eq!((&line["level"], &line["email"]), (&json!("INFO"), &members["email"]));
    }
}
