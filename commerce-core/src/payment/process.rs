//! Money in motion: every gateway call is *Intend* (a commit) – *Call* – *Settle* (a commit), and nothing is held while calling.
//!
//! One settle function serves API answers, webhooks and recovery: [`Process::settle`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Payment, PaymentGateway, PaymentStatus, RefundStatus,
    gateway::{
        AuthorizeRequest, CaptureRequest, GatewayError, GatewayPayment, GatewayRefund, GatewayRefundState,
        GatewayState, RefundRequest, VoidRequest,
    },
    rules::{CANCELLED, NewRefund, Settlement},
};
use crate::{
    call::Actor,
    cart::{Cart, CartStatus},
    clock::Timestamp,
    engine::Engine,
    error::CommonError,
    event::{DomainEvent, Notice, Task},
    id::{OrderId, PaymentId, RefundId, TaskId},
    inventory::{Alert, AlertKind, admins, raise_alert},
    money::Money,
    order::{Order, OrderStatus},
    store::{ChangeSet, Claim, ClaimKind, MovementKind, Root, StockDelta, StoreError},
};

/// How a checkout ended, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum PlacementOutcome {
    /// The order is confirmed.
    Placed,
    /// The customer must do something first; the stock stays reserved until then.
    ActionRequired,
    /// The gateway's answer isn't known yet; recovery finds out.
    Pending,
    /// The gateway declined: the cart is kept, the stock released.
    Declined {
        /// The gateway's decline code.
        code: String,
    },
}

impl PlacementOutcome {
    /// How an order's checkout ended.
    #[must_use]
    pub fn of(order: &Order) -> Self {
        match (order.status, order.payment_status) {
            (OrderStatus::Pending, PaymentStatus::RequiresAction) => Self::ActionRequired,
            (OrderStatus::Pending, _) => Self::Pending,
            (OrderStatus::Cancelled, _) if order.declined => {
                let code = order.payments.last().and_then(|payment| payment.failure.clone());
                Self::Declined { code: code.unwrap_or_default() }
            }
            (OrderStatus::Confirmed | OrderStatus::Completed | OrderStatus::Cancelled, _) => Self::Placed,
        }
    }
}

/// The answer kept for a checkout's idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlacementRecord {
    pub order: Order,
    pub outcome: PlacementOutcome,
}

/// How often settling starts over when the order was changed meanwhile.
const ATTEMPTS: u32 = 20;
/// How often a capture whose outcome is unknown is repeated at once, under the same key.
const CALLS: u32 = 3;

/// Moves money and takes gateways' words.
#[derive(Clone)]
pub(crate) struct Process {
    pub engine: Arc<Engine>,
}

impl Process {
    /// Tasks that watch over a payment have ids derived from its own, so that whoever settles it can remove them.
    pub fn settle_task(payment: PaymentId) -> TaskId {
        derived(payment, 1)
    }

    /// See [`Self::settle_task`].
    pub fn expire_task(payment: PaymentId) -> TaskId {
        derived(payment, 2)
    }

    fn refund_task(refund: RefundId) -> TaskId {
        derived(refund, 3)
    }

    fn gateway(&self, code: &str) -> Result<&dyn PaymentGateway, CommonError> {
        let gateway = self.engine.gateways.get(code).map(|gateway| &**gateway);
        gateway.ok_or_else(|| StoreError::bug(format!("this shop has no payment gateway '{code}' any more")).into())
    }

    pub async fn load(&self, id: OrderId) -> Result<Order, CommonError> {
        self.engine.reads().load_order(id).await?.ok_or(CommonError::NotFound("order"))
    }

    /// Asks the gateway for the money of an order that was just placed (or is being resumed), and settles its answer.
    pub async fn authorize(&self, order: Order, id: PaymentId) -> Result<Result<Order, GatewayError>, CommonError> {
        let payment = order.payment(id)?;
        if payment.amount.is_zero() {
            let word = GatewayPayment {
                reference: format!("free/{id}"),
                state: GatewayState::Captured,
                amount: payment.amount,
                captured: payment.amount,
            };
            return self.settle(order, id, &word).await.map(Ok);
        }
        let request = AuthorizeRequest {
            payment_id: id,
            order_id: order.id,
            order_number: order.number.clone(),
            method: payment.method.clone(),
            amount: payment.amount,
            token: payment.token.clone(),
            capture: self.engine.settings.capture_at_checkout,
        };
        match self.gateway(&payment.gateway)?.authorize(&request).await {
            Ok(word) => self.settle(order, id, &word).await.map(Ok),
            Err(GatewayError::Rejected(reason)) => {
                tracing::warn!(payment = %id, reason, "the gateway rejected the payment");
                let word = Self::refusal(&order, id, "rejected")?;
                self.settle(order, id, &word).await.map(Ok)
            }
            Err(error @ GatewayError::Unavailable(_)) => Ok(Err(error)),
            Err(GatewayError::Unknown(reason)) => {
                tracing::warn!(payment = %id, reason, "the gateway's answer is unknown; recovery will ask");
                let word = GatewayPayment {
                    reference: order.payment(id)?.reference.clone().unwrap_or_default(),
                    state: GatewayState::Processing,
                    amount: order.payment(id)?.amount,
                    captured: order.currency().zero(),
                };
                self.mark_unknown(order, &word, id).await.map(Ok)
            }
        }
    }

    /// A refusal that the gateway didn't word as a payment.
    pub fn refusal(order: &Order, id: PaymentId, code: &str) -> Result<GatewayPayment, CommonError> {
        let payment = order.payment(id)?;
        Ok(GatewayPayment {
            reference: payment.reference.clone().unwrap_or_default(),
            state: GatewayState::Declined(code.to_owned()),
            amount: payment.amount,
            captured: payment.amount.currency.zero(),
        })
    }

    async fn mark_unknown(&self, order: Order, word: &GatewayPayment, id: PaymentId) -> Result<Order, CommonError> {
        if word.reference.is_empty() {
            return self
                .change(order, |order, now| {
                    let payment = order.payment_mut(id)?;
                    if payment.status.is_open() {
                        payment.status = PaymentStatus::Unknown;
                        payment.lease_until = None;
                        payment.updated_at = now;
                        order.payment_status = PaymentStatus::Unknown;
                    }
                    Ok(())
                })
                .await;
        }
        self.settle(order, id, word).await
    }

    /// A change to an order that moves nothing else: marks and leases.
    async fn change(
        &self,
        order: Order,
        rule: impl Fn(&mut Order, Timestamp) -> Result<(), CommonError> + Send,
    ) -> Result<Order, CommonError> {
        let id = order.id;
        let mut before = order;
        for attempt in 1..=ATTEMPTS {
            let mut after = before.clone();
            let mut set = self.engine.set(&Actor::System);
            rule(&mut after, set.at())?;
            if after == before {
                return Ok(before);
            }
            after.updated_at = set.at();
            set.update(&before, &mut after);
            match self.engine.commit(&mut set).await? {
                Ok(_) => return Ok(after),
                Err(_) => self.engine.pause(attempt).await,
            }
            before = self.load(id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// Takes a gateway's word on a payment: one commit of all that follows from it. `order` is the order as last read; it
    /// is read again if it has changed since.
    pub async fn settle(&self, order: Order, id: PaymentId, word: &GatewayPayment) -> Result<Order, CommonError> {
        self.settle_as(order, id, word, None).await
    }

    /// Like [`Self::settle`]; a payment that was given back counts as given up for `failure`.
    async fn settle_as(
        &self,
        order: Order,
        id: PaymentId,
        word: &GatewayPayment,
        failure: Option<&str>,
    ) -> Result<Order, CommonError> {
        self.settle_if(order, id, word, failure, |_| true).await
    }

    async fn settle_if(
        &self,
        order: Order,
        id: PaymentId,
        word: &GatewayPayment,
        failure: Option<&str>,
        applies: fn(&Payment) -> bool,
    ) -> Result<Order, CommonError> {
        let order_id = order.id;
        let mut before = order;
        let (mut cart_taken, mut sold_out) = (false, false);
        for attempt in 1..=ATTEMPTS {
            if !applies(before.payment(id)?) {
                return Ok(before);
            }
            let mut after = before.clone();
            let mut set = self.engine.set(&Actor::System);
            if let (Some(failure), GatewayState::Voided) = (failure, &word.state) {
                after.payment_mut(id)?.failure.get_or_insert_with(|| failure.to_owned());
            }
            let settlement = after.settle_payment(id, word, set.at())?;
            let answers = match settlement {
                Settlement::Same => return Ok(before),
                Settlement::Mismatch(detail) => {
                    self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                    return Ok(before);
                }
                settlement => self.compose(&mut set, &before, &mut after, id, settlement, cart_taken, sold_out).await?,
            };
            if let (true, Some(key)) = (answers, after.idempotency_key) {
                let record = PlacementRecord { order: after.clone(), outcome: PlacementOutcome::of(&after) };
                set.answer(key, serde_json::to_value(record).map_err(StoreError::bug)?);
            }
            match self.engine.commit(&mut set).await? {
                Ok(_) => return Ok(after),
                Err(conflicts) => {
                    if conflicts.taken(ClaimKind::GatewayRef) {
                        let detail = format!("the gateway's reference {} belongs to another payment", word.reference);
                        self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                        return Ok(before);
                    }
                    cart_taken |= conflicts.taken(ClaimKind::OpenCart);
                    sold_out |= conflicts.short().is_some();
                }
            }
            self.engine.pause(attempt).await;
            before = self.load(order_id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// Writes down all that follows from a settlement. Answers whether the checkout's outcome is known by it.
    #[allow(clippy::too_many_arguments)]
    async fn compose(
        &self,
        set: &mut ChangeSet,
        before: &Order,
        after: &mut Order,
        id: PaymentId,
        settlement: Settlement,
        cart_taken: bool,
        sold_out: bool,
    ) -> Result<bool, CommonError> {
        let ids = self.engine.ids();
        let (now, was, is) = (set.at(), before.payment(id)?.clone(), after.payment(id)?.clone());
        after.updated_at = now;
        let reinstated = settlement == Settlement::Late && !sold_out && after.reinstate()?;
        let given_back = match settlement {
            Settlement::Late if !reinstated => self.give_back_late(set, after, &is)?,
            Settlement::Moved if is.captured > was.captured => self.give_back_excess(set, after, &is)?,
            _ => None,
        };
        set.update(before, after);
        let (root, version) = (Root::Order(after.id), after.version);
        if let Some((refund, amount)) = given_back {
            set.event(ids, root, version, DomainEvent::RefundRequested { order: after.id, refund, amount });
        }
        if let (None, Some(reference)) = (&was.reference, &is.reference)
            && !reference.is_empty()
        {
            set.hold(Claim::gateway_ref(&is.gateway, reference), after.id);
        }
        if was.status != is.status
            && let Some(event) = payment_event(after.id, &is)
        {
            set.event(ids, root, version, event);
        }
        match settlement {
            Settlement::Confirmed => {
                sell(set, before, -1);
                set.event(ids, root, version, DomainEvent::OrderConfirmed { order: after.id });
                send(set, ids, Notice::OrderConfirmed { order: after.id });
            }
            Settlement::Late if reinstated => {
                sell(set, before, 0);
                set.event(ids, root, version, DomainEvent::OrderConfirmed { order: after.id });
                send(set, ids, Notice::OrderConfirmed { order: after.id });
            }
            Settlement::Cancelled => {
                for line in &before.lines {
                    set.reserve(line.variant_id, -i64::from(line.quantity));
                }
                let reason = after.cancel_reason.clone().unwrap_or_default();
                if reason != CANCELLED {
                    self.reopen_cart(set, after, cart_taken).await?;
                }
                if is.status == PaymentStatus::Voided && was.reference.is_none() {
                    self.watch_for_late_success(set, after, &is)?;
                }
                set.event(ids, root, version, DomainEvent::OrderCancelled { order: after.id, reason });
            }
            Settlement::Late | Settlement::Moved | Settlement::Same | Settlement::Mismatch(_) => {}
        }
        if settlement == Settlement::Late {
            let detail = match (reinstated, given_back) {
                (true, _) => {
                    "a payment succeeded after its order had expired; there was stock, so the order was confirmed"
                }
                (false, Some(_)) => "a payment succeeded after its order had been given up; it is being refunded",
                (false, None) => "a payment was promised after its order had been given up; it is being voided",
            };
            self.alert(set, AlertKind::LatePayment, after, format!("order {}: {detail}", after.number)).await?;
        }
        if settlement == Settlement::Moved
            && is.status == PaymentStatus::Voided
            && after.status != OrderStatus::Cancelled
        {
            let detail = format!("order {}: its promised payment has lapsed and can't be captured", after.number);
            self.alert(set, AlertKind::PaymentMismatch, after, detail).await?;
        }
        if !is.status.is_open() || after.status != OrderStatus::Pending {
            set.done(Self::settle_task(id)).done(Self::expire_task(id));
        } else if is.status == PaymentStatus::RequiresAction && was.status != PaymentStatus::RequiresAction {
            set.done(Self::settle_task(id));
        }
        if after.status == OrderStatus::Completed && before.status != OrderStatus::Completed {
            set.event(ids, root, version, DomainEvent::OrderCompleted { order: after.id });
        }
        // The first answer stays the answer, whatever becomes of the order later.
        let answered = before.status != OrderStatus::Pending || was.status == PaymentStatus::RequiresAction;
        Ok(!answered && (after.status != OrderStatus::Pending || is.status == PaymentStatus::RequiresAction))
    }

    /// Sends late money back: what was taken by a refund, what was promised by a void.
    fn give_back_late(
        &self,
        set: &mut ChangeSet,
        order: &mut Order,
        payment: &Payment,
    ) -> Result<Option<(RefundId, Money)>, CommonError> {
        if payment.status == PaymentStatus::Authorized {
            let due = set.at();
            set.task(self.engine.ids(), due, Task::VoidPayment { order: order.id, payment: payment.id });
            return Ok(None);
        }
        self.give_back(set, order, None, "the payment came after the order had been given up")
    }

    /// Sends back what was taken for units that were cancelled while the capture was on its way.
    fn give_back_excess(
        &self,
        set: &mut ChangeSet,
        order: &mut Order,
        payment: &Payment,
    ) -> Result<Option<(RefundId, Money)>, CommonError> {
        let excess = payment.captured - order.capturable(payment)?.minor;
        if excess <= 0 {
            return Ok(None);
        }
        let excess = Money::new(excess, order.currency());
        self.give_back(set, order, Some(excess), "items were cancelled before their money was taken")
    }

    fn give_back(
        &self,
        set: &mut ChangeSet,
        order: &mut Order,
        amount: Option<Money>,
        reason: &str,
    ) -> Result<Option<(RefundId, Money)>, CommonError> {
        let (now, ids) = (set.at(), self.engine.ids());
        let id = RefundId(ids.uuid());
        let (reason, items) = (reason.to_owned(), Vec::new());
        let new = NewRefund { id, amount, items, reason, restock: false, return_id: None, lease_until: now };
        let refund = order.intend_refund(new, now).map_err(|error| StoreError::bug(error.to_string()))?;
        set.task_as(Self::refund_task(id), now, Task::SettleRefund { order: order.id, refund: id });
        Ok(Some((id, refund.amount)))
    }

    /// Opens the cart of a given-up order again, unless its owner has opened another meanwhile: then a task merges the
    /// lines.
    async fn reopen_cart(&self, set: &mut ChangeSet, order: &Order, cart_taken: bool) -> Result<(), CommonError> {
        let Some(id) = order.cart_id else { return Ok(()) };
        let Some(before) = self.engine.reads().load_cart(id).await? else { return Ok(()) };
        if before.status != CartStatus::Ordered {
            return Ok(());
        }
        if cart_taken {
            let due = set.at();
            set.task(self.engine.ids(), due, Task::MergeCart { from: id, owner: before.owner });
            return Ok(());
        }
        let mut after = Cart { status: CartStatus::Open, updated_at: set.at(), ..before.clone() };
        set.update(&before, &mut after);
        set.hold(Claim::open_cart(&after.owner), after.id);
        Ok(())
    }

    /// Finds out how a payment stands that was left open: by recovery, by a client that asks, by a webhook.
    pub async fn resolve(&self, order: Order, id: PaymentId) -> Result<Order, CommonError> {
        let payment = order.payment(id)?.clone();
        if !payment.status.is_open() || order.status != OrderStatus::Pending {
            return Ok(order);
        }
        let gateway = self.gateway(&payment.gateway)?;
        match gateway.retrieve(id, payment.reference.as_deref()).await {
            Ok(Some(word)) => self.settle(order, id, &word).await,
            // Not there (yet): the call may still be on its way. Repeating it under the same key is safe.
            Ok(None) if payment.reserved_until.is_none_or(|until| until > self.engine.now()) => {
                match self.authorize(order.clone(), id).await? {
                    Ok(order) => Ok(order),
                    Err(error) => {
                        tracing::warn!(payment = %id, %error, "recovery will ask again");
                        Ok(order)
                    }
                }
            }
            Ok(None) => Ok(order),
            Err(error) => {
                tracing::warn!(payment = %id, %error, "the gateway can't say how the payment stands");
                Ok(order)
            }
        }
    }

    /// Gives a pending order up: voids its payment at the gateway first, then releases the stock. A payment that turns out
    /// to have succeeded confirms the order instead. `Ok(None)` if the gateway can't be asked now.
    pub async fn give_up(&self, order: Order, id: PaymentId, reason: &str) -> Result<Option<Order>, CommonError> {
        if order.status != OrderStatus::Pending {
            return Ok(Some(order));
        }
        let payment = order.payment(id)?.clone();
        let gateway = self.gateway(&payment.gateway)?;
        let known = match gateway.retrieve(id, payment.reference.as_deref()).await {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(payment = %id, %error, "can't give the payment up yet");
                return Ok(None);
            }
        };
        let (order, word) = match known {
            Some(word) if matches!(word.state, GatewayState::RequiresAction(_) | GatewayState::Processing) => {
                let until = self.engine.now() + self.engine.settings.gateway_lease;
                let intend = self.change(order, |order, _| {
                    let payment = order.payment_mut(id)?;
                    if payment.status.is_open() {
                        payment.intend_to_give_up(reason, until);
                    }
                    Ok(())
                });
                let order = intend.await?;
                if order.status != OrderStatus::Pending {
                    return Ok(Some(order));
                }
                let request = VoidRequest { payment_id: id, reference: Some(word.reference) };
                match gateway.void(&request).await {
                    Ok(word) => (order, word),
                    Err(error) => {
                        tracing::warn!(payment = %id, %error, "can't give the payment up yet");
                        // What certainly had no effect may be tried again, or paid after all, at once.
                        if !matches!(error, GatewayError::Unknown(_)) {
                            self.change(order, |order, _| order.payment_mut(id).map(Payment::keep_open)).await?;
                        }
                        return Ok(None);
                    }
                }
            }
            Some(word) => (order, word),
            None => return self.write_off(order, id, reason).await.map(Some),
        };
        Ok(Some(self.settle_as(order, id, &word, Some(reason)).await?))
    }

    /// Gives up a payment that the gateway has never heard of. Should the call still arrive, its success is late: see
    /// `settle`. Should it have arrived meanwhile, the gateway's own word stands.
    async fn write_off(&self, order: Order, id: PaymentId, reason: &str) -> Result<Order, CommonError> {
        let payment = order.payment(id)?;
        let word = GatewayPayment {
            reference: payment.reference.clone().unwrap_or_default(),
            state: GatewayState::Voided,
            amount: payment.amount,
            captured: payment.amount.currency.zero(),
        };
        self.settle_if(order, id, &word, Some(reason), |payment| payment.status.is_open()).await
    }

    /// "Not found" is no proof until the gateway has forgotten our key: look again soon, and once more then.
    fn watch_for_late_success(&self, set: &mut ChangeSet, order: &Order, payment: &Payment) -> Result<(), CommonError> {
        let horizon = self.gateway(&payment.gateway)?.key_horizon();
        for wait in [horizon / 48, horizon] {
            let due = set.at() + wait;
            set.task(self.engine.ids(), due, Task::SettlePayment { order: order.id, payment: payment.id });
        }
        Ok(())
    }

    /// Recovery's look at a payment, whatever its state: also finds late successes of payments that were given up, and
    /// captures whose answer was lost. `Ok(false)` if it must look again.
    pub async fn recover(&self, order: OrderId, id: PaymentId) -> Result<bool, CommonError> {
        let order = self.load(order).await?;
        let payment = order.payment(id)?.clone();
        if payment.lease_until.is_some_and(|until| until > self.engine.now()) {
            return Ok(false);
        }
        if payment.status.is_given_up() || payment.status == PaymentStatus::Authorized {
            return match self.gateway(&payment.gateway)?.retrieve(id, payment.reference.as_deref()).await {
                Ok(Some(word)) => self.settle(order, id, &word).await.map(|_| true),
                Ok(None) => Ok(true),
                Err(error) => {
                    tracing::warn!(payment = %id, %error, "the gateway can't say how the payment stands");
                    Ok(false)
                }
            };
        }
        let order = self.resolve(order, id).await?;
        Ok(order.status != OrderStatus::Pending || order.payment(id)?.status == PaymentStatus::RequiresAction)
    }

    /// Voids an authorised payment of a cancelled order. `Ok(false)` if it must be tried again.
    pub async fn void(&self, order: Order, id: PaymentId) -> Result<(Order, bool), CommonError> {
        let payment = order.payment(id)?.clone();
        if payment.status != PaymentStatus::Authorized {
            return Ok((order, true));
        }
        let request = VoidRequest { payment_id: id, reference: payment.reference.clone() };
        match self.gateway(&payment.gateway)?.void(&request).await {
            Ok(word) if word.state == GatewayState::Captured => {
                let detail =
                    format!("order {} was cancelled, but its payment had been captured meanwhile", order.number);
                self.raise(AlertKind::PaymentMismatch, &order, detail).await?;
                Ok((self.settle(order, id, &word).await?, true))
            }
            Ok(word) => Ok((self.settle_as(order, id, &word, Some(CANCELLED)).await?, true)),
            Err(error) => {
                tracing::warn!(payment = %id, %error, "the payment can't be voided yet");
                Ok((order, false))
            }
        }
    }

    /// Takes promised money, as intended by the payment's lease.
    pub async fn capture(&self, order: Order, id: PaymentId) -> Result<Result<Order, GatewayError>, CommonError> {
        let payment = order.payment(id)?.clone();
        let reference = payment.reference.clone().unwrap_or_default();
        let request = CaptureRequest { payment_id: id, reference, amount: order.capturable(&payment)? };
        let gateway = self.gateway(&payment.gateway)?;
        let mut answer = gateway.capture(&request).await;
        for attempt in 1..CALLS {
            match answer {
                Ok(_) | Err(GatewayError::Rejected(_)) => break,
                Err(GatewayError::Unavailable(_) | GatewayError::Unknown(_)) => {
                    self.engine.pause(attempt + 5).await;
                    answer = gateway.capture(&request).await;
                }
            }
        }
        match answer {
            Ok(word) => self.settle(order, id, &word).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Registers the money of a refund as on its way back: part of the set that intends it.
    pub fn watch_refund(&self, set: &mut ChangeSet, order: OrderId, refund: RefundId) {
        let due = set.at() + self.engine.settings.gateway_lease;
        set.task_as(Self::refund_task(refund), due, Task::SettleRefund { order, refund });
    }

    /// Sends the money of a pending refund back and settles the gateway's answer. `Ok(false)` if it must be tried again.
    pub async fn refund(&self, order: Order, id: RefundId) -> Result<(Order, bool), CommonError> {
        let Some(refund) = order.refunds.iter().find(|refund| refund.id == id).cloned() else {
            return Err(CommonError::NotFound("refund"));
        };
        if refund.status != RefundStatus::Pending {
            return Ok((order, true));
        }
        let payment = order.payment(refund.payment_id)?.clone();
        let request = RefundRequest {
            refund_id: id,
            payment_id: payment.id,
            reference: payment.reference.clone().unwrap_or_default(),
            amount: refund.amount,
        };
        let word = match self.gateway(&payment.gateway)?.refund(&request).await {
            Ok(word) if word.state == GatewayRefundState::Pending => return Ok((order, false)),
            Ok(word) => word,
            Err(GatewayError::Rejected(reason)) => GatewayRefund {
                reference: String::new(),
                state: GatewayRefundState::Failed(reason),
                amount: refund.amount,
            },
            Err(error) => {
                tracing::warn!(refund = %id, %error, "the refund isn't settled yet");
                return Ok((order, false));
            }
        };
        Ok((self.settle_refund(order, id, &word).await?, true))
    }

    /// Takes a gateway's word on a refund.
    pub async fn settle_refund(&self, order: Order, id: RefundId, word: &GatewayRefund) -> Result<Order, CommonError> {
        let order_id = order.id;
        let mut before = order;
        for attempt in 1..=ATTEMPTS {
            let mut after = before.clone();
            let mut set = self.engine.set(&Actor::System);
            if !after.settle_refund(id, word, set.at())? {
                return Ok(before);
            }
            after.updated_at = set.at();
            set.update(&before, &mut after);
            let (ids, root, version) = (self.engine.ids(), Root::Order(after.id), after.version);
            let refund = after.refund_mut(id)?.clone();
            set.done(Self::refund_task(id));
            if refund.status == RefundStatus::Settled {
                let event = DomainEvent::RefundSettled { order: order_id, refund: id, amount: refund.amount };
                set.event(ids, root, version, event);
                send(&mut set, ids, Notice::OrderRefunded { order: order_id, refund: id });
            } else {
                let reason = refund.failure.clone().unwrap_or_default();
                let detail = format!("a refund of {:?} for order {} failed: {reason}", refund.amount, after.number);
                set.event(ids, root, version, DomainEvent::RefundFailed { order: order_id, refund: id, reason });
                self.alert(&mut set, AlertKind::RefundFailed, &after, detail).await?;
            }
            if self.engine.commit(&mut set).await?.is_ok() {
                return Ok(after);
            }
            self.engine.pause(attempt).await;
            before = self.load(order_id).await?;
        }
        Err(StoreError::Contended.into())
    }

    /// Adds an alert about an order to a set, with a message to each admin.
    async fn alert(
        &self,
        set: &mut ChangeSet,
        kind: AlertKind,
        order: &Order,
        detail: String,
    ) -> Result<(), CommonError> {
        let admins = admins(&self.engine).await?;
        let mut alert = Alert { order_id: Some(order.id), ..Alert::new(&self.engine, kind, detail) };
        raise_alert(set, self.engine.ids(), &mut alert, &admins);
        Ok(())
    }

    /// Raises an alert about an order by itself, once: its id follows from what it says. `Ok(false)` if it had been raised.
    pub async fn raise(&self, kind: AlertKind, order: &Order, detail: String) -> Result<bool, CommonError> {
        use sha2::{Digest, Sha256};
        let said = Sha256::digest(format!("{} {} {detail}", order.id, kind.as_str()));
        let mut id = [0; 16];
        id.copy_from_slice(&said[..16]);
        let id = crate::id::AlertId(uuid::Builder::from_custom_bytes(id).into_uuid());
        if self.engine.reads().load_alert(id).await?.is_some() {
            return Ok(false);
        }
        let mut set = self.engine.set(&Actor::System);
        let mut alert = Alert { id, order_id: Some(order.id), ..Alert::new(&self.engine, kind, detail) };
        raise_alert(&mut set, self.engine.ids(), &mut alert, &admins(&self.engine).await?);
        Ok(self.engine.commit(&mut set).await?.is_ok())
    }
}

/// Turns the units of an order into a sale; `reserved` is −1 if they are reserved, 0 if not.
fn sell(set: &mut ChangeSet, order: &Order, reserved: i64) {
    for line in &order.lines {
        let units = i64::from(line.quantity);
        let delta = StockDelta { on_hand: -units, reserved: reserved * units, expect_on_hand: None };
        set.move_stock(line.variant_id, delta, Some((MovementKind::Sale, Some(order.id), None)));
    }
}

pub(crate) fn send(set: &mut ChangeSet, ids: &dyn crate::id::IdGenerator, message: Notice) {
    let due = set.at();
    set.task(ids, due, Task::Send { message });
}

fn payment_event(order: OrderId, paid: &Payment) -> Option<DomainEvent> {
    let payment = paid.id;
    match paid.status {
        PaymentStatus::RequiresAction => Some(DomainEvent::PaymentRequiresAction { order, payment }),
        PaymentStatus::Authorized => Some(DomainEvent::PaymentAuthorized { order, payment, amount: paid.amount }),
        PaymentStatus::Paid => {
            let amount = Money::new(paid.captured, paid.amount.currency);
            Some(DomainEvent::PaymentCaptured { order, payment, amount })
        }
        PaymentStatus::Failed => {
            Some(DomainEvent::PaymentFailed { order, payment, reason: paid.failure.clone().unwrap_or_default() })
        }
        PaymentStatus::Voided => Some(DomainEvent::PaymentVoided { order, payment }),
        PaymentStatus::Pending
        | PaymentStatus::Unknown
        | PaymentStatus::PartiallyRefunded
        | PaymentStatus::Refunded => None,
    }
}

fn derived(id: impl Into<uuid::Uuid>, kind: u8) -> TaskId {
    let mut bytes = id.into().into_bytes();
    bytes[15] ^= kind;
    TaskId(uuid::Uuid::from_bytes(bytes))
}
