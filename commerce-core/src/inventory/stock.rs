//! The stock of a variant and its ledger.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    context::ActorRef,
    id::{OrderId, ProductId, VariantId},
};

/// How many units of a variant staff can count at most; sums of prices over them still fit 64 bits.
pub const MAX_STOCK: i64 = 1_000_000_000;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why `on_hand` moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// The first count of a new variant.
    Initial,
    /// Staff counted or corrected.
    Adjustment,
    /// An order was confirmed.
    Sale,
    /// A confirmed order was cancelled before it left.
    Cancellation,
    /// Goods came back.
    Return,
}

impl MovementKind {
    /// The kind's name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Adjustment => "adjustment",
            Self::Sale => "sale",
            Self::Cancellation => "cancellation",
            Self::Return => "return",
        }
    }
}

/// A line of the stock ledger, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Filters of the list of stock, sorted by SKU (key `Text(sku)`, rising). Retired variants and deleted products are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StockQuery {
    /// Only what is low.
    pub low_stock: bool,
    /// The beginning of the SKU, or part of the product's title, any case.
    pub q: Option<String>,
}

/// A count of a variant's stock. What isn't counted stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StockCount {
    pub(super) on_hand: Option<i64>,
    pub(super) low_stock_threshold: Option<i64>,
}

impl StockCount {
    /// A count that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many units are on hand.
    #[must_use]
    pub fn on_hand(self, units: impl Into<Option<i64>>) -> Self {
        Self { on_hand: units.into(), ..self }
    }

    /// At how many available units staff are alerted.
    #[must_use]
    pub fn low_stock_threshold(self, units: impl Into<Option<i64>>) -> Self {
        Self { low_stock_threshold: units.into(), ..self }
    }
}
