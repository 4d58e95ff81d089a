//! Connections of a pool: in use, and waiting for their next use.

use std::time::Instant;

use sqlx::{Connection as _, PgConnection, Postgres, pool::PoolConnection};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::ConnectionPool;

/// A connection that waits for its next use. The driver's pool pings each that comes back, which over a long line takes as
/// long as a statement, and for ever if the server hangs.
#[derive(Debug)]
pub(super) struct Idle {
    pub connection: PgConnection,
    pub epoch: u64,
    pub made: Instant,
    pub since: Instant,
}

pub(super) enum Connection {
    Own(PgConnection),
    Hosts(PoolConnection<Postgres>),
}

/// A connection that goes back to its pool only if its owner says that it is sound; otherwise it is closed.
pub(crate) struct PooledConn {
    pub(super) connection: Option<Connection>,
    pub(super) pool: ConnectionPool,
    pub(super) epoch: u64,
    pub(super) made: Instant,
    pub(super) is_unsettled: bool,
    pub(super) _permit: OwnedSemaphorePermit,
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
