//! Inventory: what is on hand, reserved and available of each variant; the ledger of movements; low-stock alerts.
//!
//! `available = on_hand − reserved`. Units are reserved when an order is placed and leave `on_hand` when it is confirmed.

mod alert;
mod service;
mod stock;

use async_trait::async_trait;

pub(crate) use self::alert::{admins, raise_alert, raise_low_stock_alerts};
pub use self::{
    alert::{Alert, AlertKind, AlertQuery},
    stock::{MAX_STOCK, MovementRecord, NewStock, StockCount, StockItem, StockQuery},
};
use crate::{
    error::{CommonError, common_errors},
    id::{AlertId, VariantId},
    page::{PageSpec, Rows},
    store::StoreError,
    write::Scope,
};

/// Reads of the inventory.
#[async_trait]
pub trait InventoryQueries: Send + Sync {
    /// The stock of a variant.
    async fn load_stock(&self, variant: VariantId) -> Result<Option<StockItem>, StoreError>;

    /// Stock, by SKU.
    async fn list_stock(&self, query: &StockQuery, spec: &PageSpec) -> Result<Rows<StockItem>, StoreError>;

    /// A variant's ledger, newest first.
    async fn list_movements(&self, variant: VariantId, spec: &PageSpec) -> Result<Rows<MovementRecord>, StoreError>;

    /// Up to `limit` items whose `crossings` are ahead of `alerted`.
    async fn load_unalerted(&self, limit: u32) -> Result<Vec<StockItem>, StoreError>;

    /// An alert.
    async fn load_alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// Alerts, newest first.
    async fn list_alerts(&self, query: &AlertQuery, spec: &PageSpec) -> Result<Rows<Alert>, StoreError>;
}

/// What the inventory can answer.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// What every service can answer.
    #[error(transparent)]
    Common(#[from] CommonError),
    /// Fewer units would be on hand than are promised to pending orders.
    #[error("{reserved} units are promised to pending orders: no fewer can be on hand")]
    BelowReserved {
        /// How many are promised.
        reserved: i64,
    },
}

common_errors!(InventoryError);

/// Stock and alerts.
///
/// Stock needs [`Permission::EditStock`](crate::context::Permission::EditStock), alerts
/// [`Permission::ViewAlerts`](crate::context::Permission::ViewAlerts).
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = VariantDraft { stock: Some(10), ..VariantDraft::new("MUG", Money::parse("19.90", Currency::EUR)?) };
/// # let draft = ProductDraft { title: "Enamel mug".into(), status: ProductStatus::Active, variants: vec![mug], ..ProductDraft::default() };
/// # let mug = shop.catalog().create_product(&RequestContext::system(), draft).await?.value.view.product.variants[0].id;
/// let staff = shop.as_system();
/// let stock = staff.inventory().adjust(mug, -3, "broken in the storeroom").await?;
/// assert_eq!(stock.available(), 7);
///
/// let ledger = staff.inventory().movements(mug, &PageRequest::default()).await?;
/// assert_eq!(ledger.items[0].on_hand_after, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Inventory {
    scope: Scope,
}

impl Inventory {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }
}
