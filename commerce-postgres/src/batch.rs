//! Sets that wait at the same time and are written together: one transaction, one statement, one COMMIT.
//!
//! Those of a group touch different rows, but for stock whose numbers they only move: there, what they do adds up, so that
//! buyers of the same product don't wait for each other's lock. And they write to the same tables, so that there is one
//! prepared statement for each kind of set, not one for each mixture.

use std::collections::BTreeMap;

use commerce_core::{
    id::{CommitId, EventId, ProductId, TaskId, VariantId},
    store::{AggregateId, AttemptWrite, Change, ChangeSet, Claim, KeyWrite, TaskWrite},
};

use crate::{
    inventory::{LedgerLine, StockMoves},
    statement::{GuardFailure, Statement},
};

/// Something that a set writes, or demands to be as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touch {
    Set(CommitId),
    Key([u8; 32]),
    Claim(Claim),
    Attempt([u8; 32]),
    AggregateId(AggregateId),
    Rating(ProductId),
    Stock(VariantId),
    Event(EventId),
    Task(TaskId),
}

/// With whom a set may share what it touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// With nobody.
    No,
    /// With others that move its numbers.
    Moved,
}

/// All that a set touches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched(BTreeMap<Touch, Share>);

impl Touched {
    /// Whether the two sets must not be written together.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        let both = self.0.iter().filter_map(|(touch, share)| Some((*share, *other.0.get(touch)?)));
        both.into_iter().any(|shares| shares != (Share::Moved, Share::Moved))
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(touch, share)| (touch.clone(), *share)));
    }

    fn by(set: &ChangeSet, stock: &StockMoves) -> Self {
        let keys = set.keys().iter().map(|write| match write {
            KeyWrite::Claim(record) => Touch::Key(record.key),
            KeyWrite::Resolve { key, .. } | KeyWrite::Forget(key) => Touch::Key(*key),
        });
        let tasks = set.tasks().iter().map(|write| match write {
            TaskWrite::Add { id, .. } | TaskWrite::Done(id) | TaskWrite::Failed { id, .. } => Touch::Task(*id),
        });
        let alone = std::iter::once(Touch::Set(set.id()))
            .chain(keys)
            .chain(set.claims().map(|(claim, _)| Touch::Claim(claim.clone())))
            .chain(set.attempts().map(|write| match write {
                AttemptWrite::Count(attempt) | AttemptWrite::TakeBack(attempt) => Touch::Attempt(attempt.key),
            }))
            .chain(set.roots().map(Touch::AggregateId))
            .chain(set.ratings().map(|(product, _)| Touch::Rating(product)))
            .chain(set.events().iter().map(|event| Touch::Event(event.id)))
            .chain(tasks);
        let share = |plain| if plain { Share::Moved } else { Share::No };
        let stock = stock.touched().map(|(variant, plain)| (Touch::Stock(variant), share(plain)));
        Self(alone.map(|touch| (touch, Share::No)).chain(stock).collect())
    }
}

/// What a set, or a group of them, does, before its stock is added up.
#[derive(Clone, Debug)]
pub(crate) struct WriteBatch {
    plan: Statement,
    stock: StockMoves,
    ledger: Vec<LedgerLine>,
    touched: Touched,
    alone: bool,
}

impl WriteBatch {
    pub(crate) fn new(set: &ChangeSet, plan: Statement, stock: StockMoves) -> Self {
        let touched = Touched::by(set, &stock);
        // What is purged may be any row.
        let alone = plan.nonsense().is_some() || set.changes().iter().any(|change| matches!(change, Change::Purge(_)));
        Self { plan, stock, ledger: LedgerLine::all(set), touched, alone }
    }

    pub(crate) const fn touched(&self) -> &Touched {
        &self.touched
    }

    /// Whether one statement can write both sets.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        !self.alone
            && !other.alone
            && self.stock.is_like(&other.stock)
            && self.ledger.is_empty() == other.ledger.is_empty()
            && self.plan.is_like(&other.plan)
    }

    /// What the sets of a group do, which are alike and don't clash, as SQL.
    pub(crate) fn plan<'a>(mut group: impl Iterator<Item = &'a Self>) -> Statement {
        let Some(first) = group.next() else { return Statement::default() };
        let (mut plan, mut stock, mut ledger) = (first.plan.clone(), first.stock.clone(), first.ledger.clone());
        for other in group {
            plan.join(&other.plan);
            stock.join(&other.stock);
            ledger.extend_from_slice(&other.ledger);
        }
        stock.write_plan(&mut plan);
        LedgerLine::write_plan(&ledger, &mut plan);
        plan
    }

    /// Whether a failed guard may be this set's.
    pub(crate) fn may_fail(&self, failure: &GuardFailure) -> bool {
        let touch = match failure {
            GuardFailure::Applied(id) => Touch::Set(*id),
            GuardFailure::Key(key) => Touch::Key(*key),
            GuardFailure::Claim(claim) => Touch::Claim(claim.clone()),
            GuardFailure::Limit(key) => Touch::Attempt(*key),
            GuardFailure::Stale(root) => Touch::AggregateId(*root),
            GuardFailure::Stock { variant, .. } => Touch::Stock(*variant),
            GuardFailure::Bug(_) => return true,
        };
        self.touched.0.contains_key(&touch)
    }

    /// What one set does, as SQL.
    pub(crate) fn into_plan(self) -> Statement {
        let mut plan = self.plan;
        self.stock.write_plan(&mut plan);
        LedgerLine::write_plan(&self.ledger, &mut plan);
        plan
    }
}
