//! What is read of the inventory and its alerts.

use async_trait::async_trait;

use super::{MovementRecord, StockItem, StockQuery};
use crate::{
    alert::{Alert, AlertQuery},
    error::StoreError,
    id::{AlertId, VariantId},
    page::{PageSpec, Rows},
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
