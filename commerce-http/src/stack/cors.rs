//! Cross-origin requests, for the origins on the list.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Cart-Token, X-Order-Token, X-Request-Id",
);
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "X-Cart-Token, X-Order-Token, ETag, Location, Retry-After, X-Request-Id, Idempotency-Replayed",
);

/// The origins whose pages may call the API. Tokens travel in headers, never in cookies, so credentials aren't allowed.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    origins: Vec<HeaderValue>,
}

impl Cors {
    /// These origins, written as browsers write them: `https://shop.example`.
    pub fn new<'a>(origins: impl IntoIterator<Item = &'a str>) -> Self {
        Self { origins: origins.into_iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect() }
    }

    /// The request's origin, if it is on the list.
    pub fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.origins.is_empty() {
            return None;
        }
        headers.get(header::ORIGIN).filter(|origin| self.origins.contains(origin)).cloned()
    }

    /// The answer to a preflight from an allowed origin.
    pub fn preflight(request: &Request, origin: Option<&HeaderValue>) -> Option<Response> {
        let asks = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        (asks && origin.is_some()).then(|| {
            Response::builder()
                .status(StatusCode::NO_CONTENT)
                .header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
                .header(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
                .header(header::ACCESS_CONTROL_MAX_AGE, "600")
                .finish()
        })
    }

    /// Lets an allowed origin read the answer.
    pub fn expose(&self, response: &mut Response, origin: Option<HeaderValue>) {
        if self.origins.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preflight(origin: &str) -> Option<Response> {
        let cors = Cors::new(["https://shop.example"]);
        let request = Request::builder()
            .method(Method::OPTIONS)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .finish();
        let allowed = cors.allowed_origin(request.headers());
        let mut response = Cors::preflight(&request, allowed.as_ref())?;
        cors.expose(&mut response, allowed);
        Some(response)
    }

    #[test]
    fn only_listed_origins_may_call() {
        let response = preflight("https://shop.example").unwrap();
        assert_eq!(response.header("access-control-allow-origin"), Some("https://shop.example"));
        assert!(preflight("https://evil.example").is_none());
    }
}
