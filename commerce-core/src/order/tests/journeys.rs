//! Goods and money together: whatever is done in whatever order, no unit is shipped whose money went back, and what is kept
//! is what was charged for what was kept.

use proptest::prelude::*;

use super::*;
use crate::{
    id::RefundId,
    money::Money,
    order::{
        cancel::cancel_rule,
        effects::Effects,
        fulfil::update_rule,
        returns::return_rule,
        sample::{PAYMENT, report},
    },
    payment::{
        RefundIntent,
        gateway::{GatewayRefund, GatewayRefundState, GatewayState},
    },
};

fn refund_of(n: u128) -> RefundIntent {
    RefundIntent {
        id: RefundId(uuid::Uuid::from_u128(n)),
        amount: None,
        items: ItemSelection::All,
        reason: "x".to_owned(),
        restock: false,
        return_id: None,
        lease_until: NOW,
    }
}

/// A confirmed order whose money is promised, or awaited.
fn unpaid(lines: &[(u32, i64)], shipping: i64, state: GatewayState) -> Order {
    let mut order = pending(lines, shipping);
    order.settle_payment(PAYMENT, &report(&order, state, 0), NOW).unwrap();
    assert_eq!(order.status, OrderStatus::Confirmed);
    order
}

/// An order with all that happens to it.
struct Journey {
    order: Order,
    /// Units that went back into stock, less those that were taken from there again, by line.
    stock: [i64; 3],
    count: u128,
}

impl Journey {
    const fn of(order: Order) -> Self {
        Self { order, stock: [0; 3], count: 0 }
    }

    /// Does something, and whatever follows from it at the gateway. A refused call changes nothing.
    fn act<T>(
        &mut self,
        rule: impl FnOnce(&mut Order, &mut Effects, u128) -> Result<T, OrderError>,
    ) -> Result<T, OrderError> {
        self.count += 1;
        let (mut after, mut effects) = (self.order.clone(), Effects::default());
        let value = rule(&mut after, &mut effects, self.count)?;
        for (variant, units, _) in &effects.stock {
            let line = after.lines.iter().position(|line| line.variant_id == *variant).unwrap();
            self.stock[line] += units;
        }
        for id in effects.refunds {
            let amount = after.refund_mut(id).unwrap().amount;
            let settled = GatewayRefund { reference: String::new(), state: GatewayRefundState::Settled, amount };
            after.settle_refund(id, &settled, NOW).unwrap();
        }
        for id in effects.voids {
            after.settle_payment(id, &report(&after, GatewayState::Voided, 0), NOW).unwrap();
        }
        self.order = after;
        Ok(value)
    }

    fn create_fulfilment(&mut self, items: impl Into<ItemSelection>) -> Result<(), OrderError> {
        self.act(|order, effects, n| {
            let again = order.create_fulfilment(parcel(n, items), NOW)?;
            effects.stock.extend(
                again.into_iter().map(|i| (i.variant_id, -i64::from(i.quantity), crate::store::MovementKind::Sale)),
            );
            Ok(())
        })
    }

    fn parcel(&mut self, nth: usize, update: impl Into<FulfilmentUpdate>) -> Result<(), OrderError> {
        let update = update.into();
        let Some(parcel) = self.order.fulfilments.get(nth) else { return Ok(()) };
        let id = parcel.id;
        self.act(|order, effects, _| update_rule(order, id, &update, effects, NOW))
    }

    fn ship(&mut self, nth: usize) {
        self.parcel(nth, FulfilmentStatus::Shipped).unwrap();
    }

    fn deliver(&mut self) {
        self.create_fulfilment(ItemSelection::All).unwrap();
        let nth = self.order.fulfilments.len() - 1;
        self.ship(nth);
        self.parcel(nth, FulfilmentStatus::Delivered).unwrap();
    }

    fn bounce(&mut self, nth: usize, restock: bool) -> Result<(), OrderError> {
        let status = Some(FulfilmentStatus::ReturnedToSender);
        self.parcel(nth, FulfilmentUpdate { status, keep_apart: !restock, ..FulfilmentUpdate::default() })
    }

    fn cancel(&mut self, items: impl Into<ItemSelection>, restock: bool) -> Result<(), OrderError> {
        let input = Cancellation::of(items).reason("x").restock(restock);
        self.act(|order, effects, n| cancel_rule(order, input, refund_of(n), effects, NOW))
    }

    fn refund(
        &mut self,
        amount: Option<i64>,
        items: impl Into<ItemSelection>,
        restock: bool,
    ) -> Result<(), OrderError> {
        let items = items.into();
        self.act(|order, effects, n| {
            let was = order.status;
            let new = RefundIntent { amount: amount.map(eur), items, restock, ..refund_of(n) };
            let (refund, goods) = order.refund_goods(new, NOW)?;
            effects.withdrawn(order, was, goods, crate::store::MovementKind::Return, "x");
            effects.refunds.push(refund.id);
            Ok(())
        })
    }

    fn give_back(&mut self, items: Vec<LineQuantity>, decision: ReturnDecision) -> Result<(), OrderError> {
        self.act(|order, effects, n| {
            let id = return_id(n);
            order.ask_return(id, items, "no".to_owned(), NOW)?;
            return_rule(order, id, ReturnStatus::Approved.into(), refund_of(n), effects, NOW)?;
            return_rule(order, id, decision, refund_of(n), effects, NOW)
        })
    }

    /// Takes what is owed, or so much: of a promise, or of what is awaited.
    fn take(&mut self, amount: Option<i64>) -> Result<(), OrderError> {
        self.act(|order, _, _| {
            let amount = if order.payments[0].status == PaymentStatus::Pending {
                order.owed()
            } else {
                order.intend_capture(amount.map(eur), NOW, NOW)?.1
            };
            let taken = report(order, GatewayState::Captured, amount.minor);
            order.settle_payment(PAYMENT, &taken, NOW)?;
            Ok(())
        })
    }

    fn kept(&self) -> i64 {
        self.order.payments[0].captured - self.order.payments[0].refunded
    }

    fn check(&self, taken_in_full: bool) {
        let order = &self.order;
        for (n, line) in order.lines.iter().enumerate() {
            let left = order.left(line);
            let packed = order.parcelled(line.variant_id, &[FulfilmentStatus::Pending]);
            let waiting = line.unfulfilled();
            assert!(line.fulfilled + line.cancelled + line.restocked <= line.quantity, "{line:?}");
            assert!(line.released() <= line.quantity && line.written_off <= line.cancelled + line.returned, "{line:?}");
            assert!(line.returned + order.returning(line.variant_id) <= left, "{line:?}");
            assert!(waiting + packed <= line.charged_units(), "what is to be shipped is paid for: {order:#?}");
            let gone = i64::from(line.quantity - line.cancelled - line.returned - line.restocked + line.written_off);
            assert_eq!(self.stock[n], i64::from(line.quantity) - gone, "{line:?}");
        }
        let none_left = order.lines.iter().all(|line| line.cancelled == line.quantity);
        assert_eq!(order.status == OrderStatus::Cancelled, none_left, "{order:#?}");
        let (kept, owed) = (self.kept(), order.owed().minor);
        if order.status == OrderStatus::Cancelled {
            assert!(kept <= order.totals.shipping.minor, "{order:#?}");
        } else if order.payments[0].captured > 0 {
            assert!(kept <= owed, "kept {kept}, owed {owed}: {order:#?}");
            if taken_in_full {
                assert!(kept == owed || kept == 0, "kept {kept}, owed {owed}: {order:#?}");
            }
        }
        let arrived = matches!(order.fulfilment_status, FulfilmentState::Delivered | FulfilmentState::Returned);
        assert_eq!(order.status == OrderStatus::Completed, arrived && order.is_settled(), "{order:#?}");
    }
}

const TWO: &[(u32, i64)] = &[(2, 4000)];

fn received(restock: bool, refund: ReturnRefund) -> ReturnDecision {
    ReturnDecision { status: ReturnStatus::Received, restock, refund }
}

#[test]
fn what_came_back_before_the_money_was_taken_is_not_charged() {
    for state in [GatewayState::Authorized, GatewayState::Offline] {
        let mut journey = Journey::of(unpaid(TWO, 490, state.clone()));
        journey.deliver();
        assert_eq!(journey.order.owed(), eur(4490));
        journey.give_back(vec![items(0, 1)], ReturnStatus::Received.into()).unwrap();
        let line = &journey.order.lines[0];
        assert_eq!((line.returned, line.refunded, line.uncharged), (1, 0, 1), "no money went back");
        assert_eq!(journey.order.owed(), eur(2490));
        journey.take(None).unwrap();
        assert_eq!((journey.kept(), journey.order.status), (2490, OrderStatus::Completed));

        let mut journey = Journey::of(unpaid(TWO, 490, state.clone()));
        journey.deliver();
        journey.give_back(vec![items(0, 2)], ReturnStatus::Received.into()).unwrap();
        assert_eq!(journey.order.owed(), eur(490), "the shipping stays owed");
        journey.take(None).unwrap();
        assert_eq!((journey.kept(), journey.order.status), (490, OrderStatus::Completed));

        let mut journey = Journey::of(unpaid(TWO, 0, state));
        journey.deliver();
        journey.give_back(vec![items(0, 2)], ReturnStatus::Received.into()).unwrap();
        let payment = &journey.order.payments[0];
        assert_eq!((payment.status, payment.captured), (PaymentStatus::Voided, 0), "nothing is owed");
        assert_eq!(
            (journey.order.payment_status, journey.order.status),
            (PaymentStatus::Voided, OrderStatus::Completed)
        );
        assert!(matches!(journey.take(None), Err(OrderError::NothingToCapture)));
        journey.check(true);
    }
}

#[test]
fn a_return_takes_a_choice_of_stock_and_money() {
    for taken in [true, false] {
        for (refund, kept) in
            [(ReturnRefund::Full, 2490), (ReturnRefund::None, 4490), (ReturnRefund::Amount(eur(1500)), 2990)]
        {
            let mut journey = Journey::of(unpaid(TWO, 490, GatewayState::Authorized));
            journey.deliver();
            if taken {
                journey.take(None).unwrap();
            }
            journey.give_back(vec![items(0, 1)], received(false, refund)).unwrap();
            assert_eq!((journey.stock[0], journey.order.lines[0].written_off), (0, 1));
            assert_eq!(journey.order.owed(), eur(kept), "{refund:?}");
            if !taken {
                journey.take(None).unwrap();
            }
            assert_eq!(journey.kept(), kept, "{refund:?}, taken before: {taken}");
            journey.check(true);
        }
        let mut journey = Journey::of(unpaid(TWO, 490, GatewayState::Authorized));
        journey.deliver();
        if taken {
            journey.take(None).unwrap();
        }
        for wrong in [0, -1, 4491] {
            let over = received(true, ReturnRefund::Amount(eur(wrong)));
            assert!(journey.give_back(vec![items(0, 1)], over).is_err(), "{wrong}");
        }
        let dollars = received(true, ReturnRefund::Amount(Money::new(1, crate::Currency::USD)));
        assert!(journey.give_back(vec![items(0, 1)], dollars).is_err());
        journey.give_back(vec![items(0, 1)], received(true, ReturnRefund::Amount(eur(4490)))).unwrap();
        assert_eq!((journey.stock[0], journey.order.owed(), journey.kept()), (1, eur(0), 0));
        journey.check(true);
    }
}

/// What gateways capture once can't be captured again: the rest of the promise lapses, and nothing goes back before more was
/// taken than is owed.
#[test]
fn a_part_of_what_is_owed_is_captured() {
    let mut journey = Journey::of(unpaid(TWO, 490, GatewayState::Authorized));
    assert!(matches!(journey.take(Some(4491)), Err(OrderError::CaptureExceedsOwed { left }) if left == eur(4490)));
    for wrong in [0, -1] {
        assert!(matches!(journey.take(Some(wrong)), Err(OrderError::Common(_))));
    }
    journey.take(Some(3000)).unwrap();
    assert_eq!((journey.kept(), journey.order.payment_status), (3000, PaymentStatus::Paid));
    assert!(matches!(journey.take(None), Err(OrderError::NothingToCapture)));
    assert!(journey.refund(Some(3001), ItemSelection::All, false).is_err(), "refunds are bounded by what was captured");
    journey.cancel([items(0, 1)], true).unwrap();
    assert_eq!((journey.kept(), journey.order.owed()), (2490, eur(2490)));
    journey.check(false);
}

#[test]
fn units_whose_money_went_back_are_not_shipped() {
    for restock in [true, false] {
        let mut journey = Journey::of(paid(TWO, 490));
        journey.refund(None, [items(0, 1)], restock).unwrap();
        assert_eq!((journey.order.lines[0].unfulfilled(), journey.stock[0]), (1, i64::from(restock)));
        journey.create_fulfilment(ItemSelection::All).unwrap();
        assert_eq!(journey.order.fulfilments[0].items, [items(0, 1)]);
        journey.refund(None, ItemSelection::All, restock).unwrap();
        let order = &journey.order;
        assert_eq!((order.status, order.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
        assert_eq!(order.fulfilments[0].status, FulfilmentStatus::Cancelled, "an emptied parcel isn't sent");
        assert!(matches!(journey.create_fulfilment(ItemSelection::All), Err(OrderError::NotAllowed(_))));
        journey.check(true);
    }
    let mut journey = Journey::of(paid(TWO, 490));
    journey.create_fulfilment(ItemSelection::All).unwrap();
    journey.refund(None, [items(0, 1)], false).unwrap();
    assert_eq!(journey.order.fulfilments[0].items, [items(0, 1)], "it leaves the parcel that is being packed");
    journey.ship(0);
    assert_eq!(journey.order.fulfilment_status, FulfilmentState::Shipped);
    journey.check(true);
}

/// The customer gets what they pay for: without goods coming back, it is a unit that hasn't left whose money goes back.
#[test]
fn of_a_part_that_has_left_the_rest_is_refunded_first() {
    let of_three = || {
        let mut journey = Journey::of(paid(&[(3, 3000)], 0));
        journey.create_fulfilment([items(0, 1)]).unwrap();
        journey.ship(0);
        journey
    };
    let mut journey = of_three();
    journey.refund(None, [items(0, 1)], false).unwrap();
    assert_eq!((journey.order.lines[0].unfulfilled(), journey.order.lines[0].cancelled), (1, 1));
    journey.refund(None, [items(0, 2)], false).unwrap();
    assert_eq!((journey.order.lines[0].unfulfilled(), journey.order.lines[0].returned), (0, 0), "the sent one is kept");
    journey.parcel(0, FulfilmentStatus::Delivered).unwrap();
    assert_eq!(journey.order.status, OrderStatus::Completed);
    journey.check(true);

    let mut journey = of_three();
    journey.refund(None, [items(0, 1)], true).unwrap();
    assert_eq!(
        (journey.order.lines[0].unfulfilled(), journey.order.lines[0].returned),
        (2, 1),
        "the sent one came back"
    );
    journey.check(true);
}

#[test]
fn the_last_of_the_money_is_a_refund_of_everything() {
    let mut journey = Journey::of(paid(TWO, 490));
    journey.refund(Some(1000), ItemSelection::All, false).unwrap();
    assert_eq!((journey.order.lines[0].unfulfilled(), journey.order.owed()), (2, eur(3490)));
    journey.refund(Some(3490), ItemSelection::All, false).unwrap();
    assert_eq!((journey.order.status, journey.order.lines[0].refunded), (OrderStatus::Cancelled, 2));
    journey.check(true);
}

#[test]
fn a_parcel_that_nobody_took_is_shipped_again_or_cancelled() {
    for restock in [true, false] {
        let mut journey = Journey::of(unpaid(TWO, 490, GatewayState::Offline));
        assert!(journey.bounce(0, restock).is_ok(), "there is no parcel");
        journey.create_fulfilment(ItemSelection::All).unwrap();
        assert!(matches!(journey.bounce(0, restock), Err(OrderError::NotAllowed(_))), "it hasn't left");
        journey.ship(0);
        assert!(matches!(journey.cancel(ItemSelection::All, true), Err(OrderError::AlreadyShipped)));
        journey.bounce(0, restock).unwrap();
        assert_eq!(journey.order.fulfilment_status, FulfilmentState::Unfulfilled);
        assert_eq!(journey.stock[0], if restock { 2 } else { 0 });
        assert_eq!(journey.order.actions(), [OrderAction::Cancel]);

        journey.create_fulfilment([items(0, 1)]).unwrap();
        assert_eq!(journey.stock[0], i64::from(restock), "what lies on the shelf is taken from there once more");
        journey.ship(1);
        journey.bounce(1, !restock).unwrap();
        journey.check(true);
        journey.cancel(ItemSelection::All, true).unwrap();
        assert_eq!(journey.stock[0], 2, "each unit is back on the shelf once");
        assert_eq!(
            (journey.order.status, journey.order.payment_status),
            (OrderStatus::Cancelled, PaymentStatus::Voided)
        );
        journey.check(true);
    }
}

#[test]
fn what_was_refunded_on_its_way_is_not_sent_again() {
    let mut journey = Journey::of(paid(&[(2, 2000)], 0));
    journey.create_fulfilment(ItemSelection::All).unwrap();
    journey.ship(0);
    journey.refund(None, [items(0, 1)], false).unwrap();
    journey.bounce(0, true).unwrap();
    assert_eq!((journey.order.lines[0].cancelled, journey.order.lines[0].unfulfilled(), journey.stock[0]), (1, 1, 2));
    journey.check(true);

    let mut journey = Journey::of(paid(&[(2, 2000)], 0));
    journey.create_fulfilment(ItemSelection::All).unwrap();
    journey.ship(0);
    journey.refund(None, [items(0, 1)], true).unwrap();
    journey.bounce(0, true).unwrap();
    assert_eq!((journey.order.lines[0].returned, journey.order.lines[0].unfulfilled(), journey.stock[0]), (1, 1, 2));
    journey.check(true);
}

#[test]
fn an_empty_list_is_not_everything() {
    let empty = || ItemSelection::Only(Vec::new());
    let required = |result: Result<(), OrderError>| match result {
        Err(OrderError::Common(crate::error::CommonError::Invalid(invalid))) => invalid.errors[0].code == "required",
        _ => false,
    };
    let mut journey = Journey::of(paid(TWO, 490));
    assert!(required(journey.create_fulfilment(empty())));
    assert!(required(journey.cancel(empty(), true)));
    assert!(required(journey.refund(None, empty(), false)));
    journey.deliver();
    assert!(required(journey.give_back(Vec::new(), ReturnStatus::Received.into())));
}

#[test]
fn tracking_is_corrected_with_or_without_a_move() {
    let mut journey = Journey::of(paid(TWO, 490));
    journey.create_fulfilment(ItemSelection::All).unwrap();
    let update = FulfilmentUpdate {
        status: Some(FulfilmentStatus::Shipped),
        tracking_number: Some("2".to_owned()),
        tracking_url: Some(Some("https://post.example/2".to_owned())),
        ..FulfilmentUpdate::default()
    };
    journey.parcel(0, update).unwrap();
    let parcel = &journey.order.fulfilments[0];
    assert_eq!(
        (parcel.status, parcel.carrier.as_str(), parcel.tracking_number.as_str()),
        (FulfilmentStatus::Shipped, "Post", "2")
    );
    let update =
        FulfilmentUpdate { carrier: Some("DHL".to_owned()), tracking_url: Some(None), ..FulfilmentUpdate::default() };
    journey.parcel(0, update).unwrap();
    let parcel = &journey.order.fulfilments[0];
    assert_eq!((parcel.carrier.as_str(), parcel.tracking_url.as_deref()), ("DHL", None));
}

#[derive(Clone, Debug)]
enum Step {
    Pack(Option<(usize, u32)>),
    Parcel(usize, FulfilmentStatus, bool),
    Cancel(Option<(usize, u32)>, bool),
    Refund(Option<i64>, Option<(usize, u32)>, bool),
    GiveBack(usize, u32, bool, ReturnRefund),
    Ask(usize, u32),
    Take(Option<i64>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let units = || (0..3usize, 1..3u32);
    let some = || prop::option::of(units());
    let parcels = prop::sample::select(vec![
        FulfilmentStatus::Shipped,
        FulfilmentStatus::Shipped,
        FulfilmentStatus::Delivered,
        FulfilmentStatus::Cancelled,
        FulfilmentStatus::ReturnedToSender,
    ]);
    let refunds = prop_oneof![
        3 => Just(ReturnRefund::Full),
        1 => Just(ReturnRefund::None),
        1 => (1..800i64).prop_map(|minor| ReturnRefund::Amount(eur(minor))),
    ];
    let step = prop_oneof![
        4 => some().prop_map(Step::Pack),
        8 => (0..5usize, parcels, any::<bool>()).prop_map(|(nth, to, restock)| Step::Parcel(nth, to, restock)),
        2 => (some(), any::<bool>()).prop_map(|(items, restock)| Step::Cancel(items, restock)),
        2 => (units(), any::<bool>()).prop_map(|(items, restock)| Step::Refund(None, Some(items), restock)),
        1 => (1..700i64).prop_map(|amount| Step::Refund(Some(amount), None, false)),
        1 => any::<bool>().prop_map(|restock| Step::Refund(None, None, restock)),
        3 => (units(), any::<bool>(), refunds).prop_map(|((n, units), restock, refund)| Step::GiveBack(n, units, restock, refund)),
        1 => units().prop_map(|(n, units)| Step::Ask(n, units)),
        1 => Just(Step::Take(None)),
        1 => (1..1500i64).prop_map(|amount| Step::Take(Some(amount))),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any sequence of packing, shipping, coming back, cancelling, refunding, returning and taking the money, before or after.
    #[test]
    fn goods_and_money_stay_together(start in 0..3u8, steps in steps()) {
        let lines: &[(u32, i64)] = &[(3, 1000), (2, 500), (1, 1)];
        let mut in_full = true;
        let mut journey = Journey::of(match start {
            0 => paid(lines, 490),
            1 => unpaid(lines, 490, GatewayState::Authorized),
            _ => unpaid(lines, 490, GatewayState::Offline),
        });
        let select = |of: &Option<(usize, u32)>| ItemSelection::from(of.map(|(n, units)| vec![items(n, units)]));
        for step in steps {
            // What is refused changes nothing.
            let _ = match &step {
                Step::Pack(of) => journey.create_fulfilment(select(of)),
                Step::Parcel(nth, FulfilmentStatus::ReturnedToSender, restock) => journey.bounce(*nth, *restock),
                Step::Parcel(nth, to, _) => journey.parcel(*nth, *to),
                Step::Cancel(of, restock) => journey.cancel(select(of), *restock),
                Step::Refund(amount, of, restock) => journey.refund(*amount, select(of), *restock && amount.is_none()),
                Step::GiveBack(n, units, restock, refund) => journey.give_back(vec![items(*n, *units)], received(*restock, *refund)),
                Step::Ask(n, units) => journey.act(|order, _, id| order.ask_return(return_id(id), vec![items(*n, *units)], "no".to_owned(), NOW)),
                Step::Take(amount) if journey.order.payments[0].captured == 0 => {
                    let owed = journey.order.owed().minor;
                    let taken = journey.take(*amount);
                    in_full &= taken.is_err() || journey.order.payments[0].captured == owed;
                    taken
                }
                Step::Take(_) => Ok(()),
            };
            journey.check(in_full);
        }
        if journey.take(None).is_ok() {
            prop_assert_eq!(journey.kept(), journey.order.owed().minor);
        }
        journey.check(in_full);
    }
}
