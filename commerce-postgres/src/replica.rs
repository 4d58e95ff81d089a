//! Read replicas: which of them may be asked.
//!
//! Lag isn't a time that a replica could tell: while nobody writes, the last transaction it replayed grows old though nothing
//! is missing. So each replica is watched from here: the primary's position in its log is noted with the time, and once the
//! replica has replayed up to there, it holds all that was committed before that time. What it holds may be [`BEHIND`] old.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use commerce_core::store::StoreError;
use tokio::time::timeout;

use crate::{
    commit::Target,
    connect::{self, Reader, Sql},
    reads::PgReads,
};

/// How far a replica may be behind and still be asked.
const BEHIND: Duration = Duration::from_secs(1);
/// How often each is looked at.
const PERIOD: Duration = Duration::from_millis(150);
/// How long a look may take.
const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// Which cluster and database this is, and where its log ends on disk: all that was acknowledged is before that.
const PRIMARY: &str = "SELECT system_identifier || '/' || current_database(), \
                       pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint FROM pg_control_system()";
/// The same of a replica, and up to where it shows what it received. A server that isn't a replica (any more) shows nothing.
const REPLICA: &str = "SELECT system_identifier || '/' || current_database(), CASE WHEN pg_is_in_recovery() \
                       THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END FROM pg_control_system()";

/// A position of the primary's log, and when it was there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    position: i64,
}

/// What a replica is known to hold.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Everything that was committed before.
    covers: Mutex<Option<Instant>>,
}

impl Watch {
    fn is_current(&self) -> bool {
        let covers = *self.covers.lock().unwrap_or_else(PoisonError::into_inner);
        covers.is_some_and(|covers| covers.elapsed() < BEHIND)
    }

    fn note(&self, covers: Option<Instant>) {
        *self.covers.lock().unwrap_or_else(PoisonError::into_inner) = covers;
    }

    /// It failed to answer: not to be asked until it has been seen alive again.
    pub(crate) fn failed(&self) {
        self.note(None);
    }
}

#[derive(Debug)]
struct Replica {
    reads: PgReads,
    watch: Arc<Watch>,
}

/// The replicas of a primary, asked in turn.
#[derive(Debug)]
pub(crate) struct Replicas {
    all: Vec<Replica>,
    turn: AtomicUsize,
}

impl Replicas {
    /// Replicas by their URLs, watched until this is dropped. None of them has to be there yet.
    pub(crate) fn watch(primary: &Target, urls: &[impl AsRef<str>]) -> Result<Arc<Self>, StoreError> {
        let mut all = Vec::new();
        for (n, url) in urls.iter().enumerate() {
            let options = connect::options(url.as_ref())?;
            let watch = Arc::new(Watch::default());
            // A connection of its own: looks mustn't wait until reads have ended.
            let looks = Reader::new(connect::replica_pool(options.clone(), 1), primary.layout.clone());
            let primary_reader = Reader::new(primary.pool.clone(), primary.layout.clone());
            tokio::spawn(look_on(n + 1, primary_reader.clone(), looks, Arc::downgrade(&watch)));
            let pool = connect::replica_pool(options, connect::CONNECTIONS);
            all.push(Replica { reads: PgReads::new(primary_reader.replica(pool, watch.clone())), watch });
        }
        Ok(Arc::new(Self { all, turn: AtomicUsize::new(0) }))
    }

    /// The next replica that is current.
    pub(crate) fn pick(&self) -> Option<&PgReads> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = (0..self.all.len()).map(|n| &self.all[(turn + n) % self.all.len()]);
        in_turn.into_iter().find(|replica| replica.watch.is_current()).map(|replica| &replica.reads)
    }
}

/// Looks at a replica time and again, as long as anybody wants to know.
async fn look_on(n: usize, primary: Reader, replica: Reader, watch: Weak<Watch>) {
    let mut marks = VecDeque::new();
    let mut was_current = false;
    while let Some(watch) = watch.upgrade() {
        match timeout(PROBE_TIMEOUT, look(&primary, &replica, &mut marks)).await {
            Ok(Ok(Some(covers))) => watch.note(Some(covers)),
            // What it held when it was last seen stays true, and grows old.
            Ok(Ok(None)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::debug!(replica = n, %error, "a replica can't be looked at");
                watch.failed();
            }
        }
        let is_current = watch.is_current();
        match (was_current, is_current) {
            (false, true) => tracing::info!(replica = n, "the replica is read from"),
            (true, false) => tracing::warn!(replica = n, "the replica is left out: it is behind, or doesn't answer"),
            _ => {}
        }
        was_current = is_current;
        drop(watch);
        tokio::time::sleep(PERIOD).await;
    }
}

/// Up to when the replica holds everything; `None` if that is longer ago than anybody remembers.
async fn look(primary: &Reader, replica: &Reader, marks: &mut VecDeque<Mark>) -> Result<Option<Instant>, StoreError> {
    let at = Instant::now();
    let (cluster, position): (String, i64) = primary.one(&Sql::new(PRIMARY)).await?;
    marks.retain(|mark: &Mark| mark.at.elapsed() < BEHIND);
    marks.push_back(Mark { at, position });
    let (copied, replayed): (String, Option<i64>) = replica.one(&Sql::new(REPLICA)).await?;
    let Some(replayed) = replayed.filter(|_| copied == cluster) else { return Ok(None) };
    Ok(marks.iter().rev().find(|mark| mark.position <= replayed).map(|mark| mark.at))
}
