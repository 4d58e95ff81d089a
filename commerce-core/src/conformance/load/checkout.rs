//! Checkouts: two lines a cart, stock reserved.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::LoadError;
use crate::{
    address::PostalAddress,
    cart::{Cart, CartLine, CartOwner, CartStatus},
    clock::{Clock as _, SystemClock},
    context::ActorRef,
    event::{DomainEvent, Task},
    id::{CartId, IdGenerator as _, OrderId, PaymentId, ProductId, UserId, UuidV7, VariantId},
    inventory::NewStock,
    money::{Currency, Money},
    order::{FulfilmentState, Order, OrderLine, OrderStatus},
    payment::{Payment, PaymentStatus},
    pricing::{ShippingMethod, Totals},
    store::{AggregateId, ChangeSet, Claim, Store},
};

/// One checkout: its cart as it is, and what reserving it writes.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The open cart.
    pub cart: Cart,
    /// The order that is made of it.
    pub order: Order,
    /// Both, with the stock of two lines reserved and the tasks that settle and expire the payment.
    pub set: ChangeSet,
}

/// Lets so many buyers check out for a while, or until no cart is left, and answers how many checkouts a second were
/// acknowledged.
///
/// # Errors
/// The first that a commit gives.
pub async fn commits_per_second<F>(
    work: Vec<Checkout>,
    buyers: usize,
    span: Duration,
    commit: impl Fn(Checkout) -> F + Clone + Send + Sync + 'static,
) -> Result<f64, LoadError>
where
    F: Future<Output = Result<(), LoadError>> + Send,
{
    let work = Arc::new(Mutex::new(VecDeque::from(work)));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..buyers {
        let (work, commit) = (Arc::clone(&work), commit.clone());
        tasks.spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < span {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(checkout) = next else { break };
                commit(checkout).await?;
                done += 1;
            }
            Ok::<u32, LoadError>(done)
        });
    }
    let mut done = 0;
    while let Some(count) = tasks.join_next().await {
        done += count??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}

/// Puts `variants` variants in stock, and `count` full carts in front of the till. Few variants are hot ones: two lines of each
/// cart are of different ones.
///
/// # Errors
/// The store's.
pub async fn checkouts(store: &dyn Store, variants: usize, count: usize) -> Result<Vec<Checkout>, LoadError> {
    let (ids, now) = (UuidV7, SystemClock.now());
    let mut stock = Vec::with_capacity(variants);
    let mut set = ChangeSet::new(&ids, now, ActorRef::System);
    for _ in 0..variants {
        let new =
            NewStock { variant_id: VariantId(ids.uuid()), product_id: ProductId(ids.uuid()), low_stock_threshold: 0 };
        set.open_stock(new, 1_000_000);
        stock.push(new);
    }
    store.commit(&set).await?;
    let mut work = Vec::with_capacity(count);
    for chunk in 0..count.div_ceil(100) {
        let mut set = ChangeSet::new(&ids, now, ActorRef::System);
        let mut carts: Vec<_> = (0..100).map(|n| cart(&stock, chunk * 100 + n)).collect();
        for cart in &mut carts {
            set.insert(cart).hold(Claim::open_cart(&cart.owner), cart.id);
        }
        store.commit(&set).await?;
        work.extend(carts.into_iter().map(|cart| checkout(cart, &stock)));
    }
    Ok(work)
}

fn cart(variants: &[NewStock], n: usize) -> Cart {
    let (ids, now) = (UuidV7, SystemClock.now());
    let line = |position: i64, at: usize| CartLine {
        position,
        variant_id: variants[at % variants.len()].variant_id,
        quantity: 1,
    };
    Cart {
        id: CartId(ids.uuid()),
        owner: CartOwner::User(UserId(ids.uuid())),
        status: CartStatus::Open,
        lines: vec![line(0, n * 7), line(1, n * 7 + 3)],
        created_at: now,
        updated_at: now,
        version: 0,
    }
}

fn checkout(cart: Cart, variants: &[NewStock]) -> Checkout {
    let (ids, now) = (UuidV7, SystemClock.now());
    let mut set = ChangeSet::new(&ids, now, ActorRef::System);
    let mut order = order(&cart, variants);
    let mut closed = Cart { status: CartStatus::Ordered, ..cart.clone() };
    set.update(&cart, &mut closed).free(Claim::open_cart(&cart.owner), cart.id);
    for line in &order.lines {
        set.reserve(line.variant_id, i64::from(line.quantity));
    }
    set.insert(&mut order).hold(Claim::order_number(&order.number), order.id);
    let (id, number, total) = (order.id, order.number.clone(), order.totals.grand_total);
    set.event(&ids, AggregateId::Order(id), 1, DomainEvent::OrderPlaced { order: id, number, total });
    let payment = order.payments[0].id;
    set.task(&ids, now + Duration::from_secs(31), Task::SettlePayment { order: id, payment });
    set.task(&ids, now + Duration::from_mins(15), Task::ExpireReservation { order: id, payment });
    Checkout { cart, order, set }
}

fn order(cart: &Cart, variants: &[NewStock]) -> Order {
    let (ids, now) = (UuidV7, SystemClock.now());
    let euros = |minor| Money::new(minor, Currency::EUR);
    let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
    let line = |line: &CartLine| OrderLine {
        position: line.position,
        variant_id: line.variant_id,
        product_id: variants[0].product_id,
        sku: "MUG-ENAMEL-GREEN".into(),
        title: "Enamel mug – green".into(),
        quantity: line.quantity,
        unit_price: euros(1990),
        total: euros(1990),
        charged: euros(1990),
        tax: euros(0),
        fulfilled: 0,
        cancelled: 0,
        refunded: 0,
        returned: 0,
        uncharged: 0,
        restocked: 0,
        written_off: 0,
    };
    let id = OrderId(ids.uuid());
    let payment = Payment {
        id: PaymentId(ids.uuid()),
        method: "test".into(),
        gateway: "test".into(),
        status: PaymentStatus::Pending,
        amount: euros(3980),
        captured: 0,
        refunded: 0,
        refund_pending: 0,
        reference: None,
        token: Some("pm_card_visa".into()),
        next_action: None,
        instructions: None,
        failure: None,
        lease_until: Some(now),
        reserved_until: Some(now),
        created_at: now,
        updated_at: now,
    };
    Order {
        id,
        number: id.to_string(),
        customer_id: match cart.owner {
            CartOwner::User(user) => Some(user),
            CartOwner::Guest(_) => None,
        },
        email: "ada@example.com".into(),
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Pending,
        fulfilment_status: FulfilmentState::Unfulfilled,
        lines: cart.lines.iter().map(line).collect(),
        totals: Totals {
            subtotal: euros(3980),
            discount: euros(0),
            shipping: euros(0),
            tax: euros(0),
            grand_total: euros(3980),
        },
        shipping_address: address.clone(),
        billing_address: address,
        shipping_method: ShippingMethod { code: "standard".into(), title: "Standard".into(), price: euros(0) },
        payments: vec![payment],
        refunds: vec![],
        fulfilments: vec![],
        returns: vec![],
        cart_id: Some(cart.id),
        idempotency_key: None,
        note: None,
        cancel_reason: None,
        declined: false,
        placed_at: now,
        updated_at: now,
        version: 0,
    }
}
