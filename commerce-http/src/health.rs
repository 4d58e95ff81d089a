//! `/health/live`, `/health/ready`, `/metrics`: for whoever runs the server.

use std::sync::Arc;

use commerce_core::{Commerce, store::StoreError};
use poem::{
    IntoResponse, Response, Route,
    endpoint::{make, make_sync},
    http::StatusCode,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    problem::{ApiError, Code, Members},
    stack::{failed, get},
};

/// What was checked, and whether it is well.
#[derive(Serialize)]
struct Checks {
    checks: Map<String, Value>,
}

impl Members for Checks {
    const CODE: Code = Code::NotReady;
}

/// Renders the process's metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;
/// Whether the server is about to stop.
pub type IsDraining = Arc<dyn Fn() -> bool + Send + Sync>;

/// Adds the routes.
pub fn add_to(routes: Route, commerce: &Commerce, draining: IsDraining, metrics: Option<RenderMetrics>) -> Route {
    let live = make_sync(move |_| status("live", Map::new()));
    let ready = {
        let commerce = commerce.clone();
        make(move |_| {
            let (commerce, draining) = (commerce.clone(), draining.clone());
            async move { readiness(&commerce, draining()).await }
        })
    };
    let routes = routes.at("/health/live", get("/health/live", live)).at("/health/ready", get("/health/ready", ready));
    match metrics {
        None => routes,
        Some(render) => {
            let text = make_sync(move |_| {
                Response::builder().content_type("text/plain; version=0.0.4").body(render()).into_response()
            });
            routes.at("/metrics", get("/metrics", text))
        }
    }
}

fn status(status: &str, checks: Map<String, Value>) -> Response {
    let mut body = json!({ "status": status });
    if !checks.is_empty() {
        body["checks"] = checks.into();
    }
    Response::builder().status(StatusCode::OK).content_type("application/json").body(body.to_string())
}

/// Ready means able. The body names each check, and the first that failed in a sentence; why is in the log.
async fn readiness(commerce: &Commerce, is_draining: bool) -> Response {
    let health = commerce.health().await;
    let logged = |check: &str, result: &Result<(), StoreError>| {
        if let Err(error) = result {
            tracing::error!(check, %error, "not ready");
        }
        result.is_ok()
    };
    if let Some(idle) = health.worker.stalled_for {
        tracing::error!(check = "worker", idle_seconds = idle.as_secs(), "not ready");
    }
    let checks = [
        ("server", !is_draining, "the server is about to stop"),
        ("database", logged("database", &health.reads), "the database can't be read"),
        ("writes", logged("writes", &health.writes), "the database takes no writes"),
        ("worker", !health.worker.is_stalled(), "background work is stalled"),
    ];
    let word = |ok: bool| Value::from(if ok { "ok" } else { "failed" });
    let named: Map<_, _> = checks.iter().map(|(name, ok, _)| ((*name).to_owned(), word(*ok))).collect();
    match checks.iter().find(|(_, ok, _)| !ok) {
        None => status("ready", named),
        Some((_, _, sentence)) => failed(ApiError::with(*sentence, &Checks { checks: named })),
    }
}
