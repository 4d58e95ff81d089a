//! [`HttpTransport`]: how requests reach Stripe. Everything else in this module is independent of the HTTP client.

use std::fmt;

use async_trait::async_trait;
use reqwest::{
    Client,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use url::Url;

use super::config::{StripeConfig, StripeConfigError, is_loopback};

/// The verbs that are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks; has no effect.
    Get,
    /// Does.
    Post,
}

/// A request, without what is the same for all (the secret key, the origin): that is the transport's. `Debug` shows no
/// payment method.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The verb.
    pub method: Method,
    /// Path and query: `/v1/payment_intents?limit=100`.
    pub path: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// A form-encoded body.
    pub body: Option<String>,
}

impl HttpRequest {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// An answer. `Debug` shows no client secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

fn find<'a>(headers: &'a [(impl AsRef<str>, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(header, _)| header.as_ref().eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Not reached: the request was certainly not sent.
    #[error("can't connect: {0}")]
    Connect(String),
    /// No answer in time; the request may have arrived.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke; the request may have arrived.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Sends requests. Makes one attempt, follows no redirect.
#[async_trait]
pub trait HttpTransport: Send + Sync + 'static {
    /// Sends a request.
    ///
    /// # Errors
    /// See [`TransportError`]. Any status is an answer.
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError>;
}

/// The transport that is used unless another is given.
pub struct ReqwestTransport {
    client: Client,
    base: Url,
    authorization: HeaderValue,
}

impl ReqwestTransport {
    /// A transport to the configured origin with the configured key.
    ///
    /// # Errors
    /// [`StripeConfigError::Client`] if TLS can't be set up.
    pub fn new(config: &StripeConfig) -> Result<Self, StripeConfigError> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", config.secret_key))
            .map_err(|_| StripeConfigError::SecretKey)?;
        authorization.set_sensitive(true);
        let mut builder = Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            .redirect(Policy::none())
            .user_agent(concat!("commerce-core/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&config.api_base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| StripeConfigError::Client(causes(&error)))?;
        Ok(Self { client, base: config.api_base.clone(), authorization })
    }
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let url = self.base.join(&request.path).map_err(|error| TransportError::Connect(error.to_string()))?;
        let mut builder = match request.method {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url),
        };
        builder = builder.header(AUTHORIZATION, self.authorization.clone());
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = builder.send().await.map_err(|error| failure(&error))?;
        let status = response.status().as_u16();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        let body = response.bytes().await.map_err(|error| failure(&error))?.to_vec();
        Ok(HttpResponse { status, headers, body })
    }
}

/// A time-out while connecting is both; what matters is that nothing was sent.
fn failure(error: &reqwest::Error) -> TransportError {
    if error.is_connect() || error.is_builder() {
        TransportError::Connect(causes(error))
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Broken(causes(error))
    }
}

/// Reqwest's own message doesn't say why: its sources do.
fn causes(error: &reqwest::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut text = Vec::new();
    while let Some(error) = cause {
        text.push(error.to_string());
        cause = error.source();
    }
    text.join(": ")
}
