//! How long the listing is gone when PostgreSQL stands still for half a minute (SIGSTOP), and how soon it is back.
//!
//! `cargo bench -p commerce-http --bench frozen` starts a PostgreSQL of its own and prints one line a fault,
//! `bench frozen_… back=…s gone=…s …`. The listing is asked for 20 times a second, each time for a page that no cache has.
//!
//! - `frozen_server`: all of its processes stand still. `back` is how long after its return the last request failed or was still
//!   kept waiting; the goal is 2 s.
//! - `frozen_backends`: those that serve connections stand still, while new connections work. `back` counts from the moment at
//!   which they stop, as there is nothing to wait for.
//!
//! `gone` is the time from the first request that failed to the last. `slowest` is how long the slowest answer took.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use commerce_core::{Commerce, conformance::load::fill, payment::ManualGateway};
use commerce_http::CommerceApi;
use commerce_postgres::{PgStore, testing::Cluster};
use poem::{
    Server,
    listener::{Acceptor, Listener, TcpListener},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{interval, sleep, timeout},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const PRODUCTS: u32 = 1_000;
/// How long PostgreSQL stands still.
const STILL: Duration = Duration::from_secs(30);
/// How long the listing is watched before and after that.
const AROUND: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(50);
/// A visitor has gone by then.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    let cluster = Cluster::start(&[]).await?;
    let store = PgStore::connect(&cluster.url("postgres")).await?;
    store.migrate().await?;
    fill(&store, PRODUCTS).await?;
    let commerce = Commerce::builder().store(store).gateway(ManualGateway::new()).build()?;
    tokio::spawn(commerce.worker().run(std::future::pending()));
    let server = serve(commerce).await?;

    let whole = watch(server, || cluster.freeze(), || cluster.thaw()).await?;
    whole.print("frozen_server", whole.returned);
    let backends = watch(server, || cluster.freeze_backends(), || cluster.thaw()).await?;
    backends.print("frozen_backends", backends.stopped);
    Ok(())
}

async fn serve(commerce: Commerce) -> Result<SocketAddr, BoxError> {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    let address = acceptor.local_addr().first().and_then(|address| address.as_socket_addr().copied());
    let api = CommerceApi::new(commerce).rate_limits(false).build();
    tokio::spawn(Server::new_with_acceptor(acceptor).run(api));
    address.ok_or_else(|| "not a TCP address".into())
}

/// A request for the listing.
struct Asked {
    at: Instant,
    answered: Instant,
    is_good: bool,
}

/// What became of all requests, and when PostgreSQL stood still.
struct Run {
    asked: Vec<Asked>,
    stopped: Instant,
    returned: Instant,
}

/// Asks for the listing before, during and after a fault.
async fn watch<E: std::error::Error + Send + Sync + 'static>(
    server: SocketAddr,
    stop: impl FnOnce() -> Result<(), E>,
    go_on: impl FnOnce() -> Result<(), E>,
) -> Result<Run, BoxError> {
    let visitors = tokio::spawn(async move {
        let (begun, mut every, mut visitors) = (Instant::now(), interval(EVERY), JoinSet::new());
        while begun.elapsed() < AROUND + STILL + AROUND {
            every.tick().await;
            visitors.spawn(async move {
                let at = Instant::now();
                let path = format!("/v1/products?limit=20&asked={}", at.duration_since(begun).as_micros());
                let status = timeout(PATIENCE, get(server, &path)).await;
                Asked { at, answered: Instant::now(), is_good: matches!(status, Ok(Ok(200))) }
            });
        }
        visitors.join_all().await
    });
    sleep(AROUND).await;
    stop()?;
    let stopped = Instant::now();
    sleep(STILL).await;
    go_on()?;
    let returned = Instant::now();
    Ok(Run { asked: visitors.await?, stopped, returned })
}

/// The status of an answer.
async fn get(server: SocketAddr, path: &str) -> Result<u16, BoxError> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = String::from_utf8_lossy(answer.get(..12).ok_or("no answer")?).into_owned();
    Ok(head.trim_start_matches("HTTP/1.1 ").parse()?)
}

impl Run {
    /// One line; `since` is when it should have been back.
    fn print(&self, name: &str, since: Instant) {
        let bad: Vec<&Asked> = self.asked.iter().filter(|asked| !asked.is_good).collect();
        let first = bad.iter().map(|asked| asked.at).min();
        let last = bad.iter().map(|asked| asked.answered).max();
        let gone = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.duration_since(first));
        // One that was kept waiting counts until it was answered.
        let waited = self.asked.iter().filter(|asked| asked.answered.duration_since(asked.at) > Duration::from_secs(1));
        let back = waited.map(|asked| asked.answered).chain(last).max().unwrap_or(since);
        let slowest = self.asked.iter().map(|asked| asked.answered.duration_since(asked.at)).max().unwrap_or_default();
        println!(
            "bench {name} back={:.2}s gone={:.2}s slowest={:.2}s asked={} failed={} frozen={:.0}s",
            back.saturating_duration_since(since).as_secs_f64(),
            gone.as_secs_f64(),
            slowest.as_secs_f64(),
            self.asked.len(),
            bad.len(),
            self.returned.duration_since(self.stopped).as_secs_f64(),
        );
    }
}
