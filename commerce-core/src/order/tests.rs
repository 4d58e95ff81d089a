use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    rules::NewParcel,
    sample::{NOW, eur, items, paid, pending, variant},
    state::State,
    *,
};
use crate::payment::RefundStatus;

/// A table is sound if it names no move twice and none to itself, and every state is in it.
fn check_table<S: State>(all: &[S], start: S, ends: &[S]) {
    for (n, (from, to)) in S::MOVES.iter().enumerate() {
        assert_ne!(from, to);
        assert!(!S::MOVES[..n].contains(&(*from, *to)), "{from:?} → {to:?} is there twice");
    }
    for from in all {
        for to in all {
            let mut state = *from;
            let allowed = from == to || S::MOVES.contains(&(*from, *to));
            assert_eq!(state.become_(*to).is_ok(), allowed, "{from:?} → {to:?}");
            assert_eq!(state, if allowed { *to } else { *from });
        }
        let leads_on = S::MOVES.iter().any(|(state, _)| state == from);
        assert_eq!(leads_on, !ends.contains(from), "{from:?}");
    }
    let mut reached = vec![start];
    let mut n = 0;
    while let Some(state) = reached.get(n).copied() {
        reached.extend(
            all.iter()
                .filter(|to| !reached.contains(to) && S::MOVES.contains(&(state, **to)))
                .copied()
                .collect::<Vec<_>>(),
        );
        n += 1;
    }
    assert!(all.iter().all(|state| reached.contains(state)), "dead states: only {reached:?} are reached");
}

#[test]
fn the_tables_have_no_dead_state_and_allow_exactly_their_moves() {
    use FulfilmentState as G;
    use OrderStatus as O;
    use PaymentStatus as P;
    check_table(&[O::Pending, O::Confirmed, O::Completed, O::Cancelled], O::Pending, &[O::Completed]);
    check_table(
        &[
            P::Pending,
            P::RequiresAction,
            P::Unknown,
            P::Authorized,
            P::Paid,
            P::PartiallyRefunded,
            P::Refunded,
            P::Failed,
            P::Voided,
        ],
        P::Pending,
        &[],
    );
    check_table(
        &[G::Unfulfilled, G::PartiallyShipped, G::Shipped, G::Delivered, G::Returned],
        G::Unfulfilled,
        &[G::Returned],
    );
    check_table(
        &[
            FulfilmentStatus::Pending,
            FulfilmentStatus::Shipped,
            FulfilmentStatus::Delivered,
            FulfilmentStatus::Cancelled,
        ],
        FulfilmentStatus::Pending,
        &[FulfilmentStatus::Delivered, FulfilmentStatus::Cancelled],
    );
    check_table(
        &[ReturnStatus::Requested, ReturnStatus::Approved, ReturnStatus::Rejected, ReturnStatus::Received],
        ReturnStatus::Requested,
        &[ReturnStatus::Rejected, ReturnStatus::Received],
    );
    check_table(
        &[RefundStatus::Pending, RefundStatus::Settled, RefundStatus::Failed],
        RefundStatus::Pending,
        &[RefundStatus::Failed],
    );
}

fn parcel(n: u128, items: Vec<LineQuantity>) -> NewParcel {
    NewParcel {
        id: FulfilmentId(uuid::Uuid::from_u128(n)),
        items,
        carrier: "Post".to_owned(),
        tracking_number: "1".to_owned(),
        tracking_url: None,
    }
}

const fn fulfilment(n: u128) -> FulfilmentId {
    FulfilmentId(uuid::Uuid::from_u128(n))
}

const fn return_id(n: u128) -> ReturnId {
    ReturnId(uuid::Uuid::from_u128(n))
}

fn delivered(lines: &[(u32, i64)]) -> Order {
    let mut order = paid(lines, 0);
    order.pack(parcel(1, Vec::new()), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, NOW).unwrap();
    order
}

#[test]
fn goods_travel_from_the_shelf_to_the_door_and_back() {
    let mut order = paid(&[(2, 200), (1, 100)], 0);
    assert_eq!(order.actions(), [OrderAction::Cancel]);
    order.pack(parcel(1, vec![items(0, 1), items(0, 1)]), NOW).unwrap();
    assert_eq!((order.lines[0].fulfilled, order.lines[1].fulfilled), (2, 0));
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW).unwrap();
    assert_eq!(order.fulfilment_status, FulfilmentState::PartiallyShipped);
    assert_eq!(order.actions(), []);
    order.pack(parcel(2, Vec::new()), NOW).unwrap();
    order.move_parcel(fulfilment(2), FulfilmentStatus::Shipped, NOW).unwrap();
    assert_eq!(order.fulfilment_status, FulfilmentState::Shipped);
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, NOW).unwrap();
    assert_eq!((order.fulfilment_status, order.status), (FulfilmentState::Shipped, OrderStatus::Confirmed));
    assert_eq!(order.actions(), [OrderAction::Return]);
    order.move_parcel(fulfilment(2), FulfilmentStatus::Delivered, NOW).unwrap();
    assert_eq!((order.fulfilment_status, order.status), (FulfilmentState::Delivered, OrderStatus::Completed));
    order.ask_return(return_id(1), vec![items(0, 2), items(1, 1)], "too many".to_owned(), NOW).unwrap();
    assert_eq!(order.actions(), []);
    order.move_return(return_id(1), ReturnStatus::Approved, NOW).unwrap();
    let back = order.move_return(return_id(1), ReturnStatus::Received, NOW).unwrap();
    assert_eq!(back, Some(vec![items(0, 2), items(1, 1)]));
    assert_eq!(order.fulfilment_status, FulfilmentState::Returned);
    assert_eq!(order.move_return(return_id(1), ReturnStatus::Received, NOW).unwrap(), None);
}

#[test]
fn nothing_leaves_that_was_not_confirmed_or_is_not_there() {
    assert!(matches!(pending(&[(1, 1)], 0).pack(parcel(1, Vec::new()), NOW), Err(OrderError::NotAllowed(_))));
    let mut order = paid(&[(2, 200)], 0);
    let over = order.pack(parcel(1, vec![items(0, 3)]), NOW);
    assert!(matches!(over, Err(OrderError::QuantityExceeded { left: 2, .. })), "{over:?}");
    for bad in [items(0, 0), items(7, 1)] {
        let refused = order.pack(parcel(1, vec![bad]), NOW);
        assert!(matches!(refused, Err(OrderError::Common(crate::error::CommonError::Invalid(_)))), "{refused:?}");
    }
    assert_eq!(order, paid(&[(2, 200)], 0));
    order.pack(parcel(1, Vec::new()), NOW).unwrap();
    let none_left = order.pack(parcel(2, Vec::new()), NOW);
    assert!(matches!(none_left, Err(OrderError::QuantityExceeded { left: 0, .. })));
}

#[test]
fn a_cancelled_parcel_gives_its_units_back_to_the_order() {
    let mut order = paid(&[(2, 200)], 0);
    order.pack(parcel(1, Vec::new()), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Cancelled, NOW).unwrap();
    assert_eq!(order.lines[0].unfulfilled(), 2);
    let sent = order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW);
    assert!(matches!(sent, Err(OrderError::NotAllowed(_))));
}

#[test]
fn an_order_can_be_cancelled_until_something_has_left() {
    let mut order = paid(&[(2, 200), (1, 100)], 0);
    order.pack(parcel(1, vec![items(0, 1)]), NOW).unwrap();
    let mut whole = order.clone();
    assert_eq!(whole.take_out(Vec::new(), Some("why".to_owned())).unwrap(), [items(0, 2), items(1, 1)]);
    assert_eq!((whole.status, whole.cancel_reason.as_deref()), (OrderStatus::Cancelled, Some("why")));
    assert_eq!(whole.fulfilments[0].status, FulfilmentStatus::Cancelled);
    assert!(matches!(whole.take_out(Vec::new(), None), Err(OrderError::NotAllowed(_))));

    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW).unwrap();
    assert!(matches!(order.take_out(Vec::new(), None), Err(OrderError::AlreadyShipped)));
    let over = order.take_out(vec![items(0, 2)], None);
    assert!(matches!(over, Err(OrderError::QuantityExceeded { left: 1, .. })), "{over:?}");
    assert_eq!(order.take_out(vec![items(0, 1), items(1, 1)], None).unwrap().len(), 2);
    assert_eq!((order.status, order.fulfilment_status), (OrderStatus::Confirmed, FulfilmentState::Shipped));
}

#[test]
fn cancelling_what_is_left_completes_an_order_whose_rest_has_arrived() {
    let mut order = paid(&[(2, 200)], 0);
    order.pack(parcel(1, vec![items(0, 1)]), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, NOW).unwrap();
    assert_eq!(order.status, OrderStatus::Confirmed);
    order.take_out(vec![items(0, 1)], None).unwrap();
    assert_eq!((order.status, order.fulfilment_status), (OrderStatus::Completed, FulfilmentState::Delivered));
}

#[test]
fn only_what_was_delivered_can_be_returned_once() {
    let mut order = paid(&[(2, 200)], 0);
    order.pack(parcel(1, vec![items(0, 1)]), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW).unwrap();
    let ask = |order: &mut Order, n, units| order.ask_return(return_id(n), vec![items(0, units)], "no".to_owned(), NOW);
    assert!(matches!(ask(&mut order, 1, 1), Err(OrderError::QuantityExceeded { left: 0, .. })));
    let mut order = delivered(&[(2, 200)]);
    ask(&mut order, 1, 1).unwrap();
    assert!(matches!(ask(&mut order, 2, 2), Err(OrderError::QuantityExceeded { left: 1, .. })));
    order.move_return(return_id(1), ReturnStatus::Rejected, NOW).unwrap();
    assert_eq!(order.returnable(variant(0)), 2);
    assert!(matches!(order.move_return(return_id(1), ReturnStatus::Approved, NOW), Err(OrderError::NotAllowed(_))));
    assert!(order.ask_return(return_id(3), Vec::new(), "no".to_owned(), NOW).is_err());
}

/// A unit that is refunded and restocked must not be shipped as well, nor come back a second time.
#[test]
fn a_unit_goes_back_into_stock_once() {
    let mut order = paid(&[(3, 300)], 0);
    order.take_back(&[items(0, 1)], "scratched").unwrap();
    assert_eq!((order.lines[0].cancelled, order.lines[0].unfulfilled()), (1, 2));
    order.pack(parcel(1, Vec::new()), NOW).unwrap();
    assert!(matches!(order.take_back(&[items(0, 1)], "x"), Err(OrderError::QuantityExceeded { left: 0, .. })));
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, NOW).unwrap();
    order.ask_return(return_id(1), vec![items(0, 1)], "no".to_owned(), NOW).unwrap();
    assert_eq!(order.takeable_back(&[items(0, 3)]), [items(0, 1)]);
    order.take_back(&[items(0, 1)], "broken").unwrap();
    assert_eq!((order.lines[0].returned, order.returnable(variant(0))), (1, 0));
    order.move_return(return_id(1), ReturnStatus::Approved, NOW).unwrap();
    order.move_return(return_id(1), ReturnStatus::Received, NOW).unwrap();
    assert_eq!((order.lines[0].returned, order.fulfilment_status), (2, FulfilmentState::Returned));

    let mut order = paid(&[(1, 100)], 0);
    order.take_back(&[items(0, 1)], "sold out").unwrap();
    assert_eq!((order.status, order.cancel_reason.as_deref()), (OrderStatus::Cancelled, Some("sold out")));
}

#[derive(Clone, Debug)]
enum Step {
    Pack(Vec<(usize, u32)>),
    Move(u128, FulfilmentStatus),
    TakeOut(Vec<(usize, u32)>),
    TakeBack(usize, u32),
    Ask(Vec<(usize, u32)>),
    Decide(u128, ReturnStatus),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let some = || prop::collection::vec((0..3usize, 0..4u32), 0..3);
    let parcels = prop::sample::select(vec![
        FulfilmentStatus::Pending,
        FulfilmentStatus::Shipped,
        FulfilmentStatus::Delivered,
        FulfilmentStatus::Cancelled,
    ]);
    let returns = prop::sample::select(vec![
        ReturnStatus::Requested,
        ReturnStatus::Approved,
        ReturnStatus::Rejected,
        ReturnStatus::Received,
    ]);
    let step = prop_oneof![
        3 => some().prop_map(Step::Pack),
        6 => (0..6u128, parcels).prop_map(|(n, to)| Step::Move(n, to)),
        2 => some().prop_map(Step::TakeOut),
        1 => (0..3usize, 1..3u32).prop_map(|(n, units)| Step::TakeBack(n, units)),
        3 => some().prop_map(Step::Ask),
        3 => (0..6u128, returns).prop_map(|(n, to)| Step::Decide(n, to)),
    ];
    prop::collection::vec(step, 1..40)
}

fn picked(of: &[(usize, u32)]) -> Vec<LineQuantity> {
    of.iter().map(|(n, units)| items(*n, *units)).collect()
}

/// What must hold of an order's goods whatever was done to it; `back` counts units that went back into stock.
fn check_goods(order: &Order, back: &[u32; 3]) {
    use FulfilmentStatus::{Delivered, Pending, Shipped};
    let units = |id, statuses: &[FulfilmentStatus]| -> u32 {
        let parcels = order.fulfilments.iter().filter(|parcel| statuses.contains(&parcel.status));
        parcels.flat_map(|parcel| &parcel.items).filter(|item| item.variant_id == id).map(|item| item.quantity).sum()
    };
    for (n, line) in order.lines.iter().enumerate() {
        let id = line.variant_id;
        assert_eq!(line.fulfilled, units(id, &[Pending, Shipped, Delivered]), "{line:?}");
        assert!(line.fulfilled + line.cancelled <= line.quantity, "{line:?}");
        assert_eq!(line.fulfilled + line.cancelled + line.unfulfilled(), line.quantity);
        assert!(line.returned + order.returnable(id) <= units(id, &[Shipped, Delivered]), "{line:?}");
        assert_eq!(line.cancelled + line.returned, back[n], "{line:?}");
    }
    let wanted: u32 = order.lines.iter().map(|line| line.quantity - line.cancelled).sum();
    let shipped: u32 = order.lines.iter().map(|line| units(line.variant_id, &[Shipped, Delivered])).sum();
    let arrived: u32 = order.lines.iter().map(|line| units(line.variant_id, &[Delivered])).sum();
    let returned: u32 = order.lines.iter().map(|line| line.returned).sum();
    assert_eq!(order.status == OrderStatus::Cancelled, wanted == 0);
    let state = order.fulfilment_status;
    assert_eq!(state == FulfilmentState::Unfulfilled, shipped == 0);
    assert_eq!(state == FulfilmentState::PartiallyShipped, 0 < shipped && shipped < wanted && returned < wanted);
    assert_eq!(state == FulfilmentState::Returned, shipped > 0 && returned == wanted);
    assert_eq!(
        order.status == OrderStatus::Completed,
        wanted > 0 && (arrived == wanted || returned == wanted),
        "{order:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goods are conserved in any sequence of calls, and a refused call changes nothing.
    #[test]
    fn goods_are_conserved(steps in steps()) {
        let mut order = paid(&[(3, 1000), (2, 500), (1, 1)], 490);
        let mut back = [0u32; 3];
        let mut seen = BTreeSet::new();
        for (n, step) in (0u128..).zip(steps) {
            let mut after = order.clone();
            let mut returned = Vec::new();
            let id = seen.len() as u128;
            let done = match &step {
                Step::Pack(of) => after.pack(parcel(id, picked(of)), NOW).map(|()| { seen.insert(n); }),
                Step::Move(n, to) => after.move_parcel(fulfilment(*n), *to, NOW).map(drop),
                Step::TakeOut(of) => after.take_out(picked(of), None).map(|out| returned = out),
                Step::TakeBack(n, units) => after.take_back(&[items(*n, *units)], "x").map(|()| {
                    returned = vec![items(*n, *units)];
                }),
                Step::Ask(of) => after.ask_return(return_id(id), picked(of), "no".to_owned(), NOW).map(|()| { seen.insert(n); }),
                Step::Decide(n, to) => after.move_return(return_id(*n), *to, NOW).map(|items| returned = items.unwrap_or_default()),
            };
            if done.is_ok() {
                for item in returned {
                    back[order.lines.iter().position(|line| line.variant_id == item.variant_id).unwrap()] += item.quantity;
                }
                order = after;
            }
            check_goods(&order, &back);
        }
    }

    /// Money is never spread over units so that shares don't add up, or one is negative.
    #[test]
    fn cumulative_shares_add_up(charged in 0i64..1_000_000_000, whole in 1u32..10_000, cut in 0u32..10_000) {
        let cut = cut.min(whole);
        let share = |part| eur(charged).cumulative_share(part, whole).minor;
        prop_assert_eq!(share(0), 0);
        prop_assert_eq!(share(whole), charged);
        prop_assert!(0 <= share(cut) && share(cut) <= charged);
        if cut > 0 {
            let one = share(cut) - share(cut - 1);
            prop_assert!((charged / i64::from(whole)..=charged / i64::from(whole) + 1).contains(&one));
        }
    }
}
