//! Completes a derived document: error answers, paging, header names, what requests may hold, the order of tags.
//!
//! Error codes are taken from the operations' descriptions, where a paragraph `Errors: 409 out_of_stock; 422 required` names
//! those that the operation's shape doesn't imply.

use std::collections::{BTreeMap, BTreeSet};

use poem::http::StatusCode;
use poem_openapi::Tags;
use serde_json::{Map, Value, json};

use super::ORDER;
use crate::parse::WITH_LINES;

/// Codes by status.
type Errors = BTreeMap<u16, BTreeSet<String>>;

pub fn complete(document: &mut Value, has_test_gateway: bool) {
    sort_tags(document);
    if !has_test_gateway && let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|path, _| !path.starts_with("/v1/test-gateway"));
    }
    let requests = request_schemas(document);
    complete_schemas(document, &requests);
    for (path, operation) in operations(document) {
        complete_operation(&path, operation);
    }
    document["components"]["schemas"]["Problem"] = problem_schema();
    document["components"]["parameters"] = paging_parameters();
}

fn operations(document: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let path = path.clone();
        item.as_object_mut().into_iter().flatten().map(move |(_, operation)| (path.clone(), operation))
    })
}

fn sort_tags(document: &mut Value) {
    let place = |tag: &Value| ORDER.iter().position(|known| tag["name"] == known.name());
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_key(place);
    }
}

fn complete_operation(path: &str, operation: &mut Value) {
    let mut errors = take_errors(operation);
    let mut note = |status: u16, codes: &[&str]| {
        errors.entry(status).or_default().extend(codes.iter().map(|code| (*code).to_owned()));
    };
    let needs_login = operation["security"].as_array().is_some_and(|ways| {
        !ways.is_empty() && ways.iter().all(|way| way.as_object().is_some_and(|way| !way.is_empty()))
    });
    // A token that isn't good is refused even where none is needed.
    note(401, &["invalid_token"]);
    if needs_login {
        note(401, &["unauthenticated"]);
    }
    if operation.get("security").is_none() {
        operation["security"] = json!([]);
    }
    if path.starts_with("/v1/admin") {
        note(403, &["forbidden"]);
    }
    if path.contains('{') {
        note(404, &["not_found"]);
    }
    if operation["requestBody"].is_object() && !path.starts_with("/v1/webhooks") {
        note(400, &["malformed_json"]);
        note(415, &["unsupported_media_type"]);
        note(422, &["invalid_character", "invalid_type", "unknown_field"]);
    }
    if answers_a_page(operation) {
        note(400, &["invalid_cursor", "invalid_parameter"]);
        let parameters =
            ["limit", "cursor", "count"].map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
        match operation.get_mut("parameters").and_then(Value::as_array_mut) {
            Some(existing) => existing.extend(parameters),
            None => operation["parameters"] = parameters.into_iter().collect(),
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        match (parameter["in"].as_str(), parameter["name"].as_str()) {
            (Some("query"), _) => note(400, &["invalid_parameter"]),
            // Ids that aren't any name nothing: 404.
            (Some("path"), _) if parameter["schema"]["format"].is_null() => note(400, &["invalid_parameter"]),
            (Some("header"), Some(name)) => {
                if name == "idempotency_key" {
                    note(409, &["idempotency_in_progress"]);
                    note(422, &["idempotency_key_reused"]);
                }
                let (name, description) = header_parameter(name);
                parameter["name"] = name.into();
                if parameter["description"].is_null() {
                    parameter["description"] = description.into();
                }
            }
            _ => {}
        }
    }
    describe_answers(operation, errors);
}

/// Takes the paragraph that names error codes out of the description.
fn take_errors(operation: &mut Value) -> Errors {
    let mut errors = Errors::new();
    let Some(description) = operation["description"].as_str() else { return errors };
    let (errors_of, rest): (Vec<&str>, Vec<&str>) =
        description.split("\n\n").partition(|paragraph| paragraph.trim_start().starts_with("Errors:"));
    let rest = rest.join("\n\n");
    for group in errors_of.iter().flat_map(|text| text.trim_start().trim_start_matches("Errors:").split(';')) {
        let mut words = group.split([',', ' ', '\n']).filter(|word| !word.is_empty());
        if let Some(status) = words.next().and_then(|status| status.parse().ok()) {
            errors.entry(status).or_default().extend(words.map(ToOwned::to_owned));
        }
    }
    if rest.is_empty() {
        operation.as_object_mut().map(|operation| operation.remove("description"));
    } else {
        operation["description"] = rest.into();
    }
    errors
}

fn answers_a_page(operation: &Value) -> bool {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    schema.as_str().is_some_and(|schema| schema.ends_with("Page"))
}

/// Rust names of header parameters, as clients write them.
fn header_parameter(name: &str) -> (String, &'static str) {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    let description = match name {
        "if_match" => "The ETag the change was based on; its version must still be the present one.",
        "idempotency_key" => "Makes a repeated call have its effect once; kept for 24 hours.",
        _ => "",
    };
    (words.collect::<Vec<_>>().join("-"), description)
}

fn describe_answers(operation: &mut Value, errors: Errors) {
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, answer) in answers.iter_mut() {
        answer["description"] = match status.as_str() {
            "201" => "Created; `Location` says where.",
            "202" => "Accepted; not finished yet.",
            "204" => "Done; nothing to tell.",
            "308" => "Moved; `Location` and `Link` say where it is now.",
            _ => "OK",
        }
        .into();
        let header = |description: &str| json!({ "description": description, "schema": { "type": "string" } });
        let mut headers = Map::new();
        headers.insert("X-Request-Id".to_owned(), header("The request's id, for support."));
        if status == "201" {
            headers.insert("Location".to_owned(), header("Where the new resource is."));
        }
        if status == "308" {
            headers.insert("Location".to_owned(), header("Where the resource is now."));
            headers.insert("Link".to_owned(), header("The same, as `rel=\"canonical\"`."));
        }
        if answer["content"].is_object() {
            headers.insert("ETag".to_owned(), header("Version and hash of the answer."));
        }
        answer["headers"] = headers.into();
    }
    for (status, codes) in errors {
        let listed: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let examples: Value =
            codes.iter().map(|code| (code.clone(), json!({ "value": problem(status, code) }))).collect();
        answers.insert(status.to_string(), problem_answer(&listed.join(", "), &examples));
    }
    let other = json!({ "internal_error": { "value": problem(500, "internal_error") } });
    answers.insert("default".to_owned(), problem_answer("Any other error.", &other));
}

fn problem_answer(description: &str, examples: &Value) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let content = json!({ crate::problem::CONTENT_TYPE: { "schema": schema, "examples": examples } });
    json!({ "description": description, "content": content })
}

/// A problem document with this code, as an example.
fn problem(status: u16, code: &str) -> Value {
    let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    json!({
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": format!("{}.", code.replace('_', " ")),
        "code": code,
        "request_id": "019ab8e26a107c319d530f2a6b1c4d01",
        "errors": [],
    })
}

/// The names of the schemas that requests are made of.
fn request_schemas(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for operation in document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, item)| item.as_object().into_iter().flatten().map(|(_, operation)| operation))
    {
        collect(&operation["requestBody"], document, &mut names);
    }
    names
}

fn collect(value: &Value, document: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(schema_name)
                && names.insert(name.to_owned())
            {
                collect(&document["components"]["schemas"][name], document, names);
            }
            members.values().for_each(|member| collect(member, document, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, document, names)),
        _ => {}
    }
}

fn schema_name(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/components/schemas/")
}

fn complete_schemas(document: &mut Value, requests: &BTreeSet<String>) {
    let types: BTreeMap<String, Value> = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), schema["type"].clone()))
        .collect();
    for (name, schema) in
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut).into_iter().flatten()
    {
        if !schema["properties"].is_object() {
            continue;
        }
        let mut shown = Vec::new();
        for (property, schema) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
            flatten(schema, &types);
            if schema["nullable"] == true {
                shown.push(Value::from(property.clone()));
            }
        }
        if requests.contains(name) {
            schema["additionalProperties"] = false.into();
            for (property, schema) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
            {
                if WITH_LINES.contains(&property.as_str()) && schema["type"] == "string" {
                    schema["x-lines"] = true.into();
                }
            }
        } else if !shown.is_empty() {
            // Answers always have their nullable fields.
            match schema.get_mut("required").and_then(Value::as_array_mut) {
                Some(required) => {
                    shown.retain(|property| !required.contains(property));
                    required.extend(shown);
                }
                None => schema["required"] = shown.into(),
            }
        }
    }
}

/// `allOf` a schema and its own description says the same twice; and `nullable` needs a type beside it.
fn flatten(schema: &mut Value, types: &BTreeMap<String, Value>) {
    let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) else { return };
    parts.retain(|part| part.get("$ref").is_some());
    let of = parts.first().and_then(|part| schema_name(&part["$ref"])).and_then(|name| types.get(name)).cloned();
    if schema["nullable"] == true
        && let Some(of) = of
    {
        schema["type"] = of;
    }
}

fn problem_schema() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457). Some codes bring further members: `available`, `totals`, `left`.",
        "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
        "properties": {
            "type": text("Always `about:blank`: `code` tells."),
            "title": text("The status in words."),
            "status": { "type": "integer" },
            "detail": text("A sentence for people."),
            "code": text("A stable word to switch on."),
            "request_id": text("For support."),
            "errors": { "type": "array", "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": text("JSON Pointer to the field."),
                    "code": text("A stable word."),
                    "detail": text("A sentence for people."),
                },
            } },
        },
        "example": {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "/items/0/quantity: must be at least 1",
            "code": "out_of_range",
            "request_id": "019ab8e26a107c319d530f2a6b1c4d01",
            "errors": [{ "pointer": "/items/0/quantity", "code": "out_of_range", "detail": "must be at least 1" }],
        },
    })
}

fn paging_parameters() -> Value {
    let query = |name: &str, description: &str, schema: Value| json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema });
    json!({
        "limit": query(
            "limit", "At most so many items.", json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 })
        ),
        "cursor": query("cursor", "The `next_cursor` of the page before.", json!({ "type": "string" })),
        "count": query("count", "Whether to count all items too.", json!({ "type": "boolean", "default": false })),
    })
}
