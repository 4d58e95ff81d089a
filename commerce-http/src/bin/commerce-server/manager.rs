//! What the service manager is told, if there is one that wants to know (`sd_notify`): ready, alive, stopping.

use sd_notify::NotifyState;

/// Tells it, as far as it listens.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

/// The shop is open.
pub fn ready(address: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("serving on {address}"))]);
}

/// The shop is closing.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what was begun")]);
}

/// Gives signs of life, twice as often as the manager expects one. They stop when the runtime does.
pub async fn stay_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut every = tokio::time::interval(limit / 2);
    loop {
        every.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}
