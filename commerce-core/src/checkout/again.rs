//! [`Checkout::pay_again`]: paying a pending order in another way, while its goods are reserved.

use std::time::Duration;

use super::{Checkout, CheckoutError, Placement, place::PriorAttempt};
use crate::{
    clock::Timestamp,
    context::{Done, RequestContext},
    error::{CommonError, Invalid},
    event::Task,
    id::{OrderId, PaymentId},
    order::{Order, OrderError, OrderStatus, Orders},
    payment::{
        Payment, PaymentMethod, PaymentStatus, PlacementOutcome,
        processor::{PaymentProcessor, PlacementRecord},
    },
    store::StoreError,
};

/// How often it starts over when the order was changed meanwhile.
const ATTEMPTS: u32 = 12;

/// How an order is to be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentChoice {
    /// One of [`Checkout::payment_methods`].
    pub method: String,
    /// The gateway's token for the customer's card or account.
    pub token: Option<String>,
}

impl Checkout {
    /// Pays a pending order again, by another card or method, while its goods are reserved. The open payment is given up at
    /// its gateway first, so that the order is never charged twice: if that has succeeded already, the order is placed by it.
    ///
    /// A decline leaves the order pending with its goods until the reservation ends: it may be paid once more. The reservation
    /// isn't prolonged.
    ///
    /// # Errors
    /// [`CheckoutError::NotPayable`] unless the order is pending and its goods are reserved, [`CheckoutError::PaymentBusy`]
    /// while its payment is being made, [`CheckoutError::AmountNotPayable`] if the method can't take its total,
    /// [`CheckoutError::GatewayUnavailable`] if a gateway can't be asked.
    pub async fn pay_again(
        &self,
        call: &RequestContext,
        id: OrderId,
        choice: PaymentChoice,
    ) -> Result<Done<Placement>, CheckoutError> {
        let (this, call) = (self.clone(), call.clone());
        self.engine.run(Box::pin(async move { this.pay_again_now(&call, id, choice).await })).await
    }

    async fn pay_again_now(
        &self,
        call: &RequestContext,
        id: OrderId,
        choice: PaymentChoice,
    ) -> Result<Done<Placement>, CheckoutError> {
        Orders::new(self.engine.clone()).get_to_act_on(&call.actor, id).await.map_err(common)?;
        let mut invalid = Invalid::default();
        let method = self.check_payment(&mut invalid, &choice.method, choice.token.as_deref());
        invalid.into_result()?;
        let Some(method) = method else { return Err(CommonError::NotFound("payment method").into()) };
        let _turn = self.engine.queues.turn(id).await;
        let processor = PaymentProcessor { engine: self.engine.clone() };
        for attempt in 1..=ATTEMPTS {
            match self.prior_attempt(call).await? {
                PriorAttempt::Nothing => {}
                PriorAttempt::Answered(record) => {
                    return Ok(Done::again(self.placement(call, record.order, record.outcome)));
                }
                PriorAttempt::Resume(order) => return Box::pin(self.resume(call, order)).await.map(Done::again),
            }
            let order = processor.load(id).await?;
            let latest = payable(&order, self.engine.now())?.clone();
            if let Some(gateway) = self.engine.gateways.get(&method.gateway) {
                gateway.amounts(latest.amount.currency).check_payment(latest.amount)?;
            }
            let order = if latest.status.is_open() {
                let superseded = Box::pin(processor.supersede(order, latest.id)).await?;
                superseded.map_err(|_| CheckoutError::GatewayUnavailable)?
            } else {
                order
            };
            if order.status != OrderStatus::Pending {
                return self.paid_already(call, order).await.map(Done::fresh);
            }
            if let Some((order, payment)) = self.intend(call, order, &choice, &method).await? {
                let order = Box::pin(self.pay(call, order, payment)).await?;
                let outcome = PlacementOutcome::of(&order);
                return Ok(Done::fresh(self.placement(call, order, outcome)));
            }
            self.engine.pause(attempt).await;
        }
        Err(StoreError::Contended.into())
    }

    /// The earlier payment had succeeded: that is the answer of this call, however often it is sent.
    async fn paid_already(&self, call: &RequestContext, order: Order) -> Result<Placement, CheckoutError> {
        let outcome = PlacementOutcome::of(&order);
        if let Some(key) = call.idempotency {
            let record = PlacementRecord { order: order.clone(), outcome: outcome.clone() };
            let mut set = self.engine.set(&call.actor);
            set.key(key, Some(order.id.0), Some(serde_json::to_value(record).map_err(StoreError::bug)?));
            // If it is taken, the same call was faster.
            let _ = self.engine.commit(&mut set).await?;
        }
        Ok(self.placement(call, order, outcome))
    }

    /// Writes the new payment down before its gateway is called. `None` if the order was changed meanwhile.
    async fn intend(
        &self,
        call: &RequestContext,
        before: Order,
        choice: &PaymentChoice,
        method: &PaymentMethod,
    ) -> Result<Option<(Order, PaymentId)>, CheckoutError> {
        let settings = &self.engine.settings;
        let mut set = self.engine.set(&call.actor);
        let now = set.at();
        let latest = payable(&before, now)?.clone();
        if latest.status.is_open() {
            return Ok(None);
        }
        let (mut after, id) = (before.clone(), PaymentId(self.engine.uuid()));
        after.payments.push(Payment {
            id,
            method: choice.method.clone(),
            gateway: method.gateway.clone(),
            status: PaymentStatus::Pending,
            amount: latest.amount,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            reference: None,
            token: choice.token.clone(),
            next_action: None,
            instructions: method.instructions.clone(),
            failure: None,
            lease_until: Some(now + settings.gateway_lease),
            reserved_until: latest.reserved_until,
            // Payments are sorted by this.
            created_at: now.max(latest.created_at + Duration::from_micros(1)),
            updated_at: now,
        });
        after.payment_status = PaymentStatus::Pending;
        after.updated_at = now;
        // The earlier call's answer stays what it was.
        after.idempotency_key = call.idempotency.map(|key| key.key);
        if let Some(key) = call.idempotency {
            set.key(key, Some(after.id.0), None);
        }
        set.update(&before, &mut after);
        let (order, payment) = (after.id, id);
        set.done(PaymentProcessor::settle_task(latest.id)).done(PaymentProcessor::expire_task(latest.id));
        let settle_at = now + settings.gateway_lease + Duration::from_secs(1);
        set.task_as(PaymentProcessor::settle_task(id), settle_at, Task::SettlePayment { order, payment });
        let expire_at = latest.reserved_until.unwrap_or(now);
        set.task_as(PaymentProcessor::expire_task(id), expire_at, Task::ExpireReservation { order, payment });
        Ok(self.engine.commit(&mut set).await?.is_ok().then_some((after, id)))
    }
}

/// The latest payment of an order that can be paid again.
fn payable(order: &Order, now: Timestamp) -> Result<&Payment, CheckoutError> {
    let latest = order.payments.last().ok_or(CheckoutError::NotPayable)?;
    if order.payable_until().is_none_or(|until| until <= now) {
        return Err(CheckoutError::NotPayable);
    }
    if latest.lease_until.is_some_and(|until| until > now) {
        return Err(CheckoutError::PaymentBusy);
    }
    Ok(latest)
}

fn common(error: OrderError) -> CheckoutError {
    match error {
        OrderError::Common(error) => error.into(),
        error => StoreError::bug(error).into(),
    }
}
