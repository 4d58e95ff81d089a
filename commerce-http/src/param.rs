//! Parameters of queries, read in our own words: what is wrong with one is said as for a field of a body.

use commerce_core::{
    error::FieldError,
    page::PageRequest,
    text::{Lines, forbidden, forbidden_detail},
};
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
    types::Type,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{parse, problem::ApiError};

/// A request's query, parsed once.
#[derive(Clone)]
struct Pairs(Vec<(String, String)>);

/// Parses the query once, where the parameters look for it. A form that was left blank sends its parameters empty: they count as
/// absent.
pub async fn with_query(mut request: Request) -> poem::Result<Request> {
    let mut query: Vec<(String, String)> = request.params().unwrap_or_default();
    query.retain(|(_, value)| !value.is_empty());
    request.extensions_mut().insert(Pairs(query));
    Ok(request)
}

fn find<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let Pairs(pairs) = request.extensions().get()?;
    pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

/// A value that a query may carry.
pub trait QueryValue: Type + DeserializeOwned {
    /// Reads it. The error says what it must be.
    fn read(text: &str) -> Result<Self, FieldError> {
        parse::parse(&Value::String(text.to_owned()))
    }
}

fn must_be(what: &str) -> FieldError {
    FieldError { pointer: String::new(), code: "invalid_type", detail: format!("must be {what}") }
}

impl QueryValue for String {}

impl QueryValue for bool {
    fn read(text: &str) -> Result<Self, FieldError> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(must_be("true or false")),
        }
    }
}

impl QueryValue for f64 {
    fn read(text: &str) -> Result<Self, FieldError> {
        text.parse().ok().filter(|number: &Self| number.is_finite()).ok_or_else(|| must_be("a number"))
    }
}

/// An optional parameter of the query.
pub struct Query<T>(pub Option<T>);

impl<'a, T: QueryValue> ApiExtractor<'a> for Query<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = T;
    type ParamRawType = T::RawValueType;

    // `param_raw_type` stays `None`: limits given as attributes are for the document only. What breaks them hears it from core.

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<T>,
    ) -> poem::Result<Self> {
        let value = find(request, options.name).map(T::read).transpose();
        Ok(Self(value.map_err(|fault| ApiError::invalid_parameter(options.name, fault.code, fault.detail))?))
    }
}

/// `limit`, `cursor` and `count`; the document adds them to every operation that answers a [`Page`](crate::types::Page).
pub struct Paging(pub PageRequest);

impl<'a> FromRequest<'a> for Paging {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> poem::Result<Self> {
        let mut page = PageRequest::default();
        if let Some(limit) = find(request, "limit") {
            page.limit = limit.parse().ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
                ApiError::invalid_parameter("limit", "out_of_range", "must be a number from 1 to 100")
            })?;
        }
        page.cursor = find(request, "cursor").map(ToOwned::to_owned);
        if let Some(count) = find(request, "count") {
            page.count =
                bool::read(count).map_err(|fault| ApiError::invalid_parameter("count", fault.code, fault.detail))?;
        }
        Ok(Self(page))
    }
}

/// A name in a path: 400 if it holds what no text may.
pub fn path_text<'a>(name: &str, text: &'a str) -> Result<&'a str, ApiError> {
    match forbidden(text, Lines::One) {
        None => Ok(text),
        Some(c) => Err(ApiError::invalid_parameter(name, "invalid_character", forbidden_detail(c))),
    }
}

/// Refuses a query that holds what no text may, in whichever of its parameters.
pub fn check_query(request: &Request) -> Result<(), ApiError> {
    let pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    for (name, value) in pairs {
        if let Some(c) = forbidden(&name, Lines::One).or_else(|| forbidden(&value, Lines::One)) {
            let name: String = name.chars().filter(|c| !c.is_control()).take(50).collect();
            return Err(ApiError::invalid_parameter(&name, "invalid_character", forbidden_detail(c)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::dto::ProductSort, types::Time};

    fn detail<T: QueryValue>(text: &str) -> String {
        T::read(text).err().map(|fault| fault.detail).unwrap_or_default()
    }

    #[test]
    fn what_a_parameter_must_be_is_said_in_our_words() {
        let sorts = "must be one of -created_at, price, -price, title, -rating, relevance, not 'cheap'";
        assert_eq!(detail::<ProductSort>("cheap"), sorts);
        assert_eq!(detail::<bool>("yes"), "must be true or false");
        for bad in ["x", "NaN", "inf", "1e999"] {
            assert_eq!(detail::<f64>(bad), "must be a number", "{bad}");
        }
        assert_eq!(detail::<Time>("yesterday"), "must be an instant (RFC 3339) such as 2026-11-24T10:15:00Z");
    }

    #[test]
    fn an_instant_may_come_without_its_plus_sign_escaped() {
        assert_eq!(detail::<Time>("2026-11-24T10:15:00 01:00"), "");
    }
}
