//! The transition tables: the single source for code, docs and API. What isn't in a table can't happen.

use super::{FulfilmentState, FulfilmentStatus, OrderStatus, ReturnStatus};
use crate::payment::{PaymentStatus, RefundStatus};

/// A state machine, given as the table of its moves.
pub trait State: Copy + Eq + std::fmt::Debug + Send + Sync + 'static {
    /// Which state may follow which.
    const TRANSITIONS: &'static [(Self, Self)];

    /// Whether `next` may follow. Staying is always possible.
    fn may_become(self, next: Self) -> bool {
        self == next || Self::TRANSITIONS.contains(&(self, next))
    }

    /// Moves on.
    ///
    /// # Errors
    /// [`InvalidTransition`] if the table doesn't have the move.
    fn transition_to(&mut self, next: Self) -> Result<(), InvalidTransition> {
        if self.may_become(next) {
            *self = next;
            Ok(())
        } else {
            Err(InvalidTransition { from: format!("{self:?}"), to: format!("{next:?}") })
        }
    }
}

/// A move that isn't in the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is {from} can't become {to}")]
pub struct InvalidTransition {
    /// The present state.
    pub from: String,
    /// The state that was asked for.
    pub to: String,
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

impl State for PaymentStatus {
    const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::RequiresAction),
        (Self::Pending, Self::Unknown),
        (Self::Pending, Self::Authorized),
        (Self::Pending, Self::Paid),
        (Self::Pending, Self::Failed),
        (Self::Pending, Self::Voided),
        (Self::RequiresAction, Self::Unknown),
        (Self::RequiresAction, Self::Authorized),
        (Self::RequiresAction, Self::Paid),
        (Self::RequiresAction, Self::Failed),
        (Self::RequiresAction, Self::Voided),
        (Self::Unknown, Self::RequiresAction),
        (Self::Unknown, Self::Authorized),
        (Self::Unknown, Self::Paid),
        (Self::Unknown, Self::Failed),
        (Self::Unknown, Self::Voided),
        (Self::Authorized, Self::Paid),
        (Self::Authorized, Self::Voided),
        (Self::Paid, Self::PartiallyRefunded),
        (Self::Paid, Self::Refunded),
        (Self::PartiallyRefunded, Self::Refunded),
        // Refunds that failed after they had been settled.
        (Self::PartiallyRefunded, Self::Paid),
        (Self::Refunded, Self::PartiallyRefunded),
        (Self::Refunded, Self::Paid),
        // Late successes of payments we had given up.
        (Self::Failed, Self::Authorized),
        (Self::Failed, Self::Paid),
        (Self::Voided, Self::Authorized),
        (Self::Voided, Self::Paid),
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

impl State for RefundStatus {
    const TRANSITIONS: &'static [(Self, Self)] =
        &[(Self::Pending, Self::Settled), (Self::Pending, Self::Failed), (Self::Settled, Self::Failed)];
}
