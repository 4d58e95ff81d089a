//! [`FileMailer`]: one file a message.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
};

use super::{Mailer, Message};

/// Writes each message into a folder, as `<message id>.eml`: for development, tests, and mail servers with a pick-up folder. A
/// file is there as a whole or not at all; a message that is delivered twice is one file.
#[derive(Debug)]
pub struct FileMailer {
    folder: PathBuf,
    drafts: AtomicU64,
}

impl FileMailer {
    /// A mailer that writes into this folder, and makes it when it is needed.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), drafts: AtomicU64::new(0) }
    }

    /// Where the messages are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    async fn write(&self, message: &Message) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder).await?;
        let name = file_name(&message.id);
        // Unlike any other draft, of this process or another.
        let draft = format!(".{name}.{}.{}", std::process::id(), self.drafts.fetch_add(1, Ordering::Relaxed));
        let draft = self.folder.join(draft);
        let written = async {
            let mut file = File::create(&draft).await?;
            file.write_all(&message.to_rfc5322()?).await?;
            file.sync_all().await?;
            fs::rename(&draft, self.folder.join(name)).await
        }
        .await;
        if written.is_err() {
            // What went wrong matters more than whether the draft could be cleared away.
            let _ = fs::remove_file(&draft).await;
        }
        written
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, message: &Message) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.write(message).await?)
    }
}

/// A message's id with everything that could mean something to a file system replaced.
fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "@.-_".contains(c) { c } else { '_' };
    format!("{}.eml", id.trim_start_matches('.').chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn message(id: &str) -> Message {
        Message {
            id: id.into(),
            from_name: "Shop".into(),
            from: "shop@shop.example".into(),
            to: "ada@example.com".into(),
            subject: "Hello".into(),
            text: "Hello, Ada.".into(),
            at: Timestamp::default(),
        }
    }

    #[tokio::test]
    async fn a_message_is_one_file_however_often_it_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mailer = FileMailer::new(folder.path().join("outbox"));
        for id in ["1@shop.example", "1@shop.example", "2@shop.example"] {
            mailer.send(&message(id)).await.unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(mailer.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["1@shop.example.eml", "2@shop.example.eml"]);
        let text = std::fs::read_to_string(mailer.folder().join(&names[0])).unwrap();
        assert!(text.contains("To: <ada@example.com>") && text.ends_with("Hello, Ada."), "{text}");
    }

    #[test]
    fn no_id_leads_out_of_the_folder() {
        assert_eq!(file_name("../../etc/passwd"), "_.._etc_passwd.eml");
        assert_eq!(file_name("a\\b:c\0d"), "a_b_c_d.eml");
    }
}
