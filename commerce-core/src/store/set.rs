//! [`ChangeSet`]: what must become true together.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use super::{
    Aggregate, AggregateId, AggregateWrite, Attempt, AttemptWrite, Change, Claim, ClaimOp, IdempotencyRecord, KeyWrite,
    Movement, MovementKind, RatingDelta, StockDelta, TaskWrite, Version,
};
use crate::{
    clock::Timestamp,
    context::{ActorRef, Idempotency},
    event::{DomainEvent, EventRecord, Task},
    id::{CommitId, EventId, IdGenerator, OrderId, ProductId, TaskId, VariantId},
    inventory::NewStock,
};

/// What must become true together: rows as they are to become, and the guards under which they may.
///
/// A set is *simultaneous*: no row is written twice, counters add up per key, each touched aggregate has exactly one head
/// write, children carry no guard of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeSet {
    id: CommitId,
    at: Timestamp,
    by: ActorRef,
    keys: Vec<KeyWrite>,
    claims: BTreeMap<Claim, ClaimOp>,
    attempts: BTreeMap<[u8; 32], AttemptWrite>,
    stock: BTreeMap<VariantId, StockDelta>,
    ratings: BTreeMap<ProductId, RatingDelta>,
    changes: Vec<Change>,
    movements: Vec<Movement>,
    events: Vec<EventRecord>,
    tasks: Vec<TaskWrite>,
    touched: BTreeSet<AggregateId>,
}

impl ChangeSet {
    /// An empty set by somebody at a time.
    pub fn new(ids: &dyn IdGenerator, at: Timestamp, by: ActorRef) -> Self {
        Self {
            id: CommitId(ids.uuid()),
            at,
            by,
            keys: Vec::new(),
            claims: BTreeMap::new(),
            attempts: BTreeMap::new(),
            stock: BTreeMap::new(),
            ratings: BTreeMap::new(),
            changes: Vec::new(),
            movements: Vec::new(),
            events: Vec::new(),
            tasks: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Takes something unique for an owner.
    ///
    /// # Panics
    /// If the set already says something about this claim: a bug in the caller.
    pub fn hold(&mut self, claim: Claim, owner: impl Into<Uuid>) -> &mut Self {
        let earlier = self.claims.insert(claim, ClaimOp::Acquire(owner.into()));
        assert!(earlier.is_none(), "a claim is written twice in one set");
        self
    }

    /// Gives something unique back.
    ///
    /// # Panics
    /// If the set already says something about this claim: a bug in the caller.
    pub fn free(&mut self, claim: Claim, owner: impl Into<Uuid>) -> &mut Self {
        let earlier = self.claims.insert(claim, ClaimOp::Release(owner.into()));
        assert!(earlier.is_none(), "a claim is written twice in one set");
        self
    }

    /// Saves a new aggregate; its version becomes 1.
    pub fn insert<T: Aggregate>(&mut self, new: &mut T) -> &mut Self {
        new.set_version(1);
        self.touch(new.root());
        self.changes.push(T::change(AggregateWrite { before: None, after: new.clone() }));
        self
    }

    /// Saves a changed aggregate, if it is still as it was read; its version grows by one.
    pub fn update<T: Aggregate>(&mut self, before: &T, after: &mut T) -> &mut Self {
        after.set_version(before.version() + 1);
        self.touch(after.root());
        self.changes.push(T::change(AggregateWrite { before: Some(before.clone()), after: after.clone() }));
        self
    }

    /// Saves an aggregate as it is elsewhere, its version too; `before` is what may be there already.
    pub(super) fn import<T: Aggregate>(&mut self, before: Option<&T>, whole: &T) -> &mut Self {
        self.touch(whole.root());
        self.changes.push(T::change(AggregateWrite { before: before.cloned(), after: whole.clone() }));
        self
    }

    /// Removes an aggregate, if it is still at this version.
    pub fn remove(&mut self, root: AggregateId, version: Version) -> &mut Self {
        self.touch(root);
        self.changes.push(Change::Remove(root, version));
        self
    }

    /// Demands that an aggregate which the set doesn't write is still at this version.
    pub fn assert(&mut self, root: AggregateId, version: Version) -> &mut Self {
        self.touch(root);
        self.changes.push(Change::RequireVersion(root, version));
        self
    }

    /// Opens the stock of a new variant, with a first count.
    pub fn open_stock(&mut self, stock: NewStock, on_hand: i64) -> &mut Self {
        let variant = stock.variant_id;
        self.changes.push(Change::OpenStock(stock));
        if on_hand != 0 {
            let delta = StockDelta { on_hand, ..StockDelta::default() };
            self.move_stock(variant, delta, Some((MovementKind::Initial, None, None)));
        }
        self
    }

    /// Moves units into or out of reservation, without touching what is on hand. Adds up per variant.
    pub fn reserve(&mut self, variant: VariantId, units: i64) -> &mut Self {
        self.stock.entry(variant).or_default().reserved += units;
        self
    }

    /// Moves a variant's stock and writes the ledger line for it. Deltas of one variant add up, and so does its one ledger
    /// line.
    pub fn move_stock(
        &mut self,
        variant: VariantId,
        delta: StockDelta,
        ledger: Option<(MovementKind, Option<OrderId>, Option<String>)>,
    ) -> &mut Self {
        let sum = self.stock.entry(variant).or_default();
        sum.on_hand += delta.on_hand;
        sum.reserved += delta.reserved;
        sum.expect_on_hand = delta.expect_on_hand.or(sum.expect_on_hand);
        if let Some((kind, order, reason)) = ledger {
            match self.movements.iter_mut().find(|line| line.variant == variant) {
                Some(line) => line.delta += delta.on_hand,
                None => self.movements.push(Movement { variant, kind, delta: delta.on_hand, order, reason }),
            }
        }
        self
    }

    /// Moves a product's rating. Adds up per product.
    pub fn rate(&mut self, product: ProductId, delta: RatingDelta) -> &mut Self {
        let sum = self.ratings.entry(product).or_default();
        sum.sum += delta.sum;
        sum.count += delta.count;
        self
    }

    /// Sets a low-stock threshold.
    pub fn threshold(&mut self, variant: VariantId, threshold: i64) -> &mut Self {
        self.changes.push(Change::StockThreshold(variant, threshold));
        self
    }

    /// Notes that a low-stock crossing has been alerted, if nobody else did.
    pub fn alerted(&mut self, variant: VariantId, from: i64, to: i64) -> &mut Self {
        self.touch(AggregateId::StockAlert(variant));
        self.changes.push(Change::StockAlerted { variant, from, to });
        self
    }

    /// Forgets what is no longer needed from before a time.
    pub fn purge(&mut self, before: Timestamp) -> &mut Self {
        self.changes.push(Change::Purge(before));
        self
    }

    /// Claims an idempotency key, with the answer if it is known already.
    pub fn key(&mut self, key: Idempotency, subject: Option<Uuid>, output: Option<Value>) -> &mut Self {
        let Idempotency { key, fingerprint } = key;
        self.keys.push(KeyWrite::Claim(IdempotencyRecord { key, fingerprint, subject, output, at: self.at }));
        self
    }

    /// Keeps the answer of a call whose key was claimed by an earlier commit.
    pub fn answer(&mut self, key: [u8; 32], output: Value) -> &mut Self {
        self.keys.push(KeyWrite::Resolve { key, output });
        self
    }

    /// Forgets an idempotency key whose call had no effect.
    pub fn forget(&mut self, key: [u8; 32]) -> &mut Self {
        self.keys.push(KeyWrite::Forget(key));
        self
    }

    /// Counts an attempt, if its limit allows one more.
    ///
    /// # Panics
    /// If the set already says something about attempts of this key: a bug in the caller.
    pub fn count(&mut self, attempt: Attempt) -> &mut Self {
        let earlier = self.attempts.insert(attempt.key, AttemptWrite::Count(attempt));
        assert!(earlier.is_none(), "attempts of one key are written twice in one set");
        self
    }

    /// Takes back an attempt that an earlier set counted.
    ///
    /// # Panics
    /// If the set already says something about attempts of this key: a bug in the caller.
    pub fn take_back(&mut self, attempt: Attempt) -> &mut Self {
        let earlier = self.attempts.insert(attempt.key, AttemptWrite::TakeBack(attempt));
        assert!(earlier.is_none(), "attempts of one key are written twice in one set");
        self
    }

    /// Appends an event about an aggregate at the version this set gives it.
    pub fn event(
        &mut self,
        ids: &dyn IdGenerator,
        root: AggregateId,
        version: Version,
        event: DomainEvent,
    ) -> &mut Self {
        let n = self.events.iter().filter(|earlier| earlier.root == root).count();
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let id = EventId(ids.uuid());
        self.events.push(EventRecord { id, at: self.at, by: self.by, root, version, n, event });
        self
    }

    /// Adds work that is due at a time.
    pub fn task(&mut self, ids: &dyn IdGenerator, due: Timestamp, task: Task) -> TaskId {
        let id = TaskId(ids.uuid());
        self.tasks.push(TaskWrite::Add { id, due, task });
        id
    }

    /// Adds work whose id is known beforehand, so that others can remove it.
    pub fn task_as(&mut self, id: TaskId, due: Timestamp, task: Task) -> &mut Self {
        self.tasks.push(TaskWrite::Add { id, due, task });
        self
    }

    /// Removes a task that is done.
    pub fn done(&mut self, task: TaskId) -> &mut Self {
        self.tasks.push(TaskWrite::Done(task));
        self
    }

    /// Puts a failed task off until `due`, or buries it.
    pub fn failed(&mut self, id: TaskId, due: Option<Timestamp>, error: impl Into<String>) -> &mut Self {
        self.tasks.push(TaskWrite::Failed { id, due, error: error.into() });
        self
    }

    /// The same set under another id: what a retry after a conflict commits.
    pub fn renew(&mut self, ids: &dyn IdGenerator) -> &mut Self {
        self.id = CommitId(ids.uuid());
        self
    }

    /// The same set with other moves of stock: for a store that is broken on purpose.
    #[cfg(feature = "conformance")]
    pub(crate) fn with_stock(mut self, stock: BTreeMap<VariantId, StockDelta>) -> Self {
        self.stock = stock;
        self
    }

    fn touch(&mut self, root: AggregateId) {
        assert!(self.touched.insert(root), "{root:?} is written twice in one set");
    }

    /// The set's id, by which committing is idempotent.
    #[must_use]
    pub const fn id(&self) -> CommitId {
        self.id
    }

    /// When the set was composed.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Who caused it.
    #[must_use]
    pub const fn by(&self) -> ActorRef {
        self.by
    }

    /// The aggregates that the set writes, removes or asserts, sorted.
    pub fn roots(&self) -> impl Iterator<Item = AggregateId> {
        self.touched.iter().copied()
    }

    /// Idempotency keys to claim or answer.
    #[must_use]
    pub fn keys(&self) -> &[KeyWrite] {
        &self.keys
    }

    /// Claims to take or give back, sorted.
    #[must_use]
    pub fn claims(&self) -> impl ExactSizeIterator<Item = (&Claim, ClaimOp)> {
        self.claims.iter().map(|(claim, take)| (claim, *take))
    }

    /// Attempts to count or take back, sorted by key.
    #[must_use]
    pub fn attempts(&self) -> impl ExactSizeIterator<Item = AttemptWrite> {
        self.attempts.values().copied()
    }

    /// Stock to move, sorted by variant.
    #[must_use]
    pub fn stock(&self) -> impl ExactSizeIterator<Item = (VariantId, StockDelta)> {
        self.stock.iter().map(|(variant, delta)| (*variant, *delta))
    }

    /// Ratings to move, sorted by product.
    #[must_use]
    pub fn ratings(&self) -> impl ExactSizeIterator<Item = (ProductId, RatingDelta)> {
        self.ratings.iter().map(|(product, delta)| (*product, *delta))
    }

    /// Guarded writes.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Lines of the stock ledger.
    #[must_use]
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// Events.
    #[must_use]
    pub fn events(&self) -> &[EventRecord] {
        &self.events
    }

    /// Task queue writes.
    #[must_use]
    pub fn tasks(&self) -> &[TaskWrite] {
        &self.tasks
    }
}
