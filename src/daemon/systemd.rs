//! What systemd is told: ready, alive, stopping. Without systemd nothing happens.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::daemon::desk::instant;

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

/// A replay of what is open takes seconds.
const ALIVE_SECONDS: u32 = 600;

/// Does something that may take long while the watchdog is told that there is progress; for so long that something hangs,
/// it is not.
pub(crate) fn alive<T>(progress: &watch::Sender<Instant>, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..ALIVE_SECONDS {
                if waiting.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                progress.send_replace(instant());
            }
        });
        let worked = work();
        drop(done);
        worked
    })
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd takes no notification");
    }
}
