//! What every request passes: one endpoint around the router, so that each step is taken once and in a known order.
//!
//! request id → CORS preflight → cache of public pages → router (with a time limit) → problem documents → 304 →
//! compression → headers → metrics and log.

mod body;
mod cache;
mod compress;
mod cors;
mod headers;
mod limit;
mod methods;
mod metrics;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use commerce_core::{Commerce, clock::Timestamp, payment::TestGateway, token::AccessToken};
use poem::{
    Body, Endpoint, Request, Response, Route,
    http::{HeaderValue, Method, StatusCode, header},
};
use tracing::Instrument;

use self::{body::Upload, cache::PageCache, compress::Encoding};
pub use self::{
    cors::Cors,
    limit::Limits,
    methods::{Methods, get},
    metrics::{RouteMetrics, count_conflict, count_order},
};
use crate::{
    conditional,
    header::bearer,
    problem::{ApiError, Code},
};

/// What all operations share.
pub struct AppState {
    pub commerce: Commerce,
    pub limits: Limits,
    pub test_gateway: Option<TestGateway>,
}

/// How long an answer is waited for when an older page could be shown in its place.
const STALE_AFTER: Duration = Duration::from_millis(1_500);

/// One request's circumstances.
pub struct RequestInfo {
    pub shared: Arc<AppState>,
    pub request_id: String,
    pub arrived: Timestamp,
    pub ip: Option<IpAddr>,
}

impl RequestInfo {
    fn of(request: &Request, shared: &Arc<AppState>) -> Self {
        let given = request.header("x-request-id").filter(|id| {
            (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b))
        });
        let request_id = given.map_or_else(|| shared.commerce.ids().uuid().as_simple().to_string(), ToOwned::to_owned);
        Self {
            shared: shared.clone(),
            request_id,
            arrived: shared.commerce.clock().now(),
            ip: request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip),
        }
    }
}

/// How long a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// In all.
    pub request: Duration,
    /// Until its body has come.
    pub body: Duration,
}

/// The whole API as one endpoint.
pub struct HttpStack {
    pub(crate) shared: Arc<AppState>,
    routes: Route,
    cors: Cors,
    cache: PageCache,
    metrics: RouteMetrics,
    timeouts: Timeouts,
}

impl HttpStack {
    pub(crate) fn new(shared: Arc<AppState>, routes: Route, cors: Cors, timeouts: Timeouts) -> Self {
        Self { shared, routes, cors, cache: PageCache::new(), metrics: RouteMetrics::new("unmatched"), timeouts }
    }

    async fn answer(&self, mut request: Request, info: &Arc<RequestInfo>) -> Response {
        let prefix = mount_prefix(&request);
        let span = tracing::info_span!(
            "request", id = info.request_id, method = %request.method(), path = request.uri().path()
        );
        request.set_data(info.clone());
        let routed = tokio::time::timeout(self.timeouts.request, self.routes.call(request).instrument(span)).await;
        let mut response = match routed {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => failed(error.into()),
            Err(_) => failed(ApiError::new(Code::Timeout, Code::Timeout.detail())),
        };
        if let Some(prefix) = prefix {
            place_under(&mut response, &prefix);
        }
        response
    }

    /// A cached page, if the request is for one, and whoever asks may ask and can't have written what it lacks.
    async fn cached(&self, request: &Request, encoding: Encoding) -> Result<Option<Response>, ApiError> {
        if let Some(token) = bearer(request)? {
            let authenticated = self.shared.commerce.authenticate(&AccessToken::from(token)).await;
            let caller = match authenticated.map_err(ApiError::from) {
                Ok(caller) => caller,
                // Whoever it is may see what everybody may.
                Err(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE => return Ok(None),
                Err(error) => return Err(error),
            };
            if self.shared.commerce.may_have_written(caller.actor()) {
                return Ok(None);
            }
        }
        let page = self.cache.find(request, encoding, self.shared.commerce.catalog_revision());
        Ok(page.map(|page| page.response(request.headers())))
    }

    /// Answers a request for a public page, and keeps the answer.
    async fn public_page(&self, request: Request, info: &Arc<RequestInfo>, encoding: Encoding) -> Response {
        match self.cached(&request, encoding).await {
            Err(error) => return failed(error),
            Ok(Some(response)) => return response,
            Ok(None) => {}
        }
        let revision = self.shared.commerce.catalog_revision();
        let (key, headers) = (cache::key(&request), request.headers().clone());
        let response = match self.answer_or_stale(request, info, &key, encoding).await {
            Ok(response) => response,
            Err(stale) => return stale,
        };
        if response.status() != StatusCode::OK {
            return response;
        }
        match self.cache.keep(key, encoding, revision, response).await {
            Ok(page) => page.response(&headers),
            Err(response) => response,
        }
    }

    /// An answer; or a page of the last minutes if the database is away, or takes so long that it may be.
    async fn answer_or_stale(
        &self,
        request: Request,
        info: &Arc<RequestInfo>,
        key: &str,
        encoding: Encoding,
    ) -> Result<Response, Response> {
        let Some(stale) = self.cache.find_stale(key, encoding) else { return Ok(self.answer(request, info).await) };
        let headers = request.headers().clone();
        match tokio::time::timeout(STALE_AFTER, self.answer(request, info)).await {
            Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE => Ok(response),
            Ok(_) | Err(_) => Err(stale.stale_response(&headers)),
        }
    }

    /// A product's reviews: made anew each time, and kept for a time in which they can't be.
    async fn review_page(&self, request: Request, info: &Arc<RequestInfo>, encoding: Encoding) -> Response {
        let key = cache::key(&request);
        let (headers, is_whole) = (request.headers().clone(), !request.headers().contains_key(header::IF_NONE_MATCH));
        let making = self.private_page(request, info, encoding);
        let Some(stale) = self.cache.find_stale(&key, encoding) else {
            let response = making.await;
            let keep = response.status() == StatusCode::OK && is_whole;
            return if keep { self.cache.keep_for_later(key, encoding, response).await } else { response };
        };
        match tokio::time::timeout(STALE_AFTER, making).await {
            Ok(response) if response.status() == StatusCode::OK && is_whole => {
                self.cache.keep_for_later(key, encoding, response).await
            }
            Ok(response) if response.status() != StatusCode::SERVICE_UNAVAILABLE => response,
            Ok(_) | Err(_) => stale.stale_response(&headers),
        }
    }

    async fn private_page(&self, request: Request, info: &Arc<RequestInfo>, encoding: Encoding) -> Response {
        let is_get = request.method() == Method::GET;
        let headers = if is_get { request.headers().get(header::IF_NONE_MATCH).cloned() } else { None };
        let mut response = self.answer(request, info).await;
        if is_get && response.status() == StatusCode::OK {
            let known = headers.zip(response.headers().get(header::ETAG).cloned()).is_some_and(|(wanted, etag)| {
                let headers = [(header::IF_NONE_MATCH, wanted)].into_iter().collect();
                conditional::not_modified(&headers, &etag)
            });
            if known {
                response.set_status(StatusCode::NOT_MODIFIED);
                response.set_body(Body::empty());
                response.headers_mut().remove(header::CONTENT_TYPE);
                return response;
            }
        }
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        compress::compress(response, encoding).await
    }
}

impl Endpoint for HttpStack {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let started = Instant::now();
        let upload = Upload::watch(&mut request, self.timeouts.body);
        let info = Arc::new(RequestInfo::of(&request, &self.shared));
        let encoding = Encoding::accepted(request.headers());
        let origin = self.cors.allowed_origin(request.headers());
        let method = request.method().clone();
        let path = (method != Method::GET).then(|| request.uri().path().to_owned());
        // HEAD is answered as GET to the end, conditions and all, but for the body (RFC 9110 §9.3.2).
        if method == Method::HEAD {
            request.set_method(Method::GET);
        }

        let mut response = if let Some(preflight) = Cors::preflight(&request, origin.as_ref()) {
            preflight
        } else if cache::is_public_page(&request) {
            self.public_page(request, &info, encoding).await
        } else if cache::is_review_page(&request) {
            self.review_page(request, &info, encoding).await
        } else {
            self.private_page(request, &info, encoding).await
        };

        if let Some(error) = response.data::<ApiError>().cloned() {
            response = render(error, &response, &info.request_id);
        }
        if method == Method::HEAD {
            response = without_body(response).await;
        }
        headers::secure(&mut response, &info.request_id, self.shared.commerce.settings());
        self.cors.expose(&mut response, origin);
        upload.finish(&mut response).await;
        let metrics = response.data::<Arc<RouteMetrics>>().cloned();
        let metrics = metrics.as_deref().unwrap_or(&self.metrics);
        metrics.record(&method, response.status(), started.elapsed());
        log(&method, path.as_deref(), &response, &info, started.elapsed());
        Ok(response)
    }
}

/// A response that stands for an error until the request's id is written into it.
pub fn failed(error: ApiError) -> Response {
    let mut response = Response::builder().status(error.status()).finish();
    response.set_data(error);
    response
}

fn render(error: ApiError, failed: &Response, request_id: &str) -> Response {
    if error.status() == StatusCode::CONFLICT {
        count_conflict(error.code.word());
    }
    let mut response = error.render(request_id);
    for (name, value) in failed.headers() {
        response.headers_mut().append(name, value.clone());
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(metrics) = failed.data::<Arc<RouteMetrics>>() {
        response.set_data(metrics.clone());
    }
    response
}

/// The answer to a HEAD: how long the body would be, in place of the body.
async fn without_body(mut response: Response) -> Response {
    let has_body = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = response.take_body().into_bytes().await;
    if let (true, Ok(body)) = (has_body, body) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    response
}

/// What the path had before it that the app this API is mounted in has taken off.
pub fn mount_prefix(request: &Request) -> Option<String> {
    let (original, seen) = (request.original_uri().path(), request.uri().path());
    let prefix = original.strip_suffix(seen).or_else(|| original.strip_suffix(seen.trim_end_matches('/')))?;
    (!prefix.is_empty()).then(|| prefix.to_owned())
}

fn place_under(response: &mut Response, prefix: &str) {
    for (name, before) in [(header::LOCATION, "/"), (header::LINK, "</")] {
        let placed = response.headers().get(&name).and_then(|value| {
            let path = value.to_str().ok()?.strip_prefix(before)?;
            let mark = before.trim_end_matches('/');
            HeaderValue::from_str(&format!("{mark}{prefix}/{path}")).ok()
        });
        if let Some(placed) = placed {
            response.headers_mut().insert(name, placed);
        }
    }
}

fn log(method: &Method, path: Option<&str>, response: &Response, info: &RequestInfo, took: Duration) {
    let (id, status, ms) = (&info.request_id, response.status().as_u16(), took.as_millis());
    if status >= 500 {
        tracing::error!(id, %method, path, status, ms, "request failed");
    } else if let Some(path) = path {
        tracing::info!(id, %method, path, status, ms, "request");
    } else {
        tracing::debug!(id, %method, status, ms, "request");
    }
}

/// The header that hands a guest's cart token out.
pub const CART_TOKEN: poem::http::HeaderName = poem::http::HeaderName::from_static("x-cart-token");
/// The header that hands a guest's order token out.
pub const ORDER_TOKEN: poem::http::HeaderName = poem::http::HeaderName::from_static("x-order-token");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_the_mount() {
        let mut response = Response::builder().header(header::LOCATION, "/v1/orders/1").finish();
        place_under(&mut response, "/shop");
        assert_eq!(response.header("location"), Some("/shop/v1/orders/1"));
    }
}
