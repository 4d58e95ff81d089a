//! What follows from a settled payment, in the same commit: a list of effects, each written by a function of its own.

use super::{PaymentProcessor, send};
use crate::{
    alert::AlertKind,
    cart::{Cart, CartStatus},
    error::CommonError,
    event::{DomainEvent, Notice, Task},
    id::{OrderId, PaymentId, RefundId},
    money::Money,
    order::{ItemSelection, Order, OrderStatus},
    payment::{
        Payment, PaymentStatus,
        rules::{RefundIntent, Settlement},
    },
    store::{AggregateId, ChangeSet, Claim, MovementKind, StockDelta, StoreError},
};

/// What others took while a settlement was to be committed before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    /// The owner of the order's cart has opened another one.
    pub cart: bool,
    /// The order's goods were sold to somebody else.
    pub goods: bool,
}

/// What a gateway's word has done to a payment.
pub(super) struct Settled<'a> {
    /// The order as it was read.
    pub before: &'a Order,
    pub payment: PaymentId,
    pub settlement: Settlement,
    pub lost: Lost,
}

/// A settlement whose effects are being written down.
struct Consequences<'a> {
    processor: &'a PaymentProcessor,
    set: &'a mut ChangeSet,
    before: &'a Order,
    after: &'a mut Order,
    settlement: Settlement,
    lost: Lost,
    was: Payment,
    is: Payment,
    is_latest: bool,
    /// The payment was late, but the order could be brought back.
    is_reinstated: bool,
    /// The money that goes back, because nothing is owed for it.
    given_back: Option<(RefundId, Money)>,
}

impl PaymentProcessor {
    /// Writes down all that follows from a settlement. Answers whether the checkout's outcome is known by it.
    pub(super) async fn write_consequences(
        &self,
        set: &mut ChangeSet,
        after: &mut Order,
        settled: Settled<'_>,
    ) -> Result<bool, CommonError> {
        let Settled { before, payment: id, settlement, lost } = settled;
        let mut effects = Consequences {
            processor: self,
            was: before.payment(id)?.clone(),
            is: after.payment(id)?.clone(),
            is_latest: after.payments.last().is_some_and(|latest| latest.id == id),
            is_reinstated: false,
            given_back: None,
            set,
            before,
            after,
            settlement,
            lost,
        };
        effects.bring_order_back()?;
        effects.give_money_back()?;
        effects.save_order();
        effects.claim_reference();
        effects.tell_of_payment();
        effects.sell_goods();
        effects.release_goods().await?;
        effects.alert_late_payment().await?;
        effects.alert_lapsed_promise().await?;
        effects.update_tasks();
        effects.tell_of_completion();
        effects.limit_waiting();
        Ok(effects.answers_checkout())
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
        let new = RefundIntent { id, amount: None, items, reason, restock: false, return_id: None, lease_until: now };
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

impl Consequences<'_> {
    fn event(&mut self, event: DomainEvent) {
        let (root, version) = (AggregateId::Order(self.after.id), self.after.version);
        self.set.event(self.processor.engine.ids(), root, version, event);
    }

    async fn alert(&mut self, kind: AlertKind, detail: &str) -> Result<(), CommonError> {
        let detail = format!("order {}: {detail}", self.after.number);
        self.processor.alert(self.set, kind, self.after, detail).await
    }

    /// An order that had expired is brought back by a late payment, if its goods are still there.
    fn bring_order_back(&mut self) -> Result<(), CommonError> {
        self.is_reinstated = self.settlement == Settlement::Late
            && self.is_latest
            && !self.lost.goods
            && self.after.reinstate(&self.was)?;
        Ok(())
    }

    /// Money that came too late, or beyond what is owed, goes back.
    fn give_money_back(&mut self) -> Result<(), CommonError> {
        self.given_back = match self.settlement {
            Settlement::Late if !self.is_reinstated => self.processor.give_back_late(self.set, self.after, &self.is)?,
            Settlement::Moved if self.is.captured > self.was.captured => {
                let reason = "items were cancelled or came back before their money was taken";
                self.processor.give_back(self.set, self.after, reason)?
            }
            _ => None,
        };
        Ok(())
    }

    fn save_order(&mut self) {
        self.after.updated_at = self.set.at();
        self.set.update(self.before, self.after);
        if let Some((refund, amount)) = self.given_back {
            self.event(DomainEvent::RefundRequested { order: self.after.id, refund, amount });
        }
    }

    /// The gateway's name of the payment is this order's alone.
    fn claim_reference(&mut self) {
        if let (None, Some(reference)) = (&self.was.reference, &self.is.reference)
            && !reference.is_empty()
        {
            self.set.hold(Claim::gateway_ref(&self.is.gateway, reference), self.after.id);
        }
    }

    fn tell_of_payment(&mut self) {
        if self.was.status != self.is.status
            && let Some(event) = payment_event(self.after.id, &self.is)
        {
            self.event(event);
        }
    }

    /// A confirmed order sells its reserved units; one that was brought back finds them anew.
    fn sell_goods(&mut self) {
        let reserved = match self.settlement {
            Settlement::Confirmed => -1,
            Settlement::Late if self.is_reinstated => 0,
            _ => return,
        };
        sell(self.set, self.before, reserved);
        let order = self.after.id;
        self.event(DomainEvent::OrderConfirmed { order });
        send(self.set, self.processor.engine.ids(), Notice::OrderConfirmed { order });
    }

    /// A cancelled order releases its units, and its cart.
    async fn release_goods(&mut self) -> Result<(), CommonError> {
        if self.settlement != Settlement::Cancelled {
            return Ok(());
        }
        for line in &self.before.lines {
            self.set.reserve(line.variant_id, -i64::from(line.quantity));
        }
        self.processor.reopen_cart(self.set, self.after, self.lost.cart).await?;
        if self.is.status == PaymentStatus::Voided && self.was.reference.is_none() {
            self.processor.watch_for_late_success(self.set, self.after, &self.is)?;
        }
        let reason = self.after.cancel_reason.clone().unwrap_or_default();
        self.event(DomainEvent::OrderCancelled { order: self.after.id, reason });
        Ok(())
    }

    async fn alert_late_payment(&mut self) -> Result<(), CommonError> {
        if self.settlement != Settlement::Late {
            return Ok(());
        }
        let detail = match (self.is_reinstated, self.given_back) {
            (_, Some(_)) if !self.is_latest => {
                "a payment succeeded that had been given up for another one; it is refunded"
            }
            (_, None) if !self.is_latest => {
                "a payment was promised that had been given up for another one; it is voided"
            }
            (true, _) => "a payment succeeded after its order had expired; there was stock, so the order was confirmed",
            (false, Some(_)) => "a payment succeeded after its order had been given up; it is being refunded",
            (false, None) => "a payment was promised after its order had been given up; it is being voided",
        };
        self.alert(AlertKind::LatePayment, detail).await
    }

    async fn alert_lapsed_promise(&mut self) -> Result<(), CommonError> {
        let has_lapsed = self.settlement == Settlement::Moved && self.is.status == PaymentStatus::Voided;
        if has_lapsed && self.is_latest && self.after.status != OrderStatus::Pending && !self.after.owed().is_zero() {
            self.alert(AlertKind::PaymentMismatch, "its promised payment has lapsed and can't be captured").await?;
        }
        Ok(())
    }

    /// The tasks that watch over the payment go on for as long as they are needed.
    fn update_tasks(&mut self) {
        let (id, is_pending) = (self.is.id, self.after.status == OrderStatus::Pending);
        let (settle, expire) = (PaymentProcessor::settle_task(id), PaymentProcessor::expire_task(id));
        if !self.is.status.is_open() && is_pending {
            // The goods are reserved until then, and the order may be paid again.
            self.set.done(settle);
        } else if !is_pending {
            self.set.done(settle).done(expire);
        } else if self.is.status == PaymentStatus::RequiresAction && self.was.status != PaymentStatus::RequiresAction {
            self.set.done(settle);
        } else if self.is.status == PaymentStatus::Unknown && self.was.status == PaymentStatus::RequiresAction {
            let due = self.set.at() + self.processor.engine.settings.gateway_lease;
            self.set.task_as(settle, due, Task::SettlePayment { order: self.after.id, payment: id });
        }
    }

    fn tell_of_completion(&mut self) {
        if self.after.status == OrderStatus::Completed && self.before.status != OrderStatus::Completed {
            self.event(DomainEvent::OrderCompleted { order: self.after.id });
        }
    }

    /// Offline money is awaited for a while only, if the shop says so.
    fn limit_waiting(&mut self) {
        let is_awaited = self.settlement == Settlement::Confirmed && self.is.status == PaymentStatus::Pending;
        if let (true, Some(ttl)) = (is_awaited, self.processor.engine.settings.unpaid_ttl) {
            let task = Task::ExpireReservation { order: self.after.id, payment: self.is.id };
            self.set.task_as(PaymentProcessor::unpaid_task(self.is.id), self.set.at() + ttl, task);
        }
    }

    /// The first answer stays the answer, whatever becomes of the order later.
    fn answers_checkout(&self) -> bool {
        let was_answered =
            self.before.status != OrderStatus::Pending || self.was.status == PaymentStatus::RequiresAction;
        let is_known = matches!(self.is.status, PaymentStatus::RequiresAction | PaymentStatus::Failed);
        !was_answered && self.is_latest && (self.after.status != OrderStatus::Pending || is_known)
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
