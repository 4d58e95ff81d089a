use super::{
    rules::NewParcel,
    sample::{NOW, eur, items, paid, pending, variant},
    *,
};
use crate::{
    id::{FulfilmentId, ReturnId},
    payment::{PaymentStatus, RefundStatus},
    state::State,
};

mod journeys;

/// A table is sound if it names no move twice and none to itself, and every state is in it.
fn check_table<S: State>(all: &[S], start: S, ends: &[S]) {
    for (n, (from, to)) in S::TRANSITIONS.iter().enumerate() {
        assert_ne!(from, to);
        assert!(!S::TRANSITIONS[..n].contains(&(*from, *to)), "{from:?} → {to:?} is there twice");
    }
    for from in all {
        for to in all {
            let mut state = *from;
            let allowed = from == to || S::TRANSITIONS.contains(&(*from, *to));
            assert_eq!(state.transition_to(*to).is_ok(), allowed, "{from:?} → {to:?}");
            assert_eq!(state, if allowed { *to } else { *from });
        }
        let leads_on = S::TRANSITIONS.iter().any(|(state, _)| state == from);
        assert_eq!(leads_on, !ends.contains(from), "{from:?}");
    }
    let mut reached = vec![start];
    let mut n = 0;
    while let Some(state) = reached.get(n).copied() {
        reached.extend(
            all.iter()
                .filter(|to| !reached.contains(to) && S::TRANSITIONS.contains(&(state, **to)))
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
            FulfilmentStatus::ReturnedToSender,
        ],
        FulfilmentStatus::Pending,
        &[FulfilmentStatus::Delivered, FulfilmentStatus::Cancelled, FulfilmentStatus::ReturnedToSender],
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

fn parcel(n: u128, items: impl Into<ItemSelection>) -> NewParcel {
    NewParcel {
        id: FulfilmentId(uuid::Uuid::from_u128(n)),
        items: items.into(),
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
    order.create_fulfilment(parcel(1, ItemSelection::All), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, true, NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, true, NOW).unwrap();
    order
}

#[test]
fn goods_travel_from_the_shelf_to_the_door_and_back() {
    let mut order = paid(&[(2, 200), (1, 100)], 0);
    assert_eq!(order.actions(), [OrderAction::Cancel]);
    order.create_fulfilment(parcel(1, vec![items(0, 1), items(0, 1)]), NOW).unwrap();
    assert_eq!((order.lines[0].fulfilled, order.lines[1].fulfilled), (2, 0));
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, true, NOW).unwrap();
    assert_eq!(order.fulfilment_status, FulfilmentState::PartiallyShipped);
    assert_eq!(order.actions(), []);
    order.create_fulfilment(parcel(2, ItemSelection::All), NOW).unwrap();
    order.move_parcel(fulfilment(2), FulfilmentStatus::Shipped, true, NOW).unwrap();
    assert_eq!(order.fulfilment_status, FulfilmentState::Shipped);
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, true, NOW).unwrap();
    assert_eq!((order.fulfilment_status, order.status), (FulfilmentState::Shipped, OrderStatus::Confirmed));
    assert_eq!(order.actions(), [OrderAction::Return]);
    order.move_parcel(fulfilment(2), FulfilmentStatus::Delivered, true, NOW).unwrap();
    assert_eq!((order.fulfilment_status, order.status), (FulfilmentState::Delivered, OrderStatus::Completed));
    order.ask_return(return_id(1), vec![items(0, 2), items(1, 1)], "too many".to_owned(), NOW).unwrap();
    assert_eq!(order.actions(), []);
    order.move_return(return_id(1), ReturnStatus::Approved, true, NOW).unwrap();
    let back = order.move_return(return_id(1), ReturnStatus::Received, true, NOW).unwrap();
    assert_eq!(back, Some(vec![items(0, 2), items(1, 1)]));
    assert_eq!(order.fulfilment_status, FulfilmentState::Returned);
    assert_eq!(order.move_return(return_id(1), ReturnStatus::Received, true, NOW).unwrap(), None);
}

#[test]
fn nothing_leaves_that_was_not_confirmed_or_is_not_there() {
    assert!(matches!(
        pending(&[(1, 1)], 0).create_fulfilment(parcel(1, ItemSelection::All), NOW),
        Err(OrderError::NotAllowed(_))
    ));
    let mut order = paid(&[(2, 200)], 0);
    let over = order.create_fulfilment(parcel(1, vec![items(0, 3)]), NOW);
    assert!(matches!(over, Err(OrderError::QuantityExceeded { left: 2, .. })), "{over:?}");
    for bad in [items(0, 0), items(7, 1)] {
        let refused = order.create_fulfilment(parcel(1, vec![bad]), NOW);
        assert!(matches!(refused, Err(OrderError::Common(crate::error::CommonError::Invalid(_)))), "{refused:?}");
    }
    assert_eq!(order, paid(&[(2, 200)], 0));
    order.create_fulfilment(parcel(1, ItemSelection::All), NOW).unwrap();
    let none_left = order.create_fulfilment(parcel(2, ItemSelection::All), NOW);
    assert!(matches!(none_left, Err(OrderError::QuantityExceeded { left: 0, .. })));
}

#[test]
fn a_cancelled_parcel_gives_its_units_back_to_the_order() {
    let mut order = paid(&[(2, 200)], 0);
    order.create_fulfilment(parcel(1, ItemSelection::All), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Cancelled, true, NOW).unwrap();
    assert_eq!(order.lines[0].unfulfilled(), 2);
    let sent = order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, true, NOW);
    assert!(matches!(sent, Err(OrderError::NotAllowed(_))));
}

#[test]
fn an_order_can_be_cancelled_until_something_has_left() {
    let mut order = paid(&[(2, 200), (1, 100)], 0);
    order.create_fulfilment(parcel(1, vec![items(0, 1)]), NOW).unwrap();
    let mut whole = order.clone();
    assert_eq!(
        whole.cancel_units(ItemSelection::All, Some("why".to_owned()), true).unwrap().back,
        [items(0, 2), items(1, 1)]
    );
    assert_eq!((whole.status, whole.cancel_reason.as_deref()), (OrderStatus::Cancelled, Some("why")));
    assert_eq!(whole.fulfilments[0].status, FulfilmentStatus::Cancelled);
    assert!(matches!(whole.cancel_units(ItemSelection::All, None, true), Err(OrderError::NotAllowed(_))));

    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, true, NOW).unwrap();
    assert!(matches!(order.cancel_units(ItemSelection::All, None, true), Err(OrderError::AlreadyShipped)));
    let over = order.cancel_units([items(0, 2)].into(), None, true);
    assert!(matches!(over, Err(OrderError::QuantityExceeded { left: 1, .. })), "{over:?}");
    assert_eq!(order.cancel_units([items(0, 1), items(1, 1)].into(), None, true).unwrap().back.len(), 2);
    assert_eq!((order.status, order.fulfilment_status), (OrderStatus::Confirmed, FulfilmentState::Shipped));
}

#[test]
fn cancelling_what_is_left_completes_an_order_whose_rest_has_arrived() {
    let mut order = paid(&[(2, 200)], 0);
    order.create_fulfilment(parcel(1, vec![items(0, 1)]), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, true, NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Delivered, true, NOW).unwrap();
    assert_eq!(order.status, OrderStatus::Confirmed);
    order.cancel_units([items(0, 1)].into(), None, true).unwrap();
    assert_eq!((order.status, order.fulfilment_status), (OrderStatus::Completed, FulfilmentState::Delivered));
}

#[test]
fn only_what_was_delivered_can_be_returned_once() {
    let mut order = paid(&[(2, 200)], 0);
    order.create_fulfilment(parcel(1, vec![items(0, 1)]), NOW).unwrap();
    order.move_parcel(fulfilment(1), FulfilmentStatus::Shipped, true, NOW).unwrap();
    let ask = |order: &mut Order, n, units| order.ask_return(return_id(n), vec![items(0, units)], "no".to_owned(), NOW);
    assert!(matches!(ask(&mut order, 1, 1), Err(OrderError::QuantityExceeded { left: 0, .. })));
    let mut order = delivered(&[(2, 200)]);
    ask(&mut order, 1, 1).unwrap();
    assert!(matches!(ask(&mut order, 2, 2), Err(OrderError::QuantityExceeded { left: 1, .. })));
    order.move_return(return_id(1), ReturnStatus::Rejected, true, NOW).unwrap();
    assert_eq!(order.returnable(variant(0)), 2);
    assert!(matches!(
        order.move_return(return_id(1), ReturnStatus::Approved, true, NOW),
        Err(OrderError::NotAllowed(_))
    ));
    assert!(order.ask_return(return_id(3), Vec::new(), "no".to_owned(), NOW).is_err());
}
