//! The document and Swagger UI as they are served.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use poem_openapi::OpenApiService;
use serde_json::Value;

/// One prefix's document, ready to be sent.
pub struct Docs {
    prefix: String,
    pub json: Bytes,
    pub yaml: Bytes,
}

/// Makes the document for the prefix it is asked under, and keeps the last one: an API is mounted in one place, mostly.
pub struct DocsCache {
    make: Box<dyn Fn(&str) -> Value + Send + Sync>,
    last: Mutex<Option<Arc<Docs>>>,
}

impl DocsCache {
    pub fn new(make: impl Fn(&str) -> Value + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), last: Mutex::new(None) }
    }

    pub fn under(&self, prefix: &str) -> Arc<Docs> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(docs) = last.as_ref().filter(|docs| docs.prefix == prefix) {
            return docs.clone();
        }
        let document = (self.make)(prefix);
        let json = serde_json::to_vec(&document).unwrap_or_default().into();
        let yaml = serde_saphyr::to_string(&document).unwrap_or_default().into();
        let docs = Arc::new(Docs { prefix: prefix.to_owned(), json, yaml });
        *last = Some(docs.clone());
        docs
    }
}

/// Swagger UI in one page, with the document in it: no request leaves the origin.
pub fn swagger_ui(document: &[u8]) -> String {
    let empty = OpenApiService::new((), "", "");
    // Within a script, only `</` could end it (HTML §4.12.1.3); JSON allows the escape.
    let document = to_try_out(document).replace("</", "<\\/");
    empty
        .swagger_ui_html()
        .replacen(&empty.spec(), &document, 1)
        .replacen("<html charset=\"UTF-8\">", "<!DOCTYPE html>\n<html lang=\"en\">", 1)
        .replacen("<title>Swagger UI</title>", "<title>Commerce API</title><link rel=\"icon\" href=\"data:,\">", 1)
        .replacen("deepLinking: true,", "deepLinking: true, persistAuthorization: true, tryItOutEnabled: true,", 1)
}

/// The document without the examples of what may be left out: Swagger UI fills forms in with them, and then sends an old
/// `If-Match`, or filters that nothing passes.
fn to_try_out(document: &[u8]) -> String {
    let Ok(mut document) = serde_json::from_slice::<Value>(document) else {
        return String::from_utf8_lossy(document).into_owned();
    };
    blank_optional_parameters(&mut document);
    document.to_string()
}

fn blank_optional_parameters(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(blank_optional_parameters),
        Value::Object(members) => {
            let is_parameter = members.get("in").is_some_and(|place| place == "query" || place == "header");
            if is_parameter && members.get("required") != Some(&Value::Bool(true)) {
                members.remove("example");
            }
            members.values_mut().for_each(blank_optional_parameters);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_must_be_given_is_filled_in() {
        let parameter = |place: &str, required: bool| json!({ "in": place, "required": required, "example": "mug" });
        let document = json!({
            "paths": { "/": { "get": { "parameters": [parameter("query", false), parameter("path", true)] } } },
            "components": { "parameters": { "IfMatch": parameter("header", false), "Key": parameter("header", true) } },
        });
        let shown: Value = serde_json::from_str(&to_try_out(document.to_string().as_bytes())).unwrap();
        let parameters = &shown["paths"]["/"]["get"]["parameters"];
        assert_eq!([&parameters[0]["example"], &parameters[1]["example"]], [&Value::Null, &json!("mug")]);
        let shared = &shown["components"]["parameters"];
        assert_eq!([&shared["IfMatch"]["example"], &shared["Key"]["example"]], [&Value::Null, &json!("mug")]);
    }
}
