//! [`CommerceApi`]: the operations, the front and the rest, put together into one endpoint.

use std::{collections::HashMap, sync::Arc, time::Duration};

use commerce_core::{Commerce, payment::TestGateway};
use poem::{
    Endpoint, EndpointExt, Response, Route,
    endpoint::{BoxEndpoint, make_sync},
    http::{HeaderValue, Method, header},
};
use poem_openapi::OpenApi;
use serde_json::Value;

use crate::{
    account::{AccountApi, AdminUserApi},
    auth::AuthApi,
    cart::CartApi,
    catalog::{AdminCatalogApi, CatalogApi},
    checkout::CheckoutApi,
    document::{self, DocsCache},
    health::{self, IsDraining, RenderMetrics},
    inventory::InventoryApi,
    order::{AdminOrderApi, OrderApi},
    param::with_query,
    payment::{AdminPaymentApi, TestGatewayApi, WebhookApi},
    review::{AdminReviewApi, ReviewApi},
    stack::{AppState, Cors, HttpStack, Limits, Methods, Timeouts, get, mount_prefix},
};

/// Puts the API together.
pub struct CommerceApi {
    commerce: Commerce,
    test_gateway: Option<TestGateway>,
    rate_limits: bool,
    cors: Cors,
    timeout: Duration,
    body_timeout: Duration,
    draining: IsDraining,
    metrics: Option<RenderMetrics>,
}

impl CommerceApi {
    /// The API of a shop, with rate limits and without cross-origin callers.
    #[must_use]
    pub fn new(commerce: Commerce) -> Self {
        Self {
            commerce,
            test_gateway: None,
            rate_limits: true,
            cors: Cors::default(),
            timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(20),
            draining: Arc::new(|| false),
            metrics: None,
        }
    }

    /// Lets clients finish 3-D Secure at this test gateway, which must be one of the shop's. Not for production: anybody may.
    #[must_use]
    pub fn test_gateway(mut self, gateway: TestGateway) -> Self {
        self.test_gateway = Some(gateway);
        self
    }

    /// Whether calls that guess passwords or send messages are limited per address and account. They are, if nothing is said.
    #[must_use]
    pub fn rate_limits(mut self, on: bool) -> Self {
        self.rate_limits = on;
        self
    }

    /// The origins whose pages may call the API: `https://shop.example`.
    #[must_use]
    pub fn cors_origins<'a>(mut self, origins: impl IntoIterator<Item = &'a str>) -> Self {
        self.cors = Cors::new(origins);
        self
    }

    /// How long a request may take, 30 s if nothing is said. Writes that were begun are ended all the same.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a client may take to send a body, 20 s if nothing is said.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Whether the server is about to stop: `/health/ready` says so, for load balancers to send no more.
    #[must_use]
    pub fn draining(mut self, is_draining: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.draining = Arc::new(is_draining);
        self
    }

    /// Serves what this renders at `/metrics`. Install the `metrics` recorder before [`build`](Self::build).
    #[must_use]
    pub fn metrics(mut self, render: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }

    /// The OpenAPI document of the API when it is mounted under `prefix` (empty for the root).
    #[must_use]
    pub fn spec(&self, prefix: &str) -> Value {
        document(&self.shared(), prefix)
    }

    /// The API as an endpoint, to be mounted under any prefix.
    #[must_use]
    pub fn build(self) -> impl Endpoint<Output = Response> + 'static {
        let shared = self.shared();
        let routes = operations(&shared).into_iter().fold(Route::new(), |route, (path, endpoints)| {
            let pattern = path.clone();
            route.at(path, Methods::new(&pattern, endpoints).before(with_query))
        });
        let routes = add_documents(routes, &shared);
        let routes = health::add_to(routes, &shared.commerce, self.draining, self.metrics);
        HttpStack::new(shared, routes, self.cors, Timeouts { request: self.timeout, body: self.body_timeout })
    }

    #[cfg(feature = "tower")]
    pub(crate) const fn limits_rates(&self) -> bool {
        self.rate_limits
    }

    fn shared(&self) -> Arc<AppState> {
        let limits = if self.rate_limits { Limits::standard() } else { Limits::off() };
        Arc::new(AppState { commerce: self.commerce.clone(), limits, test_gateway: self.test_gateway.clone() })
    }
}

fn api(shared: &Arc<AppState>) -> impl OpenApi + 'static {
    let customer = (
        AuthApi(shared.clone()),
        AccountApi(shared.clone()),
        CatalogApi(shared.clone()),
        ReviewApi(shared.clone()),
        CartApi,
        CheckoutApi(shared.clone()),
        OrderApi(shared.clone()),
        WebhookApi(shared.clone()),
        TestGatewayApi(shared.clone()),
    );
    let staff = (
        AdminCatalogApi(shared.clone()),
        InventoryApi,
        AdminOrderApi(shared.clone()),
        AdminPaymentApi(shared.clone()),
        AdminReviewApi(shared.clone()),
        AdminUserApi,
    );
    (customer, staff)
}

fn document(shared: &Arc<AppState>, prefix: &str) -> Value {
    document::document(api(shared), prefix, shared.test_gateway.is_some())
}

/// Every operation by path. The test gateway's are there only if it is.
fn operations(shared: &Arc<AppState>) -> Vec<(String, Vec<(Method, BoxEndpoint<'static>)>)> {
    let mut table: HashMap<String, HashMap<Method, BoxEndpoint<'static>>> = HashMap::new();
    api(shared).add_routes(&mut table);
    let offered = |path: &String| shared.test_gateway.is_some() || !path.starts_with("/v1/test-gateway");
    let routes = table.into_iter().filter(|(path, _)| offered(path));
    routes.map(|(path, endpoints)| (path, endpoints.into_iter().collect())).collect()
}

fn add_documents(routes: Route, shared: &Arc<AppState>) -> Route {
    let cache = {
        let shared = shared.clone();
        Arc::new(DocsCache::new(move |prefix| document(&shared, prefix)))
    };
    let serve = |render: fn(&DocsCache, &str) -> Response| {
        let cache = cache.clone();
        make_sync(move |request| render(&cache, &mount_prefix(&request).unwrap_or_default()))
    };
    let json = serve(|cache, prefix| {
        Response::builder().content_type("application/json").body(cache.under(prefix).json.clone())
    });
    let yaml = serve(|cache, prefix| {
        Response::builder().content_type("application/yaml").body(cache.under(prefix).yaml.clone())
    });
    let docs = serve(|cache, prefix| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, DOCS_POLICY)
            .body(document::swagger_ui(&cache.under(prefix).json))
    });
    routes
        .at("/openapi.json", get("/openapi.json", json))
        .at("/openapi.yaml", get("/openapi.yaml", yaml))
        .at("/docs", get("/docs", docs))
}

/// Swagger UI comes in one page: its script and style are inline, its images data.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
     connect-src 'self'; frame-ancestors 'none'",
);
