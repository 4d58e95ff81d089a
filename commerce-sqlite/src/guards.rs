//! Which guard of a set failed: asked only after one has, in the transaction that found it.

use commerce_core::{
    id::{CommitId, VariantId},
    store::{AggregateId, Attempt, Claim, Conflict, ExpectedVersion, StockDelta},
};
use sqlx::{SqliteConnection, query_as, query_scalar};
use uuid::Uuid;

use crate::{sql::Sql, table::table};

/// What must hold for the set to apply: enough to find out which guard failed.
pub(crate) struct Guards {
    pub(crate) id: CommitId,
    pub(crate) keys: Vec<[u8; 32]>,
    pub(crate) holds: Vec<Claim>,
    pub(crate) heads: Vec<(AggregateId, ExpectedVersion)>,
    pub(crate) opened: Vec<VariantId>,
    pub(crate) stock: Vec<(VariantId, StockDelta)>,
    pub(crate) attempts: Vec<Attempt>,
}

impl Guards {
    pub(crate) const fn new(id: CommitId) -> Self {
        Self {
            id,
            keys: Vec::new(),
            holds: Vec::new(),
            heads: Vec::new(),
            opened: Vec::new(),
            stock: Vec::new(),
            attempts: Vec::new(),
        }
    }
}

pub(crate) enum GuardOutcome {
    /// The set was applied by an earlier call.
    Before,
    /// All failures of the strongest class.
    Conflict(Vec<Conflict>),
    /// No guard failed.
    Clean,
}

pub(crate) async fn failed_guards(conn: &mut SqliteConnection, guards: &Guards) -> Result<GuardOutcome, sqlx::Error> {
    let before: Option<i64> = query_scalar("SELECT at FROM commerce_commit WHERE id = ?")
        .bind(guards.id.0)
        .fetch_optional(&mut *conn)
        .await?;
    if before.is_some() {
        return Ok(GuardOutcome::Before);
    }
    let mut failed = keys(conn, &guards.keys).await?;
    if failed.is_empty() {
        failed = claims(conn, &guards.holds).await?;
    }
    if failed.is_empty() {
        failed = heads(conn, &guards.heads).await?;
    }
    if failed.is_empty() {
        failed = floors(conn, guards).await?;
    }
    Ok(if failed.is_empty() { GuardOutcome::Clean } else { GuardOutcome::Conflict(failed) })
}

async fn keys(conn: &mut SqliteConnection, keys: &[[u8; 32]]) -> Result<Vec<Conflict>, sqlx::Error> {
    for key in keys {
        let taken: Option<i64> =
            query_scalar("SELECT at FROM commerce_key WHERE key = ?").bind(&key[..]).fetch_optional(&mut *conn).await?;
        if taken.is_some() {
            return Ok(vec![Conflict::KeyTaken]);
        }
    }
    Ok(Vec::new())
}

async fn claims(conn: &mut SqliteConnection, holds: &[Claim]) -> Result<Vec<Conflict>, sqlx::Error> {
    let mut taken = Vec::new();
    for claim in holds {
        let owner: Option<Uuid> = query_scalar("SELECT owner FROM commerce_claim WHERE kind = ? AND key = ?")
            .bind(claim.kind.as_str())
            .bind(&claim.key)
            .fetch_optional(&mut *conn)
            .await?;
        if owner.is_some() {
            taken.push(Conflict::Taken(claim.clone()));
        }
    }
    Ok(taken)
}

async fn heads(
    conn: &mut SqliteConnection,
    heads: &[(AggregateId, ExpectedVersion)],
) -> Result<Vec<Conflict>, sqlx::Error> {
    let mut stale = Vec::new();
    for &(root, was) in heads {
        let table = table(root);
        let mut sql = Sql::new("SELECT ");
        sql.push(table.version).push(" FROM ").push(table.name).push(" WHERE ").push(table.id).push(" = ?");
        if root == AggregateId::Categories {
            sql.bind(1)
        } else {
            sql.bind(root.id())
        };
        let (sql, args) = sql.into_parts();
        let is: Option<i64> = sqlx::query_scalar_with(sql, args).fetch_optional(&mut *conn).await?;
        let fits = match was {
            ExpectedVersion::At(version) => is == Some(version),
            ExpectedVersion::Absent if root == AggregateId::Categories => is == Some(0),
            ExpectedVersion::Absent => is.is_none(),
        };
        if !fits {
            stale.push(Conflict::Stale(root));
        }
    }
    Ok(stale)
}

async fn floors(conn: &mut SqliteConnection, guards: &Guards) -> Result<Vec<Conflict>, sqlx::Error> {
    let mut failed = Vec::new();
    for &(variant, delta) in &guards.stock {
        let is: Option<(i64, i64)> = query_as("SELECT on_hand, reserved FROM commerce_stock WHERE variant_id = ?")
            .bind(variant.0)
            .fetch_optional(&mut *conn)
            .await?;
        let opened = guards.opened.contains(&variant).then_some((0, 0));
        let (on_hand, reserved) = is.or(opened).unwrap_or_default();
        let exists = is.or(opened).is_some();
        if delta.expect_on_hand.is_some_and(|expected| expected != on_hand) {
            failed.push(Conflict::Moved(variant));
        } else if !exists || falls_short(on_hand, reserved, delta) {
            failed.push(Conflict::Short { variant, available: on_hand - reserved });
        }
    }
    for attempt in &guards.attempts {
        let counted: Option<(i64, i64)> = query_as("SELECT since, attempts FROM commerce_attempt WHERE key = ?")
            .bind(&attempt.key[..])
            .fetch_optional(&mut *conn)
            .await?;
        let has_no_room = |(since, count)| since >= attempt.since.as_micros() && count >= i64::from(attempt.limit);
        if counted.is_some_and(has_no_room) {
            failed.push(Conflict::LimitReached(attempt.key));
        }
    }
    Ok(failed)
}

fn falls_short(on_hand: i64, reserved: i64, delta: StockDelta) -> bool {
    let (on_hand, reserved) = (on_hand.saturating_add(delta.on_hand), reserved.saturating_add(delta.reserved));
    on_hand < 0 || reserved < 0 || reserved > on_hand
}
