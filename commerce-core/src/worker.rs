//! Background work.

/// Delivers messages, raises alerts, expires reservations, settles what is in doubt.
#[derive(Clone)]
pub struct Worker {
    engine: std::sync::Arc<crate::engine::Engine>,
}

impl Worker {
    pub(crate) fn new(engine: std::sync::Arc<crate::engine::Engine>) -> Self {
        Self { engine }
    }
}
