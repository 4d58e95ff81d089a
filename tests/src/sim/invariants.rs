//! What must hold, at any time and at the end.

use std::collections::BTreeSet;

use commerce_core::{
    alert::{Alert, AlertKind},
    cart::CartStatus,
    event::DomainEvent,
    id::{OrderId, PaymentId},
    inventory::MovementRecord,
    order::{FulfilmentStatus, Order, OrderLine, OrderStatus},
    payment::{Payment, PaymentStatus, RefundStatus, gateway::GatewayEvent},
};

use super::{SharedState, lock};

use super::{actor::SORRY, op::COUNTS, world::World};

impl World {
    /// What must hold at any time.
    pub(super) fn check(&self) -> Result<(), String> {
        let shared = lock(&self.shared);
        let orders = shared.orders();
        let drifts = shared.drifts();
        if !drifts.is_empty() {
            return Err(format!("counters disagree with their ledgers: {drifts:?}"));
        }
        for (variant, stock) in &shared.stock {
            let gone = |order: &Order| -> i64 {
                let lines = order.lines.iter().filter(|line| line.variant_id == *variant);
                let back = |line: &OrderLine| line.cancelled + line.returned + line.restocked - line.written_off;
                lines.map(|line| i64::from(line.quantity) - i64::from(back(line))).sum()
            };
            let sold: i64 = orders.iter().filter(|order| order.status != OrderStatus::Pending).map(gone).sum();
            if stock.reserved < 0 || stock.on_hand < stock.reserved {
                return Err(format!("oversold: {stock:?}"));
            }
            let (counted, found) = shared.adjusted(*variant);
            if stock.on_hand + sold != counted {
                return Err(format!("of {counted} units {sold} are sold, but {} are on hand", stock.on_hand));
            }
            let known = lock(&self.found).units.get(variant).copied().unwrap_or(0);
            if !self.in_doubt.contains(variant) && known != found {
                return Err(format!("{known} units were found, but {found} were added"));
            }
        }
        let miscounted =
            |line: &&MovementRecord| line.reason.as_deref() == Some("count") && !COUNTS.contains(&line.on_hand_after);
        if let Some(line) = shared.movements.iter().find(miscounted) {
            return Err(format!("nobody counted so many: {line:?}"));
        }
        let numbers: BTreeSet<_> = orders.iter().map(|order| &order.number).collect();
        if numbers.len() != orders.len() {
            return Err("two orders have the same number".to_owned());
        }
        let mut owners = BTreeSet::new();
        for cart in shared.carts().iter().filter(|cart| cart.status == CartStatus::Open) {
            if !owners.insert(cart.owner.key()) {
                return Err(format!("{:?} has two open carts", cart.owner));
            }
        }
        let mut carts = BTreeSet::new();
        let standing = orders.iter().filter(|order| order.status != OrderStatus::Cancelled);
        for order in standing.filter(|order| !was_cancelled(order.id, &shared)) {
            if !order.cart_id.is_none_or(|cart| carts.insert(cart)) {
                return Err(format!("one cart became two orders: {order:#?}"));
            }
        }
        for id in lock(&self.acknowledged).iter() {
            if !orders.iter().any(|order| order.id == *id) {
                return Err(format!("an acknowledged order is gone: {id}"));
            }
        }
        let (mut events, mut disputed) = (BTreeSet::new(), BTreeSet::new());
        for event in &shared.events {
            if matches!(&event.event, DomainEvent::PaymentDisputed { payment, .. } if !disputed.insert(*payment)) {
                return Err(format!("a payment was disputed twice: {event:?}"));
            }
            if !events.insert(event.id) {
                return Err(format!("an event happened twice: {event:?}"));
            }
        }
        // Every payment here has a reference of its own, and only what was forged has another amount.
        let false_alarm = |alert: &&Alert| {
            alert.kind == AlertKind::PaymentMismatch && alert.detail.contains("belongs to another payment")
        };
        if let Some(alert) = shared.alerts().iter().find(false_alarm) {
            return Err(format!("a false alarm: {alert:?}"));
        }
        drop(shared);
        orders.iter().try_for_each(|order| self.check_order(order))
    }

    fn check_order(&self, order: &Order) -> Result<(), String> {
        let broken = |what: &str| Err(format!("{what}: {order:#?}"));
        let theirs = self.wire.gateway.ledger();
        for payment in &order.payments {
            let line = theirs.iter().find(|line| line.payment == payment.id);
            let (captured, refunded) = line.map_or((0, 0), |line| (line.captured, line.refunded));
            let sum = |status| sum(order, payment.id, status);
            if payment.refunded != sum(RefundStatus::Settled) || payment.refund_pending != sum(RefundStatus::Pending) {
                return broken("the refunds don't add up");
            }
            let ours = payment.gateway == "test";
            // What was sent back to us may not have been told yet.
            let bounced = lock(&self.wire.bounced);
            let settled = order.refunds.iter().filter(|refund| refund.status == RefundStatus::Settled);
            let untold: i64 = settled.filter(|r| bounced.contains_key(&r.id)).map(|r| r.amount.minor).sum();
            if ours && (payment.captured > captured || payment.refunded > refunded + untold) {
                return broken("we count money that the gateway didn't move");
            }
            let past_us: i64 =
                lock(&self.wire.past_us).iter().filter_map(|event| unbooked(event, order, payment)).sum();
            if ours && refunded > payment.refunded + payment.refund_pending + past_us {
                return broken("the gateway sent more back than we know of");
            }
        }
        let payment = &order.payments[order.payments.len() - 1];
        if order.payment_status != payment.status {
            return broken("the order's payment status isn't its payment's");
        }
        let kept = payment.captured - payment.refunded - payment.refund_pending;
        let failed = order.refunds.iter().any(|refund| refund.status == RefundStatus::Failed);
        // Staff who take all items back with a refund may keep the shipping.
        let taken_back = matches!(order.cancel_reason.as_deref(), Some(SORRY | "returned to sender"))
            && kept <= order.totals.shipping.minor;
        if order.status == OrderStatus::Cancelled && kept > 0 && !failed && !taken_back {
            return broken("cancelled, and paid without a refund");
        }
        let promised = matches!(
            payment.status,
            PaymentStatus::Authorized
                | PaymentStatus::Paid
                | PaymentStatus::PartiallyRefunded
                | PaymentStatus::Refunded
        );
        let confirmed = matches!(order.status, OrderStatus::Confirmed | OrderStatus::Completed);
        if confirmed && !promised && !order.owed().is_zero() && payment.gateway == "test" {
            return broken("confirmed without money");
        }
        if confirmed && order.lines.iter().all(|line| line.cancelled == line.quantity) {
            return broken("confirmed with nothing to deliver");
        }
        for line in &order.lines {
            let packed = order.fulfilments.iter().filter(|parcel| parcel.status == FulfilmentStatus::Pending);
            let packed = packed.flat_map(|parcel| &parcel.items).filter(|item| item.variant_id == line.variant_id);
            let to_ship = line.unfulfilled() + packed.map(|item| item.quantity).sum::<u32>();
            if confirmed && to_ship > line.charged_units() {
                return broken("a unit is to be shipped whose money went back");
            }
        }
        if confirmed && payment.captured > 0 && !failed && kept > order.owed().minor {
            return broken("more money is kept than is owed");
        }
        Ok(())
    }

    /// What must hold when nothing is on its way any more.
    pub(super) fn check_calm(&self) -> Result<(), String> {
        let shared = lock(&self.shared);
        let orders = shared.orders();
        for (variant, stock) in &shared.stock {
            if stock.reserved != 0 {
                return Err(format!("stock leaked: {variant} {stock:?}"));
            }
        }
        let mails = self.mailer.sent();
        for order in &orders {
            if order.status == OrderStatus::Pending {
                return Err(format!("still pending: {order:#?}"));
            }
            if order.refunds.iter().any(|refund| refund.status == RefundStatus::Pending) {
                return Err(format!("a refund is still pending: {order:#?}"));
            }
            self.check_kept(order)?;
            let confirmed = shared
                .events
                .iter()
                .any(|record| matches!(&record.event, DomainEvent::OrderConfirmed { order: id } if *id == order.id));
            let told =
                mails.iter().any(|mail| mail.subject.contains(&order.number) || mail.text.contains(&order.number));
            if confirmed && !told {
                return Err(format!("nobody told the customer of order {}", order.number));
            }
            let paid: i64 = order.payments.iter().map(|payment| payment.captured - payment.refunded).sum();
            if paid > order.totals.grand_total.minor {
                return Err(format!("charged twice: {order:#?}"));
            }
            let cart = order.cart_id.and_then(|id| shared.carts().into_iter().find(|cart| cart.id == id));
            if order.declined
                && cart.is_some_and(|cart| cart.status == CartStatus::Ordered && !ordered_again(order, &orders))
            {
                return Err(format!("a declined customer lost their cart: {order:#?}"));
            }
        }
        for line in self.wire.gateway.ledger() {
            let payment = orders.iter().flat_map(|order| &order.payments).find(|payment| payment.id == line.payment);
            let Some(payment) = payment else {
                return Err(format!("the gateway holds money for no order: {line:?}"));
            };
            if (payment.captured, payment.refunded) != (line.captured, line.refunded) {
                return Err(format!("our books say {payment:?}, the gateway's {line:?}"));
            }
            if line.authorized != (payment.status == PaymentStatus::Authorized) {
                return Err(format!("a promise is forgotten: {payment:?} {line:?}"));
            }
        }
        Ok(())
    }
}

impl World {
    /// Money that is kept was charged for what was kept, unless staff took less or gave all of it back.
    fn check_kept(&self, order: &Order) -> Result<(), String> {
        let (payment, owed) = (&order.payments[order.payments.len() - 1], order.owed().minor);
        let failed = order.refunds.iter().any(|refund| refund.status == RefundStatus::Failed);
        let kept = payment.captured - payment.refunded;
        let by_choice = kept == 0 || (kept < owed && lock(&self.partly).contains(&order.id));
        if order.status != OrderStatus::Cancelled && payment.captured > 0 && kept != owed && !failed && !by_choice {
            return Err(format!("{kept} is kept, and {owed} is owed: {order:#?}"));
        }
        if payment.status == PaymentStatus::Authorized && owed == 0 {
            return Err(format!("money is promised, and nothing is owed: {order:#?}"));
        }
        Ok(())
    }
}

/// Whether the cart of a declined order was open again and became another order.
fn ordered_again(declined: &Order, orders: &[Order]) -> bool {
    orders.iter().any(|order| order.id != declined.id && order.cart_id == declined.cart_id)
}

/// Whether an order was ever given up: its cart was open again then.
fn was_cancelled(id: OrderId, shared: &SharedState) -> bool {
    let cancelled = |event: &DomainEvent| matches!(event, DomainEvent::OrderCancelled { order, .. } if *order == id);
    shared.events.iter().any(|record| cancelled(&record.event))
}

fn sum(order: &Order, payment: PaymentId, status: RefundStatus) -> i64 {
    let of = order.refunds.iter().filter(|refund| refund.payment_id == payment && refund.status == status);
    of.map(|refund| refund.amount.minor).sum()
}

/// How much a refund past the shop was, if it is of this payment and the shop hasn't booked it yet.
fn unbooked(event: &GatewayEvent, order: &Order, payment: &Payment) -> Option<i64> {
    let GatewayEvent::Refund { payment_reference, refund, .. } = event else { return None };
    let is_known = order.refunds.iter().any(|known| known.reference.as_ref() == Some(&refund.reference));
    (payment.reference.as_ref() == Some(payment_reference) && !is_known).then_some(refund.amount.minor)
}
