//! Giving orders up, whole or in part.

use async_trait::async_trait;

use super::{
    Effects, ItemSelection, Order, OrderError, OrderStatus, Orders,
    edit::{Executor, check_text},
};
use crate::{
    clock::Timestamp,
    context::{Permission, RequestContext},
    engine::{Engine, Planned},
    event::Task,
    id::{OrderId, PaymentId, RefundId},
    payment::{PaymentStatus, RefundIntent},
    store::{Aggregate, MovementKind, StoreError},
    write::{Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// What is cancelled of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cancellation {
    pub(super) items: ItemSelection,
    /// Who asks says it, if it isn't given.
    pub(super) reason: Option<String>,
    pub(super) restock: bool,
}

impl Cancellation {
    /// The whole order.
    #[must_use]
    pub const fn all() -> Self {
        Self { items: ItemSelection::All, reason: None, restock: true }
    }

    /// Units that haven't been put into a parcel.
    pub fn of(items: impl Into<ItemSelection>) -> Self {
        Self { items: items.into(), ..Self::all() }
    }

    /// Why, in at most 500 characters. By default: that the customer, or the shop, has cancelled it.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Whether the units go back into stock, which is the default.
    #[must_use]
    pub const fn restock(mut self, restock: bool) -> Self {
        self.restock = restock;
        self
    }

    /// Whether a customer may ask for it: it is about the whole order, and its goods go back into stock.
    fn is_open_to_customers(&self) -> bool {
        self.items == ItemSelection::All && self.restock
    }
}

impl Orders {
    /// Cancels an order before anything has left, or units of it that haven't been put into a parcel: stock goes back, the
    /// payment is voided or refunded.
    ///
    /// An order whose payment is open is given up at the gateway first. If the payment turns out to have succeeded, it is
    /// refunded. A prepared cancellation of such an order leaves both to the worker.
    ///
    /// # Errors
    /// As [`Self::get_to_act_on`] for the whole order; parts of it, and goods that don't go back into stock, need
    /// [`Permission::ManageOrders`]. [`OrderError::AlreadyShipped`] after the goods have left; [`OrderError::PaymentBusy`]
    /// while the payment is being made; [`OrderError::GatewayUnavailable`] if its gateway can't be asked;
    /// [`OrderError::QuantityExceeded`].
    pub fn cancel(&self, id: OrderId, cancellation: Cancellation) -> Write<Order, OrderError> {
        self.scope.write(CancelWrite { orders: self.clone(), id, cancellation })
    }

    /// An order whose payment is open is given up at the gateway first. Its payment may turn out to have succeeded.
    async fn give_up_pending(&self, order: Order) -> Result<Order, OrderError> {
        let payment = idle_payment(&order, self.scope.engine.now())?;
        let given_up = self.processor().give_up(order, payment, crate::payment::CANCELLED).await?;
        given_up.map_err(|_| OrderError::GatewayUnavailable)
    }

    /// Gives an order up whose offline payment hasn't come in time, unless some of it has left already.
    pub(crate) async fn cancel_unpaid(&self, id: OrderId, payment: PaymentId) -> Result<(), OrderError> {
        let write = WriteContext::from(RequestContext::system());
        let rule = |order: &mut Order, effects: &mut Effects, now: Timestamp| {
            let is_awaited = order.payment(payment)?.status == PaymentStatus::Pending;
            if order.status == OrderStatus::Confirmed && is_awaited && !order.has_left() {
                let cancellation = Cancellation::all().reason(crate::payment::UNPAID);
                let refund = self.new_refund(crate::payment::UNPAID, true, now);
                cancel_rule(order, cancellation, refund, effects, now)?;
            }
            Ok(())
        };
        self.edit(&write, id, &rule).await.map(drop)
    }

    pub(super) fn new_refund(&self, reason: &str, restock: bool, now: Timestamp) -> RefundIntent {
        RefundIntent {
            id: RefundId(self.scope.engine.uuid()),
            amount: None,
            items: ItemSelection::All,
            reason: reason.to_owned(),
            restock,
            return_id: None,
            lease_until: now + self.scope.engine.settings.gateway_lease,
        }
    }
}

/// The open payment of a pending order, unless its gateway is being asked.
fn idle_payment(order: &Order, now: Timestamp) -> Result<PaymentId, OrderError> {
    let Some(payment) = order.payments.last() else {
        return Err(StoreError::bug("a pending order without a payment").into());
    };
    if payment.lease_until.is_some_and(|until| until > now) {
        return Err(OrderError::PaymentBusy);
    }
    Ok(payment.id)
}

/// Cancels an order, or units of it.
struct CancelWrite {
    orders: Orders,
    id: OrderId,
    cancellation: Cancellation,
}

impl CancelWrite {
    /// The order, for whoever may cancel it, with the cancellation as it is carried out.
    async fn admit(&self) -> Result<(Order, Cancellation), OrderError> {
        let Cancellation { items, reason, restock } = self.cancellation.clone();
        let order = if self.cancellation.is_open_to_customers() {
            self.orders.get_to_act_on(self.id).await?
        } else {
            self.orders.scope.actor().require(Permission::ManageOrders)?;
            self.orders.processor().load(self.id).await?
        };
        let by_shop = self.orders.scope.actor().may(Permission::ManageOrders);
        let by = if by_shop { "cancelled by the shop" } else { "cancelled by the customer" };
        let reason = reason.unwrap_or_else(|| by.to_owned());
        check_text(&reason, "/reason", 1, 500)?;
        Ok((order, Cancellation { items, reason: Some(reason), restock }))
    }

    fn rule<'r>(
        &'r self,
        cancellation: &'r Cancellation,
    ) -> impl Fn(&mut Order, &mut Effects, Timestamp) -> Result<(), OrderError> + Send + Sync + 'r {
        |order, effects, now| {
            let reason = cancellation.reason.as_deref().unwrap_or_default();
            let refund = self.orders.new_refund(reason, cancellation.restock, now);
            cancel_rule(order, cancellation.clone(), refund, effects, now)
        }
    }

    /// Checks whether a pending order can be given up: as a whole, while its gateway isn't being asked.
    fn check_pending(&self, write: &WriteContext, order: &Order, now: Timestamp) -> Result<PaymentId, OrderError> {
        write.check_version(order.version)?;
        if self.cancellation.items != ItemSelection::All {
            let (from, to) = (order.status.as_str().to_owned(), "partly cancelled".to_owned());
            return Err(crate::state::InvalidTransition { from, to }.into());
        }
        idle_payment(order, now)
    }

    async fn replayed(&self, engine: &Engine, write: &WriteContext) -> Result<Option<Order>, OrderError> {
        match engine.replay::<()>(&write.call).await? {
            Some(()) => Ok(Some(self.orders.processor().load(self.id).await?)),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl Operation<Order, OrderError> for CancelWrite {
    fn describe(&self) -> (&'static str, String) {
        ("orders.cancel", format!("{} {:?}", self.id, self.cancellation))
    }

    async fn run(&self, engine: &Engine, write: &WriteContext) -> Result<Outcome<Order>, OrderError> {
        let (order, cancellation) = self.admit().await?;
        let mut write = write.clone();
        if order.status == OrderStatus::Pending {
            if let Some(order) = self.replayed(engine, &write).await? {
                return Ok(Outcome::replayed(order));
            }
            self.check_pending(&write, &order, engine.now())?;
            let given_up = self.orders.give_up_pending(order).await?;
            if given_up.status != OrderStatus::Confirmed {
                engine.remember(&write.call, &()).await?;
                return Ok(Outcome::fresh(given_up));
            }
            // Its payment has succeeded meanwhile, so that the version is another one.
            write = WriteContext::from(write.call);
        }
        let edited = self.orders.edit(&write, self.id, &self.rule(&cancellation)).await?;
        Ok(Outcome { value: edited.order, replayed: edited.replayed })
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<Order>, OrderError> {
        let (order, cancellation) = self.admit().await?;
        if let Some(output) = self.replayed(engine, write).await? {
            return Ok(PreparedWrite { changes: engine.set(write.actor()), output, replayed: true });
        }
        let (mut changes, output) = if order.status == OrderStatus::Pending {
            self.check_pending(write, &order, engine.now())?;
            let mut set = engine.set(write.actor());
            set.assert(order.root(), order.version);
            let reason = cancellation.reason.unwrap_or_default();
            let due = set.at();
            set.task(engine.ids(), due, Task::CancelOrder { order: order.id, reason });
            (set, order)
        } else {
            let rule = self.rule(&cancellation);
            let Planned { changes, output } = self.orders.plan_edit(write, self.id, &rule, Executor::Worker).await?;
            (changes, output.0)
        };
        engine.complete(&mut changes, &write.call, || serde_json::to_value(()))?;
        Ok(PreparedWrite { changes, output, replayed: false })
    }
}

/// What cancelling a confirmed order, or items of it, means for stock and money; `refund` is what a refund begins with.
pub(super) fn cancel_rule(
    order: &mut Order,
    cancellation: Cancellation,
    refund: RefundIntent,
    effects: &mut Effects,
    now: Timestamp,
) -> Result<(), OrderError> {
    let Cancellation { items, reason, restock } = cancellation;
    let reason = reason.unwrap_or_default();
    order.check_idle(now)?;
    let was = order.status;
    let goods = order.cancel_units(items, Some(reason.clone()), restock)?;
    let whole = order.status == OrderStatus::Cancelled;
    let items = if whole { ItemSelection::All } else { goods.cancelled.clone().into() };
    let refund = order.refund_owed(RefundIntent { items, ..refund }, now)?;
    effects.refunds.extend(refund.map(|refund| refund.id));
    order.end_unowed_payment(effects, now)?;
    effects.withdrawn(order, was, goods, MovementKind::Cancellation, &reason);
    Ok(())
}
