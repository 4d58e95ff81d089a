//! Random operations on a shop under fire, and what must hold all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use commerce_core::{
    Commerce,
    catalog::{NewProduct, NewVariant},
    clock::{Clock, ManualClock, Timestamp},
    id::{OrderId, VariantId},
    notification::MemoryMailer,
    payment::{ManualGateway, PaymentGateway, gateway::WebhookRequest},
    pricing::{FlatMethod, FlatShipping},
};
use futures_util::future::join_all;

use super::{
    Chance, Coverage, Guard, MemoryStore, Process, SharedIds, SharedState, SimGateway, Wire,
    actor::{FirstAnswer, Found, Hand},
    lock,
    op::{How, Op},
};
use crate::shop::eur;

const STEPS: usize = 80;
/// How often a commit goes wrong, in per mille; gateway calls do so more often.
const TROUBLE: usize = 30;
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

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) coverage: Coverage,
    pub(super) shared: Arc<Mutex<SharedState>>,
    pub(super) wire: Wire,
    pub(super) clock: Arc<ManualClock>,
    pub(super) ids: SharedIds,
    pub(super) mailer: MemoryMailer,
    pub(super) capture_at_checkout: bool,
    /// The shop runs in several processes at once.
    pub(super) processes: Vec<(Commerce, Arc<Process>)>,
    pub(super) variants: Vec<VariantId>,
    /// What adjustments were acknowledged to have added.
    pub(super) found: Arc<Mutex<Found>>,
    /// Adjustments whose answer nobody heard: they may have been made.
    pub(super) in_doubt: BTreeSet<VariantId>,
    pub(super) inputs: BTreeMap<(u128, u32), How>,
    pub(super) answers: Arc<Mutex<BTreeMap<String, FirstAnswer>>>,
    pub(super) acknowledged: Arc<Mutex<BTreeSet<OrderId>>>,
    pub(super) partly: Arc<Mutex<BTreeSet<OrderId>>>,
    pub(super) trace: Vec<String>,
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

impl World {
    async fn new(seed: u64, without: Option<Guard>, coverage: Coverage) -> Self {
        let chance = Chance::new(seed);
        let (shared, wire, ids) = (SharedState::new(without), Wire::default(), SharedIds::default());
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
            partly: Arc::default(),
            trace: Vec::new(),
        };
        let setup = world.process(0).0;
        for (n, (stock, price)) in STOCK.into_iter().zip(PRICES).enumerate() {
            let variant = NewVariant::new(format!("SKU-{n}"), eur(price)).stock(stock).low_stock_threshold(1);
            let thing = NewProduct::active(format!("Thing {n}")).with_variant(variant);
            let thing = setup.as_system().catalog().create(thing).await.unwrap();
            world.variants.push(thing.default_variant());
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
        self.check_calm()?;
        let (shop, _) = self.process(0);
        let books = shop.as_system().payments().reconcile().await.map_err(|error| error.to_string())?;
        if books.drifts.is_empty() { Ok(()) } else { Err(format!("the books don't agree: {:?}", books.drifts)) }
    }

    async fn perform(&mut self, step: usize, ops: Vec<Op>) -> Result<(), String> {
        for op in &ops {
            if let Op::Checkout { who, key: Some(key), how } = op {
                self.inputs.entry((*who, *key)).or_insert(*how);
            }
        }
        let mut shares: [Vec<Op>; 2] = Default::default();
        for op in ops {
            let which = self.chance.below(2);
            // Impatient clients send what has a key twice.
            if op.is_keyed() && self.chance.happens(300) {
                self.coverage.hit("sent twice");
                shares[1 - which].push(op.clone());
            }
            shares[which].push(op);
        }
        let work = self.processes.iter().zip(&shares).map(|((shop, process), ops)| {
            let hand = Hand {
                step,
                shop: shop.clone(),
                wire: self.wire.clone(),
                shared: self.shared.clone(),
                found: self.found.clone(),
                answers: self.answers.clone(),
                acknowledged: self.acknowledged.clone(),
                partly: self.partly.clone(),
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

    /// No more trouble: the clock runs and the worker works until nothing is left to do.
    async fn calm_down(&mut self) -> Result<(), String> {
        let (shop, _) = self.process(0);
        if self.chance.happens(700) {
            if self.chance.happens(600) {
                self.clock.advance(Duration::from_mins(16));
                shop.worker().tick().await.map_err(|error| format!("the worker failed: {error}"))?;
            }
            let delayed = std::mem::take(&mut *lock(&self.wire.delayed));
            for request in delayed {
                self.coverage.hit("arrived after all");
                self.wire.gateway.authorize(&request).await.map_err(|error| error.to_string())?;
            }
        }
        // The gateway repeats what it has to tell until it is heard.
        let mut untold: Vec<_> = lock(&self.wire.bounced).values().cloned().collect();
        untold.extend(lock(&self.wire.after_all).iter().cloned());
        untold.extend(lock(&self.wire.past_us).iter().cloned());
        for event in untold {
            let nth = {
                let mut said = lock(&self.wire.said);
                said.push(event);
                said.len() - 1
            };
            let body = nth.to_string();
            let request = WebhookRequest { signature: None, body: body.as_bytes(), at: self.clock.now() };
            shop.payment_webhook("test", &request).await.map_err(|error| format!("a webhook failed: {error}"))?;
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
}
