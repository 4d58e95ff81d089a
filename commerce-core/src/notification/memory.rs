//! [`MemoryMailer`]: for tests.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Mailer, Message};

/// Keeps messages in memory, for tests to read. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryMailer(Arc<Mutex<Vec<Message>>>);

impl MemoryMailer {
    /// All messages so far, in the order they were sent.
    #[must_use]
    pub fn sent(&self) -> Vec<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages to one address, in the order they were sent.
    #[must_use]
    pub fn sent_to(&self, address: &str) -> Vec<Message> {
        self.sent().into_iter().filter(|message| message.to == address).collect()
    }
}

#[async_trait]
impl Mailer for MemoryMailer {
    async fn send(&self, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
        Ok(())
    }
}
