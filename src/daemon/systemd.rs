//! What systemd is told: ready, alive, stopping. Without systemd nothing happens.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::sync::watch;

/// The journal is replayed, the listeners are open.
pub(crate) fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("running")]);
}

/// The last seal is being written.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Feeds the watchdog as long as the desk makes progress, not by a timer alone.
pub(crate) async fn watchdog(progress: watch::Receiver<Instant>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut pulse = tokio::time::interval((limit / 3).max(Duration::from_millis(100)));
    loop {
        pulse.tick().await;
        let last = *progress.borrow();
        if last.elapsed() < limit / 2 {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd takes no notification");
    }
}
