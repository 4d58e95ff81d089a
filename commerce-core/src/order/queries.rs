//! What is read of orders.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Serialize;

use super::{FulfilmentState, Order, OrderStatus, Return, ReturnStatus};
use crate::{
    clock::Timestamp,
    error::StoreError,
    id::{FulfilmentId, OrderId, PaymentId, ProductId, RefundId, ReturnId, UserId},
    page::{PageSpec, Rows},
    payment::{Payment, PaymentStatus},
};

/// Filters of a list of orders, newest first (key `Int(placed_at)`, falling).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderQuery {
    /// Only this customer's.
    pub customer: Option<UserId>,
    /// Only those that belong to no account.
    pub of_guests: bool,
    /// Whether attempts that the gateway declined are left out.
    pub hide_declined: bool,
    /// Only with this status.
    pub status: Option<OrderStatus>,
    /// Only with this payment status.
    pub payment_status: Option<PaymentStatus>,
    /// Only with this fulfilment status.
    pub fulfilment_status: Option<FulfilmentState>,
    /// Only for this e-mail address, exactly (normalised).
    pub email: Option<String>,
    /// Only with this number, exactly (as [`normalise_number`](super::normalise_number) writes it).
    pub number: Option<String>,
    /// Only placed at this time or later.
    pub placed_after: Option<Timestamp>,
    /// Only placed before this time.
    pub placed_before: Option<Timestamp>,
}

/// A payment and the order it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPayment {
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// The payment.
    pub payment: Payment,
}

/// A return and the order it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderReturn {
    /// The order.
    pub order_id: OrderId,
    /// The order's number.
    pub order_number: String,
    /// The return.
    pub r#return: Return,
}

/// Names a child of an order, where only the child's id is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderChild {
    /// By a payment.
    Payment(PaymentId),
    /// By a refund.
    Refund(RefundId),
    /// By a parcel.
    Fulfilment(FulfilmentId),
    /// By a return.
    Return(ReturnId),
}

/// Reads of orders.
#[async_trait]
pub trait OrderQueries: Send + Sync {
    /// An order with all its children.
    async fn load_order(&self, id: OrderId) -> Result<Option<Order>, StoreError>;

    /// The order that a child belongs to.
    async fn load_order_of(&self, child: OrderChild) -> Result<Option<OrderId>, StoreError>;

    /// Orders with all their children, newest first. A fixed number of statements, whatever the page size.
    async fn list_orders(&self, query: &OrderQuery, spec: &PageSpec) -> Result<Rows<Order>, StoreError>;

    /// Payments, newest first (key `Int(created_at)`), with this status.
    async fn list_payments(
        &self,
        status: Option<PaymentStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderPayment>, StoreError>;

    /// Returns, newest first (key `Int(created_at)`), with this status.
    async fn list_returns(
        &self,
        status: Option<ReturnStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderReturn>, StoreError>;

    /// Whether any order has a line of this product.
    async fn has_orders(&self, product: ProductId) -> Result<bool, StoreError>;

    /// Which of these customers have bought which of these products, as [`Order::is_purchase_of`] says. One statement.
    async fn load_purchases(&self, pairs: &[(UserId, ProductId)]) -> Result<BTreeSet<(UserId, ProductId)>, StoreError>;
}
