//! [`Checkouts::place`]: reserve, pay, settle.

use async_trait::async_trait;

use super::{Checkout, CheckoutError, Checkouts, Placement, reserve::Reservation};
use crate::{
    context::{Actor, IdempotencyError},
    engine::{Conflicts, Engine},
    error::CommonError,
    fail_point::FailPoint,
    id::{OrderId, PaymentId},
    order::{Executor, Order},
    payment::{
        AMOUNT_NOT_PAYABLE, AmountNotPayable, PlacementOutcome,
        gateway::GatewayError,
        processor::{PaymentProcessor, PlacementRecord},
    },
    store::StoreError,
    write::{Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// How often a checkout starts over when its cart was changed meanwhile.
const ATTEMPTS: u32 = 12;
/// How often a gateway that isn't reached is called again before the attempt is undone.
const CALLS: u32 = 3;

/// What the idempotency key says before anything is done.
pub(super) enum PriorAttempt {
    Nothing,
    Answered(Box<PlacementRecord>),
    Resume(OrderId),
}

/// Reserves an order's goods in one commit, has it paid, and settles that in another.
struct PlaceWrite {
    checkouts: Checkouts,
    checkout: Checkout,
}

#[async_trait]
impl Operation<Placement, CheckoutError> for PlaceWrite {
    fn describe(&self) -> (&'static str, String) {
        let Checkout { shipping_address, billing_address, email, shipping_method, payment, expected_total, note } =
            &self.checkout;
        let paid = (&payment.method, &payment.token, expected_total);
        let sent = (shipping_address, billing_address, email, shipping_method, note);
        ("checkout.place", format!("{sent:?} {paid:?}"))
    }

    async fn run(&self, engine: &Engine, write: &WriteContext) -> Result<Outcome<Placement>, CheckoutError> {
        let this = &self.checkouts;
        let mut checked = None;
        for attempt in 1..=ATTEMPTS {
            match this.prior_attempt(write).await? {
                PriorAttempt::Nothing => {}
                PriorAttempt::Answered(record) => {
                    return Ok(Outcome::replayed(this.placement(record.order, record.outcome)));
                }
                PriorAttempt::Resume(order) => return Box::pin(this.resume(order)).await.map(Outcome::replayed),
            }
            let checked = match &checked {
                Some(checked) => checked,
                None => checked.insert(this.check(self.checkout.clone()).await?),
            };
            let Reservation { mut set, order, payment } = match this.reserve(write, checked, Executor::Caller).await {
                Ok(reserved) => reserved,
                Err(error) => {
                    this.unless_prior(write, error).await?;
                    continue;
                }
            };
            FailPoint::Reserve.reach().await;
            match engine.commit(&mut set).await? {
                Ok(_) => {
                    FailPoint::Reserved.reach().await;
                    let order = Box::pin(this.pay(write, order, payment)).await?;
                    let outcome = PlacementOutcome::of(&order);
                    return Ok(Outcome::fresh(this.placement(order, outcome)));
                }
                Err(conflicts) => {
                    if let Err(error) = refuse(&conflicts) {
                        this.unless_prior(write, error).await?;
                    }
                }
            }
            engine.pause(attempt).await;
        }
        Err(StoreError::Contended.into())
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<Placement>, CheckoutError> {
        let this = &self.checkouts;
        if let Some(output) = this.prior_placement(write).await? {
            return Ok(PreparedWrite { changes: engine.set(write.actor()), output, replayed: true });
        }
        let checked = this.check(self.checkout.clone()).await?;
        let Reservation { set: mut changes, order, .. } = this.reserve(write, &checked, Executor::Worker).await?;
        engine.publish_events(&mut changes);
        let outcome = PlacementOutcome::of(&order);
        Ok(PreparedWrite { changes, output: this.placement(order, outcome), replayed: false })
    }
}

impl Checkouts {
    /// Places an order from the caller's cart: reserves its stock, has it paid, confirms it. Prepared, it reserves the stock;
    /// the worker has the order paid once the host has committed that.
    ///
    /// A decline is an answer ([`PlacementOutcome::Declined`]), not an error: the attempt is on record, the cart is open
    /// again. With an idempotency key, a call that is repeated after a crash goes on where the first one stopped. The version
    /// that it may be made conditional on is the cart's.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    pub fn place(&self, checkout: Checkout) -> Write<Placement, CheckoutError> {
        self.scope.write(PlaceWrite { checkouts: self.clone(), checkout })
    }

    /// How an earlier call with the same key has fared so far.
    pub(super) async fn prior_placement(&self, write: &WriteContext) -> Result<Option<Placement>, CommonError> {
        Ok(match self.prior_attempt(write).await? {
            PriorAttempt::Nothing => None,
            PriorAttempt::Answered(record) => Some(self.placement(record.order, record.outcome)),
            PriorAttempt::Resume(id) => {
                let order = self.processor().load(id).await?;
                let outcome = PlacementOutcome::of(&order);
                Some(self.placement(order, outcome))
            }
        })
    }

    /// A refusal stands unless the same call was faster, and took the cart or the goods with it: then its answer is the answer.
    async fn unless_prior(&self, write: &WriteContext, refusal: CheckoutError) -> Result<(), CheckoutError> {
        match self.prior_attempt(write).await? {
            PriorAttempt::Nothing => Err(refusal),
            PriorAttempt::Answered(_) | PriorAttempt::Resume(_) => Ok(()),
        }
    }

    /// What is known of the call's idempotency key.
    pub(super) async fn prior_attempt(&self, write: &WriteContext) -> Result<PriorAttempt, CommonError> {
        let Some(key) = write.call.idempotency else { return Ok(PriorAttempt::Nothing) };
        let Some(record) = self.scope.engine.reads().load_key(&key.key).await? else {
            return Ok(PriorAttempt::Nothing);
        };
        if record.fingerprint != key.fingerprint {
            return Err(IdempotencyError::Reused.into());
        }
        match (record.output, record.subject) {
            (Some(output), _) => {
                let record = serde_json::from_value(output).map_err(StoreError::bug)?;
                Ok(PriorAttempt::Answered(Box::new(record)))
            }
            (None, Some(order)) => Ok(PriorAttempt::Resume(OrderId(order))),
            (None, None) => Err(IdempotencyError::InProgress.into()),
        }
    }

    /// Goes on with a checkout that stopped between its commits.
    pub(super) async fn resume(&self, id: OrderId) -> Result<Placement, CheckoutError> {
        let processor = self.processor();
        let order = processor.load(id).await?;
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("an order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > self.scope.engine.now()) {
            return Err(IdempotencyError::InProgress.into());
        }
        let (order, _) = processor.resolve(order, payment.id).await?;
        let outcome = PlacementOutcome::of(&order);
        Ok(self.placement(order, outcome))
    }

    /// The order's token is the same however often it is asked for.
    pub(super) fn placement(&self, order: Order, outcome: PlacementOutcome) -> Placement {
        let guest = matches!(self.scope.actor(), Actor::Guest { .. });
        let order_token = guest.then(|| self.scope.engine.signer.issue_order_token(order.id, order.placed_at));
        Placement { order, order_token, outcome }
    }

    /// Calls the gateway and settles its answer. If the gateway certainly isn't reached, the attempt is undone, so that the
    /// customer can try again with the same cart and the same key.
    pub(super) async fn pay(
        &self,
        write: &WriteContext,
        order: Order,
        payment: PaymentId,
    ) -> Result<Order, CheckoutError> {
        let processor = self.processor();
        for attempt in 1..=CALLS {
            match processor.authorize(order.clone(), payment).await? {
                Ok(order) if order.payment(payment)?.failure.as_deref() == Some(AMOUNT_NOT_PAYABLE) => {
                    self.forget(write).await?;
                    let amount = order.payment(payment)?.amount;
                    let reason = "the payment gateway doesn't take such an amount".to_owned();
                    return Err(AmountNotPayable { amount, reason }.into());
                }
                Ok(order) => return Ok(order),
                Err(GatewayError::Unavailable(reason)) => {
                    tracing::warn!(%payment, reason, attempt, "the payment gateway isn't reached");
                }
                Err(error) => return Err(StoreError::bug(error).into()),
            }
            self.scope.engine.pause(attempt + 5).await;
        }
        let refusal = PaymentProcessor::refusal(&order, payment, "gateway_unavailable")?;
        let order = processor.settle(order, payment, &refusal).await?;
        if order.payment(payment)?.status.is_given_up() {
            self.forget(write).await?;
        }
        Err(CheckoutError::GatewayUnavailable)
    }

    /// Forgets the key of a call that came to nothing, so that it may be sent again.
    async fn forget(&self, write: &WriteContext) -> Result<(), CheckoutError> {
        if let Some(key) = write.call.idempotency {
            let mut set = self.scope.engine.set(write.actor());
            set.forget(key.key);
            self.scope.engine.commit(&mut set).await?.map_err(|_| StoreError::Contended)?;
        }
        Ok(())
    }
}

/// What a reservation's conflicts mean: an answer, or another try from fresh reads.
fn refuse(conflicts: &Conflicts) -> Result<(), CheckoutError> {
    match conflicts.short() {
        Some((variant_id, available)) if !conflicts.key_taken() => {
            Err(CheckoutError::OutOfStock { variant_id, available })
        }
        _ => Ok(()),
    }
}
