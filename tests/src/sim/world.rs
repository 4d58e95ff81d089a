//! Random operations on a shop under fire, and what must hold all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use commerce_core::{
    Commerce,
    call::{Actor, Call, Idempotency, IdempotencyError, Identity, Role},
    cart::{CartError, CartStatus},
    catalog::{ProductDraft, ProductStatus, VariantDraft},
    checkout::{CheckoutError, CheckoutInput},
    clock::{Clock, ManualClock, Timestamp},
    error::CommonError,
    event::DomainEvent,
    id::{OrderId, SessionId, UserId, VariantId},
    inventory::InventoryError,
    notification::MemoryMailer,
    order::{FulfilmentStatus, Order, OrderError, OrderStatus, ReturnStatus},
    payment::{
        LineQuantity, ManualGateway, PaymentGateway, PaymentStatus, PlacementOutcome, RefundInput, RefundStatus,
        WebhookFailure, gateway::WebhookRequest,
    },
    pricing::{FlatMethod, FlatShipping},
    store::StoreError,
};
use futures_util::future::join_all;

use super::{
    Chance, Coverage, Guard, MemoryStore, Process, SharedIds, Shared, SimGateway, lock, network::Wire,
};
use crate::shop::{eur, input, offline, parcel};

/// The reason of refunds by staff.
const SORRY: &str = "sorry";
const STEPS: usize = 80;
/// How often a commit goes wrong, in per mille; gateway calls do so more often.
const TROUBLE: usize = 30;
const CUSTOMERS: u128 = 4;
const STOCK: [i64; 3] = [6, 3, 40];
const PRICES: [i64; 3] = [1000, 333, 0];

/// What a run has shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// What went wrong, if anything did.
    pub failure: Option<String>,
    /// What was done, step by step: the same for the same seed.
    pub trace: Vec<String>,
}

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Op {
    Add { who: u128, variant: VariantId, units: i64 },
    Clear { who: u128 },
    Checkout { who: u128, key: Option<u32>, how: How },
    Authenticate { order: OrderId, success: bool, confirm: bool },
    Cancel { order: OrderId },
    CancelItems { order: OrderId, items: Vec<LineQuantity> },
    Pack { order: OrderId, items: Vec<LineQuantity> },
    Parcel { order: OrderId, nth: usize, to: FulfilmentStatus },
    AskReturn { order: OrderId, items: Vec<LineQuantity> },
    DecideReturn { order: OrderId, nth: usize, to: ReturnStatus },
    Refund { order: OrderId, key: Option<u32>, amount: Option<i64>, items: Vec<LineQuantity>, restock: bool },
    Capture { order: OrderId },
    Receive { order: OrderId },
    Adjust { variant: VariantId, key: Option<u32>, delta: i64 },
    Count { variant: VariantId, on_hand: i64 },
    Webhook { nth: usize },
    Arrive,
    Tick,
}

impl Op {
    /// The variant whose stock it adjusts.
    const fn adjusted(&self) -> Option<VariantId> {
        match self {
            Self::Adjust { variant, .. } => Some(*variant),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Card(&'static str),
    Offline,
}

/// What a keyed call was answered first.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FirstAnswer {
    order: OrderId,
    outcome: String,
}

/// Units by variant, and the keys they were found under.
type Found = (BTreeMap<VariantId, i64>, BTreeSet<String>);

struct World {
    chance: Chance,
    coverage: Coverage,
    shared: Arc<Mutex<Shared>>,
    wire: Wire,
    clock: Arc<ManualClock>,
    ids: SharedIds,
    mailer: MemoryMailer,
    capture_at_checkout: bool,
    /// The shop runs in several processes at once.
    processes: Vec<(Commerce, Arc<Process>)>,
    variants: Vec<VariantId>,
    /// What adjustments were acknowledged to have added.
    found: Arc<Mutex<Found>>,
    /// Adjustments whose answer nobody heard: they may have been made.
    in_doubt: BTreeSet<VariantId>,
    inputs: BTreeMap<(u128, u32), How>,
    answers: Arc<Mutex<BTreeMap<String, FirstAnswer>>>,
    acknowledged: Arc<Mutex<BTreeSet<OrderId>>>,
    trace: Vec<String>,
}

/// Runs one world from a seed to its end. `without` takes out one of the store's guards.
#[must_use]
pub fn simulate(seed: u64, without: Option<Guard>, coverage: &Coverage) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed, without, coverage.clone()).await;
        let failure = world.run().await.err();
        Report { failure, trace: world.trace }
    })
}

fn customer(who: u128) -> Call {
    let id = uuid::Uuid::from_u128(0xC000 + who);
    Call::by(Actor::User(Identity { user: UserId(id), role: Role::Customer, session: SessionId(id) }))
}

impl World {
    async fn new(seed: u64, without: Option<Guard>, coverage: Coverage) -> Self {
        let chance = Chance::new(seed);
        let (shared, wire, ids) = (Shared::new(without), Wire::default(), SharedIds::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
        let mailer = MemoryMailer::default();
        let capture_at_checkout = chance.happens(600);
        let mut world = Self {
            chance,
            coverage,
            shared,
            wire,
            clock,
            ids,
            mailer,
            capture_at_checkout,
            processes: Vec::new(),
            variants: Vec::new(),
            found: Arc::default(),
            in_doubt: BTreeSet::new(),
            inputs: BTreeMap::new(),
            answers: Arc::default(),
            acknowledged: Arc::default(),
            trace: Vec::new(),
        };
        let setup = world.process(0).0;
        for (n, (stock, price)) in STOCK.into_iter().zip(PRICES).enumerate() {
            let variant = VariantDraft {
                stock: Some(stock),
                low_stock_threshold: Some(1),
                ..VariantDraft::new(format!("SKU-{n}"), eur(price))
            };
            let draft = ProductDraft {
                title: format!("Thing {n}"),
                status: ProductStatus::Active,
                variants: vec![variant],
                ..ProductDraft::default()
            };
            let created = setup.catalog().create_product(&Call::system(), draft).await.unwrap();
            let id = created.value.view.product.variants[0].id;
            world.variants.push(id);
        }
        world.processes = vec![world.process(TROUBLE), world.process(TROUBLE)];
        world
    }

    /// A new process of the shop.
    fn process(&self, trouble: usize) -> (Commerce, Arc<Process>) {
        let process = Process::new(self.chance.clone(), self.coverage.clone(), trouble);
        let store = MemoryStore::new(self.shared.clone(), process.clone());
        let method = FlatMethod {
            code: "post".into(),
            title: "Post".into(),
            price: Some(eur(490)),
            free_above: Some(eur(2500)),
        };
        let capture_at_checkout = self.capture_at_checkout;
        let shop = Commerce::builder()
            .store(store)
            .gateway(SimGateway { wire: self.wire.clone(), process: process.clone() })
            .gateway(ManualGateway::new())
            .mailer(self.mailer.clone())
            .shared_clock(self.clock.clone())
            .ids(self.ids.clone())
            .shipping(FlatShipping::new(vec![method]))
            .secret([7; 32])
            .settings(|settings| settings.capture_at_checkout = capture_at_checkout)
            .build()
            .unwrap();
        (shop, process)
    }

    async fn run(&mut self) -> Result<(), String> {
        for step in 0..STEPS {
            let count = 1 + self.chance.pick(&[0, 0, 1, 2]).unwrap_or(0);
            let ops: Vec<Op> = (0..count).filter_map(|_| self.choose()).collect();
            self.perform(step, ops).await?;
            self.check().map_err(|broken| format!("after step {step}: {broken}"))?;
            if self.chance.happens(250) {
                let seconds = self.chance.pick(&[1, 31, 60, 400, 1000]).unwrap_or(1);
                self.clock.advance(Duration::from_secs(seconds));
            }
            if self.chance.happens(20) {
                self.coverage.hit("restart");
                let which = self.chance.below(2);
                self.processes[which] = self.process(TROUBLE);
            }
        }
        self.calm_down().await?;
        self.check()?;
        self.check_calm()
    }

    async fn perform(&mut self, step: usize, ops: Vec<Op>) -> Result<(), String> {
        for op in &ops {
            if let Op::Checkout { who, key: Some(key), how } = op {
                self.inputs.entry((*who, *key)).or_insert(*how);
            }
        }
        let mut shares: [Vec<Op>; 2] = Default::default();
        for op in ops {
            shares[self.chance.below(2)].push(op);
        }
        let work = self.processes.iter().zip(&shares).map(|((shop, process), ops)| {
            let hand = Hand {
                shop: shop.clone(),
                wire: self.wire.clone(),
                shared: self.shared.clone(),
                found: self.found.clone(),
                answers: self.answers.clone(),
                acknowledged: self.acknowledged.clone(),
                clock: self.clock.clone(),
            };
            async move {
                tokio::select! {
                    biased;
                    results = join_all(ops.iter().map(|op| hand.perform(op))) => Some(results),
                    () = process.death() => None,
                }
            }
        });
        let done = join_all(work).await;
        for (which, (ops, results)) in shares.into_iter().zip(done).enumerate() {
            match results {
                Some(results) => self.note(step, &ops, results)?,
                None => {
                    self.coverage.hit("death");
                    self.trace.push(format!("{step}: {which} died during {ops:?}"));
                    self.in_doubt.extend(ops.iter().filter_map(Op::adjusted));
                    self.processes[which] = self.process(TROUBLE);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, step: usize, ops: &[Op], results: Vec<Result<String, String>>) -> Result<(), String> {
        for (op, result) in ops.iter().zip(results) {
            let result = result.map_err(|broken| format!("step {step}, {op:?}: {broken}"))?;
            let name = format!("{op:?}");
            let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
            if result == "store unknown" {
                self.in_doubt.extend(op.adjusted());
            }
            self.coverage.hit(format!("{name}: {result}"));
            self.trace.push(format!("{step}: {op:?}: {result}"));
        }
        Ok(())
    }

    /// Something to do next.
    fn choose(&self) -> Option<Op> {
        let chance = &self.chance;
        let orders = lock(&self.shared).orders();
        let who = chance.below(CUSTOMERS as usize) as u128;
        let variant = chance.pick(&self.variants)?;
        let key = chance.happens(500).then(|| u32::try_from(chance.below(6)).unwrap_or(0));
        let any = chance.pick(&orders);
        let with = |fits: &dyn Fn(&Order) -> bool| {
            let fitting: Vec<_> = orders.iter().filter(|order| fits(order)).cloned().collect();
            chance.pick(&fitting)
        };
        Some(match chance.below(100) {
            0..16 => Op::Add { who, variant, units: 1 + chance.below(3) as i64 },
            16 => Op::Clear { who },
            17..36 => {
                let tokens = ["pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_chargeDeclined", crate::shop::SECURE];
                let how = if chance.happens(100) { How::Offline } else { How::Card(chance.pick(&tokens)?) };
                let how = key.and_then(|key| self.inputs.get(&(who, key)).copied()).unwrap_or(how);
                Op::Checkout { who, key, how }
            }
            36..42 => {
                let order = with(&|order| order.status == OrderStatus::Pending)?.id;
                Op::Authenticate { order, success: chance.happens(700), confirm: chance.happens(600) }
            }
            42..46 => Op::Cancel { order: any?.id },
            46..50 => {
                let order = with(&|order| order.lines.iter().any(|line| line.unfulfilled() > 0)).or(any)?;
                Op::CancelItems { items: self.some_of(&order), order: order.id }
            }
            50..56 => {
                let order = with(&|order| order.status == OrderStatus::Confirmed).or(any)?;
                let items = if chance.happens(500) { Vec::new() } else { self.some_of(&order) };
                Op::Pack { items, order: order.id }
            }
            56..66 => {
                let order = with(&|order| !order.fulfilments.is_empty())?;
                let to = [FulfilmentStatus::Shipped, FulfilmentStatus::Delivered, FulfilmentStatus::Cancelled];
                let to = chance.pick(&[to[0], to[0], to[1], to[1], to[2]])?;
                Op::Parcel { nth: chance.below(order.fulfilments.len()), order: order.id, to }
            }
            66..70 => {
                let delivered = |order: &Order| order.lines.iter().any(|line| order.returnable(line.variant_id) > 0);
                let order = with(&delivered).or(any)?;
                Op::AskReturn { items: self.some_of(&order), order: order.id }
            }
            70..75 => {
                let order = with(&|order| !order.returns.is_empty())?;
                let to = [ReturnStatus::Approved, ReturnStatus::Received, ReturnStatus::Rejected];
                let to = chance.pick(&[to[0], to[0], to[1], to[1], to[2]])?;
                Op::DecideReturn { nth: chance.below(order.returns.len()), order: order.id, to }
            }
            75..80 => {
                let order = with(&|order| order.payments.iter().any(|payment| payment.captured > 0)).or(any)?;
                let (amount, items) = match chance.below(3) {
                    0 => (Some(1 + chance.below(900) as i64), Vec::new()),
                    1 => (None, self.some_of(&order)),
                    _ => (None, Vec::new()),
                };
                let restock = amount.is_none() && chance.happens(500);
                Op::Refund { order: order.id, key, amount, items, restock }
            }
            80..84 => {
                let order = with(&|order| order.payment_status == PaymentStatus::Authorized).or(any)?;
                Op::Capture { order: order.id }
            }
            84..86 => Op::Receive { order: with(&|order| order.payments[0].gateway == "manual").or(any)?.id },
            86..89 => Op::Adjust { variant, key, delta: key.map_or(chance.pick(&[-1, 1, 2])?, |_| 1) },
            89 => Op::Count { variant, on_hand: chance.below(10) as i64 },
            90..93 => Op::Webhook { nth: chance.below(lock(&self.wire.said).len().max(1)) },
            93..95 => Op::Arrive,
            _ => Op::Tick,
        })
    }

    fn some_of(&self, order: &Order) -> Vec<LineQuantity> {
        let line = &order.lines[self.chance.below(order.lines.len())];
        let quantity = 1 + u32::try_from(self.chance.below(line.quantity as usize)).unwrap_or(0);
        vec![LineQuantity { variant_id: line.variant_id, quantity }]
    }

    /// What must hold at any time.
    fn check(&self) -> Result<(), String> {
        let shared = lock(&self.shared);
        let orders = shared.orders();
        let drifts = shared.drifts();
        if !drifts.is_empty() {
            return Err(format!("counters disagree with their ledgers: {drifts:?}"));
        }
        for (variant, stock) in &shared.stock {
            let gone = |order: &Order| -> i64 {
                let lines = order.lines.iter().filter(|line| line.variant_id == *variant);
                lines.map(|line| i64::from(line.quantity - line.cancelled) - i64::from(line.returned)).sum()
            };
            let sold: i64 = orders.iter().filter(|order| order.status != OrderStatus::Pending).map(gone).sum();
            if stock.reserved < 0 || stock.on_hand < stock.reserved {
                return Err(format!("oversold: {stock:?}"));
            }
            let (counted, found) = shared.adjusted(*variant);
            if stock.on_hand + sold != counted {
                return Err(format!("of {counted} units {sold} are sold, but {} are on hand", stock.on_hand));
            }
            let known = lock(&self.found).0.get(variant).copied().unwrap_or(0);
            if !self.in_doubt.contains(variant) && known != found {
                return Err(format!("{known} units were found, but {found} were added"));
            }
        }
        let numbers: BTreeSet<_> = orders.iter().map(|order| &order.number).collect();
        if numbers.len() != orders.len() {
            return Err("two orders have the same number".to_owned());
        }
        let mut owners = BTreeSet::new();
        for cart in shared.carts().iter().filter(|cart| cart.status == CartStatus::Open) {
            if !owners.insert(cart.owner.key()) {
                return Err(format!("{:?} has two open carts", cart.owner));
            }
        }
        let mut carts = BTreeSet::new();
        let standing = orders.iter().filter(|order| order.status != OrderStatus::Cancelled);
        for order in standing.filter(|order| !was_cancelled(order.id, &shared)) {
            if !order.cart_id.is_none_or(|cart| carts.insert(cart)) {
                return Err(format!("one cart became two orders: {order:#?}"));
            }
        }
        for id in lock(&self.acknowledged).iter() {
            if !orders.iter().any(|order| order.id == *id) {
                return Err(format!("an acknowledged order is gone: {id}"));
            }
        }
        let mut events = BTreeSet::new();
        for event in &shared.events {
            if !events.insert(event.id) {
                return Err(format!("an event happened twice: {event:?}"));
            }
        }
        drop(shared);
        orders.iter().try_for_each(|order| self.check_order(order))
    }

    fn check_order(&self, order: &Order) -> Result<(), String> {
        let broken = |what: &str| Err(format!("{what}: {order:#?}"));
        let theirs = self.wire.gateway.ledger();
        for payment in &order.payments {
            let line = theirs.iter().find(|line| line.payment == payment.id);
            let (captured, refunded) = line.map_or((0, 0), |line| (line.captured, line.refunded));
            let settled: i64 = sum(order, RefundStatus::Settled);
            if payment.refunded != settled || payment.refund_pending != sum(order, RefundStatus::Pending) {
                return broken("the refunds don't add up");
            }
            let ours = payment.gateway == "test";
            if ours && (payment.captured > captured || payment.refunded > refunded) {
                return broken("we count money that the gateway didn't move");
            }
            if ours && refunded > payment.refunded + payment.refund_pending {
                return broken("the gateway sent more back than we know of");
            }
        }
        let payment = &order.payments[order.payments.len() - 1];
        if order.payment_status != payment.status {
            return broken("the order's payment status isn't its payment's");
        }
        let kept = payment.captured - payment.refunded - payment.refund_pending;
        let failed = order.refunds.iter().any(|refund| refund.status == RefundStatus::Failed);
        // Staff who take all items back with a refund may keep the shipping.
        let taken_back = order.cancel_reason.as_deref() == Some(SORRY) && kept <= order.totals.shipping.minor;
        if order.status == OrderStatus::Cancelled && kept > 0 && !failed && !taken_back {
            return broken("cancelled, and paid without a refund");
        }
        let promised = matches!(
            payment.status,
            PaymentStatus::Authorized | PaymentStatus::Paid | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded
        );
        let confirmed = matches!(order.status, OrderStatus::Confirmed | OrderStatus::Completed);
        if confirmed && !promised && payment.gateway == "test" {
            return broken("confirmed without money");
        }
        if confirmed && order.lines.iter().all(|line| line.cancelled == line.quantity) {
            return broken("confirmed with nothing to deliver");
        }
        Ok(())
    }

    /// No more trouble: the clock runs and the worker works until nothing is left to do.
    async fn calm_down(&mut self) -> Result<(), String> {
        let (shop, _) = self.process(0);
        if self.chance.happens(500) {
            let delayed = std::mem::take(&mut *lock(&self.wire.delayed));
            for request in delayed {
                self.coverage.hit("arrived after all");
                self.wire.gateway.authorize(&request).await.map_err(|error| error.to_string())?;
            }
        }
        for _ in 0..400 {
            shop.worker().tick().await.map_err(|error| format!("the worker failed: {error}"))?;
            let next = {
                let shared = lock(&self.shared);
                let waiting = shared.tasks.values().filter(|queued| !queued.dead);
                waiting.map(|queued| queued.lease_until.map_or(queued.due, |until| until.max(queued.due))).min()
            };
            let Some(next) = next else { return Ok(()) };
            self.clock.advance(next.since(self.clock.now()));
        }
        let shared = lock(&self.shared);
        Err(format!("the worker doesn't come to an end: {:?}", shared.tasks))
    }

    /// What must hold when nothing is on its way any more.
    fn check_calm(&self) -> Result<(), String> {
        let shared = lock(&self.shared);
        let orders = shared.orders();
        for (variant, stock) in &shared.stock {
            if stock.reserved != 0 {
                return Err(format!("stock leaked: {variant} {stock:?}"));
            }
        }
        let mails = self.mailer.sent();
        for order in &orders {
            if order.status == OrderStatus::Pending {
                return Err(format!("still pending: {order:#?}"));
            }
            if order.refunds.iter().any(|refund| refund.status == RefundStatus::Pending) {
                return Err(format!("a refund is still pending: {order:#?}"));
            }
            let confirmed = shared.events.iter().any(
                |record| matches!(&record.event, DomainEvent::OrderConfirmed { order: id } if *id == order.id),
            );
            let told = mails.iter().any(|mail| mail.subject.contains(&order.number) || mail.text.contains(&order.number));
            if confirmed && !told {
                return Err(format!("nobody told the customer of order {}", order.number));
            }
            let cart = order.cart_id.and_then(|id| shared.carts().into_iter().find(|cart| cart.id == id));
            if order.declined && cart.is_some_and(|cart| cart.status == CartStatus::Ordered && !self.ordered_again(order, &orders)) {
                return Err(format!("a declined customer lost their cart: {order:#?}"));
            }
        }
        for line in self.wire.gateway.ledger() {
            let payment = orders.iter().flat_map(|order| &order.payments).find(|payment| payment.id == line.payment);
            let Some(payment) = payment else {
                return Err(format!("the gateway holds money for no order: {line:?}"));
            };
            if (payment.captured, payment.refunded) != (line.captured, line.refunded) {
                return Err(format!("our books say {payment:?}, the gateway's {line:?}"));
            }
            if line.authorized != (payment.status == PaymentStatus::Authorized) {
                return Err(format!("a promise is forgotten: {payment:?} {line:?}"));
            }
        }
        Ok(())
    }

    /// Whether the cart of a declined order was open again and became another order.
    fn ordered_again(&self, declined: &Order, orders: &[Order]) -> bool {
        orders.iter().any(|order| order.id != declined.id && order.cart_id == declined.cart_id)
    }
}

/// Whether an order was ever given up: its cart was open again then.
fn was_cancelled(id: OrderId, shared: &Shared) -> bool {
    let cancelled = |event: &DomainEvent| matches!(event, DomainEvent::OrderCancelled { order, .. } if *order == id);
    shared.events.iter().any(|record| cancelled(&record.event))
}

fn sum(order: &Order, status: RefundStatus) -> i64 {
    order.refunds.iter().filter(|refund| refund.status == status).map(|refund| refund.amount.minor).sum()
}

/// What an operation needs: kept apart from the world, so that several can run at once.
struct Hand {
    shop: Commerce,
    wire: Wire,
    shared: Arc<Mutex<Shared>>,
    found: Arc<Mutex<Found>>,
    answers: Arc<Mutex<BTreeMap<String, FirstAnswer>>>,
    acknowledged: Arc<Mutex<BTreeSet<OrderId>>>,
    clock: Arc<ManualClock>,
}

impl Hand {
    fn order(&self, id: OrderId) -> Option<Order> {
        lock(&self.shared).orders().into_iter().find(|order| order.id == id)
    }

    /// The same key must give the same answer. What was pending may have moved on.
    fn answered(&self, key: &str, order: OrderId, outcome: String) -> Result<(), String> {
        let now = FirstAnswer { order, outcome };
        let mut answers = lock(&self.answers);
        match answers.get(key) {
            Some(first) if first.order != now.order || (first.outcome != now.outcome && first.outcome != "Pending") => {
                Err(format!("the key {key} was answered {first:?}, and now {now:?}"))
            }
            Some(first) if first.outcome != "Pending" => Ok(()),
            _ => {
                answers.insert(key.to_owned(), now);
                Ok(())
            }
        }
    }

    /// Does it, and says how it ended; an error is something that may never happen.
    async fn perform(&self, op: &Op) -> Result<String, String> {
        let staff = Call::system();
        let (orders, payments) = (self.shop.orders(), self.shop.payments());
        match op {
            Op::Add { who, variant, units } => {
                told(self.shop.carts().add_item(&customer(*who), *variant, *units, None).await.map(drop), cart_error)
            }
            Op::Clear { who } => told(self.shop.carts().clear(&customer(*who), None).await.map(drop), cart_error),
            Op::Checkout { who, key, how } => self.checkout(*who, *key, *how).await,
            Op::Authenticate { order, success, confirm } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let payment = order.payments[0].id;
                let acted = self.wire.gateway.authenticate(payment, *success);
                if acted && let Ok(Some(word)) = self.wire.gateway.retrieve(payment, None).await {
                    lock(&self.wire.said).push((payment, word));
                }
                if !confirm {
                    return Ok(format!("acted {acted}"));
                }
                let confirmed = payments.confirm(&staff, order.id, payment).await;
                told(confirmed.map(drop), order_error)
            }
            Op::Cancel { order } => told(orders.cancel(&staff, *order).await.map(drop), order_error),
            Op::CancelItems { order, items } => {
                told(orders.admin_cancel(&staff, *order, items.clone(), None).await.map(drop), order_error)
            }
            Op::Pack { order, items } => {
                told(orders.fulfil(&staff, *order, parcel(items.clone())).await.map(drop), order_error)
            }
            Op::Parcel { order, nth, to } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let id = order.fulfilments[*nth].id;
                told(orders.update_fulfilment(&staff, id, *to).await.map(drop), order_error)
            }
            Op::AskReturn { order, items } => {
                let asked = orders.request_return(&staff, *order, items.clone(), "no".to_owned()).await;
                told(asked.map(drop), order_error)
            }
            Op::DecideReturn { order, nth, to } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                let id = order.returns[*nth].id;
                told(orders.decide_return(&staff, id, *to).await.map(drop), order_error)
            }
            Op::Refund { order, key, amount, items, restock } => {
                let input = RefundInput {
                    amount: amount.map(eur),
                    items: items.clone(),
                    reason: SORRY.to_owned(),
                    restock: *restock,
                };
                let key = key.map(|key| format!("refund {order} {key}"));
                let call = match &key {
                    Some(key) => staff.once(Idempotency::new("staff", key, format!("{input:?}").as_bytes())),
                    None => staff,
                };
                let done = payments.refund(&call, *order, input).await;
                if let (Ok(done), Some(key)) = (&done, key) {
                    self.answered(&key, *order, done.value.1.to_string())?;
                }
                told(done.map(drop), order_error)
            }
            Op::Capture { order } => told(payments.capture(&staff, *order).await.map(drop), order_error),
            Op::Receive { order } => {
                let Some(order) = self.order(*order) else { return Ok("gone".to_owned()) };
                if order.payments[0].gateway != "manual" {
                    return Ok("not offline".to_owned());
                }
                told(payments.receive(&staff, order.payments[0].id).await.map(drop), order_error)
            }
            Op::Adjust { variant, key, delta } => {
                let key = key.map(|key| format!("adjust {variant} {key}"));
                let call = match &key {
                    Some(key) => staff.once(Idempotency::new("staff", key, b"")),
                    None => staff,
                };
                let done = self.shop.inventory().adjust(&call, *variant, *delta, "found".to_owned()).await;
                if let Ok(done) = &done {
                    let mut found = lock(&self.found);
                    let is_first = key.is_none_or(|key| found.1.insert(key));
                    match (is_first, done.replayed) {
                        (true, _) => *found.0.entry(*variant).or_default() += delta,
                        (false, true) => {}
                        (false, false) => return Err("a call had its effect again under its key".to_owned()),
                    }
                }
                told(done.map(drop), inventory_error)
            }
            Op::Count { variant, on_hand } => {
                let done = self.shop.inventory().set_stock(&staff, *variant, Some(*on_hand), None).await;
                told(done.map(drop), inventory_error)
            }
            Op::Webhook { nth } => {
                let body = nth.to_string();
                let request = WebhookRequest { signature: None, body: body.as_bytes(), at: self.clock.now() };
                match payments.webhook("test", &request).await {
                    Ok(()) => Ok("ok".to_owned()),
                    Err(WebhookFailure::Rejected(_)) => Ok("rejected".to_owned()),
                    Err(WebhookFailure::Failed(error)) => common(&error),
                }
            }
            Op::Arrive => {
                let late = lock(&self.wire.delayed).pop();
                let Some(late) = late else { return Ok("nothing".to_owned()) };
                let word = self.wire.gateway.authorize(&late).await.map_err(|error| error.to_string())?;
                lock(&self.wire.said).push((late.payment_id, word));
                Ok("ok".to_owned())
            }
            Op::Tick => match self.shop.worker().tick().await {
                Ok(_) => Ok("ok".to_owned()),
                Err(error) => store(&error),
            },
        }
    }

    async fn checkout(&self, who: u128, key: Option<u32>, how: How) -> Result<String, String> {
        let key = key.map(|key| format!("checkout {who} {key}"));
        let call = match &key {
            Some(key) => customer(who).once(Idempotency::new("checkout", key, b"")),
            None => customer(who),
        };
        let input: CheckoutInput = match how {
            How::Card(token) => input(token),
            How::Offline => offline(),
        };
        let placed = match self.shop.checkout().place(&call, input).await {
            Ok(done) => done.value,
            Err(error) => return checkout_error(&error),
        };
        lock(&self.acknowledged).insert(placed.order.id);
        let outcome = match &placed.outcome {
            PlacementOutcome::Placed => "Placed",
            PlacementOutcome::ActionRequired => "ActionRequired",
            PlacementOutcome::Pending => "Pending",
            PlacementOutcome::Declined { .. } => "Declined",
        };
        if let Some(key) = key {
            self.answered(&key, placed.order.id, outcome.to_owned())?;
        }
        Ok(outcome.to_owned())
    }
}

fn told<E>(result: Result<(), E>, name: fn(&E) -> Result<String, String>) -> Result<String, String> {
    match result {
        Ok(()) => Ok("ok".to_owned()),
        Err(error) => name(&error),
    }
}

fn common(error: &CommonError) -> Result<String, String> {
    Ok(match error {
        CommonError::Store(error) => return store(error),
        CommonError::NotFound(_) => "not found",
        CommonError::Invalid(_) => "invalid",
        CommonError::Idempotency(IdempotencyError::Reused) => "key reused",
        CommonError::Idempotency(IdempotencyError::InProgress) => "key in progress",
        CommonError::VersionMismatch(_) => "version mismatch",
        CommonError::Access(error) => return Err(format!("unexpected: {error}")),
        CommonError::Cursor(error) => return Err(format!("unexpected: {error}")),
    }
    .to_owned())
}

fn store(error: &StoreError) -> Result<String, String> {
    match error {
        StoreError::Unavailable(_) => Ok("store unavailable".to_owned()),
        StoreError::Unknown(_) => Ok("store unknown".to_owned()),
        StoreError::Contended => Ok("contended".to_owned()),
        StoreError::Bug(error) => Err(format!("a bug: {error}")),
    }
}

fn cart_error(error: &CartError) -> Result<String, String> {
    match error {
        CartError::Common(error) => common(error),
        CartError::OutOfStock { .. } => Ok("out of stock".to_owned()),
    }
}

fn inventory_error(error: &InventoryError) -> Result<String, String> {
    match error {
        InventoryError::Common(error) => common(error),
        InventoryError::BelowReserved { .. } => Ok("below reserved".to_owned()),
    }
}

fn checkout_error(error: &CheckoutError) -> Result<String, String> {
    Ok(match error {
        CheckoutError::Common(error) => return common(error),
        CheckoutError::CartEmpty => "cart empty",
        CheckoutError::OutOfStock { .. } => "out of stock",
        CheckoutError::PriceChanged { .. } => "price changed",
        CheckoutError::GatewayUnavailable => "gateway unavailable",
    }
    .to_owned())
}

fn order_error(error: &OrderError) -> Result<String, String> {
    Ok(match error {
        OrderError::Common(error) => return common(error),
        OrderError::NotAllowed(_) => "not allowed",
        OrderError::AlreadyShipped => "already shipped",
        OrderError::QuantityExceeded { .. } => "quantity exceeded",
        OrderError::RefundExceedsCaptured { .. } => "refund exceeds captured",
        OrderError::NothingToCapture => "nothing to capture",
        OrderError::NotAwaited => "not awaited",
        OrderError::GatewayUnavailable => "gateway unavailable",
        OrderError::GatewayRefused(_) => "gateway refused",
        OrderError::PaymentBusy => "payment busy",
    }
    .to_owned())
}
