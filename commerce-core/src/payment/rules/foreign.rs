//! Refunds that were made past the shop, at the gateway itself.

use crate::{
    clock::Timestamp,
    error::{CommonError, StoreError},
    id::{PaymentId, RefundId},
    money::Money,
    order::{Order, OrderStatus, Withdrawn},
    payment::{
        Refund, RefundOrigin, RefundStatus,
        report::{GatewayRefund, GatewayRefundState},
    },
};

/// Why a refund that was made past the shop says so.
const MADE_AT_GATEWAY: &str = "refunded at the payment provider";

/// What became of a refund that was made past the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ForeignRefund {
    /// It had been booked.
    Known(RefundId),
    /// It is booked now. With the last of an order's money its units leave what is to be delivered, as by a refund of the shop's.
    Booked(Withdrawn),
    /// It is more than what is left in our books, which may lag behind: nothing was changed.
    TooMuch,
    /// It can't be of this payment: nothing was changed.
    Mismatch(String),
}

impl Order {
    /// Our id of a refund that the gateway calls so.
    pub(crate) fn refund_called(&self, payment: PaymentId, reference: &str) -> Option<RefundId> {
        let of_payment = self.refunds.iter().filter(|refund| refund.payment_id == payment);
        of_payment.into_iter().find(|refund| refund.reference.as_deref() == Some(reference)).map(|refund| refund.id)
    }

    /// Intends to send back all that is left of one payment, whichever paid the order.
    pub(crate) fn refund_payment(
        &mut self,
        payment: PaymentId,
        id: RefundId,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<Money>, CommonError> {
        let of = self.payment_mut(payment)?;
        let left = of.captured - of.refunded - of.refund_pending;
        if left <= 0 {
            return Ok(None);
        }
        of.refund_pending += left;
        of.updated_at = now;
        let amount = Money::new(left, of.amount.currency);
        self.refunds.push(Refund {
            id,
            payment_id: payment,
            amount,
            status: RefundStatus::Pending,
            origin: RefundOrigin::Shop,
            reason: reason.to_owned(),
            items: Vec::new(),
            restock: false,
            return_id: None,
            reference: None,
            failure: None,
            lease_until: Some(now),
            created_at: now,
            updated_at: now,
        });
        Ok(Some(amount))
    }

    /// Books a refund of a payment that was made past the shop, by an amount. A failed one is booked as well, without effect on
    /// the money: so that an older word of its success, which may come later, changes nothing.
    pub(crate) fn book_foreign_refund(
        &mut self,
        payment: PaymentId,
        id: RefundId,
        report: &GatewayRefund,
        now: Timestamp,
    ) -> Result<ForeignRefund, CommonError> {
        if let Some(known) = self.refund_called(payment, &report.reference) {
            return Ok(ForeignRefund::Known(known));
        }
        let of = self.payment(payment)?;
        let (theirs, ours) = (report.amount, of.amount);
        if theirs.currency != ours.currency || theirs.minor <= 0 || report.reference.is_empty() {
            return Ok(ForeignRefund::Mismatch(format!(
                "the gateway reports a refund of {theirs} {}, which can't be of a payment in {}",
                theirs.currency, ours.currency
            )));
        }
        let failure = match &report.state {
            GatewayRefundState::Failed(reason) => Some(reason.clone()),
            GatewayRefundState::Pending | GatewayRefundState::Settled => None,
        };
        if failure.is_none() && theirs.minor > of.captured - of.refunded - of.refund_pending {
            return Ok(ForeignRefund::TooMuch);
        }
        let status = if failure.is_some() { RefundStatus::Failed } else { RefundStatus::Pending };
        let is_rest = failure.is_none() && theirs == self.refundable() && self.status != OrderStatus::Cancelled;
        let items = if is_rest { self.charged_items() } else { Vec::new() };
        for item in &items {
            self.line_mut(item.variant_id)?.refunded += item.quantity;
        }
        // While nothing has left, all of it is in the house.
        let restock = is_rest && !self.has_left();
        self.refunds.push(Refund {
            id,
            payment_id: payment,
            amount: theirs,
            status,
            origin: RefundOrigin::Gateway,
            reason: MADE_AT_GATEWAY.to_owned(),
            items: items.clone(),
            restock,
            return_id: None,
            reference: Some(report.reference.clone()),
            failure,
            lease_until: None,
            created_at: now,
            updated_at: now,
        });
        if status == RefundStatus::Pending {
            let of = self.payment_mut(payment)?;
            of.refund_pending += theirs.minor;
            of.updated_at = now;
        }
        if report.state == GatewayRefundState::Settled {
            self.settle_refund(id, report, now)?;
        }
        let withdrawn = self.withdraw_refunded(&items, restock, false, MADE_AT_GATEWAY);
        Ok(ForeignRefund::Booked(withdrawn.map_err(|error| StoreError::bug(error.to_string()))?))
    }
}
