//! What systemd is told: ready, alive, reloading, stopping. Without systemd nothing happens.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::daemon::stages::Stages;

/// The journal is replayed, the listeners are open; or another configuration was taken, or rejected.
pub(crate) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Another configuration is read.
pub(crate) fn reloading() {
    let mut states = vec![NotifyState::Reloading, NotifyState::Status("reading the configuration again")];
    // `Type=notify-reload` tells by it which reload this is.
    states.extend(NotifyState::monotonic_usec_now());
    notify(&states);
}

/// The last seal is being written.
pub(crate) fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Feeds the watchdog as long as all parts go on, not by a timer alone.
pub(crate) async fn watchdog(stages: Stages) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    // A part that hangs is fed for so long after it did, so systemd ends the process little later than its limit.
    let patience = (limit / 15).max(Duration::from_millis(900));
    let mut pulse = tokio::time::interval((limit / 20).max(Duration::from_millis(100)));
    let mut told = false;
    loop {
        pulse.tick().await;
        if stages.late(patience).is_empty() {
            notify(&[NotifyState::Watchdog]);
        }
        let hung = stages.late(patience.max(limit / 2));
        if !hung.is_empty() && !std::mem::replace(&mut told, true) {
            tracing::error!(
                parts = hung.join(", "),
                "something hangs: systemd will end this process and start another"
            );
        }
        told &= !hung.is_empty();
    }
}

/// A replay of what is open takes seconds.
const ALIVE_SECONDS: u32 = 600;
/// At every second so much more time is asked for.
const MORE_MICROSECONDS: u32 = 15_000_000;

/// Starts or stops: systemd is told every second that more time is needed; for so long that something hangs, it is not.
pub(crate) fn with_more_time<T>(stages: &Stages, work: impl FnOnce() -> T) -> T {
    alive(stages, &[NotifyState::ExtendTimeoutUsec(MORE_MICROSECONDS)], work)
}

/// Does something that all parts wait for. More time is not asked for: systemd would look for a hang that much later.
pub(crate) fn waited_for<T>(stages: &Stages, work: impl FnOnce() -> T) -> T {
    alive(stages, &[], work)
}

fn alive<T>(stages: &Stages, told: &[NotifyState<'_>], work: impl FnOnce() -> T) -> T {
    let (done, waiting) = channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..ALIVE_SECONDS {
                if !told.is_empty() {
                    notify(told);
                }
                stages.beat_all();
                if waiting.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
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
