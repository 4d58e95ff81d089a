//! A server whose PostgreSQL has two streaming replicas: what is shown comes from them, and nobody notices when they stand
//! still or die.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use commerce_postgres::testing::Cluster;
use commerce_tests::http::{Backend, Client, Home, Server, at, id};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, query_scalar, raw_sql};

/// Ends the server's connections, and with them what is known of their last statements.
const FORGET: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'commerce'";
/// How many connections of the server read the categories as their last statement, which is how showing a product ends.
const READERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'commerce' AND query LIKE '%commerce_category%'";

async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect(&cluster.url("postgres")).await.expect("a connection")
}

async fn run(cluster: &Cluster, sql: &str) {
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    sql.execute(&mut connect(cluster).await).await.expect("it runs");
}

async fn readers(cluster: &Cluster) -> i64 {
    query_scalar(READERS).fetch_one(&mut connect(cluster).await).await.expect("a count")
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct World {
    primary: Cluster,
    replicas: Vec<Cluster>,
    server: Server,
    admin: Client,
    product: Value,
    asked: u32,
}

impl World {
    /// A server with a product, which both replicas show.
    async fn new() -> Self {
        let primary = Cluster::start(&[]).await.unwrap_or_else(|error| panic!("{error}"));
        let replicas = vec![primary.replica().await.expect("a replica"), primary.replica().await.expect("another")];
        let urls = replicas.iter().map(|replica| replica.url("postgres")).collect::<Vec<_>>().join(", ");
        let home = Home::at(primary.url("postgres"));
        let server = start(home, &urls).await;
        let admin = server.admin().await;
        let product = server.product(&admin, "FIRST", "19.90", 20).await;
        let mut world = Self { primary, replicas, server, admin, product, asked: 0 };
        until("replicas that are read from", async || world.both_serve().await).await;
        world
    }

    /// Shows the product to somebody. Pages are kept for a second, under all that is asked: each time something new is.
    async fn show(&mut self, client: &Client) -> Value {
        self.asked += 1;
        client.get(&format!("/v1/products/{}?asked={}", id(&self.product), self.asked)).await.expect(200)
    }

    async fn both_serve(&mut self) -> bool {
        let guest = self.server.anyone();
        for _ in 0..4 {
            self.asked += 1;
            // Not there yet at a replica that lags.
            guest.get(&format!("/v1/products/{}?asked={}", id(&self.product), self.asked)).await;
        }
        readers(&self.replicas[0]).await > 0 && readers(&self.replicas[1]).await > 0
    }

    /// Has both replicas receive what happens and show nothing of it.
    async fn pause(&self) {
        for replica in &self.replicas {
            run(replica, "SELECT pg_wal_replay_pause()").await;
            until("a replica that stands still", async || {
                let state = query_scalar("SELECT pg_get_wal_replay_pause_state()");
                let state: String = state.fetch_one(&mut connect(replica).await).await.expect("a state");
                state == "paused"
            })
            .await;
        }
    }

    async fn resume(&self) {
        for replica in &self.replicas {
            run(replica, "SELECT pg_wal_replay_resume()").await;
        }
    }

    /// Sees a guest being shown what only a replica still shows: the title from before a change, while replicas stand still.
    /// They are left out once they are too far behind, which on a busy machine may come first: then it is tried again.
    async fn guests_are_served_by_replicas(&mut self) {
        let (guest, path) = (self.server.anyone(), format!("/v1/admin/products/{}", id(&self.product)));
        for n in 0..20 {
            self.pause().await;
            let title = format!("Renamed {n}");
            self.admin.patch(&path, json!({ "title": title })).await.done(200);
            let seen = self.show(&guest).await;
            self.resume().await;
            until("both replicas again", async || self.both_serve().await).await;
            if seen["title"] != title {
                return;
            }
        }
        panic!("no guest was ever served by a replica");
    }
}

async fn start(home: Arc<Home>, replicas: &str) -> Server {
    let replicas = replicas.to_owned();
    let start = move || Server::start_in(home, &[("COMMERCE_DATABASE_REPLICAS", &replicas)], &[]);
    tokio::task::spawn_blocking(start).await.expect("a server")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_are_served_by_replicas_and_whoever_wrote_reads_it() {
    let mut world = World::new().await;
    let (guest, admin, mia) = (world.server.anyone(), world.admin.clone(), world.server.customer("mia").await);
    run(&world.primary, FORGET).await;
    until("both replicas again", async || world.both_serve().await).await;
    let (path, reviews) = (format!("/v1/products/{}", id(&world.product)), "/reviews");
    for page in ["/v1/products", "/v1/products?q=first", "/v1/categories", &format!("{path}{reviews}")] {
        guest.get(page).await.done(200);
    }
    assert_eq!(readers(&world.primary).await, 0, "what guests are shown isn't read from the primary");

    world.guests_are_served_by_replicas().await;
    world.pause().await;
    let written = Instant::now();
    let review = json!({ "rating": 5, "title": "Good", "body": "Tea." });
    mia.post(&format!("{path}{reviews}"), review).await.done(201);
    assert_eq!(world.show(&mia).await["rating"]["count"], 1, "who reviewed it sees that at once");
    let listed = mia.get(&format!("{path}{reviews}")).await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    // Guests have pages made that lack the review, each kept for a second: none of them is hers, not even in its last moment.
    let mut pages = VecDeque::new();
    while written.elapsed() < Duration::from_secs(3) {
        let page = format!("{path}?at={}", written.elapsed().as_millis());
        guest.get(&page).await.done(200);
        pages.push_back((page, Instant::now()));
        while let Some((page, _)) = pages.pop_front_if(|(_, made)| made.elapsed() > Duration::from_millis(900)) {
            let seen = mia.get(&page).await.expect(200);
            assert_eq!(seen["rating"]["count"], 1, "{page} after {:?}", written.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    world.resume().await;
    until("both replicas after a rest", async || world.both_serve().await).await;
    world.pause().await;
    for n in 0..20 {
        let title = format!("Title {n}");
        admin.patch(&format!("/v1/admin{}", &path[3..]), json!({ "title": title })).await.done(200);
        guest.get(&path).await.done(200);
        assert_eq!(admin.get(&path).await.expect(200)["title"], title, "staff read what they wrote");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_stands_still_or_dies_is_left_out() {
    let mut world = World::new().await;
    let guest = world.server.anyone();
    world.guests_are_served_by_replicas().await;
    world.pause().await;
    let written = Instant::now();
    let second = world.server.product(&world.admin, "SECOND", "9.90", 5).await;
    let path = format!("/v1/products/{}", at(&second, "/slug"));
    until("the new product", async || guest.get(&path).await.status == 200).await;
    let behind = written.elapsed();
    assert!(behind < Duration::from_secs(3), "it took {behind:?}");
    for n in 0..20 {
        guest.get(&format!("{path}?asked={n}")).await.done(200);
    }
    world.server.logged("the replica is left out").await;

    // One goes on: it serves again, alone.
    run(&world.replicas[0], "SELECT pg_wal_replay_resume()").await;
    for replica in &world.replicas {
        run(replica, FORGET).await;
    }
    until("the replica that caught up", async || {
        world.show(&guest).await;
        readers(&world.replicas[0]).await > 0
    })
    .await;
    assert_eq!(readers(&world.replicas[1]).await, 0, "the other still stands still");

    // It dies under guests, who go on reading.
    let dead = world.replicas.remove(0);
    let readers_on = tokio::spawn({
        let guest = guest.clone();
        async move {
            let (end, mut pages) = (Instant::now() + Duration::from_secs(3), 0);
            while Instant::now() < end {
                for page in [&path, "/v1/products"] {
                    guest.get(&format!("{page}?asked={pages}")).await.done(200);
                    pages += 1;
                }
            }
            pages
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Stopping it takes a moment, in which this thread has nothing else to do.
    tokio::task::spawn_blocking(move || drop(dead)).await.expect("it ends");
    assert!(readers_on.await.expect("no error") > 20);

    // The other comes back.
    world.resume().await;
    until("the replica that came back", async || {
        world.show(&guest).await;
        readers(&world.replicas[0]).await > 0
    })
    .await;
    world.server.assert_verified();
}

#[tokio::test]
async fn a_bad_list_of_replicas_is_refused_at_the_start() {
    let home = Home::new(Backend::Postgres).await;
    for replicas in [
        "replica-1",
        "sqlite://shop.db",
        "postgres://replica-1/shop,mysql://replica-2/shop",
        "postgres://replica-1:port/shop",
        "postgres://replica-1/shop?sslmode=maybe",
        "postgres://replica-1,replica-2/shop",
        "postgres:///shop?host=replica-1%2Creplica-2",
    ] {
        let mut serve = tokio::process::Command::from(home.command());
        serve.arg("serve").env("COMMERCE_DATABASE_REPLICAS", replicas).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(30), serve.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{replicas} was taken")).expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{replicas}: {said}");
        assert!(said.starts_with("COMMERCE_DATABASE_REPLICAS "), "{replicas}: {said}");
    }
}
