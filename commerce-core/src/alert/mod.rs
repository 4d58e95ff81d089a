//! Alerts: what staff should look at, raised once and mailed to the admins once.

mod model;
mod raise;

pub use self::model::{Alert, AlertKind, AlertQuery};
pub(crate) use self::raise::{admins, raise_alert, raise_low_stock_alerts};
