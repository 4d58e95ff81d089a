//! Pure rules over the money of an order in memory: what a gateway's word does to it, and ([`refund`]) what may go back.

mod foreign;
mod refund;

use super::{
    Payment, PaymentStatus,
    report::{GatewayPayment, GatewayState},
};
use crate::{
    clock::Timestamp,
    error::{CommonError, StoreError},
    id::PaymentId,
    order::{Order, OrderStatus},
    state::{InvalidTransition, State},
};

pub(crate) use self::{
    foreign::ForeignRefund,
    refund::{RefundIntent, RefundSettlement},
};

/// A payment that was given up because the customer didn't finish it in time.
pub(crate) const EXPIRED: &str = "expired";
/// A payment that was given up because the order was cancelled.
pub(crate) const CANCELLED: &str = "cancelled";
/// A payment that was given up because nothing is owed for the order any more.
pub(crate) const NOTHING_OWED: &str = "nothing_owed";

/// A payment that was given up so that the order could be paid in another way.
pub(crate) const SUPERSEDED: &str = "superseded";
/// An order whose offline payment hasn't come in time.
pub(crate) const UNPAID: &str = "it was not paid in time";

/// A payment that staff gave up, because the gateway knows of no money for it.
pub(crate) const WRITTEN_OFF: &str = "written_off";

/// The failure of a payment whose amount the gateway can't take: no decline.
pub(crate) const AMOUNT_NOT_PAYABLE: &str = "amount_not_payable";

/// What a gateway's word did to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// Nothing new.
    Same,
    /// The payment moved; the order's standing didn't.
    Moved,
    /// The order is confirmed: the reserved units are sold.
    Confirmed,
    /// The order is cancelled: the reserved units are free, the cart may open again.
    Cancelled,
    /// The payment succeeded after the order had been given up: the units must be found anew, or the money goes back.
    Late,
    /// The gateway speaks of another amount, or of a move that can't be: nothing was changed.
    Mismatch(String),
}

impl Order {
    pub(crate) fn payment(&self, id: PaymentId) -> Result<&Payment, CommonError> {
        self.payments.iter().find(|payment| payment.id == id).ok_or(CommonError::NotFound("payment"))
    }

    pub(crate) fn payment_mut(&mut self, id: PaymentId) -> Result<&mut Payment, CommonError> {
        self.payments.iter_mut().find(|payment| payment.id == id).ok_or(CommonError::NotFound("payment"))
    }

    /// Takes a gateway's word on a payment. The one place where it does: for API answers, webhooks and recovery alike.
    pub(crate) fn settle_payment(
        &mut self,
        id: PaymentId,
        report: &GatewayPayment,
        now: Timestamp,
    ) -> Result<Settlement, CommonError> {
        let (before, order_status) = (self.payment(id)?.clone(), self.status);
        if report.amount != before.amount || report.captured.minor > before.amount.minor {
            let (ours, theirs) = (before.amount, report.amount);
            return Ok(Settlement::Mismatch(format!("the gateway speaks of {theirs:#}, the order of {ours:#}")));
        }
        let is_latest = self.payments.last().is_some_and(|latest| latest.id == id);
        let is_first = self.payments.first().is_some_and(|first| first.id == id);
        let named = !report.reference.is_empty();
        if named && before.reference.as_ref().is_some_and(|reference| *reference != report.reference) {
            return Ok(Settlement::Mismatch(format!("the gateway calls the payment {} now", report.reference)));
        }
        let payment = self.payment_mut(id)?;
        if named {
            payment.reference = Some(report.reference.clone());
        }
        let (status, captured) = match &report.state {
            GatewayState::Offline => (before.status, before.captured),
            GatewayState::Processing => {
                (if before.status.is_open() { PaymentStatus::Unknown } else { before.status }, 0)
            }
            GatewayState::RequiresAction(action) => {
                payment.next_action = Some(action.clone());
                (PaymentStatus::RequiresAction, 0)
            }
            GatewayState::Authorized => (PaymentStatus::Authorized, 0),
            GatewayState::Captured => (PaymentStatus::Paid, report.captured.minor),
            GatewayState::Declined(code) => {
                if before.status.is_open() {
                    payment.failure = Some(code.clone());
                }
                (PaymentStatus::Failed, 0)
            }
            GatewayState::Voided => {
                payment.failure.get_or_insert_with(|| EXPIRED.to_owned());
                (PaymentStatus::Voided, 0)
            }
        };
        // Less than the amount may be taken of what was promised or is awaited, not at checkout.
        let at_checkout = before.status.is_given_up() || order_status == OrderStatus::Pending;
        if status == PaymentStatus::Paid && at_checkout && captured != before.amount.minor {
            let (ours, theirs) = (before.amount, report.captured);
            *self.payment_mut(id)? = before;
            return Ok(Settlement::Mismatch(format!("the gateway took {theirs:#}, the order is about {ours:#}")));
        }
        // What was promised or taken before the word arrived isn't given back by an older word.
        let is_old_news = before.captured > 0
            || (before.status == PaymentStatus::Authorized && (status.is_open() || status == PaymentStatus::Failed));
        // A promise can't be built on while it is being given back.
        let is_going = before.is_being_given_up(now) && (status.is_open() || status == PaymentStatus::Authorized);
        if is_old_news
            || is_going
            || (before.status.is_given_up() && !matches!(status, PaymentStatus::Authorized | PaymentStatus::Paid))
        {
            *self.payment_mut(id)? = before;
            return Ok(Settlement::Same);
        }
        if let Err(InvalidTransition { from, to }) = payment.status.transition_to(status) {
            *self.payment_mut(id)? = before;
            return Ok(Settlement::Mismatch(format!("the gateway says the payment is {to}, which was {from}")));
        }
        payment.captured = captured;
        let outlives = order_status == OrderStatus::Pending && before.may_be_followed(is_first, status, now);
        // Whoever asked has heard an answer.
        payment.lease_until = None;
        if !status.is_open() || report.state == GatewayState::Offline {
            payment.token = None;
            payment.next_action = None;
            payment.reserved_until = payment.reserved_until.filter(|_| outlives);
        }
        if matches!(status, PaymentStatus::Authorized | PaymentStatus::Paid) {
            payment.failure = None;
        }
        let moved = *payment != before;
        let succeeded =
            matches!(status, PaymentStatus::Authorized | PaymentStatus::Paid) || report.state == GatewayState::Offline;
        if moved {
            self.payment_mut(id)?.updated_at = now;
        }
        if is_latest {
            self.payment_status = status;
        }
        let settlement = match self.status {
            // It was given up for another one, which is under way or has paid the order.
            _ if succeeded && !is_latest && before.status != status => Settlement::Late,
            OrderStatus::Pending if succeeded && is_latest => {
                self.status.transition_to(OrderStatus::Confirmed).map_err(StoreError::bug)?;
                Settlement::Confirmed
            }
            OrderStatus::Pending if status.is_given_up() && is_latest && !outlives => {
                self.status.transition_to(OrderStatus::Cancelled).map_err(StoreError::bug)?;
                self.declined = status == PaymentStatus::Failed;
                let reason = self.payment(id)?.failure.clone().unwrap_or_default();
                self.cancel_reason.get_or_insert(reason);
                for line in &mut self.lines {
                    line.cancelled = line.quantity;
                }
                Settlement::Cancelled
            }
            // Given up and then paid after all, or captured while it was being cancelled.
            OrderStatus::Cancelled if succeeded && before.status != status => Settlement::Late,
            _ if moved => Settlement::Moved,
            _ => Settlement::Same,
        };
        self.refresh_fulfilment_state().map_err(StoreError::bug)?;
        Ok(settlement)
    }

    /// Until when the goods of a pending order are reserved, and it can be paid.
    #[must_use]
    pub fn payable_until(&self) -> Option<Timestamp> {
        let latest = self.payments.last().filter(|_| self.status == OrderStatus::Pending)?;
        latest.reserved_until
    }

    /// Gives a pending order up whose latest payment has failed already. `false` if it isn't such a one.
    pub(crate) fn give_up_unpaid(&mut self, reason: &str) -> Result<bool, CommonError> {
        let has_failed = self.payments.last().is_some_and(|latest| latest.status.is_given_up());
        if self.status != OrderStatus::Pending || !has_failed {
            return Ok(false);
        }
        self.status.transition_to(OrderStatus::Cancelled).map_err(StoreError::bug)?;
        self.cancel_reason = Some(reason.to_owned());
        for line in &mut self.lines {
            line.cancelled = line.quantity;
        }
        self.payments.iter_mut().for_each(|payment| payment.reserved_until = None);
        self.refresh_fulfilment_state().map_err(StoreError::bug)?;
        Ok(true)
    }

    /// Whether it was cancelled because its payment was given up, never having been confirmed.
    pub(crate) fn was_given_up(&self) -> bool {
        let reason =
            self.cancel_reason.as_deref().filter(|reason| matches!(*reason, EXPIRED | CANCELLED | WRITTEN_OFF));
        self.status == OrderStatus::Cancelled && reason.is_some()
    }

    /// Brings an order back whose payment `was` given up as expired and succeeded after all. The units must be there: the
    /// commit's floors see to it.
    pub(crate) fn reinstate(&mut self, was: &Payment) -> Result<bool, CommonError> {
        let expired = |reason: &Option<String>| reason.as_deref() == Some(EXPIRED);
        if !expired(&self.cancel_reason) || !expired(&was.failure) {
            return Ok(false);
        }
        self.status.transition_to(OrderStatus::Confirmed).map_err(StoreError::bug)?;
        self.cancel_reason = None;
        self.declined = false;
        for line in &mut self.lines {
            line.cancelled = 0;
        }
        Ok(true)
    }
}

impl Payment {
    /// Notes that the gateway is being asked to give an open payment back.
    pub(crate) fn intend_to_give_up(&mut self, reason: &str, until: Timestamp) {
        self.failure = Some(reason.to_owned());
        self.lease_until = Some(until);
    }

    /// Takes [`Self::intend_to_give_up`] back.
    pub(crate) fn keep_open(&mut self) {
        if self.status.is_open() {
            self.failure = None;
            self.lease_until = None;
        }
    }

    /// Whether its order outlives its failure: while the goods are reserved, one that is paid again does.
    fn may_be_followed(&self, is_first: bool, status: PaymentStatus, now: Timestamp) -> bool {
        let is_superseded = self.failure.as_deref() == Some(SUPERSEDED);
        let holds = self.reserved_until.is_some_and(|until| until > now);
        holds && status.is_given_up() && (is_superseded || (!is_first && status == PaymentStatus::Failed))
    }

    fn is_being_given_up(&self, now: Timestamp) -> bool {
        self.status.is_open() && self.failure.is_some() && self.lease_until.is_some_and(|until| until > now)
    }
}
