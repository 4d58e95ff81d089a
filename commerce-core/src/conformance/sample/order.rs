//! Orders, payments, refunds, parcels and returns.

use crate::{
    address::PostalAddress,
    catalog::Product,
    clock::Timestamp,
    conformance::shop::{ODD, Shop, bare_address, eur, full_address, minutes},
    event::Task,
    id::{OrderId, ReturnId, UserId},
    money::Money,
    order::{
        Fulfilment, FulfilmentState, FulfilmentStatus, LineQuantity, Order, OrderLine, OrderStatus, Return,
        ReturnStatus,
    },
    payment::{NextAction, Payment, PaymentStatus, Refund, RefundOrigin, RefundStatus},
    pricing::{ShippingMethod, Totals},
};

impl Shop {
    /// A guest's pending order of some units of a product's first variant, with a pending payment and nothing optional.
    pub(in crate::conformance) fn order(&self, number: &str, product: &Product, quantity: u32) -> Order {
        let line = order_line(product, 0, quantity);
        let total = line.total;
        let at = self.now();
        Order {
            id: self.id(),
            number: number.to_owned(),
            customer_id: None,
            email: "guest@example.com".to_owned(),
            status: OrderStatus::Pending,
            payment_status: PaymentStatus::Pending,
            fulfilment_status: FulfilmentState::Unfulfilled,
            lines: vec![line],
            totals: Totals { subtotal: total, discount: eur(0), shipping: eur(0), tax: eur(0), grand_total: total },
            shipping_address: bare_address(),
            billing_address: bare_address(),
            shipping_method: ShippingMethod {
                code: "standard".to_owned(),
                title: "Standard".to_owned(),
                price: eur(0),
            },
            payments: vec![self.payment(total)],
            refunds: Vec::new(),
            fulfilments: Vec::new(),
            returns: Vec::new(),
            cart_id: None,
            idempotency_key: None,
            note: None,
            cancel_reason: None,
            declined: false,
            placed_at: at,
            updated_at: at,
            version: 0,
        }
    }

    /// A pending payment with nothing optional.
    pub(in crate::conformance) fn payment(&self, amount: Money) -> Payment {
        let at = self.now();
        Payment {
            id: self.id(),
            method: "test".to_owned(),
            gateway: "test".to_owned(),
            status: PaymentStatus::Pending,
            amount,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            reference: None,
            token: None,
            next_action: None,
            instructions: None,
            failure: None,
            lease_until: None,
            reserved_until: None,
            created_at: at,
            updated_at: at,
        }
    }

    /// A payment of which some was taken, some went back and some is on its way back, with everything optional.
    pub(in crate::conformance) fn full_payment(&self, amount: Money) -> Payment {
        let mut payment = self.payment(amount);
        payment.status = PaymentStatus::PartiallyRefunded;
        payment.captured = amount.minor - 1;
        payment.refunded = 100;
        payment.refund_pending = 200;
        payment.reference = Some(format!("pi_{}", payment.id));
        payment.token = Some("tok_visa".to_owned());
        payment.next_action = Some(NextAction {
            kind: "redirect".to_owned(),
            client_secret: Some("secret_1".to_owned()),
            url: Some("https://bank.example/3ds?x=1&y=2".to_owned()),
        });
        payment.failure = Some("insufficient_funds".to_owned());
        payment.lease_until = Some(payment.created_at + minutes(1));
        payment.reserved_until = Some(payment.created_at + minutes(30));
        payment
    }

    /// A pending refund with nothing optional.
    pub(in crate::conformance) fn refund(&self, payment: &Payment, minor: i64) -> Refund {
        let at = self.now();
        Refund {
            id: self.id(),
            payment_id: payment.id,
            amount: Money::new(minor, payment.amount.currency),
            status: RefundStatus::Pending,
            origin: RefundOrigin::Shop,
            reason: "changed their mind".to_owned(),
            items: Vec::new(),
            restock: false,
            return_id: None,
            reference: None,
            failure: None,
            lease_until: None,
            created_at: at,
            updated_at: at,
        }
    }

    pub(in crate::conformance) fn fulfilment(&self, items: Vec<LineQuantity>) -> Fulfilment {
        Fulfilment {
            id: self.id(),
            status: FulfilmentStatus::Pending,
            carrier: "Post".to_owned(),
            tracking_number: "99.00.123".to_owned(),
            tracking_url: None,
            items,
            created_at: self.now(),
            shipped_at: None,
            delivered_at: None,
        }
    }

    pub(in crate::conformance) fn r#return(&self, items: Vec<LineQuantity>) -> Return {
        let at = self.now();
        Return {
            id: self.id(),
            status: ReturnStatus::Requested,
            items,
            reason: ODD.to_owned(),
            created_at: at,
            updated_at: at,
            waived: None,
        }
    }

    /// An order of a product's first two variants with two of every child and everything optional set.
    pub(in crate::conformance) fn full_order(&self, number: &str, product: &Product, customer: UserId) -> Order {
        let mut order = self.order(number, product, 20);
        order.lines.push(order_line(product, 1, 21));
        for (line, n) in order.lines.iter_mut().zip(1..) {
            (line.fulfilled, line.cancelled, line.refunded, line.returned) = (n + 10, n, n + 4, n + 6);
            (line.uncharged, line.restocked, line.written_off) = (n + 2, n + 1, n + 5);
        }
        let all = [quantity(&order.lines[0], 1), quantity(&order.lines[1], 2)];
        order.customer_id = Some(customer);
        order.email = "ada@example.com".to_owned();
        order.status = OrderStatus::Confirmed;
        order.payment_status = PaymentStatus::PartiallyRefunded;
        order.fulfilment_status = FulfilmentState::PartiallyShipped;
        order.totals = Totals {
            subtotal: eur(7000),
            discount: eur(500),
            shipping: eur(790),
            tax: eur(559),
            grand_total: eur(7290),
        };
        order.shipping_address = full_address();
        order.billing_address = PostalAddress { name: "Billing & Co".to_owned(), ..full_address() };
        order.shipping_method = ShippingMethod { code: "express".to_owned(), title: ODD.to_owned(), price: eur(790) };
        order.payments = vec![self.payment(eur(7290)), self.full_payment(eur(7290))];
        let parcel_back = self.r#return(all.to_vec());
        order.refunds = vec![self.full_refund(&order, parcel_back.id, &all), self.refund(&order.payments[1], 200)];
        let part_back = Return { waived: Some(1234), ..self.r#return(all[..1].to_vec()) };
        order.returns = vec![parcel_back, part_back];
        order.fulfilments = vec![self.full_fulfilment(&all), self.fulfilment(all[1..].to_vec())];
        let undelivered = self.fulfilment(all[..1].to_vec());
        order.fulfilments.push(Fulfilment { status: FulfilmentStatus::ReturnedToSender, ..undelivered });
        order.cart_id = Some(self.id());
        order.idempotency_key = Some([7; 32]);
        order.note = Some(format!("{ODD}\nand a second line"));
        order.cancel_reason = Some(ODD.to_owned());
        order.declined = true;
        order
    }

    fn full_refund(&self, order: &Order, return_id: ReturnId, items: &[LineQuantity]) -> Refund {
        let mut refund = self.refund(&order.payments[1], 100);
        refund.status = RefundStatus::Settled;
        refund.items = items.to_vec();
        refund.restock = true;
        refund.return_id = Some(return_id);
        refund.reference = Some("re_1".to_owned());
        refund.failure = Some("tried once before".to_owned());
        refund.lease_until = Some(refund.created_at + minutes(1));
        refund
    }

    fn full_fulfilment(&self, items: &[LineQuantity]) -> Fulfilment {
        let mut parcel = self.fulfilment(items.to_vec());
        parcel.status = FulfilmentStatus::Delivered;
        parcel.tracking_url = Some("https://post.example/99".to_owned());
        parcel.shipped_at = Some(parcel.created_at + minutes(60));
        parcel.delivered_at = Some(parcel.created_at + minutes(600));
        parcel
    }
}

/// A line of an order of a product's `n`-th variant.
pub(in crate::conformance) fn order_line(product: &Product, n: usize, quantity: u32) -> OrderLine {
    let variant = &product.variants[n];
    let total = variant.price.times(i64::from(quantity)).expect("sample prices are small");
    OrderLine {
        position: variant.position,
        variant_id: variant.id,
        product_id: product.id,
        sku: variant.sku.clone(),
        title: product.title.clone(),
        quantity,
        unit_price: variant.price,
        total,
        charged: total,
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

pub(in crate::conformance) const fn quantity(line: &OrderLine, quantity: u32) -> LineQuantity {
    LineQuantity { variant_id: line.variant_id, quantity }
}

/// Confirms a pending order's payment in full, as a gateway's success does.
pub(in crate::conformance) fn confirm(order: &mut Order, at: Timestamp) {
    order.status = OrderStatus::Confirmed;
    order.payment_status = PaymentStatus::Paid;
    order.updated_at = at;
    for payment in &mut order.payments {
        payment.status = PaymentStatus::Paid;
        payment.captured = payment.amount.minor;
        payment.reference = Some(format!("pi_{}", payment.id));
        payment.updated_at = at;
    }
}

pub(in crate::conformance) const fn settle_task(order: OrderId, payment: &Payment) -> Task {
    Task::SettlePayment { order, payment: payment.id }
}
