//! The first commit of a checkout: its input, checked; the order, and all that is reserved for it.

use std::time::Duration;

use super::{
    Checkout, CheckoutError, Checkouts, PaymentChoice,
    quote::{Basket, Priced, charged},
};
use crate::{
    account::validate_address,
    address::PostalAddress,
    cart::{Cart, CartStatus},
    clock::Timestamp,
    error::{CommonError, Invalid},
    event::{DomainEvent, Task},
    id::{OrderId, PaymentId},
    order::{Executor, FulfilmentState, Order, OrderLine, OrderStatus},
    payment::{Payment, PaymentMethod, PaymentStatus, processor::PaymentProcessor},
    store::{AggregateId, ChangeSet, Claim},
    text::{Lines, holds_card_number, shows_nothing, trim},
    write::WriteContext,
};

/// How long a customer's note may be.
const MAX_NOTE: usize = 1000;

/// Checked input.
pub(super) struct CheckedInput {
    email: String,
    shipping_address: PostalAddress,
    billing_address: PostalAddress,
    gateway: String,
    instructions: Option<String>,
    checkout: Checkout,
}

/// What the first commit of a checkout holds.
pub(super) struct Reservation {
    pub set: ChangeSet,
    pub order: Order,
    pub payment: PaymentId,
}

impl Checkouts {
    pub(super) async fn check(&self, checkout: Checkout) -> Result<CheckedInput, CheckoutError> {
        let mut invalid = Invalid::default();
        let mut address = |address: &PostalAddress, pointer: &str| match validate_address(address, pointer) {
            Ok(address) => address,
            Err(error) => {
                invalid.errors.extend(error.errors);
                PostalAddress::default()
            }
        };
        let shipping_address = address(&checkout.shipping_address, "/shipping_address");
        let billing_address = match &checkout.billing_address {
            Some(billing) => address(billing, "/billing_address"),
            None => shipping_address.clone(),
        };
        let email = match (&checkout.email, self.scope.actor().user()) {
            (Some(email), _) => self.scope.engine.new_email(email).unwrap_or_else(|error| {
                invalid.errors.extend(error.errors);
                String::new()
            }),
            (None, Some(user)) => {
                let user = self.scope.engine.reads().load_user(user).await?;
                user.ok_or(CommonError::NotFound("user"))?.email
            }
            (None, None) => {
                invalid.add("/email", "required", "guests must give an e-mail address");
                String::new()
            }
        };
        let note = checkout.note.as_deref().filter(|note| !shows_nothing(note)).map(|note| {
            invalid.check_lines(note, "/note", 0, MAX_NOTE);
            trim(note).to_owned()
        });
        invalid.check_characters(
            checkout.shipping_method.as_deref().unwrap_or_default(),
            "/shipping_method",
            Lines::One,
        );
        let method = self.check_payment(&mut invalid, &checkout.payment);
        invalid.into_result()?;
        let (gateway, instructions) = method.map(|method| (method.gateway, method.instructions)).unwrap_or_default();
        let checkout = Checkout { note, ..checkout };
        Ok(CheckedInput { email, shipping_address, billing_address, gateway, instructions, checkout })
    }

    /// Checks how it is to be paid; the method, if there is such a one.
    pub(super) fn check_payment(&self, invalid: &mut Invalid, choice: &PaymentChoice) -> Option<PaymentMethod> {
        let (method, token) = (choice.method.as_str(), choice.token.as_deref());
        let found = self.payment_methods().into_iter().find(|offered| offered.code == method);
        if found.is_none() {
            let detail = format!("'{method}' isn't a payment method of this shop");
            invalid.add("/payment/method", "unknown_payment_method", detail);
        }
        invalid.check_characters(token.unwrap_or_default(), "/payment/token", Lines::One);
        let token_fits = token.is_none_or(|token| (1..=500).contains(&token.len()));
        invalid.check(token_fits, "/payment/token", "out_of_range", "must be between 1 and 500 characters");
        let is_card = token.is_some_and(holds_card_number);
        invalid.check(!is_card, "/payment/token", "card_number", "must be the gateway's token, never a card number");
        found
    }

    /// Composes the reservation from fresh reads.
    pub(super) async fn reserve(
        &self,
        write: &WriteContext,
        checked: &CheckedInput,
        executor: Executor,
    ) -> Result<Reservation, CheckoutError> {
        let basket = self.basket().await?;
        let Some(cart) = basket.cart.as_ref().filter(|_| !basket.lines.is_empty()) else {
            return Err(CheckoutError::CartEmpty);
        };
        write.check_version(cart.version)?;
        check_available(&basket)?;
        let method = checked.checkout.shipping_method.as_deref();
        let priced = self.price(&basket, Some(&checked.shipping_address), method).await?;
        if let Some(expected) = checked.checkout.expected_total {
            expected.plus(priced.totals.grand_total.currency.zero())?;
            if expected != priced.totals.grand_total {
                return Err(CheckoutError::PriceChanged { totals: Box::new(priced.totals) });
            }
        }
        if let (Some(gateway), false) =
            (self.scope.engine.gateways.get(&checked.gateway), priced.totals.grand_total.is_zero())
        {
            gateway.amounts(priced.totals.grand_total.currency).check_payment(priced.totals.grand_total)?;
        }
        let mut set = self.scope.engine.set(write.actor());
        let payment = self.first_payment(checked, &priced, executor, set.at());
        let settle_at = payment.lease_until.map_or_else(|| set.at(), |until| until + Duration::from_secs(1));
        let mut order = self.order(write, checked, &basket, priced, payment, set.at())?;
        let payment = order.payments[0].id;
        Self::close_cart(&mut set, cart);
        for line in &order.lines {
            set.reserve(line.variant_id, i64::from(line.quantity));
        }
        set.insert(&mut order);
        set.hold(Claim::order_number(&order.number), order.id);
        if let Some(key) = write.call.idempotency {
            set.key(key, Some(order.id.0), None);
        }
        let (id, number, total) = (order.id, order.number.clone(), order.totals.grand_total);
        set.event(
            self.scope.engine.ids(),
            AggregateId::Order(id),
            1,
            DomainEvent::OrderPlaced { order: id, number, total },
        );
        set.task_as(PaymentProcessor::settle_task(payment), settle_at, Task::SettlePayment { order: id, payment });
        let expire_at = set.at() + self.scope.engine.settings.reservation_ttl;
        set.task_as(PaymentProcessor::expire_task(payment), expire_at, Task::ExpireReservation { order: id, payment });
        Ok(Reservation { set, order, payment })
    }

    fn close_cart(set: &mut ChangeSet, cart: &Cart) {
        let mut closed = Cart { status: CartStatus::Ordered, updated_at: set.at(), ..cart.clone() };
        set.update(cart, &mut closed);
        set.free(Claim::open_cart(&cart.owner), cart.id);
    }

    /// The payment of a new order. While its caller asks the gateway, nobody else does.
    fn first_payment(&self, checked: &CheckedInput, priced: &Priced, executor: Executor, now: Timestamp) -> Payment {
        let settings = &self.scope.engine.settings;
        let lease_until = (executor == Executor::Caller).then(|| now + settings.gateway_lease);
        Payment {
            id: PaymentId(self.scope.engine.uuid()),
            method: checked.checkout.payment.method.clone(),
            gateway: checked.gateway.clone(),
            status: PaymentStatus::Pending,
            amount: priced.totals.grand_total,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            reference: None,
            token: checked.checkout.payment.token.clone(),
            next_action: None,
            instructions: checked.instructions.clone(),
            failure: None,
            lease_until,
            reserved_until: Some(now + settings.reservation_ttl),
            created_at: now,
            updated_at: now,
        }
    }

    fn order(
        &self,
        write: &WriteContext,
        checked: &CheckedInput,
        basket: &Basket,
        priced: Priced,
        payment: Payment,
        now: Timestamp,
    ) -> Result<Order, CheckoutError> {
        Ok(Order {
            id: OrderId(self.scope.engine.uuid()),
            number: order_number(self.scope.engine.uuid()),
            customer_id: write.actor().user(),
            email: checked.email.clone(),
            status: OrderStatus::Pending,
            payment_status: PaymentStatus::Pending,
            fulfilment_status: FulfilmentState::Unfulfilled,
            lines: order_lines(basket, &priced, self.scope.engine.settings.prices_include_tax)?,
            totals: priced.totals,
            shipping_address: checked.shipping_address.clone(),
            billing_address: checked.billing_address.clone(),
            shipping_method: priced.method,
            payments: vec![payment],
            refunds: Vec::new(),
            fulfilments: Vec::new(),
            returns: Vec::new(),
            cart_id: basket.cart.as_ref().map(|cart| cart.id),
            idempotency_key: write.call.idempotency.map(|key| key.key),
            note: checked.checkout.note.clone(),
            cancel_reason: None,
            declined: false,
            placed_at: now,
            updated_at: now,
            version: 0,
        })
    }
}

fn check_available(basket: &Basket) -> Result<(), CheckoutError> {
    for line in &basket.lines {
        let offer = basket.offers.iter().find(|offer| offer.variant.id == line.variant_id);
        let available = offer.filter(|offer| offer.is_sold()).map_or(0, |offer| offer.available);
        if i64::from(line.quantity) > available {
            return Err(CheckoutError::OutOfStock { variant_id: line.variant_id, available });
        }
    }
    Ok(())
}

fn order_lines(basket: &Basket, priced: &Priced, prices_include_tax: bool) -> Result<Vec<OrderLine>, CommonError> {
    let mut lines = Vec::with_capacity(basket.lines.len());
    for (position, (line, tax)) in (0..).zip(basket.lines.iter().zip(&priced.tax.lines)) {
        let Some(offer) = basket.offers.iter().find(|offer| offer.variant.id == line.variant_id) else { continue };
        let total = line.total()?;
        lines.push(OrderLine {
            position,
            variant_id: line.variant_id,
            product_id: offer.product_id,
            sku: offer.variant.sku.clone(),
            title: offer.title(),
            quantity: line.quantity,
            unit_price: line.unit_price,
            total,
            charged: charged(total, *tax, prices_include_tax)?,
            tax: *tax,
            fulfilled: 0,
            cancelled: 0,
            refunded: 0,
            returned: 0,
            uncharged: 0,
            restocked: 0,
            written_off: 0,
        });
    }
    Ok(lines)
}

/// A short number that people can read out: ten letters and digits of Crockford's base 32, which has no I, L, O or U.
/// Taken from the random bits of an id; unique by claim.
fn order_number(random: uuid::Uuid) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = random.as_u128() ^ (random.as_u128() >> 64);
    let digit = |n: u32| char::from(ALPHABET[usize::try_from((bits >> (5 * n)) & 31).unwrap_or(0)]);
    let digits: String = (0..10).map(digit).collect();
    format!("{}-{}", &digits[..5], &digits[5..])
}
