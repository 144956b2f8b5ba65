//! The unit of systemd: whether there is one, how it is kept apart from the rest of the machine, and what secrets it is handed.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::doctor::Line;
use crate::config::{HANDED, SECRETS, credential_name};

/// What the unit that is shipped says.
const WANTED: [(&str, &str); 6] = [
    ("DynamicUser", "yes"),
    ("NoNewPrivileges", "yes"),
    ("ProtectSystem", "strict"),
    ("PrivateDevices", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("Restart", "on-failure"),
];

/// The unit as systemd has it.
pub(crate) struct Unit {
    properties: BTreeMap<String, String>,
    /// All of its files.
    text: String,
}

impl Unit {
    pub(crate) fn read() -> Unit {
        let names: Vec<&str> = WANTED
            .iter()
            .map(|(name, _)| *name)
            .chain(["LoadState", "ActiveState", "UnitFileState", "WatchdogUSec"])
            .collect();
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
            let is_below = credential_name(path).is_some_and(|name| name.starts_with("secrets_"));
            let is_whole = id == "secrets" && from == Some(Path::new(SECRETS));
            id == name || (is_whole && is_below) || pattern.is_some_and(|start| name.starts_with(start))
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
        _ if of("UnitFileState") == "enabled" => Line::fail(
            "service",
            format!("it is to run, and does not: {state}"),
            "systemctl start emissiond; journalctl -u emissiond",
        ),
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
    let is_needed = unit.text.lines().any(|line| line == format!("LoadCredential=secrets:{SECRETS}"));
    if is_needed && !Path::new(SECRETS).exists() {
        let text = format!("{SECRETS} is not there, and without it the service does not start");
        lines.push(Line::fail("secret", text, format!("install -d -m 700 {SECRETS}")));
    }
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
        let (new, old) = (std::fs::read(path).ok()?, std::fs::read(handed.join(credential_name(path)?)).ok()?);
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
        let name = "emissiond.token";
        for handing in ["LoadCredential=emissiond.token:/etc/token\n", "ImportCredential=emissiond.*\n"] {
            assert_eq!(told(handing), None, "it does not run");
            std::fs::write(handed.join(name), "old").unwrap();
            assert!(told(handing).unwrap().contains("another than the service was handed"));
            std::fs::write(handed.join(name), "new").unwrap();
            assert_eq!(told(handing), None);
            std::fs::remove_file(handed.join(name)).unwrap();
        }
        let unit = |text: &str| Unit { properties: BTreeMap::new(), text: text.to_owned() };
        let package = unit("LoadCredential=secrets:/etc/emissiond/secrets\n");
        assert!(package.hands(Path::new("/etc/emissiond/secrets/token")));
        assert!(package.hands(Path::new("/etc/emissiond/conf.d/../secrets/a/token")));
        assert!(!package.hands(Path::new("/etc/emissiond/token")) && !package.hands(&path));
        let name = |path: &str| credential_name(Path::new(path)).unwrap();
        assert_eq!(name("/etc/emissiond/conf.d/../secrets/a/token"), "secrets_a_token", "as systemd names it");
        assert_eq!(name("/srv/secrets/token"), "token");
        assert!(!unit("LoadCredential=mine:/etc/emissiond/secrets\n").hands(Path::new("/etc/emissiond/secrets/token")));
    }
}
