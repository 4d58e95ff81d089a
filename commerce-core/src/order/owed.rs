//! What is owed for an order: one pure function, which capture, receipt, refund, cancellation and return share.

use super::{Order, OrderError, OrderLine, OrderStatus, effects::Effects};
use crate::{
    clock::Timestamp,
    error::Invalid,
    id::PaymentId,
    money::Money,
    order::LineQuantity,
    payment::{CANCELLED, NOTHING_OWED, PaymentStatus, RefundStatus},
    state::{InvalidTransition, State},
};

impl OrderLine {
    /// Units that need not be paid for: their money went back, is on its way back, or will never be taken.
    #[must_use]
    pub const fn released(&self) -> u32 {
        self.refunded.saturating_add(self.uncharged)
    }

    /// Units that are paid for, or are to be.
    #[must_use]
    pub const fn charged_units(&self) -> u32 {
        self.quantity.saturating_sub(self.released())
    }

    /// What was charged for the next `units` that need not be paid for: a difference of cumulative shares, so that all
    /// shares of a line add up to what was charged for it.
    fn share(&self, units: u32) -> i64 {
        let share = |part: u32| self.charged.cumulative_share(part, self.quantity).minor;
        share(self.released().saturating_add(units)) - share(self.released())
    }
}

impl Order {
    /// What the customer owes for the order in all, however much of it was taken: its total, less the share of units that
    /// were cancelled, came back or were refunded, less what was refunded as an amount or waived with a return. Shipping stays
    /// owed unless the whole order is cancelled; nothing is owed for a cancelled order.
    #[must_use]
    pub fn owed(&self) -> Money {
        if self.status == OrderStatus::Cancelled {
            return self.currency().zero();
        }
        let share = |line: &OrderLine| line.charged.cumulative_share(line.released(), line.quantity).minor;
        let released: i64 = self.lines.iter().map(share).sum();
        // An earlier payment that succeeded after the order had been paid in another way goes back without being owed less.
        let paying = self.payments.last().map(|payment| payment.id);
        let amounts = self.refunds.iter().filter(|refund| refund.items.is_empty() && paying == Some(refund.payment_id));
        let amounts = amounts.filter(|refund| refund.status != RefundStatus::Failed);
        let refunded: i64 = amounts.map(|refund| refund.amount.minor).sum();
        let waived: i64 = self.returns.iter().filter_map(|back| back.waived).sum();
        let owed = self.totals.grand_total.minor - released - refunded - waived;
        Money::new(owed.max(0), self.currency())
    }

    /// The share of these units in what was charged.
    pub(crate) fn share_of_items(&self, items: &[LineQuantity]) -> Result<i64, OrderError> {
        items.iter().try_fold(0, |sum, item| Ok(sum + self.line(item.variant_id)?.share(item.quantity)))
    }

    /// All units that are paid for, or are to be.
    pub(crate) fn charged_items(&self) -> Vec<LineQuantity> {
        let all =
            self.lines.iter().map(|line| LineQuantity { variant_id: line.variant_id, quantity: line.charged_units() });
        all.filter(|item| item.quantity > 0).collect()
    }

    /// Whether no more money is to come: it was taken, or nothing is owed and the promise was given back.
    pub(crate) fn is_settled(&self) -> bool {
        match self.payment_status {
            PaymentStatus::Paid | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded => true,
            PaymentStatus::Voided => self.owed().is_zero(),
            _ => false,
        }
    }

    /// While the gateway is being asked about its payment, nothing that changes what is owed may be decided.
    pub(crate) fn check_idle(&self, now: Timestamp) -> Result<(), OrderError> {
        let busy = self.payments.iter().any(|payment| payment.lease_until.is_some_and(|until| until > now));
        if busy { Err(OrderError::PaymentBusy) } else { Ok(()) }
    }

    /// Intends to capture what is owed, or so much of it: nobody else may ask the gateway until then.
    pub(crate) fn intend_capture(
        &mut self,
        amount: Option<Money>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(PaymentId, Money), OrderError> {
        if !matches!(self.status, OrderStatus::Confirmed | OrderStatus::Completed) {
            return Err(OrderError::NothingToCapture);
        }
        let owed = self.owed();
        let authorized = self.payments.iter_mut().find(|payment| payment.status == PaymentStatus::Authorized);
        let payment = authorized.ok_or(OrderError::NothingToCapture)?;
        if payment.lease_until.is_some_and(|until| until > now) {
            return Err(OrderError::PaymentBusy);
        }
        let left = Money::new(owed.minor.min(payment.amount.minor), owed.currency);
        if left.is_zero() {
            return Err(OrderError::NothingToCapture);
        }
        let amount = amount.unwrap_or(left);
        if amount.minor <= 0 {
            return Err(Invalid::field("/amount", "out_of_range", "must be more than zero").into());
        }
        amount.plus(left.currency.zero())?;
        if amount.minor > left.minor {
            return Err(OrderError::CaptureExceedsOwed { left });
        }
        payment.lease_until = Some(until);
        Ok((payment.id, amount))
    }

    /// Ends a payment that nothing is owed for any more: a promise is given back at the gateway, offline money is no longer
    /// awaited.
    pub(crate) fn end_unowed_payment(
        &mut self,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<(), InvalidTransition> {
        if self.status == OrderStatus::Pending || !self.owed().is_zero() {
            return Ok(());
        }
        let failure = if self.status == OrderStatus::Cancelled { CANCELLED } else { NOTHING_OWED };
        for payment in &mut self.payments {
            match payment.status {
                PaymentStatus::Authorized => effects.voids.push(payment.id),
                PaymentStatus::Pending => {
                    payment.status.transition_to(PaymentStatus::Voided)?;
                    payment.failure = Some(failure.to_owned());
                    payment.updated_at = now;
                }
                _ => {}
            }
        }
        if let Some(payment) = self.payments.last() {
            self.payment_status = payment.status;
        }
        self.refresh_fulfilment_state()
    }
}
