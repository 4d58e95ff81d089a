//! Bodies both ways, straight through serde: [`Input`] in, [`Reply`] out.

use std::{future::Future, marker::PhantomData};

use commerce_core::{Outcome, store::Version};
use poem::{
    Body, IntoResponse, Request, RequestBody, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
    web::headers::ContentType,
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use crate::{
    canonical,
    coding::{self, BODY_LIMIT, too_large},
    conditional, parse,
    problem::{ApiError, Code},
};

/// The media type of ordinary bodies.
pub const JSON: &str = "application/json";
/// How much of a body that is too large is heard out before it is refused.
const DRAIN_LIMIT: u64 = 16 * BODY_LIMIT as u64;

/// A JSON body, read whole but parsed only when the handler asks: after its checks of caller and path.
pub struct Input<T, const REQUIRED: bool = true> {
    content: Result<Vec<u8>, ApiError>,
    is_json: bool,
    is_typed: bool,
    body: PhantomData<fn() -> T>,
}

/// A body whose fields are all optional: it may be absent.
pub type Optional<T> = Input<T, false>;

impl<T: DeserializeOwned, const REQUIRED: bool> Input<T, REQUIRED> {
    /// What the body says, however it is written: what an Idempotency-Key is bound to.
    pub fn meaning(&self) -> Vec<u8> {
        self.document().map(|document| canonical::bytes(&document)).unwrap_or_default()
    }

    /// The body's JSON: 415, then 400.
    fn document(&self) -> Result<Value, ApiError> {
        let absent = matches!(&self.content, Ok(bytes) if bytes.is_empty());
        if !(self.is_json || absent && !self.is_typed) {
            return Err(ApiError::new(Code::UnsupportedMediaType, Code::UnsupportedMediaType.detail()));
        }
        if absent && !REQUIRED {
            return Ok(Value::Object(Map::new()));
        }
        let bytes = self.content.as_deref().map_err(Clone::clone)?;
        // RFC 8259 §8.1: a parser may skip a byte order mark.
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        serde_json::from_slice(bytes)
            .map_err(|error| ApiError::new(Code::MalformedJson, format!("the body isn't JSON: {error}")))
    }

    /// Reads the body: 415, then 400, then 422.
    pub fn parse(&self) -> Result<T, ApiError> {
        let document = self.document()?;
        parse::check_texts(&document).and_then(|()| parse::parse(&document)).map_err(ApiError::field)
    }

    /// Reads the body; if it is wrong, asks first whether the resource is there at all, as a 404 goes before a 4xx about
    /// the body.
    pub async fn parse_for<R, E: Into<ApiError>>(
        &self,
        resource: impl Future<Output = Result<R, E>>,
    ) -> Result<T, ApiError> {
        self.read_for(Ok::<_, ApiError>, resource).await
    }

    /// As [`Self::parse_for`], for bodies that are read on into something of core's.
    pub async fn read_for<U, F: Into<ApiError>, R, E: Into<ApiError>>(
        &self,
        read: impl FnOnce(T) -> Result<U, F>,
        resource: impl Future<Output = Result<R, E>>,
    ) -> Result<U, ApiError> {
        match self.parse().and_then(|body| read(body).map_err(Into::into)) {
            Ok(input) => Ok(input),
            Err(error) => match resource.await {
                Ok(_) => Err(error),
                Err(first) => Err(first.into()),
            },
        }
    }
}

async fn read(body: &mut RequestBody, request: &Request) -> Result<Vec<u8>, ApiError> {
    let declared = request.header("content-length").and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(declared.min(BODY_LIMIT));
    let Ok(body) = body.take() else { return Ok(bytes) };
    let mut rest = body.into_async_read().take(DRAIN_LIMIT);
    let broken = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::TimedOut => ApiError::new(Code::RequestTimeout, Code::RequestTimeout.detail()),
        _ => ApiError::new(Code::IncompleteBody, format!("the body broke off: {error}")),
    };
    if declared <= BODY_LIMIT {
        (&mut rest).take(BODY_LIMIT as u64 + 1).read_to_end(&mut bytes).await.map_err(broken)?;
        if bytes.len() <= BODY_LIMIT {
            return Ok(bytes);
        }
    }
    // A client that is still sending when the answer comes sees a broken connection instead of the answer.
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map_err(broken)?;
    Err(too_large())
}

fn is_json(content_type: &str) -> bool {
    content_type.parse::<ContentType>().is_ok_and(|media| {
        let mime: mime::Mime = media.into();
        mime.type_() == "application" && (mime.subtype() == "json" || mime.suffix().is_some_and(|s| s == "json"))
    })
}

impl<'a, T: DeserializeOwned + Type, const REQUIRED: bool> ApiExtractor<'a> for Input<T, REQUIRED> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: REQUIRED })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let content_type = request.content_type();
        Ok(Self {
            is_json: content_type.is_some_and(is_json),
            is_typed: content_type.is_some(),
            content: coding::decode(request.headers(), read(body, request).await?),
            body: PhantomData,
        })
    }
}

/// A body to the byte, once its `Content-Encoding` is undone, for signatures.
pub struct Raw(pub Vec<u8>);

impl<'a> ApiExtractor<'a> for Raw {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let schema = poem_openapi::types::Any::<Value>::schema_ref();
        let content = vec![MetaMediaType { content_type: JSON, schema }];
        Some(MetaRequest { description: Some("Whatever the gateway sends"), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(coding::decode(request.headers(), read(body, request).await?)?))
    }
}

/// A JSON answer with its headers.
pub struct Reply<T, const STATUS: u16 = 200> {
    body: T,
    version: Option<Version>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a POST that creates answers.
pub type Created<T> = Reply<T, 201>;

/// The header that tells a repeated answer.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

impl<T, const STATUS: u16> Reply<T, STATUS> {
    pub fn new(body: impl Into<T>) -> Self {
        Self { body: body.into(), version: None, headers: Vec::new() }
    }

    /// The aggregate's version, for the `ETag`.
    pub fn version(mut self, version: Version) -> Self {
        self.version = Some(version);
        self
    }

    /// Where the new resource is, from the API's root; the front puts the mount's prefix before it.
    pub fn location(self, path: &str) -> Self {
        self.header(header::LOCATION, path)
    }

    /// Says so if the answer was given before.
    pub fn replayed(self, replayed: bool) -> Self {
        if replayed { self.header(REPLAYED, "true") } else { self }
    }

    /// A header, left out if its value can't be one.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }
}

impl<T, const STATUS: u16> Reply<T, STATUS> {
    /// What a write that may be repeated did.
    pub fn outcome<U: Into<T>>(outcome: Outcome<U>) -> Self {
        Self::new(outcome.value).replayed(outcome.replayed)
    }
}

impl<T: Serialize + Send, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        let bytes = match serde_json::to_vec(&self.body) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "an answer can't be serialised");
                let mut response = Response::default();
                response.set_data(ApiError::internal());
                return response;
            }
        };
        let mut response = Response::default();
        response.set_status(StatusCode::from_u16(STATUS).unwrap_or_default());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(header::ETAG, conditional::etag(self.version, &bytes));
        headers.extend(self.headers);
        response.set_body(Body::from_vec(bytes));
        response
    }
}

impl<T: Type, const STATUS: u16> ApiResponse for Reply<T, STATUS> {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: JSON, schema: T::schema_ref() }];
        let response =
            MetaResponse { description: "", status: Some(STATUS), status_range: None, content, headers: vec![] };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A resource, or where it has moved to.
pub enum Found<T> {
    /// The resource.
    Here(Reply<T>),
    /// Its present address, from the API's root.
    Moved(String),
}

impl<T: Serialize + Send> Found<T> {
    /// The resource if it was asked for by an id or by its present slug; or else where it is now. Both name its address.
    pub fn of(reply: Reply<T>, collection: &str, asked: &str, slug: &str) -> Self {
        let path = format!("{collection}/{slug}");
        if asked == slug || asked.parse::<uuid::Uuid>().is_ok() {
            Self::Here(reply.header(header::LINK, &format!("<{path}>; rel=\"canonical\"")))
        } else {
            Self::Moved(path)
        }
    }
}

impl<T: Serialize + Send> IntoResponse for Found<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Here(reply) => reply.into_response(),
            Self::Moved(path) => Response::builder()
                .status(StatusCode::PERMANENT_REDIRECT)
                .header(header::LOCATION, &path)
                .header(header::LINK, format!("<{path}>; rel=\"canonical\""))
                .finish(),
        }
    }
}

impl<T: Type> ApiResponse for Found<T> {
    fn meta() -> MetaResponses {
        let mut meta = Reply::<T>::meta();
        meta.responses.extend(Empty::<308>::meta().responses);
        meta
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// An answer without a body: 204, or 202 where nothing may be told.
pub struct Empty<const STATUS: u16 = 204>;

impl<const STATUS: u16> IntoResponse for Empty<STATUS> {
    fn into_response(self) -> Response {
        Response::builder().status(StatusCode::from_u16(STATUS).unwrap_or_default()).finish()
    }
}

impl<const STATUS: u16> ApiResponse for Empty<STATUS> {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "",
            status: Some(STATUS),
            status_range: None,
            content: vec![],
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use poem_openapi::Object;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Object, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[serde(default)]
        everywhere: Option<bool>,
    }

    async fn read<const REQUIRED: bool>(content_type: Option<&str>, body: &str) -> (u16, String) {
        let mut request = Request::builder();
        if let Some(content_type) = content_type {
            request = request.content_type(content_type);
        }
        let (request, mut body) = request.body(body.to_owned()).split();
        let input = Input::<Body, REQUIRED>::from_request(&request, &mut body, ExtractParamOptions::default()).await;
        match input.map_err(ApiError::from).and_then(|input| input.parse()) {
            Ok(body) => (200, format!("{:?}", body.everywhere)),
            Err(error) => (error.code.number(), error.code.word().to_owned()),
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_skipped() {
        let json = Some("application/json");
        assert_eq!(read::<true>(json, "\u{feff}{\"everywhere\": true}").await, answer(200, "Some(true)"));
        assert_eq!(read::<true>(json, "\u{feff}").await, answer(400, "malformed_json"));
        assert_eq!(read::<true>(json, "\u{feff}\u{feff}{}").await, answer(400, "malformed_json"));
    }

    fn answer(status: u16, word: &str) -> (u16, String) {
        (status, word.to_owned())
    }

    #[tokio::test]
    async fn bodies_are_judged_in_order() {
        let json = Some("application/json; charset=utf-8");
        assert_eq!(read::<true>(json, r#"{"everywhere": true}"#).await, answer(200, "Some(true)"));
        assert_eq!(read::<true>(Some("application/merge-patch+json"), "{}").await, answer(200, "None"));
        assert_eq!(read::<true>(Some("text/plain"), "{").await, answer(415, "unsupported_media_type"));
        assert_eq!(read::<true>(None, "{}").await, answer(415, "unsupported_media_type"));
        assert_eq!(read::<true>(json, "{").await, answer(400, "malformed_json"));
        assert_eq!(read::<true>(None, "").await, answer(400, "malformed_json"));
        assert_eq!(read::<true>(json, r#"{"role": 1}"#).await, answer(422, "unknown_field"));
        assert_eq!(read::<true>(json, "{\"every\\u0000where\": 1}").await, answer(422, "invalid_character"));
        assert_eq!(read::<true>(json, "{\"everywhere\": \"\\ud800\"}").await, answer(400, "malformed_json"));
        assert_eq!(read::<true>(json, r#"{"everywhere": 1}"#).await, answer(422, "invalid_type"));
        assert_eq!(read::<true>(json, &" ".repeat(BODY_LIMIT + 1)).await, answer(413, "payload_too_large"));
    }

    #[tokio::test]
    async fn a_body_of_optional_fields_may_be_absent() {
        assert_eq!(read::<false>(None, "").await, answer(200, "None"));
        assert_eq!(read::<false>(Some("application/json"), "").await, answer(200, "None"));
        assert_eq!(read::<false>(Some("text/plain"), "").await, answer(415, "unsupported_media_type"));
        assert_eq!(read::<false>(Some("application/json"), "[]").await, answer(422, "invalid_type"));
    }
}
