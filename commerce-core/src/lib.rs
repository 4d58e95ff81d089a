//! The embeddable commerce engine: pure commerce rules in the middle, one atomic write door to storage, thin adapters around.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use commerce_core::prelude::*;
//! use commerce_sqlite::SqliteStore;
//!
//! let price = Money::parse("19.90", Currency::EUR)?;
//! let (email, password) = ("ada@example.com", "difference engine no 2");
//! let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
//!
//! let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
//! let staff = shop.as_system();
//! staff.catalog().create(NewProduct::active("Enamel mug").variant("MUG", price).stock(10)).await?;
//! shop.as_guest().accounts().register(Registration::new(email, password, "Ada", "Lovelace")).await?;
//! let ada = shop.sign_in(email, password).await?;
//! let found = ada.catalog().search("enamle mug").first().await?.ok_or("nothing found")?;
//! let cart = ada.carts().add(found.default_variant(), 2).await?;
//! let order = ada.checkout().place(Checkout::ship_to(address).pay_with("test").expect_total(cart.total())).await?;
//! staff.orders().fulfil(order.id, NewFulfilment::all("Royal Mail", "RM1")).await?;
//! staff.payments().refund(order.id, NewRefund::amount(price).reason("a dent")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! A domain's folder holds its entities, its pure rules, its service and its storage trait; the same word names the same thing
//! in `commerce-sqlite`, `commerce-postgres` and `commerce-http`.
//!
//! | domain | holds |
//! |---|---|
//! | [`account`] | users, roles, passwords, sessions, addresses |
//! | [`alert`] | what staff should look at |
//! | [`catalog`] | products, variants, categories, listing, search |
//! | [`inventory`] | stock, reservations, the ledger of movements |
//! | [`cart`] | carts of customers and guests |
//! | [`pricing`] | pure totals: shipping, tax, grand total |
//! | [`checkout`] | placing an order, in phases |
//! | [`order`] | orders, their transition tables, fulfilments, returns |
//! | [`payment`] | payments, refunds, the `PaymentGateway` trait, the test gateway |
//! | [`review`] | reviews and ratings |
//! | [`notification`] | messages and the `Mailer` trait |
//! | [`event`] | domain events, due tasks |
//! | [`store`] | the storage boundary: `ChangeSet`, `Store` |
//! | [`text`] | pure rules for every text that comes in |
//!
//! # How a write works
//!
//! A service loads aggregates, decides by pure functions, describes what must become true together in a
//! [`ChangeSet`](store::ChangeSet), and hands it to [`Store::commit`](store::Store::commit), which applies it all or nothing or
//! names the guards that failed; then the service starts over from a fresh read, or refuses. Calls to payment gateways stand
//! between two commits, never inside one. What must happen later (messages, expiry, recovery) is part of the commit as due
//! tasks, which the [`Worker`] does.
//!
//! # Features
//!
//! - `conformance`: the published contract of storage backends and payment gateways, as tests.
//! - `fail-points`: lets tests have a debug build killed at a named step; nothing to ship.

pub mod account;
pub mod address;
mod aggregate;
pub mod alert;
mod caller;
pub mod cart;
pub mod catalog;
pub mod checkout;
pub mod clock;
mod commerce;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod context;
mod engine;
pub mod error;
pub mod event;
pub mod fail_point;
mod health;
pub mod id;
pub mod inventory;
mod language;
pub mod money;
pub mod notification;
pub mod order;
pub mod page;
pub mod payment;
pub mod pricing;
pub mod review;
mod role;
mod settings;
pub mod state;
pub mod store;
pub mod text;
pub mod token;
mod worker;
mod write;
mod write_watch;

pub use caller::Caller;
pub use commerce::{BuildError, Commerce, CommerceBuilder};
pub use health::Health;
pub use money::{Currency, Money, MoneyError};
pub use settings::{LOCAL_SENDER, Settings};
pub use worker::{Worker, WorkerStatus};
pub use write::{IdempotencyKey, Outcome, PreparedWrite, Write};

/// What an embedding application names most: `use commerce_core::prelude::*`.
pub mod prelude {
    pub use crate::{
        Commerce, Currency, Money, Settings,
        account::{Credentials, Registration},
        address::PostalAddress,
        catalog::{CategoryPatch, NewCategory, NewProduct, NewVariant, ProductPatch, ProductStatus, VariantPatch},
        checkout::{Checkout, Placement},
        context::{Actor, Idempotency, RequestContext, Role},
        notification::{LogMailer, Mailer},
        order::{Cancellation, FulfilmentStatus, ItemSelection, NewFulfilment},
        page::PageRequest,
        payment::{NewRefund, PaymentGateway, PlacementOutcome, TestGateway},
        pricing::{FlatMethod, FlatShipping, FlatTax},
        review::NewReview,
    };
}
