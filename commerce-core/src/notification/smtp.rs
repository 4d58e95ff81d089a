//! [`SmtpMailer`]: hands messages to a mail server (feature `smtp`).

use std::{error::Error, fmt, net::IpAddr, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::{Address, Envelope},
};
use url::Url;

use super::{Mailer, Message};

/// How long the server may take over one step.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Delivers messages by SMTP, each over a connection of its own: lettre's pool of connections panics when it is made or dropped
/// outside a Tokio runtime. Its `Debug` shows no password.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    server: String,
}

/// Why an address of a mail server is of no use. The address itself isn't shown: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SmtpConfigError {
    /// Not an address of a mail server.
    #[error("a mail server is given as smtps://user:password@host or smtp://user:password@host:587")]
    Url,
    /// TLS can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
}

impl SmtpMailer {
    /// A mailer to a server: `smtps://user:password@host` (TLS from the start, port 465) or `smtp://user:password@host`
    /// (STARTTLS, without which nothing is sent, port 587). Without TLS to loopback only: `smtp://127.0.0.1:25`. A path is
    /// the name to greet with. Percent-encode what isn't plain in user and password.
    ///
    /// # Errors
    /// See [`SmtpConfigError`].
    pub fn new(url: &str) -> Result<Self, SmtpConfigError> {
        let mut url = Url::parse(url).map_err(|_| SmtpConfigError::Url)?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(SmtpConfigError::Url)?.to_owned();
        if url.query().is_some() || url.fragment().is_some() {
            return Err(SmtpConfigError::Url);
        }
        match url.scheme() {
            "smtps" => {}
            "smtp" if is_loopback(&host) => {}
            "smtp" => url.set_query(Some("tls=required")),
            _ => return Err(SmtpConfigError::Url),
        }
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str())
            .map_err(|error| SmtpConfigError::Tls(error.to_string()))?;
        Ok(Self { transport: builder.timeout(Some(TIMEOUT)).build(), server: host })
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, message: &Message) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (from, to) = (message.from.parse::<Address>()?, message.to.parse::<Address>()?);
        let envelope = Envelope::new(Some(from), vec![to])?;
        self.transport.send_raw(&envelope, &message.to_rfc5322()?).await?;
        Ok(())
    }

    fn needs_sender(&self) -> bool {
        true
    }
}

impl fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmtpMailer").field("server", &self.server).finish_non_exhaustive()
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::clock::Timestamp;

    /// A mail server without TLS that notes all it is told, and refuses mail to `nobody@…`.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<String>>>);

    impl Sink {
        async fn listen(&self) -> u16 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let sink = self.clone();
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let sink = sink.clone();
                    tokio::spawn(async move { sink.serve(socket).await });
                }
            });
            port
        }

        async fn serve(&self, socket: TcpStream) {
            let (read, mut write) = socket.into_split();
            let mut lines = BufReader::new(read).lines();
            write.write_all(b"220 sink\r\n").await.unwrap();
            let mut in_data = false;
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                    _ if in_data && line != "." => None,
                    "." => Some("250 taken"),
                    "EHLO" => Some("250-sink\r\n250 AUTH PLAIN"),
                    "AUTH" => Some("235 welcome"),
                    "RCPT" if line.contains("nobody@") => Some("550 no such mailbox"),
                    "DATA" => Some("354 go on"),
                    _ => Some("250 ok"),
                };
                in_data = answer.is_none() || answer == Some("354 go on");
                self.0.lock().unwrap().push(line);
                if let Some(answer) = answer {
                    write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
                }
            }
        }

        fn heard(&self, prefix: &str) -> Vec<String> {
            self.0.lock().unwrap().iter().filter(|line| line.starts_with(prefix)).cloned().collect()
        }
    }

    fn message(to: &str) -> Message {
        Message {
            id: "0190@shop.example".to_owned(),
            from_name: "Shop".to_owned(),
            from: "shop@shop.example".to_owned(),
            to: to.to_owned(),
            subject: "Hello".to_owned(),
            text: "Hello, Ada.\n.\n..and a line with dots".to_owned(),
            at: Timestamp::from_micros(1_795_000_000_000_000),
        }
    }

    #[tokio::test]
    async fn a_message_arrives_with_the_same_id_each_time() {
        let sink = Sink::default();
        let url = format!("smtp://us%20er:pass@127.0.0.1:{}/shop.example", sink.listen().await);
        let mailer = SmtpMailer::new(&url).unwrap();
        for _ in 0..2 {
            mailer.send(&message("ada@example.com")).await.unwrap();
        }
        // base64 of "\0us er\0pass".
        assert_eq!(sink.heard("AUTH"), ["AUTH PLAIN AHVzIGVyAHBhc3M="; 2]);
        assert_eq!(sink.heard("EHLO"), ["EHLO shop.example"; 2]);
        assert_eq!(sink.heard("MAIL"), ["MAIL FROM:<shop@shop.example>"; 2]);
        assert_eq!(sink.heard("RCPT"), ["RCPT TO:<ada@example.com>"; 2]);
        assert_eq!(sink.heard("Message-ID"), ["Message-ID: <0190@shop.example>"; 2]);
        assert_eq!(sink.heard("Hello, Ada."), ["Hello, Ada."; 2]);
        assert_eq!(sink.heard("...and"), ["...and a line with dots"; 2], "a dot doesn't end the message");
    }

    #[tokio::test]
    async fn what_the_server_refuses_is_an_error() {
        let sink = Sink::default();
        let mailer = SmtpMailer::new(&format!("smtp://localhost:{}", sink.listen().await)).unwrap();
        assert!(mailer.send(&message("nobody@example.com")).await.is_err());
        assert!(mailer.send(&message("not an address")).await.is_err());
        assert!(mailer.send(&message("ada@example.com>\r\nRCPT TO:<eve@example.com")).await.is_err());
        assert!(sink.heard("DATA").is_empty());
        mailer.send(&message("ada@example.com")).await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_sent_without_tls_off_the_machine() {
        let sink = Sink::default();
        // The resolver takes this for 127.0.0.1; we don't.
        let mailer = SmtpMailer::new(&format!("smtp://user:pass@127.1:{}", sink.listen().await)).unwrap();
        assert!(mailer.send(&message("ada@example.com")).await.is_err());
        assert_eq!(sink.heard("EHLO").len(), 1);
        assert!(sink.heard("AUTH").is_empty() && sink.heard("MAIL").is_empty());
    }

    #[test]
    fn only_addresses_of_mail_servers_are_taken() {
        for good in ["smtp://u:p@mail.example:587", "smtps://u:p@mail.example", "smtp://localhost:25"] {
            let mailer = SmtpMailer::new(good).unwrap();
            assert!(!format!("{mailer:?}").contains("u:p"));
        }
        for bad in ["", "mail.example", "http://mail.example", "smtp://", "smtp://u:p@mail.example?tls=opportunistic"] {
            assert_eq!(SmtpMailer::new(bad).unwrap_err(), SmtpConfigError::Url, "{bad}");
        }
    }
}
