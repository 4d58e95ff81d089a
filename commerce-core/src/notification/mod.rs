//! Messages to customers and staff, and the [`Mailer`] that delivers them.

use async_trait::async_trait;

/// A composed message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Stable over repeated deliveries: the `Message-Id` without its brackets.
    pub id: String,
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Delivers messages. Called at least once for each; `id` tells doubles.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Delivers a message.
    ///
    /// # Errors
    /// Anything; the message is tried again later.
    async fn send(&self, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Writes whole messages to the log: for development.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        tracing::info!(id = message.id, to = message.to, subject = message.subject, "{}", message.text);
        Ok(())
    }
}

pub(crate) async fn compose(
    _e: &crate::engine::Engine,
    _t: crate::id::TaskId,
    _n: &crate::event::Notice,
) -> Result<Option<Message>, crate::store::StoreError> {
    Ok(None)
}
