//! JSON, which rows are read as and value objects are stored as.

use commerce_core::store::StoreError;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// Something that a statement gives as JSON; see [`row`](crate::row).
pub(crate) trait FromJson: Sized {
    fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// Reads it wherever serde expects something it can read itself.
pub(crate) struct Row<T>(pub(crate) T);

impl<'de, T: FromJson> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::from_json(from).map(Row)
    }
}

/// Reads one row.
pub(crate) fn decode<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(StoreError::bug)
}

/// A value object as it is stored.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("structs, enums and string-keyed maps always serialise")
}
