//! Sets that wait at the same time are written together, and nobody can tell but by how fast it is.

mod support;

use std::{collections::BTreeSet, time::Duration};

use commerce_core::{
    catalog::Product,
    order::Order,
    page::PageSpec,
    store::{Applied, ChangeSet, Claim, CommitError, Conflict, MovementKind, StockDelta, Store as _},
};
use commerce_postgres::{PgStore, testing::TestDatabase};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, query_as, raw_sql};
use support::{
    cart, database,
    proxy::{Commits, Proxy},
    reserve, set, settle, stocked,
};

async fn made(store: &PgStore, slug: &str, units: i64) -> Product {
    let (set, product) = stocked(slug, units);
    assert_eq!(store.commit(&set).await.unwrap(), Applied::Now);
    product
}

/// What so many buyers' checkouts commit, each with a cart of its own.
async fn buyers(store: &PgStore, products: &[Product], count: usize) -> Vec<(ChangeSet, Order)> {
    let mut all = Vec::new();
    for _ in 0..count {
        let (new_cart, cart) = cart(products);
        store.commit(&new_cart).await.unwrap();
        all.push(reserve(&cart, products));
    }
    all
}

async fn commit_at_once(store: &PgStore, sets: &[&ChangeSet]) -> Vec<Result<Applied, CommitError>> {
    join_all(sets.iter().map(|set| store.commit(set))).await
}

fn sets<T>(of: &[(ChangeSet, T)]) -> Vec<&ChangeSet> {
    of.iter().map(|(set, _)| set).collect()
}

/// Transactions that touched the table of sets.
async fn transactions(database: &TestDatabase) -> i64 {
    let sql = "SELECT count(DISTINCT xmin::text) FROM commerce_commit";
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    query_as::<_, (i64,)>(sql).fetch_one(&mut connection).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn many_checkouts_take_few_transactions() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let products = [made(&store, "mug", 1_000).await, made(&store, "cup", 1_000).await];
    let reserving = buyers(&store, &products, 60).await;
    let before = transactions(&database).await;
    let answers = commit_at_once(&store, &sets(&reserving)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Applied::Now))), "{answers:?}");
    let settling: Vec<_> = reserving.iter().map(|(_, order)| settle(order)).collect();
    let answers = commit_at_once(&store, &sets(&settling)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Applied::Now))), "{answers:?}");
    let taken = transactions(&database).await - before;
    assert!(taken <= 30, "{taken} transactions for 120 sets");

    for (_, order) in settling {
        assert_eq!(store.reads().load_order(order.id).await.unwrap(), Some(order));
    }
    let variant = products[0].variants[0].id;
    let stock = store.reads().load_stock(variant).await.unwrap().unwrap();
    assert_eq!((stock.on_hand, stock.reserved), (940, 0));
    let ledger = store.reads().list_movements(variant, &PageSpec::first(100)).await.unwrap().items;
    let after: BTreeSet<i64> = ledger.iter().map(|line| line.on_hand_after).collect();
    assert_eq!(after, (940..=1_000).collect(), "each line says what was on hand after it");
    assert!(store.reads().verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_fails_alone() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let (mug, rare) = (made(&store, "mug", 1_000).await, made(&store, "rare", 3).await);
    let mut fine = buyers(&store, &[mug], 20).await;
    let taken = fine.split_off(19).remove(0);
    let other = reserve(&cart(&[]).1, &[]).1;
    let mut number = set();
    number.hold(Claim::order_number(&taken.1.number), other.id);
    store.commit(&number).await.unwrap();
    let elsewhere = Order { version: 7, ..fine[0].1.clone() };
    let stale = settle(&elsewhere);
    let short = buyers(&store, std::slice::from_ref(&rare), 8).await;

    let mut all = sets(&fine);
    all.extend([&taken.0, &stale.0, &fine[3].0]);
    all.extend(sets(&short));
    let answers = commit_at_once(&store, &all).await;
    let (ours, others) = answers.split_at(19);
    let twice = [&ours[3], &others[2]].map(|answer| answer.as_ref().ok().copied());
    assert!(matches!(twice, [Some(Applied::Now), Some(Applied::Before)] | [Some(Applied::Before), Some(Applied::Now)]));
    assert!(ours.iter().all(Result::is_ok), "{ours:?}");
    let conflict = |answer: &Result<Applied, CommitError>| match answer {
        Err(CommitError::Conflict(conflicts)) => conflicts.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(conflict(&others[0]), [Conflict::Taken(Claim::order_number(&taken.1.number))]);
    assert!(matches!(conflict(&others[1])[..], [Conflict::Stale(_)]));
    let variant = rare.variants[0].id;
    let sold = others[3..].iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(sold, 3);
    for refused in others[3..].iter().filter(|answer| answer.is_err()) {
        assert!(matches!(conflict(refused)[..], [Conflict::Short { variant: short, .. }] if short == variant));
    }
    let stock = store.reads().load_stock(variant).await.unwrap().unwrap();
    assert_eq!((stock.on_hand, stock.reserved), (3, 3));
    assert!(store.reads().verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_is_unknown_to_all_members() {
    let database = database().await;
    let (proxy, url) = Proxy::to(database.url()).await.expect("the line is cut on the tests' own server");
    let store = PgStore::connect(&url).await.unwrap();
    let mug = made(&store, "mug", 1_000).await;
    for cut in [Commits::LoseAnswer, Commits::Lose] {
        let reserving = buyers(&store, std::slice::from_ref(&mug), 30).await;
        proxy.at_commit(cut);
        let lost = commit_at_once(&store, &sets(&reserving)).await;
        let unknown = lost.iter().filter(|answer| matches!(answer, Err(CommitError::Unknown(_)))).count();
        assert!(unknown > 0, "{lost:?}");
        for ((set, order), answer) in reserving.iter().zip(lost) {
            let then = match (answer, cut) {
                (Ok(_), _) | (Err(CommitError::Unknown(_)), Commits::LoseAnswer) => Applied::Before,
                (Err(CommitError::Unknown(_)), _) => Applied::Now,
                (other, _) => panic!("{other:?}"),
            };
            assert_eq!(store.commit(set).await.unwrap(), then);
            assert_eq!(store.reads().load_order(order.id).await.unwrap().as_ref(), Some(order));
        }
    }
    assert!(store.reads().verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_that_wait_for_a_lock_hold_nobody_up() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let (locked, free) = (made(&store, "locked", 100).await, made(&store, "free", 100).await);
    let waiting = buyers(&store, std::slice::from_ref(&locked), 5).await;
    let going = buyers(&store, &[free], 20).await;
    let mut host = PgConnection::connect(database.url()).await.unwrap();
    let lock = format!("BEGIN; SELECT 1 FROM commerce_stock WHERE variant_id = '{}' FOR UPDATE", locked.variants[0].id);
    raw_sql(AssertSqlSafe(lock)).execute(&mut host).await.unwrap();

    let waiter = store.clone();
    let waiting = tokio::spawn(async move { commit_at_once(&waiter, &sets(&waiting)).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let answers = tokio::time::timeout(Duration::from_secs(10), commit_at_once(&store, &sets(&going))).await;
    assert!(answers.expect("others aren't held up").iter().all(Result::is_ok));
    assert!(!waiting.is_finished());
    host.close().await.unwrap();
    assert!(waiting.await.unwrap().iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_stock_join_no_group() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let mug = made(&store, "mug", 10).await;
    let variant = mug.variants[0].id;
    let counted = |on_hand: i64| {
        let mut set = set();
        let delta = StockDelta { on_hand: on_hand - 10, reserved: 0, expect_on_hand: Some(10) };
        set.move_stock(variant, delta, Some((MovementKind::Adjustment, None, None)));
        set
    };
    let counts: Vec<ChangeSet> = (20..30).map(counted).collect();
    let answers = commit_at_once(&store, &counts.iter().collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let moved = |answer: &&Result<Applied, CommitError>| matches!(answer, Err(CommitError::Conflict(conflicts)) if conflicts[..] == [Conflict::Moved(variant)]);
    assert_eq!(answers.iter().filter(moved).count(), 9, "{answers:?}");
    assert!(store.reads().verify().await.unwrap().is_empty());
}
