//! Request headers as parameters of operations, and the one that everything reads.

use poem::Request;

use crate::problem::{ApiError, Code};

/// Makes a type a header parameter: `header_parameter!(Type, |request| poem::Result<Self>)`. The operation names the header.
macro_rules! header_parameter {
    ($ty:ty, |$request:ident| $read:expr) => {
        impl<'a> poem_openapi::ApiExtractor<'a> for $ty {
            const TYPES: &'static [poem_openapi::ApiExtractorType] = &[poem_openapi::ApiExtractorType::Parameter];
            type ParamType = String;
            type ParamRawType = String;

            fn param_in() -> Option<poem_openapi::registry::MetaParamIn> {
                Some(poem_openapi::registry::MetaParamIn::Header)
            }

            fn param_schema_ref() -> Option<poem_openapi::registry::MetaSchemaRef> {
                Some(<String as poem_openapi::types::Type>::schema_ref())
            }

            async fn from_request(
                $request: &'a poem::Request,
                _body: &mut poem::RequestBody,
                _options: poem_openapi::ExtractParamOptions<String>,
            ) -> poem::Result<Self> {
                $read
            }
        }
    };
}

pub(crate) use header_parameter;

/// The bearer token in a request; an error if `Authorization` holds something else.
pub fn bearer(request: &Request) -> Result<Option<&str>, ApiError> {
    let Some(value) = request.headers().get(poem::http::header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    token.map(Some).ok_or_else(|| ApiError::new(Code::InvalidToken, "send Authorization: Bearer <access token>"))
}
