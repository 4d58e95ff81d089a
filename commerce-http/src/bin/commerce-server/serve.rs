//! Serving: start, work, and a stop that loses nothing.

use std::{io::IsTerminal, time::Duration};

use commerce_core::{Commerce, context::Actor, page::PageRequest, payment::PaymentStatus};
use commerce_http::CommerceApi;
use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use poem::{Server, listener::TcpAcceptor};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    Failure, admin,
    config::{Config, LogFormat},
    listener::Listener,
    seed, shop,
};

/// How long requests that are under way may take once the server stops: a little longer than any request may.
const GRACE: Duration = Duration::from_secs(35);
/// How often what is open is counted.
const COUNT_EVERY: Duration = Duration::from_secs(15);
/// Latencies are counted in these buckets, in seconds.
const BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Turns logging on.
pub fn log(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| format!("COMMERCE_LOG is wrong: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Serves until it is told to stop, then ends what was begun.
pub async fn serve(config: &Config, demo: bool) -> Result<(), Failure> {
    let metrics = record_metrics()?;
    let shop = shop::open(config).await?;
    if demo {
        seed::fill(&shop.commerce).await?;
    }
    admin::ensure_first(&shop.commerce, config).await?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("COMMERCE_LISTEN {} can't be listened on: {error}", config.listen))?;
    let address = listener.local_addr()?;

    let end = CancellationToken::new();
    let worker = tokio::spawn(shop.commerce.worker().run(end.clone().cancelled_owned()));
    let upkeep = tokio::spawn(keep_up(metrics.clone()));
    let gauges = tokio::spawn(count_what_is_open(shop.commerce.clone()));
    let mut api = CommerceApi::new(shop.commerce.clone())
        .rate_limits(config.rate_limit)
        .cors_origins(config.cors_origins.iter().map(String::as_str))
        .metrics(move || metrics.render());
    if let Some(gateway) = shop.test_gateway {
        tracing::warn!(
            "the test gateway is offered: orders can be paid without money; COMMERCE_TEST_GATEWAY=off ends that"
        );
        api = api.test_gateway(gateway);
    }
    let api = api.build();
    tracing::info!(%address, docs = %format!("http://{address}/docs"), "ready");

    let server = Server::new_with_acceptor(Listener(TcpAcceptor::from_tokio(listener)?));
    let outcome = server.run_with_graceful_shutdown(api, told_to_stop(), Some(GRACE)).await;
    end.cancel();
    worker.await?;
    upkeep.abort();
    gauges.abort();
    shop.commerce.drain().await;
    tracing::info!("stopped; nothing was left undone");
    Ok(outcome?)
}

fn record_metrics() -> Result<PrometheusHandle, Failure> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS)?
        .install_recorder()?)
}

/// Folds what was recorded into the buckets, so that memory doesn't grow while nobody asks.
async fn keep_up(metrics: PrometheusHandle) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        metrics.run_upkeep();
    }
}

/// Measures what waits for an end: payments by status, and the worker's queue.
async fn count_what_is_open(shop: Commerce) {
    let mut every = tokio::time::interval(COUNT_EVERY);
    let count = PageRequest { count: true, ..PageRequest::first(1) };
    loop {
        every.tick().await;
        for status in [PaymentStatus::Pending, PaymentStatus::RequiresAction, PaymentStatus::Unknown] {
            match shop.payments().list(&Actor::System, Some(status), &count).await {
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

/// Resolves on SIGTERM or SIGINT.
async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals can't be heard; stop the server by killing it");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: finishing what was begun");
}
