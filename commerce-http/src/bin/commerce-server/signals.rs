//! The signals that end the program. They are listened to from its beginning: as process 1 of a container, a program that doesn't
//! can't be ended by them at all.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

/// Within which a SIGHUP belongs to the signal before it: service managers and terminals send both.
const TOGETHER: Duration = Duration::from_secs(1);

/// A signal that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Terminate,
    Interrupt,
    HangUp,
}

impl Stop {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
            Self::HangUp => "SIGHUP",
        }
    }

    /// What shells report of a program that was ended by it.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Terminate => 128 + 15,
            Self::Interrupt => 128 + 2,
            Self::HangUp => 128 + 1,
        }
    }
}

/// All of them.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.hang_up.recv() => Stop::HangUp,
        }
    }

    /// The next one that was sent by somebody who doesn't want to wait any longer.
    pub async fn again(&mut self) -> Stop {
        let first = Instant::now();
        loop {
            match self.next().await {
                Stop::HangUp if first.elapsed() < TOGETHER => {}
                stop => return stop,
            }
        }
    }
}
