//! Stock and alerts on the wire.

use commerce_core::{alert, context::ActorRef, inventory as core, store};
use poem_openapi::{Object, types::Example};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{Time, mirror, present, sample};

mirror! {
    /// What an alert is about.
    AlertKind = alert::AlertKind { LowStock, PaymentMismatch, LatePayment, PaymentDisputed, RefundFailed, PaymentStuck }

    /// Why stock moved.
    MovementKind = store::MovementKind { Initial, Adjustment, Sale, Cancellation, Return }
}

/// The stock of a variant.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct StockItem {
    pub variant_id: Uuid,
    pub product_id: Uuid,
    pub sku: String,
    /// Product and variant title.
    pub title: String,
    /// Units in the house.
    pub on_hand: i64,
    /// Units promised to pending orders.
    pub reserved: i64,
    /// `on_hand − reserved`.
    pub available: i64,
    /// Stock is low at so many available units or fewer.
    pub low_stock_threshold: i64,
}

impl From<core::StockItem> for StockItem {
    fn from(item: core::StockItem) -> Self {
        let available = item.available();
        let title = if item.variant_title.is_empty() || item.variant_title == item.product_title {
            item.product_title
        } else {
            format!("{} – {}", item.product_title, item.variant_title)
        };
        Self {
            variant_id: item.variant_id.0,
            product_id: item.product_id.0,
            sku: item.sku,
            title,
            on_hand: item.on_hand,
            reserved: item.reserved,
            available,
            low_stock_threshold: item.low_stock_threshold,
        }
    }
}

impl Example for StockItem {
    fn example() -> Self {
        Self {
            variant_id: sample::VARIANT,
            product_id: sample::PRODUCT,
            sku: "MUG-BLUE-L".to_owned(),
            title: "Enamel mug – Large, blue".to_owned(),
            on_hand: 44,
            reserved: 2,
            available: 42,
            low_stock_threshold: 5,
        }
    }
}

/// A count.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct StockCount {
    /// Units in the house.
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub on_hand: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    #[oai(validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub low_stock_threshold: Option<i64>,
}

impl Example for StockCount {
    fn example() -> Self {
        Self { on_hand: Some(48), low_stock_threshold: Some(5) }
    }
}

/// A correction.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Adjustment {
    /// By how many units `on_hand` moves.
    #[oai(validator(minimum(value = "-1000000"), maximum(value = "1000000")))]
    pub delta: i64,
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

impl Example for Adjustment {
    fn example() -> Self {
        Self { delta: -2, reason: "broken in the warehouse".to_owned() }
    }
}

/// A line of the stock ledger.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example, skip_serializing_if_is_none)]
pub struct Movement {
    pub at: Time,
    pub kind: MovementKind,
    pub delta: i64,
    pub on_hand_after: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// The user who caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<core::MovementRecord> for Movement {
    fn from(record: core::MovementRecord) -> Self {
        let actor = match record.actor {
            ActorRef::User(id) => Some(id.0),
            ActorRef::Guest | ActorRef::System => None,
        };
        Self {
            at: record.at.into(),
            kind: record.kind.into(),
            delta: record.delta,
            on_hand_after: record.on_hand_after,
            order_id: record.order_id.map(|id| id.0),
            actor,
            reason: record.reason,
        }
    }
}

impl Example for Movement {
    fn example() -> Self {
        Self {
            at: sample::time(),
            kind: MovementKind::Sale,
            delta: -2,
            on_hand_after: 42,
            order_id: Some(sample::ORDER),
            actor: Some(sample::USER),
            reason: Some("broken in the warehouse".to_owned()),
        }
    }
}

/// Something staff should look at.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Alert {
    pub id: Uuid,
    pub kind: AlertKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub variant_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub order_id: Option<Uuid>,
    pub detail: String,
    pub raised_at: Time,
    #[oai(nullable)]
    pub acknowledged_at: Option<Time>,
}

impl From<alert::Alert> for Alert {
    fn from(alert: alert::Alert) -> Self {
        Self {
            id: alert.id.0,
            kind: alert.kind.into(),
            variant_id: alert.variant_id.map(|id| id.0),
            order_id: alert.order_id.map(|id| id.0),
            detail: alert.detail,
            raised_at: alert.raised_at.into(),
            acknowledged_at: alert.acknowledged_at.map(Into::into),
        }
    }
}

impl Example for Alert {
    fn example() -> Self {
        Self {
            id: sample::OTHER,
            kind: AlertKind::LowStock,
            variant_id: Some(sample::VARIANT),
            order_id: Some(sample::ORDER),
            detail: "MUG-BLUE-L: 4 left".to_owned(),
            raised_at: sample::time(),
            acknowledged_at: Some(sample::time()),
        }
    }
}
