//! How orders, their parcels and their returns stand. The transition tables are the single source for code, documentation and
//! API: what isn't in a table can't happen.

use serde::{Deserialize, Serialize};

use crate::state::{InvalidTransition, State};

/// Where an order stands as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Placed; stock is reserved, the payment isn't settled.
    Pending,
    /// Paid or promised; the stock is sold.
    Confirmed,
    /// Everything was delivered.
    Completed,
    /// Given up; nothing will be delivered.
    Cancelled,
}

impl OrderStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where an order's goods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentState {
    /// Nothing has left.
    Unfulfilled,
    /// Some have left.
    PartiallyShipped,
    /// All have left.
    Shipped,
    /// All have arrived.
    Delivered,
    /// All have come back.
    Returned,
}

impl FulfilmentState {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unfulfilled => "unfulfilled",
            Self::PartiallyShipped => "partially_shipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
        }
    }
}

/// How a parcel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentStatus {
    /// Being packed.
    Pending,
    /// On its way.
    Shipped,
    /// Arrived.
    Delivered,
    /// Never left.
    Cancelled,
    /// Came back without having been delivered.
    ReturnedToSender,
}

impl FulfilmentStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::ReturnedToSender => "returned_to_sender",
        }
    }
}

/// How a return stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReturnStatus {
    /// Asked for.
    Requested,
    /// The customer may send the goods.
    Approved,
    /// They may not.
    Rejected,
    /// The goods are here; the money goes back.
    Received,
}

impl ReturnStatus {
    /// The name in the API and in storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Received => "received",
        }
    }
}

impl State for OrderStatus {
    const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::Confirmed),
        (Self::Pending, Self::Cancelled),
        (Self::Confirmed, Self::Completed),
        (Self::Confirmed, Self::Cancelled),
        // A payment that succeeded after its reservation had expired, while there is still stock.
        (Self::Cancelled, Self::Confirmed),
    ];
}

impl State for FulfilmentState {
    const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Unfulfilled, Self::PartiallyShipped),
        (Self::Unfulfilled, Self::Shipped),
        (Self::PartiallyShipped, Self::Shipped),
        // A parcel came back undelivered.
        (Self::PartiallyShipped, Self::Unfulfilled),
        (Self::Shipped, Self::PartiallyShipped),
        (Self::Shipped, Self::Unfulfilled),
        (Self::PartiallyShipped, Self::Delivered),
        (Self::PartiallyShipped, Self::Returned),
        (Self::Shipped, Self::Delivered),
        (Self::Shipped, Self::Returned),
        (Self::Delivered, Self::Returned),
    ];
}

impl State for FulfilmentStatus {
    const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::Shipped),
        (Self::Pending, Self::Cancelled),
        (Self::Shipped, Self::Delivered),
        (Self::Shipped, Self::ReturnedToSender),
    ];
}

impl State for ReturnStatus {
    const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Requested, Self::Approved),
        (Self::Requested, Self::Rejected),
        (Self::Approved, Self::Received),
        (Self::Approved, Self::Rejected),
    ];
}

/// That an order in this state is not to become something else.
pub(super) fn invalid_transition(from: OrderStatus, to: &str) -> InvalidTransition {
    InvalidTransition { from: from.as_str().to_owned(), to: to.to_owned() }
}
