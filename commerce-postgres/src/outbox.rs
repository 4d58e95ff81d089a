//! Claims, idempotency keys, attempts, events and due tasks.

use async_trait::async_trait;
use commerce_core::{
    clock::Timestamp,
    context::ActorRef,
    event::{DomainEvent, EventRecord, LeasedTask, Task},
    id::{EventId, TaskId},
    page::{Cursor, PageSpec, Rows},
    store::{
        AggregateId, AttemptCount, Claim, Drift, IdempotencyRecord, OutboxQueries, StoreError, relations::VERSIONED,
    },
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{
    codec::{from_row, table},
    page::{Direction, List, Sorted, at},
    reads::{PgReads, Reader},
    sql::Sql,
};

table! {
    IdempotencyRow = "commerce_key" by [key] {
        key: [u8; 32],
        fingerprint: [u8; 32],
        subject: Option<Uuid>,
        output: Option<Json<serde_json::Value>>,
        at: i64,
    }
}

impl From<&IdempotencyRecord> for IdempotencyRow {
    fn from(record: &IdempotencyRecord) -> Self {
        Self {
            key: record.key,
            fingerprint: record.fingerprint,
            subject: record.subject,
            output: record.output.clone().map(Json),
            at: record.at.as_micros(),
        }
    }
}

impl From<IdempotencyRow> for IdempotencyRecord {
    fn from(row: IdempotencyRow) -> Self {
        Self {
            key: row.key,
            fingerprint: row.fingerprint,
            subject: row.subject,
            output: row.output.map(|output| output.0),
            at: Timestamp::from_micros(row.at),
        }
    }
}

table! {
    EventRow = "commerce_event" by [root_id, id] {
        root_id: Uuid,
        id: Uuid,
        root_kind: String,
        version: i64,
        n: i64,
        at: i64,
        actor: Json<ActorRef>,
        event: Json<DomainEvent>,
    }
}

impl From<&EventRecord> for EventRow {
    fn from(record: &EventRecord) -> Self {
        Self {
            root_id: record.root.id(),
            id: record.id.0,
            root_kind: record.root.kind().to_owned(),
            version: record.version,
            n: i64::from(record.n),
            at: record.at.as_micros(),
            actor: Json(record.by),
            event: Json(record.event.clone()),
        }
    }
}

table! {
    TaskRow = "commerce_task" by [id] {
        id: Uuid,
        due: i64,
        kind: String,
        body: Json<Task>,
        attempts: i64,
        worker: Option<String>,
        lease_until: i64,
        dead: bool,
        last_error: Option<String>,
    }
}

impl TaskRow {
    pub(crate) fn new(id: TaskId, due: Timestamp, task: &Task) -> Self {
        Self {
            id: id.0,
            due: due.as_micros(),
            kind: task.kind().to_owned(),
            body: Json(task.clone()),
            attempts: 0,
            worker: None,
            lease_until: 0,
            dead: false,
            last_error: None,
        }
    }
}

impl From<TaskRow> for LeasedTask {
    fn from(row: TaskRow) -> Self {
        Self {
            id: TaskId(row.id),
            due: Timestamp::from_micros(row.due),
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            task: row.body.0,
            last_error: row.last_error,
        }
    }
}

impl Sorted for TaskRow {
    fn position(&self) -> Cursor {
        at(self.due, self.id)
    }
}

/// Takes due tasks. Each row is taken only if nobody holds it at that moment: two workers that found the same rows wait for
/// each other there, and the second gets none. `SKIP LOCKED` only keeps them from finding the same ones.
pub(crate) async fn lease(
    primary: &Reader,
    worker: String,
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<LeasedTask>, StoreError> {
    let free = |sql: &mut Sql| {
        sql.push("NOT dead AND due <= ").bind(now.as_micros()).push(" AND lease_until <= ").bind(now.as_micros());
    };
    let take = || {
        let mut sql = Sql::new("UPDATE commerce_task SET lease_until = ");
        sql.bind(until.as_micros()).push(", attempts = attempts + 1, worker = ").bind(worker.clone());
        sql.push(" WHERE ");
        free(&mut sql);
        sql.push(" AND id = ");
        sql
    };
    let find = |sql: &mut Sql| {
        sql.push("SELECT id FROM commerce_task WHERE ");
        free(sql);
        sql.push(" ORDER BY due, id LIMIT ").bind(i64::from(limit));
    };
    let mut rows: Vec<TaskRow> = Vec::new();
    if primary.is_distributed().await? {
        // Rows of several nodes can't be skipped or locked by one statement.
        let mut found = Sql::default();
        find(&mut found);
        for (id,) in primary.all::<(Uuid,)>(&found).await? {
            match primary.optional(take().bind(id).push(" RETURNING *").writes()).await {
                Ok(row) => rows.extend(row),
                // What was taken is worked on; whoever asks next hears of it.
                Err(_) if !rows.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
    } else {
        let mut sql = take();
        sql.push("ANY (ARRAY(");
        find(&mut sql);
        sql.push(" FOR UPDATE SKIP LOCKED)) RETURNING *").writes();
        rows = primary.all(&sql).await?;
    }
    rows.sort_by_key(|row| (row.due, row.id));
    Ok(rows.into_iter().map(Into::into).collect())
}

struct DriftRow {
    counter: String,
    id: Uuid,
    counted: i64,
    ledger: i64,
}

from_row!(DriftRow { counter, id, counted, ledger });

/// Without what comes of the aggregates' versions, and the end.
const VERIFY: &str = "\
    WITH stock_ledger AS ( \
        SELECT variant_id, sum(delta)::bigint AS on_hand FROM commerce_movement GROUP BY variant_id), \
    promised AS ( \
        SELECT l.variant_id, sum(l.quantity - l.cancelled)::bigint AS reserved \
        FROM commerce_order_line l JOIN commerce_order o ON o.id = l.order_id WHERE o.status = 'pending' GROUP BY l.variant_id), \
    rated AS ( \
        SELECT product_id, sum(rating)::bigint AS sum, count(*) AS count FROM commerce_review WHERE status = 'published' \
        GROUP BY product_id), \
    newest AS MATERIALIZED ( \
        SELECT root_kind, root_id, max(version)::bigint AS version FROM commerce_event GROUP BY root_kind, root_id), \
    compared AS ( \
        SELECT 'stock.on_hand' AS counter, variant_id AS id, coalesce(s.on_hand, 0) AS counted, coalesce(l.on_hand, 0) AS ledger \
        FROM commerce_stock s LEFT JOIN stock_ledger l USING (variant_id) \
        UNION ALL \
        SELECT 'stock.reserved', variant_id, coalesce(s.reserved, 0), coalesce(p.reserved, 0) \
        FROM commerce_stock s LEFT JOIN promised p USING (variant_id) \
        UNION ALL \
        SELECT 'rating.sum', product_id, coalesce(r.sum, 0), coalesce(v.sum, 0) \
        FROM commerce_rating r LEFT JOIN rated v USING (product_id) \
        UNION ALL \
        SELECT 'rating.count', product_id, coalesce(r.count, 0), coalesce(v.count, 0) \
        FROM commerce_rating r LEFT JOIN rated v USING (product_id)";

#[async_trait]
impl OutboxQueries for PgReads {
    async fn load_claim(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError> {
        let mut sql = Sql::new("SELECT owner FROM commerce_claim WHERE kind = ");
        sql.bind(claim.kind.as_str()).push(" AND key = ").bind(claim.key.as_str());
        Ok(self.reader.optional::<(Uuid,)>(&sql).await?.map(|(owner,)| owner))
    }

    async fn load_key(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRecord>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_key WHERE key = ");
        Ok(self.reader.optional::<IdempotencyRow>(sql.bind(key.as_slice())).await?.map(Into::into))
    }

    async fn load_attempts(&self, key: &[u8; 32]) -> Result<Option<AttemptCount>, StoreError> {
        let mut sql = Sql::new("SELECT since, attempts FROM commerce_attempt WHERE key = ");
        let found = self.reader.optional::<(i64, i64)>(sql.bind(key.as_slice())).await?;
        Ok(found.map(|(since, count)| AttemptCount {
            since: Timestamp::from_micros(since),
            count: u32::try_from(count).unwrap_or(u32::MAX),
        }))
    }

    async fn list_events(&self, root: AggregateId) -> Result<Vec<EventRecord>, StoreError> {
        let mut sql = Sql::new("SELECT * FROM commerce_event WHERE root_id = ");
        sql.bind(root.id()).push(" AND root_kind = ").bind(root.kind()).push(" ORDER BY version, n, id");
        let rows: Vec<EventRow> = self.reader.all(&sql).await?;
        let record = |row: EventRow| EventRecord {
            id: EventId(row.id),
            at: Timestamp::from_micros(row.at),
            by: row.actor.0,
            root,
            version: row.version,
            n: u32::try_from(row.n).unwrap_or(u32::MAX),
            event: row.event.0,
        };
        Ok(rows.into_iter().map(record).collect())
    }

    async fn list_dead_tasks(&self, spec: &PageSpec) -> Result<Rows<LeasedTask>, StoreError> {
        let list = List { select: "SELECT *", key: "due", id: "id", direction: Direction::Falling };
        self.reader.list::<TaskRow, LeasedTask>(list, &Sql::new(" FROM commerce_task WHERE dead"), spec).await
    }

    async fn task_backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let sql = Sql::new("SELECT count(*), min(due) FROM commerce_task WHERE NOT dead");
        let (count, oldest): (i64, Option<i64>) = self.reader.one(&sql).await?;
        Ok((u64::try_from(count).unwrap_or(0), oldest.map(Timestamp::from_micros)))
    }

    async fn verify(&self) -> Result<Vec<Drift>, StoreError> {
        let mut sql = Sql::new(VERIFY);
        for kind in VERSIONED {
            sql.push(&format!(
                " UNION ALL SELECT '{kind}.version', a.id, a.version, n.version FROM commerce_{kind} a \
                 JOIN newest n ON n.root_id = a.id WHERE n.root_kind = '{kind}' AND a.version < n.version"
            ));
        }
        sql.push(") SELECT * FROM compared WHERE counted <> ledger ORDER BY counter COLLATE \"C\", id");
        let rows: Vec<DriftRow> = self.reader.all(sql.unhurried()).await?;
        let drift = |DriftRow { counter, id, counted, ledger }| Drift { counter, id, counted, ledger };
        Ok(rows.into_iter().map(drift).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let (_,): (i32,) = self.reader.one(&Sql::new("SELECT 1")).await?;
        Ok(())
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = Sql::new("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
        let (now,): (i64,) = self.reader.one(&sql).await?;
        Ok(Some(Timestamp::from_micros(now)))
    }
}
