use std::collections::BTreeSet;

use commerce_core::{Commerce, payment::TestGateway};
use commerce_sqlite::SqliteStore;
use serde_json::Value;

use super::answers::EVERYWHERE;
use crate::CommerceApi;

pub async fn document(prefix: &str) -> Value {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let commerce = Commerce::builder().store(store).build().unwrap();
    CommerceApi::new(commerce).test_gateway(TestGateway::new()).spec(prefix)
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
        })
        .collect()
}

#[tokio::test]
async fn every_operation_says_what_a_client_needs() {
    let document = document("").await;
    let operations = operations(&document);
    assert!(operations.len() > 80, "{}", operations.len());
    for (name, operation) in operations {
        for said in ["operationId", "summary", "description"] {
            assert!(operation[said].is_string(), "{name}: {said}");
        }
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{name}");
        let is_admin = name.contains("/v1/admin");
        // Support may look at customers' orders, not act on them.
        let acts =
            ["/cancel", "/payments", "/returns"].iter().any(|end| name.starts_with("post") && name.ends_with(end));
        assert_eq!(operation["responses"]["403"].is_object(), is_admin || acts, "{name}");
        // Without a way of its own, an operation is for who is signed in.
        assert!(!is_admin || operation.get("security").is_none(), "{name}");
    }
}

#[tokio::test]
async fn tags_follow_the_journey_and_the_server_the_mount() {
    let document = document("/shop").await;
    let tags: Vec<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(tags[..4], ["Auth", "Account", "Catalogue", "Reviews"]);
    assert_eq!(tags.last(), Some(&"Admin: users"));
    assert_eq!(document["servers"][0]["url"], "/shop");
    assert_eq!(document["security"], serde_json::json!([{ "bearer": [] }]));
}

/// What a reference stands for.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} isn't there")),
        None => value,
    }
}

fn parameters<'a>(document: &'a Value, operation: &'a Value) -> Vec<&'a Value> {
    let listed = operation["parameters"].as_array().into_iter().flatten();
    listed.map(|parameter| resolved(document, parameter)).collect()
}

#[tokio::test]
async fn paging_and_headers_are_named_as_clients_send_them() {
    let document = document("").await;
    let names = |path: &str, method: &str| -> BTreeSet<String> {
        let operation = &document["paths"][path][method];
        parameters(&document, operation).iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names("/v1/orders", "get").contains("cursor"));
    assert!(names("/v1/orders/{id}", "get").contains("If-None-Match"));
    assert!(names("/v1/checkout", "post").contains("Idempotency-Key"));
    assert!(names("/v1/cart/items", "post").contains("If-Match"));
    assert!(names("/v1/auth/login", "post").contains("X-Cart-Token"));
}

#[tokio::test]
async fn every_parameter_has_a_meaning_and_an_example() {
    let document = document("").await;
    for (name, operation) in operations(&document) {
        let mut names = BTreeSet::new();
        for parameter in parameters(&document, operation) {
            let at = format!("{name}: {parameter}");
            assert!(parameter["description"].as_str().is_some_and(|text| text.len() > 5), "{at}");
            assert!(!parameter["example"].is_null(), "{at}");
            assert!(parameter["schema"].is_object(), "{at}");
            assert!(names.insert((parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap())), "{at}");
        }
    }
}

/// Texts of bodies that are looked up and not kept: one of any length finds nothing.
const LOOKED_UP: [&str; 11] = [
    "current_password",
    "email",
    "method",
    "number",
    "password",
    "phone",
    "refresh_token",
    "shipping_method",
    "token",
    "amount",
    "currency",
];

#[tokio::test]
async fn every_field_of_a_body_has_its_limits() {
    let document = document("").await;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas.iter().filter(|(_, schema)| schema["additionalProperties"] == false) {
        for (field, schema) in schema["properties"].as_object().unwrap() {
            let limits: &[&str] = match schema["type"].as_str() {
                Some("string") if !LOOKED_UP.contains(&field.as_str()) => &["maxLength", "pattern", "format", "enum"],
                Some("integer") => &["minimum"],
                _ => continue,
            };
            assert!(limits.iter().any(|limit| !schema[limit].is_null()), "{name}.{field}: {schema}");
        }
        if let Some(email) = schema["properties"].get("email") {
            assert_eq!(email["format"], "email", "{name}");
        }
    }
}

#[tokio::test]
async fn every_problem_is_typed() {
    let document = document("").await;
    let mut listed: BTreeSet<&str> = super::problems::operations().collect();
    for (name, operation) in operations(&document) {
        listed.remove(operation["operationId"].as_str().unwrap());
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = resolved(&document, answer);
            assert!(answer["headers"]["X-Request-Id"].is_object(), "{name} {status}");
            for header in answer["headers"].as_object().unwrap().values() {
                assert!(resolved(&document, header)["description"].is_string(), "{name} {status}");
            }
            let Some(problem) = answer["content"].get("application/problem+json") else { continue };
            assert_eq!(status == "401", answer["headers"]["WWW-Authenticate"].is_object(), "{name} {status}");
            let codes = codes(&document, &problem["schema"]);
            let examples = problem["examples"].as_object().unwrap();
            let shown: BTreeSet<String> = examples.keys().cloned().collect();
            let hidden = codes.difference(&shown).filter(|code| !EVERYWHERE.iter().any(|known| known.word() == *code));
            assert!(shown.is_subset(&codes) && hidden.count() == 0, "{name} {status}");
            for (code, example) in examples {
                let example = &resolved(&document, example)["value"];
                assert_eq!(&example["code"], code, "{name}");
                assert_eq!(&example["status"].to_string(), status, "{name}: {code}");
            }
        }
    }
    assert!(listed.is_empty(), "there are no such operations: {listed:?}");
}

/// The codes that a schema of problems allows.
fn codes(document: &Value, schema: &Value) -> BTreeSet<String> {
    let schema = resolved(document, schema);
    let own = schema["properties"]["code"]["enum"].as_array().into_iter().flatten();
    let mut all: BTreeSet<String> = own.map(|code| code.as_str().unwrap().to_owned()).collect();
    for part in ["allOf", "oneOf"].iter().flat_map(|of| schema[of].as_array().into_iter().flatten()) {
        all.extend(codes(document, part));
    }
    all
}

#[tokio::test]
async fn nothing_is_described_that_nothing_refers_to() {
    let document = document("").await;
    let text = document.to_string();
    for kind in ["schemas", "responses", "headers", "examples", "parameters"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            assert!(text.contains(&format!("\"#/components/{kind}/{name}\"")), "{kind}/{name}");
        }
    }
}

#[tokio::test]
async fn the_test_gateway_is_only_there_if_it_is() {
    let store = SqliteStore::open("sqlite::memory:").await.unwrap();
    let spec = CommerceApi::new(Commerce::builder().store(store).build().unwrap()).spec("");
    assert!(!spec["paths"].as_object().unwrap().keys().any(|path| path.contains("test-gateway")));
}

/// Swagger UI stumbles over members that are there but null.
#[tokio::test]
async fn nothing_is_null_but_in_examples() {
    fn nulls(value: &Value, at: &str) -> Vec<String> {
        match value {
            Value::Null => vec![at.to_owned()],
            Value::Array(items) => items.iter().flat_map(|item| nulls(item, at)).collect(),
            Value::Object(members) => {
                let members = members.iter().filter(|(name, _)| !["example", "examples"].contains(&name.as_str()));
                members.flat_map(|(name, value)| nulls(value, &format!("{at}/{name}"))).collect()
            }
            _ => vec![],
        }
    }
    assert_eq!(nulls(&document("").await, ""), Vec::<String>::new());
}
