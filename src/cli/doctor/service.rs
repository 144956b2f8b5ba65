//! The unit of systemd: whether there is one, how it is kept apart from the rest of the machine, and what secrets it is handed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::doctor::Line;
use crate::config::{HANDED, credential_names};

/// What the unit that is shipped says.
const WANTED: [(&str, &str); 6] = [
    ("DynamicUser", "yes"),
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("PrivateDevices", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("Restart", "on-failure"),
];

/// The directory that the package's unit is handed as a whole.
const SECRETS: &str = "/etc/emissiond/secrets";

/// The unit as systemd has it.
pub(crate) struct Unit {
    properties: BTreeMap<String, String>,
    /// All of its files.
    text: String,
}

impl Unit {
    pub(crate) fn read() -> Unit {
        let names: Vec<&str> =
            WANTED.iter().map(|(name, _)| *name).chain(["LoadState", "ActiveState", "WatchdogUSec"]).collect();
        let text = systemctl(&["show", "emissiond.service", "--property", &names.join(",")]);
        let property = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        Unit { properties: text.lines().filter_map(property).collect(), text: systemctl(&["cat", "emissiond.service"]) }
    }

    fn of(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    /// Whether a secret is one of its credentials, by name, or one of a directory's that it is handed as a whole.
    pub(crate) fn hands(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        self.text.lines().any(|line| {
            let named = line.strip_prefix("LoadCredential=").or_else(|| line.strip_prefix("LoadCredentialEncrypted="));
            let mut parts = named.unwrap_or("").splitn(2, ':');
            let (id, from) = (parts.next().unwrap_or(""), parts.next().map(Path::new));
            let pattern = line.strip_prefix("ImportCredential=").and_then(|pattern| pattern.strip_suffix('*'));
            id == name
                || from.is_some_and(|from| path.parent() == Some(from))
                || pattern.is_some_and(|s| name.starts_with(s))
        })
    }

    /// How it gets to the service.
    pub(crate) fn cure(path: &Path) -> String {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        format!(
            "put it into {SECRETS}, name it `secrets/{name}`, and restart; or, without the package: systemctl edit emissiond, \
             [Service] LoadCredential={name}:{}",
            path.display()
        )
    }
}

pub(crate) fn look(unit: &Unit, secrets: &[PathBuf]) -> Vec<Line> {
    let of = |name: &str| unit.of(name);
    if of("LoadState") != "loaded" {
        let cure = "install the package, or deploy/systemd/emissiond.service";
        return vec![Line::warn("service", "systemd knows no emissiond.service", cure)];
    }
    let state = of("ActiveState");
    let mut lines = vec![match state {
        "active" => Line::pass("service", "it runs"),
        "failed" | "activating" => {
            Line::fail("service", format!("it does not come up: {state}"), "journalctl -u emissiond says why")
        }
        _ => Line::warn(
            "service",
            format!("it does not run: {state}"),
            "systemctl start emissiond; journalctl -u emissiond",
        ),
    }];
    let differs: Vec<String> = WANTED
        .into_iter()
        .filter(|(name, wanted)| of(name) != *wanted)
        .map(|(name, wanted)| format!("{name} is {}, not {wanted}", of(name)))
        .collect();
    // Of a service that does not run systemd says nothing.
    let is_watched = state != "active" || !["", "0", "infinity"].contains(&of("WatchdogUSec"));
    lines.push(match (&differs[..], is_watched) {
        ([], true) => Line::pass("unit", "it is kept apart, watched and started again"),
        ([], false) => Line::warn("unit", "nobody notices when it hangs", "WatchdogSec=30"),
        _ => Line::warn("unit", differs.join("; "), "systemctl cat emissiond shows what changes it"),
    });
    if of("DynamicUser") == "yes" {
        lines.extend(secrets.iter().filter_map(|path| credential(unit, path, Path::new(HANDED))));
    }
    lines
}

fn systemctl(arguments: &[&str]) -> String {
    let output = Command::new("systemctl").args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Its user is nobody's: what is root's alone must be handed over, and is handed over anew by a restart alone.
fn credential(unit: &Unit, path: &Path, handed: &Path) -> Option<Line> {
    let shown = path.display();
    if unit.hands(path) {
        let old = credential_names(path).into_iter().find_map(|name| std::fs::read(handed.join(name)).ok())?;
        let new = std::fs::read(path).ok()?;
        let text = format!("{shown} is another than the service was handed");
        return (new != old).then(|| Line::warn("secret", text, "systemctl restart emissiond"));
    }
    let is_open = std::fs::metadata(path).ok()?.mode() & 0o004 != 0;
    (!is_open).then(|| Line::fail("secret", format!("the service cannot read {shown}"), Unit::cure(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_the_service_does_not_have_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (path, handed) = (directory.path().join("emissiond.token"), directory.path().join("handed"));
        std::fs::create_dir(&handed).unwrap();
        std::fs::write(&path, "new").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let told = |text: &str| {
            let unit = Unit { properties: BTreeMap::new(), text: text.to_owned() };
            credential(&unit, &path, &handed).map(|line| line.text())
        };
        assert!(told("LoadCredential=other:/etc/other\n").unwrap().contains("the service cannot read"));
        let names = credential_names(&path);
        let (own, of_directory) = (&names[0], &names[1]);
        let whole = format!("LoadCredential=secrets:{}\n", directory.path().display());
        let handings = [
            ("LoadCredential=emissiond.token:/etc/token\n", own),
            ("ImportCredential=emissiond.*\n", own),
            (whole.as_str(), of_directory),
        ];
        for (handing, name) in handings {
            assert_eq!(told(handing), None, "it does not run");
            std::fs::write(handed.join(name), "old").unwrap();
            assert!(told(handing).unwrap().contains("another than the service was handed"));
            std::fs::write(handed.join(name), "new").unwrap();
            assert_eq!(told(handing), None);
            std::fs::remove_file(handed.join(name)).unwrap();
        }
    }
}
