//! [`Payments`]: staff's capture and refunds, the customer's 3-D Secure, offline receipts, webhooks.

use std::sync::Arc;

use super::{
    AmountNotPayable, NewRefund, PaymentStatus, PlacementOutcome,
    gateway::{GatewayError, GatewayEvent, GatewayPayment, GatewayState, RefundReport, WebhookError, WebhookRequest},
    processor::{PaymentProcessor, Progress},
    rules::WRITTEN_OFF,
};
use crate::{
    alert::AlertKind,
    checkout::Placement,
    context::{Actor, Done, Idempotency, Permission, RequestContext},
    engine::Engine,
    error::{CommonError, Invalid},
    event::DomainEvent,
    id::{OrderId, PaymentId, RefundId},
    money::Money,
    order::{ItemSelection, Order, OrderChild, OrderError, OrderPayment, OrderStatus, Orders},
    page::{Page, PageRequest},
    store::{AggregateId, Claim, MovementKind},
};

/// A refund that staff give: by amount, by items, or (no amount, all items) of all that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundInput {
    /// How much.
    pub amount: Option<Money>,
    /// For which items; their share of what was charged. All, with an amount, is no choice of items.
    pub items: ItemSelection,
    /// Why.
    pub reason: String,
    /// Whether the items go back into stock.
    pub restock: bool,
}

/// Payments, refunds and webhooks.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = VariantDraft { stock: Some(10), ..VariantDraft::new("MUG", Money::parse("19.90", Currency::EUR)?) };
/// # let draft = ProductDraft { title: "Enamel mug".into(), status: ProductStatus::Active, variants: vec![mug], ..ProductDraft::default() };
/// # let mug = shop.catalog().create_product(&RequestContext::system(), draft).await?.value.view.product.variants[0].id;
/// # shop.as_guest().accounts().register(Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// # let ada = RequestContext::from(shop.sign_in("ada@example.com", "difference engine no 2").await?.actor());
/// # let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
/// # shop.acting_as(&ada).carts().add(mug, 2).await?;
/// # let order = shop.checkout().place(&ada, CheckoutInput::new(address, "test")).await?.value.order;
/// let five = Some(Money::parse("5.00", Currency::EUR)?);
/// let refund = RefundInput { amount: five, items: ItemSelection::All, reason: "a scratch".into(), restock: false };
/// let (order, _) = shop.payments().refund(&RequestContext::system(), order.id, refund).await?.value;
/// assert_eq!(order.payments[0].refunded, 500);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Payments {
    pub(super) engine: Arc<Engine>,
}

impl Payments {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    fn orders(&self) -> Orders {
        Orders::new(self.engine.clone())
    }

    pub(super) fn processor(&self) -> PaymentProcessor {
        PaymentProcessor { engine: self.engine.clone() }
    }

    /// Everybody's payments, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn list(
        &self,
        actor: &Actor,
        status: Option<PaymentStatus>,
        page: &PageRequest,
    ) -> Result<Page<OrderPayment>, OrderError> {
        self.orders().payments(actor, status, page).await
    }

    /// Takes the promised money of an order: what is owed, or so much of it. A payment is captured once, as gateways have it:
    /// what isn't taken of the promise lapses.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NothingToCapture`] unless a payment is authorised and something is
    /// owed, [`OrderError::CaptureExceedsOwed`] for more than that.
    pub async fn capture(
        &self,
        call: &RequestContext,
        id: OrderId,
        amount: Option<Money>,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let lease = this.engine.settings.gateway_lease;
                let orders = this.orders();
                let intend = orders.edit(&call, id, |order, effects, now| {
                    let (payment, amount) = order.intend_capture(amount, now + lease, now)?;
                    effects.captures.push(payment);
                    Ok((payment, amount))
                });
                let (order, (payment, amount)) = intend.await?.value;
                let result = this.processor().capture(order, payment, amount).await?;
                let failed = match result {
                    Ok(order) => return Ok(order),
                    Err(failed) => failed,
                };
                // While the outcome is unknown the lease holds, so that nobody builds on it before recovery has looked.
                if !matches!(failed, GatewayError::Unknown(_)) {
                    this.release_lease(&call, id, payment).await?;
                }
                Err(unreached(failed, amount))
            })
            .await
    }

    async fn release_lease(&self, call: &RequestContext, id: OrderId, payment: PaymentId) -> Result<(), OrderError> {
        let (orders, call) = (self.orders(), RequestContext { idempotency: None, ..call.clone() });
        let release = orders.edit(&call, id, |order, _, _| {
            order.payment_mut(payment)?.lease_until = None;
            Ok(())
        });
        release.await.map(drop)
    }

    /// Sends money back. Pending refunds count as gone, so that refunds never exceed what was captured. Units whose money goes
    /// back before they have left are taken out of the order, and out of parcels that are still being packed.
    ///
    /// # Errors
    /// Needs [`Permission::Refund`]; [`OrderError::RefundExceedsCaptured`] beyond what is left.
    pub async fn refund(
        &self,
        call: &RequestContext,
        id: OrderId,
        input: RefundInput,
    ) -> Result<Done<(Order, RefundId)>, OrderError> {
        call.actor.require(Permission::Refund)?;
        let mut invalid = Invalid::default();
        invalid.check_lines(&input.reason, "/reason", 1, 500);
        let restocks_nothing = input.restock && input.items == ItemSelection::All && input.amount.is_some();
        invalid.check(!restocks_nothing, "/restock", "ambiguous", "name the items that go back into stock");
        invalid.into_result()?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let refund_id = RefundId(this.engine.uuid());
                let lease = this.engine.settings.gateway_lease;
                let orders = this.orders();
                let edit = orders.edit(&call, id, |order, effects, now| {
                    let RefundInput { amount, items, reason, restock } = input.clone();
                    let new = NewRefund {
                        id: refund_id,
                        amount,
                        items,
                        reason,
                        restock,
                        return_id: None,
                        lease_until: now + lease,
                    };
                    let (was, is_amount) = (order.status, new.amount.is_some());
                    let (refund, goods) = order.refund_goods(new, now)?;
                    if is_amount {
                        this.processor().amounts(order, refund.payment_id)?.check_part(refund.amount)?;
                    }
                    effects.withdrawn(order, was, goods, MovementKind::Return, &refund.reason);
                    effects.refunds.push(refund_id);
                    Ok(refund_id)
                });
                edit.await
            })
            .await
    }

    /// After 3-D Secure: asks the gateway how the payment stands, and settles it.
    ///
    /// # Errors
    /// As [`Orders::get`].
    pub async fn confirm(
        &self,
        call: &RequestContext,
        id: OrderId,
        payment: PaymentId,
    ) -> Result<Placement, OrderError> {
        let order = self.orders().get(&call.actor, id).await?;
        order.payment(payment)?;
        let this = self.clone();
        let order = self
            .engine
            .run(async move {
                let _turn = this.engine.queues.turn(id).await;
                this.processor().resolve(order, payment).await
            })
            .await?
            .0;
        let outcome = PlacementOutcome::of(&order);
        Ok(Placement { order, order_token: None, outcome })
    }

    /// Notes that the money of an offline payment has arrived: what is owed for the order.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAwaited`] unless the payment is an offline one and pending.
    pub async fn receive(&self, call: &RequestContext, id: PaymentId) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.orders().order_of(OrderChild::Payment(id), "payment").await?;
        let this = self.clone();
        self.engine
            .run(async move {
                let _turn = this.engine.queues.turn(order).await;
                let order = this.processor().load(order).await?;
                let payment = order.payment(id)?.clone();
                let awaited = payment.status == PaymentStatus::Pending && order.status == OrderStatus::Confirmed;
                if !awaited {
                    return Err(OrderError::NotAwaited);
                }
                let gateway_report = GatewayPayment {
                    reference: payment.reference.clone().unwrap_or_default(),
                    state: GatewayState::Captured,
                    amount: payment.amount,
                    captured: order.owed(),
                };
                Ok(this.processor().settle(order, id, &gateway_report).await?)
            })
            .await
    }

    /// Asks the gateway how a payment stands and settles it by its word; refunds that were made at the gateway are booked. For
    /// staff who won't wait for recovery, or whom an
    /// alert has told that it is stuck. With `give_up`, a payment that stays open, of which the gateway holds no money (any
    /// more), is written off: its promise is given back, its order cancelled, its stock released.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::PaymentBusy`] while its gateway is being asked,
    /// [`OrderError::GatewayUnavailable`] if it can't be; [`OrderError::PaymentHeld`] if it holds money of a payment that is
    /// to be given up; [`OrderError::NotAllowed`] to give up what isn't open.
    pub async fn resolve(&self, call: &RequestContext, id: PaymentId, give_up: bool) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.orders().order_of(OrderChild::Payment(id), "payment").await?;
        let this = self.clone();
        self.engine
            .run(async move {
                let _turn = this.engine.queues.turn(order).await;
                let processor = this.processor();
                let order = processor.load(order).await?;
                let amount = order.payment(id)?.amount;
                if order.payment(id)?.lease_until.is_some_and(|until| until > this.engine.now()) {
                    return Err(OrderError::PaymentBusy);
                }
                let (order, gateway_report) =
                    processor.ask(order, id).await?.map_err(|error| unreached(error, amount))?;
                let (order, progress) = Box::pin(processor.sync_refunds(order, id)).await?;
                match progress {
                    Progress::Done => {}
                    Progress::Waits(_) => return Err(OrderError::PaymentBusy),
                    Progress::Refused(error) => return Err(unreached(error, amount)),
                }
                if !give_up || order.status == OrderStatus::Cancelled {
                    return Ok(order);
                }
                let status = order.payment(id)?.status;
                if order.status != OrderStatus::Pending {
                    let (from, to) = (status.as_str().to_owned(), "given up".to_owned());
                    return Err(crate::state::InvalidTransition { from, to }.into());
                }
                match processor
                    .held_money(&order, id, gateway_report)
                    .await
                    .map_err(|error| unreached(error, amount))?
                {
                    Some(held) => Err(OrderError::PaymentHeld { held }),
                    None => {
                        let order = processor.write_off(order, id, WRITTEN_OFF).await?;
                        Ok(processor.give_up_unpaid(order, id, WRITTEN_OFF).await?)
                    }
                }
            })
            .await
    }

    /// Takes a gateway's webhook. The signature is checked first; then the payment is settled by the same function that
    /// serves checkout and recovery, which changes nothing if the word is old or doesn't match the order.
    ///
    /// # Errors
    /// [`WebhookFailure::Rejected`] if it can't be believed; [`WebhookFailure::Failed`] if the store failed: the gateway
    /// sends it again.
    pub async fn webhook(&self, gateway: &str, request: &WebhookRequest<'_>) -> Result<(), WebhookFailure> {
        let Some(gateway) = self.engine.gateways.get(gateway) else {
            return Err(CommonError::NotFound("payment gateway").into());
        };
        let event = gateway.webhook(request)?;
        let (this, code) = (self.clone(), gateway.code().to_owned());
        Ok(self.engine.run(async move { this.take(&code, event).await }).await?)
    }

    async fn take(&self, gateway: &str, event: GatewayEvent) -> Result<(), CommonError> {
        match event {
            GatewayEvent::Payment { reference, payment_id, payment, .. } => {
                let Some((order, id)) = self.find(gateway, &reference, payment_id).await? else { return Ok(()) };
                let _turn = self.engine.queues.turn(order.id).await;
                self.processor().settle(order, id, &payment).await.map(drop)
            }
            GatewayEvent::Refund { payment_reference, refund_id, refund, .. } => {
                let Some((order, payment)) = self.find(gateway, &payment_reference, None).await? else { return Ok(()) };
                let _turn = self.engine.queues.turn(order.id).await;
                let order = self.processor().load(order.id).await?;
                let report = RefundReport { refund_id, refund };
                Box::pin(self.processor().take_refund_in_time(order, payment, &report)).await
            }
            GatewayEvent::Refunds { payment_reference, .. } => {
                let Some((order, payment)) = self.find(gateway, &payment_reference, None).await? else { return Ok(()) };
                let _turn = self.engine.queues.turn(order.id).await;
                let order = self.processor().load(order.id).await?;
                Box::pin(self.processor().sync_refunds_in_time(order, payment)).await.map(drop)
            }
            GatewayEvent::Disputed { reference, .. } => {
                let Some((order, payment)) = self.find(gateway, &reference, None).await? else { return Ok(()) };
                self.dispute(order, payment).await
            }
            GatewayEvent::Foreign { account, reference, payment_id, .. } => {
                let Some((order, _)) = self.find(gateway, &reference, payment_id).await? else { return Ok(()) };
                let detail = format!("order {}: the gateway speaks of account {account}, not of ours", order.number);
                self.processor().raise(AlertKind::PaymentMismatch, &order, detail).await.map(drop)
            }
            GatewayEvent::Other => Ok(()),
        }
    }

    /// Marks the order's history and alerts staff: each once, however often it is told.
    async fn dispute(&self, order: Order, payment: PaymentId) -> Result<(), CommonError> {
        let id = order.id;
        let detail = format!("order {}: the customer disputes the payment at their bank", order.number);
        self.processor().raise(AlertKind::PaymentDisputed, &order, detail).await?;
        let marks =
            |event: &DomainEvent| matches!(event, DomainEvent::PaymentDisputed { payment: p, .. } if *p == payment);
        if self.engine.reads().list_events(AggregateId::Order(id)).await?.iter().any(|record| marks(&record.event)) {
            return Ok(());
        }
        // Two who look at once both find nothing: the key lets one of them write.
        let once = Idempotency::new("gateway", &format!("dispute {payment}"), b"");
        let (orders, call) = (self.orders(), RequestContext::system().once(once));
        let edit = orders.edit(&call, id, |order, effects, now| {
            order.payment_mut(payment)?.updated_at = now;
            effects.events.push(DomainEvent::PaymentDisputed { order: order.id, payment });
            Ok(())
        });
        match edit.await {
            Ok(_) => Ok(()),
            Err(OrderError::Common(error)) => Err(error),
            Err(error) => Err(crate::store::StoreError::bug(error).into()),
        }
    }

    /// The order and payment that a webhook speaks of, if they are ours.
    async fn find(
        &self,
        gateway: &str,
        reference: &str,
        payment: Option<PaymentId>,
    ) -> Result<Option<(Order, PaymentId)>, CommonError> {
        let reads = self.engine.reads();
        let order = match reads.load_claim(&Claim::gateway_ref(gateway, reference)).await? {
            Some(order) => Some(OrderId(order)),
            None => match payment {
                Some(payment) => reads.load_order_of(OrderChild::Payment(payment)).await?,
                None => None,
            },
        };
        let Some(order) = order else { return Ok(None) };
        let Some(order) = reads.load_order(order).await? else { return Ok(None) };
        let ours = order.payments.iter().find(|ours| {
            ours.gateway == gateway && (payment == Some(ours.id) || ours.reference.as_deref() == Some(reference))
        });
        Ok(ours.map(|ours| ours.id).map(|id| (order, id)))
    }
}

fn unreached(error: GatewayError, amount: Money) -> OrderError {
    match error {
        GatewayError::AmountNotPayable(reason) => AmountNotPayable { amount, reason }.into(),
        GatewayError::Rejected(reason) => OrderError::GatewayRefused(reason),
        GatewayError::Unavailable(_) | GatewayError::Unknown(_) => OrderError::GatewayUnavailable,
    }
}

/// Why a webhook wasn't taken.
#[derive(Debug, thiserror::Error)]
pub enum WebhookFailure {
    /// It can't be believed.
    #[error(transparent)]
    Rejected(#[from] WebhookError),
    /// It is believed, but couldn't be written down.
    #[error(transparent)]
    Failed(#[from] CommonError),
}
