//! Entity tags, conditional requests and idempotency keys.
//!
//! An entity tag is `"<version>-<hash>"`, or `"<hash>"` where there is no version. `If-None-Match` compares all of it;
//! `If-Match` compares the version only, so that a sale, which changes what is shown, doesn't break an edit.

use std::fmt::Write;

use commerce_core::store::Version;
use poem::{
    http::{HeaderMap, HeaderValue, header},
    web::headers::{ETag, HeaderMapExt, IfNoneMatch},
};
use sha2::{Digest, Sha256};

use crate::{
    header::header_parameter,
    problem::{ApiError, Code},
};

/// The entity tag of a body.
pub fn etag(version: Option<Version>, body: &[u8]) -> HeaderValue {
    let mut tag = String::with_capacity(40);
    tag.push('"');
    if let Some(version) = version {
        let _ = write!(tag, "{version}-");
    }
    tag.push_str(&hex::encode(&Sha256::digest(body)[..8]));
    tag.push('"');
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Tags without their weakness marks: they matter to bytes, not to versions.
fn tags(header: &str) -> impl Iterator<Item = &str> {
    header.split(',').map(|tag| tag.trim().trim_start_matches("W/"))
}

/// Whether the client has this representation already.
pub fn not_modified(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let Some(wanted) = request.typed_get::<IfNoneMatch>() else { return false };
    let etag = etag.to_str().ok().and_then(|etag| etag.parse::<ETag>().ok());
    etag.is_some_and(|etag| !wanted.precondition_passes(&etag))
}

/// `If-Match`: the version a write may change. `None` without the header and for `*`.
pub struct IfMatch(pub Option<Version>);

impl IfMatch {
    fn parse(header: &str) -> Option<Version> {
        if header.trim() == "*" {
            return None;
        }
        let version = |tag: &str| tag.trim_matches('"').split_once('-').and_then(|(version, _)| version.parse().ok());
        // Versions begin at 1: a tag that isn't ours matches none of them.
        Some(tags(header).find_map(version).unwrap_or(-1))
    }
}

header_parameter!(IfMatch, |request| {
    // A tag that isn't text isn't ours either.
    let tags = request.headers().get(header::IF_MATCH).map(|tags| tags.to_str().unwrap_or_default());
    Ok(Self(tags.and_then(Self::parse)))
});

/// The client's `Idempotency-Key`, if there is one.
pub struct IdempotencyKey(pub Option<String>);

header_parameter!(IdempotencyKey, |request| {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(Self(None)) };
    match key.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~')) => {
            Ok(Self(Some(key.to_owned())))
        }
        _ => {
            let detail = "must have 1 to 255 printable ASCII characters";
            let error = ApiError::new(Code::InvalidIdempotencyKey, Code::InvalidIdempotencyKey.detail());
            Err(error.at_parameter("Idempotency-Key", "invalid_value", detail).into())
        }
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_version_and_body() {
        let (one, two) = (etag(Some(7), b"one"), etag(Some(7), b"two"));
        assert_ne!(one, two);
        assert!(one.to_str().unwrap().starts_with("\"7-"));
        assert_eq!(IfMatch::parse(one.to_str().unwrap()), Some(7));
        assert_eq!(IfMatch::parse(two.to_str().unwrap()), Some(7));
    }

    #[test]
    fn if_match_compares_versions() {
        assert_eq!(IfMatch::parse("*"), None);
        assert_eq!(IfMatch::parse("W/\"3-abc\""), Some(3));
        assert_eq!(IfMatch::parse("\"x\", \"4-abc\""), Some(4));
        assert_eq!(IfMatch::parse("nonsense"), Some(-1));
        // The tag of a list has no version; read as one, its digits could pass for it.
        assert_eq!(IfMatch::parse("\"1234567812345678\""), Some(-1));
    }

    #[test]
    fn if_none_match_compares_all() {
        let etag = HeaderValue::from_static("\"7-abc\"");
        let asks = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(value))]);
            not_modified(&headers, &etag)
        };
        assert!(asks("\"7-abc\"") && asks("*") && asks("\"1\", W/\"7-abc\""));
        assert!(!asks("\"7-abd\"") && !asks("7"));
    }
}
