//! A process is killed in the middle of its checkouts, again and again. What it acknowledged is there; what it didn't is
//! finished or undone.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use commerce_core::{
    clock::{Clock, ManualClock, SystemClock},
    order::OrderStatus,
    payment::{PaymentStatus, RefundStatus},
    store::{Applied, Store as _},
};
use commerce_sqlite::SqliteStore;
use commerce_tests::{
    ledger::FolderGateway,
    shop::{TestShop, numbered},
};

const KILLS: usize = 6;
const STOCK: i64 = 1_000_000;

#[tokio::test]
async fn nothing_acknowledged_is_lost_and_nothing_is_left_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let (database, ledger) = (folder.path().join("shop.db"), folder.path().join("ledger"));
    std::fs::create_dir(&ledger).unwrap();
    let url = format!("sqlite://{}", database.display());
    let variant = {
        let shop = TestShop::on(Arc::new(SqliteStore::open(&url).await.unwrap()), |builder| builder);
        shop.sell("MUG", 1990, STOCK).await
    };
    let (mut sold, mut cancelled) = (BTreeSet::new(), BTreeSet::new());
    for kill in 0..KILLS {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crash_worker"))
            .args([url.as_str(), ledger.to_str().unwrap(), &variant.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for (n, line) in lines.map_while(Result::ok).enumerate() {
            let (what, number) = line.split_once(' ').unwrap();
            let acknowledged = if what == "sold" { &mut sold } else { &mut cancelled };
            acknowledged.insert(number.to_owned());
            // What was written to the pipe before the kill is still read after it.
            if n == 10 + 7 * kill {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success(), "the child was killed, it didn't end");
    }

    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let gateway = FolderGateway::new(&ledger);
    let store = Arc::new(SqliteStore::open(&url).await.unwrap());
    let shop = TestShop::on(store, |builder| builder.shared_clock(clock.clone()).gateway(gateway.clone()));
    assert_eq!(shop.store.reads().verify().await.unwrap(), [], "what is on disk is whole before anybody repairs it");
    for hours in [0, 1, 1, 25, 25] {
        clock.advance(Duration::from_hours(hours));
        shop.commerce.worker().tick().await.unwrap();
    }
    let orders = shop.orders().await;
    println!("{} orders, {} acknowledged, {} cancellations acknowledged", orders.len(), sold.len(), cancelled.len());
    let of = |number: &String| orders.iter().find(|order| order.number == *number);
    for number in &sold {
        let order = of(number).unwrap_or_else(|| panic!("{number} was acknowledged and is gone"));
        let kept = order.status == OrderStatus::Confirmed;
        let given_back = order.payment_status == PaymentStatus::Refunded && order.status == OrderStatus::Cancelled;
        assert!(kept || given_back, "{order:?}");
    }
    for number in &cancelled {
        assert_eq!(of(number).map(|order| order.status), Some(OrderStatus::Cancelled), "{number}");
    }
    assert!(orders.iter().all(|order| order.status != OrderStatus::Pending));
    let refunds = || orders.iter().flat_map(|order| &order.refunds);
    assert!(refunds().all(|refund| refund.status == RefundStatus::Settled));
    let confirmed = orders.iter().filter(|order| order.status == OrderStatus::Confirmed).count();
    assert_eq!(shop.units(variant).await, (STOCK - i64::try_from(confirmed).unwrap(), 0));
    assert_eq!(shop.store.reads().verify().await.unwrap(), []);

    let charges = gateway.charges();
    for (payment, minor) in &charges {
        let ours = orders.iter().flat_map(|order| &order.payments).find(|ours| ours.id == *payment);
        assert_eq!(ours.map(|ours| ours.captured), Some(*minor), "{payment}");
    }
    let captured = orders.iter().flat_map(|order| &order.payments).filter(|payment| payment.captured > 0).count();
    assert_eq!(captured, charges.len());
    assert_eq!(refunds().map(|refund| refund.amount.minor).sum::<i64>(), gateway.refunded());
}

/// A file that may grow no further makes `COMMIT` fail with an I/O error, after which nobody can say what is on the disk.
#[tokio::test]
async fn an_io_error_at_commit_is_unknown_until_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    drop(SqliteStore::open(&url).await.unwrap());
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$1\"", env!("CARGO_BIN_EXE_fill_disk"), &url])
        .output()
        .unwrap();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
    let acknowledged = u16::try_from(String::from_utf8(limited.stdout).unwrap().lines().count()).unwrap();
    assert!(acknowledged > 0);

    let store = SqliteStore::open(&url).await.unwrap();
    for n in 0..acknowledged {
        assert_eq!(store.commit(&numbered(n)).await.unwrap(), Applied::Before, "{n} was acknowledged");
    }
    // The one in doubt: asking again settles it, whichever way it had gone.
    store.commit(&numbered(acknowledged)).await.unwrap();
    assert_eq!(store.commit(&numbered(acknowledged)).await.unwrap(), Applied::Before);
}
