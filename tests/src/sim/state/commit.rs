//! The write door: guards, and what they let through.

use commerce_core::{
    event::EventRecord,
    inventory::MovementRecord,
    order::{Order, ReturnStatus},
    payment::Payment,
    store::{
        Aggregate, AggregateId, AggregateWrite, AttemptCount, AttemptWrite, Change, ChangeSet, ClaimOp, Conflict,
        ExpectedVersion, KeyWrite, TaskWrite,
    },
};

use super::{Guard, Queued, SharedState, Stock};
use crate::sim::Coverage;

macro_rules! saves {
    ($change:expr, $save:ident => $then:expr, $else:expr) => {
        match $change {
            Change::User($save) => $then,
            Change::Address($save) => $then,
            Change::Session($save) => $then,
            Change::MailToken($save) => $then,
            Change::Product($save) => $then,
            Change::Categories($save) => $then,
            Change::Cart($save) => $then,
            Change::Order($save) => $then,
            Change::Review($save) => $then,
            Change::Alert($save) => $then,
            _ => $else,
        }
    };
}

fn head<T: Aggregate>(save: &AggregateWrite<T>) -> (AggregateId, ExpectedVersion) {
    (save.after().root(), save.expected_version())
}

impl SharedState {
    fn is(&self, root: AggregateId, was: ExpectedVersion) -> bool {
        match (self.versions.get(&root), was) {
            (None, ExpectedVersion::Absent) => true,
            (Some(version), ExpectedVersion::At(at)) => *version == at,
            _ => false,
        }
    }

    pub(in crate::sim) fn failed_guards(&self, set: &ChangeSet) -> Vec<Conflict> {
        let taken = |write: &&KeyWrite| matches!(write, KeyWrite::Claim(r) if self.keys.contains_key(&r.key));
        if self.has(Guard::Key) && set.keys().iter().any(|write| taken(&write)) {
            return vec![Conflict::KeyTaken];
        }
        let held =
            set.claims().filter(|(claim, take)| matches!(take, ClaimOp::Acquire(_)) && self.claims.contains_key(claim));
        let held: Vec<_> = held.map(|(claim, _)| Conflict::Taken(claim.clone())).collect();
        if self.has(Guard::Claims) && !held.is_empty() {
            return held;
        }
        let stale = set.changes().iter().filter_map(|change| {
            let (root, was) = saves!(change, save => head(save), match change {
                Change::Remove(root, version) | Change::RequireVersion(root, version) => (*root, ExpectedVersion::At(*version)),
                Change::StockAlerted { variant, from, .. } => {
                    let alerted = self.stock.get(variant).map(|stock| stock.alerted);
                    return (alerted != Some(*from)).then_some(Conflict::Stale(AggregateId::StockAlert(*variant)));
                }
                _ => return None,
            });
            (!self.is(root, was)).then_some(Conflict::Stale(root))
        });
        let stale: Vec<_> = stale.collect();
        if self.has(Guard::Versions) && !stale.is_empty() {
            return stale;
        }
        let moved = set.stock().filter_map(|(variant, delta)| {
            let on_hand = self.stock.get(&variant)?.on_hand;
            delta.expect_on_hand.is_some_and(|expected| expected != on_hand).then_some(Conflict::Moved(variant))
        });
        let moved: Vec<_> = moved.collect();
        if self.has(Guard::Counts) && !moved.is_empty() {
            return moved;
        }
        let short = set.stock().filter_map(|(variant, delta)| {
            let stock = self.stock.get(&variant)?;
            let (on_hand, reserved) = (stock.on_hand + delta.on_hand, stock.reserved + delta.reserved);
            let available = stock.on_hand - stock.reserved;
            (on_hand < reserved || reserved < 0).then_some(Conflict::Short { variant, available })
        });
        let full = set.attempts().filter_map(|write| match write {
            AttemptWrite::Count(attempt) => {
                let counted = self.attempts.get(&attempt.key)?;
                counted.leaves_no_room_for(&attempt).then_some(Conflict::LimitReached(attempt.key))
            }
            AttemptWrite::TakeBack(_) => None,
        });
        if self.has(Guard::Floors) { short.chain(full).collect() } else { Vec::new() }
    }

    /// What a database's constraints would refuse.
    pub(in crate::sim) fn check(&self, set: &ChangeSet) -> Result<(), String> {
        for change in set.changes() {
            let Change::Order(save) = change else { continue };
            for payment in &save.after().payments {
                let gone = payment.refunded + payment.refund_pending;
                if !(0 <= gone && gone <= payment.captured && payment.captured <= payment.amount.minor) {
                    return Err(format!("the money of {payment:?} doesn't add up"));
                }
            }
            for line in &save.after().lines {
                let units = line.fulfilled + line.cancelled + line.restocked;
                let written_off = line.written_off <= line.cancelled + line.returned;
                if units > line.quantity || line.released() > line.quantity || !written_off {
                    return Err(format!("the units of {line:?} don't add up"));
                }
            }
        }
        for event in set.events() {
            let same =
                |other: &EventRecord| (other.root, other.version, other.n) == (event.root, event.version, event.n);
            // Stock moves without a version; the time takes its place, and may stand still.
            let versioned = !matches!(event.root, AggregateId::StockAlert(_));
            if versioned && self.has(Guard::Versions) && self.has(Guard::SetId) && self.events.iter().any(same) {
                return Err(format!("two events have the place of {event:?}"));
            }
        }
        for write in set.tasks() {
            if let TaskWrite::Add { id, task, .. } = write
                && self.has(Guard::SetId)
                && self.tasks.contains_key(id)
            {
                return Err(format!("two tasks have the id of {task:?}"));
            }
        }
        Ok(())
    }

    pub(in crate::sim) fn apply(&mut self, set: &ChangeSet, coverage: &Coverage) {
        self.commits.insert(set.id());
        for write in set.keys() {
            match write {
                KeyWrite::Claim(record) => {
                    self.keys.insert(record.key, record.clone());
                }
                KeyWrite::Resolve { key, output } => {
                    if let Some(record) = self.keys.get_mut(key) {
                        record.output = Some(output.clone());
                    }
                }
                KeyWrite::Forget(key) => {
                    self.keys.remove(key);
                }
            }
        }
        for (claim, take) in set.claims() {
            match take {
                ClaimOp::Acquire(owner) => {
                    self.claims.insert(claim.clone(), owner);
                }
                ClaimOp::Release(owner) => {
                    if self.claims.get(claim) == Some(&owner) {
                        self.claims.remove(claim);
                    }
                }
            }
        }
        for write in set.attempts() {
            self.count(write);
        }
        for change in set.changes() {
            self.change(change, coverage);
        }
        self.move_stock(set);
        self.events.extend(set.events().iter().cloned());
        for write in set.tasks() {
            self.queue(write);
        }
    }

    fn count(&mut self, write: AttemptWrite) {
        match write {
            AttemptWrite::Count(attempt) => {
                let counted =
                    self.attempts.entry(attempt.key).or_insert(AttemptCount { since: attempt.since, count: 0 });
                if counted.since < attempt.since {
                    *counted = AttemptCount { since: attempt.since, count: 0 };
                }
                counted.count += 1;
            }
            AttemptWrite::TakeBack(attempt) => {
                let counted = self.attempts.get_mut(&attempt.key).filter(|counted| counted.since == attempt.since);
                if let Some(counted) = counted {
                    counted.count = counted.count.saturating_sub(1);
                }
            }
        }
    }

    fn change(&mut self, change: &Change, coverage: &Coverage) {
        if let Change::Order(save) = change {
            note_moves(save, coverage);
        }
        let saved = saves!(change, save => Some((save.after().root(), save.after().version())), None);
        if let Some((root, version)) = saved {
            self.versions.insert(root, version);
            self.heads.insert(root, change.clone());
            return;
        }
        match change {
            Change::Remove(root, _) => {
                self.versions.remove(root);
                self.heads.remove(root);
            }
            Change::OpenStock(opened) => {
                let threshold = opened.low_stock_threshold;
                let stock = Stock { opened: *opened, threshold, on_hand: 0, reserved: 0, crossings: 0, alerted: 0 };
                self.stock.insert(opened.variant_id, stock);
            }
            Change::StockThreshold(variant, threshold) => {
                if let Some(stock) = self.stock.get_mut(variant) {
                    stock.threshold = *threshold;
                }
            }
            Change::StockAlerted { variant, to, .. } => {
                if let Some(stock) = self.stock.get_mut(variant) {
                    stock.alerted = *to;
                }
            }
            _ => {}
        }
    }

    fn move_stock(&mut self, set: &ChangeSet) {
        for (variant, delta) in set.stock() {
            let Some(stock) = self.stock.get_mut(&variant) else { continue };
            let was_low = stock.on_hand - stock.reserved <= stock.threshold;
            stock.on_hand += delta.on_hand;
            stock.reserved += delta.reserved;
            let is_low = stock.on_hand - stock.reserved <= stock.threshold;
            stock.crossings += i64::from(is_low && !was_low);
        }
        for movement in set.movements() {
            let on_hand_after = self.stock.get(&movement.variant).map_or(0, |stock| stock.on_hand);
            self.movements.push(MovementRecord {
                variant_id: movement.variant,
                at: set.at(),
                kind: movement.kind,
                delta: movement.delta,
                on_hand_after,
                order_id: movement.order,
                actor: set.by(),
                reason: movement.reason.clone(),
            });
        }
    }

    fn queue(&mut self, write: &TaskWrite) {
        match write {
            TaskWrite::Add { id, due, task } => {
                let (due, task) = (*due, task.clone());
                let queued = Queued { due, task, attempts: 0, lease_until: None, last_error: None, dead: false };
                self.tasks.insert(*id, queued);
            }
            TaskWrite::Done(id) => {
                self.tasks.remove(id);
            }
            TaskWrite::Failed { id, due, error } => {
                if let Some(queued) = self.tasks.get_mut(id) {
                    queued.dead = due.is_none();
                    queued.due = due.unwrap_or(queued.due);
                    queued.lease_until = None;
                    queued.last_error = Some(error.clone());
                }
            }
        }
    }
}

fn note_moves(save: &AggregateWrite<Order>, coverage: &Coverage) {
    let (Some(before), after) = (save.before(), save.after()) else { return };
    let note = |kind: &str, from: &str, to: &str| {
        if from != to {
            coverage.hit(format!("{kind}: {from} → {to}"));
        }
    };
    note("order", before.status.as_str(), after.status.as_str());
    note("goods", before.fulfilment_status.as_str(), after.fulfilment_status.as_str());
    for (was, is) in before.payments.iter().zip(&after.payments) {
        note("payment", was.status.as_str(), is.status.as_str());
    }
    for (was, is) in before.refunds.iter().zip(&after.refunds) {
        note("refund", was.status.as_str(), is.status.as_str());
    }
    for (was, is) in before.fulfilments.iter().zip(&after.fulfilments) {
        note("parcel", was.status.as_str(), is.status.as_str());
    }
    for (was, is) in before.returns.iter().zip(&after.returns) {
        note("return", was.status.as_str(), is.status.as_str());
        let is_taken = after.payments.iter().any(|payment| payment.captured > 0);
        if was.status != is.status && is.status == ReturnStatus::Received && !is_taken {
            coverage.hit("returned before the money was taken");
        }
    }
    let rest =
        |(was, is): (&Payment, &Payment)| was.captured == 0 && 0 < is.captured && is.captured < after.owed().minor;
    if before.payments.iter().zip(&after.payments).any(rest) {
        coverage.hit("a part was taken of what is owed");
    }
}
