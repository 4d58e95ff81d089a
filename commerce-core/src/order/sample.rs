//! Orders for unit tests.

use crate::{
    address::PostalAddress,
    clock::Timestamp,
    id::{OrderId, PaymentId, ProductId, VariantId},
    money::{Currency, Money},
    order::{FulfilmentState, LineQuantity, Order, OrderLine, OrderStatus},
    payment::{
        Payment, PaymentStatus,
        gateway::{GatewayPayment, GatewayState},
    },
    pricing::{ShippingMethod, Totals},
};

pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
pub(crate) const PAYMENT: PaymentId = PaymentId(uuid::Uuid::from_u128(0xFA));

pub(crate) const fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

pub(crate) const fn variant(n: usize) -> VariantId {
    VariantId(uuid::Uuid::from_u128(n as u128 + 1))
}

pub(crate) const fn items(n: usize, quantity: u32) -> LineQuantity {
    LineQuantity { variant_id: variant(n), quantity }
}

/// A pending order with a line for each (quantity, charged), and shipping.
pub(crate) fn pending(lines: &[(u32, i64)], shipping: i64) -> Order {
    let subtotal = lines.iter().map(|line| line.1).sum::<i64>();
    let total = eur(subtotal + shipping);
    let address = PostalAddress::default();
    let line = |(n, &(quantity, charged)): (usize, &(u32, i64))| OrderLine {
        position: i64::try_from(n).unwrap(),
        variant_id: variant(n),
        product_id: ProductId(uuid::Uuid::nil()),
        sku: format!("SKU-{n}"),
        title: format!("Thing {n}"),
        quantity,
        unit_price: eur(charged / i64::from(quantity)),
        total: eur(charged),
        charged: eur(charged),
        tax: eur(0),
        fulfilled: 0,
        cancelled: 0,
        refunded: 0,
        returned: 0,
        uncharged: 0,
        restocked: 0,
        written_off: 0,
    };
    Order {
        id: OrderId(uuid::Uuid::from_u128(0x0D)),
        number: "00000-00000".to_owned(),
        customer_id: None,
        email: "ada@example.com".to_owned(),
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Pending,
        fulfilment_status: FulfilmentState::Unfulfilled,
        lines: lines.iter().enumerate().map(line).collect(),
        totals: Totals {
            subtotal: eur(subtotal),
            discount: eur(0),
            shipping: eur(shipping),
            tax: eur(0),
            grand_total: total,
        },
        shipping_address: address.clone(),
        billing_address: address,
        shipping_method: ShippingMethod {
            code: "standard".to_owned(),
            title: "Standard".to_owned(),
            price: eur(shipping),
        },
        payments: vec![Payment {
            id: PAYMENT,
            method: "test".to_owned(),
            gateway: "test".to_owned(),
            status: PaymentStatus::Pending,
            amount: total,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            reference: None,
            token: Some("pm_card_visa".to_owned()),
            next_action: None,
            instructions: None,
            failure: None,
            lease_until: Some(NOW),
            reserved_until: Some(NOW),
            created_at: NOW,
            updated_at: NOW,
        }],
        refunds: Vec::new(),
        fulfilments: Vec::new(),
        returns: Vec::new(),
        cart_id: None,
        idempotency_key: None,
        note: None,
        cancel_reason: None,
        declined: false,
        placed_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

/// What the gateway says of the sample's payment.
pub(crate) fn report(order: &Order, state: GatewayState, captured: i64) -> GatewayPayment {
    GatewayPayment { reference: "ref".to_owned(), state, amount: order.payments[0].amount, captured: eur(captured) }
}

/// A confirmed order whose money was taken.
pub(crate) fn paid(lines: &[(u32, i64)], shipping: i64) -> Order {
    let mut order = pending(lines, shipping);
    let taken = order.payments[0].amount.minor;
    order.settle_payment(PAYMENT, &report(&order, GatewayState::Captured, taken), NOW).unwrap();
    assert_eq!(order.status, OrderStatus::Confirmed);
    order
}
