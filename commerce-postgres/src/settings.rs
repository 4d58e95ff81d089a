//! [`PoolSettings`]: how many connections, and how long anything may take.

use std::time::Duration;

/// How many connections a store keeps, and how long it waits for what.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolSettings {
    /// Connections at most; 20 if nothing is said.
    pub connections: u32,
    /// How long a call may take: a read, a statement of a write, a COMMIT. 5 s if nothing is said. After that its connection is
    /// dropped, and the call goes to another one, once. The server gives up a little earlier, so that a statement that is only
    /// slow isn't run twice. Migrations take as long as they take.
    pub call_timeout: Duration,
    /// How long a server may take to let somebody in and answer; 2 s if nothing is said. `connect_timeout` in the URL goes before.
    pub connect_timeout: Duration,
    /// How long a call may wait for a connection when all are in use; 5 s if nothing is said.
    pub acquire_timeout: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            connections: 20,
            call_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
            acquire_timeout: Duration::from_secs(5),
        }
    }
}

impl PoolSettings {
    /// The same with another number of connections.
    #[must_use]
    pub const fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// The same with another limit for calls.
    #[must_use]
    pub const fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// The same with another limit for connecting.
    #[must_use]
    pub const fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The same with another limit for waiting.
    #[must_use]
    pub const fn acquire_timeout(mut self, limit: Duration) -> Self {
        self.acquire_timeout = limit;
        self
    }
}
