//! What the storage boundary costs over PostgreSQL itself, and what a large catalogue costs over a small one.
//!
//! `cargo bench -p commerce-postgres` starts a server of its own with full durability, speaks to it over TCP as shops do, and
//! prints one line a figure: `bench NAME ratio=… value=…`.
//!
//! - `checkout_pgbench_N`: checkouts a second with N clients, through `Store::commit`; the ratio is to `pgbench -M prepared`
//!   writing the same rows, a statement each.
//! - `checkout_bare_N`: the ratio is to the same rows written through sqlx, unguarded: locks with BEGIN, one statement, COMMIT.
//! - `checkout_hot_N`: as bare, with all clients after the same two products.
//! - `list_…`, `search_…`, `detail`: the median on 100,000 products in milliseconds; the ratio is to that on 1,000.

mod bare;
mod pgbench;

use std::time::Duration;

use commerce_core::{
    conformance::load::{Checkout, LoadError, checkouts, commits_per_second, fill, median, read_figures},
    store::Store as _,
};
use commerce_postgres::{PgStore, testing::Cluster};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

const SETTINGS: [(&str, &str); 5] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "4GB"),
];
const CLIENTS: [usize; 3] = [1, 8, 32];
/// Enough that buyers don't all want the same.
const VARIANTS: usize = 2_000;
const HOT: usize = 2;
const SPAN: Duration = Duration::from_millis(1500);
/// More than are checked out in the time.
const CARTS: usize = 8_000;
/// Ours and the floors take turns, so that what else the machine does weighs on all.
const TURNS: usize = 3;
const SMALL: u32 = 1_000;
const LARGE: u32 = 100_000;

/// The server, on a port of its own.
struct Server {
    port: u16,
    _cluster: Cluster,
}

impl Server {
    async fn start() -> Result<Self, LoadError> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let listen = [("listen_addresses", "127.0.0.1"), ("port", &port.to_string())];
        Ok(Self { port, _cluster: Cluster::start(&[&SETTINGS[..], &listen].concat()).await? })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), LoadError> {
    let server = Server::start().await?;
    println!("PostgreSQL with {}", SETTINGS.map(|(name, value)| format!("{name}={value}")).join(", "));
    for clients in CLIENTS {
        against_pgbench(&server, clients).await?;
        against_bare(&server, "bare", clients, VARIANTS).await?;
    }
    for clients in [8, 32] {
        against_bare(&server, "hot", clients, HOT).await?;
    }
    let (small, large) = (catalogue(&server, SMALL).await?, catalogue(&server, LARGE).await?);
    for ((name, small), (_, large)) in small.iter().zip(&large) {
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("bench {name} ratio={ratio:.2} value={:.2}ms", large.as_secs_f64() * 1000.0);
    }
    Ok(())
}

async fn against_pgbench(server: &Server, clients: usize) -> Result<(), LoadError> {
    let mut turns = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let (ours, _) = ours(server, clients, VARIANTS).await?;
        turns.push((ours, pgbench::run(server, clients).await?));
    }
    print(&format!("checkout_pgbench_{clients}"), &turns);
    Ok(())
}

async fn against_bare(server: &Server, name: &str, clients: usize, variants: usize) -> Result<(), LoadError> {
    let mut turns = Vec::with_capacity(TURNS);
    let mut deadlocks = 0;
    for _ in 0..TURNS {
        let (ours, deadlocked) = ours(server, clients, variants).await?;
        deadlocks += deadlocked;
        turns.push((ours, bare(server, clients, variants).await?));
    }
    print(&format!("checkout_{name}_{clients}"), &turns);
    if deadlocks > 0 {
        return Err(format!("{deadlocks} deadlocks").into());
    }
    Ok(())
}

fn print(name: &str, turns: &[(f64, f64)]) {
    let ratio = median(turns.iter().map(|(ours, floor)| ours / floor));
    let (ours, floor) = (median(turns.iter().map(|turn| turn.0)), median(turns.iter().map(|turn| turn.1)));
    println!("bench {name} ratio={ratio:.2} value={ours:.0}/s floor={floor:.0}/s");
}

/// Checkouts a second through the store, and the deadlocks there were.
async fn ours(server: &Server, clients: usize, variants: usize) -> Result<(f64, i64), LoadError> {
    let (store, work) = prepared(server, "ours", variants).await?;
    let committing = store.clone();
    let rate = commits_per_second(work, clients, SPAN, move |checkout| {
        let store = committing.clone();
        async move { Ok(store.commit(&checkout.set).await.map(drop)?) }
    })
    .await?;
    let deadlocks: i64 =
        sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(store.pool())
            .await?;
    store.close().await;
    Ok((rate, deadlocks))
}

async fn bare(server: &Server, clients: usize, variants: usize) -> Result<f64, LoadError> {
    let (store, work) = prepared(server, "bare", variants).await?;
    let pool = store.pool().clone();
    let rate = commits_per_second(work, clients, SPAN, move |checkout| {
        let pool = pool.clone();
        async move { bare::write(&pool, &checkout).await }
    })
    .await?;
    store.close().await;
    Ok(rate)
}

/// A new database with carts in it.
async fn prepared(server: &Server, name: &str, variants: usize) -> Result<(PgStore, Vec<Checkout>), LoadError> {
    let store = database(server, name).await?;
    let work = checkouts(&store, variants, CARTS).await?;
    // As after a while of service.
    raw_sql("VACUUM ANALYZE").execute(store.pool()).await?;
    Ok((store, work))
}

async fn database(server: &Server, name: &str) -> Result<PgStore, LoadError> {
    let mut admin = PgConnection::connect(&server.url("postgres")).await?;
    for sql in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await?;
    }
    let store = PgStore::connect(&server.url(name)).await?;
    store.migrate().await?;
    Ok(store)
}

async fn catalogue(server: &Server, products: u32) -> Result<Vec<(&'static str, Duration)>, LoadError> {
    let store = database(server, "catalogue").await?;
    let products = fill(&store, products).await?;
    raw_sql("VACUUM ANALYZE").execute(store.pool()).await?;
    let figures = read_figures(&store, &products).await?;
    store.close().await;
    Ok(figures)
}
