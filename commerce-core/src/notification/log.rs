//! [`LogMailer`]: messages in the log.

use async_trait::async_trait;

use super::{Mailer, Message};

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
