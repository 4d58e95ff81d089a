//! A shop on a temporary SQLite file, and those who come to it.
#![allow(dead_code)] // Each test binary uses its own part.

use std::{sync::Arc, time::Duration};

use commerce_core::{
    CommerceBuilder,
    account::Registration,
    address::PostalAddress,
    catalog::{NewProduct, ProductDetail},
    checkout::Checkout,
    clock::{ManualClock, Timestamp},
    context::{Actor, Identity, RequestContext, Role},
    error::{CommonError, Invalid},
    event::{EventRecord, EventSink},
    id::{IdGenerator, SessionId, UserId, UuidV7, VariantId},
    notification::MemoryMailer,
    order::Order,
    payment::TestGateway,
    prelude::*,
};
use commerce_sqlite::SqliteStore;
use tempfile::TempDir;

/// A shop, its clock and its letter box. The file goes with it.
pub struct Shop {
    pub commerce: Commerce,
    pub clock: Arc<ManualClock>,
    pub mailer: MemoryMailer,
    _dir: TempDir,
}

impl std::ops::Deref for Shop {
    type Target = Commerce;
    fn deref(&self) -> &Commerce {
        &self.commerce
    }
}

pub async fn open() -> Shop {
    with(|builder| builder).await
}

/// A shop that tells a sink about its events.
pub async fn hearing() -> Shop {
    with(|builder| builder.event_sink(Deaf)).await
}

struct Deaf;

#[async_trait::async_trait]
impl EventSink for Deaf {
    async fn publish(&self, _: &EventRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

async fn with(change: impl FnOnce(CommerceBuilder) -> CommerceBuilder) -> Shop {
    let dir = TempDir::new().unwrap();
    let url = format!("sqlite://{}", dir.path().join("shop.db").display());
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_780_000_000_000_000)));
    let mailer = MemoryMailer::default();
    let builder = Commerce::builder()
        .store(SqliteStore::open(&url).await.unwrap())
        .gateway(TestGateway::new())
        .mailer(mailer.clone())
        .shared_clock(clock.clone());
    let commerce = change(builder).build().unwrap();
    Shop { commerce, clock, mailer, _dir: dir }
}

impl Shop {
    /// A minute passes.
    pub fn later(&self) {
        self.clock.advance(Duration::from_mins(1));
    }

    /// Somebody with an account.
    pub async fn user(&self, email: &str, first_name: &str, last_name: &str, role: Role) -> RequestContext {
        let registration = Registration::new(email, "a rather long pass phrase", first_name, last_name);
        let user = self.as_system().accounts().create_user(registration, role).await.unwrap();
        by(user.id, role)
    }

    /// A product that is on sale, with one variant.
    pub async fn product(&self, title: &str, sku: &str, cents: i64, stock: i64) -> ProductDetail {
        self.as_system().catalog().create(draft(title, sku, cents, stock)).await.unwrap()
    }

    /// Buys one of a variant.
    pub async fn buy(&self, call: &RequestContext, variant: VariantId) -> Order {
        self.acting_as(call).carts().add(variant, 1).await.unwrap();
        let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
        self.acting_as(call).checkout().place(Checkout::ship_to(address).pay_with("test")).await.unwrap().order
    }
}

pub fn by(user: UserId, role: Role) -> RequestContext {
    RequestContext::by(Actor::User(Identity { user, role, session: SessionId(UuidV7.uuid()) }))
}

/// Somebody with a role, whom the shop doesn't know by name.
pub fn someone(role: Role) -> RequestContext {
    by(UserId(UuidV7.uuid()), role)
}

pub fn euros(cents: i64) -> Money {
    Money::new(cents, Currency::EUR)
}

/// An active product with one variant.
pub fn draft(title: &str, sku: &str, cents: i64, stock: i64) -> NewProduct {
    NewProduct::active(title).variant(sku, euros(cents)).stock(stock)
}

pub fn everything() -> PageRequest {
    PageRequest { limit: 100, cursor: None, count: true }
}

/// Where and how the input broke the rules.
pub fn broken(error: &CommonError) -> Vec<(&str, &str)> {
    match error {
        CommonError::Invalid(Invalid { errors }) => errors.iter().map(|e| (e.pointer.as_str(), e.code)).collect(),
        other => panic!("not about the input: {other:?}"),
    }
}

/// A key of an idempotent call.
pub fn once(key: &str, request: &str) -> Idempotency {
    Idempotency::new("test", key, request.as_bytes())
}
