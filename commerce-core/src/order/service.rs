//! [`Orders`]: what happens to an order after it was placed.

use std::sync::Arc;

use super::{
    FulfilmentStatus, NewParcel, Order, OrderChild, OrderError, OrderPayment, OrderQuery, OrderReturn, OrderStatus,
    ReturnStatus, Tracking,
};
use crate::{
    account::{normalise_email, token::OrderToken},
    call::{Actor, Call, Done, Permission},
    clock::Timestamp,
    engine::{Answer, Engine, Planned},
    error::{CommonError, Invalid},
    event::{DomainEvent, Notice, Task},
    fail_point::Step,
    id::{FulfilmentId, OrderId, PaymentId, RefundId, ReturnId, VariantId},
    page::{Page, PageRequest},
    payment::{
        LineQuantity, NewRefund, PaymentStatus,
        process::{Process, send},
    },
    store::{Claim, MovementKind, Root, StockDelta, StoreError},
};

/// What staff put into a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulfilmentInput {
    /// What; empty means all that is left.
    pub items: Vec<LineQuantity>,
    /// Who carries it.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// Where the customer can follow it.
    pub tracking_url: Option<String>,
}

/// What an edit of an order brings with it, in the same commit; refunds and voids are then carried out at the gateway.
#[derive(Default)]
pub(crate) struct Effects {
    pub events: Vec<DomainEvent>,
    pub notices: Vec<Notice>,
    pub stock: Vec<(VariantId, i64, MovementKind)>,
    pub refunds: Vec<RefundId>,
    pub voids: Vec<PaymentId>,
    pub captures: Vec<PaymentId>,
}

/// Orders after they were placed.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// # let mug = VariantDraft { stock: Some(10), ..VariantDraft::new("MUG", Money::parse("19.90", Currency::EUR)?) };
/// # let draft = ProductDraft { title: "Enamel mug".into(), status: ProductStatus::Active, variants: vec![mug], ..ProductDraft::default() };
/// # let mug = shop.catalog().create_product(&Call::system(), draft).await?.value.view.product.variants[0].id;
/// # shop.accounts().register(&Call::guest(), Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace")).await?;
/// # let login = shop.accounts().login(&Call::guest(), Credentials::new("ada@example.com", "difference engine no 2")).await?;
/// # let ada = Call::by(Actor::User(shop.accounts().authenticate(&login.tokens.access_token).await?));
/// # let address = PostalAddress { name: "Ada Lovelace".into(), line1: "12 St James's Square".into(), city: "London".into(), postal_code: "SW1Y 4JH".into(), country: "GB".into(), ..PostalAddress::default() };
/// # shop.carts().add_item(&ada, mug, 2, None).await?;
/// # let order = shop.checkout().place(&ada, CheckoutInput::new(address, "test")).await?.value.order;
/// let parcel = FulfilmentInput { items: vec![], carrier: "Royal Mail".into(), tracking_number: "RM1".into(), tracking_url: None };
/// let (_, parcel) = shop.orders().fulfil(&Call::system(), order.id, parcel).await?.value;
/// shop.orders().update_fulfilment(&Call::system(), parcel, FulfilmentStatus::Shipped).await?;
///
/// let tracking = shop.orders().tracking(&ada.actor, order.id).await?;
/// assert_eq!(tracking.timeline.last().unwrap().detail, "shipped with Royal Mail, RM1");
/// assert!(shop.orders().cancel(&ada, order.id).await.is_err()); // too late
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Orders {
    pub(crate) engine: Arc<Engine>,
}

impl Orders {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    pub(crate) fn process(&self) -> Process {
        Process { engine: self.engine.clone() }
    }

    /// A customer's own orders, newest first; attempts that the gateway declined are left out.
    ///
    /// # Errors
    /// [`crate::call::AccessError::Unauthenticated`] without a signed-in user.
    pub async fn mine(&self, actor: &Actor, page: &PageRequest) -> Result<Page<Order>, OrderError> {
        let customer = Some(actor.identity()?.user);
        let query = OrderQuery { customer, hide_declined: true, ..OrderQuery::default() };
        let slice = page.slice(&query)?;
        Ok(self.engine.reads().list_orders(&query, &slice).await?.page(&query))
    }

    /// Everybody's orders, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn list(&self, actor: &Actor, query: OrderQuery, page: &PageRequest) -> Result<Page<Order>, OrderError> {
        actor.require(Permission::ViewOrders)?;
        let slice = page.slice(&query)?;
        Ok(self.engine.reads().list_orders(&query, &slice).await?.page(&query))
    }

    /// An order: for its customer, for whoever holds its token, for staff.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't there or isn't theirs.
    pub async fn get(&self, actor: &Actor, id: OrderId) -> Result<Order, OrderError> {
        let order = self.process().load(id).await?;
        if self.may_see(actor, &order) { Ok(order) } else { Err(CommonError::NotFound("order").into()) }
    }

    /// An order to act on as its customer does: for those whom [`Self::get`] shows it, but of staff only for who may manage
    /// orders.
    ///
    /// # Errors
    /// As [`Self::get`]; [`crate::call::AccessError::Forbidden`] for staff who may only look.
    pub async fn get_to_act_on(&self, actor: &Actor, id: OrderId) -> Result<Order, OrderError> {
        let order = self.get(actor, id).await?;
        if matches!(actor, Actor::User(identity) if order.customer_id != Some(identity.user)) {
            actor.require(Permission::ManageOrders)?;
        }
        Ok(order)
    }

    fn may_see(&self, actor: &Actor, order: &Order) -> bool {
        match actor {
            Actor::User(identity) => {
                order.customer_id == Some(identity.user) || identity.role.allows(Permission::ViewOrders)
            }
            Actor::Guest { order: Some(token), .. } => {
                self.engine.signer.order_of(token, self.engine.now()) == Some(order.id)
            }
            Actor::Guest { order: None, .. } => false,
            Actor::System => true,
        }
    }

    /// Where an order is and what has happened to it.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn tracking(&self, actor: &Actor, id: OrderId) -> Result<Tracking, OrderError> {
        let order = self.get(actor, id).await?;
        let events = self.engine.reads().list_events(Root::Order(id)).await?;
        Ok(Tracking::of(&order, &events))
    }

    /// Finds a guest's order again by its number and e-mail address, with a fresh token for it.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if the two don't belong together.
    pub async fn lookup(&self, _call: &Call, number: &str, email: &str) -> Result<(Order, OrderToken), OrderError> {
        let not_found = || CommonError::NotFound("order");
        let number = number.trim().to_ascii_uppercase();
        let email = normalise_email(email).map_err(|_| not_found())?;
        let id = self.engine.reads().load_claim(&Claim::order_number(&number)).await?.ok_or_else(not_found)?;
        let order = self.process().load(id.into()).await?;
        if order.email != email {
            return Err(not_found().into());
        }
        let token = self.engine.signer.issue_order_token(order.id, self.engine.now());
        Ok((order, token))
    }

    /// Gives an order up before anything has left: stock goes back, the payment is voided or refunded.
    ///
    /// # Errors
    /// [`OrderError::AlreadyShipped`] afterwards; [`OrderError::PaymentBusy`] while its payment is being made.
    pub async fn cancel(&self, call: &Call, id: OrderId) -> Result<Order, OrderError> {
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                this.get_to_act_on(&call.actor, id).await?;
                this.take_out(&call, id, Vec::new(), "cancelled by the customer".to_owned()).await
            })
            .await
    }

    /// Staff's cancel: of the whole order, or of items that haven't been put into a parcel.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; else as [`Self::cancel`], and [`OrderError::QuantityExceeded`].
    pub async fn admin_cancel(
        &self,
        call: &Call,
        id: OrderId,
        items: Vec<LineQuantity>,
        reason: Option<String>,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let reason = reason.unwrap_or_else(|| "cancelled by the shop".to_owned());
        check_text(&reason, "/reason", 1, 500)?;
        let (this, call) = (self.clone(), call.clone());
        self.engine.run(async move { this.take_out(&call, id, items, reason).await }).await
    }

    async fn take_out(
        &self,
        call: &Call,
        id: OrderId,
        items: Vec<LineQuantity>,
        reason: String,
    ) -> Result<Order, OrderError> {
        let order = self.process().load(id).await?;
        if order.status == OrderStatus::Pending {
            let given_up = self.give_up_pending(order, &items).await?;
            if given_up.status != OrderStatus::Confirmed {
                return Ok(given_up);
            }
        }
        let done =
            self.edit(call, id, |order, effects, now| self.cancel_rule(order, items.clone(), &reason, effects, now));
        done.await.map(|done| done.value.0)
    }

    /// An order whose payment is open is given up at the gateway first. Its payment may turn out to have succeeded.
    async fn give_up_pending(&self, order: Order, items: &[LineQuantity]) -> Result<Order, OrderError> {
        if !items.is_empty() {
            let (from, to) = (order.status.as_str().to_owned(), "partly cancelled".to_owned());
            return Err(super::state::NoSuchMove { from, to }.into());
        }
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("a pending order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > self.engine.now()) {
            return Err(OrderError::PaymentBusy);
        }
        let given_up = self.process().give_up(order, payment.id, crate::payment::CANCELLED).await?;
        given_up.ok_or(OrderError::GatewayUnavailable)
    }

    /// What cancelling a confirmed order, or items of it, means for stock and money.
    fn cancel_rule(
        &self,
        order: &mut Order,
        items: Vec<LineQuantity>,
        reason: &str,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("an order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > now) {
            return Err(OrderError::PaymentBusy);
        }
        let taken_out = order.take_out(items, Some(reason.to_owned()))?;
        for item in &taken_out {
            effects.stock.push((item.variant_id, i64::from(item.quantity), MovementKind::Cancellation));
        }
        let whole = order.status == OrderStatus::Cancelled;
        let owed = if whole { Vec::new() } else { still_unrefunded(order, &taken_out)? };
        if whole || !owed.is_empty() {
            let refund = order.refund_owed(self.new_refund(owed, reason, now), now)?;
            effects.refunds.extend(refund.map(|refund| refund.id));
        }
        match payment.status {
            PaymentStatus::Authorized if whole => effects.voids.push(payment.id),
            PaymentStatus::Pending if whole => {
                let payment = order.payment_mut(payment.id)?;
                payment.status = PaymentStatus::Voided;
                payment.failure = Some(crate::payment::CANCELLED.to_owned());
                payment.updated_at = now;
                order.payment_status = PaymentStatus::Voided;
            }
            _ => {}
        }
        let (order, reason) = (order.id, reason.to_owned());
        if whole {
            effects.events.push(DomainEvent::OrderCancelled { order, reason });
            effects.notices.push(Notice::OrderCancelled { order });
        } else {
            effects.events.push(DomainEvent::OrderLinesCancelled { order, reason });
        }
        Ok(())
    }

    fn new_refund(&self, items: Vec<LineQuantity>, reason: &str, now: Timestamp) -> NewRefund {
        NewRefund {
            id: RefundId(self.engine.uuid()),
            amount: None,
            items,
            reason: reason.to_owned(),
            restock: true,
            return_id: None,
            lease_until: now + self.engine.settings.gateway_lease,
        }
    }

    /// Puts items into a parcel.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] unless the order is confirmed.
    pub async fn fulfil(
        &self,
        call: &Call,
        id: OrderId,
        input: FulfilmentInput,
    ) -> Result<Done<(Order, FulfilmentId)>, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let mut invalid = Invalid::default();
        invalid.check_text(&input.carrier, "/carrier", 1, 100);
        invalid.check_text(&input.tracking_number, "/tracking_number", 1, 100);
        if let Some(url) = &input.tracking_url {
            let is_url = url.len() <= 2000 && (url.starts_with("https://") || url.starts_with("http://"));
            invalid.check(is_url, "/tracking_url", "invalid_url", "must be an http or https URL");
        }
        invalid.into_result()?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let fulfilment = FulfilmentId(this.engine.uuid());
                let done = this.edit(&call, id, |order, effects, now| {
                    let FulfilmentInput { items, carrier, tracking_number, tracking_url } = input.clone();
                    order.pack(NewParcel { id: fulfilment, items, carrier, tracking_number, tracking_url }, now)?;
                    effects.events.push(DomainEvent::FulfilmentCreated { order: order.id, fulfilment });
                    Ok(fulfilment)
                });
                done.await
            })
            .await
    }

    /// Moves a parcel on: shipped, delivered, cancelled. The customer hears of it when it has left.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of parcels doesn't have the move.
    pub async fn update_fulfilment(
        &self,
        call: &Call,
        id: FulfilmentId,
        to: FulfilmentStatus,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.order_of(OrderChild::Fulfilment(id), "fulfilment").await?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let edit = this.edit(&call, order, |order, effects, now| {
                    if order.move_parcel(id, to, now)? {
                        effects.parcel_moved(order, id, to);
                    }
                    Ok(())
                });
                edit.await.map(|done| done.value.0)
            })
            .await
    }

    /// Asks to send delivered items back.
    ///
    /// # Errors
    /// [`OrderError::QuantityExceeded`] for more than was delivered and isn't on its way back.
    pub async fn request_return(
        &self,
        call: &Call,
        id: OrderId,
        items: Vec<LineQuantity>,
        reason: String,
    ) -> Result<Done<(Order, ReturnId)>, OrderError> {
        self.get_to_act_on(&call.actor, id).await?;
        check_text(&reason, "/reason", 1, 1000)?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let ret = ReturnId(this.engine.uuid());
                let edit = this.edit(&call, id, |order, effects, now| {
                    order.ask_return(ret, items.clone(), reason.clone(), now)?;
                    effects.events.push(DomainEvent::ReturnRequested { order: order.id, id: ret });
                    Ok(ret)
                });
                edit.await
            })
            .await
    }

    /// Everybody's returns, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn returns(
        &self,
        actor: &Actor,
        status: Option<ReturnStatus>,
        page: &PageRequest,
    ) -> Result<Page<OrderReturn>, OrderError> {
        actor.require(Permission::ViewOrders)?;
        let slice = page.slice(&("returns", status))?;
        Ok(self.engine.reads().list_returns(status, &slice).await?.page(&("returns", status)))
    }

    /// Everybody's payments, newest first.
    ///
    /// # Errors
    /// Needs [`Permission::ViewOrders`].
    pub async fn payments(
        &self,
        actor: &Actor,
        status: Option<PaymentStatus>,
        page: &PageRequest,
    ) -> Result<Page<OrderPayment>, OrderError> {
        actor.require(Permission::ViewOrders)?;
        let slice = page.slice(&("payments", status))?;
        Ok(self.engine.reads().list_payments(status, &slice).await?.page(&("payments", status)))
    }

    /// Decides on a return. When the goods are received, they go back into stock and their money goes back.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of returns doesn't have the move.
    pub async fn decide_return(&self, call: &Call, id: ReturnId, to: ReturnStatus) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.order_of(OrderChild::Return(id), "return").await?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let edit = this.edit(&call, order, |order, effects, now| this.return_rule(order, id, to, effects, now));
                edit.await.map(|done| done.value.0)
            })
            .await
    }

    fn return_rule(
        &self,
        order: &mut Order,
        id: ReturnId,
        to: ReturnStatus,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        let Some(received) = order.move_return(id, to, now)? else { return Ok(()) };
        for item in &received {
            effects.stock.push((item.variant_id, i64::from(item.quantity), MovementKind::Return));
        }
        let unrefunded = still_unrefunded(order, &received)?;
        if !unrefunded.is_empty() {
            let refund = NewRefund { return_id: Some(id), ..self.new_refund(unrefunded, "returned", now) };
            effects.refunds.extend(order.refund_owed(refund, now)?.map(|refund| refund.id));
        }
        let order = order.id;
        effects.events.extend(match to {
            ReturnStatus::Approved => Some(DomainEvent::ReturnApproved { order, id }),
            ReturnStatus::Rejected => Some(DomainEvent::ReturnRejected { order, id }),
            ReturnStatus::Received => Some(DomainEvent::ReturnReceived { order, id }),
            ReturnStatus::Requested => None,
        });
        Ok(())
    }

    pub(crate) async fn order_of(&self, child: OrderChild, what: &'static str) -> Result<OrderId, OrderError> {
        self.engine.reads().load_order_of(child).await?.ok_or_else(|| CommonError::NotFound(what).into())
    }

    /// Changes an order by a pure rule and commits what follows; then carries out refunds and voids at the gateway.
    /// Calls on one order take turns within the process.
    pub(crate) async fn edit<T>(
        &self,
        call: &Call,
        id: OrderId,
        rule: impl Fn(&mut Order, &mut Effects, Timestamp) -> Result<T, OrderError> + Send + Sync,
    ) -> Result<Done<(Order, T)>, OrderError>
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + Copy,
    {
        let _turn = self.engine.queues.turn(id).await;
        let rule = &rule;
        let plan = || async move {
            let planned = self.plan_edit(call, id, rule).await;
            Step::Edit.reach().await;
            planned
        };
        let done = self.engine.transact_as(call, plan, |(_, _, value): &(Order, Effects, T)| *value, |_| None).await?;
        let process = self.process();
        let (mut order, effects, value) = match done {
            Answer::Fresh(output) => output,
            Answer::Replayed(value) => return Ok(Done::again((process.load(id).await?, value))),
        };
        Step::Edited.reach().await;
        for refund in effects.refunds {
            order = process.refund(order, refund).await?.0;
        }
        for payment in effects.voids {
            order = process.void(order, payment).await?.0;
        }
        Ok(Done::fresh((order, value)))
    }

    async fn plan_edit<T>(
        &self,
        call: &Call,
        id: OrderId,
        rule: &(impl Fn(&mut Order, &mut Effects, Timestamp) -> Result<T, OrderError> + Sync),
    ) -> Result<Planned<(Order, Effects, T)>, OrderError> {
        let before = self.process().load(id).await?;
        let mut changes = self.engine.set(&call.actor);
        let (mut order, mut effects) = (before.clone(), Effects::default());
        let value = rule(&mut order, &mut effects, changes.at())?;
        if order == before {
            return Ok(Planned { changes, output: (order, effects, value) });
        }
        order.updated_at = changes.at();
        changes.update(&before, &mut order);
        let (ids, root) = (self.engine.ids(), Root::Order(id));
        for refund in &effects.refunds {
            self.process().watch_refund(&mut changes, id, *refund);
            let amount = order.refund_mut(*refund)?.amount;
            let event = DomainEvent::RefundRequested { order: id, refund: *refund, amount };
            changes.event(ids, root, order.version, event);
        }
        for payment in &effects.voids {
            let due = changes.at() + self.engine.settings.gateway_lease;
            changes.task(ids, due, Task::VoidPayment { order: id, payment: *payment });
        }
        for payment in &effects.captures {
            let due = changes.at() + self.engine.settings.gateway_lease + std::time::Duration::from_secs(1);
            changes.task(ids, due, Task::SettlePayment { order: id, payment: *payment });
        }
        if order.status == OrderStatus::Completed && before.status != OrderStatus::Completed {
            effects.events.push(DomainEvent::OrderCompleted { order: id });
        }
        for (variant, units, kind) in effects.stock.drain(..) {
            let delta = StockDelta { on_hand: units, ..StockDelta::default() };
            changes.move_stock(variant, delta, Some((kind, Some(id), None)));
        }
        for event in effects.events.drain(..) {
            changes.event(ids, root, order.version, event);
        }
        for notice in effects.notices.drain(..) {
            send(&mut changes, ids, notice);
        }
        Ok(Planned { changes, output: (order, effects, value) })
    }
}

impl Effects {
    fn parcel_moved(&mut self, order: &Order, id: FulfilmentId, to: FulfilmentStatus) {
        let Some(parcel) = order.fulfilments.iter().find(|parcel| parcel.id == id) else { return };
        let (order, fulfilment) = (order.id, id);
        self.events.extend(match to {
            FulfilmentStatus::Shipped => {
                self.notices.push(Notice::OrderShipped { order, fulfilment });
                Some(DomainEvent::FulfilmentShipped {
                    order,
                    fulfilment,
                    carrier: parcel.carrier.clone(),
                    tracking_number: parcel.tracking_number.clone(),
                })
            }
            FulfilmentStatus::Delivered => Some(DomainEvent::FulfilmentDelivered { order, fulfilment }),
            FulfilmentStatus::Cancelled => Some(DomainEvent::FulfilmentCancelled { order, fulfilment }),
            FulfilmentStatus::Pending => None,
        });
    }
}

/// Those of `items` whose money hasn't gone back yet.
fn still_unrefunded(order: &Order, items: &[LineQuantity]) -> Result<Vec<LineQuantity>, OrderError> {
    let mut unrefunded = Vec::with_capacity(items.len());
    for item in items {
        let line = order.line(item.variant_id)?;
        let quantity = item.quantity.min(line.quantity - line.refunded);
        if quantity > 0 {
            unrefunded.push(LineQuantity { quantity, ..*item });
        }
    }
    Ok(unrefunded)
}

pub(crate) fn check_text(text: &str, pointer: &str, min: usize, max: usize) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    invalid.check_text(text, pointer, min, max);
    invalid.into_result()
}
