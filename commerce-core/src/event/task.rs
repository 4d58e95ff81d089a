//! What is to be done later: [`Task`].

use serde::{Deserialize, Serialize};

use super::EventRecord;
use crate::{
    cart::CartOwner,
    clock::Timestamp,
    id::{AlertId, CartId, FulfilmentId, MailTokenId, OrderId, PaymentId, RefundId, TaskId, UserId},
    money::Money,
};

/// Background work. Bodies hold ids, never secrets: what is said or sent is derived when the task runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Task {
    /// Ask the gateway how a payment stands, and settle it.
    SettlePayment {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
    },
    /// If the payment still isn't settled: void it at the gateway, then release the stock.
    ExpireReservation {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
    },
    /// Void an authorised payment of a cancelled order.
    VoidPayment {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
    },
    /// Drive a pending refund to its end.
    SettleRefund {
        /// The order.
        order: OrderId,
        /// Its refund.
        refund: RefundId,
    },
    /// Cancel an order whose payment is open: at its gateway first.
    CancelOrder {
        /// The order.
        order: OrderId,
        /// Why.
        reason: String,
    },
    /// Take so much of a promised payment, as intended by its lease.
    CapturePayment {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
        /// How much.
        amount: Money,
    },
    /// Settle a payment by its gateway's word, as staff asked for.
    ResolvePayment {
        /// The payment.
        payment: PaymentId,
        /// Whether it is written off if the gateway holds no money for it.
        give_up: bool,
    },
    /// Merge the lines of a declined order's closed cart into the owner's open one.
    MergeCart {
        /// The closed cart.
        from: CartId,
        /// The owner whose open cart takes the lines.
        owner: CartOwner,
    },
    /// Make more of the orders that a user placed as a guest theirs.
    JoinOrders {
        /// The user.
        user: UserId,
    },
    /// Send a message.
    Send {
        /// The message to be sent.
        message: Notice,
    },
    /// Hand an event to the sink.
    Publish {
        /// The event.
        event: Box<EventRecord>,
    },
}

/// A message to be composed and sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)] // The names say it all.
pub enum Notice {
    ConfirmEmail {
        user: UserId,
        token: MailTokenId,
    },
    ResetPassword {
        user: UserId,
        token: MailTokenId,
    },
    PasswordChanged {
        user: UserId,
    },
    /// To the new address.
    ChangeEmail {
        user: UserId,
        token: MailTokenId,
    },
    /// To the former address.
    EmailChangeRequested {
        user: UserId,
        token: MailTokenId,
    },
    OrderConfirmed {
        order: OrderId,
    },
    OrderShipped {
        order: OrderId,
        fulfilment: FulfilmentId,
    },
    OrderCancelled {
        order: OrderId,
    },
    OrderRefunded {
        order: OrderId,
        refund: RefundId,
    },
    /// To one member of staff about one alert.
    Alert {
        alert: AlertId,
        to: UserId,
    },
}

impl Task {
    /// The kind's name in storage.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SettlePayment { .. } => "settle_payment",
            Self::ExpireReservation { .. } => "expire_reservation",
            Self::VoidPayment { .. } => "void_payment",
            Self::SettleRefund { .. } => "settle_refund",
            Self::CancelOrder { .. } => "cancel_order",
            Self::CapturePayment { .. } => "capture_payment",
            Self::ResolvePayment { .. } => "resolve_payment",
            Self::MergeCart { .. } => "merge_cart",
            Self::JoinOrders { .. } => "join_orders",
            Self::Send { .. } => "send",
            Self::Publish { .. } => "publish",
        }
    }
}

/// A task in the hands of a worker, or a dead one.
#[derive(Clone, Debug, PartialEq)]
pub struct LeasedTask {
    /// The task's id.
    pub id: TaskId,
    /// When it was due.
    pub due: Timestamp,
    /// How often it has been leased, this time included.
    pub attempts: u32,
    /// What to do.
    pub task: Task,
    /// What went wrong last time.
    pub last_error: Option<String>,
}
