//! What may go back, and what a gateway's word does to it.

use super::bug;
use crate::{
    clock::Timestamp,
    error::{CommonError, Invalid},
    id::{RefundId, ReturnId},
    money::Money,
    order::{Order, OrderError, OrderLine, state::State},
    payment::{
        LineQuantity, PaymentStatus, Refund, RefundOrigin, RefundStatus,
        gateway::{GatewayRefund, GatewayRefundState},
    },
};

/// A refund to be intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewRefund {
    pub id: RefundId,
    pub amount: Option<Money>,
    pub items: Vec<LineQuantity>,
    pub reason: String,
    pub restock: bool,
    pub return_id: Option<ReturnId>,
    pub lease_until: Timestamp,
}

/// What a gateway's word did to a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RefundSettlement {
    /// Nothing new.
    Same,
    /// The refund is settled, or has failed.
    Moved,
    /// The gateway speaks of another amount or refund: nothing was changed.
    Mismatch(String),
}

impl Order {
    pub(crate) fn refund_mut(&mut self, id: RefundId) -> Result<&mut Refund, CommonError> {
        self.refunds.iter_mut().find(|refund| refund.id == id).ok_or(CommonError::NotFound("refund"))
    }

    /// What was taken and hasn't gone back, nor is on its way back.
    pub(crate) fn refundable(&self) -> Money {
        let left =
            self.payments.iter().map(|payment| payment.captured - payment.refunded - payment.refund_pending).sum();
        Money::new(left, self.currency())
    }

    /// Intends a refund: by amount, by items, or of everything that is left. Pending money counts as gone.
    pub(crate) fn intend_refund(&mut self, new: NewRefund, now: Timestamp) -> Result<Refund, OrderError> {
        let left = self.refundable();
        let (amount, items) = match (new.amount, new.items.clone()) {
            (Some(_), items) if !items.is_empty() => {
                return Err(Invalid::field("/amount", "ambiguous", "give an amount or items, not both").into());
            }
            (Some(amount), _) => {
                if amount.minor <= 0 {
                    return Err(Invalid::field("/amount", "out_of_range", "must be more than zero").into());
                }
                amount.plus(left.currency.zero())?;
                (amount, Vec::new())
            }
            (None, items) => self.owed(items, left)?,
        };
        if amount.is_zero() && !left.is_zero() {
            return Err(Invalid::field("/items", "nothing_charged", "nothing was charged for these items").into());
        }
        self.book_refund(NewRefund { amount: Some(amount), items, ..new }, now)
    }

    /// Intends a refund of what is owed for items that were cancelled or came back, or of everything if none are named.
    /// `None` if that is nothing: they were free, weren't paid yet, or their money has gone back already.
    pub(crate) fn refund_owed(&mut self, new: NewRefund, now: Timestamp) -> Result<Option<Refund>, OrderError> {
        let (amount, items) = self.owed(new.items.clone(), self.refundable())?;
        if amount.is_zero() {
            return Ok(None);
        }
        self.book_refund(NewRefund { amount: Some(amount), items, ..new }, now).map(Some)
    }

    fn owed(&mut self, items: Vec<LineQuantity>, left: Money) -> Result<(Money, Vec<LineQuantity>), OrderError> {
        if items.is_empty() { Ok((left, self.refund_all_lines())) } else { self.share_of(items, left) }
    }

    fn book_refund(&mut self, new: NewRefund, now: Timestamp) -> Result<Refund, OrderError> {
        let left = self.refundable();
        let (amount, items) = (new.amount.unwrap_or(left), new.items);
        if amount.minor > left.minor || amount.is_zero() {
            return Err(OrderError::RefundExceedsCaptured { left });
        }
        // Orders have one captured payment; should there be more, each refund is taken from the first that can bear it.
        let payment = self
            .payments
            .iter_mut()
            .find(|payment| payment.captured - payment.refunded - payment.refund_pending >= amount.minor)
            .ok_or(OrderError::RefundExceedsCaptured { left })?;
        payment.refund_pending += amount.minor;
        payment.updated_at = now;
        let refund = Refund {
            id: new.id,
            payment_id: payment.id,
            amount,
            status: RefundStatus::Pending,
            origin: RefundOrigin::Shop,
            reason: new.reason,
            items,
            restock: new.restock,
            return_id: new.return_id,
            reference: None,
            failure: None,
            lease_until: Some(new.lease_until),
            created_at: now,
            updated_at: now,
        };
        self.refunds.push(refund.clone());
        Ok(refund)
    }

    fn refund_all_lines(&mut self) -> Vec<LineQuantity> {
        let left =
            |line: &OrderLine| LineQuantity { variant_id: line.variant_id, quantity: line.quantity - line.refunded };
        let items = self.lines.iter().map(left).filter(|item| item.quantity > 0).collect();
        self.lines.iter_mut().for_each(|line| line.refunded = line.quantity);
        items
    }

    /// The money for items: the cumulative share of what was charged for each line, so that shares always add up; no more
    /// than is left.
    fn share_of(&mut self, items: Vec<LineQuantity>, left: Money) -> Result<(Money, Vec<LineQuantity>), OrderError> {
        let items = self.pick(items, |line| line.quantity - line.refunded)?;
        let mut amount = left.currency.zero();
        for item in &items {
            let line = self.line_mut(item.variant_id)?;
            let before = line.charged.cumulative_share(line.refunded, line.quantity);
            line.refunded += item.quantity;
            let after = line.charged.cumulative_share(line.refunded, line.quantity);
            amount = amount.plus(after.minus(before)?)?;
        }
        Ok((Money::new(amount.minor.min(left.minor), left.currency), items))
    }

    /// Takes a gateway's word on a refund. A refund that had been settled may still fail, when the customer's bank sends the
    /// money back; one that has failed has failed for good.
    pub(crate) fn settle_refund(
        &mut self,
        id: RefundId,
        word: &GatewayRefund,
        now: Timestamp,
    ) -> Result<RefundSettlement, CommonError> {
        let before = self.refund_mut(id)?.clone();
        if word.amount != before.amount {
            let (ours, theirs) = (before.amount, word.amount);
            return Ok(RefundSettlement::Mismatch(format!(
                "the gateway speaks of a refund of {theirs:?}, not {ours:?}"
            )));
        }
        let named = !word.reference.is_empty();
        if named && before.reference.as_ref().is_some_and(|reference| *reference != word.reference) {
            return Ok(RefundSettlement::Mismatch(format!("the gateway calls the refund {} now", word.reference)));
        }
        let (status, failure) = match &word.state {
            GatewayRefundState::Pending => (RefundStatus::Pending, None),
            GatewayRefundState::Settled => (RefundStatus::Settled, None),
            GatewayRefundState::Failed(reason) => (RefundStatus::Failed, Some(reason.clone())),
        };
        if before.status == status || !before.status.may_become(status) {
            return Ok(RefundSettlement::Same);
        }
        let refund = self.refund_mut(id)?;
        refund.status = status;
        refund.failure = failure;
        refund.lease_until = None;
        refund.updated_at = now;
        if named {
            refund.reference = Some(word.reference.clone());
        }
        if status == RefundStatus::Failed {
            for item in &before.items {
                self.line_mut(item.variant_id)?.refunded -= item.quantity;
            }
        }
        let payment = self.payment_mut(before.payment_id)?;
        match before.status {
            RefundStatus::Pending => payment.refund_pending -= before.amount.minor,
            RefundStatus::Settled | RefundStatus::Failed => payment.refunded -= before.amount.minor,
        }
        if status == RefundStatus::Settled {
            payment.refunded += before.amount.minor;
        }
        payment.updated_at = now;
        let next = match payment.refunded {
            0 => PaymentStatus::Paid,
            all if all == payment.captured => PaymentStatus::Refunded,
            _ => PaymentStatus::PartiallyRefunded,
        };
        payment.status.become_(next).map_err(bug)?;
        if self.payments.last().is_some_and(|latest| latest.id == before.payment_id) {
            self.payment_status = next;
        }
        Ok(RefundSettlement::Moved)
    }
}
