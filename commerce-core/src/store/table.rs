//! The tables that are the same in every database, row by row, and [`Portable`]: a store whose rows can be read and added.

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, relations::MissingReference};
use crate::error::StoreError;

/// A good number of rows between two notes of how far a copy has come.
pub const BATCH: u32 = 1_000;

/// What a column holds, and how it is written in a [row](Portable::rows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// An id: hexadecimal digits, with hyphens or without.
    Uuid,
    /// Bytes: hexadecimal digits.
    Bytes,
    /// A number.
    Int,
    /// A truth: 0 or 1.
    Bool,
    /// A text.
    Text,
    /// A JSON document: its text.
    Json,
}

/// A table that is copied row by row.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns with their types; those a backend derives from others are left out.
    pub columns: &'static [(&'static str, ColumnType)],
    /// How many of the first columns tell its rows apart, in an order that an index serves.
    pub key: usize,
}

use ColumnType::{Bool, Bytes, Int, Json, Text, Uuid as Id};

/// The tables that are copied row by row. Stock goes before products, as their listings know what is in stock.
pub const TABLES: &[Table] = &[
    Table { name: "commerce_commit", columns: &[("id", Id), ("at", Int)], key: 1 },
    Table { name: "commerce_claim", columns: &[("kind", Text), ("key", Text), ("owner", Id)], key: 2 },
    Table {
        name: "commerce_key",
        columns: &[("key", Bytes), ("fingerprint", Bytes), ("subject", Id), ("output", Json), ("at", Int)],
        key: 1,
    },
    Table {
        name: "commerce_attempt",
        columns: &[("key", Bytes), ("since", Int), ("attempts", Int), ("most", Int)],
        key: 1,
    },
    Table {
        name: "commerce_stock",
        columns: &[
            ("variant_id", Id),
            ("product_id", Id),
            ("on_hand", Int),
            ("reserved", Int),
            ("low_stock_threshold", Int),
            ("low", Bool),
            ("crossings", Int),
            ("alerted", Int),
        ],
        key: 1,
    },
    Table {
        name: "commerce_movement",
        columns: &[
            ("variant_id", Id),
            ("at", Int),
            ("set_id", Id),
            ("kind", Text),
            ("delta", Int),
            ("on_hand_after", Int),
            ("order_id", Id),
            ("actor", Json),
            ("reason", Text),
        ],
        key: 3,
    },
    Table {
        name: "commerce_event",
        columns: &[
            ("root_id", Id),
            ("root_kind", Text),
            ("version", Int),
            ("n", Int),
            ("id", Id),
            ("at", Int),
            ("actor", Json),
            ("event", Json),
        ],
        key: 5,
    },
    Table {
        name: "commerce_task",
        columns: &[
            ("id", Id),
            ("due", Int),
            ("kind", Text),
            ("body", Json),
            ("attempts", Int),
            ("worker", Text),
            ("lease_until", Int),
            ("dead", Bool),
            ("last_error", Text),
        ],
        key: 1,
    },
];

/// A store that a shop can be copied from and to.
#[async_trait]
pub trait Portable: Store {
    /// How many rows a table has.
    ///
    /// # Errors
    /// If the database can't be reached.
    async fn count(&self, table: &str) -> Result<u64, StoreError>;

    /// The ids of a table of aggregates that come after one, in order.
    ///
    /// # Errors
    /// If the database can't be reached.
    async fn ids(&self, table: &str, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError>;

    /// The rows of a table whose keys come after that of another, in order: objects by column.
    ///
    /// # Errors
    /// If the database can't be reached.
    async fn rows(&self, table: &Table, after: Option<&Value>, limit: u32) -> Result<Vec<Value>, StoreError>;

    /// Adds those rows that aren't there, all or none.
    ///
    /// # Errors
    /// If the database can't be reached, or a row isn't one of this table.
    async fn add_rows(&self, table: &Table, rows: &[Value]) -> Result<(), StoreError>;

    /// What rows refer to by the [`RELATIONS`](super::relations::RELATIONS), and by the backend's own foreign keys, and isn't there.
    ///
    /// # Errors
    /// If the database can't be reached.
    async fn unrelated(&self) -> Result<Vec<MissingReference>, StoreError>;
}
