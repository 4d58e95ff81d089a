//! Refunds that were made past the shop, at the gateway itself: each is booked once, whoever tells of it and how often.

use super::{ATTEMPTS, PaymentProcessor, Progress, send};
use crate::{
    alert::AlertKind,
    context::Actor,
    error::CommonError,
    event::{DomainEvent, Notice, Task},
    id::{OrderId, PaymentId, RefundId},
    order::{Effects, Order},
    payment::{
        gateway::{GatewayError, GatewayRefundState, RefundReport},
        rules::ForeignRefund,
    },
    store::{AggregateId, ChangeSet, MovementKind, StoreError},
};

impl PaymentProcessor {
    /// Takes a gateway's word on a refund of a payment: settles ours, books one that isn't. `false` if that can't be done yet.
    async fn take_refund(
        &self,
        order: Order,
        id: PaymentId,
        report: &RefundReport,
    ) -> Result<(Order, bool), CommonError> {
        match known(&order, id, report) {
            Some(ours) => Ok((self.settle_refund(order, ours, &report.refund).await?, true)),
            None => self.book_foreign(order, id, report).await,
        }
    }

    /// The same, and once more later if it can't be done yet.
    pub async fn take_refund_in_time(
        &self,
        order: Order,
        id: PaymentId,
        report: &RefundReport,
    ) -> Result<(), CommonError> {
        let (order, is_taken) = self.take_refund(order, id, report).await?;
        if is_taken { Ok(()) } else { self.look_again(order.id, id).await }
    }

    async fn book_foreign(
        &self,
        order: Order,
        id: PaymentId,
        report: &RefundReport,
    ) -> Result<(Order, bool), CommonError> {
        let (order_id, gateway_report) = (order.id, &report.refund);
        let mut before = order;
        let mut has_asked = false;
        for attempt in 1..=ATTEMPTS {
            // One of ours may have been written down after the order was read.
            if let Some(ours) = known(&before, id, report) {
                return Ok((self.settle_refund(before, ours, gateway_report).await?, true));
            }
            let mut after = before.clone();
            let mut set = self.engine.set(&Actor::System);
            let gateway = before.payment(id)?.gateway.clone();
            let refund = foreign_id(&gateway, &gateway_report.reference);
            let mut effects = Effects::default();
            match after.book_foreign_refund(id, refund, gateway_report, set.at())? {
                ForeignRefund::Known(known) => {
                    return Ok((self.settle_refund(before, known, gateway_report).await?, true));
                }
                ForeignRefund::Mismatch(detail) => {
                    let detail = format!("order {}: {detail} ({})", before.number, gateway_report.reference);
                    self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                    return Ok((before, true));
                }
                // The refund may be faster than the news that the money was taken.
                ForeignRefund::TooMuch if !has_asked => {
                    has_asked = true;
                    before = match self.catch_up(before.clone(), id).await? {
                        Ok(order) => order,
                        Err(error) => {
                            tracing::warn!(payment = %id, %error, "a refund past the shop can't be booked yet");
                            return Ok((before, false));
                        }
                    };
                    continue;
                }
                // One of ours is on its way, and the gateway will refuse it: then this one can be booked.
                ForeignRefund::TooMuch if before.payment(id)?.refund_pending > 0 => {
                    return Ok((before, false));
                }
                ForeignRefund::TooMuch => {
                    let (number, amount, theirs) = (&before.number, gateway_report.amount, &gateway_report.reference);
                    let currency = amount.currency;
                    let detail = format!(
                        "order {number}: the gateway reports a refund of {amount} {currency} ({theirs}), which is more than is left"
                    );
                    self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                    return Ok((before, true));
                }
                ForeignRefund::Booked(goods) => {
                    let (was, kind) = (before.status, MovementKind::Cancellation);
                    effects.withdrawn(&after, was, goods, kind, "refunded at the payment provider");
                }
            }
            after.updated_at = set.at();
            set.update(&before, &mut after);
            effects.write(&mut set, self.engine.ids(), &before, &after);
            self.tell_foreign(&mut set, &after, refund, report).await?;
            if self.engine.commit(&mut set).await?.is_ok() {
                return Ok((after, true));
            }
            self.engine.pause(attempt).await;
            before = self.load(order_id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// Takes the gateway's word on a payment, and on those of its refunds that are known, of which some may have failed.
    async fn catch_up(&self, order: Order, id: PaymentId) -> Result<Result<Order, GatewayError>, CommonError> {
        let mut order = match self.ask(order, id).await? {
            Ok((order, _)) => order,
            Err(error) => return Ok(Err(error)),
        };
        let payment = order.payment(id)?.clone();
        let account = match self.gateway(&payment.gateway)?.account(id, payment.reference.as_deref()).await {
            Ok(account) => account,
            Err(error) => return Ok(Err(error)),
        };
        for report in account.map(|account| account.refunds).unwrap_or_default() {
            if let Some(ours) = known(&order, id, &report) {
                order = self.settle_refund(order, ours, &report.refund).await?;
            }
        }
        Ok(Ok(order))
    }

    /// The events, mail and alert of a refund that was made past the shop.
    async fn tell_foreign(
        &self,
        set: &mut ChangeSet,
        order: &Order,
        refund: RefundId,
        report: &RefundReport,
    ) -> Result<(), CommonError> {
        let (ids, root, version, id) = (self.engine.ids(), AggregateId::Order(order.id), order.version, order.id);
        let (amount, theirs) = (report.refund.amount, &report.refund.reference);
        let how = match &report.refund.state {
            GatewayRefundState::Settled => {
                set.event(ids, root, version, DomainEvent::RefundSettled { order: id, refund, amount });
                send(set, ids, Notice::OrderRefunded { order: id, refund });
                "was refunded".to_owned()
            }
            GatewayRefundState::Pending => {
                set.event(ids, root, version, DomainEvent::RefundRequested { order: id, refund, amount });
                let due = set.at() + self.engine.settings.gateway_lease;
                Self::watch_refund(set, id, refund, due);
                "is being refunded".to_owned()
            }
            GatewayRefundState::Failed(reason) => {
                let reason = reason.clone();
                let how = format!("was to be refunded, which failed ({reason}),");
                set.event(ids, root, version, DomainEvent::RefundFailed { order: id, refund, reason });
                how
            }
        };
        let detail = format!(
            "order {}: {amount} {} {how} at the payment provider, not in the shop; it has been booked ({theirs})",
            order.number, amount.currency
        );
        self.alert(set, AlertKind::PaymentMismatch, order, detail).await
    }

    /// Has the gateway's books of a payment looked at again soon.
    async fn look_again(&self, order: OrderId, payment: PaymentId) -> Result<(), CommonError> {
        let mut set = self.engine.set(&Actor::System);
        let due = set.at() + self.engine.settings.gateway_lease;
        set.task(self.engine.ids(), due, Task::SettlePayment { order, payment });
        self.engine.commit(&mut set).await?.map(drop).map_err(|_| StoreError::Contended.into())
    }

    /// Books what the gateway's own books say of a payment's refunds.
    pub async fn sync_refunds(&self, order: Order, id: PaymentId) -> Result<(Order, Progress), CommonError> {
        let payment = order.payment(id)?.clone();
        if payment.captured == 0 || payment.amount.is_zero() {
            return Ok((order, Progress::Done));
        }
        let account = match self.gateway(&payment.gateway)?.account(id, payment.reference.as_deref()).await {
            Ok(account) => account,
            Err(error) => return Ok((order, Progress::Refused(error))),
        };
        let (mut order, mut all_taken) = (order, true);
        let mut reports = account.map(|account| account.refunds).unwrap_or_default();
        // What is known first: some of it may have failed, and its money gone back otherwise.
        reports.sort_by_key(|report| known(&order, id, report).is_none());
        for report in reports {
            let is_taken;
            (order, is_taken) = self.take_refund(order, id, &report).await?;
            all_taken &= is_taken;
        }
        let waits = Progress::Waits("a refund past the shop waits for one of ours");
        Ok((order, if all_taken { Progress::Done } else { waits }))
    }

    /// The same, now or, if the gateway can't be asked, later.
    pub async fn sync_refunds_in_time(&self, order: Order, id: PaymentId) -> Result<Order, CommonError> {
        let (order, progress) = Box::pin(self.sync_refunds(order, id)).await?;
        if progress != Progress::Done {
            tracing::warn!(payment = %id, ?progress, "the gateway's refunds can't be taken yet");
            self.look_again(order.id, id).await?;
        }
        Ok(order)
    }
}

/// Our id of a refund that the gateway reports.
fn known(order: &Order, payment: PaymentId, report: &RefundReport) -> Option<RefundId> {
    let ours = order.refunds.iter().find(|ours| ours.payment_id == payment && report.refund_id == Some(ours.id));
    ours.map(|ours| ours.id).or_else(|| order.refund_called(payment, &report.refund.reference))
}

/// The same refund has the same id, whoever hears of it.
fn foreign_id(gateway: &str, reference: &str) -> RefundId {
    use sha2::{Digest, Sha256};
    let said = Sha256::digest(format!("refund {gateway} {reference}"));
    let mut id = [0; 16];
    id.copy_from_slice(&said[..16]);
    RefundId(uuid::Builder::from_custom_bytes(id).into_uuid())
}
