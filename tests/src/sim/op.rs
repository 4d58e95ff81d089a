//! What somebody may do next.

use commerce_core::{
    id::{OrderId, VariantId},
    order::{FulfilmentStatus, ItemSelection, LineQuantity, Order, OrderStatus, ReturnRefund, ReturnStatus},
    payment::{Payment, PaymentStatus},
};

use super::lock;
use crate::shop::eur;

use super::world::World;

const CUSTOMERS: usize = 4;
/// What staff find when they count a shelf.
pub(super) const COUNTS: [i64; 4] = [0, 3, 5, 9];

/// One thing that somebody does.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Add { who: u128, variant: VariantId, units: i64 },
    Clear { who: u128 },
    Checkout { who: u128, key: Option<u32>, how: How },
    Authenticate { order: OrderId, success: bool, confirm: bool },
    Cancel { order: OrderId },
    CancelItems { order: OrderId, items: Vec<LineQuantity>, restock: bool },
    Pack { order: OrderId, items: ItemSelection },
    Parcel { order: OrderId, nth: usize, to: FulfilmentStatus, restock: bool },
    AskReturn { order: OrderId, items: Vec<LineQuantity> },
    DecideReturn { order: OrderId, nth: usize, to: ReturnStatus, restock: bool, refund: ReturnRefund },
    Refund { order: OrderId, key: Option<u32>, amount: Option<i64>, items: ItemSelection, restock: bool },
    Capture { order: OrderId, amount: Option<i64> },
    Receive { order: OrderId },
    Adjust { variant: VariantId, key: Option<u32>, delta: i64 },
    Count { variant: VariantId, on_hand: i64 },
    Webhook { nth: usize },
    Bounce { order: OrderId, nth: usize },
    Forge { order: OrderId },
    Process { order: OrderId },
    PayAfterAll { order: OrderId },
    PayAgain { order: OrderId, how: How },
    RefundPastUs { order: OrderId, minor: i64 },
    Dispute { order: OrderId },
    Resolve { order: OrderId, give_up: bool },
    Arrive,
    Tick,
}

impl Op {
    /// Whether it may be sent again and again.
    pub(super) const fn is_keyed(&self) -> bool {
        matches!(
            self,
            Self::Checkout { key: Some(_), .. } | Self::Refund { key: Some(_), .. } | Self::Adjust { key: Some(_), .. }
        )
    }

    /// The variant whose stock it adjusts.
    pub(super) const fn adjusted(&self) -> Option<VariantId> {
        match self {
            Self::Adjust { variant, .. } => Some(*variant),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Card(&'static str),
    Offline,
}

/// The payment that counts.
pub(super) fn latest(order: &Order) -> &Payment {
    order.payments.last().expect("an order has a payment")
}

impl World {
    /// Something to do next.
    pub(super) fn choose(&self) -> Option<Op> {
        let chance = &self.chance;
        let orders = lock(&self.shared).orders();
        let who = chance.below(CUSTOMERS) as u128;
        let variant = chance.pick(&self.variants)?;
        let key = chance.happens(500).then(|| u32::try_from(chance.below(4)).unwrap_or(0));
        let any = chance.pick(&orders);
        let with = |fits: &dyn Fn(&Order) -> bool| {
            let fitting: Vec<_> = orders.iter().filter(|order| fits(order)).cloned().collect();
            chance.pick(&fitting)
        };
        Some(match chance.below(100) {
            0..16 => Op::Add { who, variant, units: chance.pick(&[1, 2, 3])? },
            16 => Op::Clear { who },
            17..36 => {
                let tokens =
                    ["pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", crate::shop::SECURE];
                let how = if chance.happens(100) { How::Offline } else { How::Card(chance.pick(&tokens)?) };
                let how = key.and_then(|key| self.inputs.get(&(who, key)).copied()).unwrap_or(how);
                Op::Checkout { who, key, how }
            }
            36..42 => {
                let order = with(&|order| order.status == OrderStatus::Pending)?.id;
                Op::Authenticate { order, success: chance.happens(700), confirm: chance.happens(600) }
            }
            42..46 => Op::Cancel { order: any?.id },
            46..50 => {
                let order = with(&|order| order.lines.iter().any(|line| line.unfulfilled() > 0)).or(any)?;
                Op::CancelItems { items: self.some_of(&order), order: order.id, restock: chance.happens(700) }
            }
            50..56 => {
                let order = with(&|order| order.status == OrderStatus::Confirmed).or(any)?;
                let items = if chance.happens(500) { ItemSelection::All } else { self.some_of(&order).into() };
                Op::Pack { items, order: order.id }
            }
            56..66 => {
                let order = with(&|order| !order.fulfilments.is_empty())?;
                let to = [FulfilmentStatus::Shipped, FulfilmentStatus::Delivered, FulfilmentStatus::Cancelled];
                let to = chance.pick(&[to[0], to[0], to[1], to[1], to[2], FulfilmentStatus::ReturnedToSender])?;
                let (nth, restock) = (chance.below(order.fulfilments.len()), chance.happens(600));
                Op::Parcel { nth, order: order.id, to, restock }
            }
            66..70 => {
                let delivered = |order: &Order| order.lines.iter().any(|line| order.returnable(line.variant_id) > 0);
                let order = with(&delivered).or(any)?;
                Op::AskReturn { items: self.some_of(&order), order: order.id }
            }
            70..75 => {
                let order = with(&|order| !order.returns.is_empty())?;
                let to = [ReturnStatus::Approved, ReturnStatus::Received, ReturnStatus::Rejected];
                let to = chance.pick(&[to[0], to[0], to[1], to[1], to[2]])?;
                let refund = chance.pick(&[
                    ReturnRefund::Full,
                    ReturnRefund::Full,
                    ReturnRefund::None,
                    ReturnRefund::Amount(eur(250)),
                ])?;
                // Without a choice, as the simplest client sends it, but for what is received.
                let (restock, refund) = match to {
                    ReturnStatus::Received => (chance.happens(700), refund),
                    _ => (true, ReturnRefund::Full),
                };
                Op::DecideReturn { nth: chance.below(order.returns.len()), order: order.id, to, restock, refund }
            }
            75..80 => {
                let order = with(&|order| order.payments.iter().any(|payment| payment.captured > 0)).or(any)?;
                let (amount, items) = match chance.below(3) {
                    0 => (chance.pick(&[1, 99, 500, 900]), ItemSelection::All),
                    1 => (None, self.some_of(&order).into()),
                    _ => (None, ItemSelection::All),
                };
                let restock = amount.is_none() && chance.happens(500);
                Op::Refund { order: order.id, key, amount, items, restock }
            }
            80..84 => {
                let order = with(&|order| order.payment_status == PaymentStatus::Authorized).or(any)?;
                Op::Capture {
                    order: order.id,
                    amount: if chance.happens(200) { chance.pick(&[1, 333, 2000]) } else { None },
                }
            }
            84 => Op::Receive { order: with(&|order| latest(order).gateway == "manual").or(any)?.id },
            85..88 => Op::Adjust { variant, key, delta: key.map_or(chance.pick(&[-1, 1, 2])?, |_| 1) },
            88..90 => Op::Count { variant, on_hand: chance.pick(&COUNTS)? },
            90..94 => Op::Webhook { nth: self.some_word() },
            94 => match chance.below(6) {
                0 => {
                    let order = with(&|order| !order.refunds.is_empty())?;
                    Op::Bounce { nth: chance.below(order.refunds.len()), order: order.id }
                }
                1 => Op::Forge { order: any?.id },
                2 => {
                    let waits = |order: &Order| order.payment_status == PaymentStatus::RequiresAction;
                    Op::Process { order: with(&waits).or(any)?.id }
                }
                3 => {
                    let failed = |order: &Order| order.payments.iter().any(|paid| paid.status == PaymentStatus::Failed);
                    Op::PayAfterAll { order: with(&failed).or(any)?.id }
                }
                4 => {
                    let paid = |order: &Order| order.payments.iter().any(|payment| payment.captured > 0);
                    Op::RefundPastUs { order: with(&paid).or(any)?.id, minor: chance.pick(&[1, 99, 333, 900])? }
                }
                _ => Op::Dispute { order: any?.id },
            },
            95 => Op::Arrive,
            96 => {
                let order = with(&|order| order.status == OrderStatus::Pending).or(any)?.id;
                Op::Resolve { order, give_up: chance.happens(700) }
            }
            97 => {
                let order = with(&|order| order.status == OrderStatus::Pending).or(any)?.id;
                let tokens = ["pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", crate::shop::SECURE];
                let how = if chance.happens(100) { How::Offline } else { How::Card(chance.pick(&tokens)?) };
                Op::PayAgain { order, how }
            }
            _ => Op::Tick,
        })
    }

    /// Something that the gateway said: the newest as often as all before it.
    fn some_word(&self) -> usize {
        let count = lock(&self.wire.said).len().max(1);
        if self.chance.happens(500) { count - 1 } else { self.chance.below(count) }
    }

    fn some_of(&self, order: &Order) -> Vec<LineQuantity> {
        let line = &order.lines[self.chance.below(order.lines.len())];
        let quantity = 1 + u32::try_from(self.chance.below(line.quantity as usize)).unwrap_or(0);
        vec![LineQuantity { variant_id: line.variant_id, quantity }]
    }
}
