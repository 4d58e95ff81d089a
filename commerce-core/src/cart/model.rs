//! Carts and their owners.

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{Child, Version},
    clock::Timestamp,
    id::{CartId, UserId, VariantId},
};

/// Whose cart it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum CartOwner {
    /// A signed-in customer's.
    User(UserId),
    /// A guest's: the hex SHA-256 of their cart token.
    Guest(String),
}

impl CartOwner {
    /// The owner's name in storage: `user:<id>` or `guest:<hash>`.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Guest(hash) => format!("guest:{hash}"),
        }
    }

    /// The owner with this name.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        match key.split_once(':')? {
            ("user", id) => id.parse().ok().map(Self::User),
            ("guest", hash) => Some(Self::Guest(hash.to_owned())),
            _ => None,
        }
    }
}

/// How a cart ended, if it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CartStatus {
    /// The owner's one open cart.
    Open,
    /// It became an order.
    Ordered,
    /// Its lines went into another cart.
    Merged,
}

impl CartStatus {
    /// The name in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ordered => "ordered",
            Self::Merged => "merged",
        }
    }
}

/// A cart. Prices aren't kept: a cart shows today's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// The cart's id.
    pub id: CartId,
    /// The customer or guest it belongs to.
    pub owner: CartOwner,
    /// Whether it is open.
    pub status: CartStatus,
    /// What is in it, in the order it was put there.
    pub lines: Vec<CartLine>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

/// A variant in a cart; one line a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartLine {
    /// Where it stands in the cart.
    pub position: i64,
    /// The variant.
    pub variant_id: VariantId,
    /// How many; at least 1.
    pub quantity: u32,
}

impl Child for CartLine {
    type Key = VariantId;
    fn key(&self) -> VariantId {
        self.variant_id
    }
}
