//! The embeddable commerce engine.
//!
//! | domain | holds |
//! |---|---|
//! | [`account`] | users, roles, passwords, tokens, sessions, addresses |
//! | [`catalog`] | products, variants, categories, listing, search |
//! | [`inventory`] | stock, reservations, the ledger of movements, low-stock alerts |
//! | [`cart`] | carts of customers and guests |
//! | [`pricing`] | pure totals: shipping, tax, grand total |
//! | [`checkout`] | placing an order, in phases |
//! | [`order`] | orders, their transition tables, fulfilments, returns |
//! | [`payment`] | payments, refunds, the `PaymentGateway` trait, the test gateway |
//! | [`review`] | reviews and ratings |
//! | [`notification`] | messages and the `Mailer` trait |
//! | [`event`] | domain events, due tasks |
//! | [`store`] | the storage boundary: `ChangeSet`, `Store` |

pub mod account;
pub mod call;
pub mod cart;
pub mod catalog;
pub mod checkout;
pub mod clock;
mod commerce;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
pub mod error;
pub mod event;
pub mod id;
pub mod inventory;
pub mod money;
pub mod notification;
pub mod order;
pub mod page;
pub mod payment;
pub mod pricing;
pub mod review;
pub mod store;
mod worker;

pub use commerce::{BuildError, Commerce, CommerceBuilder, Settings};
pub use engine::Planned;
pub use money::{Currency, Money, MoneyError};
pub use worker::Worker;

/// What an embedding application names most: `use commerce_core::prelude::*`.
pub mod prelude {
    pub use crate::{
        Commerce, Currency, Money, Settings,
        account::{Credentials, PostalAddress, Registration},
        call::{Actor, Call, Done, Idempotency, Role},
        catalog::{CategoryDraft, ProductDraft, ProductQuery, ProductStatus, VariantDraft},
        checkout::{CheckoutInput, Placement},
        notification::{LogMailer, Mailer},
        order::{FulfilmentInput, FulfilmentStatus},
        page::PageRequest,
        payment::{PaymentGateway, PlacementOutcome, RefundInput, TestGateway},
        pricing::{FlatMethod, FlatShipping, FlatTax},
        review::ReviewDraft,
    };
}
