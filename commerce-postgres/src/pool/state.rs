//! What is known of a server, and why nothing is asked of it.

use std::{io, time::Instant};

use crate::error::Refused;

/// What is known of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
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
pub(super) struct Known {
    pub state: ServerState,
    pub epoch: u64,
}

impl Known {
    pub(super) fn allows(self, need: Need) -> Result<(), sqlx::Error> {
        match (self.state, need) {
            (ServerState::Up, _) | (ServerState::ReadOnly, Need::Read) => Ok(()),
            (ServerState::ReadOnly, Need::Write) => Err(Refused::ReadOnly.into()),
            (ServerState::Away(since), _) => Err(Refused::Away(since.elapsed()).into()),
        }
    }
}

pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database didn't answer in time"))
}
