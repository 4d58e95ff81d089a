//! Domain events and due tasks: both are part of the commit that causes them.
//!
//! [`DomainEvent`] is the schema of the outbox. Delivery to an [`EventSink`] is at least once and unordered; every event
//! carries (aggregate, version, n), by which a receiver puts them in order and drops doubles.

mod model;
mod sink;
mod task;

pub use self::{
    model::{DomainEvent, EventRecord},
    sink::EventSink,
    task::{LeasedTask, Notice, Task},
};
