//! Completes a derived document: problems, headers, parameters, what requests may hold, the order of tags.

use poem_openapi::Tags;
use serde_json::{Map, Value, json};

use super::{
    answers, parameters,
    problems::{self, Problems},
    schemas,
};
use crate::spec::ORDER;

pub fn complete(document: &mut Value, has_test_gateway: bool) {
    sort_tags(document);
    if !has_test_gateway && let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.retain(|path, _| !path.starts_with("/v1/test-gateway"));
    }
    let requests = schemas::of_requests(document);
    let problems = Problems::new();
    let mut components = document["components"].take();
    if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
        schemas.extend(problems.schemas());
        schemas.insert("Fault".to_owned(), problems::fault_schema());
    }
    schemas::complete(&mut components["schemas"], &requests);
    let mut shared = Map::new();
    for (path, method, operation) in operations(document) {
        if operation.get("security").is_none() {
            operation["security"] = json!([]);
        }
        parameters::complete(&path, &method, operation, &mut shared);
        let codes = problems::of(&method, &path, operation, &components["schemas"]);
        answers::describe_successes(&method, operation);
        answers::describe_problems(operation, codes, &problems);
        parameters::finish(operation);
    }
    if let Value::Object(lists) = parameters::of_lists() {
        shared.extend(lists);
    }
    shared.sort_keys();
    for (_, schema) in components.get_mut("schemas").and_then(Value::as_object_mut).into_iter().flatten() {
        // The same as its name.
        schema.as_object_mut().map(|schema| schema.remove("title"));
    }
    components["parameters"] = shared.into();
    components["responses"] = answers::share(document);
    // Most operations are for who is signed in.
    let signed_in = json!([{ "bearer": [] }]);
    for (_, _, operation) in operations(document) {
        if operation["security"] == signed_in {
            operation.as_object_mut().map(|operation| operation.remove("security"));
        }
    }
    document["security"] = signed_in;
    components["headers"] = answers::headers();
    components["examples"] = answers::examples(&problems);
    document["components"] = components;
}

fn operations(document: &mut Value) -> impl Iterator<Item = (String, String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut).into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let path = path.clone();
        let methods = item.as_object_mut().into_iter().flatten();
        methods.map(move |(method, operation)| (path.clone(), method.clone(), operation))
    })
}

fn sort_tags(document: &mut Value) {
    let place = |tag: &Value| ORDER.iter().position(|known| tag["name"] == known.name());
    if let Some(tags) = document.get_mut("tags").and_then(Value::as_array_mut) {
        tags.sort_by_key(place);
    }
}
