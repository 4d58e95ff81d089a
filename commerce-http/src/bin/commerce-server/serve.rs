//! Serving: start, work, and a stop that loses nothing and doesn't take for ever.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use commerce_core::Commerce;
use commerce_http::CommerceApi;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Failure, admin,
    config::{Config, Timeouts},
    connections, gauges,
    listener::Listener,
    manager,
    output::Format,
    seed,
    shop::{self, Shop},
    signals::Signals,
};

/// Serves until it is told to stop, then ends what was begun.
pub async fn serve(config: &Config, demo: bool, format: Format, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let metrics = gauges::record()?;
    // The address first: a server that can't have it leaves no trace in the database.
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("COMMERCE_LISTEN {} can't be listened on: {error}", config.listen))?;
    let address = listener.local_addr()?;
    let shop = tokio::select! {
        shop = open(config, demo, format) => shop?,
        signal = signals.next() => {
            tracing::info!(signal = signal.name(), "stopped before it was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };

    let running = Running::start(config, shop, metrics, Listener::new(listener, config.timeouts.connection)?);
    tracing::info!(%address, docs = %format!("http://{address}/docs"), "ready");
    manager::ready(&address.to_string());
    let signal = signals.next().await;
    tracing::info!(signal = signal.name(), "stopping: finishing what was begun");
    manager::stopping();
    let Timeouts { drain_delay, shutdown, .. } = config.timeouts;
    tokio::select! {
        ended = running.finish(drain_delay) => {
            ended?;
            tracing::info!("stopped; nothing was left undone");
            Ok(ExitCode::SUCCESS)
        }
        () = tokio::time::sleep(drain_delay + shutdown) => {
            let limit = format!("{shutdown:?}");
            tracing::error!(limit, "stopped at once: what was begun took longer than COMMERCE_SHUTDOWN_TIMEOUT");
            Ok(ExitCode::FAILURE)
        }
        signal = signals.again() => {
            tracing::error!(signal = signal.name(), "stopped at once, by a second signal");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn open(config: &Config, demo: bool, format: Format) -> Result<Shop, Failure> {
    let shop = shop::open(config).await?;
    if demo {
        seed::fill(&shop.commerce, format).await?;
    }
    admin::ensure_first(&shop.commerce, config, format).await?;
    Ok(shop)
}

/// A shop that is open.
struct Running {
    commerce: Commerce,
    draining: Arc<AtomicBool>,
    /// Ends accepting connections, and the worker.
    stop: CancellationToken,
    serving: JoinHandle<()>,
    worker: JoinHandle<()>,
}

impl Running {
    fn start(config: &Config, opened: Shop, metrics: PrometheusHandle, listener: Listener) -> Self {
        let (commerce, stop) = (opened.commerce, CancellationToken::new());
        let worker =
            tokio::spawn(commerce.worker().round_limit(config.timeouts.worker).run(stop.clone().cancelled_owned()));
        tokio::spawn(gauges::keep_up(metrics.clone()));
        tokio::spawn(gauges::count_what_is_open(commerce.clone()));
        tokio::spawn(gauges::compare_clocks(commerce.clone()));
        tokio::spawn(manager::stay_alive());

        let draining = Arc::new(AtomicBool::new(false));
        let mut api = CommerceApi::new(commerce.clone())
            .timeout(config.timeouts.request)
            .body_timeout(config.timeouts.body)
            .rate_limits(config.rate_limit)
            .cors_origins(config.cors_origins.iter().map(String::as_str))
            .draining({
                let draining = draining.clone();
                move || draining.load(Ordering::Acquire)
            })
            .metrics({
                let commerce = commerce.clone();
                move || {
                    gauges::count_worker(&commerce);
                    metrics.render()
                }
            });
        if let Some(gateway) = opened.test_gateway {
            tracing::warn!(
                "the test gateway is offered: orders can be paid without money; COMMERCE_TEST_GATEWAY=off ends that"
            );
            api = api.test_gateway(gateway);
        }
        let serving = tokio::spawn(connections::serve(listener, api.build(), stop.clone()));
        Self { commerce, draining, stop, serving, worker }
    }

    /// Isn't ready from now on, accepts connections for this long, and then ends what was begun.
    async fn finish(self, drain_delay: Duration) -> Result<(), Failure> {
        self.draining.store(true, Ordering::Release);
        tokio::time::sleep(drain_delay).await;
        self.stop.cancel();
        self.serving.await?;
        self.worker.await?;
        Ok(self.commerce.close().await?)
    }
}
