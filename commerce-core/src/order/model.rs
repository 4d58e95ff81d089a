//! Orders with their lines, parcels and returns.

use serde::{Deserialize, Serialize};

use super::{FulfilmentState, FulfilmentStatus, LineQuantity, OrderStatus, ReturnStatus};
use crate::{
    address::PostalAddress,
    aggregate::{Child, Version},
    clock::Timestamp,
    id::{CartId, FulfilmentId, OrderId, ProductId, ReturnId, UserId, VariantId},
    money::{Currency, Money},
    payment::{Payment, PaymentStatus, Refund},
    pricing::{ShippingMethod, Totals},
};

/// A line of an order: a copy of what was bought, at the price it was bought for. One line a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Where it stands, from 0.
    pub position: i64,
    /// The variant.
    pub variant_id: VariantId,
    /// Its product.
    pub product_id: ProductId,
    /// Its SKU then.
    pub sku: String,
    /// Its title then.
    pub title: String,
    /// How many were bought.
    pub quantity: u32,
    /// The price of one then.
    pub unit_price: Money,
    /// The price of all.
    pub total: Money,
    /// What was charged for the line, tax included: what item refunds are shares of.
    pub charged: Money,
    /// Tax within `charged`.
    pub tax: Money,
    /// Units in fulfilments that weren't cancelled.
    pub fulfilled: u32,
    /// Units cancelled before they left.
    pub cancelled: u32,
    /// Units whose money went back, or is on its way.
    pub refunded: u32,
    /// Units that came back.
    pub returned: u32,
    /// Units whose money will never be taken: they were cancelled, or came back, before it was.
    #[serde(default)]
    pub uncharged: u32,
    /// Units that wait to be shipped again and lie in stock meanwhile: their parcel came back undelivered. Packing them
    /// takes them from stock once more.
    #[serde(default)]
    pub restocked: u32,
    /// Units that were cancelled or came back, and did not go back into stock.
    #[serde(default)]
    pub written_off: u32,
}

impl Child for OrderLine {
    type Key = VariantId;
    fn key(&self) -> VariantId {
        self.variant_id
    }
}

/// A parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    /// The parcel's id.
    pub id: FulfilmentId,
    /// The parcel's state.
    pub status: FulfilmentStatus,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// Where the customer can follow it.
    pub tracking_url: Option<String>,
    /// What is in it.
    pub items: Vec<LineQuantity>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it left.
    pub shipped_at: Option<Timestamp>,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
}

impl Child for Fulfilment {
    type Key = FulfilmentId;
    fn key(&self) -> FulfilmentId {
        self.id
    }
}

/// Goods coming back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// The return's id.
    pub id: ReturnId,
    /// The return's state.
    pub status: ReturnStatus,
    /// What comes back.
    pub items: Vec<LineQuantity>,
    /// Why, in the customer's words.
    pub reason: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// What need not be paid because of it, in minor units: an amount that staff chose before the money was taken.
    #[serde(default)]
    pub waived: Option<i64>,
}

impl Child for Return {
    type Key = ReturnId;
    fn key(&self) -> ReturnId {
        self.id
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order's id.
    pub id: OrderId,
    /// What people call it; unique by [`crate::store::Claim::order_number`].
    pub number: String,
    /// Who bought; `None` for guests.
    pub customer_id: Option<UserId>,
    /// Where messages about it go.
    pub email: String,
    /// Where it stands as a whole.
    pub status: OrderStatus,
    /// How its money stands.
    pub payment_status: PaymentStatus,
    /// Where its goods are.
    pub fulfilment_status: FulfilmentState,
    /// What was bought, by position.
    pub lines: Vec<OrderLine>,
    /// The order's totals, as they were when it was placed.
    pub totals: Totals,
    /// Where it goes.
    pub shipping_address: PostalAddress,
    /// Who is billed.
    pub billing_address: PostalAddress,
    /// How it travels.
    pub shipping_method: ShippingMethod,
    /// Attempts to pay it, oldest first.
    pub payments: Vec<Payment>,
    /// Money going back, oldest first.
    pub refunds: Vec<Refund>,
    /// Parcels, oldest first.
    pub fulfilments: Vec<Fulfilment>,
    /// Goods coming back, oldest first.
    pub returns: Vec<Return>,
    /// The cart it came from; reopened if the payment is declined.
    pub cart_id: Option<CartId>,
    /// The idempotency key of the checkout, answered by whoever settles the payment.
    pub idempotency_key: Option<[u8; 32]>,
    /// What the customer wanted the shop to know.
    pub note: Option<String>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// The checkout was refused by the gateway: such an attempt isn't listed among a customer's orders.
    pub declined: bool,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

impl Order {
    /// Whether the order shows that its customer has bought a product: it was paid or delivered, isn't cancelled or wholly
    /// refunded, and some unit of the product was neither cancelled nor refunded nor sent back.
    #[must_use]
    pub fn is_purchase_of(&self, product: ProductId) -> bool {
        let stands = matches!(self.status, OrderStatus::Confirmed | OrderStatus::Completed);
        let kept = match self.payment_status {
            PaymentStatus::Paid | PaymentStatus::PartiallyRefunded => true,
            PaymentStatus::Refunded => false,
            _ => self.fulfilment_status == FulfilmentState::Delivered,
        };
        let mut lines = self.lines.iter().filter(|line| line.product_id == product);
        stands
            && kept
            && lines.any(|line| line.cancelled.max(line.refunded + line.uncharged).max(line.returned) < line.quantity)
    }

    /// The currency of all its amounts.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.totals.grand_total.currency
    }
}
