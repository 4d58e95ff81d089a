//! Answers in the document: what comes with each status, and each thing once.

#![allow(clippy::enum_glob_use, reason = "a table of codes")]

use std::collections::{BTreeMap, BTreeSet};

use poem::http::StatusCode;
use serde_json::{Map, Value, json};

use super::problems::Problems;
use crate::problem::{
    CONTENT_TYPE,
    Code::{self, *},
};

/// What answers that list many codes are called where they are described once. Others are called by their codes.
const NAMED: &[(&str, &[Code])] = &[
    ("BadPage", &[InvalidCursor, InvalidParameter]),
    ("BadBody", &[IncompleteBody, InvalidParameter, MalformedEncoding, MalformedJson]),
    ("BadBodyOrKey", &[IncompleteBody, InvalidIdempotencyKey, InvalidParameter, MalformedEncoding, MalformedJson]),
    ("NotSignedIn", &[InvalidToken, Unauthenticated]),
    ("UnsupportedMediaType", &[UnsupportedContentEncoding, UnsupportedMediaType]),
    ("ReadUnavailable", &[Timeout, Unavailable]),
    ("WriteUnavailable", &[Contended, Timeout, Unavailable, UnknownOutcome]),
    ("WriteOrGatewayUnavailable", &[Contended, GatewayUnavailable, Timeout, Unavailable, UnknownOutcome]),
    ("BrokenRule", &[InvalidCharacter, InvalidType, Required, UnknownField]),
    ("BrokenRuleOrValue", &[InvalidCharacter, InvalidType, InvalidValue, Required, UnknownField]),
];

/// What any body can have wrong.
pub const EVERYWHERE: [Code; 5] = [InvalidCharacter, InvalidType, InvalidValue, Required, UnknownField];

/// What answers carry besides their bodies.
pub fn headers() -> Value {
    let header = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    json!({
        "Accept-Encoding": header("How a body may be compressed.", "gzip, deflate, br"),
        "ETag": header("The version, where there is one, and a hash of the answer: send it as `If-None-Match` or `If-Match`.", "\"3-0a1b2c3d4e5f6071\""),
        "Idempotency-Replayed": {
            "description": "There if this is the answer to the first call with the `Idempotency-Key`.",
            "schema": { "type": "string", "enum": ["true"] },
            "example": "true",
        },
        "Link": header("The resource's own address.", "</v1/products/enamel-mug>; rel=\"canonical\""),
        "Location": header("Where the resource is.", "/v1/orders/019ab8e2-6a10-7c31-9d53-0f2a6b1c4d05"),
        "Retry-After": {
            "description": "Seconds to wait before the call is repeated.",
            "schema": { "type": "integer", "minimum": 1 },
            "example": 1,
        },
        "WWW-Authenticate": header("How to sign in; `error` says what is wrong with a token that was sent.", "Bearer error=\"invalid_token\""),
        "X-Cart-Token": header("Opens the guest's cart. There if the body has a `cart_token`.", "5mPq0dIuTfmX0bQ2wYkq1Q.Jq7c0l8V9mM"),
        "X-Order-Token": header("Opens the guest's order. There if the body has an `order_token`.", "AZq44moQfDGdUw8qaxxNBQ.c2lnbmF0dXJl"),
        "X-Request-Id": header("The request's id, for support: the one that was sent, or a new one.", "019ab8e26a107c319d530f2a6b1c4d01"),
    })
}

fn references(names: &BTreeSet<&str>) -> Value {
    names.iter().map(|name| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }))).collect()
}

/// Describes an operation's answers that are no problems.
pub fn describe_successes(method: &str, operation: &mut Value) {
    let may_repeat = has_parameter(operation, "Idempotency-Key");
    let finds_again = operation["operationId"] == "lookup_order";
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, answer) in answers.iter_mut() {
        let mut headers = BTreeSet::from(["X-Request-Id"]);
        answer["description"] = match status.as_str() {
            "201" => "Created; `Location` says where.",
            "202" => "Accepted; not finished yet.",
            "204" => "Done; nothing to tell.",
            "308" => "Moved; `Location` and `Link` say where it is now.",
            _ => "OK",
        }
        .into();
        let schema = answer["content"]["application/json"]["schema"]["$ref"].as_str();
        let body = schema.and_then(|schema| schema.rsplit('/').next()).unwrap_or_default();
        if answer["content"].is_object() {
            headers.insert("ETag");
        }
        if status == "201" || status == "308" || (status == "202" && !body.is_empty()) {
            headers.insert("Location");
        }
        if status == "308" {
            headers.insert("Link");
        }
        if may_repeat {
            headers.insert("Idempotency-Replayed");
        }
        if body == "Cart" {
            headers.insert("X-Cart-Token");
        }
        // Only what places an order, or finds it again, hands its token out.
        if body == "Order" && (status != "200" || finds_again) {
            headers.insert("X-Order-Token");
        }
        answer["headers"] = references(&headers);
    }
    if answers.contains_key("308") {
        answers["200"]["headers"]["Link"] = json!({ "$ref": "#/components/headers/Link" });
    }
    if method == "get" && answers.get("200").is_some_and(|answer| answer["content"].is_object()) {
        let title = StatusCode::NOT_MODIFIED.canonical_reason().unwrap_or_default();
        let headers = references(&BTreeSet::from(["ETag", "X-Request-Id"]));
        let description = format!("{title}: `If-None-Match` names what would be answered.");
        answers.insert("304".to_owned(), json!({ "description": description, "headers": headers }));
    }
}

fn has_parameter(operation: &Value, name: &str) -> bool {
    operation["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == name)
}

/// Describes an operation's problems: by status, each with an enum of its codes.
pub fn describe_problems(operation: &mut Value, codes: BTreeSet<Code>, problems: &Problems) {
    let may_repeat = has_parameter(operation, "Idempotency-Key");
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        by_status.entry(code.number()).or_default().push(code);
    }
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, codes) in by_status {
        // A declined payment is the outcome of the first call.
        answers.insert(status.to_string(), answer(&codes, problems, may_repeat && status == 402));
    }
    answers.sort_keys();
}

/// What several operations answer alike is described once: takes it out of them.
pub fn share(document: &mut Value) -> Value {
    let mut seen = BTreeMap::<String, usize>::new();
    for answer in all(document) {
        *seen.entry(answer.to_string()).or_default() += 1;
    }
    let mut shared = Map::new();
    for answer in all(document) {
        if seen.get(&answer.to_string()).is_some_and(|uses| *uses > 1)
            && let Some(name) = name_of(answer)
            && shared.get(&name).is_none_or(|known| known == answer)
        {
            shared.insert(name.clone(), answer.take());
            *answer = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
    shared.sort_keys();
    shared.into()
}

/// All answers of all operations.
fn all(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    let operations = paths.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    operations.flat_map(|(_, operation)| {
        let answers = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
        answers.map(|(_, answer)| answer)
    })
}

/// What a shared answer is called: by its codes, or by what it holds.
fn name_of(answer: &Value) -> Option<String> {
    let Some(problem) = answer["content"].get(CONTENT_TYPE) else {
        let schema = &answer["content"]["application/json"]["schema"];
        let holds = schema["$ref"].as_str().and_then(|schema| schema.rsplit('/').next()).unwrap_or_default();
        let repeated = if answer["headers"]["Idempotency-Replayed"].is_object() { "Once" } else { "" };
        return Some(format!("{}{holds}{repeated}", pascal(answer["description"].as_str()?)));
    };
    let codes: BTreeSet<&str> = problem["examples"].as_object()?.keys().map(String::as_str).collect();
    let named = NAMED.iter().find(|(_, named)| named.iter().map(|code| code.word()).collect::<BTreeSet<_>>() == codes);
    Some(named.map_or_else(|| codes.iter().map(|code| pascal(code)).collect(), |(name, _)| (*name).to_owned()))
}

/// The first words of a text, as a name.
fn pascal(text: &str) -> String {
    let phrase = text.split([':', ';']).next().unwrap_or_default();
    let words = phrase.split(['_', ' ']).map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_uppercase() + rest
    });
    words.collect()
}

fn answer(codes: &[Code], problems: &Problems, is_replayed: bool) -> Value {
    let mut headers = BTreeSet::from(["X-Request-Id"]);
    for code in codes {
        match code {
            IdempotencyInProgress | PaymentBusy | RateLimited => headers.insert("Retry-After"),
            UnsupportedContentEncoding => headers.insert("Accept-Encoding"),
            code if code.number() == 401 => headers.insert("WWW-Authenticate"),
            code if code.number() == 503 => headers.insert("Retry-After"),
            _ => false,
        };
    }
    if is_replayed {
        headers.insert("Idempotency-Replayed");
    }
    let title = codes.first().and_then(|code| code.status().canonical_reason()).unwrap_or_default();
    let example = |code: &Code| {
        let reference = format!("#/components/examples/{}", name(*code));
        (code.word().to_owned(), json!({ "$ref": reference }))
    };
    // What any body can have wrong is shown where nothing else can be.
    let own: Vec<&Code> = codes.iter().filter(|code| !EVERYWHERE.contains(code)).collect();
    let shown = if own.is_empty() { codes.iter().collect() } else { own };
    let examples: Map<String, Value> = shown.into_iter().map(example).collect();
    json!({
        "description": title,
        "headers": references(&headers),
        "content": { CONTENT_TYPE: { "schema": problems.schema(codes), "examples": examples } },
    })
}

/// What an example is called.
fn name(code: Code) -> String {
    format!("{code:?}")
}

/// One real example of each code that operations answer.
pub fn examples(problems: &Problems) -> Value {
    let listed =
        Code::ALL.iter().filter(|code| !matches!(code, MethodNotAllowed | NotReady | BadRequest | InvalidStatus));
    listed.map(|code| (name(*code), problems.example(*code))).collect()
}
