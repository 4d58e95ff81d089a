//! Orders with their lines, payments, refunds, parcels and returns.

use super::{
    StoreFixture,
    sample::{EXTREME_TIMES, order_line, quantity},
    shop::{ODD, Shop, bare_address, eur, full_address, minutes, same},
};
use crate::{
    catalog::Product,
    id::{OrderId, RefundId},
    money::{Currency, Money},
    order::{
        FulfilmentState, FulfilmentStatus, Order, OrderChild, OrderPayment, OrderQuery, OrderReturn, OrderStatus,
        ReturnStatus,
    },
    page::PageSpec,
    payment::{PaymentStatus, RefundStatus},
    pricing::Totals,
};

async fn load(shop: &Shop, id: OrderId) -> Option<Order> {
    shop.reads().load_order(id).await.expect("an order can be read")
}

async fn list(shop: &Shop, query: &OrderQuery) -> Vec<Order> {
    let spec = PageSpec { count: true, ..PageSpec::first(100) };
    let listed = shop.reads().list_orders(query, &spec).await.expect("orders can be listed");
    assert_eq!(listed.total, Some(listed.items.len() as u64), "the total counts what the filter lets through");
    listed.items
}

fn mug(shop: &Shop) -> Product {
    shop.product("mug", &[1000, 1500])
}

/// An order loads as it was committed, with two of every child and every option set, and with nothing optional.
pub async fn orders_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let full = shop.insert(shop.full_order("O-1", &mug(&shop), shop.id())).await;
    let bare = shop.insert(shop.order("O-2", &mug(&shop), 1)).await;
    same(&load(&shop, full.id).await, &Some(full));
    same(&load(&shop, bare.id).await, &Some(bare));
    same(&load(&shop, shop.id()).await, &None);
}

/// Amounts, quantities and times keep their value up to their limits, in any currency.
pub async fn orders_keep_extreme_values(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for (currency, number) in [(Currency::JPY, ODD), (Currency::USD, "O-2")] {
        let most = Money::new(i64::MAX, currency);
        let mut order = shop.order(number, &mug(&shop), u32::MAX);
        let line = &mut order.lines[0];
        (line.unit_price, line.total, line.charged, line.tax) = (most, most, most, most);
        (line.sku, line.title, line.position) = (ODD.to_owned(), ODD.to_owned(), i64::MAX);
        order.totals = Totals { subtotal: most, discount: most, shipping: most, tax: most, grand_total: most };
        order.shipping_method.price = most;
        order.payments = vec![shop.payment(most)];
        order.payments[0].captured = i64::MAX;
        order.payments[0].refund_pending = i64::MAX;
        order.email = ODD.to_owned();
        [order.placed_at, order.updated_at, order.payments[0].created_at] = EXTREME_TIMES;
        let order = shop.insert(order).await;
        same(&load(&shop, order.id).await, &Some(order));
    }
}

/// Every status of an order and of each of its children loads as it was committed.
pub async fn every_status_is_kept(fixture: &dyn StoreFixture) {
    use FulfilmentState as Goods;
    use FulfilmentStatus as Parcel;
    use PaymentStatus as Pay;
    let shop = Shop::new(fixture.store());
    let orders = [OrderStatus::Pending, OrderStatus::Confirmed, OrderStatus::Completed, OrderStatus::Cancelled];
    let goods = [Goods::Unfulfilled, Goods::PartiallyShipped, Goods::Shipped, Goods::Delivered, Goods::Returned];
    let pays = [
        Pay::Pending,
        Pay::RequiresAction,
        Pay::Unknown,
        Pay::Authorized,
        Pay::Paid,
        Pay::PartiallyRefunded,
        Pay::Refunded,
        Pay::Failed,
        Pay::Voided,
    ];
    let parcels = [Parcel::Pending, Parcel::Shipped, Parcel::Delivered, Parcel::Cancelled, Parcel::ReturnedToSender];
    let returns = [ReturnStatus::Requested, ReturnStatus::Approved, ReturnStatus::Rejected, ReturnStatus::Received];
    let refunds = [RefundStatus::Pending, RefundStatus::Settled, RefundStatus::Failed];
    for (n, pay) in pays.into_iter().enumerate() {
        let mut order = shop.full_order(&format!("O-{n}"), &mug(&shop), shop.id());
        order.status = orders[n % orders.len()];
        (order.payment_status, order.payments[0].status) = (pay, pay);
        order.fulfilment_status = goods[n % goods.len()];
        order.fulfilments[0].status = parcels[n % parcels.len()];
        order.returns[0].status = returns[n % returns.len()];
        order.refunds[0].status = refunds[n % refunds.len()];
        let order = shop.insert(order).await;
        same(&load(&shop, order.id).await, &Some(order));
    }
}

/// Every field of an order can be changed, and its children are added, changed and removed with it.
pub async fn orders_can_be_changed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let product = mug(&shop);
    let other = shop.insert(shop.full_order("O-0", &product, shop.id())).await;
    let order = shop.insert(shop.full_order("O-1", &product, shop.id())).await;
    let third = shop.product("cup", &[700]);
    let at = shop.now();
    let mut changed = shop.full_order("O-9", &product, shop.id());
    changed.id = order.id;
    changed.status = OrderStatus::Completed;
    (changed.payment_status, changed.fulfilment_status) = (PaymentStatus::Refunded, FulfilmentState::Returned);
    (changed.email, changed.cancel_reason, changed.declined) = ("new@example.com".to_owned(), None, false);
    (changed.cart_id, changed.idempotency_key, changed.updated_at) = (None, None, at);
    (changed.shipping_address, changed.billing_address) = (bare_address(), full_address());
    changed.totals = Totals { subtotal: eur(1), discount: eur(2), shipping: eur(3), tax: eur(4), grand_total: eur(5) };
    changed.lines = vec![order.lines[1].clone(), order_line(&third, 0, 5)];
    changed.lines[0].quantity += 1;
    changed.lines[0].position = 0;
    changed.lines[1].position = 1;
    // Of each kind of child one goes, one changes, one comes.
    changed.payments.splice(..1, [order.payments[1].clone()]);
    changed.payments[0].status = PaymentStatus::Refunded;
    (changed.payments[0].token, changed.payments[0].next_action, changed.payments[0].lease_until) = (None, None, None);
    changed.refunds.splice(..1, [order.refunds[1].clone()]);
    changed.refunds[0].items = vec![quantity(&order.lines[1], 1)];
    changed.refunds[0].failure = Some("no such account".to_owned());
    changed.fulfilments.splice(..1, [order.fulfilments[1].clone()]);
    changed.fulfilments[0].shipped_at = Some(at);
    changed.returns.splice(..1, [order.returns[1].clone()]);
    changed.returns[0].status = ReturnStatus::Approved;
    let changed = shop.update(&order, |after| *after = changed).await;
    assert_eq!(changed.version, 2);
    same(&load(&shop, order.id).await, &Some(changed.clone()));
    let emptied = shop
        .update(&changed, |order| {
            (order.payments, order.refunds) = (Vec::new(), Vec::new());
            (order.fulfilments, order.returns) = (Vec::new(), Vec::new());
        })
        .await;
    same(&load(&shop, order.id).await, &Some(emptied));
    same(&load(&shop, other.id).await, &Some(other));
}

/// The order of a payment, refund, parcel or return is found.
pub async fn orders_are_found_by_their_children(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let order = shop.insert(shop.full_order("O-1", &mug(&shop), shop.id())).await;
    shop.insert(shop.full_order("O-2", &mug(&shop), shop.id())).await;
    let find = async |child| shop.reads().load_order_of(child).await.expect("an order's child can be read");
    for child in [
        OrderChild::Payment(order.payments[1].id),
        OrderChild::Refund(order.refunds[0].id),
        OrderChild::Fulfilment(order.fulfilments[1].id),
        OrderChild::Return(order.returns[0].id),
    ] {
        assert_eq!(find(child).await, Some(order.id), "{child:?}");
    }
    let payment_as_refund = OrderChild::Refund(RefundId(order.payments[0].id.0));
    for child in [
        payment_as_refund,
        OrderChild::Payment(shop.id()),
        OrderChild::Fulfilment(shop.id()),
        OrderChild::Return(shop.id()),
    ] {
        assert_eq!(find(child).await, None, "{child:?}");
    }
}

/// Orders are listed whole, newest first, and every filter lets through what it should and nothing else.
pub async fn orders_are_filtered(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (product, ada) = (mug(&shop), shop.id());
    let first = shop.insert(shop.full_order("O-1", &product, ada)).await;
    let second =
        Order { customer_id: Some(ada), payment_status: PaymentStatus::Paid, ..shop.order("O-2", &product, 1) };
    let second = shop.insert(second).await;
    let third = Order { status: OrderStatus::Cancelled, placed_at: second.placed_at, ..shop.order("O-3", &product, 1) };
    let third = shop.insert(third).await;
    let past = Order { placed_at: first.placed_at - minutes(1), ..shop.full_order("O-10", &product, shop.id()) };
    let past = shop.insert(Order { fulfilment_status: FulfilmentState::Delivered, declined: false, ..past }).await;
    let any = OrderQuery::default;
    for (query, expected) in [
        (any(), vec![&third, &second, &first, &past]),
        (OrderQuery { customer: Some(ada), ..any() }, vec![&second, &first]),
        (OrderQuery { customer: Some(shop.id()), ..any() }, vec![]),
        (OrderQuery { of_guests: true, ..any() }, vec![&third]),
        (OrderQuery { of_guests: true, email: Some(third.email.clone()), ..any() }, vec![&third]),
        (OrderQuery { of_guests: true, email: Some("ada@example.com".to_owned()), ..any() }, vec![]),
        (OrderQuery { hide_declined: true, ..any() }, vec![&third, &second, &past]),
        (OrderQuery { status: Some(OrderStatus::Cancelled), ..any() }, vec![&third]),
        (OrderQuery { status: Some(OrderStatus::Completed), ..any() }, vec![]),
        (OrderQuery { payment_status: Some(PaymentStatus::Paid), ..any() }, vec![&second]),
        (OrderQuery { payment_status: Some(PaymentStatus::Voided), ..any() }, vec![]),
        (OrderQuery { fulfilment_status: Some(FulfilmentState::Delivered), ..any() }, vec![&past]),
        (OrderQuery { fulfilment_status: Some(FulfilmentState::Shipped), ..any() }, vec![]),
        (OrderQuery { email: Some("ada@example.com".to_owned()), ..any() }, vec![&first, &past]),
        (OrderQuery { email: Some("ada".to_owned()), ..any() }, vec![]),
        (OrderQuery { number: Some("O-1".to_owned()), ..any() }, vec![&first]),
        (OrderQuery { number: Some("O-".to_owned()), ..any() }, vec![]),
        (OrderQuery { placed_after: Some(second.placed_at), ..any() }, vec![&third, &second]),
        (OrderQuery { placed_before: Some(second.placed_at), ..any() }, vec![&first, &past]),
        (
            OrderQuery { placed_after: Some(first.placed_at), placed_before: Some(second.placed_at), ..any() },
            vec![&first],
        ),
        (OrderQuery { placed_after: Some(shop.now()), ..any() }, vec![]),
        (OrderQuery { customer: Some(ada), hide_declined: true, ..any() }, vec![&second]),
        (OrderQuery { customer: Some(ada), status: Some(OrderStatus::Cancelled), ..any() }, vec![]),
    ] {
        same(&list(&shop, &query).await, &expected.into_iter().cloned().collect());
    }
}

/// Payments are listed newest first, with their order's number, by status.
pub async fn payments_are_listed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let one = shop.insert(shop.full_order("O-1", &mug(&shop), shop.id())).await;
    let two = shop.insert(shop.order("O-2", &mug(&shop), 1)).await;
    let list = async |status| {
        let spec = PageSpec { count: true, ..PageSpec::first(100) };
        let listed = shop.reads().list_payments(status, &spec).await.expect("payments can be listed");
        assert_eq!(listed.total, Some(listed.items.len() as u64));
        listed.items
    };
    let row = |order: &Order, n: usize| OrderPayment {
        order_id: order.id,
        order_number: order.number.clone(),
        payment: order.payments[n].clone(),
    };
    assert!(list(None).await == [row(&two, 0), row(&one, 1), row(&one, 0)], "all payments, newest first");
    assert!(list(Some(PaymentStatus::Pending)).await == [row(&two, 0), row(&one, 0)], "the pending ones");
    assert!(list(Some(PaymentStatus::PartiallyRefunded)).await == [row(&one, 1)], "the refunded one");
    assert!(list(Some(PaymentStatus::Voided)).await.is_empty(), "none");
    let paid = shop.update(&two, |order| order.payments[0].status = PaymentStatus::Paid).await;
    assert!(list(Some(PaymentStatus::Pending)).await == [row(&one, 0)], "what was paid is no longer pending");
    assert!(list(Some(PaymentStatus::Paid)).await == [row(&paid, 0)], "but paid");
}

/// Returns are listed newest first, with their order's number, by status.
pub async fn returns_are_listed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut one = shop.full_order("O-1", &mug(&shop), shop.id());
    one.returns[1].status = ReturnStatus::Received;
    let one = shop.insert(one).await;
    let two = shop.insert(shop.full_order("O-2", &mug(&shop), shop.id())).await;
    let list = async |status| {
        let spec = PageSpec { count: true, ..PageSpec::first(100) };
        let listed = shop.reads().list_returns(status, &spec).await.expect("returns can be listed");
        assert_eq!(listed.total, Some(listed.items.len() as u64));
        listed.items
    };
    let row = |order: &Order, n: usize| OrderReturn {
        order_id: order.id,
        order_number: order.number.clone(),
        r#return: order.returns[n].clone(),
    };
    assert_eq!(list(None).await, [row(&two, 1), row(&two, 0), row(&one, 1), row(&one, 0)]);
    assert_eq!(list(Some(ReturnStatus::Requested)).await, [row(&two, 1), row(&two, 0), row(&one, 0)]);
    assert_eq!(list(Some(ReturnStatus::Received)).await, [row(&one, 1)]);
    assert_eq!(list(Some(ReturnStatus::Rejected)).await, []);
}

/// A product was ordered if any order has it; a customer bought it if an order of theirs [says
/// so](crate::order::Order::is_purchase_of).
pub async fn purchases_are_found(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let reads = shop.reads();
    let bought = async |customer, product| {
        let pairs = [(customer, product), (shop.id(), product), (customer, shop.id())];
        let found = reads.load_purchases(&pairs).await.expect("orders can be read");
        assert!(found.iter().all(|pair| *pair == pairs[0]), "somebody else's order, or another product");
        !found.is_empty()
    };
    let ordered = async |product| reads.has_orders(product).await.expect("orders can be read");
    for status in [OrderStatus::Pending, OrderStatus::Confirmed, OrderStatus::Completed, OrderStatus::Cancelled] {
        for payment_status in [
            PaymentStatus::Pending,
            PaymentStatus::Authorized,
            PaymentStatus::Paid,
            PaymentStatus::PartiallyRefunded,
            PaymentStatus::Refunded,
            PaymentStatus::Voided,
        ] {
            for fulfilment_status in
                [FulfilmentState::Unfulfilled, FulfilmentState::Shipped, FulfilmentState::Delivered]
            {
                let (product, customer) = (mug(&shop), shop.id());
                assert!(!ordered(product.id).await, "nobody ordered it yet");
                let number = format!("{status:?} {payment_status:?} {fulfilment_status:?}");
                let customer_id = Some(customer);
                let order = shop.order(&number, &product, 1);
                let order = Order { customer_id, status, payment_status, fulfilment_status, ..order };
                let order = shop.insert(order).await;
                assert!(ordered(product.id).await, "{number}: an order is an order");
                assert_eq!(bought(customer, product.id).await, order.is_purchase_of(product.id), "{number}");
            }
        }
    }
    // Some of a line has to be kept, whatever became of the rest.
    for (refunded, uncharged, returned, kept) in [
        (0, 0, 0, true),
        (2, 0, 0, true),
        (3, 0, 0, false),
        (0, 3, 0, false),
        (2, 1, 0, false),
        (1, 1, 2, true),
        (0, 0, 3, false),
        (3, 0, 3, false),
    ] {
        let (product, customer) = (mug(&shop), shop.id());
        let order = shop.order(&format!("{refunded} {uncharged} {returned}"), &product, 3);
        let (status, payment_status) = (OrderStatus::Completed, PaymentStatus::PartiallyRefunded);
        let mut order = Order { customer_id: Some(customer), status, payment_status, ..order };
        let line = &mut order.lines[0];
        (line.refunded, line.uncharged, line.returned, line.fulfilled) = (refunded, uncharged, returned, 3);
        let order = shop.insert(order).await;
        assert_eq!(
            order.is_purchase_of(product.id),
            kept,
            "of 3: {refunded} refunded, {uncharged} never charged, {returned} returned"
        );
        assert_eq!(
            bought(customer, product.id).await,
            kept,
            "of 3: {refunded} refunded, {uncharged} never charged, {returned} returned"
        );
    }
    assert!(reads.load_purchases(&[]).await.expect("nothing can be asked").is_empty());
}
