//! What may go back, and what a gateway's word does to it.

use crate::{
    clock::Timestamp,
    error::{CommonError, Invalid, StoreError},
    id::{RefundId, ReturnId},
    money::Money,
    order::{ItemSelection, LineQuantity, Order, OrderError, OrderLine, OrderStatus, Withdrawn, merge_items},
    payment::{
        PaymentStatus, Refund, RefundOrigin, RefundStatus,
        report::{GatewayRefund, GatewayRefundState},
    },
    state::State,
};

/// A refund to be intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefundIntent {
    pub id: RefundId,
    pub amount: Option<Money>,
    pub items: ItemSelection,
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

    /// Intends a refund: by amount, by items, or of everything that is left. Pending money counts as gone. With the last of
    /// an order's money all its units count as refunded.
    pub(crate) fn intend_refund(&mut self, new: RefundIntent, now: Timestamp) -> Result<Refund, OrderError> {
        let left = self.refundable();
        let (amount, items) = match (new.amount, new.items.clone()) {
            (Some(_), ItemSelection::Only(_)) => {
                return Err(Invalid::field("/amount", "ambiguous", "give an amount or items, not both").into());
            }
            (Some(amount), ItemSelection::All) => {
                check_amount(amount, left, "/amount")?;
                (amount, if amount == left { self.charged_items() } else { Vec::new() })
            }
            (None, ItemSelection::All) => (left, self.charged_items()),
            (None, items) => {
                let items = self.select_units(items, OrderLine::charged_units)?;
                let share = self.share_of_items(&items)?.min(left.minor);
                (Money::new(share, left.currency), items)
            }
        };
        if amount.is_zero() && !left.is_zero() {
            return Err(Invalid::field("/items", "nothing_charged", "nothing was charged for these items").into());
        }
        let refund = self.book_refund(RefundIntent { amount: Some(amount), ..new }, items, now)?;
        for item in &refund.items {
            self.line_mut(item.variant_id)?.refunded += item.quantity;
        }
        Ok(refund)
    }

    /// Intends a refund, and takes its units out of what is to be delivered.
    pub(crate) fn refund_goods(
        &mut self,
        new: RefundIntent,
        now: Timestamp,
    ) -> Result<(Refund, Withdrawn), OrderError> {
        let (restock, named) = (new.restock, new.items != ItemSelection::All);
        let refund = self.intend_refund(new, now)?;
        let withdrawn = self.withdraw_refunded(&refund.items, restock, named, &refund.reason)?;
        Ok((refund, withdrawn))
    }

    /// Stops charging for items that were cancelled or came back, or for everything, and intends a refund of what was taken
    /// beyond what is owed now. `None` if that is nothing: they were free, or weren't paid for yet.
    pub(crate) fn refund_owed(&mut self, new: RefundIntent, now: Timestamp) -> Result<Option<Refund>, OrderError> {
        let items = match new.items.clone() {
            ItemSelection::All => self.charged_items(),
            ItemSelection::Only(items) => {
                let charged = |item: &LineQuantity| self.line(item.variant_id).map_or(0, OrderLine::charged_units);
                let named = items.into_iter().filter(|item| item.quantity > 0).collect();
                let capped = merge_items(named)?
                    .into_iter()
                    .map(|item| LineQuantity { quantity: item.quantity.min(charged(&item)), ..item });
                capped.filter(|item| item.quantity > 0).collect()
            }
        };
        let share = self.share_of_items(&items)?;
        for item in &items {
            self.line_mut(item.variant_id)?.uncharged += item.quantity;
        }
        let left = self.refundable();
        let beyond = left.minor - self.owed().minor;
        let amount = if new.items == ItemSelection::All { beyond } else { beyond.min(share) };
        if amount <= 0 {
            return Ok(None);
        }
        for item in &items {
            let line = self.line_mut(item.variant_id)?;
            line.uncharged -= item.quantity;
            line.refunded += item.quantity;
        }
        let new = RefundIntent { amount: Some(Money::new(amount, left.currency)), ..new };
        self.book_refund(new, items, now).map(Some)
    }

    /// Intends a refund of what was taken beyond what is owed: units were cancelled or came back while the money was on its
    /// way, or the order was given up.
    pub(crate) fn refund_excess(&mut self, new: RefundIntent, now: Timestamp) -> Result<Option<Refund>, OrderError> {
        let left = self.refundable();
        let excess = left.minor - self.owed().minor;
        if excess <= 0 {
            return Ok(None);
        }
        let is_given_up = self.status == OrderStatus::Cancelled;
        let mut items = Vec::new();
        for line in &mut self.lines {
            let quantity = if is_given_up { line.quantity - line.refunded } else { line.uncharged };
            line.uncharged -= line.uncharged.min(quantity);
            line.refunded += quantity;
            items.extend((quantity > 0).then_some(LineQuantity { variant_id: line.variant_id, quantity }));
        }
        if items.is_empty() {
            // The refund of an amount takes the place of what was waived.
            self.returns.iter_mut().for_each(|back| back.waived = None);
        }
        let new = RefundIntent { amount: Some(Money::new(excess, left.currency)), ..new };
        self.book_refund(new, items, now).map(Some)
    }

    /// Gives an amount for a return: money that was taken goes back, money that wasn't need not be paid.
    pub(crate) fn refund_return(
        &mut self,
        id: ReturnId,
        new: RefundIntent,
        amount: Money,
        now: Timestamp,
    ) -> Result<Option<Refund>, OrderError> {
        let is_taken = self.payments.iter().any(|payment| payment.captured > 0);
        let left = if is_taken { self.refundable() } else { self.owed() };
        check_amount(amount, left, "/refund/amount")?;
        if is_taken {
            return self.book_refund(RefundIntent { amount: Some(amount), ..new }, Vec::new(), now).map(Some);
        }
        let back = self.returns.iter_mut().find(|back| back.id == id).ok_or(CommonError::NotFound("return"))?;
        back.waived = Some(amount.minor);
        Ok(None)
    }

    fn book_refund(
        &mut self,
        new: RefundIntent,
        items: Vec<LineQuantity>,
        now: Timestamp,
    ) -> Result<Refund, OrderError> {
        let left = self.refundable();
        let amount = new.amount.unwrap_or(left);
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

    /// Takes a gateway's word on a refund. A refund that had been settled may still fail, when the customer's bank sends the
    /// money back; one that has failed has failed for good.
    pub(crate) fn settle_refund(
        &mut self,
        id: RefundId,
        report: &GatewayRefund,
        now: Timestamp,
    ) -> Result<RefundSettlement, CommonError> {
        let before = self.refund_mut(id)?.clone();
        if report.amount != before.amount {
            let (ours, theirs) = (before.amount, report.amount);
            return Ok(RefundSettlement::Mismatch(format!(
                "the gateway speaks of a refund of {theirs:#}, not {ours:#}"
            )));
        }
        let named = !report.reference.is_empty();
        if named && before.reference.as_ref().is_some_and(|reference| *reference != report.reference) {
            return Ok(RefundSettlement::Mismatch(format!("the gateway calls the refund {} now", report.reference)));
        }
        let (status, failure) = match &report.state {
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
            refund.reference = Some(report.reference.clone());
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
        payment.status.transition_to(next).map_err(StoreError::bug)?;
        if self.payments.last().is_some_and(|latest| latest.id == before.payment_id) {
            self.payment_status = next;
        }
        Ok(RefundSettlement::Moved)
    }
}

/// An amount to send back must be more than zero, and no more than there is.
fn check_amount(amount: Money, left: Money, pointer: &str) -> Result<(), OrderError> {
    if amount.minor <= 0 {
        return Err(Invalid::field(pointer, "out_of_range", "must be more than zero").into());
    }
    amount.plus(left.currency.zero())?;
    if amount.minor > left.minor { Err(OrderError::RefundExceedsCaptured { left }) } else { Ok(()) }
}
