//! Messages to customers and staff, and the [`Mailer`] that delivers them.
//!
//! A commit that causes a message queues a [`crate::event::Notice`], which holds ids only. When the worker gets to it, `compose`
//! loads what the message is about and derives the secrets in it; then the mailer delivers it, at least once.

mod compose;
mod file;
mod log;
mod mailer;
mod memory;
mod message;
#[cfg(feature = "smtp")]
mod smtp;
mod text;

pub(crate) use self::compose::compose;
#[cfg(feature = "smtp")]
pub use self::smtp::{SmtpConfigError, SmtpMailer};
pub use self::{file::FileMailer, log::LogMailer, mailer::Mailer, memory::MemoryMailer, message::Message};
