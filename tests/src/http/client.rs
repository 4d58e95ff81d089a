//! A client that asserts: what was asked is part of every failure message.

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::contract;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Response {
    /// What was asked.
    pub asked: String,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON; null if there is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}: {}", self.asked, self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value; empty if it isn't there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Asserts the status of a success; the body.
    #[track_caller]
    #[must_use = "the body is often worth a look"]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self.json()
    }

    /// Asserts a success whose body doesn't matter.
    #[track_caller]
    pub fn done(&self, status: u16) {
        let _ = self.expect(status);
    }

    /// Asserts a problem document with this code, complete in every member; the document.
    #[track_caller]
    #[allow(clippy::must_use_candidate, reason = "it asserts; the document is an extra")]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.asked);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{}: {problem}", self.asked);
        assert_eq!(problem["status"], status, "{}", self.asked);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{}: {problem}", self.asked);
        }
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{}", self.asked);
        assert!(problem["errors"].is_array(), "{}: {problem}", self.asked);
        problem
    }

    /// Asserts a problem that names the field at fault.
    #[track_caller]
    #[allow(clippy::must_use_candidate, reason = "it asserts; the document is an extra")]
    pub fn refused_at(&self, status: u16, code: &str, pointer: &str) -> Value {
        let problem = self.refused(status, code);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{}: {problem}", self.asked);
        assert_eq!(problem["errors"][0]["code"], code, "{}: {problem}", self.asked);
        problem
    }
}

/// Somebody who calls the server, with the headers they send each time.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    headers: HeaderMap,
}

impl Client {
    /// Somebody without any header.
    #[must_use]
    pub fn new(base: &str) -> Self {
        // A proxy of the machine's is no part of what is tested; redirects would hide an answer.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Self { base: base.to_owned(), http: http.expect("a client"), headers: HeaderMap::new() }
    }

    /// The same, with one more header.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        other.headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
        other
    }

    /// The same, at another server of the shop.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The same, signed in.
    #[must_use]
    pub fn bearer(&self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// The same, sending this `Idempotency-Key`.
    #[must_use]
    pub fn once(&self, key: &str) -> Self {
        self.with("idempotency-key", key)
    }

    /// A request with any method, body and media type; an error if the connection fails.
    ///
    /// # Errors
    /// If no whole answer comes back.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Response, reqwest::Error> {
        let (asked, name) = (format!("{method} {path}"), method);
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.base)).headers(self.headers.clone());
        if let Some((media, bytes)) = body {
            request = request.header("content-type", media).body(bytes);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Response { asked, status, headers, body: response.bytes().await?.to_vec() };
        contract::check(name, path, &answer);
        Ok(answer)
    }

    /// A request with any method, body and media type.
    pub async fn send(&self, method: &str, path: &str, body: Option<(&str, Vec<u8>)>) -> Response {
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }

    async fn send_json(&self, method: &str, path: &str, body: &Value) -> Response {
        let mut answer = self.send(method, path, Some(("application/json", body.to_string().into_bytes()))).await;
        answer.asked = format!("{} {body}", answer.asked);
        answer
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Response {
        self.send("GET", path, None).await
    }

    /// All items of a list, page by page; `path` has a query already.
    pub async fn list(&self, path: &str, limit: usize) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}&limit={limit}{cursor}")).await.expect(200);
            let items = page["items"].as_array().expect("items");
            assert!(items.len() <= limit, "{} items on a page of {limit}", items.len());
            all.extend_from_slice(items);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// All orders, as staff see them.
    pub async fn orders(&self) -> Vec<Value> {
        self.list("/v1/admin/orders?", 100).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.send_json("POST", path, &body).await
    }

    /// POST without a body.
    pub async fn post_empty(&self, path: &str) -> Response {
        self.send("POST", path, None).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Response {
        self.send_json("PATCH", path, &body).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Response {
        self.send_json("PUT", path, &body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Response {
        self.send("DELETE", path, None).await
    }
}
