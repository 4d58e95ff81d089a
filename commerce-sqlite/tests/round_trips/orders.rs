//! Orders, and what hangs on them.

use commerce_core::{
    id::{FulfilmentId, RefundId, ReturnId, UserId},
    order::{
        Fulfilment, FulfilmentStatus, LineQuantity, OrderChild, OrderQueries as _, OrderQuery, OrderStatus, Return,
        ReturnStatus,
    },
    page::PageSpec,
    payment::{NextAction, PaymentStatus, Refund, RefundStatus},
    store::{OutboxQueries as _, Store as _},
};

use crate::common::{NOW, Shop, eur};

#[tokio::test]
async fn orders_with_all_their_children() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let mut product = shop.product("Mug", &[100, 250]);
    shop.stocked(&mut product, 10).await;
    let customer: UserId = shop.id();
    let mut order = shop.order("A-1", Some(customer), &product, 2);
    let mut set = shop.set();
    set.insert(&mut order);
    for line in &order.lines {
        set.reserve(line.variant_id, 2);
    }
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_order(order.id).await.unwrap().as_ref(), Some(&order));
    assert_eq!(store.verify().await.unwrap(), []);
    assert!(store.load_purchases(&[(customer, product.id)]).await.unwrap().is_empty());

    let before = order.clone();
    order.status = OrderStatus::Confirmed;
    order.email = "other@example.org".into();
    order.lines[0].fulfilled = 2;
    order.lines[0].returned = 1;
    order.payment_status = PaymentStatus::Paid;
    order.payments[0].status = PaymentStatus::Paid;
    order.payments[0].captured = 700;
    order.payments[0].next_action =
        Some(NextAction { kind: "redirect".into(), client_secret: None, url: Some("u".into()) });
    let items = vec![LineQuantity { variant_id: order.lines[0].variant_id, quantity: 1 }];
    order.refunds.push(Refund {
        id: shop.id::<RefundId>(),
        payment_id: order.payments[0].id,
        amount: eur(100),
        status: RefundStatus::Pending,
        origin: commerce_core::payment::RefundOrigin::Gateway,
        reason: "broken".into(),
        items: items.clone(),
        restock: true,
        return_id: None,
        reference: None,
        failure: None,
        lease_until: Some(NOW),
        created_at: NOW,
        updated_at: NOW,
    });
    order.fulfilments.push(Fulfilment {
        id: shop.id::<FulfilmentId>(),
        status: FulfilmentStatus::Shipped,
        carrier: "DHL".into(),
        tracking_number: "1".into(),
        tracking_url: None,
        items: items.clone(),
        created_at: NOW,
        shipped_at: Some(NOW),
        delivered_at: None,
    });
    order.returns.push(Return {
        id: shop.id::<ReturnId>(),
        status: ReturnStatus::Received,
        items,
        reason: "too big".into(),
        created_at: NOW,
        updated_at: NOW,
        waived: None,
    });
    let mut set = shop.set();
    set.update(&before, &mut order);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_order(order.id).await.unwrap().as_ref(), Some(&order));
    for child in [
        OrderChild::Payment(order.payments[0].id),
        OrderChild::Refund(order.refunds[0].id),
        OrderChild::Fulfilment(order.fulfilments[0].id),
        OrderChild::Return(order.returns[0].id),
    ] {
        assert_eq!(store.load_order_of(child).await.unwrap(), Some(order.id));
    }
    assert!(store.has_orders(product.id).await.unwrap());
    assert!(!store.load_purchases(&[(customer, product.id)]).await.unwrap().is_empty());
    assert!(store.load_purchases(&[(shop.id(), product.id)]).await.unwrap().is_empty());

    for (query, count) in [
        (OrderQuery::default(), 1),
        (OrderQuery { customer: Some(customer), hide_declined: true, ..OrderQuery::default() }, 1),
        (OrderQuery { status: Some(OrderStatus::Pending), ..OrderQuery::default() }, 0),
        (OrderQuery { email: Some("other@example.org".into()), ..OrderQuery::default() }, 1),
        (OrderQuery { number: Some("A-1".into()), placed_after: Some(NOW), ..OrderQuery::default() }, 1),
        (OrderQuery { placed_before: Some(NOW), ..OrderQuery::default() }, 0),
    ] {
        let page = store.list_orders(&query, &PageSpec { count: true, ..PageSpec::first(5) }).await.unwrap();
        assert_eq!((page.items.len(), page.total), (count, Some(count as u64)), "{query:?}");
        assert!(page.items.iter().all(|listed| *listed == order));
    }
    let payments = store.list_payments(Some(PaymentStatus::Paid), &PageSpec::first(5)).await.unwrap();
    assert_eq!(payments.items[0].payment, order.payments[0]);
    let returns = store.list_returns(Some(ReturnStatus::Received), &PageSpec::first(5)).await.unwrap();
    assert_eq!((returns.items[0].order_id, &returns.items[0].r#return), (order.id, &order.returns[0]));
}
