//! What the OpenAPI document promises, held against every answer that any journey gets.

use std::{collections::BTreeSet, io::Write, sync::LazyLock};

use serde_json::Value;

use super::Response;

/// The document as it is checked in. A test holds it against the one that is served.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let text = std::fs::read_to_string(path).expect("tests/openapi.json is there");
    serde_json::from_str(&text).expect("tests/openapi.json is JSON")
});

/// A problem that an operation answers: its `operationId`, the status, the code.
pub type Problem = (String, u16, String);

/// What a reference stands for.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} isn't there")),
        None => value,
    }
}

/// The codes that a schema of problems allows.
fn codes(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = resolved(document, schema);
    let own = schema["properties"]["code"]["enum"].as_array().into_iter().flatten();
    let mut all: BTreeSet<String> = own.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    for part in ["allOf", "oneOf"].iter().flat_map(|of| schema[of].as_array().into_iter().flatten()) {
        all.extend(codes(document, part));
    }
    all
}

/// All problems that a document lists.
#[must_use]
pub fn listed(document: &Value) -> BTreeSet<Problem> {
    let mut all = BTreeSet::new();
    for (_, item) in document["paths"].as_object().into_iter().flatten() {
        for (_, operation) in item.as_object().into_iter().flatten() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
                let Ok(status) = status.parse() else { continue };
                let schema = &resolved(document, answer)["content"]["application/problem+json"]["schema"];
                all.extend(codes(document, schema).into_iter().map(|code| (id.to_owned(), status, code)));
            }
        }
    }
    all
}

static LISTED: LazyLock<BTreeSet<Problem>> = LazyLock::new(|| listed(&DOCUMENT));

/// The operation that a request calls.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let path = path.split('?').next().unwrap_or_default();
    let fits = |template: &str| {
        let (named, given): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        named.len() == given.len()
            && named.iter().zip(&given).all(|(named, given)| named.starts_with('{') || named == given)
    };
    let items = DOCUMENT["paths"].as_object()?.iter().filter(|(template, _)| fits(template));
    // `/v1/orders/lookup` rather than `/v1/orders/{id}`.
    let (_, item) = items.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(&method)
}

/// The problem that a request was answered with, if it called an operation.
#[must_use]
pub fn problem(method: &str, path: &str, answer: &Response) -> Option<Problem> {
    let id = operation(method, path)?["operationId"].as_str()?;
    if answer.header("content-type") != "application/problem+json" || answer.body.is_empty() {
        return None;
    }
    Some((id.to_owned(), answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned()))
}

/// Fails on an answer that the document doesn't list for its operation. With `RECORD_PROBLEMS=<file>` it is noted there instead.
#[track_caller]
pub(super) fn check(method: &str, path: &str, answer: &Response) {
    let Some(called) = operation(method, path) else { return };
    if let Some(problem) = problem(method, path, answer) {
        if let Some(file) = std::env::var_os("RECORD_PROBLEMS") {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
            let line = format!("{} {} {} {}\n", problem.0, problem.1, problem.2, LISTED.contains(&problem));
            file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the problem is noted");
            return;
        }
        assert!(LISTED.contains(&problem), "{method} {path}: the document doesn't list {problem:?}: {}", answer.text());
        return;
    }
    let listed = &called["responses"][answer.status.to_string()];
    assert!(answer.status >= 400 || listed.is_object(), "{method} {path}: the document doesn't list {}", answer.status);
    if called["operationId"] == "track_order" && answer.status == 200 && !answer.body.is_empty() {
        let known = &DOCUMENT["components"]["schemas"]["TimelineEvent"]["enum"];
        for entry in answer.json()["timeline"].as_array().into_iter().flatten() {
            let is_known = known.as_array().is_some_and(|known| known.contains(&entry["event"]));
            assert!(is_known, "{method} {path}: the document doesn't list {entry}");
        }
    }
}
