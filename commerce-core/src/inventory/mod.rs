//! Inventory: what is on hand, reserved and available of each variant; the ledger of movements; low-stock alerts.
//!
//! `available = on_hand − reserved`. Units are reserved when an order is placed and leave `on_hand` when it is confirmed.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    account::aggregate,
    call::ActorRef,
    clock::Timestamp,
    id::{AlertId, OrderId, ProductId, VariantId},
    page::{Listed, Slice},
    store::{MovementKind, StoreError, Version},
};

/// The stock of a new variant: opened with the variant, at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewStock {
    /// The variant.
    pub variant_id: VariantId,
    /// Its product.
    pub product_id: ProductId,
    /// Stock is low when `available <= low_stock_threshold`.
    pub low_stock_threshold: i64,
}

/// The stock of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockItem {
    /// The variant.
    pub variant_id: VariantId,
    /// Its product.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: String,
    /// Its product's title.
    pub product_title: String,
    /// Its own title.
    pub variant_title: String,
    /// Units in the house.
    pub on_hand: i64,
    /// Units promised to pending orders.
    pub reserved: i64,
    /// Stock is low when `available <= low_stock_threshold`.
    pub low_stock_threshold: i64,
    /// How often the stock has become low. Kept by the store, in the statement that moves the stock.
    pub crossings: i64,
    /// The crossing that was alerted last.
    pub alerted: i64,
}

impl StockItem {
    /// Units that can be sold.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Whether there are few left.
    #[must_use]
    pub const fn is_low(&self) -> bool {
        self.available() <= self.low_stock_threshold
    }
}

/// A line of the stock ledger, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovementRecord {
    /// Of which variant.
    pub variant_id: VariantId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub kind: MovementKind,
    /// How `on_hand` moved.
    pub delta: i64,
    /// What it was afterwards.
    pub on_hand_after: i64,
    /// For which order.
    pub order_id: Option<OrderId>,
    /// Who caused it.
    pub actor: ActorRef,
    /// Staff's words.
    pub reason: Option<String>,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A variant is running out.
    LowStock,
    /// What a gateway says of a payment doesn't match the order.
    PaymentMismatch,
    /// A payment succeeded after its order had been given up.
    LatePayment,
    /// The customer disputes a payment at their bank.
    PaymentDisputed,
    /// A refund can't be settled without staff.
    RefundFailed,
}

impl AlertKind {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LowStock => "low_stock",
            Self::PaymentMismatch => "payment_mismatch",
            Self::LatePayment => "late_payment",
            Self::PaymentDisputed => "payment_disputed",
            Self::RefundFailed => "refund_failed",
        }
    }
}

/// Something staff should look at; mailed to the admins once when it is raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What it is about.
    pub kind: AlertKind,
    /// About which variant.
    pub variant_id: Option<VariantId>,
    /// About which order.
    pub order_id: Option<OrderId>,
    /// A sentence.
    pub detail: String,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When staff took note.
    pub acknowledged_at: Option<Timestamp>,
    /// Counts writes.
    pub version: Version,
}

aggregate!(Alert, Alert, Alert);

/// Filters of the list of stock, sorted by SKU (key `Text(sku)`, rising). Retired variants and deleted products are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StockQuery {
    /// Only what is low.
    pub low_stock: bool,
    /// The beginning of the SKU, or part of the product's title, any case.
    pub q: Option<String>,
}

/// Filters of the list of alerts, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertQuery {
    /// Only those that staff took note of, or only those that they didn't.
    pub acknowledged: Option<bool>,
}

/// Reads of the inventory.
#[async_trait]
pub trait InventoryStore: Send + Sync {
    /// The stock of a variant.
    async fn load_stock(&self, variant: VariantId) -> Result<Option<StockItem>, StoreError>;

    /// Stock, by SKU.
    async fn list_stock(&self, query: &StockQuery, slice: &Slice) -> Result<Listed<StockItem>, StoreError>;

    /// A variant's ledger, newest first.
    async fn list_movements(&self, variant: VariantId, slice: &Slice) -> Result<Listed<MovementRecord>, StoreError>;

    /// Up to `limit` items whose `crossings` are ahead of `alerted`.
    async fn load_unalerted(&self, limit: u32) -> Result<Vec<StockItem>, StoreError>;

    /// An alert.
    async fn load_alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// Alerts, newest first.
    async fn list_alerts(&self, query: &AlertQuery, slice: &Slice) -> Result<Listed<Alert>, StoreError>;
}

/// Stock and alerts.
#[derive(Clone)]
pub struct Inventory {
    engine: std::sync::Arc<crate::engine::Engine>,
}

impl Inventory {
    pub(crate) fn new(engine: std::sync::Arc<crate::engine::Engine>) -> Self {
        Self { engine }
    }
}
