//! What is counted: requests by route and status, their latency, orders, conflicts.

use std::{
    sync::{OnceLock, PoisonError, RwLock},
    time::Duration,
};

use metrics::{Counter, Histogram, counter, histogram};
use poem::http::{Method, StatusCode};

/// The instruments of one route, looked up once rather than with every request.
pub struct RouteMetrics {
    route: String,
    latency: OnceLock<Histogram>,
    requests: RwLock<Vec<(Method, StatusCode, Counter)>>,
}

impl RouteMetrics {
    pub fn new(route: impl Into<String>) -> Self {
        Self { route: route.into(), latency: OnceLock::new(), requests: RwLock::default() }
    }

    /// Counts a request.
    pub fn record(&self, method: &Method, status: StatusCode, took: Duration) {
        let latency = || histogram!("http_request_duration_seconds", "route" => self.route.clone());
        self.latency.get_or_init(latency).record(took);
        {
            let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner);
            if let Some((.., counter)) = requests.iter().find(|(m, s, _)| m == method && *s == status) {
                counter.increment(1);
                return;
            }
        }
        // An unknown method could be anything; it must not grow the list without end.
        let name = if is_known(method) { method.as_str() } else { "OTHER" }.to_owned();
        let labels = [("route", self.route.clone()), ("method", name), ("status", status.as_u16().to_string())];
        let counter = counter!("http_requests_total", &labels);
        counter.increment(1);
        if is_known(method) {
            let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
            requests.push((method.clone(), status, counter));
        }
    }
}

fn is_known(method: &Method) -> bool {
    use poem::http::Method as M;
    [M::GET, M::HEAD, M::POST, M::PUT, M::PATCH, M::DELETE, M::OPTIONS].contains(method)
}

/// Counts a checkout by what came of it.
pub fn count_order(outcome: &'static str) {
    counter!("commerce_orders_total", "outcome" => outcome).increment(1);
}

/// Counts a 409 by its code.
pub fn count_conflict(code: &'static str) {
    counter!("commerce_conflicts_total", "code" => code).increment(1);
}
