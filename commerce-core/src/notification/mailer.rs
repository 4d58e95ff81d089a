//! [`Mailer`]: who delivers messages.

use async_trait::async_trait;

use super::Message;

/// Delivers messages. Called at least once for each; `id` tells doubles.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Delivers a message.
    ///
    /// # Errors
    /// Anything; the message is tried again later.
    async fn send(&self, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

    /// Whether messages go to other people's mailboxes, and so must come from an address of the shop's: a shop with such a
    /// mailer isn't built without [`Settings::mail_from`](crate::Settings::mail_from).
    fn needs_sender(&self) -> bool {
        false
    }

    /// Whether it delivers to addresses with letters of all scripts before the @, which needs servers that take them (SMTPUTF8,
    /// RFC 6531). If not, which is assumed, such addresses are refused when somebody gives one.
    fn takes_international_addresses(&self) -> bool {
        false
    }
}
