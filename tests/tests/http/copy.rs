//! `commerce-server copy`: a shop with a row of every kind moves to the other backend and back, whole.

use std::{
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use commerce_core::{
    clock::{SystemClock, Timestamp},
    event::LeasedTask,
    id::UuidV7,
    store::{
        Applied, ChangeSet, CommitError, MissingReference, Portable, Reads, Store, StoreError, Table,
        copy::{CopyError, copy},
    },
};
use commerce_postgres::PgStore;
use commerce_sqlite::SqliteStore;
use commerce_tests::{
    dump::{Dump, dump},
    http::{Backend, Home, Server, at, card, id},
};
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection};
use uuid::Uuid;

use super::access::{Who, World};
use crate::BACKEND;

pub(super) const OTHER: Backend = match BACKEND {
    Backend::Sqlite => Backend::Postgres,
    Backend::Postgres => Backend::Sqlite,
};

/// A shop with a row in every table, whose server has ended.
pub(super) async fn shop() -> World {
    let mut world = World::new().await;
    let (admin, owner) = (&world.callers[&Who::Admin], &world.callers[&Who::Owner]);
    admin.post("/v1/admin/categories", json!({ "name": "Shelves" })).await.done(201);
    let shelf = json!({ "category_ids": [world.ids["category"]] });
    admin.patch(&format!("/v1/admin/products/{}", world.ids["product"]), shelf).await.done(200);
    let product = world.server.product(admin, "POT", "29.90", 8).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    owner.delete("/v1/cart").await.done(200);
    owner.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 2 })).await.done(200);
    let mut checkout = card("pm_card_visa");
    checkout["note"] = "Ring twice,\nplease.".into();
    checkout["shipping_address"]["company"] = "Tea Ltd".into();
    let order = owner.once("bought once").post("/v1/checkout", checkout).await.expect(201);
    let body = json!({ "items": [{ "variant_id": variant, "quantity": 1 }], "reason": "a dent", "restock": true });
    admin.post(&format!("/v1/admin/orders/{}/refunds", id(&order)), body).await.done(201);
    admin.delete(&format!("/v1/admin/products/{}", id(&product))).await.done(204);
    // A payment that waits for its customer has a task that is due later.
    owner.post("/v1/cart/items", json!({ "variant_id": world.ids["variant"], "quantity": 1 })).await.done(200);
    owner.post("/v1/checkout", card("pm_card_threeDSecure2Required")).await.done(202);
    world.server.guest_with(&world.ids["variant"], 1).await;
    let email = json!({ "email": "owner@example.com" });
    world.server.anyone().post("/v1/auth/password/forgot", email).await.done(202);
    world.server.signal("TERM");
    assert!(world.server.wait().success(), "{}", world.server.log());
    // A server with limits counts a sign-in that fails.
    let home = Arc::clone(&world.server.home);
    world.server = Server::start_in(home, &[("COMMERCE_RATE_LIMIT", "on")], &[]);
    let wrong = json!({ "email": "owner@example.com", "password": "not the owner's" });
    world.server.anyone().post("/v1/auth/login", wrong).await.refused(401, "invalid_credentials");
    world.server.signal("TERM");
    assert!(world.server.wait().success(), "{}", world.server.log());
    world
}

fn run_copy(home: &Home, from: &str, to: &str) -> Output {
    home.command().args(["copy", "--from", from, "--to", to]).output().expect("copy runs")
}

/// Every row of the one is in the other.
#[track_caller]
pub(super) fn assert_same(before: &Dump, after: &Dump) {
    assert!(before.len() > 20, "the tables are read");
    assert!(before.keys().eq(after.keys()));
    for (table, rows) in before {
        assert!(!rows.is_empty(), "{table} has no row: let the shop of this test have one");
        let copied = &after[table];
        for row in rows {
            assert!(copied.binary_search(row).is_ok(), "{table} lacks {row}");
        }
        // The copy itself commits sets, and keeps its note under a key.
        if !["commerce_commit", "commerce_key"].contains(&table.as_str()) {
            assert_eq!(rows.len(), copied.len(), "{table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_shop_moves_to_the_other_backend_and_back() {
    let mut world = shop().await;
    let home = world.server.home.clone();
    let before = dump(home.url()).await;
    let (there, back) = (Home::new(OTHER).await, Home::new(BACKEND).await);
    for (from, to) in [(&home, &there), (&there, &back)] {
        let output = run_copy(&home, from.url(), to.url());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for side in [from, to] {
            let verified = side.command().arg("verify").output().expect("verify runs");
            assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        }
    }
    assert_same(&before, &dump(back.url()).await);

    // A copy that is complete stays as it is, and nothing else may go there.
    let again = run_copy(&home, home.url(), there.url());
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    let another = Server::start(BACKEND).await;
    let refused = run_copy(&home, another.home.url(), there.url());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("holds another shop"), "{said}");
    let refused = run_copy(&home, home.url(), another.home.url());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds another shop"));
    let refused = run_copy(&home, "sqlite://no/such/file.db", another.home.url());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no file"));

    // The same people, by the same tokens and passwords, see the same shop at the new address.
    let mut seen = Vec::new();
    for home in [home, there] {
        world.server = Server::start_in(home, &[], &[]);
        world.callers.values_mut().for_each(|caller| *caller = caller.at(&world.server.base));
        let found = world.server.anyone().get("/v1/products?q=prodcut").await.expect(200);
        seen.push((world.snapshot().await, found));
        world.server.login("owner@example.com").await;
    }
    assert!(seen[0].1["items"].as_array().is_some_and(|items| items.len() == 1));
    assert_eq!(seen[0], seen[1]);
}

/// A store that is lost after so many writes.
struct Interrupted {
    inner: Box<dyn Portable>,
    left: AtomicI64,
}

impl Interrupted {
    fn spend(&self) -> Result<(), std::io::Error> {
        let left = self.left.fetch_sub(1, Ordering::Relaxed);
        if left > 0 { Ok(()) } else { Err(std::io::ErrorKind::ConnectionReset.into()) }
    }
}

#[async_trait]
impl Store for Interrupted {
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        self.spend().map_err(|error| CommitError::Unavailable(error.into()))?;
        self.inner.commit(set).await
    }

    async fn lease(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        self.inner.lease(worker, now, until, limit).await
    }

    fn reads(&self) -> &dyn Reads {
        self.inner.reads()
    }
}

#[async_trait]
impl Portable for Interrupted {
    async fn count(&self, table: &str) -> Result<u64, StoreError> {
        self.inner.count(table).await
    }

    async fn ids(&self, table: &str, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        self.inner.ids(table, after, limit).await
    }

    async fn rows(&self, table: &Table, after: Option<&Value>, limit: u32) -> Result<Vec<Value>, StoreError> {
        self.inner.rows(table, after, limit).await
    }

    async fn add_rows(&self, table: &Table, rows: &[Value]) -> Result<(), StoreError> {
        self.spend().map_err(StoreError::unavailable)?;
        self.inner.add_rows(table, rows).await
    }

    async fn unrelated(&self) -> Result<Vec<MissingReference>, StoreError> {
        self.inner.unrelated().await
    }
}

pub(super) async fn open(home: &Home) -> Box<dyn Portable> {
    if home.url().starts_with("sqlite") {
        Box::new(SqliteStore::open(home.url()).await.expect("a store"))
    } else {
        let store = PgStore::connect(home.url()).await.expect("a store");
        store.migrate().await.expect("a schema");
        Box::new(store)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_interrupted_time_and_again_goes_on() {
    let world = shop().await;
    let (there, back) = (Home::new(OTHER).await, Home::new(BACKEND).await);
    let before = dump(world.server.home.url()).await;
    for (from, to) in [(&*world.server.home, &*there), (&*there, &*back)] {
        let source = open(from).await;
        let target = Interrupted { inner: open(to).await, left: AtomicI64::new(0) };
        let mut interruptions = 0;
        loop {
            // Odd numbers of writes: between rows and their note, and between notes.
            target.left.store(1 + interruptions % 5, Ordering::Relaxed);
            let mut last = 0;
            let note = |at: commerce_core::store::copy::CopyProgress| {
                assert!(at.done >= last && at.done <= at.total, "{at:?}");
                last = at.done;
            };
            match copy(&*source, &target, &SystemClock, &UuidV7, 3, note).await {
                Ok(_) => break,
                Err(CopyError::Target(StoreError::Unavailable(_))) => interruptions += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(interruptions > 20, "only {interruptions}");
    }
    assert_same(&before, &dump(back.url()).await);
}

/// What older versions let in on SQLite, PostgreSQL can't keep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_cannot_be_carried_is_named() {
    if BACKEND == Backend::Postgres {
        // It never had one.
        return;
    }
    let world = shop().await;
    let (home, there) = (world.server.home.clone(), Home::new(Backend::Postgres).await);
    let mut file = SqliteConnection::connect(home.url()).await.expect("the file");
    let mut change = async |sql: &'static str| sqlx::query(sql).execute(&mut file).await.expect("a change");
    change("UPDATE commerce_review SET body = body || char(0) || 'x'").await;
    change("UPDATE commerce_movement SET reason = 'lost' || char(0) WHERE kind = 'initial'").await;
    // What SQLite's `length` counts ends before a NUL.
    let refused = |output: &Output| {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused(&run_copy(&home, home.url(), there.url()));
    assert!(said.contains("the movement ") && said.contains("(U+0000) in reason"), "{said}");
    change("UPDATE commerce_movement SET reason = substr(reason, 1, length(reason))").await;
    let said = refused(&run_copy(&home, home.url(), there.url()));
    let review = format!("the review {} has a NUL character (U+0000) in /body", world.ids["review"]);
    assert!(said.contains(&review), "{said}");
    change("UPDATE commerce_review SET body = substr(body, 1, length(body))").await;
    let output = run_copy(&home, home.url(), there.url());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verified = there.command().arg("verify").output().expect("verify runs");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
