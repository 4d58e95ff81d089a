//! [`Message`]: a mail that is ready to be sent.

use std::fmt;

use mail_builder::{MessageBuilder, headers::date::Date};

use crate::clock::Timestamp;

/// A composed message.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Stable over repeated deliveries: the `Message-Id` without its brackets.
    pub id: String,
    /// The sender's name: the shop's.
    pub from_name: String,
    /// The sender's address.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// When it was composed.
    pub at: Timestamp,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold a token.
        f.debug_struct("Message").field("id", &self.id).field("subject", &self.subject).finish_non_exhaustive()
    }
}

impl Message {
    /// The message as it travels (RFC 5322).
    ///
    /// # Errors
    /// If it can't be encoded.
    pub fn to_rfc5322(&self) -> std::io::Result<Vec<u8>> {
        MessageBuilder::new()
            .message_id(self.id.as_str())
            .from((self.from_name.as_str(), self.from.as_str()))
            .to(self.to.as_str())
            .subject(self.subject.as_str())
            .date(Date::new(self.at.as_secs()))
            // Keeps absence notices from answering (RFC 3834).
            .header("Auto-Submitted", mail_builder::headers::raw::Raw::new("auto-generated"))
            .text_body(self.text.as_str())
            .write_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_travels_with_its_headers_encoded() {
        let message = Message {
            id: "0190@shop.example".into(),
            from_name: "Bücher & Söhne".into(),
            from: "shop@shop.example".into(),
            to: "ada@example.com".into(),
            subject: "Order 7\r\nBcc: x@example.com".into(),
            text: "Hello,\n\nthe token:\nabcDEF-_123\n".into(),
            at: Timestamp::from_micros(1_795_000_000_000_000),
        };
        let raw = String::from_utf8(message.to_rfc5322().unwrap()).unwrap();
        let (head, body) = raw.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Message-ID: <0190@shop.example>"), "{head}");
        assert!(head.contains("To: <ada@example.com>") && head.contains("<shop@shop.example>"), "{head}");
        assert!(head.contains("Date: Wed, 18 Nov 2026"), "{head}");
        assert!(head.is_ascii() && !head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
        assert!(body.lines().any(|line| line == "abcDEF-_123"), "{body}");
        assert!(!format!("{message:?}").contains("abcDEF"));
    }
}
