//! What is measured from time to time, for `/metrics`.

use std::time::Duration;

use commerce_core::{
    Commerce,
    page::PageRequest,
    payment::{PaymentQuery, PaymentStatus},
};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::Failure;

/// How often what is open is counted.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// How often the clocks are compared.
const COMPARE_EVERY: Duration = Duration::from_mins(1);
/// How far they may be apart.
const TOLERATED: f64 = 30.0;
/// A comparison that took longer says nothing.
const QUICK: Duration = Duration::from_secs(5);
/// Latencies are counted in these buckets, in seconds.
const BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Begins to record.
pub fn record() -> Result<PrometheusHandle, Failure> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
        .install_recorder()?)
}

/// Folds what was recorded into the buckets, so that memory doesn't grow while nobody asks.
pub async fn keep_up(metrics: PrometheusHandle) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        metrics.run_upkeep();
    }
}

/// Notes how background work gets on, at the moment of asking.
pub fn count_worker(shop: &Commerce) {
    let status = shop.worker().status();
    counter!("commerce_worker_stalls_total").absolute(status.stalls);
    if let Some(since) = status.since_last_round {
        gauge!("commerce_worker_last_round_age_seconds").set(since.as_secs_f64());
    }
}

/// Measures what waits for an end: payments by status, and the worker's queue.
pub async fn count_what_is_open(shop: Commerce) {
    let mut every = tokio::time::interval(COUNT_EVERY);
    let count = PageRequest { count: true, ..PageRequest::first(1) };
    loop {
        every.tick().await;
        for status in [PaymentStatus::Pending, PaymentStatus::RequiresAction, PaymentStatus::Unknown] {
            match shop.as_system().payments().list(PaymentQuery::new().status(status), &count).await {
                #[allow(clippy::cast_precision_loss)] // Nobody has 2^52 open payments.
                Ok(page) => {
                    let open = page.total.unwrap_or_default() as f64;
                    gauge!("commerce_payments_open", "status" => status.as_str()).set(open);
                }
                Err(error) => tracing::warn!(%error, "open payments can't be counted"),
            }
        }
        match shop.store().reads().task_backlog().await {
            #[allow(clippy::cast_precision_loss)] // As above.
            Ok((waiting, oldest)) => {
                let late = oldest.map_or(0.0, |due| shop.clock().now().since(due).as_secs_f64());
                gauge!("commerce_tasks_waiting").set(waiting as f64);
                gauge!("commerce_tasks_oldest_due_seconds").set(late);
            }
            Err(error) => tracing::warn!(%error, "waiting tasks can't be counted"),
        }
    }
}

/// Compares this machine's clock with the database's, which is the same for all servers of the shop.
pub async fn compare_clocks(shop: Commerce) {
    let mut every = tokio::time::interval(COMPARE_EVERY);
    loop {
        every.tick().await;
        let before = shop.clock().now();
        let theirs = match shop.store().reads().clock().await {
            Ok(Some(theirs)) => theirs,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "the clocks can't be compared");
                continue;
            }
        };
        let took = shop.clock().now().since(before);
        if took > QUICK {
            continue;
        }
        let ours = before + took / 2;
        let ahead = ours.since(theirs).as_secs_f64() - theirs.since(ours).as_secs_f64();
        gauge!("commerce_clock_ahead_seconds").set(ahead);
        if ahead.abs() > TOLERATED {
            tracing::warn!(
                ahead_seconds = ahead.round(),
                "the clocks of this machine and of the database are far apart: other servers may not believe its tokens"
            );
        }
    }
}
