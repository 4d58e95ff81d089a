//! [`Checkouts::pay_again`]: paying a pending order in another way, while its goods are reserved.

use std::time::Duration;

use async_trait::async_trait;

use super::{CheckoutError, Checkouts, PaymentChoice, Placement, place::PriorAttempt};
use crate::{
    clock::Timestamp,
    engine::Engine,
    error::{CommonError, Invalid},
    event::Task,
    id::{OrderId, PaymentId},
    order::{Executor, Order, OrderError, OrderStatus, Orders},
    payment::{
        Payment, PaymentMethod, PaymentStatus, PlacementOutcome,
        processor::{PaymentProcessor, PlacementRecord},
    },
    store::{ChangeSet, StoreError},
    write::{Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// How often it starts over when the order was changed meanwhile.
const ATTEMPTS: u32 = 12;

/// Gives the open payment of an order up, intends another one in a commit, has it made, and settles that.
struct PayAgainWrite {
    checkouts: Checkouts,
    id: OrderId,
    choice: PaymentChoice,
}

impl PayAgainWrite {
    async fn admit(&self) -> Result<PaymentMethod, CheckoutError> {
        Orders::new(self.checkouts.scope.clone()).get_to_act_on(self.id).await.map_err(common)?;
        let mut invalid = Invalid::default();
        let method = self.checkouts.check_payment(&mut invalid, &self.choice);
        invalid.into_result()?;
        method.ok_or_else(|| CommonError::NotFound("payment method").into())
    }
}

/// The latest payment of an order, if the order can be paid again by this method.
fn payable_by<'o>(engine: &Engine, order: &'o Order, method: &PaymentMethod) -> Result<&'o Payment, CheckoutError> {
    let latest = payable(order, engine.now())?;
    if let Some(gateway) = engine.gateways.get(&method.gateway) {
        gateway.amounts(latest.amount.currency).check_payment(latest.amount)?;
    }
    Ok(latest)
}

#[async_trait]
impl Operation<Placement, CheckoutError> for PayAgainWrite {
    fn describe(&self) -> (&'static str, String) {
        let PaymentChoice { method, token } = &self.choice;
        ("checkout.pay_again", format!("{} {method:?} {token:?}", self.id))
    }

    async fn run(&self, engine: &Engine, write: &WriteContext) -> Result<Outcome<Placement>, CheckoutError> {
        let (this, id) = (&self.checkouts, self.id);
        let method = self.admit().await?;
        let _turn = engine.queues.turn(id).await;
        let processor = this.processor();
        for attempt in 1..=ATTEMPTS {
            match this.prior_attempt(write).await? {
                PriorAttempt::Nothing => {}
                PriorAttempt::Answered(record) => {
                    return Ok(Outcome::replayed(this.placement(record.order, record.outcome)));
                }
                PriorAttempt::Resume(order) => return Box::pin(this.resume(order)).await.map(Outcome::replayed),
            }
            let order = processor.load(id).await?;
            if attempt == 1 {
                write.check_version(order.version)?;
            }
            let latest = payable_by(engine, &order, &method)?.clone();
            let order = if latest.status.is_open() {
                let superseded = Box::pin(processor.supersede(order, latest.id)).await?;
                superseded.map_err(|_| CheckoutError::GatewayUnavailable)?
            } else {
                order
            };
            if order.status != OrderStatus::Pending {
                return this.paid_already(write, order).await.map(Outcome::fresh);
            }
            if !payable(&order, engine.now())?.status.is_open() {
                let planned = this.intend(write, &order, &self.choice, &method, Executor::Caller)?;
                let IntendedPayment { mut set, order, payment } = planned;
                if engine.commit(&mut set).await?.is_ok() {
                    let order = Box::pin(this.pay(write, order, payment)).await?;
                    let outcome = PlacementOutcome::of(&order);
                    return Ok(Outcome::fresh(this.placement(order, outcome)));
                }
            }
            engine.pause(attempt).await;
        }
        Err(StoreError::Contended.into())
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<Placement>, CheckoutError> {
        let this = &self.checkouts;
        let method = self.admit().await?;
        if let Some(output) = this.prior_placement(write).await? {
            return Ok(PreparedWrite { changes: engine.set(write.actor()), output, replayed: true });
        }
        let order = this.processor().load(self.id).await?;
        write.check_version(order.version)?;
        payable_by(engine, &order, &method)?;
        let intended = this.intend(write, &order, &self.choice, &method, Executor::Worker)?;
        let IntendedPayment { set: mut changes, order, .. } = intended;
        engine.publish_events(&mut changes);
        let outcome = PlacementOutcome::of(&order);
        Ok(PreparedWrite { changes, output: this.placement(order, outcome), replayed: false })
    }
}

/// Another payment of an order, to be written down before its gateway is called.
struct IntendedPayment {
    set: ChangeSet,
    order: Order,
    payment: PaymentId,
}

impl Checkouts {
    /// Pays a pending order again, by another card or method, while its goods are reserved. The open payment is given up at
    /// its gateway first, so that the order is never charged twice: if that has succeeded already, the order is placed by it.
    /// Prepared, the new payment is written down; once the host has committed that, the worker gives the open one up, and then
    /// has the new one made.
    ///
    /// A decline leaves the order pending with its goods until the reservation ends: it may be paid once more. The reservation
    /// isn't prolonged.
    ///
    /// # Errors
    /// [`CheckoutError::NotPayable`] unless the order is pending and its goods are reserved, [`CheckoutError::PaymentBusy`]
    /// while its payment is being made, [`CheckoutError::AmountNotPayable`] if the method can't take its total,
    /// [`CheckoutError::GatewayUnavailable`] if a gateway can't be asked.
    pub fn pay_again(&self, id: OrderId, choice: impl Into<PaymentChoice>) -> Write<Placement, CheckoutError> {
        self.scope.write(PayAgainWrite { checkouts: self.clone(), id, choice: choice.into() })
    }

    /// The earlier payment had succeeded: that is the answer of this call, however often it is sent.
    async fn paid_already(&self, write: &WriteContext, order: Order) -> Result<Placement, CheckoutError> {
        let outcome = PlacementOutcome::of(&order);
        if let Some(key) = write.call.idempotency {
            let record = PlacementRecord { order: order.clone(), outcome: outcome.clone() };
            let mut set = self.scope.engine.set(write.actor());
            set.key(key, Some(order.id.0), Some(serde_json::to_value(record).map_err(StoreError::bug)?));
            // If it is taken, the same call was faster.
            let _ = self.scope.engine.commit(&mut set).await?;
        }
        Ok(self.placement(order, outcome))
    }

    fn intend(
        &self,
        write: &WriteContext,
        before: &Order,
        choice: &PaymentChoice,
        method: &PaymentMethod,
        executor: Executor,
    ) -> Result<IntendedPayment, CheckoutError> {
        let settings = &self.scope.engine.settings;
        let mut set = self.scope.engine.set(write.actor());
        let now = set.at();
        let latest = payable(before, now)?.clone();
        let lease_until = (executor == Executor::Caller).then(|| now + settings.gateway_lease);
        let (mut after, id) = (before.clone(), PaymentId(self.scope.engine.uuid()));
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
            lease_until,
            reserved_until: latest.reserved_until,
            // Payments are sorted by this.
            created_at: now.max(latest.created_at + Duration::from_micros(1)),
            updated_at: now,
        });
        after.payment_status = PaymentStatus::Pending;
        after.updated_at = now;
        // The earlier call's answer stays what it was.
        after.idempotency_key = write.call.idempotency.map(|key| key.key);
        if let Some(key) = write.call.idempotency {
            set.key(key, Some(after.id.0), None);
        }
        set.update(before, &mut after);
        let (order, payment) = (after.id, id);
        set.done(PaymentProcessor::settle_task(latest.id)).done(PaymentProcessor::expire_task(latest.id));
        let settle_at = lease_until.map_or(now, |until| until + Duration::from_secs(1));
        set.task_as(PaymentProcessor::settle_task(id), settle_at, Task::SettlePayment { order, payment });
        let expire_at = latest.reserved_until.unwrap_or(now);
        set.task_as(PaymentProcessor::expire_task(id), expire_at, Task::ExpireReservation { order, payment });
        Ok(IntendedPayment { set, order: after, payment: id })
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
