//! A small shop to commit to, and a proxy that counts round trips and cuts connections.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod proxy;

use std::sync::atomic::{AtomicI64, Ordering};

use commerce_core::{
    Currency, Money,
    address::PostalAddress,
    cart::{Cart, CartLine, CartOwner, CartStatus},
    catalog::{Product, ProductStatus, Variant},
    clock::Timestamp,
    context::{ActorRef, Idempotency},
    event::{DomainEvent, Task},
    id::{CartId, IdGenerator as _, OrderId, PaymentId, ProductId, UuidV7, VariantId},
    inventory::NewStock,
    order::{FulfilmentState, Order, OrderLine, OrderStatus},
    payment::{Payment, PaymentStatus},
    pricing::{ShippingMethod, Totals},
    store::{Aggregate as _, ChangeSet, Claim, MovementKind, StockDelta},
};
use commerce_postgres::testing::TestDatabase;

pub async fn database() -> TestDatabase {
    TestDatabase::new().await.unwrap_or_else(|error| panic!("{error}"))
}

pub fn now() -> Timestamp {
    static TICKS: AtomicI64 = AtomicI64::new(1_795_000_000_000_001);
    Timestamp::from_micros(TICKS.fetch_add(1_000, Ordering::Relaxed))
}

pub fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub fn set() -> ChangeSet {
    ChangeSet::new(&UuidV7, now(), ActorRef::System)
}

pub fn product(slug: &str) -> Product {
    let at = now();
    Product {
        id: ProductId(UuidV7.uuid()),
        slug: slug.to_owned(),
        title: format!("The {slug}"),
        description: "Holds coffee".to_owned(),
        status: ProductStatus::Active,
        category_ids: Vec::new(),
        attributes: [("colour".to_owned(), "blue".to_owned())].into(),
        images: Vec::new(),
        variants: vec![Variant {
            id: VariantId(UuidV7.uuid()),
            position: 0,
            sku: format!("{slug}-1"),
            title: String::new(),
            options: [("size".to_owned(), "L".to_owned())].into(),
            price: eur(1990),
            retired: false,
        }],
        created_at: at,
        updated_at: at,
        version: 0,
    }
}

/// A set that makes a product with this many units.
pub fn stocked(slug: &str, units: i64) -> (ChangeSet, Product) {
    let mut product = product(slug);
    let mut set = set();
    set.insert(&mut product).hold(Claim::product_slug(slug), product.id);
    let stock = NewStock { variant_id: product.variants[0].id, product_id: product.id, low_stock_threshold: 2 };
    set.open_stock(stock, units);
    (set, product)
}

/// An open cart with one of each product, and the set that makes it.
pub fn cart(products: &[Product]) -> (ChangeSet, Cart) {
    let at = now();
    let lines = products.iter().zip(0..).map(|(product, position)| CartLine {
        position,
        variant_id: product.variants[0].id,
        quantity: 1,
    });
    let mut cart = Cart {
        id: CartId(UuidV7.uuid()),
        owner: CartOwner::Guest(UuidV7.uuid().simple().to_string()),
        status: CartStatus::Open,
        lines: lines.collect(),
        created_at: at,
        updated_at: at,
        version: 0,
    };
    let mut set = set();
    set.insert(&mut cart).hold(Claim::open_cart(&cart.owner), cart.id);
    (set, cart)
}

pub fn key(order: OrderId) -> Idempotency {
    Idempotency::new("checkout", &order.to_string(), b"{}")
}

/// What checkout commits before it asks the gateway.
pub fn reserve(cart: &Cart, products: &[Product]) -> (ChangeSet, Order) {
    let mut set = set();
    let at = set.at();
    let lines: Vec<OrderLine> = products.iter().zip(0..).map(|(product, position)| line(product, position)).collect();
    let total = eur(lines.iter().map(|line| line.total.minor).sum());
    let address = PostalAddress {
        name: "Ada".to_owned(),
        city: "Bern".to_owned(),
        country: "CH".to_owned(),
        ..Default::default()
    };
    let id = OrderId(UuidV7.uuid());
    let mut order = Order {
        id,
        number: id.to_string(),
        customer_id: None,
        email: "ada@example.com".to_owned(),
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Pending,
        fulfilment_status: FulfilmentState::Unfulfilled,
        lines,
        totals: Totals { subtotal: total, discount: eur(0), shipping: eur(0), tax: eur(0), grand_total: total },
        shipping_address: address.clone(),
        billing_address: address,
        shipping_method: ShippingMethod { code: "standard".to_owned(), title: "Standard".to_owned(), price: eur(0) },
        payments: vec![payment(total, at)],
        refunds: Vec::new(),
        fulfilments: Vec::new(),
        returns: Vec::new(),
        cart_id: Some(cart.id),
        idempotency_key: Some(key(id).key),
        note: None,
        cancel_reason: None,
        declined: false,
        placed_at: at,
        updated_at: at,
        version: 0,
    };
    set.key(key(id), Some(id.0), None);
    set.hold(Claim::order_number(&order.number), id).free(Claim::open_cart(&cart.owner), cart.id);
    set.insert(&mut order).update(cart, &mut Cart { status: CartStatus::Ordered, ..cart.clone() });
    for line in &order.lines {
        set.reserve(line.variant_id, 1);
    }
    set.event(&UuidV7, order.root(), 1, DomainEvent::OrderPlaced { order: id, number: order.number.clone(), total });
    let payment = order.payments[0].id;
    set.task(&UuidV7, at, Task::SettlePayment { order: id, payment });
    set.task(&UuidV7, at, Task::ExpireReservation { order: id, payment });
    (set, order)
}

/// What checkout commits when the gateway has taken the money.
pub fn settle(order: &Order) -> (ChangeSet, Order) {
    let mut set = set();
    let mut after = order.clone();
    (after.status, after.payment_status) = (OrderStatus::Confirmed, PaymentStatus::Paid);
    after.payments[0].status = PaymentStatus::Paid;
    after.payments[0].captured = after.payments[0].amount.minor;
    set.update(order, &mut after);
    for line in &order.lines {
        let sold = StockDelta { on_hand: -1, reserved: -1, expect_on_hand: None };
        set.move_stock(line.variant_id, sold, Some((MovementKind::Sale, Some(order.id), None)));
    }
    set.event(&UuidV7, order.root(), after.version, DomainEvent::OrderConfirmed { order: order.id });
    set.answer(key(order.id).key, serde_json::json!({ "order": order.id }));
    (set, after)
}

fn line(product: &Product, position: i64) -> OrderLine {
    let variant = &product.variants[0];
    OrderLine {
        position,
        variant_id: variant.id,
        product_id: product.id,
        sku: variant.sku.clone(),
        title: product.title.clone(),
        quantity: 1,
        unit_price: variant.price,
        total: variant.price,
        charged: variant.price,
        tax: eur(0),
        fulfilled: 0,
        cancelled: 0,
        refunded: 0,
        returned: 0,
        uncharged: 0,
        restocked: 0,
        written_off: 0,
    }
}

fn payment(amount: Money, at: Timestamp) -> Payment {
    Payment {
        id: PaymentId(UuidV7.uuid()),
        method: "test".to_owned(),
        gateway: "test".to_owned(),
        status: PaymentStatus::Pending,
        amount,
        captured: 0,
        refunded: 0,
        refund_pending: 0,
        reference: None,
        token: Some("tok_visa".to_owned()),
        next_action: None,
        instructions: None,
        failure: None,
        lease_until: Some(at),
        reserved_until: Some(at),
        created_at: at,
        updated_at: at,
    }
}
