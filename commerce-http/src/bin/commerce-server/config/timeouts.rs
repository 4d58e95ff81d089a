//! How long things may take.

use std::time::Duration;

use super::{ConfigError, non_empty, wrong};
use crate::{cli::Settings, listener::ConnectionTimeouts};

/// Nothing takes longer on purpose.
const LONGEST: Duration = Duration::from_hours(1);

/// The time limits of serving.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub request: Duration,
    pub body: Duration,
    pub connection: ConnectionTimeouts,
    pub worker: Duration,
    pub shutdown: Duration,
    pub drain_delay: Duration,
}

impl Timeouts {
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let limit = |variable, text: &str| duration(variable, text, Duration::from_millis(1), LONGEST);
        Ok(Self {
            request: limit("COMMERCE_REQUEST_TIMEOUT", &settings.request_timeout)?,
            body: limit("COMMERCE_BODY_TIMEOUT", &settings.body_timeout)?,
            connection: ConnectionTimeouts {
                header: limit("COMMERCE_HEADER_TIMEOUT", &settings.header_timeout)?,
                idle: limit("COMMERCE_IDLE_TIMEOUT", &settings.idle_timeout)?,
            },
            worker: duration("COMMERCE_WORKER_TIMEOUT", &settings.worker_timeout, Duration::from_secs(1), LONGEST)?,
            shutdown: limit("COMMERCE_SHUTDOWN_TIMEOUT", &settings.shutdown_timeout)?,
            drain_delay: duration("COMMERCE_DRAIN_DELAY", &settings.drain_delay, Duration::ZERO, LONGEST)?,
        })
    }
}

/// The limits of talking to the database.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseLimits {
    pub connections: Option<u32>,
    pub call: Duration,
    pub connect: Duration,
    pub acquire: Duration,
}

impl DatabaseLimits {
    pub fn read(settings: &Settings) -> Result<Self, ConfigError> {
        let limit = |variable, text: &str| duration(variable, text, Duration::from_millis(100), LONGEST);
        Ok(Self {
            connections: non_empty(settings.database_connections.as_deref()).map(connections).transpose()?,
            call: limit("COMMERCE_DATABASE_TIMEOUT", &settings.database_timeout)?,
            connect: limit("COMMERCE_DATABASE_CONNECT_TIMEOUT", &settings.database_connect_timeout)?,
            acquire: limit("COMMERCE_DATABASE_ACQUIRE_TIMEOUT", &settings.database_acquire_timeout)?,
        })
    }
}

fn connections(text: &str) -> Result<u32, ConfigError> {
    match text.trim().parse() {
        Ok(connections @ 2..=1_000) => Ok(connections),
        _ => Err(wrong("COMMERCE_DATABASE_CONNECTIONS", format!("must be from 2 to 1000, not '{text}'"))),
    }
}

pub(super) fn access_ttl(text: &str) -> Result<Duration, ConfigError> {
    duration("COMMERCE_ACCESS_TTL", text, Duration::from_secs(1), Duration::from_mins(10))
}

/// A whole number of milliseconds, seconds or minutes: `500ms`, `25s`, `10m`. Seconds, if no unit is given.
pub(super) fn duration(
    variable: &'static str,
    text: &str,
    least: Duration,
    most: Duration,
) -> Result<Duration, ConfigError> {
    let text = text.trim();
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(unit) => text.split_at(unit),
        None => (text, "s"),
    };
    let scale = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let parsed = number.parse::<u64>().ok().zip(scale).and_then(|(number, scale)| number.checked_mul(scale));
    match parsed.map(Duration::from_millis) {
        Some(duration) if (least..=most).contains(&duration) => Ok(duration),
        _ => Err(wrong(variable, format!("must be from {} to {}, not '{text}'", display(least), display(most)))),
    }
}

/// As it is written in a setting.
fn display(duration: Duration) -> String {
    match duration.as_millis() {
        0 => "0s".to_owned(),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_limits_kept() {
        let read = |text: &str| duration("X", text, Duration::from_secs(1), Duration::from_mins(10));
        for (text, seconds) in [("1s", 1), ("25s", 25), ("2m", 120), ("30", 30), (" 1500ms ", 1), ("10m", 600)] {
            assert_eq!(read(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "s", "0", "999ms", "601s", "1h", "1.5s", "-1s", "+1s", "99999999999999999999s"] {
            let error = read(text).unwrap_err().to_string();
            assert_eq!(error, format!("X must be from 1s to 10m, not '{text}'"));
        }
    }
}
