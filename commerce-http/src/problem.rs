//! Errors as clients see them: RFC 9457 problem documents.

use commerce_core::error::FieldError;
use poem::{
    Body, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    error::{ParseParamError, ParsePathError},
    registry::{MetaResponses, Registry},
};
use serde_json::{Value, json};

/// The media type of problem documents.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// A refusal or failure, on its way to the client.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub status: StatusCode,
    /// A stable word that clients switch on.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
    /// The fields at fault.
    pub errors: Vec<FieldError>,
    /// Further members of the document: `available`, `totals`.
    pub extra: Vec<(String, Value)>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), extra: Vec::new(), headers: Vec::new() }
    }

    pub fn unauthenticated() -> Self {
        Self::unauthorized("unauthenticated", "sign in first: send an access token as Authorization: Bearer …")
    }

    /// A 401 with the challenge that RFC 9110 §15.5.2 demands.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("{what} not found"))
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub fn invalid_parameter(name: &str, detail: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", format!("{name}: {detail}"))
    }

    /// A 503 that asks to come back.
    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(1)
    }

    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side")
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub fn with(mut self, member: &str, value: impl serde::Serialize) -> Self {
        self.extra.push((member.to_owned(), serde_json::to_value(value).unwrap_or_default()));
        self
    }

    /// The document, for the request with this id.
    pub fn render(self, request_id: &str) -> Response {
        let errors: Vec<Value> = self
            .errors
            .iter()
            .map(|error| json!({ "pointer": error.pointer, "code": error.code, "detail": error.detail }))
            .collect();
        let mut document = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            "errors": errors,
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.extra);
        }
        let mut response = Response::builder()
            .status(self.status)
            .header(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))
            .body(Body::from_string(document.to_string()));
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Whether the resource is there goes before whether the input keeps the rules: 404 before 422.
pub async fn missing_first<T, E: Into<ApiError>, R, F: Into<ApiError>>(
    done: Result<T, E>,
    resource: impl Future<Output = Result<R, F>>,
) -> Result<T, ApiError> {
    match done.map_err(Into::into) {
        Err(error) if error.status == StatusCode::UNPROCESSABLE_ENTITY => match resource.await {
            Ok(_) => Err(error),
            Err(first) => Err(first.into()),
        },
        done => done,
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl std::error::Error for ApiError {}

/// The front renders it, as only the front knows the request's id.
impl From<ApiError> for poem::Error {
    fn from(error: ApiError) -> Self {
        let status = error.status;
        Self::new(error, status)
    }
}

/// Error answers are documented by the spec's post-processing, from the operations' descriptions.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_registry: &mut Registry) {}
}

/// Poem's own errors, by type.
impl From<poem::Error> for ApiError {
    fn from(error: poem::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(error) => return error,
            Err(error) => error,
        };
        if error.is::<ParsePathError>() || error.is::<poem::error::NotFoundError>() {
            return Self::not_found("resource");
        }
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return Self::invalid_parameter(error.name, &error.reason);
        }
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(error.status(), "payload_too_large", "the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Self::new(error.status(), "unsupported_media_type", "send JSON, with Content-Type: application/json")
            }
            StatusCode::NOT_FOUND => Self::not_found("resource"),
            status if status.is_client_error() => Self::new(status, "bad_request", error.to_string()),
            _ => {
                tracing::error!(%error, "unexpected error");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn document(error: ApiError) -> Value {
        let body = error.render("req-1").into_body().into_vec().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn a_problem_says_everything_a_client_needs() {
        let mut error = ApiError::conflict("out_of_stock", "only 2 are left").with("available", 2);
        error.errors.push(FieldError { pointer: "/quantity".into(), code: "out_of_stock", detail: "2 left".into() });
        let document = document(error).await;
        assert_eq!(document["status"], 409);
        assert_eq!(document["title"], "Conflict");
        assert_eq!(document["code"], "out_of_stock");
        assert_eq!(document["request_id"], "req-1");
        assert_eq!(document["available"], 2);
        assert_eq!(document["errors"][0]["pointer"], "/quantity");
    }

    #[test]
    fn poem_errors_are_told_by_type() {
        let path = ParsePathError { name: "id", reason: "not a uuid".into() };
        assert_eq!(ApiError::from(poem::Error::from(path)).status, 404);
        let parameter = ParseParamError { name: "limit", reason: "not a number".into() };
        let parameter = ApiError::from(poem::Error::from(parameter));
        assert_eq!((parameter.status.as_u16(), parameter.code), (400, "invalid_parameter"));
        assert_eq!(ApiError::from(poem::Error::from_status(StatusCode::BAD_GATEWAY)).status, 500);
        let own = poem::Error::from(ApiError::conflict("cart_empty", ""));
        assert_eq!(ApiError::from(own).code, "cart_empty");
    }
}
