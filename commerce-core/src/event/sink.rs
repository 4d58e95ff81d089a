//! [`EventSink`]: who hears of events.

use async_trait::async_trait;

use super::EventRecord;

/// A receiver of events outside the shop: a message broker, a search index, a data warehouse.
#[async_trait]
pub trait EventSink: Send + Sync + 'static {
    /// Takes an event. Called at least once for each, in no particular order.
    ///
    /// # Errors
    /// Anything; the event is delivered again later.
    async fn publish(&self, event: &EventRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}
