//! Schemas in the document: what poem-openapi can't say of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::parse::WITH_LINES;

/// The format of texts by their field's name.
const FORMATS: &[(&str, &str)] = &[("email", "email"), ("url", "uri"), ("tracking_url", "uri")];

/// The names of the schemas that requests are made of.
pub fn of_requests(document: &Value) -> BTreeSet<String> {
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
            if let Some(name) = members.get("$ref").and_then(name)
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

fn name(reference: &Value) -> Option<&str> {
    reference.as_str()?.strip_prefix("#/components/schemas/")
}

/// The schema of an operation's JSON body.
pub fn of_body(operation: &Value, schemas: &Value) -> Option<Value> {
    let reference = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
    name(reference).map(|name| schemas[name].clone())
}

/// Completes the schemas: what requests may hold, what answers always have, formats.
pub fn complete(schemas: &mut Value, requests: &BTreeSet<String>) {
    let Some(schemas) = schemas.as_object_mut() else { return };
    let types: BTreeMap<String, Value> =
        schemas.iter().map(|(name, schema)| (name.clone(), schema["type"].clone())).collect();
    for (name, schema) in schemas {
        for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
            complete_properties(part, &types);
        }
        if !schema["properties"].is_object() {
            continue;
        }
        let nullable = complete_properties(schema, &types);
        if requests.contains(name) {
            schema["additionalProperties"] = false.into();
            for (property, schema) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten()
            {
                if WITH_LINES.contains(&property.as_str()) && schema["type"] == "string" {
                    schema["x-lines"] = true.into();
                }
            }
        } else if !nullable.is_empty() {
            // Answers always have their nullable fields.
            match schema.get_mut("required").and_then(Value::as_array_mut) {
                Some(required) => {
                    required.extend(nullable.into_iter().filter(|name| !required.contains(name)).collect::<Vec<_>>());
                }
                None => schema["required"] = nullable.into(),
            }
        }
    }
}

/// Completes each property; the names of those that may be null.
fn complete_properties(schema: &mut Value, types: &BTreeMap<String, Value>) -> Vec<Value> {
    let mut nullable = Vec::new();
    for (property, schema) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        flatten(schema, types);
        if schema["nullable"] == true {
            nullable.push(Value::from(property.clone()));
        }
        if let Some((_, format)) = FORMATS.iter().find(|(name, _)| name == property)
            && schema["type"] == "string"
        {
            schema["format"] = (*format).into();
        }
    }
    nullable
}

/// `allOf` a schema and its own description says the same twice; and `nullable` needs a type beside it.
fn flatten(schema: &mut Value, types: &BTreeMap<String, Value>) {
    let Some(parts) = schema.get_mut("allOf").and_then(Value::as_array_mut) else { return };
    parts.retain(|part| part.get("$ref").is_some());
    let of = parts.first().and_then(|part| name(&part["$ref"])).and_then(|name| types.get(name)).cloned();
    if schema["nullable"] == true
        && let Some(of) = of
    {
        schema["type"] = of;
    }
}
