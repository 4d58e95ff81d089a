//! Commit ids, idempotency keys, claims, attempts, events and tasks.

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    context::ActorRef,
    event::{DomainEvent, EventRecord, LeasedTask},
    id::EventId,
    page::{PageSpec, Rows, SortKey},
    store::{
        AggregateId, AttemptCount, AttemptWrite, ChangeSet, Claim, ClaimOp, Drift, IdempotencyRecord, KeyWrite,
        OutboxQueries, StoreError, TaskWrite, relations::VERSIONED,
    },
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    SqliteStore,
    batch::Batch,
    codec::{self, Row, json},
    list::{Keyset, listed},
    row::{Cell, Hash, Id, Int, Json, MaybeId, Text, Time, next, read_only, row},
    sql::Sql,
};

pub(crate) fn commit_id(batch: &mut Batch, set: &ChangeSet) {
    batch.guarded(1, "INSERT INTO commerce_commit (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING");
    batch.bind(set.id().0).bind(set.at().as_micros());
}

pub(crate) fn keys(batch: &mut Batch, set: &ChangeSet) {
    for write in set.keys() {
        match write {
            KeyWrite::Claim(record) => {
                batch.guards.keys.push(record.key);
                batch.guarded(
                    1,
                    "INSERT INTO commerce_key (key, fingerprint, subject, output, at) VALUES (?, ?, ?, ?, ?) \
                     ON CONFLICT DO NOTHING",
                );
                batch.bind(record.key.to_vec()).bind(record.fingerprint.to_vec()).bind(record.subject);
                batch.bind(record.output.as_ref().map(json)).bind(record.at.as_micros());
            }
            KeyWrite::Resolve { key, output } => {
                batch.statement("UPDATE commerce_key SET output = ? WHERE key = ?");
                batch.bind(json(output)).bind(key.to_vec());
            }
            KeyWrite::Forget(key) => {
                batch.statement("DELETE FROM commerce_key WHERE key = ?");
                batch.bind(key.to_vec());
            }
        }
    }
}

pub(crate) fn claims(batch: &mut Batch, set: &ChangeSet) {
    for (claim, take) in set.claims() {
        if let ClaimOp::Release(owner) = take {
            batch.statement("DELETE FROM commerce_claim WHERE kind = ? AND key = ? AND owner = ?");
            batch.bind(claim.kind.as_str()).bind(claim.key.clone()).bind(owner);
        }
    }
    let holds: Vec<_> = set
        .claims()
        .filter_map(|(claim, take)| match take {
            ClaimOp::Acquire(owner) => Some((claim, owner)),
            ClaimOp::Release(_) => None,
        })
        .collect();
    if holds.is_empty() {
        return;
    }
    batch.guarded(holds.len(), "INSERT INTO commerce_claim (kind, key, owner) VALUES ");
    batch.rows(holds.len(), 3).push(" ON CONFLICT DO NOTHING");
    for (claim, owner) in holds {
        batch.bind(claim.kind.as_str()).bind(claim.key.clone()).bind(owner);
        batch.guards.holds.push(claim.clone());
    }
}

pub(crate) fn attempts(batch: &mut Batch, set: &ChangeSet) {
    for write in set.attempts() {
        match write {
            AttemptWrite::Count(attempt) => {
                batch.guards.attempts.push(attempt);
                batch.guarded(1, COUNT).bind(attempt.key.to_vec()).bind(attempt.since.as_micros());
                batch.bind(i64::from(attempt.limit));
            }
            AttemptWrite::TakeBack(attempt) => {
                batch.statement(
                    "UPDATE commerce_attempt SET attempts = attempts - 1 WHERE key = ? AND since = ? AND attempts > 0",
                );
                batch.bind(attempt.key.to_vec()).bind(attempt.since.as_micros());
            }
        }
    }
}

// Writes no row if the limit is reached.
const COUNT: &str = "INSERT INTO commerce_attempt (key, since, attempts, most) VALUES (?, ?, 1, ?) \
    ON CONFLICT (key) DO UPDATE SET attempts = iif(since < excluded.since, 1, attempts + 1), \
        since = max(since, excluded.since), most = excluded.most \
    WHERE since < excluded.since OR attempts < excluded.most";

pub(crate) fn events(batch: &mut Batch, set: &ChangeSet) {
    let events = set.events();
    if events.is_empty() {
        return;
    }
    batch.statement("INSERT INTO commerce_event (root_id, root_kind, version, n, id, at, actor, event) VALUES ");
    batch.rows(events.len(), 8);
    for record in events {
        batch.bind(record.root.id()).bind(record.root.kind()).bind(record.version).bind(i64::from(record.n));
        batch.bind(record.id.0).bind(record.at.as_micros()).bind(json(&record.by)).bind(json(&record.event));
    }
}

pub(crate) fn tasks(batch: &mut Batch, set: &ChangeSet) {
    let added = || {
        set.tasks().iter().filter_map(|write| match write {
            TaskWrite::Add { id, due, task } => Some((id, due, task)),
            TaskWrite::Done(_) | TaskWrite::Failed { .. } => None,
        })
    };
    let count = added().count();
    if count > 0 {
        batch.statement("INSERT INTO commerce_task (id, due, kind, body) VALUES ").rows(count, 4);
        for (id, due, task) in added() {
            batch.bind(id.0).bind(due.as_micros()).bind(task.kind()).bind(json(task));
        }
    }
    for write in set.tasks() {
        match write {
            TaskWrite::Add { .. } => {}
            TaskWrite::Done(id) => {
                batch.statement("DELETE FROM commerce_task WHERE id = ?").bind(id.0);
            }
            TaskWrite::Failed { id, due: Some(due), error } => {
                batch.statement(
                    "UPDATE commerce_task SET due = ?, last_error = ?, lease_until = NULL, worker = NULL WHERE id = ?",
                );
                batch.bind(due.as_micros()).bind(error.clone()).bind(id.0);
            }
            TaskWrite::Failed { id, due: None, error } => {
                batch.statement(
                    "UPDATE commerce_task SET dead = 1, last_error = ?, lease_until = NULL, worker = NULL WHERE id = ?",
                );
                batch.bind(error.clone()).bind(id.0);
            }
        }
    }
}

pub(crate) fn purge(batch: &mut Batch, before: Timestamp) {
    let before = before.as_micros();
    batch.statement("DELETE FROM commerce_commit WHERE at < ?").bind(before);
    batch.statement("DELETE FROM commerce_key WHERE at < ?").bind(before);
    batch.statement("DELETE FROM commerce_attempt WHERE since < ?").bind(before);
    batch.statement("DELETE FROM commerce_session WHERE ended_at < ? OR expires_at < ?").bind(before).bind(before);
    batch.statement("DELETE FROM commerce_mail_token WHERE used_at < ? OR expires_at < ?").bind(before).bind(before);
}

row! {
    fn key() -> IdempotencyRecord of "" {
        key: Hash,
        fingerprint: Hash,
        subject: MaybeId,
        output: Output,
        at: Time,
    }
}

/// A JSON document in a list of its own, so that an answer of `null` isn't taken for none.
struct Output;

impl Cell for Output {
    fn sql(column: &str) -> String {
        format!("iif({column} IS NULL, json('[]'), json_array(json({column})))")
    }
}

read_only!(Output: Option<Value>, read row => next::<Vec<Value>, A>(row)?.pop());

/// An event without its root, which is what was asked by.
struct EventRow {
    id: EventId,
    at: Timestamp,
    actor: ActorRef,
    version: i64,
    n: u32,
    event: DomainEvent,
}

row! {
    fn event() -> EventRow of "" {
        id: Id,
        at: Time,
        actor: Json,
        version: Int,
        n: Int,
        event: Json,
    }
}

row! {
    fn task() -> LeasedTask of "" {
        id: Id,
        due: Time,
        attempts: Int,
        task: Json = "json(body)",
        last_error: Text,
    }
}

const LEASABLE: &str = "dead = 0 AND due <= ? AND (lease_until IS NULL OR lease_until <= ?)";

impl SqliteStore {
    pub(crate) async fn lease_tasks(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        // Most polls find nothing: a reader tells without taking the writer's time.
        let mut any = Sql::new("SELECT EXISTS (SELECT 1 FROM commerce_task WHERE ");
        any.push(LEASABLE).push(")").bind(now.as_micros()).bind(now.as_micros());
        if self.number(any).await? == 0 {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("UPDATE commerce_task SET attempts = attempts + 1, lease_until = ?, worker = ? ");
        sql.bind(until.as_micros()).bind(worker);
        sql.push("WHERE id IN (SELECT id FROM commerce_task WHERE ").push(LEASABLE).push(" ORDER BY due, id LIMIT ?) ");
        sql.push("RETURNING ").push(&task()).bind(now.as_micros()).bind(now.as_micros()).bind(i64::from(limit));
        let mut tasks = Vec::new();
        for row in self.write_returning(sql).await? {
            tasks.push(codec::decode::<Row<LeasedTask>>(&row)?.0);
        }
        tasks.sort_by_key(|task| (task.due, task.id));
        Ok(tasks)
    }
}

#[async_trait]
impl OutboxQueries for SqliteStore {
    async fn load_claim(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError> {
        let mut sql = Sql::new("SELECT json_quote(hex(owner)) FROM commerce_claim WHERE kind = ? AND key = ?");
        sql.bind(claim.kind.as_str()).bind(claim.key.clone());
        self.optional(sql).await
    }

    async fn load_key(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRecord>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&self::key()).push(" FROM commerce_key WHERE key = ?").bind(key.to_vec());
        self.entity(sql).await
    }

    async fn load_attempts(&self, key: &[u8; 32]) -> Result<Option<AttemptCount>, StoreError> {
        let mut sql = Sql::new("SELECT json_array(since, attempts) FROM commerce_attempt WHERE key = ?");
        sql.bind(key.to_vec());
        let found: Option<(i64, u32)> = self.optional(sql).await?;
        Ok(found.map(|(since, count)| AttemptCount { since: Timestamp::from_micros(since), count }))
    }

    async fn list_events(&self, root: AggregateId) -> Result<Vec<EventRecord>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&event()).push(" FROM commerce_event WHERE root_id = ? AND root_kind = ? ORDER BY version, n, id");
        sql.bind(root.id()).bind(root.kind());
        let rows = self.entities::<EventRow>(sql).await?;
        let with_root =
            |EventRow { id, at, actor, version, n, event }| EventRecord { id, at, by: actor, root, version, n, event };
        Ok(rows.into_iter().map(with_root).collect())
    }

    async fn list_dead_tasks(&self, spec: &PageSpec) -> Result<Rows<LeasedTask>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_task WHERE dead = 1");
        };
        let rows = self.page::<LeasedTask>(&task(), filter, &Keyset::falling("due", "id"), spec).await?;
        Ok(listed(rows, spec, |task| (SortKey::Int(task.due.as_micros()), task.id.0)))
    }

    async fn task_backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let sql = Sql::new("SELECT json_array(count(*), min(due)) FROM commerce_task WHERE dead = 0");
        let (count, oldest): (u64, Option<i64>) = self.optional(sql).await?.unwrap_or_default();
        Ok((count, oldest.map(Timestamp::from_micros)))
    }

    async fn verify(&self) -> Result<Vec<Drift>, StoreError> {
        let mut drifts = Vec::new();
        for check in [ON_HAND, RESERVED, RATING] {
            for (counter, id, counted, ledger) in self.many::<(String, Uuid, i64, i64)>(Sql::new(check)).await? {
                drifts.push(Drift { counter, id, counted, ledger });
            }
        }
        for kind in VERSIONED {
            let mut newer = Sql::new(&format!(
                "SELECT json_array('{kind}.version', hex(a.id), a.version, e.version) FROM commerce_{kind} a \
                 JOIN (SELECT root_id, max(version) AS version FROM commerce_event WHERE root_kind = ? GROUP BY root_id) e \
                 ON e.root_id = a.id WHERE a.version < e.version ORDER BY a.id"
            ));
            newer.bind(*kind);
            for (counter, id, counted, ledger) in self.many::<(String, Uuid, i64, i64)>(newer).await? {
                drifts.push(Drift { counter, id, counted, ledger });
            }
        }
        Ok(drifts)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.look_at_file().await
    }
}

const ON_HAND: &str = "SELECT json_array('stock.on_hand', hex(s.variant_id), s.on_hand, coalesce(l.sum, 0)) \
    FROM commerce_stock s LEFT JOIN \
    (SELECT variant_id, sum(delta) AS sum FROM commerce_movement GROUP BY variant_id) l ON l.variant_id = s.variant_id \
    WHERE s.on_hand <> coalesce(l.sum, 0)";

const RESERVED: &str = "SELECT json_array('stock.reserved', hex(s.variant_id), s.reserved, coalesce(l.sum, 0)) \
    FROM commerce_stock s LEFT JOIN \
    (SELECT l.variant_id, sum(l.quantity - l.cancelled) AS sum FROM commerce_order o \
        JOIN commerce_order_line l ON l.order_id = o.id WHERE o.status = 'pending' GROUP BY l.variant_id) l \
    ON l.variant_id = s.variant_id WHERE s.reserved <> coalesce(l.sum, 0)";

const RATING: &str = "WITH ledger AS (SELECT p.id, p.rating_sum, p.rating_count, coalesce(r.sum, 0) AS sum, \
    coalesce(r.count, 0) AS count FROM commerce_product p LEFT JOIN \
    (SELECT product_id, sum(rating) AS sum, count(*) AS count FROM commerce_review WHERE status = 'published' \
        GROUP BY product_id) r ON r.product_id = p.id) \
    SELECT json_array('rating.sum', hex(id), rating_sum, sum) FROM ledger WHERE rating_sum <> sum \
    UNION ALL SELECT json_array('rating.count', hex(id), rating_count, count) FROM ledger WHERE rating_count <> count";
