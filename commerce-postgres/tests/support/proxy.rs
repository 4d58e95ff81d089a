//! Stands between the store and the server: counts round trips, and cuts the line at a COMMIT on demand.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
};

/// What becomes of the next COMMIT.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Commits {
    Pass = 0,
    /// It reaches the server, but its answer is lost.
    LoseAnswer = 1,
    /// It is lost itself.
    Lose = 2,
    /// It reaches the server, and the line stays open and silent.
    HoldAnswer = 3,
    /// It doesn't get there, and the line stays open and silent.
    Silence = 4,
}

#[derive(Clone, Default)]
pub struct Proxy {
    trips: Arc<AtomicU32>,
    commits: Arc<AtomicU8>,
    named: Arc<AtomicBool>,
    port: u16,
}

impl Proxy {
    /// To the server behind a URL with `host=<folder of its socket>`.
    pub async fn to(url: &str) -> Option<(Self, String)> {
        let (rest, folder) = url.split_once("?host=")?;
        let (_, database) = rest.rsplit_once('/')?;
        let socket = PathBuf::from(folder).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let proxy = Self { port: listener.local_addr().expect("a bound port").port(), ..Self::default() };
        let through = format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", proxy.port);
        let serving = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&socket).await.expect("the server's socket");
                tokio::spawn(serving.clone().relay(client, server));
            }
        });
        Some((proxy, through))
    }

    /// How often the client waited for the server since it was asked last.
    pub fn trips(&self) -> u32 {
        self.trips.swap(0, Ordering::SeqCst)
    }

    /// Whether a statement was prepared under a name, as the driver makes them up.
    pub fn saw_a_name(&self) -> bool {
        self.named.load(Ordering::SeqCst)
    }

    pub fn at_commit(&self, what: Commits) {
        self.commits.store(what as u8, Ordering::SeqCst);
    }

    async fn relay(self, mut client: TcpStream, mut server: UnixStream) {
        let (mut asked, mut answered) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        let mut waits = false;
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(n @ 1..) = read else { return };
                    let message = &asked[..n];
                    // The pool sends a lone Sync when a connection comes back: nobody waits for that.
                    if !waits && message != b"S\0\0\0\x04" {
                        waits = true;
                        self.trips.fetch_add(1, Ordering::SeqCst);
                    }
                    if message.windows(7).any(|window| window == b"sqlx_s_") {
                        self.named.store(true, Ordering::SeqCst);
                    }
                    let is_commit = message.windows(7).any(|window| window == b"COMMIT\0");
                    match if is_commit { self.commits.swap(0, Ordering::SeqCst) } else { 0 } {
                        0 => {}
                        1 => {
                            let _ = server.write_all(message).await;
                            let _ = server.read(&mut answered).await;
                            return;
                        }
                        2 => return,
                        conn => {
                            if conn == 3 {
                                let _ = server.write_all(message).await;
                                let _ = server.read(&mut answered).await;
                            }
                            // Until the client has had enough.
                            while matches!(client.read(&mut asked).await, Ok(1..)) {}
                            return;
                        }
                    }
                    if server.write_all(message).await.is_err() { return }
                }
                read = server.read(&mut answered) => {
                    let Ok(n @ 1..) = read else { return };
                    waits = false;
                    if client.write_all(&answered[..n]).await.is_err() { return }
                }
            }
        }
    }
}
