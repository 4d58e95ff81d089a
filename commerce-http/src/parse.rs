//! JSON bodies into typed input: the first thing wrong is named by its JSON Pointer and a stable code.

use std::fmt;

use commerce_core::{
    error::FieldError,
    text::{Lines, forbidden, forbidden_detail},
};
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
        if let ParseError::Missing(field) = &fault {
            pointer.push('/');
            pointer.push_str(field);
        }
        FieldError { pointer, code: fault.code(), detail: fault.to_string() }
    })
}

/// Fields whose texts have lines; all others are of one line. The spec marks them with `x-lines`.
pub const WITH_LINES: [&str; 4] = ["body", "description", "note", "reason"];

/// Looks for characters that no text may hold, in all texts and names of a document, whatever they mean.
pub fn check_texts(document: &Value) -> Result<(), FieldError> {
    check_value(document, "", Lines::One)
}

fn check_value(value: &Value, pointer: &str, lines: Lines) -> Result<(), FieldError> {
    match value {
        Value::String(text) => check_text(text, pointer, lines),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| check_value(item, &format!("{pointer}/{index}"), lines)),
        Value::Object(members) => members.iter().try_for_each(|(name, value)| {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            check_text(name, &pointer, Lines::One)?;
            let lines = if WITH_LINES.contains(&name.as_str()) { Lines::Many } else { Lines::One };
            check_value(value, &pointer, lines)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn check_text(text: &str, pointer: &str, lines: Lines) -> Result<(), FieldError> {
    match forbidden(text, lines) {
        None => Ok(()),
        Some(c) => {
            Err(FieldError { pointer: pointer.to_owned(), code: "invalid_character", detail: forbidden_detail(c) })
        }
    }
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
enum ParseError {
    Missing(&'static str),
    Unknown,
    Type(String),
    Value(String),
}

impl ParseError {
    const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "required",
            Self::Unknown => "unknown_field",
            Self::Type(_) => "invalid_type",
            Self::Value(_) => "invalid_value",
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(_) => f.write_str("this field is required"),
            Self::Unknown => f.write_str("there is no such field"),
            Self::Type(message) | Self::Value(message) => f.write_str(message),
        }
    }
}

impl ParseError {
    fn must_be(what: &str) -> Self {
        Self::Type(format!("must be {what}"))
    }
}

impl std::error::Error for ParseError {}

impl de::Error for ParseError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Value(message.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Type(format!("must be {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Value(format!("must be {expected}"))
    }

    fn unknown_field(_field: &str, _expected: &'static [&'static str]) -> Self {
        Self::Unknown
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::Value(format!("must be one of {}, not '{variant}'", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

/// What the crate `uuid` calls an id.
const UUID: &str = "a formatted UUID string";

/// A JSON value, read with [`ParseError`] as error.
#[derive(Clone, Copy)]
struct Node<'de>(&'de Value);

impl<'de> IntoDeserializer<'de, ParseError> for Node<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

/// A number without a fraction, however it is written: to JSON Schema, `1.0` and `1e2` are integers too.
#[allow(clippy::cast_possible_truncation, reason = "what exceeds the type is larger than any number a body may hold")]
pub fn whole(value: &Value) -> Option<i128> {
    let Value::Number(number) = value else { return None };
    let integer = number.as_u64().map(i128::from).or_else(|| number.as_i64().map(i128::from));
    integer.or_else(|| number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128))
}

/// Whole numbers: the type's limits are told only to who exceeds them.
macro_rules! whole_numbers {
    ($($method:ident: $number:ty),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
            let value = whole(self.0).ok_or_else(|| ParseError::must_be("a whole number"))?;
            match (u64::try_from(value), i64::try_from(value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (Err(_), Ok(value)) => visitor.visit_i64(value),
                (Err(_), Err(_)) => Err(ParseError::Value(String::new())),
            }
            .map_err(|_: ParseError| {
                ParseError::Value(format!("must be a whole number from {} to {}", <$number>::MIN, <$number>::MAX))
            })
        }
    )+};
}

/// What has to be of one kind of JSON value.
macro_rules! kinds {
    ($($method:ident: $kind:pat, $words:literal;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
            if matches!(self.0, $kind) { self.deserialize_any(visitor) } else { Err(ParseError::must_be($words)) }
        }
    )+};
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = ParseError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ParseError> {
        visitor.visit_newtype_struct(self)
    }

    /// Texts that are read into something else, ids above all: what that is says more than where its parser gave up.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ParseError> {
        let expected = (&visitor as &dyn de::Expected).to_string();
        let sentence = format!("must be {}", if expected == UUID { "a UUID" } else { &expected });
        self.deserialize_any(visitor).map_err(|fault| match fault {
            ParseError::Value(_) => ParseError::Value(sentence),
            _ => ParseError::Type(sentence),
        })
    }

    /// A list where an object is meant is a wrong type, though serde would take it field by field.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ParseError> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            _ => Err(ParseError::must_be("a string")),
        }
    }

    whole_numbers! {
        deserialize_i8: i8, deserialize_i16: i16, deserialize_i32: i32, deserialize_i64: i64,
        deserialize_u8: u8, deserialize_u16: u16, deserialize_u32: u32, deserialize_u64: u64
    }

    kinds! {
        deserialize_bool: Value::Bool(_), "true or false";
        deserialize_f32: Value::Number(_), "a number";
        deserialize_f64: Value::Number(_), "a number";
        deserialize_string: Value::String(_), "a string";
        deserialize_seq: Value::Array(_), "a list";
        deserialize_map: Value::Object(_), "an object";
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;
    use uuid::Uuid;

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
    fn what_it_must_be_is_said_in_our_words() {
        #[derive(Debug, Deserialize)]
        struct Everything {
            #[serde(default)]
            _id: Option<Uuid>,
            #[serde(default)]
            _at: Option<commerce_core::clock::Timestamp>,
            #[serde(default)]
            _text: String,
            #[serde(default)]
            _stars: u8,
            #[serde(default)]
            _delta: i64,
            #[serde(default)]
            _weight: f64,
            #[serde(default)]
            _gift: bool,
            #[serde(default)]
            _list: Vec<String>,
            #[serde(default)]
            _item: Option<Box<Item>>,
            #[serde(default)]
            _size: Option<Size>,
        }
        let instant = "must be an instant (RFC 3339) such as 2026-11-24T10:15:00Z";
        for (field, value, code, detail) in [
            ("_id", json!("1-2-3"), "invalid_value", "must be a UUID"),
            ("_id", json!(1), "invalid_type", "must be a UUID"),
            ("_at", json!("yesterday"), "invalid_value", instant),
            ("_at", json!(1), "invalid_type", "must be a string"),
            ("_text", json!(null), "invalid_type", "must be a string"),
            ("_stars", json!("5"), "invalid_type", "must be a whole number"),
            ("_stars", json!(4.5), "invalid_type", "must be a whole number"),
            ("_stars", json!(-1), "invalid_value", "must be a whole number from 0 to 255"),
            ("_delta", json!(1.5), "invalid_type", "must be a whole number"),
            (
                "_delta",
                json!(1e30),
                "invalid_value",
                "must be a whole number from -9223372036854775808 to 9223372036854775807",
            ),
            ("_stars", json!(256.0), "invalid_value", "must be a whole number from 0 to 255"),
            ("_weight", json!("1"), "invalid_type", "must be a number"),
            ("_gift", json!("yes"), "invalid_type", "must be true or false"),
            ("_list", json!({}), "invalid_type", "must be a list"),
            ("_item", json!([]), "invalid_type", "must be an object"),
            ("_size", json!("huge"), "invalid_value", "must be one of small, not 'huge'"),
            ("_size", json!(1), "invalid_type", "must be a string"),
        ] {
            let error = parse::<Everything>(&json!({ field: value })).unwrap_err();
            assert_eq!((error.pointer, error.code, &*error.detail), (format!("/{field}"), code, detail));
        }
    }

    #[test]
    fn control_characters_are_found_wherever_they_are() {
        let found = |document: &Value| check_texts(document).err().map(|fault| (fault.pointer, fault.code));
        let at = |pointer: &str| Some((pointer.to_owned(), "invalid_character"));
        assert_eq!(found(&json!({ "title": "Tête", "n": 1, "list": ["a", null] })), None);
        assert_eq!(found(&json!({ "title": "a\0" })), at("/title"));
        assert_eq!(found(&json!({ "list": ["a", { "sku": "\u{1b}" }] })), at("/list/1/sku"));
        assert_eq!(found(&json!({ "attributes": { "a\n/b": 1 } })), at("/attributes/a\n~1b"));
        for name in WITH_LINES {
            assert_eq!(found(&json!({ name: "a\r\n\tb" })), None, "{name}");
            assert_eq!(found(&json!({ name: "a\u{85}b" })), at(&format!("/{name}")));
        }
        assert_eq!(found(&json!({ "title": "a\nb" })), at("/title"));
        assert_eq!(found(&json!("a\u{2028}b")), at(""));
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_point_or_an_exponent() {
        for (text, quantity) in [("1.0", 1), ("1e2", 100), ("-0.0", 0), ("2.50E1", 25), ("4294967295.0", u32::MAX)] {
            let document = serde_json::from_str(&format!(r#"{{"items": [{{"sku": "a", "quantity": {text}}}]}}"#));
            assert_eq!(parse::<Order>(&document.unwrap()).unwrap().items[0].quantity, quantity, "{text}");
        }
    }

    #[test]
    fn what_is_right_is_read() {
        let order: Order =
            parse(&json!({ "items": [{ "sku": "a", "quantity": 1, "size": "small" }], "note": null })).unwrap();
        assert_eq!(order.items, [Item { sku: "a".into(), quantity: 1, size: Some(Size::Small) }]);
    }
}
