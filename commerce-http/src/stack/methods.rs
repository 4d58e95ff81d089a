//! One path's methods: 405 names the others, panics become 500s, errors stay typed until the front renders them.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use poem::{
    Endpoint, EndpointExt as _, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderValue, Method, StatusCode, header},
};

use super::{RouteMetrics, failed};
use crate::problem::{ApiError, Code};

/// A path that can only be read.
pub fn get(path: &str, endpoint: impl Endpoint<Output = Response> + 'static) -> Methods {
    Methods::new(path, vec![(Method::GET, endpoint.map_to_response().boxed())])
}

/// The operations on one path.
pub struct Methods {
    endpoints: Vec<(Method, BoxEndpoint<'static>)>,
    allow: HeaderValue,
    metrics: Arc<RouteMetrics>,
}

impl Methods {
    pub fn new(path: &str, mut endpoints: Vec<(Method, BoxEndpoint<'static>)>) -> Self {
        endpoints.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        let mut allow: Vec<&str> = endpoints.iter().map(|(method, _)| method.as_str()).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.push("OPTIONS");
        let allow = HeaderValue::from_str(&allow.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
        Self { endpoints, allow, metrics: Arc::new(RouteMetrics::new(path)) }
    }

    fn find(&self, method: &Method) -> Option<&BoxEndpoint<'static>> {
        self.endpoints.iter().find(|(m, _)| m == method).map(|(_, endpoint)| endpoint)
    }

    async fn run(&self, request: Request) -> Response {
        let method = request.method().clone();
        if method == Method::OPTIONS {
            return Response::builder().status(StatusCode::NO_CONTENT).header(header::ALLOW, &self.allow).finish();
        }
        let Some(endpoint) = self.find(&method) else {
            let error = ApiError::new(Code::MethodNotAllowed, Code::MethodNotAllowed.detail());
            return failed(error.header(header::ALLOW, self.allow.clone()));
        };
        match AssertUnwindSafe(endpoint.call(request)).catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if method == Method::GET => failed(ApiError::from(error).about_parameters()),
            Ok(Err(error)) => failed(error.into()),
            Err(_) => {
                tracing::error!("an operation panicked");
                failed(ApiError::internal())
            }
        }
    }
}

impl Endpoint for Methods {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let mut response = self.run(request).await;
        response.set_data(self.metrics.clone());
        Ok(response)
    }
}
