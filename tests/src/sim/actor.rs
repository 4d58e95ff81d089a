//! Does what somebody chose to do, and says how it ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use commerce_core::{
    Commerce,
    cart::CartError,
    checkout::{Checkout, CheckoutError, PaymentChoice},
    clock::{Clock, ManualClock},
    context::{Actor, Idempotency, IdempotencyError, Identity, RequestContext, Role},
    error::CommonError,
    id::{OrderId, SessionId, UserId, VariantId},
    inventory::InventoryError,
    order::{Cancellation, FulfilmentUpdate, ItemSelection, NewReturn, Order, OrderError, ReturnDecision},
    payment::{
        NewCapture, NewRefund, PaymentGateway, PlacementOutcome, WebhookFailure,
        gateway::{GatewayEvent, GatewayPayment, GatewayState, WebhookRequest},
    },
    store::StoreError,
};

use super::{SharedState, Wire, lock};
use crate::shop::{cancel_of, eur, input, offline, parcel};

use super::op::{How, Op, latest};

/// The reason of refunds by staff.
pub(super) const SORRY: &str = "sorry";
const PENDING: &str = "Pending";

fn customer(who: u128) -> RequestContext {
    let id = uuid::Uuid::from_u128(0xC000 + who);
    RequestContext::by(Actor::User(Identity { user: UserId(id), role: Role::Customer, session: SessionId(id) }))
}

/// What a keyed call was answered first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FirstAnswer {
    pub(super) order: OrderId,
    pub(super) outcome: String,
    pub(super) step: usize,
}

/// What staff were told that adjustments added.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) units: BTreeMap<VariantId, i64>,
    pub(super) heard: BTreeSet<String>,
    pub(super) fresh: BTreeSet<String>,
}

/// What an operation needs: kept apart from the world, so that several can run at once.
pub(super) struct Hand {
    pub(super) step: usize,
    pub(super) shop: Commerce,
    pub(super) wire: Wire,
    pub(super) shared: Arc<Mutex<SharedState>>,
    pub(super) found: Arc<Mutex<Found>>,
    pub(super) answers: Arc<Mutex<BTreeMap<String, FirstAnswer>>>,
    pub(super) acknowledged: Arc<Mutex<BTreeSet<OrderId>>>,
    /// Orders of whose promise staff wanted only a part.
    pub(super) partly: Arc<Mutex<BTreeSet<OrderId>>>,
    pub(super) clock: Arc<ManualClock>,
}

impl Hand {
    pub(super) fn order(&self, id: OrderId) -> Option<Order> {
        lock(&self.shared).orders().into_iter().find(|order| order.id == id)
    }

    /// The same key must give the same answer. What was pending may have moved on; and of two calls at once, one may still
    /// hear that it is pending.
    fn answered(&self, key: &str, order: OrderId, outcome: &str) -> Result<(), String> {
        let now = FirstAnswer { order, outcome: outcome.to_owned(), step: self.step };
        let mut answers = lock(&self.answers);
        let Some(first) = answers.get(key) else {
            answers.insert(key.to_owned(), now);
            return Ok(());
        };
        let at_once = now.outcome == PENDING && first.step == now.step;
        if first.order != now.order || (first.outcome != now.outcome && first.outcome != PENDING && !at_once) {
            return Err(format!("the key {key} was answered {first:?}, and now {now:?}"));
        }
        if first.outcome == PENDING {
            answers.insert(key.to_owned(), now);
        }
        Ok(())
    }

    /// Does it, and says how it ended; an error is something that may never happen.
    pub(super) async fn perform(&self, op: &Op) -> Result<String, String> {
        let staff = self.shop.as_system();
        let (orders, payments) = (staff.orders(), staff.payments());
        match op {
            Op::Add { who, variant, units } => {
                told(self.shop.acting_as(customer(*who)).carts().add(*variant, *units).await.map(drop), cart_error)
            }
            Op::Clear { who } => told(self.shop.acting_as(customer(*who)).carts().clear().await.map(drop), cart_error),
            Op::Checkout { who, key, how } => self.checkout(*who, *key, *how).await,
            Op::Authenticate { order, success, confirm } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let payment = latest(&order).id;
                let acted = self.wire.gateway.authenticate(payment, *success);
                if acted && let Ok(Some(report)) = self.wire.gateway.retrieve(payment, None).await {
                    self.wire.say(payment, &report);
                }
                if !confirm {
                    return Ok(format!("acted {acted}"));
                }
                let confirmed = payments.confirm(order.id, payment).await;
                told(confirmed.map(drop), order_error)
            }
            Op::Cancel { order } => told(orders.cancel(*order, Cancellation::all()).await.map(drop), order_error),
            Op::CancelItems { order, items, restock } => {
                let cancellation = cancel_of(items.clone()).restock(*restock);
                told(orders.cancel(*order, cancellation).await.map(drop), order_error)
            }
            Op::Pack { order, items } => {
                told(orders.fulfil(*order, parcel(items.clone())).await.map(drop), order_error)
            }
            Op::Parcel { order, nth, to, restock } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let id = order.fulfilments[*nth].id;
                let update = FulfilmentUpdate::from(*to).restock(*restock);
                told(orders.update_fulfilment(id, update).await.map(drop), order_error)
            }
            Op::AskReturn { order, items } => {
                let asked = orders.request_return(*order, NewReturn::new(items.clone(), "no")).await;
                told(asked.map(drop), order_error)
            }
            Op::DecideReturn { order, nth, to, restock, refund } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let id = order.returns[*nth].id;
                let decision = ReturnDecision::to(*to).restock(*restock).refund(*refund);
                told(orders.decide_return(id, decision).await.map(drop), order_error)
            }
            Op::Refund { order, key, amount, items, restock } => {
                self.refund(*order, *key, *amount, items, *restock).await
            }
            Op::Capture { order, amount } => {
                if amount.is_some() {
                    lock(&self.partly).insert(*order);
                }
                told(payments.capture(NewCapture::of(*order).amount(amount.map(eur))).await.map(drop), order_error)
            }
            Op::Receive { order } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                if latest(&order).gateway != "manual" {
                    return Ok("not offline".to_owned());
                }
                told(payments.receive(latest(&order).id).await.map(drop), order_error)
            }
            Op::Adjust { variant, key, delta } => self.adjust(*variant, *key, *delta).await,
            Op::Count { variant, on_hand } => {
                let done = self
                    .shop
                    .as_system()
                    .inventory()
                    .set_stock(*variant, commerce_core::inventory::StockCount::new().on_hand(*on_hand))
                    .await;
                told(done.map(drop), inventory_error)
            }
            Op::Webhook { nth } => {
                let body = nth.to_string();
                let request = WebhookRequest { signature: None, body: body.as_bytes(), at: self.clock.now() };
                match self.shop.payment_webhook("test", &request).await {
                    Ok(()) => Ok("ok".to_owned()),
                    Err(WebhookFailure::Rejected(_)) => Ok("rejected".to_owned()),
                    Err(WebhookFailure::Failed(error)) => common(&error),
                }
            }
            Op::Bounce { order, nth } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let refund = &order.refunds[*nth];
                let Some(event) = self.wire.gateway.bounce(refund.payment_id, refund.id) else {
                    return Ok("nothing to bounce".to_owned());
                };
                lock(&self.wire.bounced).insert(refund.id, event.clone());
                lock(&self.wire.said).push(event);
                Ok("ok".to_owned())
            }
            Op::Forge { order } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let payment = latest(&order);
                let amount = eur(payment.amount.minor + 1);
                let (reference, state) = (payment.reference.clone().unwrap_or_default(), GatewayState::Captured);
                self.wire.say(payment.id, &GatewayPayment { reference, state, amount, captured: amount });
                Ok("ok".to_owned())
            }
            // The gateway takes its time over what the customer has done.
            Op::Process { order } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let payment = latest(&order);
                let (reference, state) = (payment.reference.clone().unwrap_or_default(), GatewayState::Processing);
                let (amount, captured) = (payment.amount, payment.amount.currency.zero());
                self.wire.say(payment.id, &GatewayPayment { reference, state, amount, captured });
                Ok("ok".to_owned())
            }
            Op::PayAfterAll { order } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let report =
                    order.payments.iter().find_map(|paid| Some((paid.id, self.wire.gateway.pay_after_all(paid.id)?)));
                let Some((payment, report)) = report else { return Ok("not declined".to_owned()) };
                let event = self.wire.say(payment, &report);
                lock(&self.wire.after_all).push(event);
                Ok("ok".to_owned())
            }
            Op::PayAgain { order, how } => {
                let choice = match how {
                    How::Card(token) => PaymentChoice::by("test").token((*token).to_owned()),
                    How::Offline => PaymentChoice::by("manual"),
                };
                match staff.checkout().pay_again(*order, choice).await {
                    Ok(placed) => Ok(outcome(&placed.outcome).to_owned()),
                    Err(error) => checkout_error(&error),
                }
            }
            Op::RefundPastUs { order, minor } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let made = order.payments.iter().find_map(|paid| self.wire.gateway.refund_past_us(paid.id, *minor));
                let Some(event) = made else { return Ok("nothing left".to_owned()) };
                lock(&self.wire.past_us).push(event.clone());
                lock(&self.wire.said).push(event);
                Ok("ok".to_owned())
            }
            Op::Dispute { order } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let Some(reference) = latest(&order).reference.clone() else { return Ok("not named".to_owned()) };
                lock(&self.wire.said).push(GatewayEvent::Disputed { event_id: String::new(), reference });
                Ok("ok".to_owned())
            }
            Op::Resolve { order, give_up } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let id = latest(&order).id;
                let write = if *give_up { payments.write_off(id) } else { payments.resolve(id) };
                told(write.await.map(drop), order_error)
            }
            Op::Arrive => {
                let late = lock(&self.wire.delayed).pop();
                let Some(late) = late else { return Ok("nothing".to_owned()) };
                let report = self.wire.gateway.authorize(&late).await.map_err(|error| error.to_string())?;
                self.wire.say(late.payment_id, &report);
                Ok("ok".to_owned())
            }
            Op::Tick => match self.shop.worker().tick().await {
                Ok(_) => Ok("ok".to_owned()),
                Err(error) => store(&error),
            },
        }
    }

    async fn refund(
        &self,
        order: OrderId,
        key: Option<u32>,
        amount: Option<i64>,
        items: &ItemSelection,
        restock: bool,
    ) -> Result<String, String> {
        let input = match amount {
            Some(amount) => NewRefund::amount(eur(amount)),
            None => NewRefund::items(items.clone()),
        };
        let input = input.reason(SORRY).restock(restock);
        let key = key.map(|key| format!("refund {order} {key}"));
        let call = match &key {
            Some(key) => RequestContext::system().once(Idempotency::new("staff", key, format!("{input:?}").as_bytes())),
            None => RequestContext::system(),
        };
        let done = self.shop.acting_as(&call).payments().refund(order, input).await;
        if let (Ok(done), Some(key)) = (&done, key) {
            self.answered(&key, order, &done.refund.id.to_string())?;
        }
        told(done.map(drop), order_error)
    }

    async fn adjust(&self, variant: VariantId, key: Option<u32>, delta: i64) -> Result<String, String> {
        let key = key.map(|key| format!("adjust {variant} {key}"));
        let call = match &key {
            Some(key) => RequestContext::system().once(Idempotency::new("staff", key, b"")),
            None => RequestContext::system(),
        };
        let done = self.shop.acting_as(&call).inventory().adjust(variant, delta, "found").outcome().await;
        if let Ok(done) = &done {
            let mut found = lock(&self.found);
            let Found { units, heard, fresh } = &mut *found;
            // The answer of a call that is still in doubt may be heard by its repetition first.
            let is_first = key.as_ref().is_none_or(|key| heard.insert(key.clone()));
            if is_first {
                *units.entry(variant).or_default() += delta;
            }
            if !done.replayed && key.is_some_and(|key| !fresh.insert(key)) {
                return Err("a call had its effect again under its key".to_owned());
            }
        }
        told(done.map(drop), inventory_error)
    }

    async fn checkout(&self, who: u128, key: Option<u32>, how: How) -> Result<String, String> {
        let key = key.map(|key| format!("checkout {who} {key}"));
        let call = match &key {
            Some(key) => customer(who).once(Idempotency::new("checkout", key, b"")),
            None => customer(who),
        };
        let input: Checkout = match how {
            How::Card(token) => input(token),
            How::Offline => offline(),
        };
        let placed = match self.shop.acting_as(&call).checkout().place(input).await {
            Ok(placed) => placed,
            Err(error) => return checkout_error(&error),
        };
        lock(&self.acknowledged).insert(placed.order.id);
        let outcome = outcome(&placed.outcome);
        if let Some(key) = key {
            self.answered(&key, placed.order.id, outcome)?;
        }
        Ok(outcome.to_owned())
    }
}

fn outcome(outcome: &PlacementOutcome) -> &'static str {
    match outcome {
        PlacementOutcome::Placed => "Placed",
        PlacementOutcome::ActionRequired => "ActionRequired",
        PlacementOutcome::Pending => PENDING,
        PlacementOutcome::Declined { .. } => "Declined",
    }
}

fn told<E>(result: Result<(), E>, name: fn(&E) -> Result<String, String>) -> Result<String, String> {
    match result {
        Ok(()) => Ok("ok".to_owned()),
        Err(error) => name(&error),
    }
}

fn common(error: &CommonError) -> Result<String, String> {
    Ok(match error {
        CommonError::Store(error) => return store(error),
        CommonError::NotFound(_) => "not found",
        CommonError::Invalid(_) => "invalid",
        CommonError::Idempotency(IdempotencyError::Reused) => "key reused",
        CommonError::Idempotency(IdempotencyError::InProgress) => "key in progress",
        CommonError::VersionMismatch(_) => "version mismatch",
        CommonError::Access(error) => return Err(format!("unexpected: {error}")),
        CommonError::Cursor(error) => return Err(format!("unexpected: {error}")),
    }
    .to_owned())
}

fn store(error: &StoreError) -> Result<String, String> {
    match error {
        StoreError::Unavailable(_) => Ok("store unavailable".to_owned()),
        StoreError::Unknown(_) => Ok("store unknown".to_owned()),
        StoreError::Contended => Ok("contended".to_owned()),
        StoreError::Schema(error) => Err(error.clone()),
        StoreError::Bug(error) => Err(format!("a bug: {error}")),
    }
}

fn cart_error(error: &CartError) -> Result<String, String> {
    match error {
        CartError::Common(error) => common(error),
        CartError::OutOfStock { .. } => Ok("out of stock".to_owned()),
    }
}

fn inventory_error(error: &InventoryError) -> Result<String, String> {
    match error {
        InventoryError::Common(error) => common(error),
        InventoryError::BelowReserved { .. } => Ok("below reserved".to_owned()),
    }
}

fn checkout_error(error: &CheckoutError) -> Result<String, String> {
    Ok(match error {
        CheckoutError::Common(error) => return common(error),
        CheckoutError::CartEmpty => "cart empty",
        CheckoutError::OutOfStock { .. } => "out of stock",
        CheckoutError::PriceChanged { .. } => "price changed",
        CheckoutError::NotPayable => "not payable",
        CheckoutError::PaymentBusy => "payment busy",
        CheckoutError::AmountNotPayable(_) => "amount not payable",
        CheckoutError::GatewayUnavailable => "gateway unavailable",
    }
    .to_owned())
}

fn order_error(error: &OrderError) -> Result<String, String> {
    Ok(match error {
        OrderError::Common(error) => return common(error),
        OrderError::NotAllowed(_) => "not allowed",
        OrderError::AlreadyShipped => "already shipped",
        OrderError::QuantityExceeded { .. } => "quantity exceeded",
        OrderError::RefundExceedsCaptured { .. } => "refund exceeds captured",
        OrderError::CaptureExceedsOwed { .. } => "capture exceeds owed",
        OrderError::OutOfStock { .. } => "out of stock",
        OrderError::NothingToCapture => "nothing to capture",
        OrderError::NotAwaited => "not awaited",
        OrderError::GatewayUnavailable => "gateway unavailable",
        OrderError::AmountNotPayable(_) => "amount not payable",
        OrderError::GatewayRefused(_) => "gateway refused",
        OrderError::PaymentHeld { .. } => "payment held",
        OrderError::PaymentBusy => "payment busy",
    }
    .to_owned())
}
