//! [`Payments::capture`]: taking promised money.

use async_trait::async_trait;

use super::{PaymentStatus, Payments, gateway::GatewayError, service::unreached};
use crate::{
    clock::Timestamp,
    context::{Permission, RequestContext},
    engine::{Engine, Planned},
    id::{OrderId, PaymentId},
    money::Money,
    order::{Edited, Effects, Executor, Order, OrderError},
    write::{Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// Promised money to be taken: all that is owed for an order, unless an amount is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewCapture {
    order: OrderId,
    amount: Option<Money>,
}

impl NewCapture {
    /// All that is owed for an order.
    #[must_use]
    pub const fn of(order: OrderId) -> Self {
        Self { order, amount: None }
    }

    /// Only this much; `None` for all that is owed.
    #[must_use]
    pub fn amount(mut self, amount: impl Into<Option<Money>>) -> Self {
        self.amount = amount.into();
        self
    }
}

impl From<OrderId> for NewCapture {
    fn from(order: OrderId) -> Self {
        Self::of(order)
    }
}

impl Payments {
    /// Takes the promised money of an order: what is owed, or so much of it. A payment is captured once, as gateways have it:
    /// what isn't taken of the promise lapses.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NothingToCapture`] unless a payment is authorised and something is
    /// owed, [`OrderError::CaptureExceedsOwed`] for more than that, [`OrderError::PaymentBusy`] while its gateway is being
    /// asked, [`OrderError::GatewayRefused`] and [`OrderError::GatewayUnavailable`] by the gateway.
    pub fn capture(&self, capture: impl Into<NewCapture>) -> Write<Order, OrderError> {
        self.scope.write(CaptureWrite { payments: self.clone(), capture: capture.into() })
    }
}

/// Intends a capture in one commit, asks the gateway, and settles its answer in another.
struct CaptureWrite {
    payments: Payments,
    capture: NewCapture,
}

impl CaptureWrite {
    fn intend(
        &self,
        order: &mut Order,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<(PaymentId, Money), OrderError> {
        let until = now + self.payments.scope.engine.settings.gateway_lease;
        let intended = order.intend_capture(self.capture.amount, until, now)?;
        effects.captures.push(intended);
        Ok(intended)
    }

    async fn release_lease(&self, write: &WriteContext, payment: PaymentId) -> Result<(), OrderError> {
        let write = WriteContext::from(RequestContext { idempotency: None, ..write.call.clone() });
        let rule = |order: &mut Order, _: &mut Effects, _: Timestamp| {
            order.payment_mut(payment)?.lease_until = None;
            Ok(())
        };
        self.payments.orders().edit(&write, self.capture.order, &rule).await.map(drop)
    }
}

#[async_trait]
impl Operation<Order, OrderError> for CaptureWrite {
    fn describe(&self) -> (&'static str, String) {
        ("payments.capture", format!("{:?}", self.capture))
    }

    async fn run(&self, _engine: &Engine, write: &WriteContext) -> Result<Outcome<Order>, OrderError> {
        write.actor().require(Permission::ManageOrders)?;
        let rule = |order: &mut Order, effects: &mut Effects, now: Timestamp| self.intend(order, effects, now);
        let intended = self.payments.orders().edit(write, self.capture.order, &rule).await?;
        let Edited { order, kept: (payment, amount), replayed } = intended;
        // An earlier call with the same key may have stopped before it reached the gateway.
        if replayed && order.payment(payment)?.status != PaymentStatus::Authorized {
            return Ok(Outcome::replayed(order));
        }
        let failed = match Box::pin(self.payments.processor().capture(order, payment, amount)).await? {
            Ok(order) => return Ok(Outcome { value: order, replayed }),
            Err(failed) => failed,
        };
        // While the outcome is unknown the lease holds, so that nobody builds on it before recovery has looked.
        if !matches!(failed, GatewayError::Unknown(_)) {
            self.release_lease(write, payment).await?;
        }
        Err(unreached(failed, amount))
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<Order>, OrderError> {
        write.actor().require(Permission::ManageOrders)?;
        let (orders, id) = (self.payments.orders(), self.capture.order);
        if engine.replay::<(PaymentId, Money)>(&write.call).await?.is_some() {
            let output = self.payments.processor().load(id).await?;
            return Ok(PreparedWrite { changes: engine.set(write.actor()), output, replayed: true });
        }
        let rule = |order: &mut Order, effects: &mut Effects, now: Timestamp| self.intend(order, effects, now);
        let Planned { mut changes, output: (order, _, kept) } =
            orders.plan_edit(write, id, &rule, Executor::Worker).await?;
        engine.complete(&mut changes, &write.call, || serde_json::to_value(kept))?;
        Ok(PreparedWrite { changes, output: order, replayed: false })
    }
}
