//! What aggregates have in common: a name, a version, and rows that belong to them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{AddressId, AlertId, CartId, MailTokenId, OrderId, ProductId, ReviewId, SessionId, UserId, VariantId};

/// Counts the writes of an aggregate's head; the first is 1.
pub type Version = i64;

/// Names an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
pub enum AggregateId {
    /// A user.
    User(UserId),
    /// An address.
    Address(AddressId),
    /// A session.
    Session(SessionId),
    /// A mailed token.
    MailToken(MailTokenId),
    /// A product with its variants.
    Product(ProductId),
    /// The whole category tree: one aggregate, so that two moves can't make a cycle.
    Categories,
    /// A cart with its lines.
    Cart(CartId),
    /// An order with its lines, payments, refunds, fulfilments and returns.
    Order(OrderId),
    /// A review.
    Review(ReviewId),
    /// An alert.
    Alert(AlertId),
    /// Which low-stock crossing of a variant was alerted last.
    StockAlert(VariantId),
}

impl AggregateId {
    /// The kind's name, as stored with events.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Address(_) => "address",
            Self::Session(_) => "session",
            Self::MailToken(_) => "mail_token",
            Self::Product(_) => "product",
            Self::Categories => "categories",
            Self::Cart(_) => "cart",
            Self::Order(_) => "order",
            Self::Review(_) => "review",
            Self::Alert(_) => "alert",
            Self::StockAlert(_) => "stock_alert",
        }
    }

    /// The aggregate's id; nil for the category tree.
    #[must_use]
    pub const fn id(self) -> Uuid {
        match self {
            Self::User(UserId(id))
            | Self::Address(AddressId(id))
            | Self::Session(SessionId(id))
            | Self::MailToken(MailTokenId(id))
            | Self::Product(ProductId(id))
            | Self::Cart(CartId(id))
            | Self::Order(OrderId(id))
            | Self::Review(ReviewId(id))
            | Self::Alert(AlertId(id))
            | Self::StockAlert(VariantId(id)) => id,
            Self::Categories => Uuid::nil(),
        }
    }
}

/// A row below a head, found by a key within its aggregate.
pub trait Child: PartialEq {
    /// Unique within the aggregate.
    type Key: PartialEq + Copy;
    /// Its key.
    fn key(&self) -> Self::Key;
}
