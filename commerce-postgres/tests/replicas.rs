//! A real primary with two streaming replicas: who reads where, while one stands still and while one dies.

mod support;

use std::time::{Duration, Instant};

use commerce_core::{
    Commerce,
    account::Registration,
    catalog::{NewProduct, ProductPatch},
    context::{Actor, Identity, Role},
    id::SessionId,
    page::PageRequest,
    payment::TestGateway,
    review::NewReview,
    store::Store as _,
};
use commerce_postgres::{PgStore, testing::Cluster};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, query_as, raw_sql};
use uuid::Uuid;

struct World {
    primary: Cluster,
    replicas: Vec<Cluster>,
    shop: Commerce,
    slug: String,
}

/// Ends the shops' connections, and with them what is known of their last statements.
const FORGET: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'commerce'";

async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect(&cluster.url("postgres")).await.unwrap()
}

async fn run(cluster: &Cluster, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connect(cluster).await).await.unwrap();
}

/// How many connections of shops read the categories as their last statement, which is how showing a product ends.
async fn readers_of_products(cluster: &Cluster) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'commerce' AND query LIKE '%commerce_category%'";
    let (count,): (i64,) = query_as(sql).fetch_one(&mut connect(cluster).await).await.unwrap();
    count
}

fn build(store: PgStore) -> Commerce {
    Commerce::builder().store(store).gateway(TestGateway::new()).build().unwrap()
}

/// Waits until something holds.
async fn until<T>(what: &str, mut holds: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(it) = holds().await {
            return it;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl World {
    /// A shop with a product called "First", whose replicas have caught up.
    async fn new() -> Self {
        let primary = Cluster::start(&[]).await.unwrap_or_else(|error| panic!("{error}"));
        let store = PgStore::connect(&primary.url("postgres")).await.unwrap();
        store.migrate().await.unwrap();
        let replicas = vec![primary.replica().await.unwrap(), primary.replica().await.unwrap()];
        let urls: Vec<_> = replicas.iter().map(|replica| replica.url("postgres")).collect();
        let store = store.with_replicas(&urls).unwrap();
        let shop = build(store);
        let product = NewProduct::active("First").variant("ONE", support::eur(1990));
        let slug = shop.as_system().catalog().create(product).await.unwrap().slug;
        let world = Self { primary, replicas, shop, slug };
        until("replicas that are read from", async || world.both_serve().await.then_some(())).await;
        world
    }

    /// Whether guests' reads go to each of the replicas.
    async fn both_serve(&self) -> bool {
        for _ in 0..4 {
            self.title_for(&Actor::guest()).await;
        }
        readers_of_products(&self.replicas[0]).await > 0 && readers_of_products(&self.replicas[1]).await > 0
    }

    async fn title_for(&self, viewer: &Actor) -> String {
        match self.shop.acting_as(viewer).catalog().product(&self.slug).await {
            Ok(detail) => detail.title,
            Err(error) => format!("{error}"),
        }
    }

    async fn rename(&self, title: &str) {
        let catalog = self.shop.as_system().catalog();
        let product = catalog.product(&self.slug).await.unwrap();
        catalog.update(product.id, ProductPatch::new().title(title.to_owned())).await.unwrap();
    }

    async fn customer(&self, name: &str) -> Actor {
        let registration = Registration::new(format!("{name}@example.com"), "violet-Harbour-27", name, "Muster");
        let user = self.shop.as_system().accounts().create_user(registration, Role::Customer).await.unwrap();
        Actor::User(Identity { user: user.id, role: user.role, session: SessionId(Uuid::nil()) })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_serve_what_is_shown_unless_they_are_behind_or_dead() {
    let mut world = World::new().await;
    let (guest, ada) = (Actor::guest(), world.customer("ada").await);
    run(&world.primary, FORGET).await;
    assert!(world.both_serve().await);
    assert_eq!(readers_of_products(&world.primary).await, 0, "what is shown isn't read from the primary");

    // An idle primary isn't lag: long after the last write, replicas still serve.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    for replica in &world.replicas {
        run(replica, FORGET).await;
    }
    until("both replicas after an idle time", async || world.both_serve().await.then_some(())).await;

    // Both stand still: for a moment guests see what was, the writer and staff what is; then everybody does.
    for replica in &world.replicas {
        run(replica, "SELECT pg_wal_replay_pause()").await;
        until("a replica that stands still", async || {
            let sql = "SELECT pg_get_wal_replay_pause_state()";
            let (state,): (String,) = query_as(sql).fetch_one(&mut connect(replica).await).await.unwrap();
            (state == "paused").then_some(())
        })
        .await;
    }
    // Those who watch the replicas have got over the connections that were ended.
    until("guests who are served by replicas alone", async || {
        run(&world.primary, FORGET).await;
        (world.both_serve().await && readers_of_products(&world.primary).await == 0).then_some(())
    })
    .await;
    let written = Instant::now();
    world.rename("Second").await;
    assert_eq!(world.title_for(&Actor::System).await, "Second");
    let seen = world.title_for(&guest).await;
    assert!(
        seen == "First" || written.elapsed() > Duration::from_millis(500),
        "a guest was served by a replica: {seen}"
    );
    let draft = NewReview::new(5, "Good", "Tea.");
    world.shop.acting_as(&ada).reviews().create(&world.slug, draft).await.unwrap();
    let rated = world.shop.acting_as(&ada).catalog().product(&world.slug).await.unwrap();
    assert_eq!((rated.title.as_str(), rated.rating_count), ("Second", 1), "who wrote sees it");
    let listed = world.shop.acting_as(&ada).reviews().of_product(&world.slug, &PageRequest::first(10)).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    until("replicas that stand still are left out", async || (world.title_for(&guest).await == "Second").then_some(()))
        .await;
    let behind = written.elapsed();
    assert!(behind < Duration::from_secs(3), "it took {behind:?}");
    for _ in 0..20 {
        assert_eq!(world.title_for(&guest).await, "Second", "none of them is asked");
    }

    // One goes on: it serves again, alone.
    run(&world.replicas[0], "SELECT pg_wal_replay_resume()").await;
    for replica in &world.replicas {
        run(replica, FORGET).await;
    }
    until("the replica that caught up", async || {
        world.title_for(&guest).await;
        (readers_of_products(&world.replicas[0]).await > 0).then_some(())
    })
    .await;
    assert_eq!(readers_of_products(&world.replicas[1]).await, 0, "the other still stands still");

    // It dies: nobody notices.
    let dead = world.replicas.remove(0);
    let buyers = tokio::spawn({
        let (shop, slug) = (world.shop.clone(), world.slug.clone());
        async move {
            let end = Instant::now() + Duration::from_secs(3);
            let mut reads = 0;
            while Instant::now() < end {
                let title = shop.as_guest().catalog().product(&slug).await.unwrap().title;
                assert_eq!(title, "Second");
                shop.as_guest().catalog().products().page(&PageRequest::first(5)).await.unwrap();
                reads += 1;
            }
            reads
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(dead);
    assert!(buyers.await.unwrap() > 10);

    // The other comes back.
    run(&world.replicas[0], "SELECT pg_wal_replay_resume()").await;
    until("the replica that came back", async || {
        world.title_for(&guest).await;
        (readers_of_products(&world.replicas[0]).await > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_no_replica_of_this_database_is_never_asked() {
    let (primary, other) = (Cluster::start(&[]).await.unwrap(), Cluster::start(&[]).await.unwrap());
    let store = PgStore::connect(&primary.url("postgres")).await.unwrap();
    store.migrate().await.unwrap();
    // The primary itself, a stranger with the same tables, and nobody.
    let stranger = PgStore::connect(&other.url("postgres")).await.unwrap();
    stranger.migrate().await.unwrap();
    let nobody = "postgres://postgres@127.0.0.1:1/postgres".to_owned();
    let store = store.with_replicas(&[primary.url("postgres"), other.url("postgres"), nobody]).unwrap();
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        let served: *const () = std::ptr::from_ref(store.replica_reads()).cast();
        let primary: *const () = std::ptr::from_ref(store.reads()).cast();
        assert_eq!(served, primary);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
