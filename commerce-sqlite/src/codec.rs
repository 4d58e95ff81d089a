//! Rows become entities by way of JSON: a statement answers each row as one JSON array, which serde reads straight into the
//! entity's fields. That is one column to cross the driver's thread boundary instead of twenty, children come along in the
//! same statement (and so in the same snapshot), and each entity has a single description of its columns.
//!
//! Core's entities read times as RFC 3339 and flags as `true`; the tables hold integers. So those entities have a shadow
//! (`#[serde(remote)]`) that says how each field is read.

use commerce_core::{clock::Timestamp, store::StoreError};
use hex::FromHex as _;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};

/// An entity that has a shadow.
pub(crate) trait Shadowed: Sized {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error>;
}

/// `shadow!(User, UserRow)`: `User` is read by its shadow `UserRow`.
macro_rules! shadow {
    ($entity:ty, $shadow:ident) => {
        impl $crate::codec::Shadowed for $entity {
            fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $shadow::deserialize(from)
            }
        }
    };
}
pub(crate) use shadow;

/// Reads a shadowed entity wherever serde expects something it can read itself.
pub(crate) struct Row<T>(pub(crate) T);

impl<'de, T: Shadowed> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Row)
    }
}

/// Reads one row.
pub(crate) fn decode<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(StoreError::bug)
}

/// Children with a shadow, for `deserialize_with`.
pub(crate) fn rows<'de, D: Deserializer<'de>, T: Shadowed>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Row<T>>::deserialize(from)?.into_iter().map(|row| row.0).collect())
}

/// Microseconds, for `deserialize_with`.
pub(crate) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    i64::deserialize(from).map(Timestamp::from_micros)
}

/// Microseconds or null, for `deserialize_with`.
pub(crate) fn maybe_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_micros))
}

/// 0 or 1, for `deserialize_with`.
pub(crate) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(u8::deserialize(from)? != 0)
}

/// 32 bytes in hex, for `deserialize_with`.
pub(crate) fn hash<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    <[u8; 32]>::from_hex(String::deserialize(from)?).map_err(D::Error::custom)
}

/// 32 bytes in hex or null, for `deserialize_with`.
pub(crate) fn maybe_hash<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    <[u8; 32]>::from_hex(text).map(Some).map_err(D::Error::custom)
}

/// A value object as it is stored.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("structs, enums and string-keyed maps always serialise")
}
