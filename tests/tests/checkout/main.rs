//! Placing orders over the facade: every way it can end.

mod again;
mod once;
mod paying;
mod placing;

use std::time::Duration;

const LEASE: Duration = Duration::from_secs(31);
const EXPIRY: Duration = Duration::from_mins(16);
