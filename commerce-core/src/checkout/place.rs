//! [`Checkout::place`]: reserve, pay, settle.

use std::time::Duration;

use super::{
    Checkout, CheckoutError, CheckoutInput, Placement,
    quote::{Basket, Priced, charged},
};
use crate::{
    account::validate_address,
    address::PostalAddress,
    cart::{Cart, CartStatus},
    clock::Timestamp,
    context::{Actor, Done, IdempotencyError, RequestContext},
    engine::Conflicts,
    error::{CommonError, Invalid},
    event::{DomainEvent, Task},
    fail_point::FailPoint,
    id::{OrderId, PaymentId},
    order::{FulfilmentState, Order, OrderLine, OrderStatus},
    payment::{
        AMOUNT_NOT_PAYABLE, AmountNotPayable, Payment, PaymentMethod, PaymentStatus, PlacementOutcome,
        gateway::GatewayError,
        processor::{PaymentProcessor, PlacementRecord},
    },
    store::{AggregateId, ChangeSet, Claim, StoreError},
    text::{Lines, holds_card_number, shows_nothing, trim},
};

/// How often a checkout starts over when its cart was changed meanwhile.
const ATTEMPTS: u32 = 12;
/// How often a gateway that isn't reached is called again before the attempt is undone.
const CALLS: u32 = 3;
/// How long a customer's note may be.
const MAX_NOTE: usize = 1000;

/// Checked input.
struct CheckedInput {
    email: String,
    shipping_address: PostalAddress,
    billing_address: PostalAddress,
    gateway: String,
    instructions: Option<String>,
    input: CheckoutInput,
}

/// What the idempotency key says before anything is done.
pub(super) enum PriorAttempt {
    Nothing,
    Answered(Box<PlacementRecord>),
    Resume(OrderId),
}

impl Checkout {
    /// Places an order from the actor's cart: reserves its stock, has it paid, confirms it.
    ///
    /// A decline is an answer ([`PlacementOutcome::Declined`]), not an error: the attempt is on record, the cart is open
    /// again. With an idempotency key, a call that is repeated after a crash goes on where the first one stopped.
    ///
    /// # Errors
    /// See [`CheckoutError`].
    pub async fn place(&self, call: &RequestContext, input: CheckoutInput) -> Result<Done<Placement>, CheckoutError> {
        let (this, call) = (self.clone(), call.clone());
        // Boxed, as it is large and would otherwise be copied from caller to caller.
        self.engine.run(Box::pin(async move { this.place_now(&call, input).await })).await
    }

    async fn place_now(&self, call: &RequestContext, input: CheckoutInput) -> Result<Done<Placement>, CheckoutError> {
        let mut checked = None;
        for attempt in 1..=ATTEMPTS {
            match self.prior_attempt(call).await? {
                PriorAttempt::Nothing => {}
                PriorAttempt::Answered(record) => {
                    return Ok(Done::again(self.placement(call, record.order, record.outcome)));
                }
                PriorAttempt::Resume(order) => return Box::pin(self.resume(call, order)).await.map(Done::again),
            }
            let checked = match &checked {
                Some(checked) => checked,
                None => checked.insert(self.check(call, input.clone()).await?),
            };
            let (mut set, order, payment) = match self.reserve(call, checked).await {
                Ok(reserved) => reserved,
                Err(error) => {
                    self.unless_prior(call, error).await?;
                    continue;
                }
            };
            FailPoint::Reserve.reach().await;
            match self.engine.commit(&mut set).await? {
                Ok(_) => {
                    FailPoint::Reserved.reach().await;
                    let order = Box::pin(self.pay(call, order, payment)).await?;
                    let outcome = PlacementOutcome::of(&order);
                    return Ok(Done::fresh(self.placement(call, order, outcome)));
                }
                Err(conflicts) => {
                    if let Err(error) = refuse(&conflicts) {
                        self.unless_prior(call, error).await?;
                    }
                }
            }
            self.engine.pause(attempt).await;
        }
        Err(StoreError::Contended.into())
    }

    /// A refusal stands unless the same call was faster, and took the cart or the goods with it: then its answer is the answer.
    async fn unless_prior(&self, call: &RequestContext, refusal: CheckoutError) -> Result<(), CheckoutError> {
        match self.prior_attempt(call).await? {
            PriorAttempt::Nothing => Err(refusal),
            PriorAttempt::Answered(_) | PriorAttempt::Resume(_) => Ok(()),
        }
    }

    /// What is known of the call's idempotency key.
    pub(super) async fn prior_attempt(&self, call: &RequestContext) -> Result<PriorAttempt, CommonError> {
        let Some(key) = call.idempotency else { return Ok(PriorAttempt::Nothing) };
        let Some(record) = self.engine.reads().load_key(&key.key).await? else { return Ok(PriorAttempt::Nothing) };
        if record.fingerprint != key.fingerprint {
            return Err(IdempotencyError::Reused.into());
        }
        match (record.output, record.subject) {
            (Some(output), _) => {
                let record = serde_json::from_value(output).map_err(StoreError::bug)?;
                Ok(PriorAttempt::Answered(Box::new(record)))
            }
            (None, Some(order)) => Ok(PriorAttempt::Resume(OrderId(order))),
            (None, None) => Err(IdempotencyError::InProgress.into()),
        }
    }

    /// Goes on with a checkout that stopped between its commits.
    pub(super) async fn resume(&self, call: &RequestContext, id: OrderId) -> Result<Placement, CheckoutError> {
        let processor = PaymentProcessor { engine: self.engine.clone() };
        let order = processor.load(id).await?;
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("an order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > self.engine.now()) {
            return Err(IdempotencyError::InProgress.into());
        }
        let (order, _) = processor.resolve(order, payment.id).await?;
        let outcome = PlacementOutcome::of(&order);
        Ok(self.placement(call, order, outcome))
    }

    /// The order's token is the same however often it is asked for.
    pub(super) fn placement(&self, call: &RequestContext, order: Order, outcome: PlacementOutcome) -> Placement {
        let guest = matches!(call.actor, Actor::Guest { .. });
        let order_token = guest.then(|| self.engine.signer.issue_order_token(order.id, order.placed_at).0);
        Placement { order, order_token, outcome }
    }

    async fn check(&self, call: &RequestContext, input: CheckoutInput) -> Result<CheckedInput, CheckoutError> {
        let mut invalid = Invalid::default();
        let mut address = |address: &PostalAddress, pointer: &str| match validate_address(address, pointer) {
            Ok(address) => address,
            Err(error) => {
                invalid.errors.extend(error.errors);
                PostalAddress::default()
            }
        };
        let shipping_address = address(&input.shipping_address, "/shipping_address");
        let billing_address = match &input.billing_address {
            Some(billing) => address(billing, "/billing_address"),
            None => shipping_address.clone(),
        };
        let email = match (&input.email, call.actor.user()) {
            (Some(email), _) => self.engine.new_email(email).unwrap_or_else(|error| {
                invalid.errors.extend(error.errors);
                String::new()
            }),
            (None, Some(user)) => {
                let user = self.engine.reads().load_user(user).await?;
                user.ok_or(CommonError::NotFound("user"))?.email
            }
            (None, None) => {
                invalid.add("/email", "required", "guests must give an e-mail address");
                String::new()
            }
        };
        let note = input.note.as_deref().filter(|note| !shows_nothing(note)).map(|note| {
            invalid.check_lines(note, "/note", 0, MAX_NOTE);
            trim(note).to_owned()
        });
        invalid.check_characters(input.shipping_method.as_deref().unwrap_or_default(), "/shipping_method", Lines::One);
        let method = self.check_payment(&mut invalid, &input.payment_method, input.payment_token.as_deref());
        invalid.into_result()?;
        let (gateway, instructions) = method.map(|method| (method.gateway, method.instructions)).unwrap_or_default();
        let input = CheckoutInput { note, ..input };
        Ok(CheckedInput { email, shipping_address, billing_address, gateway, instructions, input })
    }

    /// Checks how it is to be paid; the method, if there is such a one.
    pub(super) fn check_payment(
        &self,
        invalid: &mut Invalid,
        method: &str,
        token: Option<&str>,
    ) -> Option<PaymentMethod> {
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
    async fn reserve(
        &self,
        call: &RequestContext,
        checked: &CheckedInput,
    ) -> Result<(ChangeSet, Order, PaymentId), CheckoutError> {
        let basket = self.basket(&call.actor).await?;
        let Some(cart) = basket.cart.as_ref().filter(|_| !basket.lines.is_empty()) else {
            return Err(CheckoutError::CartEmpty);
        };
        check_available(&basket)?;
        let method = checked.input.shipping_method.as_deref();
        let priced = self.price(&basket, Some(&checked.shipping_address), method).await?;
        if let Some(expected) = checked.input.expected_total {
            expected.plus(priced.totals.grand_total.currency.zero())?;
            if expected != priced.totals.grand_total {
                return Err(CheckoutError::PriceChanged { totals: Box::new(priced.totals) });
            }
        }
        if let (Some(gateway), false) =
            (self.engine.gateways.get(&checked.gateway), priced.totals.grand_total.is_zero())
        {
            gateway.amounts(priced.totals.grand_total.currency).check_payment(priced.totals.grand_total)?;
        }
        let mut set = self.engine.set(&call.actor);
        let mut order = self.order(call, checked, &basket, priced, cart, set.at())?;
        let payment = order.payments[0].id;
        Self::close_cart(&mut set, cart);
        for line in &order.lines {
            set.reserve(line.variant_id, i64::from(line.quantity));
        }
        set.insert(&mut order);
        set.hold(Claim::order_number(&order.number), order.id);
        if let Some(key) = call.idempotency {
            set.key(key, Some(order.id.0), None);
        }
        let (id, number, total) = (order.id, order.number.clone(), order.totals.grand_total);
        set.event(self.engine.ids(), AggregateId::Order(id), 1, DomainEvent::OrderPlaced { order: id, number, total });
        let settings = &self.engine.settings;
        let settle_at = set.at() + settings.gateway_lease + Duration::from_secs(1);
        set.task_as(PaymentProcessor::settle_task(payment), settle_at, Task::SettlePayment { order: id, payment });
        let expire_at = set.at() + settings.reservation_ttl;
        set.task_as(PaymentProcessor::expire_task(payment), expire_at, Task::ExpireReservation { order: id, payment });
        Ok((set, order, payment))
    }

    fn close_cart(set: &mut ChangeSet, cart: &Cart) {
        let mut closed = Cart { status: CartStatus::Ordered, updated_at: set.at(), ..cart.clone() };
        set.update(cart, &mut closed);
        set.free(Claim::open_cart(&cart.owner), cart.id);
    }

    fn order(
        &self,
        call: &RequestContext,
        checked: &CheckedInput,
        basket: &Basket,
        priced: Priced,
        cart: &Cart,
        now: Timestamp,
    ) -> Result<Order, CheckoutError> {
        let settings = &self.engine.settings;
        let payment = Payment {
            id: PaymentId(self.engine.uuid()),
            method: checked.input.payment_method.clone(),
            gateway: checked.gateway.clone(),
            status: PaymentStatus::Pending,
            amount: priced.totals.grand_total,
            captured: 0,
            refunded: 0,
            refund_pending: 0,
            reference: None,
            token: checked.input.payment_token.clone(),
            next_action: None,
            instructions: checked.instructions.clone(),
            failure: None,
            lease_until: Some(now + settings.gateway_lease),
            reserved_until: Some(now + settings.reservation_ttl),
            created_at: now,
            updated_at: now,
        };
        Ok(Order {
            id: OrderId(self.engine.uuid()),
            number: order_number(self.engine.uuid()),
            customer_id: call.actor.user(),
            email: checked.email.clone(),
            status: OrderStatus::Pending,
            payment_status: PaymentStatus::Pending,
            fulfilment_status: FulfilmentState::Unfulfilled,
            lines: order_lines(basket, &priced, settings.prices_include_tax)?,
            totals: priced.totals,
            shipping_address: checked.shipping_address.clone(),
            billing_address: checked.billing_address.clone(),
            shipping_method: priced.method,
            payments: vec![payment],
            refunds: Vec::new(),
            fulfilments: Vec::new(),
            returns: Vec::new(),
            cart_id: Some(cart.id),
            idempotency_key: call.idempotency.map(|key| key.key),
            note: checked.input.note.clone(),
            cancel_reason: None,
            declined: false,
            placed_at: now,
            updated_at: now,
            version: 0,
        })
    }

    /// Calls the gateway and settles its answer. If the gateway certainly isn't reached, the attempt is undone, so that the
    /// customer can try again with the same cart and the same key.
    pub(super) async fn pay(
        &self,
        call: &RequestContext,
        order: Order,
        payment: PaymentId,
    ) -> Result<Order, CheckoutError> {
        let processor = PaymentProcessor { engine: self.engine.clone() };
        for attempt in 1..=CALLS {
            match processor.authorize(order.clone(), payment).await? {
                Ok(order) if order.payment(payment)?.failure.as_deref() == Some(AMOUNT_NOT_PAYABLE) => {
                    self.forget(call).await?;
                    let amount = order.payment(payment)?.amount;
                    let reason = "the payment gateway doesn't take such an amount".to_owned();
                    return Err(AmountNotPayable { amount, reason }.into());
                }
                Ok(order) => return Ok(order),
                Err(GatewayError::Unavailable(reason)) => {
                    tracing::warn!(%payment, reason, attempt, "the payment gateway isn't reached");
                }
                Err(error) => return Err(StoreError::bug(error).into()),
            }
            self.engine.pause(attempt + 5).await;
        }
        let refusal = PaymentProcessor::refusal(&order, payment, "gateway_unavailable")?;
        let order = processor.settle(order, payment, &refusal).await?;
        if order.payment(payment)?.status.is_given_up() {
            self.forget(call).await?;
        }
        Err(CheckoutError::GatewayUnavailable)
    }

    /// Forgets the key of a call that came to nothing, so that it may be sent again.
    async fn forget(&self, call: &RequestContext) -> Result<(), CheckoutError> {
        if let Some(key) = call.idempotency {
            let mut set = self.engine.set(&call.actor);
            set.forget(key.key);
            self.engine.commit(&mut set).await?.map_err(|_| StoreError::Contended)?;
        }
        Ok(())
    }
}

/// What a reservation's conflicts mean: an answer, or another try from fresh reads.
fn refuse(conflicts: &Conflicts) -> Result<(), CheckoutError> {
    match conflicts.short() {
        Some((variant_id, available)) if !conflicts.key_taken() => {
            Err(CheckoutError::OutOfStock { variant_id, available })
        }
        _ => Ok(()),
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
