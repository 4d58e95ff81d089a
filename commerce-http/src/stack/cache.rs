//! A small cache of public catalogue pages: finished bodies, compressed or not, with their headers.
//!
//! A page is good while this process changed nothing in the catalogue, and for at most a second, as other processes may.
//! While the database is away, one that was made in the last minutes is served in place of an error, and says that it is old.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use moka::sync::Cache;
use poem::{
    Body, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use super::{
    RouteMetrics,
    compress::{self, Encoding},
};
use crate::conditional;

const MAX_AGE: Duration = Duration::from_secs(1);
/// How old a page may be to be shown while the database is away.
const STALE_FOR: Duration = Duration::from_mins(10);
const CAPACITY: u64 = 16 * 1024 * 1024;

/// A finished page.
pub struct Page {
    revision: u64,
    made: Instant,
    body: Bytes,
    headers: HeaderMap,
    metrics: Option<Arc<RouteMetrics>>,
}

impl Page {
    /// The page, or 304 if the client has it.
    pub fn response(&self, request: &HeaderMap) -> Response {
        let mut response = Response::default();
        let known = self.headers.get(header::ETAG).is_some_and(|etag| conditional::not_modified(request, etag));
        response.headers_mut().clone_from(&self.headers);
        if known {
            response.set_status(StatusCode::NOT_MODIFIED);
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.headers_mut().remove(header::CONTENT_ENCODING);
        } else {
            response.set_body(Body::from_bytes(self.body.clone()));
        }
        if let Some(metrics) = &self.metrics {
            response.set_data(metrics.clone());
        }
        response
    }

    /// The same, for a time in which it can't be made anew: with its age, and the warning that it may not be true any more.
    pub fn stale_response(&self, request: &HeaderMap) -> Response {
        let mut response = self.response(request);
        response.headers_mut().insert(header::AGE, HeaderValue::from(self.made.elapsed().as_secs()));
        response.headers_mut().insert(header::WARNING, HeaderValue::from_static("110 - \"Response is Stale\""));
        response
    }
}

/// Pages by path and query, one cache an encoding.
pub struct PageCache([Cache<String, Arc<Page>>; 3]);

/// What a page is found by.
pub fn key(request: &Request) -> String {
    path_and_query(request).into()
}

fn path_and_query(request: &Request) -> &str {
    request.uri().path_and_query().map_or("/", |path| path.as_str())
}

/// Lists and details of products and categories: the same for everybody.
pub fn is_public_page(request: &Request) -> bool {
    let path = request.uri().path();
    let of = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('/').is_some_and(|id| !id.is_empty() && !id.contains('/'))
        })
    };
    request.method() == Method::GET && (of("/v1/products") || of("/v1/categories"))
}

/// A product's reviews: the same for everybody, but not taken from the cache while the database is there, as authors look for
/// their own.
pub fn is_review_page(request: &Request) -> bool {
    let product = request.uri().path().strip_prefix("/v1/products/").and_then(|rest| rest.strip_suffix("/reviews"));
    request.method() == Method::GET && product.is_some_and(|product| !product.is_empty() && !product.contains('/'))
}

impl PageCache {
    pub fn new() -> Self {
        let cache = || {
            Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(|key: &String, page: &Arc<Page>| {
                    u32::try_from(key.len() + page.body.len() + 512).unwrap_or(u32::MAX)
                })
                .build()
        };
        Self([cache(), cache(), cache()])
    }

    /// A page that is still good.
    pub fn find(&self, request: &Request, encoding: Encoding, revision: u64) -> Option<Arc<Page>> {
        let page = self.0[encoding as usize].get(path_and_query(request))?;
        (page.revision == revision && page.made.elapsed() < MAX_AGE).then_some(page)
    }

    /// A page for want of a better one.
    pub fn find_stale(&self, key: &str, encoding: Encoding) -> Option<Arc<Page>> {
        self.0[encoding as usize].get(key).filter(|page| page.made.elapsed() < STALE_FOR)
    }

    /// Keeps an answer, complete with its headers, for a time in which there is none.
    pub async fn keep_for_later(&self, key: String, encoding: Encoding, mut response: Response) -> Response {
        let metrics = response.data::<Arc<RouteMetrics>>().cloned();
        let Ok(body) = response.take_body().into_bytes().await else { return response };
        let headers = response.headers().clone();
        // No revision of the catalogue: it is never found as a fresh page.
        let page = Page { revision: u64::MAX, made: Instant::now(), body: body.clone(), headers, metrics };
        self.0[encoding as usize].insert(key, Arc::new(page));
        response.set_body(Body::from_bytes(body));
        response
    }

    /// Keeps a fresh answer. `revision` is that of before the answer was made: a change in between spoils it at once.
    pub async fn keep(
        &self,
        key: String,
        encoding: Encoding,
        revision: u64,
        mut response: Response,
    ) -> Result<Arc<Page>, Response> {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
        let mut response = compress::compress(response, encoding).await;
        let metrics = response.data::<Arc<RouteMetrics>>().cloned();
        let Ok(body) = response.take_body().into_bytes().await else { return Err(response) };
        let headers = std::mem::take(response.headers_mut());
        let page = Arc::new(Page { revision, made: Instant::now(), body, headers, metrics });
        self.0[encoding as usize].insert(key, page.clone());
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &str) -> Request {
        Request::builder().uri_str(uri).finish()
    }

    #[test]
    fn only_the_catalogue_is_public() {
        for path in ["/v1/products", "/v1/products?q=mug", "/v1/products/mug", "/v1/categories", "/v1/categories/x"] {
            assert!(is_public_page(&get(path)), "{path}");
        }
        for path in ["/v1/products/mug/reviews", "/v1/productsx", "/v1/products/", "/v1/cart", "/v1/admin/products"] {
            assert!(!is_public_page(&get(path)), "{path}");
        }
        assert!(!is_public_page(&Request::builder().method(Method::POST).uri_str("/v1/products").finish()));
    }

    #[tokio::test]
    async fn a_page_lives_until_the_catalogue_changes() {
        let cache = PageCache::new();
        let request = get("/v1/products?limit=2");
        let response = Response::builder().header(header::ETAG, "\"a\"").body("page");
        cache.keep(key(&request), Encoding::Identity, 7, response).await.ok().unwrap();
        assert!(cache.find(&request, Encoding::Identity, 7).is_some());
        assert!(cache.find(&request, Encoding::Gzip, 7).is_none());
        assert!(cache.find(&request, Encoding::Identity, 8).is_none());
        assert!(cache.find(&get("/v1/products?limit=3"), Encoding::Identity, 7).is_none());

        assert!(cache.find_stale(&key(&request), Encoding::Identity).is_some(), "however the catalogue changed");
        let stale = cache.find_stale(&key(&request), Encoding::Identity).unwrap().stale_response(&HeaderMap::new());
        assert_eq!((stale.header("age"), stale.header("warning")), (Some("0"), Some("110 - \"Response is Stale\"")));

        let reviews = get("/v1/products/mug/reviews");
        assert!(is_review_page(&reviews) && !is_review_page(&request));
        let kept = cache.keep_for_later(key(&reviews), Encoding::Identity, Response::builder().body("reviews")).await;
        assert_eq!(kept.into_body().into_string().await.unwrap(), "reviews");
        assert!(cache.find(&reviews, Encoding::Identity, u64::MAX - 1).is_none());
        assert!(cache.find_stale(&key(&reviews), Encoding::Identity).is_some());

        let page = cache.find(&request, Encoding::Identity, 7).unwrap();
        let knows = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"a\""))]);
        assert_eq!(page.response(&knows).status(), 304);
        assert_eq!(page.response(&HeaderMap::new()).into_body().into_string().await.unwrap(), "page");
    }
}
