//! The writer: groups, disk full, hosts, dropped callers, several processes.

mod common;

use std::{sync::Arc, time::Duration};

use commerce_core::{
    context::ActorRef,
    id::{IdGenerator as _, SeededIds},
    store::{Applied, ChangeSet, Claim, CommitError, Conflict, OutboxQueries as _, Store as _},
};
use commerce_sqlite::{SqliteStore, WriteError, apply};
use common::{NOW, Shop};
use futures_util::future::join_all;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, SqlitePool, query_scalar,
    sqlite::SqliteConnectOptions,
};

#[tokio::test]
async fn one_bad_set_among_good_ones() {
    let shop = Shop::new().await;
    shop.store.commit(&shop.claim("taken")).await.unwrap();
    let mut order = shop.order("1", None, &shop.product("Mug", &[100]), 1);
    order.payments[0].captured = 999;
    let mut broken = shop.set();
    broken.insert(&mut order);
    let sets: Vec<_> = (0..20)
        .map(|n| if n == 7 { shop.claim("taken") } else { shop.claim(&n.to_string()) })
        .chain([broken])
        .collect();
    let answers = join_all(sets.iter().map(|set| shop.store.commit(set))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        match n {
            7 => assert!(
                matches!(answer, Err(CommitError::Conflict(ref c)) if c == &[Conflict::Taken(Claim::sku("taken"))])
            ),
            20 => assert!(matches!(answer, Err(CommitError::Bug(_))), "{answer:?}"),
            _ => assert_eq!(answer.unwrap(), Applied::Now),
        }
    }
}

#[tokio::test]
async fn a_dropped_caller_changes_nothing() {
    let shop = Shop::new().await;
    for n in 0..50 {
        let set = shop.claim(&n.to_string());
        // Polled once: queued, and then given up.
        let _ = tokio::time::timeout(Duration::ZERO, shop.store.commit(&set)).await;
    }
    shop.store.commit(&shop.claim("last")).await.unwrap();
    for n in 0..50 {
        assert!(shop.store.load_claim(&Claim::sku(&n.to_string())).await.unwrap().is_some(), "{n}");
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let store = SqliteStore::open(&url).await.unwrap();
    let ids = Arc::new(SeededIds::new(1));
    // The quota holds for the connection that writes.
    quota(&store, 8).await;
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for round in 0..200 {
        let sets: Vec<_> = (0..8)
            .map(|n| {
                let mut set = ChangeSet::new(&*ids, NOW, ActorRef::System);
                set.hold(Claim::sku(&format!("{round}-{n}-{}", "x".repeat(200))), ids.uuid());
                set
            })
            .collect();
        let answers = join_all(sets.iter().map(|set| store.commit(set))).await;
        for (set, answer) in sets.into_iter().zip(answers) {
            match answer {
                Ok(Applied::Now) => done.push(set),
                Err(CommitError::Unavailable(_)) => refused.push(set),
                other => panic!("{other:?}"),
            }
        }
        if refused.len() > 20 {
            break;
        }
    }
    assert!(!done.is_empty() && refused.len() > 20, "{} {}", done.len(), refused.len());
    // With space again, what was refused goes through, and what was acknowledged is there.
    quota(&store, 1_000_000).await;
    for set in &refused {
        assert_eq!(store.commit(set).await.unwrap(), Applied::Now);
    }
    drop(store);
    let store = SqliteStore::open(&url).await.unwrap();
    for set in done.iter().chain(&refused) {
        assert_eq!(store.commit(set).await.unwrap(), Applied::Before);
    }
}

/// Sets how many pages the database may have, on the connection that writes.
async fn quota(store: &SqliteStore, more_pages: i64) {
    let set = store.write(move |conn| {
        Box::pin(async move {
            let pages: i64 = query_scalar("PRAGMA page_count").fetch_one(&mut *conn).await?;
            conn.execute(AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + more_pages))).await
        })
    });
    set.await.unwrap();
}

#[tokio::test]
async fn a_host_joins_the_queue() {
    let shop = Shop::new().await;
    let store = &shop.store;
    store.write(|conn| Box::pin(async move { conn.execute("CREATE TABLE mine (n INTEGER)").await })).await.unwrap();
    let set = shop.claim("with-host");
    let joined = set.clone();
    let applied = store
        .write(move |conn| {
            Box::pin(async move {
                conn.execute("INSERT INTO mine VALUES (1)").await.map_err(|e| CommitError::Bug(Box::new(e)))?;
                apply(conn, &joined).await
            })
        })
        .await
        .unwrap();
    assert_eq!(applied, Applied::Now);
    assert_eq!(store.commit(&set).await.unwrap(), Applied::Before);

    // A conflict doesn't poison the host's transaction; the host's own error rolls all of it back.
    let (taken, free) = (shop.claim("with-host"), shop.claim("free"));
    let failed = store.write(move |conn| {
        Box::pin(async move {
            conn.execute("INSERT INTO mine VALUES (2)").await.map_err(|_| "sql")?;
            assert!(matches!(apply(conn, &taken).await, Err(CommitError::Conflict(_))));
            assert_eq!(apply(conn, &free).await.unwrap(), Applied::Now);
            Err::<(), _>("changed my mind")
        })
    });
    assert!(matches!(failed.await, Err(WriteError::Host("changed my mind"))));
    assert_eq!(store.load_claim(&Claim::sku("free")).await.unwrap(), None);
    let rows = store.write(|conn| Box::pin(query_scalar::<_, i64>("SELECT count(*) FROM mine").fetch_one(conn)));
    assert_eq!(rows.await.unwrap(), 1);
}

#[tokio::test]
async fn a_panicking_host_doesnt_take_the_writer_along() {
    let shop = Shop::new().await;
    let store = shop.store.clone();
    let panicked = tokio::spawn(async move {
        store.write(|_| Box::pin(async { if true { panic!("oops") } else { Ok::<(), ()>(()) } })).await
    });
    assert!(panicked.await.unwrap_err().is_panic());
    shop.store.commit(&shop.claim("after")).await.unwrap();
}

#[tokio::test]
async fn a_hosts_own_pool_and_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("host.db")).create_if_missing(true);
    let pool = SqlitePool::connect_with(options.clone()).await.unwrap();
    let store = SqliteStore::from_pool(pool.clone()).await.unwrap();
    let ids = SeededIds::new(1);
    let claim = |sku: &str| {
        let mut set = ChangeSet::new(&ids, NOW, ActorRef::System);
        set.hold(Claim::sku(sku), ids.uuid());
        set
    };
    let (a, b) = (claim("a"), claim("a"));
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(apply(&mut tx, &a).await.unwrap(), Applied::Now);
    assert!(matches!(apply(&mut tx, &b).await, Err(CommitError::Conflict(_))));
    assert_eq!(apply(&mut tx, &a).await.unwrap(), Applied::Before);
    tx.commit().await.unwrap();
    assert!(store.load_claim(&Claim::sku("a")).await.unwrap().is_some());
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    apply(&mut tx, &claim("b")).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(store.load_claim(&Claim::sku("b")).await.unwrap(), None);
    // Outside a transaction it is one of its own.
    let mut conn = options.connect().await.unwrap();
    apply(&mut conn, &claim("c")).await.unwrap();
    conn.close().await.unwrap();
    assert!(store.load_claim(&Claim::sku("c")).await.unwrap().is_some());
}

#[tokio::test]
async fn many_may_start_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let stores = join_all((0..6).map(|_| SqliteStore::open(&url))).await;
    let ids = SeededIds::new(1);
    for (n, store) in stores.into_iter().enumerate() {
        let mut set = ChangeSet::new(&ids, NOW, ActorRef::System);
        set.hold(Claim::sku(&n.to_string()), ids.uuid());
        store.unwrap().commit(&set).await.unwrap();
    }
}
