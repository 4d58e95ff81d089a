//! Read replicas: which of them may be asked.
//!
//! Lag isn't a time that a replica could tell: while nobody writes, the last transaction it replayed grows old though nothing
//! is missing. So each replica is watched from here: the primary's position in its log is noted with the time, and once the
//! replica has replayed up to there, it holds all that was committed before that time. What it holds may be [`BEHIND`] old.
//! While the primary is silent, nobody can tell how old it is: then any that answers stands in, rather than nobody.

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
    address::Address,
    commit::Target,
    pool::ConnectionPool,
    reads::{PgReads, Reader},
    sql::Sql,
    watch::{BEHIND, Watch},
};

/// How long a replica has to answer before the primary is asked.
const REPLICA_LIMIT: Duration = Duration::from_secs(2);

/// How long the primary may say nothing before replicas stand in for it: shorter than any of them stays current by itself.
const SILENT_AFTER: Duration = Duration::from_millis(500);
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

/// When the primary last answered those who watch its replicas.
#[derive(Debug)]
struct PrimaryWatch(Mutex<Instant>);

impl PrimaryWatch {
    fn answered(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_silent(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > SILENT_AFTER
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
    primary: ConnectionPool,
    primary_watch: Arc<PrimaryWatch>,
}

impl Replicas {
    /// Replicas by their URLs, watched until this is dropped. None of them has to be there yet.
    pub(crate) fn watch(primary: &Target, urls: &[impl AsRef<str>]) -> Result<Arc<Self>, StoreError> {
        let settings = primary.pool.settings().clone();
        let settings =
            settings.call_timeout(REPLICA_LIMIT).connect_timeout(REPLICA_LIMIT).acquire_timeout(REPLICA_LIMIT);
        let primary_watch = Arc::new(PrimaryWatch(Mutex::new(Instant::now())));
        let mut all = Vec::new();
        for (n, url) in urls.iter().enumerate() {
            let address = Address::parse_one(url.as_ref()).map_err(StoreError::bug)?;
            let watch = Arc::new(Watch::default());
            // A connection of its own: looks mustn't wait until reads have ended.
            let looks = ConnectionPool::new(address.clone(), settings.clone().connections(1));
            let primary_reader = Reader::new(primary.pool.clone(), primary.layout.clone());
            let watcher = Watcher {
                primary: primary_reader.clone(),
                primary_watch: primary_watch.clone(),
                replica: Reader::new(looks, primary.layout.clone()),
                cluster: None,
                marks: VecDeque::new(),
            };
            tokio::spawn(watcher.look_on(n + 1, Arc::downgrade(&watch)));
            let pool = ConnectionPool::new(address, settings.clone());
            all.push(Replica { reads: PgReads::new(primary_reader.replica(pool, watch.clone())), watch });
        }
        Ok(Arc::new(Self { all, turn: AtomicUsize::new(0), primary: primary.pool.clone(), primary_watch }))
    }

    /// The next replica that is current; while the primary is silent, the next that answers: what is shown may then lack what
    /// the primary wrote last.
    pub(crate) fn pick(&self) -> Option<&PgReads> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let next = |fits: fn(&Watch) -> bool| {
            let mut in_turn = (0..self.all.len()).map(|n| &self.all[(turn + n) % self.all.len()]);
            in_turn.find(|replica| fits(&replica.watch)).map(|replica| &replica.reads)
        };
        let is_silent = || self.primary.is_away() || self.primary_watch.is_silent();
        next(Watch::is_current).or_else(|| if is_silent() { next(Watch::answers) } else { None })
    }
}

/// Watches one replica.
struct Watcher {
    primary: Reader,
    primary_watch: Arc<PrimaryWatch>,
    replica: Reader,
    /// Which database the primary has, once it has been asked.
    cluster: Option<String>,
    marks: VecDeque<Mark>,
}

impl Watcher {
    /// Looks at the replica time and again, as long as anybody wants to know.
    async fn look_on(mut self, n: usize, watch: Weak<Watch>) {
        let mut was_current = false;
        while let Some(watch) = watch.upgrade() {
            self.look(n, &watch).await;
            let is_current = watch.is_current();
            match (was_current, is_current) {
                (false, true) => tracing::info!(replica = n, "the replica is read from"),
                (true, false) => {
                    tracing::warn!(replica = n, "the replica is left out: it is behind, or doesn't answer");
                }
                _ => {}
            }
            was_current = is_current;
            drop(watch);
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn look(&mut self, n: usize, watch: &Watch) {
        let at = Instant::now();
        let (ask_primary, ask_replica) = (Sql::new(PRIMARY), Sql::new(REPLICA));
        let primary = timeout(PROBE_TIMEOUT, self.primary.one::<(String, i64)>(&ask_primary));
        let replica = timeout(PROBE_TIMEOUT, self.replica.one::<(String, Option<i64>)>(&ask_replica));
        let (primary, replica) = tokio::join!(primary, replica);
        if let Ok(Ok((cluster, position))) = primary {
            self.primary_watch.answered();
            self.marks.retain(|mark| mark.at.elapsed() < BEHIND);
            self.marks.push_back(Mark { at, position });
            self.cluster = Some(cluster);
        }
        match replica {
            Ok(Ok((copied, replayed))) if self.cluster.as_ref() == Some(&copied) => {
                let holds = |mark: &&Mark| replayed.is_some_and(|replayed| mark.position <= replayed);
                let covers = self.marks.iter().rev().find(holds).map(|mark| mark.at);
                let mut seen = watch.seen();
                seen.answered = Some(Instant::now());
                // What it held when it was last seen stays true, and grows old.
                seen.covers = covers.or(seen.covers);
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => {
                tracing::debug!(replica = n, %error, "a replica can't be looked at");
                watch.failed();
            }
        }
    }
}
