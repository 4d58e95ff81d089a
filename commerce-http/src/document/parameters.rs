//! Parameters in the document: what each means, with an example, and the headers as clients write them.

use serde_json::{Map, Value, json};

use crate::types::sample;

/// What the parameter after a segment of a path names: the segment, the parameter's name in the document's components, its meaning.
const NAMED_BY: &[(&str, &str, &str)] = &[
    ("addresses", "AddressId", "The saved address's id."),
    ("alerts", "AlertId", "The alert's id."),
    ("fulfilments", "FulfilmentId", "The parcel's id, from the order's `fulfilments`."),
    ("inventory", "StockVariantId", "The variant's id."),
    ("items", "CartVariantId", "The variant's id, from the cart's `items`."),
    ("orders", "OrderId", "The order's id; not its number."),
    ("payments", "PaymentId", "The payment's id, from the order's `payments`."),
    ("returns", "ReturnId", "The return's id."),
    ("reviews", "ReviewId", "The review's id."),
    ("sessions", "SessionId", "The session's id."),
    ("users", "UserId", "The user's id."),
    ("variants", "VariantId", "The variant's id."),
    ("products", "ProductId", "The product's id."),
    ("categories", "CategoryId", "The category's id."),
];

fn example_of(component: &str) -> Value {
    let id = match component {
        "StockVariantId" | "CartVariantId" | "VariantId" => sample::VARIANT,
        "OrderId" => sample::ORDER,
        "PaymentId" => sample::PAYMENT,
        "UserId" => sample::USER,
        "ProductId" => sample::PRODUCT,
        "CategoryId" => sample::CATEGORY,
        _ => sample::OTHER,
    };
    json!(id)
}

/// A parameter of a path: its name among the components, its description, its example.
fn of_path(path: &str, name: &str) -> Option<(&'static str, &'static str, Value)> {
    let mut parts = path.split('/').peekable();
    let mut before = "";
    for part in &mut parts {
        if part.trim_matches(['{', '}']) == name && part.starts_with('{') {
            break;
        }
        before = part;
    }
    match (before, name) {
        ("products", "id_or_slug") => Some(("ProductIdOrSlug", "The product's id or slug.", json!("enamel-mug"))),
        ("categories", "id_or_slug") => Some(("CategoryIdOrSlug", "The category's id or slug.", json!("kitchen"))),
        (_, "gateway") => Some(("Gateway", "The gateway's name, as the shop is set up with it.", json!("stripe"))),
        _ => {
            let (_, component, description) = NAMED_BY.iter().find(|(segment, ..)| *segment == before)?;
            Some((component, description, example_of(component)))
        }
    }
}

/// Rust names of header parameters, as clients write them.
fn header_name(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

/// Completes an operation's parameters. Those that several operations have go to `shared`.
pub fn complete(path: &str, method: &str, operation: &mut Value, shared: &mut Map<String, Value>) {
    let is_page = answers_a_page(operation);
    let mut parameters = operation.get_mut("parameters").map(Value::take).and_then(take_array).unwrap_or_default();
    for parameter in &mut parameters {
        plain(parameter);
        let name = parameter["name"].as_str().unwrap_or_default().to_owned();
        match parameter["in"].as_str() {
            Some("path") => {
                let Some((component, description, example)) = of_path(path, &name) else { continue };
                parameter["description"] = description.into();
                parameter["example"] = example;
                let component = format!("{component}-{name}");
                shared.insert(component.clone(), parameter.take());
                *parameter = json!({ "$ref": format!("#/components/parameters/{component}"), "name": name });
            }
            Some("header") => {
                parameter["name"] = header_name(&name).into();
                let (description, example, most) = match &*name {
                    "if_match" => (
                        "The `ETag` that the change is based on: its version must still be the present one. `*` for any.",
                        "\"3-0a1b2c3d4e5f6071\"",
                        None,
                    ),
                    "idempotency_key" => (
                        "Makes a repeated call have its effect once; kept for 24 hours.",
                        "5f0c8a3e-9d6b-4a53-8a51-2f8f1d1c7e11",
                        Some(255),
                    ),
                    _ => ("A guest's cart.", "5mPq0dIuTfmX0bQ2wYkq1Q.Jq7c0l8V9mM", None),
                };
                if parameter["description"].is_null() {
                    parameter["description"] = description.into();
                }
                parameter["example"] = example.into();
                if let Some(most) = most {
                    parameter["schema"]["minLength"] = 1.into();
                    parameter["schema"]["maxLength"] = most.into();
                }
            }
            _ => {}
        }
    }
    if operation["operationId"] == "merge_cart" {
        require(&mut parameters, "X-Cart-Token");
    }
    let has = |parameters: &[Value], name: &str| parameters.iter().any(|parameter| parameter["name"] == name);
    for (name, component) in [("If-Match", "IfMatch"), ("Idempotency-Key", "IdempotencyKey")] {
        if has(&parameters, name)
            && let Some(parameter) = parameters.iter_mut().find(|parameter| parameter["name"] == name)
        {
            shared.insert(component.to_owned(), parameter.take());
            *parameter = json!({ "$ref": format!("#/components/parameters/{component}"), "name": name });
        }
    }
    if is_page {
        for name in ["limit", "cursor", "count"] {
            parameters.push(json!({ "$ref": format!("#/components/parameters/{name}"), "name": name }));
        }
    }
    if method == "get" && operation["responses"]["200"]["content"].is_object() {
        parameters.push(json!({ "$ref": "#/components/parameters/IfNoneMatch", "name": "If-None-Match" }));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
}

/// References name themselves while the operation is completed; in the document they stand alone.
pub fn finish(operation: &mut Value) {
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(members) = parameter.as_object_mut().filter(|members| members.contains_key("$ref")) {
            members.retain(|name, _| name == "$ref");
        }
    }
    if operation["parameters"].is_null()
        && let Some(members) = operation.as_object_mut()
    {
        members.remove("parameters");
    }
}

fn take_array(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

fn require(parameters: &mut [Value], name: &str) {
    for parameter in parameters.iter_mut().filter(|parameter| parameter["name"] == name) {
        parameter["required"] = true.into();
    }
}

/// Leaves out what is so anyway, and puts the example where readers of documents look for it.
fn plain(parameter: &mut Value) {
    let Some(members) = parameter.as_object_mut() else { return };
    members.remove("deprecated");
    members.remove("explode");
    if members.get("required") == Some(&Value::Bool(false)) {
        members.remove("required");
    }
    if let Some(schema) = members.get_mut("schema") {
        let example = schema.as_object_mut().and_then(|schema| schema.remove("example"));
        // A reference and what was said beside it.
        let only =
            schema["allOf"].as_array().and_then(|parts| parts.iter().find(|part| part["$ref"].is_string())).cloned();
        if let Some(only) = only {
            *schema = only;
        }
        if let Some(example) = example {
            members.insert("example".to_owned(), example);
        }
    }
}

fn answers_a_page(operation: &Value) -> bool {
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
    schema.as_str().is_some_and(|schema| schema.ends_with("Page"))
}

/// The parameters of lists, and of all answers that are kept.
pub fn of_lists() -> Value {
    let query = |name: &str, description: &str, schema: Value, example: Value| json!({ "name": name, "in": "query", "description": description, "schema": schema, "example": example });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 20 });
    let count = json!({ "type": "boolean", "default": false });
    json!({
        "limit": query("limit", "At most so many items.", limit, json!(20)),
        "cursor": query("cursor", "The `next_cursor` of the page before.", json!({ "type": "string" }), json!("AZq44moQfDGdUw8qaxxNCA")),
        "count": query("count", "Whether to count all items too.", count, json!(true)),
        "IfNoneMatch": {
            "name": "If-None-Match",
            "in": "header",
            "description": "The `ETag` of an answer that is kept: 304 if it would be given again.",
            "schema": { "type": "string" },
            "example": "\"3-0a1b2c3d4e5f6071\"",
        },
    })
}
