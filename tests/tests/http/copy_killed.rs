//! `commerce-server copy`, killed in the middle time and again: run once more, it goes on where it was, to the last row.

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use commerce_core::conformance::load;
use commerce_tests::{dump::dump, http::Home};
use sqlx::{Connection as _, PgConnection, SqliteConnection, query_scalar};

use super::copy::{OTHER, assert_same, open, shop};
use crate::BACKEND;

/// Enough to be killed in the middle of.
const PRODUCTS: u32 = 4_000;
/// How often it is killed each way.
const KILLS: i64 = 8;

fn start(from: &Home, to: &Home) -> Child {
    let mut copy = from.command();
    copy.args(["copy", "--from", from.url(), "--to", to.url()]);
    copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("copy starts")
}

/// How much is there by the note that the copy keeps in its target; `None` before there is one.
async fn progress(home: &Home) -> Option<i64> {
    const NOTE: &str = "SELECT CAST(output ->> 'done' AS bigint) FROM commerce_key WHERE output ->> 'step' IS NOT NULL";
    // Before the copy has made it, there is nothing to connect to, or no such table.
    if home.url().starts_with("sqlite") {
        query_scalar(NOTE).fetch_optional(&mut SqliteConnection::connect(home.url()).await.ok()?).await.ok()?
    } else {
        query_scalar(NOTE).fetch_optional(&mut PgConnection::connect(home.url()).await.ok()?).await.ok()?
    }
}

/// Runs the copy until so much is there and a moment longer, and kills it. Whether it was still at it.
async fn kill_at(mark: i64, moment: Duration, from: &Home, to: &Home) -> bool {
    let mut copy = start(from, to);
    let started = Instant::now();
    while copy.try_wait().expect("its status").is_none() && progress(to).await.is_none_or(|done| done < mark) {
        assert!(started.elapsed() < Duration::from_mins(2), "it stands still");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(moment).await;
    copy.kill().expect("SIGKILL");
    !copy.wait().expect("its end").success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_killed_at_any_moment_is_whole_in_the_end() {
    let world = shop().await;
    let home = world.server.home.clone();
    load::fill(&*open(&home).await, PRODUCTS).await.expect("products");
    let before = dump(home.url()).await;
    let (there, back) = (Home::new(OTHER).await, Home::new(BACKEND).await);
    for (from, to) in [(&*home, &*there), (&*there, &*back)] {
        // The product, its claims, its stock and how that got there: five each, but for what is out of stock.
        let total = i64::from(PRODUCTS) * 5;
        let mut marks = Vec::new();
        for kill in 0..KILLS {
            // Within a batch, between batches, and between rows and their note.
            let moment = Duration::from_millis(kill.unsigned_abs() * 13 % 40);
            assert!(kill_at(total * kill / KILLS, moment, from, to).await, "it ended before it was killed");
            marks.push(progress(to).await.unwrap_or_default());
        }
        assert!(marks.is_sorted(), "it went back: {marks:?}");
        let output = start(from, to).wait().expect("its end");
        assert!(output.success());
        println!("killed after {marks:?} of {}", progress(to).await.unwrap_or_default());
        for side in [from, to] {
            let verified = side.command().arg("verify").output().expect("verify runs");
            assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        }
    }
    assert_same(&before, &dump(back.url()).await);
}
