//! A gateway's word on a payment, taken: one commit of all that follows from it.

use super::{ATTEMPTS, PaymentProcessor, PlacementOutcome, PlacementRecord, send};
use crate::{
    alert::AlertKind,
    cart::{Cart, CartStatus},
    context::Actor,
    error::CommonError,
    event::{DomainEvent, Notice, Task},
    fail_point::FailPoint,
    id::{OrderId, PaymentId, RefundId},
    money::Money,
    order::{ItemSelection, Order, OrderStatus},
    payment::{
        Payment, PaymentStatus,
        gateway::{GatewayPayment, GatewayState},
        rules::{NewRefund, Settlement},
    },
    store::{AggregateId, ChangeSet, Claim, ClaimKind, MovementKind, StockDelta, StoreError},
};

impl PaymentProcessor {
    /// Takes a gateway's word on a payment: one commit of all that follows from it. `order` is the order as last read; it
    /// is read again if it has changed since.
    pub async fn settle(&self, order: Order, id: PaymentId, report: &GatewayPayment) -> Result<Order, CommonError> {
        self.settle_as(order, id, report, None).await
    }

    /// Like [`Self::settle`]; a payment that was given back counts as given up for `failure`.
    pub(super) async fn settle_as(
        &self,
        order: Order,
        id: PaymentId,
        report: &GatewayPayment,
        failure: Option<&str>,
    ) -> Result<Order, CommonError> {
        self.settle_if(order, id, report, failure, |_| true).await
    }

    pub(super) async fn settle_if(
        &self,
        order: Order,
        id: PaymentId,
        report: &GatewayPayment,
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
            if let (Some(failure), GatewayState::Voided) = (failure, &report.state) {
                after.payment_mut(id)?.failure.get_or_insert_with(|| failure.to_owned());
            }
            let settlement = after.settle_payment(id, report, set.at())?;
            let answers = match settlement {
                Settlement::Same => return Ok(before),
                Settlement::Mismatch(detail) => {
                    self.raise(AlertKind::PaymentMismatch, &before, detail).await?;
                    return Ok(before);
                }
                settlement => self.compose(&mut set, &before, &mut after, id, settlement, cart_taken, sold_out).await?,
            };
            if let (true, Some(key)) = (answers, after.idempotency_key)
                && !self.was_answered(&before, id, &key).await?
            {
                let record = PlacementRecord { order: after.clone(), outcome: PlacementOutcome::of(&after) };
                set.answer(key, serde_json::to_value(record).map_err(StoreError::bug)?);
            }
            FailPoint::Settle.reach().await;
            match self.engine.commit(&mut set).await? {
                Ok(_) => {
                    FailPoint::Settled.reach().await;
                    return Ok(after);
                }
                Err(conflicts) => {
                    if conflicts.taken(ClaimKind::GatewayRef) && !self.is_ours(&before, id, report).await? {
                        let detail = format!("the gateway's reference {} belongs to another payment", report.reference);
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

    /// Whether the checkout of a payment in doubt was answered before: that the customer must act, which they did.
    async fn was_answered(&self, order: &Order, id: PaymentId, key: &[u8; 32]) -> Result<bool, CommonError> {
        if order.payment(id)?.status != PaymentStatus::Unknown {
            return Ok(false);
        }
        Ok(self.engine.reads().load_key(key).await?.is_some_and(|record| record.output.is_some()))
    }

    /// Whether a gateway's reference that is taken was taken for this very order: by a webhook that was faster than the answer.
    async fn is_ours(&self, order: &Order, id: PaymentId, report: &GatewayPayment) -> Result<bool, CommonError> {
        let claim = Claim::gateway_ref(&order.payment(id)?.gateway, &report.reference);
        Ok(self.engine.reads().load_claim(&claim).await? == Some(order.id.0))
    }

    /// Writes down all that follows from a settlement. Answers whether the checkout's outcome is known by it.
    #[allow(clippy::too_many_arguments)]
    pub(super) async fn compose(
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
        let is_latest = after.payments.last().is_some_and(|latest| latest.id == id);
        after.updated_at = now;
        let reinstated = settlement == Settlement::Late && is_latest && !sold_out && after.reinstate(&was)?;
        let given_back = match settlement {
            Settlement::Late if !reinstated => self.give_back_late(set, after, &is)?,
            Settlement::Moved if is.captured > was.captured => {
                self.give_back(set, after, "items were cancelled or came back before their money was taken")?
            }
            _ => None,
        };
        set.update(before, after);
        let (root, version) = (AggregateId::Order(after.id), after.version);
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
                self.reopen_cart(set, after, cart_taken).await?;
                if is.status == PaymentStatus::Voided && was.reference.is_none() {
                    self.watch_for_late_success(set, after, &is)?;
                }
                set.event(ids, root, version, DomainEvent::OrderCancelled { order: after.id, reason });
            }
            Settlement::Late | Settlement::Moved | Settlement::Same | Settlement::Mismatch(_) => {}
        }
        if settlement == Settlement::Late {
            let detail = match (reinstated, given_back) {
                (_, Some(_)) if !is_latest => {
                    "a payment succeeded that had been given up for another one; it is refunded"
                }
                (_, None) if !is_latest => {
                    "a payment was promised that had been given up for another one; it is voided"
                }
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
            && is_latest
            && after.status != OrderStatus::Pending
            && !after.owed().is_zero()
        {
            let detail = format!("order {}: its promised payment has lapsed and can't be captured", after.number);
            self.alert(set, AlertKind::PaymentMismatch, after, detail).await?;
        }
        if !is.status.is_open() && after.status == OrderStatus::Pending {
            // The goods are reserved until then, and the order may be paid again.
            set.done(Self::settle_task(id));
        } else if after.status != OrderStatus::Pending {
            set.done(Self::settle_task(id)).done(Self::expire_task(id));
        } else if is.status == PaymentStatus::RequiresAction && was.status != PaymentStatus::RequiresAction {
            set.done(Self::settle_task(id));
        } else if is.status == PaymentStatus::Unknown && was.status == PaymentStatus::RequiresAction {
            let due = now + self.engine.settings.gateway_lease;
            set.task_as(Self::settle_task(id), due, Task::SettlePayment { order: after.id, payment: id });
        }
        if after.status == OrderStatus::Completed && before.status != OrderStatus::Completed {
            set.event(ids, root, version, DomainEvent::OrderCompleted { order: after.id });
        }
        if let (Settlement::Confirmed, PaymentStatus::Pending, Some(ttl)) =
            (&settlement, is.status, self.engine.settings.unpaid_ttl)
        {
            let task = Task::ExpireReservation { order: after.id, payment: id };
            set.task_as(Self::unpaid_task(id), now + ttl, task);
        }
        // The first answer stays the answer, whatever becomes of the order later.
        let answered = before.status != OrderStatus::Pending || was.status == PaymentStatus::RequiresAction;
        let is_known = matches!(is.status, PaymentStatus::RequiresAction | PaymentStatus::Failed);
        Ok(!answered && is_latest && (after.status != OrderStatus::Pending || is_known))
    }

    /// Sends late money back: what was taken by a refund, what was promised by a void.
    pub(super) fn give_back_late(
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
        if order.payments.last().is_some_and(|latest| latest.id != payment.id) {
            let (now, id) = (set.at(), RefundId(self.engine.ids().uuid()));
            let reason = "the order was paid in another way";
            let amount = order.refund_payment(payment.id, id, reason, now)?;
            set.task_as(Self::refund_task(id), now, Task::SettleRefund { order: order.id, refund: id });
            return Ok(amount.map(|amount| (id, amount)));
        }
        self.give_back(set, order, "the payment came after the order had been given up")
    }

    /// Sends back what was taken beyond what is owed.
    pub(super) fn give_back(
        &self,
        set: &mut ChangeSet,
        order: &mut Order,
        reason: &str,
    ) -> Result<Option<(RefundId, Money)>, CommonError> {
        let (now, ids) = (set.at(), self.engine.ids());
        let id = RefundId(ids.uuid());
        let (reason, items) = (reason.to_owned(), ItemSelection::All);
        let new = NewRefund { id, amount: None, items, reason, restock: false, return_id: None, lease_until: now };
        let mut after = order.clone();
        let refund = after.refund_excess(new, now).map_err(|error| StoreError::bug(error.to_string()))?;
        // Less than the gateway can send back stays, to be refunded with the rest.
        if refund.is_none() || self.round_refund(&mut after, id)?.is_err() {
            return Ok(None);
        }
        *order = after;
        set.task_as(Self::refund_task(id), now, Task::SettleRefund { order: order.id, refund: id });
        Ok(Some((id, order.refund_mut(id)?.amount)))
    }

    /// Opens the cart of a given-up order again, unless its owner has opened another meanwhile: then a task merges the
    /// lines.
    pub(super) async fn reopen_cart(
        &self,
        set: &mut ChangeSet,
        order: &Order,
        cart_taken: bool,
    ) -> Result<(), CommonError> {
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
}

/// Turns the units of an order into a sale; `reserved` is −1 if they are reserved, 0 if not.
fn sell(set: &mut ChangeSet, order: &Order, reserved: i64) {
    for line in &order.lines {
        let units = i64::from(line.quantity);
        let delta = StockDelta { on_hand: -units, reserved: reserved * units, expect_on_hand: None };
        set.move_stock(line.variant_id, delta, Some((MovementKind::Sale, Some(order.id), None)));
    }
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
