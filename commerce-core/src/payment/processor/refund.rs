//! Money going back.

use super::{ATTEMPTS, PaymentProcessor, Progress, send};
use crate::{
    alert::AlertKind,
    clock::Timestamp,
    context::Actor,
    error::CommonError,
    event::{DomainEvent, Notice, Task},
    fail_point::FailPoint,
    id::{OrderId, RefundId},
    order::Order,
    payment::{
        RefundOrigin, RefundStatus,
        gateway::{GatewayError, GatewayRefund, GatewayRefundState, RefundRequest},
        rules::RefundSettlement,
    },
    store::{AggregateId, ChangeSet, StoreError},
};

impl PaymentProcessor {
    /// Registers the money of a refund as on its way back: part of the set that intends it.
    pub fn watch_refund(set: &mut ChangeSet, order: OrderId, refund: RefundId, due: Timestamp) {
        set.task_as(Self::refund_task(refund), due, Task::SettleRefund { order, refund });
    }

    /// Sends the money of a pending refund back and settles the gateway's answer.
    pub async fn refund(&self, order: Order, id: RefundId) -> Result<(Order, Progress), CommonError> {
        let Some(refund) = order.refunds.iter().find(|refund| refund.id == id).cloned() else {
            return Err(CommonError::NotFound("refund"));
        };
        if refund.status != RefundStatus::Pending {
            return Ok((order, Progress::Done));
        }
        let payment = order.payment(refund.payment_id)?.clone();
        // Made at the gateway: it is asked about, never asked for.
        if refund.origin == RefundOrigin::Gateway {
            let (order, progress) = Box::pin(self.sync_refunds(order, payment.id)).await?;
            let is_open = order.refunds.iter().any(|r| r.id == id && r.status == RefundStatus::Pending);
            let waits = Progress::Waits("the gateway hasn't decided on the refund yet");
            return Ok((order, if progress == Progress::Done && is_open { waits } else { progress }));
        }
        let request = RefundRequest {
            refund_id: id,
            payment_id: payment.id,
            reference: payment.reference.clone().unwrap_or_default(),
            amount: refund.amount,
        };
        let answer = self.gateway(&payment.gateway)?.refund(&request).await;
        FailPoint::Refunded.reach().await;
        let report = match answer {
            Ok(report) if report.state == GatewayRefundState::Pending => {
                return Ok((order, Progress::Waits("the gateway hasn't decided on the refund yet")));
            }
            Ok(report) => report,
            Err(GatewayError::Rejected(reason) | GatewayError::AmountNotPayable(reason)) => GatewayRefund {
                reference: String::new(),
                state: GatewayRefundState::Failed(reason),
                amount: refund.amount,
            },
            Err(error) => {
                tracing::warn!(refund = %id, %error, "the refund isn't settled yet");
                return Ok((order, Progress::Refused(error)));
            }
        };
        let is_refused = matches!(report.state, GatewayRefundState::Failed(_));
        let order = self.settle_refund(order, id, &report).await?;
        // Perhaps because money went back past the shop, of which nobody has told.
        let order = if is_refused { Box::pin(self.sync_refunds_in_time(order, payment.id)).await? } else { order };
        Ok((order, Progress::Done))
    }

    /// Takes a gateway's word on a refund.
    pub async fn settle_refund(
        &self,
        order: Order,
        id: RefundId,
        report: &GatewayRefund,
    ) -> Result<Order, CommonError> {
        let order_id = order.id;
        let mut before = order;
        for attempt in 1..=ATTEMPTS {
            let mut after = before.clone();
            let mut set = self.engine.set(&Actor::System);
            match after.settle_refund(id, report, set.at())? {
                RefundSettlement::Same => return Ok(before),
                RefundSettlement::Moved => {}
                RefundSettlement::Mismatch(detail) => {
                    self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                    return Ok(before);
                }
            }
            after.updated_at = set.at();
            set.update(&before, &mut after);
            let (ids, root, version) = (self.engine.ids(), AggregateId::Order(after.id), after.version);
            let refund = after.refund_mut(id)?.clone();
            set.done(Self::refund_task(id));
            if refund.status == RefundStatus::Settled {
                let event = DomainEvent::RefundSettled { order: order_id, refund: id, amount: refund.amount };
                set.event(ids, root, version, event);
                send(&mut set, ids, Notice::OrderRefunded { order: order_id, refund: id });
            } else {
                let reason = refund.failure.clone().unwrap_or_default();
                let was_settled = before.refund_mut(id)?.status == RefundStatus::Settled;
                let when = if was_settled { " after it had been settled: the money is back" } else { "" };
                let (amount, number) = (refund.amount, &after.number);
                let detail = format!("a refund of {amount:#} for order {number} failed{when}: {reason}");
                set.event(ids, root, version, DomainEvent::RefundFailed { order: order_id, refund: id, reason });
                self.alert(&mut set, AlertKind::RefundFailed, &after, detail).await?;
            }
            FailPoint::SettleRefund.reach().await;
            if self.engine.commit(&mut set).await?.is_ok() {
                FailPoint::RefundSettled.reach().await;
                return Ok(after);
            }
            self.engine.pause(attempt).await;
            before = self.load(order_id).await?;
        }
        Err(StoreError::Contended.into())
    }
}
