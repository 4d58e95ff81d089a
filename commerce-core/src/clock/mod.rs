//! Time: UTC instants in whole microseconds, from an injected [`Clock`].

mod source;
mod timestamp;

pub use self::{
    source::{Clock, ManualClock, SystemClock},
    timestamp::Timestamp,
};
