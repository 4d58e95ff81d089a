//! The API as a [`tower_service::Service`], for hosts that are not built on poem: axum, hyper, tonic.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::{BodyExt as _, combinators::BoxBody};
use poem::{
    Addr, Body, Endpoint as _, Request, RequestParts, Response,
    endpoint::{BoxEndpoint, EndpointExt as _},
    http::{self, Uri, request::Parts, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tower_service::Service;

use crate::CommerceApi;

type ReadPeer = Arc<dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync>;

/// The API as a service of any server that speaks tower. Cheap to clone.
///
/// ```no_run
/// # fn mount(shop: commerce_core::Commerce) -> commerce_http::CommerceService {
/// use commerce_http::CommerceApi;
/// use std::net::SocketAddr;
///
/// // With axum: `|parts| parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0)`, and then
/// // `Router::new().nest_service("/shop", service)`.
/// let peer = |parts: &poem::http::request::Parts| parts.extensions.get::<SocketAddr>().copied();
/// CommerceApi::new(shop).into_service_with_peer(peer).mounted_at("/shop")
/// # }
/// ```
#[derive(Clone)]
pub struct CommerceService {
    endpoint: Arc<BoxEndpoint<'static, Response>>,
    prefix: Arc<str>,
    peer: Option<ReadPeer>,
}

impl fmt::Debug for CommerceService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommerceService").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl CommerceApi {
    /// The API as a tower service that doesn't know the addresses of its clients: what is limited by address isn't limited, which
    /// is logged. See [`into_service_with_peer`](Self::into_service_with_peer).
    #[must_use]
    pub fn into_service(self) -> CommerceService {
        if self.limits_rates() {
            tracing::warn!(
                "calls aren't limited by address, as the shop's service isn't told the addresses of its clients"
            );
        }
        self.service(None)
    }

    /// The API as a tower service, told how the host's server knows the address that a request comes from: limits by address
    /// need it.
    #[must_use]
    pub fn into_service_with_peer(
        self,
        peer: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> CommerceService {
        self.service(Some(Arc::new(peer)))
    }

    fn service(self, peer: Option<ReadPeer>) -> CommerceService {
        CommerceService { endpoint: Arc::new(self.build().boxed()), prefix: "".into(), peer }
    }
}

impl CommerceService {
    /// Where the host has mounted the service, when the host removes that prefix from the paths that it passes on, as axum's
    /// `nest_service` does: `/shop`. `Location` headers, links and the document's server begin with it.
    #[must_use]
    pub fn mounted_at(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').into();
        self
    }

    /// The request as the endpoint takes it: its original address holds the prefix that the host has removed.
    fn request(&self, mut parts: Parts, body: Body) -> Request {
        let remote = match self.peer.as_ref().and_then(|read| read(&parts)) {
            Some(peer) => RemoteAddr(Addr::SocketAddr(peer)),
            None => RemoteAddr::default(),
        };
        let seen = parts.uri.clone();
        parts.uri = under(&self.prefix, &seen);
        let scheme = seen.scheme().cloned().unwrap_or(Scheme::HTTP);
        let mut request = Request::from_parts(RequestParts::from((parts, LocalAddr::default(), remote, scheme)), body);
        *request.uri_mut() = seen;
        request
    }
}

/// The address with `prefix` before its path.
fn under(prefix: &str, uri: &Uri) -> Uri {
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{prefix}{path}").parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

impl<B> Service<http::Request<B>> for CommerceService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = http::Response<BoxBody<Bytes, io::Error>>;
    /// Whatever goes wrong is an answer.
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let body = Body::from_bytes_stream(body.into_data_stream().map_err(io::Error::other));
        let request = self.request(parts, body);
        let endpoint = Arc::clone(&self.endpoint);
        Box::pin(async move { Ok(endpoint.get_response(request).await.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_goes_before_the_path() {
        for (prefix, seen, original) in [
            ("", "/v1/products?q=a%20b", "/v1/products?q=a%20b"),
            ("/shop", "/v1/products?q=mug", "/shop/v1/products?q=mug"),
            ("/shop", "http://shop.example/", "http://shop.example/shop/"),
            ("/a/b", "/", "/a/b/"),
        ] {
            assert_eq!(under(prefix, &seen.parse().unwrap()).to_string(), original);
        }
    }
}
