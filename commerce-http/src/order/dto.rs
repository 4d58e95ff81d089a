//! Orders on the wire.

use commerce_core::{order as core, pricing};
use poem_openapi::{Object, types::Example};
use serde::Serialize;
use uuid::Uuid;

use super::parts::{Fulfilment, ItemQuantity, Payment, PaymentStatus, Refund, Return};
use crate::{
    account::address::PostalAddress,
    cart::dto::Totals,
    types::{Money, Time, eur, mirror, sample, words},
};

mirror! {
    /// Where an order stands as a whole.
    OrderStatus = core::OrderStatus { Pending, Confirmed, Completed, Cancelled }

    /// Where an order's goods are.
    FulfilmentState = core::FulfilmentState { Unfulfilled, PartiallyShipped, Shipped, Delivered, Returned }

    /// What the customer may do next.
    OrderAction = core::OrderAction { Cancel, Return, Pay }
}

/// A line of an order: what was bought, at the price it was bought for.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct OrderItem {
    pub variant_id: Uuid,
    pub product_id: Uuid,
    pub sku: String,
    pub title: String,
    pub quantity: u32,
    pub unit_price: Money,
    pub total: Money,
    /// Units in parcels.
    pub fulfilled: u32,
    /// Units cancelled before they left.
    pub cancelled: u32,
    /// Units whose money went back, or is on its way. Units that were cancelled or came back before their money was taken aren't
    /// charged for, and not counted here.
    pub refunded: u32,
    /// Units that came back.
    pub returned: u32,
}

impl From<core::OrderLine> for OrderItem {
    fn from(line: core::OrderLine) -> Self {
        Self {
            variant_id: line.variant_id.0,
            product_id: line.product_id.0,
            sku: line.sku,
            title: line.title,
            quantity: line.quantity,
            unit_price: line.unit_price.into(),
            total: line.total.into(),
            fulfilled: line.fulfilled,
            cancelled: line.cancelled,
            refunded: line.refunded,
            returned: line.returned,
        }
    }
}

impl Example for OrderItem {
    fn example() -> Self {
        Self {
            variant_id: sample::VARIANT,
            product_id: sample::PRODUCT,
            sku: "MUG-BLUE-L".to_owned(),
            title: "Enamel mug – Large, blue".to_owned(),
            quantity: 2,
            unit_price: eur("19.90"),
            total: eur("39.80"),
            fulfilled: 0,
            cancelled: 0,
            refunded: 0,
            returned: 0,
        }
    }
}

/// How goods travel.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct ShippingMethod {
    pub code: String,
    pub title: String,
    pub price: Money,
}

impl From<pricing::ShippingMethod> for ShippingMethod {
    fn from(method: pricing::ShippingMethod) -> Self {
        Self { code: method.code, title: method.title, price: method.price.into() }
    }
}

impl Example for ShippingMethod {
    fn example() -> Self {
        Self { code: "standard".to_owned(), title: "Standard".to_owned(), price: eur("4.90") }
    }
}

/// An order.
#[allow(clippy::struct_field_names)] // The contract's name.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Order {
    pub id: Uuid,
    /// What people call it.
    pub number: String,
    pub status: OrderStatus,
    pub payment_status: PaymentStatus,
    pub fulfilment_status: FulfilmentState,
    pub items: Vec<OrderItem>,
    pub totals: Totals,
    pub email: String,
    pub shipping_address: PostalAddress,
    pub billing_address: PostalAddress,
    pub shipping_method: ShippingMethod,
    pub payments: Vec<Payment>,
    pub refunds: Vec<Refund>,
    pub fulfilments: Vec<Fulfilment>,
    pub returns: Vec<Return>,
    /// What the customer may do next.
    pub actions: Vec<OrderAction>,
    /// What the customer wanted the shop to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub cancel_reason: Option<String>,
    /// While the payment waits for the customer: until when the goods are reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub reserved_until: Option<Time>,
    /// For guests, at checkout and lookup: opens this order, as `X-Order-Token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    pub order_token: Option<String>,
    pub placed_at: Time,
    pub version: i64,
}

impl From<core::Order> for Order {
    fn from(order: core::Order) -> Self {
        let currency = order.currency();
        let waits = order.status == core::OrderStatus::Pending;
        let reserved_until = order.payments.last().and_then(|payment| payment.reserved_until).filter(|_| waits);
        Self {
            actions: order.actions().into_iter().map(Into::into).collect(),
            id: order.id.0,
            number: order.number,
            status: order.status.into(),
            payment_status: order.payment_status.into(),
            fulfilment_status: order.fulfilment_status.into(),
            items: order.lines.into_iter().map(Into::into).collect(),
            totals: order.totals.into(),
            email: order.email,
            shipping_address: order.shipping_address.into(),
            billing_address: order.billing_address.into(),
            shipping_method: order.shipping_method.into(),
            payments: order.payments.into_iter().map(|payment| Payment::of(payment, currency)).collect(),
            refunds: order.refunds.into_iter().map(Into::into).collect(),
            fulfilments: order.fulfilments.into_iter().map(Into::into).collect(),
            returns: order.returns.into_iter().map(Into::into).collect(),
            note: order.note,
            cancel_reason: order.cancel_reason,
            reserved_until: reserved_until.map(Into::into),
            order_token: None,
            placed_at: order.placed_at.into(),
            version: order.version,
        }
    }
}

impl Example for Order {
    fn example() -> Self {
        Self {
            id: sample::ORDER,
            number: "7K3M-Q9XA".to_owned(),
            status: OrderStatus::Confirmed,
            payment_status: PaymentStatus::Paid,
            fulfilment_status: FulfilmentState::Unfulfilled,
            items: vec![OrderItem::example()],
            totals: Totals::example(),
            email: "mia@example.com".to_owned(),
            shipping_address: PostalAddress::example(),
            billing_address: PostalAddress::example(),
            shipping_method: ShippingMethod::example(),
            payments: vec![Payment::example()],
            refunds: vec![],
            fulfilments: vec![],
            returns: vec![],
            actions: vec![OrderAction::Cancel],
            note: None,
            cancel_reason: None,
            reserved_until: None,
            order_token: Some("AZq44moQfDGdUw8qaxxNBQ.c2lnbmF0dXJl".to_owned()),
            placed_at: sample::time(),
            version: 2,
        }
    }
}

words! {
    "What happened to an order."
    TimelineEvent = [
        "order_placed", "order_confirmed", "order_cancelled", "order_lines_cancelled", "order_completed",
        "order_joined_account", "payment_authorized", "payment_captured", "payment_failed", "payment_voided",
        "payment_requires_action", "payment_disputed", "fulfilment_created", "fulfilment_shipped",
        "fulfilment_delivered", "fulfilment_returned_to_sender", "fulfilment_corrected", "fulfilment_cancelled",
        "refund_requested", "refund_settled", "refund_failed", "return_requested", "return_approved",
        "return_rejected", "return_received",
    ];
}

/// Something that happened to an order.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct TimelineEntry {
    pub at: Time,
    pub event: TimelineEvent,
    /// A sentence about it.
    pub detail: String,
}

impl From<core::TimelineEntry> for TimelineEntry {
    fn from(entry: core::TimelineEntry) -> Self {
        Self { at: entry.at.into(), event: TimelineEvent(entry.event), detail: entry.detail }
    }
}

/// Where an order is and what has happened to it.
#[derive(Clone, Debug, Object, Serialize)]
#[oai(example)]
pub struct Tracking {
    pub status: OrderStatus,
    /// Oldest first.
    pub timeline: Vec<TimelineEntry>,
    pub fulfilments: Vec<Fulfilment>,
}

impl From<core::Tracking> for Tracking {
    fn from(tracking: core::Tracking) -> Self {
        Self {
            status: tracking.status.into(),
            timeline: tracking.timeline.into_iter().map(Into::into).collect(),
            fulfilments: tracking.fulfilments.into_iter().map(Into::into).collect(),
        }
    }
}

impl Example for Tracking {
    fn example() -> Self {
        let (timeline, fulfilments) = (vec![TimelineEntry::example()], vec![Fulfilment::example()]);
        Self { status: OrderStatus::Confirmed, timeline, fulfilments }
    }
}

impl Example for TimelineEntry {
    fn example() -> Self {
        let detail = "A parcel was shipped with DHL, tracking number 00340434161094042557.".to_owned();
        Self { at: sample::time(), event: TimelineEvent("fulfilment_shipped".to_owned()), detail }
    }
}

/// Items as core counts them: absent means all, and an empty list doesn't.
pub fn items(items: Option<Vec<ItemQuantity>>) -> core::ItemSelection {
    items.map(|items| items.into_iter().map(core::LineQuantity::from).collect::<Vec<_>>()).into()
}
