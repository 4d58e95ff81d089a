//! Looking at servers: whether one answers, what it can do, and what is in between.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, postgres::PgConnectOptions, query_scalar, raw_sql};
use tokio::time::{sleep, timeout};

use super::{
    ConnectionPool, Inner, configured, lock_timeout_ms,
    state::{Need, ServerState, timed_out},
};
use crate::{
    address::SessionTarget,
    error::{ErrorClass, Refused, classify},
};

/// How long the answer of a look is good enough for those who merely wait.
const LOOK_IS_GOOD: Duration = Duration::from_secs(1);
/// A server whose round trips take longer is far away.
const FAR: Duration = Duration::from_millis(10);
/// The pause between two looks for a server that is away.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// The same of a server that answers and takes no writes: it may be a standby for good.
const LOOK_FOR_WRITES: Duration = Duration::from_millis(500);
/// What is asked of a server that is looked at.
const LOOK: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
                    (SELECT setting FROM pg_settings WHERE name = 'lock_timeout')";

/// What a look at a server showed.
#[derive(Clone, Copy, Debug)]
struct Look {
    server: usize,
    read_only: bool,
    has_settings: bool,
}

impl ConnectionPool {
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
                let Some(strong) = inner.upgrade() else {
                    return;
                };
                let state = strong.known.borrow().state;
                let pause = match state {
                    ServerState::Up => return,
                    ServerState::ReadOnly => LOOK_FOR_WRITES,
                    ServerState::Away(_) => LOOK_AGAIN,
                };
                drop(strong);
                sleep(pause).await;
                let Some(strong) = inner.upgrade().filter(|strong| !strong.driver.is_closed()) else {
                    return;
                };
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
    /// each prepares names of their own. Notes on the way how far away the server is.
    async fn is_mixed_up(&self) -> Result<bool, sqlx::Error> {
        let plain = self.plain.load(Ordering::Relaxed);
        let options = configured(&self.servers[self.current.load(Ordering::Relaxed)], &self.settings, plain);
        let ask = async {
            let mut both = [PgConnection::connect_with(&options).await?, PgConnection::connect_with(&options).await?];
            let mut seen = [Vec::new(), Vec::new()];
            let mut round_trip = Duration::MAX;
            for n in [0, 1, 0, 1] {
                let asked = Instant::now();
                let row = raw_sql("SELECT pg_backend_pid()").fetch_one(&mut both[n]).await?;
                // The shortest of them: others may have waited for this machine.
                round_trip = round_trip.min(asked.elapsed());
                seen[n].push(row.try_get::<i32, _>(0)?);
            }
            self.is_far.store(round_trip > FAR, Ordering::Relaxed);
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
        let Ok(count) = query_scalar::<_, i64>(own).fetch_one(&mut *transaction).await else {
            return Ok(false);
        };
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
}

/// Whether nobody is there who could serve, as opposed to somebody who refuses.
fn is_absence(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => true,
        error => classify(error) == ErrorClass::Lost,
    }
}

/// Whether the other end takes no settings with a connection, as poolers do.
pub(super) fn is_foreign_setting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("08P01" | "0A000"))
}
