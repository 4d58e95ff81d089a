//! Errors as clients see them: RFC 9457 problem documents.

mod code;

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
use serde::Serialize;
use serde_json::{Value, json};

pub use self::code::Code;

/// The media type of problem documents.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What is at fault: a field of the body, or a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A JSON Pointer into the body.
    Pointer(String),
    /// The name of a parameter in the query, path or header.
    Parameter(String),
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub place: Place,
    pub code: &'static str,
    pub detail: String,
}

impl Fault {
    fn render(&self) -> Value {
        let (name, place) = match &self.place {
            Place::Pointer(pointer) => ("pointer", pointer),
            Place::Parameter(parameter) => ("parameter", parameter),
        };
        json!({ name: place, "code": self.code, "detail": self.detail })
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self { place: Place::Pointer(error.pointer), code: error.code, detail: error.detail }
    }
}

/// Members that the problems of one code have besides the usual ones.
pub trait Members: Serialize {
    /// The code that brings them.
    const CODE: Code;
}

/// A refusal or failure, on its way to the client.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// What clients switch on. It brings the status.
    pub code: Code,
    /// A sentence for people.
    pub detail: String,
    /// What is at fault.
    pub errors: Vec<Fault>,
    /// Further members of the document: `available`, `totals`.
    members: Vec<(String, Value)>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// A problem with this code. 401 and 503 bring the headers that they always have.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let error = Self { code, detail, errors: Vec::new(), members: Vec::new(), headers: Vec::new() };
        match code.number() {
            // RFC 9110 §15.5.2 demands a challenge; RFC 6750 §3.1 says in it what is wrong with a token.
            401 if code == Code::InvalidToken => {
                error.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
            401 => error.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            503 => error.retry_after(1),
            _ => error,
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.code.status()
    }

    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, Code::Unauthenticated.detail())
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound, format!("{what} not found"))
    }

    /// A broken rule for one field of the body.
    pub fn field(error: FieldError) -> Self {
        let detail = format!("{}: {}", error.pointer, error.detail);
        let mut problem = Self::new(Code::of_rule(error.code), detail);
        problem.errors.push(error.into());
        problem
    }

    /// A bad parameter: its name, a stable word for what is wrong with it, and a sentence.
    pub fn invalid_parameter(name: &str, code: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::new(Code::InvalidParameter, format!("{name}: {detail}")).at_parameter(name, code, detail)
    }

    /// Names a parameter that is at fault.
    pub fn at_parameter(mut self, name: &str, code: &'static str, detail: impl std::fmt::Display) -> Self {
        self.errors.push(Fault { place: Place::Parameter(name.to_owned()), code, detail: detail.to_string() });
        self
    }

    pub fn internal() -> Self {
        Self::new(Code::InternalError, Code::InternalError.detail())
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// A problem whose code brings members of its own.
    pub fn with<M: Members>(detail: impl Into<String>, members: &M) -> Self {
        Self::new(M::CODE, detail).members(members)
    }

    /// Adds members that every problem of this code may have.
    pub fn members<M: Members>(mut self, members: &M) -> Self {
        debug_assert_eq!(self.code, M::CODE);
        if let Ok(Value::Object(members)) = serde_json::to_value(members) {
            self.members.extend(members);
        }
        self
    }

    /// A request without a body breaks rules by its parameters only: they are bad parameters, whoever has found out.
    pub fn about_parameters(mut self) -> Self {
        if self.status() != StatusCode::UNPROCESSABLE_ENTITY {
            return self;
        }
        for fault in &mut self.errors {
            if let Place::Pointer(pointer) = &fault.place {
                fault.place = Place::Parameter(pointer.trim_start_matches('/').to_owned());
            }
        }
        let detail = match self.errors.first() {
            Some(Fault { place: Place::Parameter(name), detail, .. }) => format!("{name}: {detail}"),
            _ => self.detail,
        };
        Self { errors: self.errors, ..Self::new(Code::InvalidParameter, detail) }
    }

    /// The document, for the request with this id.
    pub fn render(self, request_id: &str) -> Response {
        let document = self.document(request_id);
        let mut response = Response::builder()
            .status(self.status())
            .header(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))
            .body(Body::from_string(document.to_string()));
        response.headers_mut().extend(self.headers);
        response
    }

    /// The document's members.
    pub fn document(&self, request_id: &str) -> Value {
        let errors: Vec<Value> = self.errors.iter().map(Fault::render).collect();
        let mut document = json!({
            "type": "about:blank",
            "title": self.status().canonical_reason().unwrap_or("Error"),
            "status": self.code.number(),
            "detail": self.detail,
            "code": self.code.word(),
            "request_id": request_id,
            "errors": errors,
        });
        if let Value::Object(members) = &mut document {
            members.extend(self.members.clone());
        }
        document
    }
}

/// Whether the resource is there goes before whether the input keeps the rules: 404 before 422.
pub async fn missing_first<T, E: Into<ApiError>, R, F: Into<ApiError>>(
    done: Result<T, E>,
    resource: impl Future<Output = Result<R, F>>,
) -> Result<T, ApiError> {
    match done.map_err(Into::into) {
        Err(error) if error.status() == StatusCode::UNPROCESSABLE_ENTITY => match resource.await {
            Ok(_) => Err(error),
            Err(first) => Err(first.into()),
        },
        done => done,
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}: {}", self.code.number(), self.code.word(), self.detail)
    }
}

impl std::error::Error for ApiError {}

/// The HTTP stack renders it, as only the stack knows the request's id.
impl From<ApiError> for poem::Error {
    fn from(error: ApiError) -> Self {
        let status = error.status();
        Self::new(error, status)
    }
}

/// Which problems an operation answers is listed in `document::problems`.
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
            return Self::invalid_parameter(error.name, "invalid_value", "has a value that can't be read");
        }
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(Code::PayloadTooLarge, Code::PayloadTooLarge.detail()),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Self::new(Code::UnsupportedMediaType, Code::UnsupportedMediaType.detail())
            }
            StatusCode::NOT_FOUND => Self::not_found("resource"),
            status if status.is_client_error() => Self::new(Code::BadRequest, error.to_string()),
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

    #[derive(Serialize)]
    struct Left {
        available: i64,
    }

    impl Members for Left {
        const CODE: Code = Code::OutOfStock;
    }

    #[tokio::test]
    async fn a_problem_says_everything_a_client_needs() {
        let mut error = ApiError::with("only 2 are left", &Left { available: 2 });
        error
            .errors
            .push(FieldError { pointer: "/quantity".into(), code: "out_of_stock", detail: "2 left".into() }.into());
        let document = document(error).await;
        assert_eq!(document["status"], 409);
        assert_eq!(document["title"], "Conflict");
        assert_eq!(document["code"], "out_of_stock");
        assert_eq!(document["request_id"], "req-1");
        assert_eq!(document["available"], 2);
        assert_eq!(document["errors"][0]["pointer"], "/quantity");
    }

    #[tokio::test]
    async fn rules_that_a_query_breaks_are_bad_parameters() {
        let rule = FieldError { pointer: "/min_rating".into(), code: "out_of_range", detail: "must be 0 to 5".into() };
        let document = document(ApiError::field(rule).about_parameters()).await;
        assert_eq!((&document["status"], &document["code"]), (&json!(400), &json!("invalid_parameter")));
        let fault = json!({ "parameter": "min_rating", "code": "out_of_range", "detail": "must be 0 to 5" });
        assert_eq!(document["errors"], json!([fault]));
    }

    #[test]
    fn poem_errors_are_told_by_type() {
        let path = ParsePathError { name: "id", reason: "not a uuid".into() };
        assert_eq!(ApiError::from(poem::Error::from(path)).code, Code::NotFound);
        let parameter = ParseParamError { name: "limit", reason: "not a number".into() };
        let parameter = ApiError::from(poem::Error::from(parameter));
        assert_eq!(parameter.code, Code::InvalidParameter);
        assert_eq!(ApiError::from(poem::Error::from_status(StatusCode::BAD_GATEWAY)).code, Code::InternalError);
        let own = poem::Error::from(ApiError::new(Code::CartEmpty, ""));
        assert_eq!(ApiError::from(own).code, Code::CartEmpty);
    }
}
