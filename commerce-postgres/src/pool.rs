//! [`ConnectionPool`]: connections to one server of a list, each call with a deadline, and what is known of that server.
//!
//! A call that is lost or runs into its deadline says little: its connection may be dead, or the server. So the server is
//! looked at over a new connection, once for all who wonder. If it answers, what was idle is dropped and the call goes again;
//! if it doesn't, it is *away*: all calls fail at once, while one task looks for its return, or for the server of the list that
//! has taken its place.

mod conn;
mod look;
mod state;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};

pub(crate) use self::{
    conn::PooledConn,
    state::{Need, timed_out},
};
use self::{
    conn::{Connection, Idle},
    look::is_foreign_setting,
    state::{Known, ServerState},
};
use crate::{
    address::{Address, SessionTarget},
    settings::PoolSettings,
};

/// How long a call may wait before somebody looks whether the server is still there.
const SUSPICIOUS: Duration = Duration::from_secs(1);
/// How long a connection may be waited for before that.
const SUSPICIOUS_WAIT: Duration = Duration::from_millis(300);
/// How long a connection may be idle, and how long it may live: what a server keeps for each grows with time.
const IDLE_LIMIT: Duration = Duration::from_mins(10);
const LIFE_LIMIT: Duration = Duration::from_mins(30);

/// SQLSTATE: a statement of this name is prepared already.
const NAME_IN_USE: &str = "42P05";

/// Connections to a server. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The driver's pool: the host's, from which connections are taken; or one that only the host uses.
    driver: PgPool,
    /// The servers that may be connected to; without any, the driver's pool is the host's, who says where it leads.
    servers: Vec<PgConnectOptions>,
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
    target: SessionTarget,
    settings: PoolSettings,
    statements: usize,
    /// Which server the pool leads to.
    current: AtomicUsize,
    /// Whether connections are made without our settings, because what is in between refuses them.
    plain: AtomicBool,
    /// Whether transactions bring our settings, because connections don't have them.
    per_transaction: AtomicBool,
    /// Whether a pooler in between mixes up the statements that connections have prepared under a name.
    mixes_names: AtomicBool,
    /// Whether a round trip takes longer than anything that is done at its end.
    is_far: AtomicBool,
    known: watch::Sender<Known>,
    looked: tokio::sync::Mutex<Option<Instant>>,
}

impl ConnectionPool {
    /// To the servers of a URL. Connects to none yet.
    pub(crate) fn new(address: Address, mut settings: PoolSettings) -> Self {
        if let Some(limit) = address.connect_timeout {
            settings.connect_timeout = limit;
        }
        let first = configured(&address.servers[0], &settings, false);
        let driver = PgPoolOptions::new()
            .max_connections(settings.connections)
            .acquire_timeout(settings.acquire_timeout)
            .connect_lazy_with(first);
        Self::build(driver, address.servers, address.target, address.statements, settings)
    }

    /// The host's own.
    pub(crate) fn of_host(driver: PgPool) -> Self {
        let options = driver.options();
        let settings = PoolSettings::default()
            .connections(options.get_max_connections())
            .acquire_timeout(options.get_acquire_timeout());
        Self::build(driver, Vec::new(), SessionTarget::Any, usize::MAX, settings)
    }

    fn build(
        driver: PgPool,
        servers: Vec<PgConnectOptions>,
        target: SessionTarget,
        statements: usize,
        settings: PoolSettings,
    ) -> Self {
        let permits = usize::try_from(settings.connections).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            driver,
            servers,
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(permits)),
            target,
            settings,
            statements,
            current: AtomicUsize::new(0),
            plain: AtomicBool::new(false),
            per_transaction: AtomicBool::new(false),
            mixes_names: AtomicBool::new(false),
            is_far: AtomicBool::new(false),
            known: watch::Sender::new(Known { state: ServerState::Up, epoch: 0 }),
            looked: tokio::sync::Mutex::default(),
        }))
    }

    /// The driver's pool, for the host.
    pub(crate) fn driver(&self) -> &PgPool {
        &self.0.driver
    }

    /// Ends what is idle, and the driver's pool. What is in use ends when it comes back.
    pub(crate) async fn close(&self) {
        self.0.known.send_modify(|known| known.epoch += 1);
        let idle = std::mem::take(&mut *self.0.idle());
        for Idle { connection, .. } in idle {
            // One that hangs is left to itself.
            let _ = timeout(self.0.settings.connect_timeout, connection.close()).await;
        }
        self.0.driver.close().await;
    }

    pub(crate) fn settings(&self) -> &PoolSettings {
        &self.0.settings
    }

    /// Whether statements may stay prepared under a name. They may not if the URL says that none is kept: then each is
    /// prepared and run within one transaction, which is all that a pooler in between keeps together.
    pub(crate) fn names_statements(&self) -> bool {
        self.0.statements > 0 && !self.0.mixes_names.load(Ordering::Relaxed)
    }

    /// Notes what an error tells of a pooler in between.
    pub(crate) fn note(&self, error: &sqlx::Error) {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() == Some(NAME_IN_USE) {
            self.note_mixed_names();
        }
    }

    fn note_mixed_names(&self) {
        if !self.0.mixes_names.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a pooler is in between that doesn't keep prepared statements apart: each is prepared where it is run, which \
                 takes longer (PgBouncer from version 1.21 on: max_prepared_statements)"
            );
        }
    }

    /// What a transaction begins with, where connections don't have our settings.
    pub(crate) fn transaction_settings(&self) -> Option<String> {
        let per_transaction = self.0.per_transaction.load(Ordering::Relaxed);
        per_transaction.then(|| {
            let settings = session_settings(&self.0.settings);
            settings.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'")).concat()
        })
    }

    /// Whether the server is so far away that a commit should be one round trip, though it then can't lock its rows in order.
    pub(crate) fn saves_trips(&self) -> bool {
        let has_settings = !self.0.per_transaction.load(Ordering::Relaxed);
        self.0.is_far.load(Ordering::Relaxed) && has_settings && self.names_statements()
    }

    /// Has the server count as far away, wherever it is.
    #[cfg(feature = "testing")]
    pub(crate) fn set_far(&self) {
        self.0.is_far.store(true, Ordering::Relaxed);
    }

    /// How often connections were given up so far, for [`Self::look`].
    pub(crate) fn epoch(&self) -> u64 {
        self.0.known.borrow().epoch
    }

    /// Drops the connections that were idle when one of this epoch was lost.
    pub(crate) fn forget_idle(&self, epoch: u64) {
        let forgotten = self.0.known.send_if_modified(|known| {
            let forget = known.epoch == epoch;
            known.epoch += u64::from(forget);
            forget
        });
        if forgotten {
            self.0.drop_idle();
        }
    }

    /// Whether the server is known not to answer.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.0.known.borrow().state, ServerState::Away(_))
    }

    /// Whether the server answers and takes no writes.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self.0.known.borrow().state, ServerState::ReadOnly)
    }

    /// A connection of its own with the server's settings as they are, for what takes as long as it takes.
    pub(crate) async fn unhurried(&self) -> Result<PgConnection, sqlx::Error> {
        let options = match self.0.servers.get(self.0.current.load(Ordering::Relaxed)) {
            Some(server) => server.clone(),
            None => (*self.0.driver.connect_options()).clone(),
        };
        timeout(self.0.settings.connect_timeout, PgConnection::connect_with(&options)).await.map_err(|_| timed_out())?
    }

    /// How a transaction begins on such a connection. What others have prepared under the names that the driver is about to
    /// use goes, if a pooler in between doesn't keep them apart.
    pub(crate) fn begin_unhurried(&self) -> &'static str {
        if self.names_statements() { "BEGIN" } else { "BEGIN; DEALLOCATE ALL" }
    }

    /// A connection of the pool. Fails at once while the server is away.
    pub(crate) async fn acquire(&self, need: Need) -> Result<PooledConn, sqlx::Error> {
        match self.try_acquire(need).await {
            // Found out here only if nobody looked before, as at replicas.
            Err(error) if is_foreign_setting(&error) && !self.0.plain.load(Ordering::Relaxed) => {
                self.look(self.epoch(), true).await?;
                self.try_acquire(need).await
            }
            other => other,
        }
    }

    async fn try_acquire(&self, need: Need) -> Result<PooledConn, sqlx::Error> {
        let known = *self.0.known.borrow();
        known.allows(need)?;
        let mut acquiring = pin!(self.take(known.epoch));
        tokio::select! {
            biased;
            taken = &mut acquiring => return taken,
            () = sleep(SUSPICIOUS_WAIT) => {}
        }
        // All are in use, or the server lets nobody in: it tells which.
        tokio::select! {
            biased;
            taken = &mut acquiring => taken,
            error = self.refusal(known.epoch, need) => Err(error),
        }
    }

    async fn take(&self, epoch: u64) -> Result<PooledConn, sqlx::Error> {
        let inner = &self.0;
        let limit = inner.settings.acquire_timeout;
        let permit =
            timeout(limit, inner.permits.clone().acquire_owned()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, made) = if inner.servers.is_empty() {
            (Connection::Hosts(inner.driver.acquire().await?), Instant::now())
        } else if let Some(Idle { connection, made, .. }) = inner.take_idle(epoch) {
            (Connection::Own(connection), made)
        } else {
            let plain = inner.plain.load(Ordering::Relaxed);
            let server = &inner.servers[inner.current.load(Ordering::Relaxed)];
            let options = configured(server, &inner.settings, plain);
            let connecting = timeout(inner.settings.connect_timeout, PgConnection::connect_with(&options));
            (Connection::Own(connecting.await.map_err(|_| timed_out())??), Instant::now())
        };
        Ok(PooledConn {
            connection: Some(connection),
            pool: self.clone(),
            epoch,
            made,
            _permit: permit,
            is_unsettled: false,
        })
    }

    /// Resolves once the server is known not to serve this need, after having had it looked at.
    async fn refusal(&self, epoch: u64, need: Need) -> sqlx::Error {
        if let Err(error) = self.look(epoch, false).await {
            return error;
        }
        let mut known = self.0.known.subscribe();
        let refused = known.wait_for(|known| known.allows(need).is_err()).await;
        refused.map_or_else(|_| sqlx::Error::PoolClosed, |known| known.allows(need).err().unwrap_or_else(timed_out))
    }

    /// Runs a call within its deadline; ends it sooner if the server turns out to be away.
    pub(crate) async fn in_time<T>(
        &self,
        epoch: u64,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let limit = self.0.settings.call_timeout;
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = sleep(SUSPICIOUS.min(limit)) => {}
        }
        tokio::select! {
            biased;
            done = &mut work => done,
            error = self.refusal(epoch, Need::Read) => Err(error),
            () = sleep(limit.saturating_sub(SUSPICIOUS)) => Err(timed_out()),
        }
    }

    /// Runs a call to its deadline, whatever is known of the server: what it did can't be taken back.
    pub(crate) async fn to_its_end<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        timeout(self.0.settings.call_timeout, work).await.unwrap_or_else(|_| Err(timed_out()))
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last, if there is one of this epoch.
    fn take_idle(&self, epoch: u64) -> Option<Idle> {
        let mut idle = self.idle();
        while let Some(last) = idle.pop() {
            if last.epoch == epoch && last.since.elapsed() < IDLE_LIMIT {
                return Some(last);
            }
        }
        None
    }

    fn keep(&self, connection: PgConnection, epoch: u64, made: Instant) {
        // One from before a loss may lead to a server that has been replaced.
        if self.known.borrow().epoch != epoch || made.elapsed() > LIFE_LIMIT || self.driver.is_closed() {
            return;
        }
        let mut idle = self.idle();
        idle.push(Idle { connection, epoch, made, since: Instant::now() });
        if idle[0].since.elapsed() > IDLE_LIMIT {
            idle.remove(0);
        }
    }

    /// Drops what is idle, without a word to a server that may not listen.
    fn drop_idle(&self) {
        if self.servers.is_empty() {
            // Each that is in use comes back once at most, so this ends.
            for _ in 0..self.driver.size() {
                let Some(idle) = self.driver.try_acquire() else {
                    return;
                };
                drop(idle.detach());
            }
        }
        let dropped = std::mem::take(&mut *self.idle());
        drop(dropped);
    }
}

fn lock_timeout_ms(settings: &PoolSettings) -> u128 {
    settings.call_timeout.as_millis() * 8 / 10
}

/// What we want of a session. The server gives up a little earlier than we do: then its connection can be kept.
fn session_settings(settings: &PoolSettings) -> [(&'static str, String); 4] {
    let limit = settings.call_timeout.as_millis();
    [
        // Compiling a statement takes longer than any of ours runs.
        ("jit", "off".to_owned()),
        ("lock_timeout", format!("{}ms", lock_timeout_ms(settings))),
        ("statement_timeout", format!("{}ms", limit * 9 / 10)),
        // A connection that is left in a transaction by a cancelled task would hold its locks for ever.
        ("idle_in_transaction_session_timeout", format!("{}ms", limit * 2)),
    ]
}

/// When the server takes a client that is silent for gone: one whose machine lost its power mustn't keep its locks for hours.
/// They belong to the line to the client, which a pooler in between has to itself.
fn line_settings(settings: &PoolSettings) -> [(&'static str, String); 4] {
    [
        ("tcp_keepalives_idle", "10".to_owned()),
        ("tcp_keepalives_interval", "5".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", (settings.call_timeout.as_millis() * 2).to_string()),
    ]
}

/// How to connect to a server with our settings, which the URL's go before.
fn configured(server: &PgConnectOptions, settings: &PoolSettings, plain: bool) -> PgConnectOptions {
    let mut options = server.clone();
    if server.get_application_name().is_none() {
        options = options.application_name("commerce");
    }
    if plain {
        return options;
    }
    let theirs = server.get_options().unwrap_or_default();
    let ours = session_settings(settings).into_iter().chain(line_settings(settings));
    options.options(ours.filter(|(name, _)| !theirs.contains(name)))
}
