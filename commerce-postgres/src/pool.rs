//! [`ConnectionPool`]: connections to one server of a list, each call with a deadline, and what is known of that server.
//!
//! A call that is lost or runs into its deadline says little: its connection may be dead, or the server. So the server is
//! looked at over a new connection, once for all who wonder. If it answers, what was idle is dropped and the call goes again;
//! if it doesn't, it is *away*: all calls fail at once, while one task looks for its return, or for the server of the list that
//! has taken its place.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Postgres, Row as _,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    query_scalar, raw_sql,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};

use crate::{
    address::{Address, SessionTarget},
    connect::{ErrorClass, classify},
    settings::PoolSettings,
};

/// How long a call may wait before somebody looks whether the server is still there.
const SUSPICIOUS: Duration = Duration::from_secs(1);
/// How long a connection may be waited for before that.
const SUSPICIOUS_WAIT: Duration = Duration::from_millis(300);
/// How long the answer of a look is good enough for those who merely wait.
const LOOK_IS_GOOD: Duration = Duration::from_secs(1);
/// The pause between two looks for a server that is away.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The same of a server that answers and takes no writes: it may be a standby for good.
const LOOK_FOR_WRITES: Duration = Duration::from_millis(500);
/// How long a connection may be idle, and how long it may live: what a server keeps for each grows with time.
const IDLE_LIMIT: Duration = Duration::from_mins(10);
const LIFE_LIMIT: Duration = Duration::from_mins(30);

/// SQLSTATE: a statement of this name is prepared already.
const NAME_IN_USE: &str = "42P05";

/// What is asked of a server that is looked at.
const LOOK: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
                    (SELECT setting FROM pg_settings WHERE name = 'lock_timeout')";

/// What is known of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    Up,
    /// It answers, and takes no writes.
    ReadOnly,
    /// It doesn't answer.
    Away(Instant),
}

/// What a connection is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Read,
    Write,
}

/// A state, and how often connections from before were given up.
#[derive(Clone, Copy, Debug)]
struct Known {
    state: ServerState,
    epoch: u64,
}

impl Known {
    fn allows(self, need: Need) -> Result<(), sqlx::Error> {
        match (self.state, need) {
            (ServerState::Up, _) | (ServerState::ReadOnly, Need::Read) => Ok(()),
            (ServerState::ReadOnly, Need::Write) => Err(Refused::ReadOnly.into()),
            (ServerState::Away(since), _) => Err(Refused::Away(since.elapsed()).into()),
        }
    }
}

/// Why nothing is asked of the server.
#[derive(Clone, Copy, Debug)]
enum Refused {
    Away(Duration),
    ReadOnly,
    NoneFits,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(time) => write!(f, "it hasn't answered for {:.1} s, and is looked for", time.as_secs_f32()),
            Self::ReadOnly => write!(f, "it takes no writes at the moment"),
            Self::NoneFits => write!(f, "none of the servers is what target_session_attrs asks for"),
        }
    }
}

impl Error for Refused {}

impl From<Refused> for sqlx::Error {
    fn from(refused: Refused) -> Self {
        Self::Io(io::Error::other(refused))
    }
}

/// Whether an error is the pool's own: nothing was tried.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<Refused>)
}

pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database didn't answer in time"))
}

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
    known: watch::Sender<Known>,
    looked: tokio::sync::Mutex<Option<Instant>>,
}

/// A connection that waits for its next use. The driver's pool pings each that comes back, which over a long line takes as
/// long as a statement, and for ever if the server hangs.
#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    epoch: u64,
    made: Instant,
    since: Instant,
}

/// What a look at a server showed.
#[derive(Clone, Copy, Debug)]
struct Look {
    server: usize,
    read_only: bool,
    has_settings: bool,
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
            known: watch::Sender::new(Known { state: ServerState::Up, epoch: 0 }),
            looked: tokio::sync::Mutex::default(),
        }))
    }

    /// Waits until a server answers that will do, for as long as a connection may be waited for.
    pub(crate) async fn find(&self) -> Result<(), sqlx::Error> {
        let started = Instant::now();
        loop {
            match self.0.look_around().await {
                Ok(look) => {
                    self.0.arrive(look, false);
                    if look.read_only {
                        self.look_for_it();
                    }
                    if self.names_statements() && self.0.is_mixed_up().await? {
                        self.note_mixed_names();
                    }
                    return Ok(());
                }
                Err(error) if !is_absence(&error) || started.elapsed() > self.0.settings.acquire_timeout => {
                    return Err(error);
                }
                Err(_) => sleep(LOOK_AGAIN).await,
            }
        }
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
            let settings = server_settings(&self.0.settings);
            settings.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'")).concat()
        })
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

    /// Has the server looked at, unless somebody did since this epoch. If a connection was `lost`, those that were idle at the
    /// time are dropped: they most likely lead to where it led.
    pub(crate) async fn look(&self, epoch: u64, lost: bool) -> Result<(), sqlx::Error> {
        // Whoever wonders may go away before there is an answer, and the next one would begin anew.
        let this = self.clone();
        let looking = tokio::spawn(async move { this.look_now(epoch, lost).await });
        looking.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    async fn look_now(&self, epoch: u64, lost: bool) -> Result<(), sqlx::Error> {
        let mut looked = self.0.looked.lock().await;
        let known = *self.0.known.borrow();
        let recent = looked.is_some_and(|at| at.elapsed() < LOOK_IS_GOOD);
        if known.epoch != epoch || matches!(known.state, ServerState::Away(_)) || (recent && !lost) {
            return known.allows(Need::Read);
        }
        match self.0.look_around().await {
            Ok(look) => {
                self.0.arrive(look, lost);
                *looked = Some(Instant::now());
                if look.read_only {
                    self.look_for_it();
                }
                Ok(())
            }
            Err(error) if is_absence(&error) => {
                tracing::error!(%error, "the database doesn't answer; it is looked for");
                self.0.known.send_modify(|known| known.state = ServerState::Away(Instant::now()));
                self.0.drop_idle();
                self.look_for_it();
                Err(error)
            }
            // It refuses this user or has no room: it is there, and will say so to those who ask.
            Err(_) => Ok(()),
        }
    }

    /// Looks for the server until it is up, or nobody wants to know any more.
    fn look_for_it(&self) {
        let inner = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                let Some(strong) = inner.upgrade() else { return };
                let state = strong.known.borrow().state;
                let pause = match state {
                    ServerState::Up => return,
                    ServerState::ReadOnly => LOOK_FOR_WRITES,
                    ServerState::Away(_) => LOOK_AGAIN,
                };
                drop(strong);
                sleep(pause).await;
                let Some(strong) = inner.upgrade().filter(|strong| !strong.driver.is_closed()) else { return };
                match strong.look_around().await {
                    Ok(look) if look.read_only && state == ServerState::ReadOnly => {}
                    Ok(look) => {
                        strong.arrive(look, true);
                        if let ServerState::Away(since) = state {
                            tracing::info!(away_for = ?since.elapsed(), "the database answers again");
                        }
                    }
                    // What it refuses, it will refuse to those who ask.
                    Err(error) if !is_absence(&error) && matches!(state, ServerState::Away(_)) => {
                        tracing::error!(%error, "the database answers again, and refuses connections");
                        strong.known.send_modify(|known| known.state = ServerState::Up);
                    }
                    Err(_) => {}
                }
            }
        });
    }
}

impl Inner {
    /// Whether two connections are lent the same connection of the server's, by somebody who doesn't give the statements that
    /// each prepares names of their own.
    async fn is_mixed_up(&self) -> Result<bool, sqlx::Error> {
        let plain = self.plain.load(Ordering::Relaxed);
        let options = configured(&self.servers[self.current.load(Ordering::Relaxed)], &self.settings, plain);
        let ask = async {
            let mut both = [PgConnection::connect_with(&options).await?, PgConnection::connect_with(&options).await?];
            let mut seen = [Vec::new(), Vec::new()];
            for n in [0, 1, 0, 1] {
                let row = raw_sql("SELECT pg_backend_pid()").fetch_one(&mut both[n]).await?;
                seen[n].push(row.try_get::<i32, _>(0)?);
            }
            let lent = seen[0][0] != seen[0][1] || seen[1][0] != seen[1][1] || seen[0] == seen[1];
            let mixed = lent && !Self::keeps_names_apart(&mut both[0]).await?;
            for connection in both {
                connection.close().await?;
            }
            Ok(mixed)
        };
        timeout(self.settings.connect_timeout * 2, ask).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Whether a statement that is prepared under one name has another at the server.
    async fn keeps_names_apart(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let mut transaction = connection.begin().await?;
        let own = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'sqlx%'";
        let Ok(count) = query_scalar::<_, i64>(own).fetch_one(&mut *transaction).await else { return Ok(false) };
        if count > 0 {
            transaction.execute(raw_sql("DEALLOCATE ALL")).await?;
        }
        transaction.commit().await?;
        Ok(count == 0)
    }

    /// Looks for a server that will do, at the one that did so far first.
    async fn look_around(&self) -> Result<Look, sqlx::Error> {
        if self.servers.is_empty() {
            let options = (*self.driver.connect_options()).clone();
            return self.look_at(0, options, SessionTarget::Any).await;
        }
        match (self.target, self.servers.len()) {
            (SessionTarget::PreferStandby, _) => match self.first_of(SessionTarget::Standby, 1).await {
                Ok(look) => Ok(look),
                Err(_) => self.first_of(SessionTarget::Any, 1).await,
            },
            // In order, as libpq does it.
            (SessionTarget::Any, _) => self.first_of(SessionTarget::Any, 1).await,
            // At most one of them fits: all are asked at once, so that one that hangs doesn't hold up the others.
            (target, all) => self.first_of(target, all).await,
        }
    }

    async fn first_of(&self, target: SessionTarget, at_once: usize) -> Result<Look, sqlx::Error> {
        let current = self.current.load(Ordering::Relaxed);
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        order.sort_by_key(|n| *n != current);
        let looks = order.into_iter().map(|n| async move {
            let plain = self.plain.load(Ordering::Relaxed);
            let first = self.look_at(n, configured(&self.servers[n], &self.settings, plain), target).await;
            match first {
                Err(error) if !plain && is_foreign_setting(&error) => {
                    let look = self.look_at(n, configured(&self.servers[n], &self.settings, true), target).await?;
                    self.plain.store(true, Ordering::Relaxed);
                    tracing::info!("what is between here and the database takes no settings: transactions bring them");
                    Ok(look)
                }
                other => other,
            }
        });
        let mut looks = pin!(stream::iter(looks).buffer_unordered(at_once));
        let mut worst = None;
        while let Some(look) = looks.next().await {
            match look {
                Ok(look) => return Ok(look),
                // What a server itself says tells more than that another is silent.
                Err(error) if worst.is_none() || !is_absence(&error) => worst = Some(error),
                Err(_) => {}
            }
        }
        Err(worst.unwrap_or(sqlx::Error::PoolClosed))
    }

    async fn look_at(
        &self,
        server: usize,
        options: PgConnectOptions,
        target: SessionTarget,
    ) -> Result<Look, sqlx::Error> {
        let look = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let row = raw_sql(LOOK).fetch_one(&mut connection).await?;
            let (in_recovery, read_only): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
            let lock_timeout: String = row.try_get(2)?;
            connection.close().await?;
            if !target.accepts(in_recovery, read_only) {
                return Err(Refused::NoneFits.into());
            }
            let has_settings = lock_timeout == lock_timeout_ms(&self.settings).to_string();
            Ok(Look { server, read_only, has_settings })
        };
        timeout(self.settings.connect_timeout, look).await.unwrap_or_else(|_| Err(timed_out()))
    }

    /// Has the pool lead to the server that was found.
    fn arrive(&self, look: Look, lost: bool) {
        let moved = self.current.swap(look.server, Ordering::Relaxed) != look.server;
        if let Some(server) = self.servers.get(look.server) {
            let plain = self.plain.load(Ordering::Relaxed);
            self.driver.set_connect_options(configured(server, &self.settings, plain));
            self.per_transaction.store(!look.has_settings, Ordering::Relaxed);
        }
        let state = if look.read_only { ServerState::ReadOnly } else { ServerState::Up };
        self.known.send_modify(|known| {
            if known.state != state && look.read_only {
                tracing::warn!("the database takes no writes");
            }
            known.state = state;
            known.epoch += u64::from(lost || moved);
        });
        if lost || moved {
            self.drop_idle();
        }
    }

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
                let Some(idle) = self.driver.try_acquire() else { return };
                drop(idle.detach());
            }
        }
        let dropped = std::mem::take(&mut *self.idle());
        drop(dropped);
    }
}

/// Whether nobody is there who could serve, as opposed to somebody who refuses.
fn is_absence(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => true,
        error => classify(error) == ErrorClass::Lost,
    }
}

/// Whether the other end takes no settings with a connection, as poolers do.
fn is_foreign_setting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("08P01" | "0A000"))
}

fn lock_timeout_ms(settings: &PoolSettings) -> u128 {
    settings.call_timeout.as_millis() * 8 / 10
}

/// What we want of a session. The server gives up a little earlier than we do: then its connection can be kept.
fn server_settings(settings: &PoolSettings) -> [(&'static str, String); 4] {
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
    let ours = server_settings(settings).into_iter().filter(|(name, _)| !theirs.contains(name));
    options.options(ours)
}

enum Connection {
    Own(PgConnection),
    Hosts(PoolConnection<Postgres>),
}

/// A connection that goes back to its pool only if its owner says that it is sound; otherwise it is closed.
pub(crate) struct PooledConn {
    connection: Option<Connection>,
    pool: ConnectionPool,
    epoch: u64,
    made: Instant,
    is_unsettled: bool,
    _permit: OwnedSemaphorePermit,
}

impl PooledConn {
    pub(crate) fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        match &mut self.connection {
            Some(Connection::Own(connection)) => Ok(connection),
            Some(Connection::Hosts(connection)) => Ok(connection),
            None => Err(sqlx::Error::WorkerCrashed),
        }
    }

    /// When it was made, as the pool counts; for [`ConnectionPool::look`].
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Notes that the driver still has something to send, a ROLLBACK for which nobody waits.
    pub(crate) const fn is_unsettled(&mut self) {
        self.is_unsettled = true;
    }

    pub(crate) fn give_back(mut self) {
        let limit = self.pool.0.settings.connect_timeout;
        match self.connection.take() {
            Some(Connection::Own(mut connection)) if self.is_unsettled => {
                tokio::spawn(async move {
                    if let Ok(Ok(())) = timeout(limit, connection.ping()).await {
                        self.pool.0.keep(connection, self.epoch, self.made);
                    }
                });
            }
            Some(Connection::Own(connection)) => self.pool.0.keep(connection, self.epoch, self.made),
            Some(Connection::Hosts(connection)) if self.pool.epoch() != self.epoch => drop(connection.detach()),
            // The driver pings what comes back, and would wait for the answer for ever.
            Some(Connection::Hosts(mut connection)) => {
                tokio::spawn(async move { timeout(limit, connection.return_to_pool()).await });
            }
            None => {}
        }
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        // Without a goodbye, which a server that hangs wouldn't hear.
        if let Some(Connection::Hosts(connection)) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
