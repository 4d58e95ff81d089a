//! What a JSON document says, however it is written: by it, a repeated request is told from another one.

use serde_json::{Map, Value};

use crate::parse::whole;

/// The document with sorted members, without white space and without members that are null, which no operation that takes an
/// `Idempotency-Key` tells from absent ones; `1.0` is `1`, and an escaped letter is the letter.
pub fn bytes(document: &Value) -> Vec<u8> {
    canonical(document).to_string().into_bytes()
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
            members.sort_by_key(|(name, _)| name.as_str());
            members.into_iter().map(|(name, value)| (name.clone(), canonical(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Number(_) => whole(value).and_then(|whole| i64::try_from(whole).ok()).map_or(value.clone(), Into::into),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let read = |text: &str| bytes(&serde_json::from_str(text).unwrap());
        read(one) == read(other)
    }

    #[test]
    fn what_says_the_same_is_the_same() {
        let first = r#"{"items": [{"sku": "ä", "quantity": 1}], "note": "x"}"#;
        for again in [
            r#"{"note":"x","items":[{"quantity":1,"sku":"ä"}]}"#,
            r#"{ "items" : [ { "sku" : "\u00e4", "quantity" : 1.0 } ], "note" : "x", "phone" : null }"#,
            r#"{"items": [{"sku": "ä", "quantity": 10e-1}], "note": "\u0078"}"#,
        ] {
            assert!(same(first, again), "{again}");
        }
    }

    #[test]
    fn what_says_something_else_is_not() {
        for (one, other) in [
            (r#"{"a": 1}"#, r#"{"a": "1"}"#),
            (r#"{"a": 1}"#, r#"{"a": 1.5}"#),
            (r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#),
            (r#"{"a": []}"#, r#"{"a": null}"#),
            (r#"{"a": [null]}"#, r#"{"a": []}"#),
            (r#"{"a": ""}"#, "{}"),
            (r#"{"a": false}"#, "{}"),
            (r#"{"a": 1e300}"#, r#"{"a": 1e301}"#),
            (r#"{"a": 9007199254740993}"#, r#"{"a": 9007199254740992}"#),
        ] {
            assert!(!same(one, other), "{one} {other}");
        }
    }
}
