//! [`Payments`]: staff's capture and refunds, offline receipts.

use async_trait::async_trait;

use super::{
    AmountNotPayable, PaymentStatus, Refund, RefundIntent,
    gateway::{GatewayError, GatewayPayment, GatewayState},
    processor::PaymentProcessor,
};
use crate::{
    clock::Timestamp,
    context::Permission,
    engine::{Engine, Planned, Replay},
    error::Invalid,
    id::{OrderId, PaymentId, RefundId},
    money::Money,
    order::{
        Admission, EditWrite, Effects, ItemSelection, Order, OrderChild, OrderError, OrderPayment, OrderStatus, Orders,
        child_of,
    },
    page::{Page, PageRequest},
    store::MovementKind,
    write::{Operation, Outcome, PreparedWrite, Scope, Write, WriteContext},
};

/// Payments and refunds.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = NewProduct::active("Enamel mug").variant("MUG", Money::parse("19.90", Currency::EUR)?).stock(10);
/// # let mug = shop.as_system().catalog().create(mug).await?.default_variant();
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// # let ada = shop.sign_in("ada@example.com", "difference engine no 2").await?;
/// # let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
/// # ada.carts().add(mug, 2).await?;
/// # let order = ada.checkout().place(Checkout::ship_to(address).pay_with("test")).await?;
/// let five = Money::parse("5.00", Currency::EUR)?;
/// let refunded = shop.as_system().payments().refund(order.id, NewRefund::amount(five).reason("a scratch")).await?;
/// assert_eq!(refunded.refund.amount, five);
/// assert_eq!(refunded.order.payments[0].refunded, 500);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Payments {
    pub(super) scope: Scope,
}

/// Filters of the list of payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaymentQuery {
    status: Option<PaymentStatus>,
}

impl PaymentQuery {
    /// All payments.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only payments with this status; `None` for all.
    #[must_use]
    pub fn status(mut self, status: impl Into<Option<PaymentStatus>>) -> Self {
        self.status = status.into();
        self
    }
}

/// Money to be sent back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRefund {
    amount: Option<Money>,
    items: ItemSelection,
    reason: String,
    restock: bool,
}

impl NewRefund {
    /// All that was taken and hasn't gone back.
    #[must_use]
    pub const fn all() -> Self {
        Self { amount: None, items: ItemSelection::All, reason: String::new(), restock: false }
    }

    /// This much.
    #[must_use]
    pub fn amount(amount: Money) -> Self {
        Self { amount: Some(amount), ..Self::all() }
    }

    /// The share of these units in what was charged. Units that haven't left are taken out of the order.
    pub fn items(items: impl Into<ItemSelection>) -> Self {
        Self { items: items.into(), ..Self::all() }
    }

    /// Why, in at most 500 characters. It must be given.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Whether the units go back into stock. By default they don't.
    #[must_use]
    pub const fn restock(mut self, restock: bool) -> Self {
        self.restock = restock;
        self
    }

    fn check(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.check_lines(&self.reason, "/reason", 1, 500);
        let restocks_nothing = self.restock && self.items == ItemSelection::All && self.amount.is_some();
        invalid.check(!restocks_nothing, "/restock", "ambiguous", "name the items that go back into stock");
        invalid.into_result()
    }
}

/// A refund that was made, and its order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refunded {
    /// The refund. While it is pending, the worker makes sure that the gateway carries it out.
    pub refund: Refund,
    /// The order, with the refund in it.
    pub order: Order,
}

impl Payments {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    pub(super) fn orders(&self) -> Orders {
        Orders::new(self.scope.clone())
    }

    pub(super) fn processor(&self) -> PaymentProcessor {
        PaymentProcessor { engine: self.scope.engine.clone() }
    }

    /// Everybody's payments, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn list(&self, query: PaymentQuery, page: &PageRequest) -> Result<Page<OrderPayment>, OrderError> {
        self.scope.actor().require(Permission::ViewOrders)?;
        let PaymentQuery { status } = query;
        let spec = page.spec(&("payments", status))?;
        Ok(self.scope.engine.reads().list_payments(status, &spec).await?.page(&("payments", status)))
    }

    /// Sends money back. Pending refunds count as gone, so that refunds never exceed what was captured. Units whose money goes
    /// back before they have left are taken out of the order, and out of parcels that are still being packed.
    ///
    /// # Errors
    /// Needs [`Permission::Refund`]; [`OrderError::RefundExceedsCaptured`] beyond what is left.
    pub fn refund(&self, id: OrderId, refund: NewRefund) -> Write<Refunded, OrderError> {
        let payments = self.clone();
        self.scope.write(EditWrite {
            name: "payments.refund",
            input: format!("{id} {refund:?}"),
            orders: self.orders(),
            admission: Admission::Staff(Permission::Refund, id),
            checked: refund.check(),
            rule: Box::new(move |order, effects, now| payments.refund_rule(order, &refund, effects, now)),
            answer: |order, id| Ok(Refunded { refund: child_of(&order.refunds, &id)?, order }),
        })
    }

    fn refund_rule(
        &self,
        order: &mut Order,
        refund: &NewRefund,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<RefundId, OrderError> {
        let NewRefund { amount, items, reason, restock } = refund.clone();
        let id = RefundId(self.scope.engine.uuid());
        let lease_until = now + self.scope.engine.settings.gateway_lease;
        let was = order.status;
        let intent = RefundIntent { id, amount, items, reason, restock, return_id: None, lease_until };
        let (refund, goods) = order.refund_goods(intent, now)?;
        if amount.is_some() {
            self.processor().amounts(order, refund.payment_id)?.check_part(refund.amount)?;
        }
        effects.withdrawn(order, was, goods, MovementKind::Return, &refund.reason);
        effects.refunds.push(id);
        Ok(id)
    }

    /// Notes that the money of an offline payment has arrived: what is owed for the order.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAwaited`] unless the payment is an offline one and pending.
    pub fn receive(&self, id: PaymentId) -> Write<Order, OrderError> {
        self.scope.write(ReceiveWrite { payments: self.clone(), id })
    }
}

/// Books the money of an offline payment.
struct ReceiveWrite {
    payments: Payments,
    id: PaymentId,
}

impl ReceiveWrite {
    async fn admit(&self) -> Result<OrderId, OrderError> {
        self.payments.scope.actor().require(Permission::ManageOrders)?;
        self.payments.orders().order_of(OrderChild::Payment(self.id), "payment").await
    }

    async fn plan(&self, write: &WriteContext, order: OrderId) -> Result<Planned<Order>, OrderError> {
        let processor = self.payments.processor();
        let order = processor.load(order).await?;
        write.check_version(order.version)?;
        let payment = order.payment(self.id)?;
        if payment.status != PaymentStatus::Pending || order.status != OrderStatus::Confirmed {
            return Err(OrderError::NotAwaited);
        }
        let report = GatewayPayment {
            reference: payment.reference.clone().unwrap_or_default(),
            state: GatewayState::Captured,
            amount: payment.amount,
            captured: order.owed(),
        };
        Ok(processor.plan_receipt(&order, self.id, &report).await?)
    }
}

#[async_trait]
impl Operation<Order, OrderError> for ReceiveWrite {
    fn describe(&self) -> (&'static str, String) {
        ("payments.receive", self.id.to_string())
    }

    async fn run(&self, engine: &Engine, write: &WriteContext) -> Result<Outcome<Order>, OrderError> {
        let order = self.admit().await?;
        let _turn = engine.queues.turn(order).await;
        let plan = || self.plan(write, order);
        match engine.transact(&write.call, plan, |_| serde_json::to_value(()), |_| None).await? {
            Replay::Fresh(order) => Ok(Outcome::fresh(order)),
            Replay::Replayed(_) => Ok(Outcome::replayed(self.payments.processor().load(order).await?)),
        }
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<Order>, OrderError> {
        let order = self.admit().await?;
        if engine.replay::<()>(&write.call).await?.is_some() {
            let output = self.payments.processor().load(order).await?;
            return Ok(PreparedWrite { changes: engine.set(write.actor()), output, replayed: true });
        }
        let Planned { mut changes, output } = self.plan(write, order).await?;
        engine.complete(&mut changes, &write.call, || serde_json::to_value(()))?;
        Ok(PreparedWrite { changes, output, replayed: false })
    }
}

pub(super) fn unreached(error: GatewayError, amount: Money) -> OrderError {
    match error {
        GatewayError::AmountNotPayable(reason) => AmountNotPayable { amount, reason }.into(),
        GatewayError::Rejected(reason) => OrderError::GatewayRefused(reason),
        GatewayError::Unavailable(_) | GatewayError::Unknown(_) => OrderError::GatewayUnavailable,
    }
}
