use proptest::prelude::*;

use super::{
    gateway::{GatewayPayment, GatewayRefund, GatewayRefundState, GatewayState},
    rules::{RefundSettlement, Settlement},
    *,
};
use crate::{
    id::RefundId,
    money::Money,
    order::{
        ItemSelection, LineQuantity, Order, OrderError, OrderStatus,
        sample::{NOW, PAYMENT, eur, items, paid, pending, report},
    },
};

const AMOUNT: i64 = 1490;

fn sample() -> Order {
    pending(&[(3, 1000)], 490)
}

fn action() -> GatewayState {
    GatewayState::RequiresAction(NextAction { kind: "redirect".to_owned(), client_secret: None, url: None })
}

fn say(order: &mut Order, state: GatewayState) -> Settlement {
    let captured = if state == GatewayState::Captured { AMOUNT } else { 0 };
    let report = report(order, state, captured);
    order.settle_payment(PAYMENT, &report, NOW).unwrap()
}

/// The sample after some words.
fn after(words: impl IntoIterator<Item = GatewayState>) -> Order {
    let mut order = sample();
    for state in words {
        say(&mut order, state);
    }
    order
}

fn refund_of(n: u128, amount: Option<i64>, items: Vec<LineQuantity>) -> RefundIntent {
    RefundIntent {
        id: RefundId(uuid::Uuid::from_u128(n)),
        amount: amount.map(eur),
        items: if items.is_empty() { ItemSelection::All } else { items.into() },
        reason: "x".to_owned(),
        restock: false,
        return_id: None,
        lease_until: NOW,
    }
}

fn settle(order: &mut Order, n: u128, state: GatewayRefundState) -> bool {
    let id = RefundId(uuid::Uuid::from_u128(n));
    let report = GatewayRefund { reference: format!("re_{n}"), state, amount: order.refund_mut(id).unwrap().amount };
    order.settle_refund(id, &report, NOW).unwrap() == RefundSettlement::Moved
}

#[test]
fn a_pending_payment_takes_any_word() {
    use GatewayState as G;
    use PaymentStatus as P;
    for (state, payment, order, settlement) in [
        (G::Captured, P::Paid, OrderStatus::Confirmed, Settlement::Confirmed),
        (G::Authorized, P::Authorized, OrderStatus::Confirmed, Settlement::Confirmed),
        (G::Offline, P::Pending, OrderStatus::Confirmed, Settlement::Confirmed),
        (action(), P::RequiresAction, OrderStatus::Pending, Settlement::Moved),
        (G::Processing, P::Unknown, OrderStatus::Pending, Settlement::Moved),
        (G::Declined("no".to_owned()), P::Failed, OrderStatus::Cancelled, Settlement::Cancelled),
        (G::Voided, P::Voided, OrderStatus::Cancelled, Settlement::Cancelled),
    ] {
        let mut found = sample();
        assert_eq!(say(&mut found, state.clone()), settlement, "{state:?}");
        assert_eq!((found.payment_status, found.payments[0].status, found.status), (payment, payment, order));
        assert_eq!(found.declined, payment == P::Failed);
        let open = found.status == OrderStatus::Pending;
        assert_eq!(found.payments[0].token.is_some(), open, "the token is kept until the outcome is known");
        let again = found.clone();
        assert_eq!(say(&mut found, state.clone()), Settlement::Same, "{state:?} twice");
        assert_eq!(found, again);
    }
}

#[test]
fn a_word_about_another_amount_currency_or_reference_changes_nothing() {
    let order = after([GatewayState::Authorized]);
    let right = report(&order, GatewayState::Captured, AMOUNT);
    let wrong = [
        GatewayPayment { amount: eur(AMOUNT - 1), ..right.clone() },
        GatewayPayment { amount: Money::new(AMOUNT, crate::Currency::USD), ..right.clone() },
        GatewayPayment { captured: eur(AMOUNT + 1), ..right.clone() },
        GatewayPayment { reference: "another".to_owned(), ..right },
    ];
    for wrong in wrong {
        let mut found = order.clone();
        let settlement = found.settle_payment(PAYMENT, &wrong, NOW).unwrap();
        assert!(matches!(settlement, Settlement::Mismatch(_)), "{settlement:?}");
        assert_eq!(found, order);
    }
    let mut found = sample();
    let less = report(&found, GatewayState::Captured, AMOUNT - 1);
    assert!(matches!(found.settle_payment(PAYMENT, &less, NOW).unwrap(), Settlement::Mismatch(_)));
    assert_eq!(found, sample(), "less than the order costs doesn't confirm it");
}

#[test]
fn success_after_giving_up_is_late_and_can_be_reinstated_if_it_had_expired() {
    for given_up in [GatewayState::Voided, GatewayState::Declined("no".to_owned())] {
        for success in [GatewayState::Captured, GatewayState::Authorized] {
            let mut order = after([given_up.clone()]);
            let was = order.payments[0].clone();
            assert_eq!(say(&mut order, success.clone()), Settlement::Late, "{given_up:?} then {success:?}");
            assert_eq!(order.status, OrderStatus::Cancelled);
            let expired = given_up == GatewayState::Voided;
            assert_eq!(order.reinstate(&was).unwrap(), expired);
            assert_eq!(order.status == OrderStatus::Confirmed, expired);
            assert_eq!(order.lines[0].cancelled == 0, expired);
        }
    }
}

/// Between the decision to void and the gateway's answer, nobody may confirm the order on the promise that is going away.
#[test]
fn a_promise_that_is_being_given_back_confirms_nothing() {
    let mut order = after([action()]);
    order.payments[0].intend_to_give_up("expired", NOW + std::time::Duration::from_secs(30));
    let going = order.clone();
    for report in [GatewayState::Authorized, action(), GatewayState::Processing] {
        assert_eq!(say(&mut order, report), Settlement::Same);
        assert_eq!(order, going);
    }
    let mut captured = order.clone();
    assert_eq!(say(&mut captured, GatewayState::Captured), Settlement::Confirmed, "what was taken can't be voided");
    assert_eq!(say(&mut order, GatewayState::Voided), Settlement::Cancelled);
    assert_eq!(order.cancel_reason.as_deref(), Some("expired"));
    let mut later = going;
    later.payments[0].lease_until = Some(NOW);
    assert_eq!(say(&mut later, GatewayState::Authorized), Settlement::Confirmed, "who gave it up has died");
    assert_eq!(later.payments[0].failure, None);
}

/// A capture that crossed a cancellation: the order stays cancelled, and its money is known to be late.
#[test]
fn money_taken_while_the_order_was_cancelled_is_late() {
    for reason in ["no", "expired"] {
        let mut order = after([GatewayState::Authorized]);
        order.cancel_units(ItemSelection::All, Some(reason.to_owned()), true).unwrap();
        let was = order.payments[0].clone();
        assert_eq!(say(&mut order, GatewayState::Captured), Settlement::Late);
        assert!(!order.reinstate(&was).unwrap(), "whatever words the staff found for it");
        assert_eq!(order.refundable().minor, AMOUNT);
    }
}

#[test]
fn a_promise_is_captured_less_what_was_cancelled() {
    let mut order = after([GatewayState::Authorized]);
    order.cancel_units([items(0, 1)].into(), None, true).unwrap();
    assert_eq!(order.refund_owed(refund_of(1, None, vec![items(0, 1)]), NOW).unwrap(), None);
    assert_eq!(order.owed(), eur(AMOUNT - 333));
    let taken = report(&order, GatewayState::Captured, AMOUNT - 333);
    assert_eq!(order.settle_payment(PAYMENT, &taken, NOW).unwrap(), Settlement::Moved);
    assert_eq!(order.payments[0].captured, AMOUNT - 333);
    let over = order.intend_refund(refund_of(2, None, vec![items(0, 3)]), NOW);
    assert!(matches!(over, Err(OrderError::QuantityExceeded { left: 2, .. })), "what was never paid can't go back");
    assert_eq!(order.intend_refund(refund_of(3, None, vec![items(0, 2)]), NOW).unwrap().amount, eur(667));
    assert_eq!(order.refundable(), eur(490));
}

#[test]
fn what_was_free_is_owed_nothing() {
    let mut order = paid(&[(1, 0), (1, 100)], 0);
    assert_eq!(order.refund_owed(refund_of(1, None, vec![items(0, 1)]), NOW).unwrap(), None);
    assert_eq!((order.lines[0].refunded, order.lines[0].uncharged, order.refunds.len()), (0, 1, 0));
    let asked = paid(&[(1, 0), (1, 100)], 0).intend_refund(refund_of(1, None, vec![items(0, 1)]), NOW);
    assert!(matches!(asked, Err(OrderError::Common(crate::error::CommonError::Invalid(_)))), "{asked:?}");
}

#[test]
fn refunds_take_an_amount_or_items_or_all_of_it() {
    let mut order = paid(&[(3, 1000)], 490);
    for (amount, of) in [(Some(0), vec![]), (Some(-1), vec![]), (Some(1), vec![items(0, 1)])] {
        let refused = order.intend_refund(refund_of(1, amount, of), NOW);
        assert!(matches!(refused, Err(OrderError::Common(crate::error::CommonError::Invalid(_)))), "{refused:?}");
    }
    let foreign = RefundIntent { amount: Some(Money::new(1, crate::Currency::USD)), ..refund_of(1, None, vec![]) };
    assert!(matches!(order.intend_refund(foreign, NOW), Err(OrderError::Common(_))));
    let over = order.intend_refund(refund_of(1, Some(AMOUNT + 1), vec![]), NOW);
    assert!(matches!(over, Err(OrderError::RefundExceedsCaptured { left }) if left == eur(AMOUNT)));
    assert_eq!(order, paid(&[(3, 1000)], 490), "a refused refund changes nothing");

    assert_eq!(order.intend_refund(refund_of(1, None, vec![items(0, 1)]), NOW).unwrap().amount, eur(333));
    assert_eq!(order.intend_refund(refund_of(2, Some(100), vec![]), NOW).unwrap().amount, eur(100));
    let rest = order.intend_refund(refund_of(3, None, vec![]), NOW).unwrap();
    assert_eq!((rest.amount, rest.items), (eur(AMOUNT - 433), vec![items(0, 2)]));
    assert!(matches!(
        order.intend_refund(refund_of(4, None, vec![]), NOW),
        Err(OrderError::RefundExceedsCaptured { left }) if left.is_zero()
    ));
    assert!(settle(&mut order, 1, GatewayRefundState::Settled));
    assert_eq!(order.payment_status, PaymentStatus::PartiallyRefunded);
    assert!(settle(&mut order, 2, GatewayRefundState::Settled));
    assert!(settle(&mut order, 3, GatewayRefundState::Settled));
    assert_eq!(order.payment_status, PaymentStatus::Refunded);
    assert!(!settle(&mut order, 3, GatewayRefundState::Pending), "a settled refund isn't pending again");
}

#[test]
fn a_failed_refund_gives_its_money_and_units_back() {
    let mut order = paid(&[(3, 1000)], 490);
    let before = (order.refundable(), order.lines.clone());
    order.intend_refund(refund_of(1, None, vec![]), NOW).unwrap();
    assert!(order.refundable().is_zero());
    assert!(!settle(&mut order, 1, GatewayRefundState::Pending));
    assert!(settle(&mut order, 1, GatewayRefundState::Failed("card closed".to_owned())));
    assert_eq!((order.refundable(), order.lines.clone()), before);
    assert_eq!(order.payment_status, PaymentStatus::Paid);
    assert_eq!(order.refunds[0].failure.as_deref(), Some("card closed"));
}

fn words() -> impl Strategy<Value = GatewayState> {
    prop::sample::select(vec![
        GatewayState::Offline,
        GatewayState::Processing,
        action(),
        GatewayState::Authorized,
        GatewayState::Captured,
        GatewayState::Declined("no".to_owned()),
        GatewayState::Voided,
    ])
}

#[derive(Clone, Debug)]
enum MoneyStep {
    Amount(i64),
    Items(Vec<(usize, u32)>),
    Owed(Vec<(usize, u32)>),
    All,
    Settle(u128, bool),
}

fn moves() -> impl Strategy<Value = Vec<MoneyStep>> {
    let some = || prop::collection::vec((0..3usize, 1..3u32), 1..3);
    let step = prop_oneof![
        3 => (1..400i64).prop_map(MoneyStep::Amount),
        3 => some().prop_map(MoneyStep::Items),
        2 => some().prop_map(MoneyStep::Owed),
        1 => Just(MoneyStep::All),
        4 => (0..20u128, any::<bool>()).prop_map(|(n, ok)| MoneyStep::Settle(n, ok)),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a gateway says in whatever order: money that was taken isn't forgotten, a confirmed order isn't undone, and
    /// every word said again is nothing new.
    #[test]
    fn any_sequence_of_words_is_safe(states in prop::collection::vec(words(), 1..8)) {
        let mut order = sample();
        for state in states {
            let before = order.clone();
            let settlement = say(&mut order, state.clone());
            prop_assert!(order.payments[0].captured >= before.payments[0].captured);
            if before.status == OrderStatus::Confirmed {
                prop_assert_eq!(order.status, OrderStatus::Confirmed);
            }
            match settlement {
                Settlement::Same | Settlement::Mismatch(_) => prop_assert_eq!(&order, &before),
                Settlement::Confirmed => prop_assert_eq!((before.status, order.status), (OrderStatus::Pending, OrderStatus::Confirmed)),
                Settlement::Cancelled => prop_assert_eq!((before.status, order.status), (OrderStatus::Pending, OrderStatus::Cancelled)),
                Settlement::Late => prop_assert_eq!((before.status, order.status), (OrderStatus::Cancelled, OrderStatus::Cancelled)),
                Settlement::Moved => prop_assert_eq!(before.status, order.status),
            }
            let same = order.clone();
            let again = say(&mut order, state);
            prop_assert!(matches!(again, Settlement::Same | Settlement::Mismatch(_)), "{again:?}");
            prop_assert_eq!(&order, &same);
            prop_assert_eq!(order.payment_status, order.payments[0].status);
        }
    }

    /// Refunds never exceed what was captured, items are refunded once, and their shares close to what was charged.
    #[test]
    fn refunds_close(moves in moves()) {
        let mut order = paid(&[(3, 1000), (2, 333), (1, 1)], 490);
        let captured = order.payments[0].captured;
        for (n, step) in (0u128..).zip(moves) {
            let mut after = order.clone();
            let picked = |of: &[(usize, u32)]| of.iter().map(|(n, units)| items(*n, *units)).collect::<Vec<_>>();
            let done = match &step {
                MoneyStep::Amount(amount) => after.intend_refund(refund_of(n, Some(*amount), vec![]), NOW).is_ok(),
                MoneyStep::Items(of) => after.intend_refund(refund_of(n, None, picked(of)), NOW).is_ok(),
                MoneyStep::Owed(of) => after.refund_owed(refund_of(n, None, picked(of)), NOW).is_ok(),
                MoneyStep::All => after.intend_refund(refund_of(n, None, vec![]), NOW).is_ok(),
                MoneyStep::Settle(n, ok) => {
                    let id = usize::try_from(*n).unwrap_or_default();
                    let Some(refund) = after.refunds.get(id).cloned() else { continue };
                    let state = if *ok { GatewayRefundState::Settled } else { GatewayRefundState::Failed("no".to_owned()) };
                    let report = GatewayRefund { reference: String::new(), state, amount: refund.amount };
                    after.settle_refund(refund.id, &report, NOW).unwrap() == RefundSettlement::Moved
                }
            };
            if done {
                order = after;
            }
            let sum = |status| order.refunds.iter().filter(|r| r.status == status).map(|r| r.amount.minor).sum::<i64>();
            let (settled, pending) = (sum(RefundStatus::Settled), sum(RefundStatus::Pending));
            prop_assert!(settled + pending <= captured);
            prop_assert_eq!((order.payments[0].refunded, order.payments[0].refund_pending), (settled, pending));
            prop_assert_eq!(order.refundable().minor, captured - settled - pending);
            for line in &order.lines {
                prop_assert!(line.refunded <= line.quantity);
            }
            let status = match settled {
                0 => PaymentStatus::Paid,
                all if all == captured => PaymentStatus::Refunded,
                _ => PaymentStatus::PartiallyRefunded,
            };
            prop_assert_eq!(order.payment_status, status);
        }
    }

    /// However a line's units are split over refunds by items, the refunds add up to what was charged for it.
    #[test]
    fn item_refunds_add_up_to_what_was_charged(charged in 1i64..100_000, quantity in 1u32..50, cuts in prop::collection::vec(1u32..10, 1..60)) {
        let mut order = paid(&[(quantity, charged)], 0);
        let (mut left, mut sum) = (quantity, 0);
        for (n, cut) in (0u128..).zip(cuts.into_iter().chain([quantity])) {
            let units = cut.min(left);
            if units == 0 { break }
            left -= units;
            sum += order.refund_owed(refund_of(n, None, vec![items(0, units)]), NOW).unwrap().map_or(0, |r| r.amount.minor);
        }
        if left == 0 {
            prop_assert_eq!(sum, charged);
        }
    }
}
