//! Aggregates as they are to become: heads guarded by a version, children carried along.

use std::fmt;

use crate::{
    account::{Address, MailToken, Session, User},
    aggregate::{AggregateId, Child, Version},
    alert::Alert,
    cart::Cart,
    catalog::{CategoryTree, Product},
    clock::Timestamp,
    id::VariantId,
    inventory::NewStock,
    order::Order,
    review::Review,
};

/// What the aggregate's head must be for the write to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedVersion {
    /// Not there.
    Absent,
    /// There, at this version.
    At(Version),
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

/// One aggregate, as it was read and as it is to become.
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

    /// The aggregate as it is to become, with its new version.
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
    /// Forget set ids, idempotency keys, counts of attempts, ended sessions and used mail tokens from before this time.
    Purge(Timestamp),
}

/// Makes types with a field `id` and a field `version` aggregates.
macro_rules! aggregates {
    ($($type:ident),+ $(,)?) => {$(
        impl Aggregate for $type {
            fn root(&self) -> AggregateId {
                AggregateId::$type(self.id)
            }
            fn version(&self) -> Version {
                self.version
            }
            fn set_version(&mut self, version: Version) {
                self.version = version;
            }
            fn change(save: AggregateWrite<Self>) -> Change {
                Change::$type(save.into())
            }
        }
    )+};
}

aggregates!(User, Address, Session, MailToken, Product, Cart, Order, Review, Alert);

impl Aggregate for CategoryTree {
    fn root(&self) -> AggregateId {
        AggregateId::Categories
    }
    fn version(&self) -> Version {
        self.version
    }
    fn set_version(&mut self, version: Version) {
        self.version = version;
    }
    fn change(save: AggregateWrite<Self>) -> Change {
        Change::Categories(save)
    }
}
