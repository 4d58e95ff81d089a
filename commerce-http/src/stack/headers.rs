//! Headers that every answer carries.

use commerce_core::Settings;
use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Tells browsers to do nothing with an answer but read it, and clients which request it answers.
pub fn secure(response: &mut Response, request_id: &str, settings: &Settings) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    if settings.public_url.starts_with("https://") {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
}
