//! A gateway's word on a payment, taken: one commit of all that follows from it, which [`consequences`](super::consequences)
//! lists.

use super::consequences::{Lost, Settled};
use super::{ATTEMPTS, PaymentProcessor, PlacementOutcome, PlacementRecord};
use crate::{
    alert::AlertKind,
    context::Actor,
    engine::Planned,
    error::CommonError,
    fail_point::FailPoint,
    id::PaymentId,
    order::Order,
    payment::{
        Payment, PaymentStatus,
        gateway::{GatewayPayment, GatewayState},
        rules::Settlement,
    },
    store::{ChangeSet, Claim, ClaimKind, StoreError},
};

/// What a gateway's word comes to.
enum Decision {
    /// Nothing new.
    Nothing,
    /// It can't be about the order as it is.
    Mismatch(String),
    /// This is to be committed, and makes the order this.
    Commit(Box<(ChangeSet, Order)>),
}

impl PaymentProcessor {
    /// Takes a gateway's word on a payment: one commit of all that follows from it. `order` is the order as last read; it
    /// is read again if it has changed since.
    pub async fn settle(&self, order: Order, id: PaymentId, report: &GatewayPayment) -> Result<Order, CommonError> {
        self.settle_as(order, id, report, None).await
    }

    /// Like [`Self::settle`]; a payment that was given back counts as given up for `failure`.
    pub(super) async fn settle_as(
        &self,
        order: Order,
        id: PaymentId,
        report: &GatewayPayment,
        failure: Option<&str>,
    ) -> Result<Order, CommonError> {
        self.settle_if(order, id, report, failure, |_| true).await
    }

    pub(super) async fn settle_if(
        &self,
        order: Order,
        id: PaymentId,
        report: &GatewayPayment,
        failure: Option<&str>,
        applies: fn(&Payment) -> bool,
    ) -> Result<Order, CommonError> {
        let order_id = order.id;
        let (mut before, mut lost) = (order, Lost::default());
        for attempt in 1..=ATTEMPTS {
            if !applies(before.payment(id)?) {
                return Ok(before);
            }
            let (mut set, after) = match Box::pin(self.decide(&before, id, report, failure, lost)).await? {
                Decision::Nothing => return Ok(before),
                Decision::Mismatch(detail) => {
                    self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                    return Ok(before);
                }
                Decision::Commit(planned) => *planned,
            };
            FailPoint::Settle.reach().await;
            match self.engine.commit(&mut set).await? {
                Ok(_) => {
                    FailPoint::Settled.reach().await;
                    return Ok(after);
                }
                Err(conflicts) => {
                    if conflicts.taken(ClaimKind::GatewayRef) && !self.is_ours(&before, id, report).await? {
                        let detail = format!("the gateway's reference {} belongs to another payment", report.reference);
                        self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                        return Ok(before);
                    }
                    lost.cart |= conflicts.taken(ClaimKind::OpenCart);
                    lost.goods |= conflicts.short().is_some();
                }
            }
            self.engine.pause(attempt).await;
            before = self.load(order_id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// What the receipt of an awaited payment would commit.
    pub async fn plan_receipt(
        &self,
        order: &Order,
        id: PaymentId,
        report: &GatewayPayment,
    ) -> Result<Planned<Order>, CommonError> {
        match self.decide(order, id, report, None, Lost::default()).await? {
            Decision::Commit(planned) => Ok(Planned { changes: planned.0, output: planned.1 }),
            Decision::Nothing => Err(StoreError::bug("an awaited payment can't be received").into()),
            Decision::Mismatch(detail) => Err(StoreError::bug(detail).into()),
        }
    }

    /// What a gateway's word comes to, for an order as it was read.
    async fn decide(
        &self,
        before: &Order,
        id: PaymentId,
        report: &GatewayPayment,
        failure: Option<&str>,
        lost: Lost,
    ) -> Result<Decision, CommonError> {
        let (mut after, mut set) = (before.clone(), self.engine.set(&Actor::System));
        if let (Some(failure), GatewayState::Voided) = (failure, &report.state) {
            after.payment_mut(id)?.failure.get_or_insert_with(|| failure.to_owned());
        }
        let settlement = match after.settle_payment(id, report, set.at())? {
            Settlement::Same => return Ok(Decision::Nothing),
            Settlement::Mismatch(detail) => return Ok(Decision::Mismatch(detail)),
            settlement => settlement,
        };
        let settled = Settled { before, payment: id, settlement, lost };
        let answers = self.write_consequences(&mut set, &mut after, settled).await?;
        if let (true, Some(key)) = (answers, after.idempotency_key)
            && !self.was_answered(before, id, &key).await?
        {
            let record = PlacementRecord { order: after.clone(), outcome: PlacementOutcome::of(&after) };
            set.answer(key, serde_json::to_value(record).map_err(StoreError::bug)?);
        }
        Ok(Decision::Commit(Box::new((set, after))))
    }

    /// Whether the checkout of a payment in doubt was answered before: that the customer must act, which they did.
    async fn was_answered(&self, order: &Order, id: PaymentId, key: &[u8; 32]) -> Result<bool, CommonError> {
        if order.payment(id)?.status != PaymentStatus::Unknown {
            return Ok(false);
        }
        Ok(self.engine.reads().load_key(key).await?.is_some_and(|record| record.output.is_some()))
    }

    /// Whether a gateway's reference that is taken was taken for this very order: by a webhook that was faster than the answer.
    async fn is_ours(&self, order: &Order, id: PaymentId, report: &GatewayPayment) -> Result<bool, CommonError> {
        let claim = Claim::gateway_ref(&order.payment(id)?.gateway, &report.reference);
        Ok(self.engine.reads().load_claim(&claim).await? == Some(order.id.0))
    }
}
