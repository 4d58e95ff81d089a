//! What an order is made of besides its lines: payments, refunds, parcels, returns.

use commerce_core::{
    Currency, order as core,
    payment::{self, gateway},
};
use poem_openapi::{Object, types::Example};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::types::{Money, Time, eur, mirror, sample, words};

mirror! {
    /// How a payment stands.
    PaymentStatus = payment::PaymentStatus {
        Pending, RequiresAction, Unknown, Authorized, Paid, PartiallyRefunded, Refunded, Failed, Voided
    }

    /// How a refund stands.
    RefundStatus = payment::RefundStatus { Pending, Settled, Failed }

    /// Where a refund was made: in the shop, or at the payment provider.
    RefundOrigin = payment::RefundOrigin { Shop, Gateway }

    /// How a parcel stands.
    FulfilmentStatus = core::FulfilmentStatus { Pending, Shipped, Delivered, Cancelled, ReturnedToSender }

    /// How a return stands.
    ReturnStatus = core::ReturnStatus { Requested, Approved, Rejected, Received }
}

/// Units of one of the order's lines.
#[derive(Clone, Copy, Debug, Object, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[oai(example)]
pub struct ItemQuantity {
    pub variant_id: Uuid,
    #[oai(validator(minimum(value = "1")))]
    pub quantity: u32,
}

impl From<core::LineQuantity> for ItemQuantity {
    fn from(item: core::LineQuantity) -> Self {
        Self { variant_id: item.variant_id.0, quantity: item.quantity }
    }
}

impl From<ItemQuantity> for core::LineQuantity {
    fn from(item: ItemQuantity) -> Self {
        Self { variant_id: item.variant_id.into(), quantity: item.quantity }
    }
}

impl Example for ItemQuantity {
    fn example() -> Self {
        Self { variant_id: sample::VARIANT, quantity: 1 }
    }
}

fn units(items: Vec<core::LineQuantity>) -> Vec<ItemQuantity> {
    items.into_iter().map(Into::into).collect()
}

words! {
    "How the customer goes on: `use_client_secret` in the gateway's browser library, `redirect` by being sent to `url`."
    NextActionType = ["use_client_secret", "redirect"];
}

/// What the customer must do before the payment can go on.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example, skip_serializing_if_is_none)]
pub struct NextAction {
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub kind: NextActionType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl From<gateway::NextAction> for NextAction {
    fn from(action: gateway::NextAction) -> Self {
        Self { kind: NextActionType(action.kind), client_secret: action.client_secret, url: action.url }
    }
}

impl Example for NextAction {
    fn example() -> Self {
        let url = Some("https://pay.example.com/3ds/1".to_owned());
        Self { kind: NextActionType("redirect".to_owned()), client_secret: Some("pi_1_secret_2".to_owned()), url }
    }
}

/// An attempt to pay an order.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Payment {
    pub id: Uuid,
    pub method: String,
    pub gateway: String,
    pub status: PaymentStatus,
    pub amount: Money,
    /// What was taken.
    pub captured: Money,
    /// What went back.
    pub refunded: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub next_action: Option<NextAction>,
    /// How to pay it, where you pay outside the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub instructions: Option<String>,
    /// The decline code or other reason, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub failure: Option<String>,
    pub created_at: Time,
}

impl Payment {
    pub fn of(payment: payment::Payment, currency: Currency) -> Self {
        let money = |minor| commerce_core::Money::new(minor, currency).into();
        Self {
            id: payment.id.0,
            method: payment.method,
            gateway: payment.gateway,
            status: payment.status.into(),
            amount: payment.amount.into(),
            captured: money(payment.captured),
            refunded: money(payment.refunded),
            next_action: payment.next_action.map(Into::into),
            instructions: payment.instructions,
            failure: payment.failure,
            created_at: payment.created_at.into(),
        }
    }
}

impl Example for Payment {
    fn example() -> Self {
        Self {
            id: sample::PAYMENT,
            method: "test".to_owned(),
            gateway: "test".to_owned(),
            status: PaymentStatus::Paid,
            amount: eur("44.70"),
            captured: eur("44.70"),
            refunded: eur("0.00"),
            next_action: None,
            instructions: None,
            failure: None,
            created_at: sample::time(),
        }
    }
}

/// Money going back.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Refund {
    pub id: Uuid,
    pub payment_id: Uuid,
    pub amount: Money,
    pub status: RefundStatus,
    pub origin: RefundOrigin,
    pub reason: String,
    /// For which items, if it was given by items.
    pub items: Vec<ItemQuantity>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub failure: Option<String>,
    pub created_at: Time,
}

impl From<payment::Refund> for Refund {
    fn from(refund: payment::Refund) -> Self {
        Self {
            id: refund.id.0,
            payment_id: refund.payment_id.0,
            amount: refund.amount.into(),
            status: refund.status.into(),
            origin: refund.origin.into(),
            reason: refund.reason,
            items: units(refund.items),
            failure: refund.failure,
            created_at: refund.created_at.into(),
        }
    }
}

impl Example for Refund {
    fn example() -> Self {
        Self {
            id: sample::OTHER,
            payment_id: sample::PAYMENT,
            amount: eur("19.90"),
            status: RefundStatus::Settled,
            origin: RefundOrigin::Shop,
            reason: "arrived broken".to_owned(),
            items: vec![ItemQuantity::example()],
            failure: None,
            created_at: sample::time(),
        }
    }
}

/// A parcel.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Fulfilment {
    pub id: Uuid,
    pub status: FulfilmentStatus,
    pub carrier: String,
    pub tracking_number: String,
    #[oai(nullable)]
    pub tracking_url: Option<String>,
    pub items: Vec<ItemQuantity>,
    pub created_at: Time,
    #[oai(nullable)]
    pub shipped_at: Option<Time>,
    #[oai(nullable)]
    pub delivered_at: Option<Time>,
}

impl From<core::Fulfilment> for Fulfilment {
    fn from(parcel: core::Fulfilment) -> Self {
        Self {
            id: parcel.id.0,
            status: parcel.status.into(),
            carrier: parcel.carrier,
            tracking_number: parcel.tracking_number,
            tracking_url: parcel.tracking_url,
            items: units(parcel.items),
            created_at: parcel.created_at.into(),
            shipped_at: parcel.shipped_at.map(Into::into),
            delivered_at: parcel.delivered_at.map(Into::into),
        }
    }
}

impl Example for Fulfilment {
    fn example() -> Self {
        Self {
            id: sample::OTHER,
            status: FulfilmentStatus::Shipped,
            carrier: "DHL".to_owned(),
            tracking_number: "00340434161094042557".to_owned(),
            tracking_url: Some("https://track.example.com/00340434161094042557".to_owned()),
            items: vec![ItemQuantity::example()],
            created_at: sample::time(),
            shipped_at: Some(sample::time()),
            delivered_at: None,
        }
    }
}

/// Goods coming back.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Return {
    pub id: Uuid,
    pub status: ReturnStatus,
    pub items: Vec<ItemQuantity>,
    /// In the customer's words.
    pub reason: String,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<core::Return> for Return {
    fn from(back: core::Return) -> Self {
        Self {
            id: back.id.0,
            status: back.status.into(),
            items: units(back.items),
            reason: back.reason,
            created_at: back.created_at.into(),
            updated_at: back.updated_at.into(),
        }
    }
}

impl Example for Return {
    fn example() -> Self {
        Self {
            id: sample::OTHER,
            status: ReturnStatus::Requested,
            items: vec![ItemQuantity::example()],
            reason: "too small".to_owned(),
            created_at: sample::time(),
            updated_at: sample::time(),
        }
    }
}

/// A return and its order.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct OrderReturn {
    pub id: Uuid,
    pub order_id: Uuid,
    pub order_number: String,
    pub status: ReturnStatus,
    pub items: Vec<ItemQuantity>,
    pub reason: String,
    pub created_at: Time,
    pub updated_at: Time,
}

impl From<core::OrderReturn> for OrderReturn {
    fn from(of: core::OrderReturn) -> Self {
        let Return { id, status, items, reason, created_at, updated_at } = of.r#return.into();
        let (order_id, order_number) = (of.order_id.0, of.order_number);
        Self { id, order_id, order_number, status, items, reason, created_at, updated_at }
    }
}

impl Example for OrderReturn {
    fn example() -> Self {
        let Return { id, status, items, reason, created_at, updated_at } = Return::example();
        let (order_id, order_number) = (sample::ORDER, "7K3M-Q9XA".to_owned());
        Self { id, order_id, order_number, status, items, reason, created_at, updated_at }
    }
}

/// A payment and its order.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct OrderPayment {
    pub id: Uuid,
    pub order_id: Uuid,
    pub order_number: String,
    pub method: String,
    pub gateway: String,
    pub status: PaymentStatus,
    pub amount: Money,
    pub captured: Money,
    pub refunded: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub failure: Option<String>,
    pub created_at: Time,
}

impl OrderPayment {
    fn new(order_id: Uuid, order_number: String, payment: Payment) -> Self {
        let Payment { id, method, gateway, status, amount, captured, refunded, failure, created_at, .. } = payment;
        Self { id, order_id, order_number, method, gateway, status, amount, captured, refunded, failure, created_at }
    }
}

impl From<core::OrderPayment> for OrderPayment {
    fn from(of: core::OrderPayment) -> Self {
        let currency = of.payment.amount.currency;
        Self::new(of.order_id.0, of.order_number, Payment::of(of.payment, currency))
    }
}

impl Example for OrderPayment {
    fn example() -> Self {
        Self::new(sample::ORDER, "7K3M-Q9XA".to_owned(), Payment::example())
    }
}
