//! Aggregates as they shall be: heads guarded by a version, children carried along.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    account::{Address, MailToken, Session, User},
    cart::Cart,
    catalog::{CategoryTree, Product},
    id::{AddressId, AlertId, CartId, MailTokenId, OrderId, ProductId, ReviewId, SessionId, UserId, VariantId},
    inventory::{Alert, NewStock},
    order::Order,
    review::Review,
};

/// Counts the writes of an aggregate's head; the first is 1.
pub type Version = i64;

/// What the aggregate's head must be for the write to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Not there.
    Absent,
    /// There, at this version.
    At(Version),
}

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

/// Something that is read and written as a whole, with one version.
pub trait Aggregate: Clone + PartialEq + fmt::Debug {
    /// Its name.
    fn root(&self) -> AggregateId;
    /// How often its head was written.
    fn version(&self) -> Version;
    /// Called by the change-set when it writes the head.
    fn set_version(&mut self, version: Version);
    /// The change that saves it.
    fn change(save: AggregateWrite<Self>) -> Change;
}

/// A row below a head, found by a key within its aggregate.
pub trait Child: PartialEq {
    /// Unique within the aggregate.
    type Key: PartialEq + Copy;
    /// Its key.
    fn key(&self) -> Self::Key;
}

/// One aggregate, as it was read and as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateWrite<T> {
    pub(super) before: Option<T>,
    pub(super) after: T,
}

impl<T: Aggregate> AggregateWrite<T> {
    /// What the head must be for the write to apply.
    pub fn expected_version(&self) -> ExpectedVersion {
        self.before.as_ref().map_or(ExpectedVersion::Absent, |before| ExpectedVersion::At(before.version()))
    }

    /// The aggregate as it shall be, with its new version.
    pub const fn after(&self) -> &T {
        &self.after
    }

    /// The aggregate as it was read.
    pub const fn before(&self) -> Option<&T> {
        self.before.as_ref()
    }

    /// Which rows of one kind of child to write and which to remove; those that stay the same are neither.
    pub fn children<C: Child>(&self, of: impl Fn(&T) -> &[C]) -> Children<'_, C>
    where
        T: 'static,
    {
        let before = self.before.as_ref().map_or(&[][..], |before| of_ref(before, &of));
        let after = of_ref(&self.after, &of);
        Children {
            put: after.iter().filter(|row| !before.contains(row)).collect(),
            gone: before.iter().map(C::key).filter(|key| after.iter().all(|row| row.key() != *key)).collect(),
        }
    }
}

// Ties the lifetime of the children to that of the aggregate, which a closure's signature can't say.
fn of_ref<'a, T, C>(whole: &'a T, of: &impl Fn(&T) -> &[C]) -> &'a [C] {
    of(whole)
}

/// Child rows to write: insert, or replace the one with the same key.
#[derive(Debug)]
pub struct Children<'a, C: Child> {
    /// New or changed rows.
    pub put: Vec<&'a C>,
    /// Keys of rows to remove.
    pub gone: Vec<C::Key>,
}

/// One guarded write. Backends match on it exhaustively.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A user.
    User(AggregateWrite<User>),
    /// An address.
    Address(AggregateWrite<Address>),
    /// A session.
    Session(AggregateWrite<Session>),
    /// A mailed token.
    MailToken(AggregateWrite<MailToken>),
    /// A product with its variants.
    Product(Box<AggregateWrite<Product>>),
    /// The category tree.
    Categories(AggregateWrite<CategoryTree>),
    /// A cart with its lines.
    Cart(AggregateWrite<Cart>),
    /// An order with its children.
    Order(Box<AggregateWrite<Order>>),
    /// A review.
    Review(AggregateWrite<Review>),
    /// An alert.
    Alert(AggregateWrite<Alert>),
    /// Remove the aggregate, which must be at this version.
    Remove(AggregateId, Version),
    /// The aggregate must be at this version when the set applies; it is locked, not written.
    RequireVersion(AggregateId, Version),
    /// Open the stock ledger of a new variant, at zero.
    OpenStock(NewStock),
    /// Set a variant's low-stock threshold (and with it, whether it is low now).
    StockThreshold(VariantId, i64),
    /// Note that a variant's low-stock crossing `to` has been alerted; `from` was the last one alerted.
    StockAlerted {
        /// The variant.
        variant: VariantId,
        /// The crossing that was last alerted, as read.
        from: i64,
        /// The crossing alerted now.
        to: i64,
    },
    /// Forget set ids, idempotency keys, ended sessions and used mail tokens from before this time.
    Purge(crate::clock::Timestamp),
}
