//! What is known of a server, and why nothing is asked of it.

use std::{
    error::Error,
    fmt, io,
    time::{Duration, Instant},
};

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

/// Why nothing is asked of the server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refused {
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
