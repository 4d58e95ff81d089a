//! JSON bodies into typed input: the first thing wrong is named by its JSON Pointer and a stable code.

use std::fmt;

use commerce_core::error::FieldError;
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::Value;

/// Reads a document into `T`.
pub fn parse<T: DeserializeOwned>(document: &Value) -> Result<T, FieldError> {
    serde_path_to_error::deserialize(Node(document)).map_err(|error| {
        let mut pointer = pointer_to(error.path());
        let fault = error.into_inner();
        if let Fault::Missing(field) = &fault {
            pointer.push('/');
            pointer.push_str(field);
        }
        FieldError { pointer, code: fault.code(), detail: fault.to_string() }
    })
}

fn pointer_to(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// What is wrong with a value. Typed, so that no message has to be matched.
#[derive(Debug)]
enum Fault {
    Missing(&'static str),
    Unknown,
    Type(String),
    Value(String),
}

impl Fault {
    const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "required",
            Self::Unknown => "unknown_field",
            Self::Type(_) => "invalid_type",
            Self::Value(_) => "invalid_value",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(_) => f.write_str("this field is required"),
            Self::Unknown => f.write_str("there is no such field"),
            Self::Type(message) | Self::Value(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Type(format!("expected {expected}, not {unexpected}"))
    }

    fn unknown_field(_field: &str, _expected: &'static [&'static str]) -> Self {
        Self::Unknown
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Value(format!("'{variant}' is not one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// A JSON value, read with [`Fault`] as error.
#[derive(Clone, Copy)]
struct Node<'de>(&'de Value);

impl<'de> IntoDeserializer<'de, Fault> for Node<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Node))),
            Value::Object(members) => visitor
                .visit_map(MapDeserializer::new(members.iter().map(|(name, value)| (name.as_str(), Node(value))))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    /// A list where an object is meant is a wrong type, though serde would take it field by field.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Array(_) => Err(de::Error::invalid_type(de::Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Order {
        items: Vec<Item>,
        #[serde(default)]
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Item {
        sku: String,
        quantity: u32,
        #[serde(default)]
        size: Option<Size>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Size {
        Small,
    }

    fn fault(document: &Value) -> (String, &'static str) {
        let error = parse::<Order>(document).unwrap_err();
        (error.pointer, error.code)
    }

    #[test]
    fn the_first_bad_field_is_named() {
        let item = |item: Value| json!({ "items": [item] });
        assert_eq!(fault(&json!({})), ("/items".into(), "required"));
        assert_eq!(fault(&json!([])), (String::new(), "invalid_type"));
        assert_eq!(fault(&json!({ "items": 1 })), ("/items".into(), "invalid_type"));
        assert_eq!(fault(&json!({ "items": [], "price": 1 })), ("/price".into(), "unknown_field"));
        assert_eq!(fault(&item(json!({ "sku": "a" }))), ("/items/0/quantity".into(), "required"));
        assert_eq!(fault(&item(json!({ "sku": "a", "quantity": "1" }))), ("/items/0/quantity".into(), "invalid_type"));
        assert_eq!(fault(&item(json!({ "sku": "a", "quantity": -1 }))), ("/items/0/quantity".into(), "invalid_value"));
        let size = item(json!({ "sku": "a", "quantity": 1, "size": "huge" }));
        assert_eq!(fault(&size), ("/items/0/size".into(), "invalid_value"));
        assert_eq!(fault(&item(json!({ "sku": "a", "a/b": 1 }))), ("/items/0/a~1b".into(), "unknown_field"));
    }

    #[test]
    fn what_is_right_is_read() {
        let order: Order =
            parse(&json!({ "items": [{ "sku": "a", "quantity": 1, "size": "small" }], "note": null })).unwrap();
        assert_eq!(order.items, [Item { sku: "a".into(), quantity: 1, size: Some(Size::Small) }]);
    }
}
