//! The machine: clock, disk, rights of files.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::doctor::service::Unit;
use crate::cli::doctor::{Line, expiry};
use crate::config::{HANDED, Plan};
use crate::daemon::unfit;
use crate::notify::Channel;
use crate::store::{Space, finished};
use crate::tls::expires_of_file;

/// Where systemd's time service says that the clock is set by others.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
const CHRONY: &str = "/run/chrony";
const NTP: &str = "/run/ntpd.pid";
/// Room for so many days is enough.
const ROOM_DAYS: u64 = 30;

pub(crate) fn look(plan: &Plan, unit: &Unit) -> Vec<Line> {
    let state = &plan.daemon.state_dir;
    let mut lines = vec![clock(), disk(plan)];
    lines.push(directory(state));
    lines.extend(secrets(plan).iter().map(|path| secret(path, unit)));
    let unfit = unfit(plan).into_iter().filter(|error| error.kind() == ErrorKind::InvalidInput);
    lines.extend(unfit.map(|error| Line::fail("secret", error.to_string(), "write another, and restart")));
    if let Some(https) = &plan.daemon.https {
        lines.push(match expires_of_file(&https.files.certificate) {
            Ok(end) => expiry("certificate", "our certificate for HTTPS", end),
            Err(error) => Line::fail("certificate", error.to_string(), "see `daemon.cert_file`"),
        });
    }
    lines
}

fn clock() -> Line {
    // The kernel knows it, by whatever program; systemd asks it.
    let asked = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output();
    if asked.is_ok_and(|output| output.stdout.starts_with(b"yes")) {
        return Line::pass("clock", "it is synchronised");
    }
    let known = [SYNCHRONISED, CHRONY, NTP].iter().find(|path| Path::new(path).exists());
    match known {
        Some(path) => Line::pass("clock", format!("it is set by others ({path})")),
        None => Line::warn(
            "clock",
            "nobody is seen to set it: readings without a time of their own are stamped by it",
            "apt-get install systemd-timesyncd, or chrony; timedatectl shows it",
        ),
    }
}

/// How long the room lasts at the pace of the latest full days.
fn disk(plan: &Plan) -> Line {
    let state = &plan.daemon.state_dir;
    // Before the first start it is the directory above that has room.
    let Some(space) = state.ancestors().map(or_here).find_map(Space::of) else {
        return Line::warn("disk", format!("the room of {} is not known", state.display()), "see `daemon.state_dir`");
    };
    let days = journal_days(&state.join("journal"));
    let free = space.free >> 20;
    let cure = "more room, or a shorter `journal.keep` or `max_bytes`";
    // The newest is not over.
    let full = days.get(..days.len().saturating_sub(1)).unwrap_or_default();
    let Some(a_day) = full.iter().sum::<u64>().checked_div(full.len() as u64).filter(|a_day| *a_day > 0) else {
        let text = format!("{free} MiB are free; how fast the store grows is not known before its second day");
        return if space.is_low(false) { Line::fail("disk", text, cure) } else { Line::pass("disk", text) };
    };
    let keep = plan.retention.journal_keep.0.div_euclid(86_400_000).max(1) as u64;
    let (most, held) = (a_day.saturating_mul(keep).min(plan.retention.journal_max_bytes), days.iter().sum::<u64>());
    let (grows, lasts) = (most.saturating_sub(held), space.free / a_day);
    let text = format!(
        "{free} MiB are free, the journal takes {} MiB a day and is kept for {keep} days: {} MiB more",
        a_day >> 20,
        grows >> 20
    );
    if space.is_low(false) || space.free < grows {
        Line::fail("disk", text, cure)
    } else if lasts < ROOM_DAYS && space.free < grows.saturating_mul(2) {
        Line::warn("disk", text, cure)
    } else {
        Line::pass("disk", text)
    }
}

fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// The bytes of each day, in their order.
fn journal_days(directory: &Path) -> Vec<u64> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut days: Vec<(String, u64)> = Vec::new();
    for entry in entries {
        let (name, bytes) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata().map_or(0, |m| m.len()));
        if name.ends_with(".db") {
            days.push((name, bytes));
        }
    }
    days.sort();
    days.into_iter().map(|(_, bytes)| bytes).collect()
}

fn directory(state: &Path) -> Line {
    if let Err(error) = finished(state) {
        return Line::fail("state", error.to_string(), "emissiond restore --from ...");
    }
    match std::fs::metadata(state) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Line::warn("state", format!("{} cannot be seen by this user", state.display()), "ask as root")
        }
        Err(_) => Line::warn(
            "state",
            format!("{} is not there yet", state.display()),
            "the daemon makes it at its first start",
        ),
        Ok(found) if found.mode() & 0o077 != 0 => Line::warn(
            "state",
            format!("{} can be read by others: {:o}", state.display(), found.mode() & 0o777),
            format!("chmod 700 {}", state.display()),
        ),
        Ok(_) => Line::pass("state", format!("{} is its owner's alone", state.display())),
    }
}

/// The files whose content is nobody's business.
pub(crate) fn secrets(plan: &Plan) -> Vec<PathBuf> {
    let of_notifier = |channel: &Channel| match channel {
        Channel::Webhook { token_file, .. } | Channel::Alertmanager { token_file, .. } => token_file.clone(),
        Channel::Mail(mail) => mail.password_file.clone(),
        Channel::Mqtt { .. } => None,
    };
    let influx = plan.influx.as_ref().and_then(|influx| influx.token_file.clone());
    let https = plan.daemon.https.as_ref().map(|https| https.files.key.clone());
    let own =
        [plan.daemon.token_file.clone(), plan.mqtt.password_file.clone(), plan.mqtt.key_file.clone(), influx, https];
    own.into_iter().chain(plan.notifiers.iter().map(|notifier| of_notifier(&notifier.channel))).flatten().collect()
}

fn secret(path: &Path, unit: &Unit) -> Line {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(_) if unit.hands(path) => Line::warn(
            "secret",
            format!("{shown} is handed over while the service runs"),
            "systemctl start emissiond, and ask again as root",
        ),
        Err(error) => {
            Line::fail("secret", format!("{shown}: {error}"), "write it, or hand it over as a credential of the unit")
        }
        // Its rights are systemd's.
        Ok(_) if path.starts_with(HANDED) => Line::pass("secret", format!("{shown} is the service's alone")),
        Ok(found) if found.mode() & 0o077 != 0 => Line::warn(
            "secret",
            format!("{shown} can be read by others: {:o}", found.mode() & 0o777),
            format!("chmod 600 {shown}, and for the service: {}", Unit::cure(path)),
        ),
        Ok(_) => Line::pass("secret", format!("{shown} is its owner's alone")),
    }
}
