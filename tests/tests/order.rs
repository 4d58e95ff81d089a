//! Orders over the facade: cancelling, shipping, returning.

use commerce_core::{
    context::{AccessError, RequestContext, Role},
    error::CommonError,
    id::{FulfilmentId, IdGenerator, ReturnId, UuidV7},
    order::{
        Cancellation, FulfilmentState, FulfilmentStatus, ItemSelection, NewReturn, OrderError, OrderQuery, OrderStatus,
        ReturnQuery, ReturnStatus,
    },
    page::PageRequest,
    payment::{GatewayFault, PaymentStatus, RefundStatus},
};
use commerce_tests::shop::{SECURE, TestShop, VISA, cancel_of, customer, eur, keyed, offline, parcel, units_of, user};
use std::time::Duration;

#[tokio::test]
async fn a_paid_order_is_cancelled_and_refunded() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    let order = shop.buy(&ada, mug, 2).await;
    assert!(shop.by(customer()).orders().cancel(order.id, Cancellation::all()).await.is_err(), "not theirs");
    let cancelled = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    assert_eq!((cancelled.status, cancelled.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    assert_eq!(cancelled.refunds[0].amount, eur(3980));
    assert_eq!(cancelled.lines[0].cancelled, 2);
    assert_eq!(shop.order(&order).await, cancelled);
    assert_eq!(shop.units(mug).await, (10, 0));
    let again = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap_err();
    assert!(matches!(again, OrderError::NotAllowed(_)), "{again:?}");
    shop.commerce.worker().tick().await.unwrap();
    let subjects: Vec<_> = shop.mailer.sent().into_iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects.len(), 3, "confirmed, cancelled, refunded: {subjects:?}");
    shop.check_books().await;
}

#[tokio::test]
async fn an_authorized_order_is_cancelled_and_voided() {
    let shop = TestShop::with(|b| b.settings(|s| s.capture_at_checkout = false)).await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    let order = shop.buy(&ada, mug, 2).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Authorized));
    shop.gateway.script([GatewayFault::LostAfter]);
    let cancelled = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    assert_eq!((cancelled.status, cancelled.payment_status), (OrderStatus::Cancelled, PaymentStatus::Authorized));
    let late = shop.staff().payments().capture(order.id).await.unwrap_err();
    assert!(matches!(late, OrderError::NothingToCapture), "a cancelled order isn't captured: {late:?}");
    shop.wait(Duration::from_secs(31)).await;
    assert_eq!(shop.order(&order).await.payment_status, PaymentStatus::Voided);
    assert_eq!(shop.units(mug).await, (10, 0));
    shop.check_books().await;
}

#[tokio::test]
async fn an_offline_order_is_cancelled_in_the_books() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let order = shop.by(&ada).checkout().place(offline()).await.unwrap().order;
    let cancelled = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    assert_eq!((cancelled.status, cancelled.payment_status), (OrderStatus::Cancelled, PaymentStatus::Voided));
    let received = shop.staff().payments().receive(order.payments[0].id).await.unwrap_err();
    assert!(matches!(received, OrderError::NotAwaited), "{received:?}");
    assert_eq!(shop.units(mug).await, (10, 0));
    shop.check_books().await;
}

#[tokio::test]
async fn an_order_that_waits_for_its_customer_is_cancelled_whole() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    let part = shop.staff().orders().cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap_err();
    assert!(matches!(part, OrderError::NotAllowed(_)), "{part:?}");
    shop.gateway.script([GatewayFault::Refused]);
    let unreachable = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap_err();
    assert!(matches!(unreachable, OrderError::GatewayUnavailable), "{unreachable:?}");
    let cancelled = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    assert_eq!((cancelled.status, cancelled.payment_status), (OrderStatus::Cancelled, PaymentStatus::Voided));
    assert_eq!(shop.units(mug).await, (10, 0));
    assert_eq!(
        shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count,
        2,
        "the cart comes back, as after a decline"
    );

    shop.fill(&ada, mug, 2).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    assert!(shop.gateway.authenticate(order.payments[0].id, true));
    let cancelled = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    assert_eq!((cancelled.status, cancelled.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    assert_eq!(shop.units(mug).await, (10, 0));
    shop.check_books().await;
}

#[tokio::test]
async fn nobody_cancels_while_the_payment_is_being_made() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let doomed = shop.process_on(commerce_tests::shop::MortalStore::new(shop.store.clone(), 0, true));
    let place = tokio::time::timeout(Duration::from_millis(300), doomed.place(&ada, VISA)).await;
    assert!(place.is_err());
    let order = shop.only_order().await;
    let busy = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap_err();
    assert!(matches!(busy, OrderError::PaymentBusy), "{busy:?}");
    shop.wait(Duration::from_secs(32)).await;
    assert_eq!(shop.order(&order).await.status, OrderStatus::Confirmed, "the worker went on with it");
    shop.check_books().await;
}

#[tokio::test]
async fn partial_cancels_and_parcels_add_up() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1000, 10).await, shop.sell("CUP", 333, 10).await);
    let (ada, orders) = (customer(), shop.staff().orders());
    shop.fill(&ada, mug, 3).await;
    let order = shop.buy(&ada, cup, 1).await;
    let first = orders.fulfil(order.id, parcel(vec![units_of(mug, 1)])).await.unwrap().fulfilment.id;
    let over = orders.cancel(order.id, cancel_of(vec![units_of(mug, 3)])).await.unwrap_err();
    assert!(matches!(over, OrderError::QuantityExceeded { left: 2, .. }), "{over:?}");
    let after = orders.cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap();
    assert_eq!((after.status, after.payment_status), (OrderStatus::Confirmed, PaymentStatus::PartiallyRefunded));
    assert_eq!((after.refunds[0].amount, after.refunds[0].status), (eur(1000), RefundStatus::Settled));
    assert_eq!(shop.units(mug).await, (8, 0));
    orders.update_fulfilment(first, FulfilmentStatus::Shipped).await.unwrap();
    let shipped = orders.cancel(order.id, cancel_of(ItemSelection::All)).await.unwrap_err();
    assert!(matches!(shipped, OrderError::AlreadyShipped), "{shipped:?}");
    assert!(matches!(
        shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await,
        Err(OrderError::AlreadyShipped)
    ));
    let rest = shop.deliver(&order).await;
    assert_eq!((rest.status, rest.fulfilment_status), (OrderStatus::Confirmed, FulfilmentState::Shipped));
    assert_eq!(rest.fulfilments[1].items, [units_of(mug, 1), units_of(cup, 1)]);
    let done = orders.update_fulfilment(first, FulfilmentStatus::Delivered).await.unwrap();
    assert_eq!((done.status, done.fulfilment_status), (OrderStatus::Completed, FulfilmentState::Delivered));
    shop.check_books().await;
}

#[tokio::test]
async fn cancelling_the_last_unit_gives_the_shipping_back_too() {
    let shop = TestShop::with(|b| {
        let method = commerce_core::pricing::FlatMethod {
            code: "post".into(),
            title: "Post".into(),
            price: Some(eur(490)),
            free_above: None,
        };
        b.shipping(commerce_core::pricing::FlatShipping::new(vec![method]))
    })
    .await;
    let (mug, gift) = (shop.sell("MUG", 1000, 10).await, shop.sell("GIFT", 0, 10).await);
    let (ada, orders) = (customer(), shop.staff().orders());
    shop.fill(&ada, gift, 1).await;
    let order = shop.buy(&ada, mug, 2).await;
    let after = orders.cancel(order.id, cancel_of(vec![units_of(gift, 1)])).await.unwrap();
    assert_eq!((after.refunds.len(), after.payment_status), (0, PaymentStatus::Paid), "what was free is owed nothing");
    orders.cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap();
    let after = orders.cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap();
    assert_eq!((after.status, after.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    assert_eq!(after.refunds.iter().map(|refund| refund.amount.minor).collect::<Vec<_>>(), [1000, 1490]);
    shop.check_books().await;
}

#[tokio::test]
async fn a_parcel_is_tracked_from_packing_to_the_door() {
    let shop = TestShop::open().await;
    let (mug, ada, staff) = (shop.sell("MUG", 1990, 10).await, customer(), RequestContext::system());
    let order = shop.buy(&ada, mug, 2).await;
    let orders = shop.staff().orders();
    let once = keyed(&staff, "pack");
    let first = shop.by(&once).orders().fulfil(order.id, parcel(vec![units_of(mug, 1)])).outcome().await.unwrap();
    let second = shop.by(&once).orders().fulfil(order.id, parcel(vec![units_of(mug, 1)])).outcome().await.unwrap();
    assert_eq!((second.replayed, second.value.fulfilment.id), (true, first.value.fulfilment.id));
    assert_eq!(second.value.order.fulfilments.len(), 1);
    let id = first.value.fulfilment.id;
    assert!(orders.update_fulfilment(id, FulfilmentStatus::Delivered).await.is_err(), "it hasn't left");
    orders.update_fulfilment(id, FulfilmentStatus::Shipped).await.unwrap();
    let again = orders.update_fulfilment(id, FulfilmentStatus::Shipped).await.unwrap();
    assert_eq!(again.fulfilment_status, FulfilmentState::PartiallyShipped);
    assert!(orders.update_fulfilment(id, FulfilmentStatus::Cancelled).await.is_err(), "it has left");
    let unknown = orders.update_fulfilment(FulfilmentId(UuidV7.uuid()), FulfilmentStatus::Shipped).await;
    assert!(matches!(unknown, Err(OrderError::Common(CommonError::NotFound(_)))));
    shop.deliver(&order).await;
    orders.update_fulfilment(id, FulfilmentStatus::Delivered).await.unwrap();
    let tracking = shop.by(&ada.actor).orders().tracking(order.id).await.unwrap();
    let events: Vec<_> = tracking.timeline.iter().map(|entry| entry.event.as_str()).collect();
    assert_eq!(
        events,
        [
            "order_placed",
            "payment_captured",
            "order_confirmed",
            "fulfilment_created",
            "fulfilment_shipped",
            "fulfilment_created",
            "fulfilment_shipped",
            "fulfilment_delivered",
            "fulfilment_delivered",
            "order_completed",
        ]
    );
    assert_eq!(tracking.fulfilments.len(), 2);
    assert!(shop.by(&customer().actor).orders().tracking(order.id).await.is_err());
    shop.commerce.worker().tick().await.unwrap();
    assert_eq!(shop.mailer.sent().len(), 3, "confirmed, and each parcel once");
}

#[tokio::test]
async fn returned_goods_come_back_into_stock_and_their_money_goes_back() {
    let shop = TestShop::open().await;
    let (mug, ada, orders) = (shop.sell("MUG", 1000, 10).await, customer(), shop.staff().orders());
    let order = shop.buy(&ada, mug, 3).await;
    let early = shop
        .by(&ada)
        .orders()
        .request_return(order.id, NewReturn::new(vec![units_of(mug, 1)], "no"))
        .await
        .unwrap_err();
    assert!(matches!(early, OrderError::QuantityExceeded { left: 0, .. }), "{early:?}");
    shop.deliver(&order).await;
    let ask = |units, reason: &str| {
        shop.by(&ada).orders().request_return(order.id, NewReturn::new(vec![units_of(mug, units)], reason))
    };
    assert!(ask(1, " ").await.is_err(), "a reason must be given");
    assert!(ask(4, "no").await.is_err());
    assert!(
        shop.by(customer())
            .orders()
            .request_return(order.id, NewReturn::new(vec![units_of(mug, 1)], "x"))
            .await
            .is_err()
    );
    let id = ask(2, "no").await.unwrap().r#return.id;
    assert!(matches!(ask(2, "no").await, Err(OrderError::QuantityExceeded { left: 1, .. })));
    let early = orders.decide_return(id, ReturnStatus::Received).await.unwrap_err();
    assert!(matches!(early, OrderError::NotAllowed(_)), "{early:?}");
    orders.decide_return(id, ReturnStatus::Approved).await.unwrap();
    assert_eq!(shop.units(mug).await, (7, 0));
    let after = orders.decide_return(id, ReturnStatus::Received).await.unwrap();
    assert_eq!(
        (after.payment_status, after.fulfilment_status),
        (PaymentStatus::PartiallyRefunded, FulfilmentState::Delivered)
    );
    assert_eq!((after.refunds[0].amount, after.refunds[0].return_id), (eur(2000), Some(id)));
    assert_eq!(shop.units(mug).await, (9, 0));
    orders.decide_return(id, ReturnStatus::Received).await.unwrap();
    assert_eq!(shop.units(mug).await, (9, 0), "received once");

    let rejected = ask(1, "again").await.unwrap().r#return.id;
    orders.decide_return(rejected, ReturnStatus::Rejected).await.unwrap();
    let last = ask(1, "again").await.unwrap().r#return.id;
    orders.decide_return(last, ReturnStatus::Approved).await.unwrap();
    let after = orders.decide_return(last, ReturnStatus::Received).await.unwrap();
    assert_eq!((after.payment_status, after.fulfilment_status), (PaymentStatus::Refunded, FulfilmentState::Returned));
    let page =
        orders.returns(ReturnQuery::new().status(ReturnStatus::Received), &PageRequest::default()).await.unwrap();
    assert_eq!(page.items.iter().map(|ret| ret.r#return.id).collect::<Vec<_>>(), [last, id]);
    let unknown = orders.decide_return(ReturnId(UuidV7.uuid()), ReturnStatus::Approved).await.unwrap_err();
    assert!(matches!(unknown, OrderError::Common(CommonError::NotFound(_))), "{unknown:?}");
    shop.check_books().await;
}

#[tokio::test]
async fn staff_calls_need_staff() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
    let order = shop.buy(&ada, mug, 1).await;
    let refund = || commerce_core::payment::NewRefund::all().reason("x");
    for (call, guest) in [(ada.clone(), false), (user(Role::Support), false), (RequestContext::guest(), true)] {
        let refusals = [
            shop.by(&call).orders().fulfil(order.id, parcel(ItemSelection::All)).await.err(),
            shop.by(&call).orders().cancel(order.id, cancel_of([units_of(mug, 1)])).await.err(),
            shop.by(&call).payments().capture(order.id).await.err(),
            shop.by(&call).payments().refund(order.id, refund()).await.err(),
            shop.by(&call).payments().receive(order.payments[0].id).await.err(),
            shop.by(&call).orders().decide_return(ReturnId(UuidV7.uuid()), ReturnStatus::Approved).await.err(),
            shop.by(&call)
                .orders()
                .update_fulfilment(FulfilmentId(UuidV7.uuid()), FulfilmentStatus::Shipped)
                .await
                .err(),
        ];
        for refusal in refusals {
            let Some(OrderError::Common(CommonError::Access(access))) = refusal else { panic!("{refusal:?}") };
            assert_eq!(access == AccessError::Unauthenticated, guest);
        }
    }
    assert!(shop.by(&ada.actor).orders().list(OrderQuery::default(), &PageRequest::default()).await.is_err());
    assert!(shop.guest().orders().mine(&PageRequest::default()).await.is_err());
    let support = user(Role::Support);
    assert_eq!(
        shop.by(&support.actor).orders().get(order.id).await.unwrap(),
        order,
        "support sees, and nothing was changed"
    );
}

#[tokio::test]
async fn orders_are_found_by_every_filter() {
    let shop = TestShop::open().await;
    let (mug, ada, bob) = (shop.sell("MUG", 1000, 10).await, customer(), customer());
    let first = shop.buy(&ada, mug, 1).await;
    shop.clock.advance(Duration::from_mins(1));
    let second = shop.buy(&bob, mug, 1).await;
    let second = shop.by(&bob).orders().cancel(second.id, Cancellation::all()).await.unwrap();
    let found = async |query: OrderQuery| {
        let page = PageRequest { count: true, ..PageRequest::first(10) };
        let page = shop.staff().orders().list(query, &page).await.unwrap();
        assert_eq!(page.total, Some(page.items.len() as u64));
        page.items.into_iter().map(|order| order.id).collect::<Vec<_>>()
    };
    assert_eq!(found(OrderQuery::default()).await, [second.id, first.id]);
    for (query, ids) in [
        (OrderQuery { status: Some(OrderStatus::Cancelled), ..OrderQuery::default() }, vec![second.id]),
        (OrderQuery { payment_status: Some(PaymentStatus::Paid), ..OrderQuery::default() }, vec![first.id]),
        (OrderQuery { fulfilment_status: Some(FulfilmentState::Delivered), ..OrderQuery::default() }, vec![]),
        (OrderQuery { number: Some(first.number.clone()), ..OrderQuery::default() }, vec![first.id]),
        (OrderQuery { email: Some("eve@example.com".into()), ..OrderQuery::default() }, vec![]),
        (OrderQuery { customer: bob.actor.user(), ..OrderQuery::default() }, vec![second.id]),
        (OrderQuery { placed_after: Some(second.placed_at), ..OrderQuery::default() }, vec![second.id]),
        (OrderQuery { placed_before: Some(second.placed_at), ..OrderQuery::default() }, vec![first.id]),
    ] {
        assert_eq!(found(query.clone()).await, ids, "{query:?}");
    }
}
