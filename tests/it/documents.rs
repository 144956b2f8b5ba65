//! The reference says what the code says.

use std::collections::BTreeSet;

use crate::broker::EVENTS;
use crate::harness::{Files, emissiond, run};
use crate::servers::{Daemon, Mosquitto};

#[test]
fn generated_pages_are_those_that_are_published() {
    let files = Files::new(&[]);
    assert!(run(emissiond().arg("generate").arg("--to").arg(files.path("generated"))).status.success());
    for entry in std::fs::read_dir(files.path("generated/reference")).unwrap() {
        let path = entry.unwrap().path();
        let published = std::path::Path::new("docs/reference").join(path.file_name().unwrap());
        let same = std::fs::read_to_string(&published).ok() == std::fs::read_to_string(&path).ok();
        assert!(same, "write {} anew: emissiond generate --to target/generated", published.display());
    }
}

/// Names and helps of all metrics of a daemon, as its page of them lists them.
#[test]
fn metrics_are_those_that_are_documented() {
    let broker = Mosquitto::start();
    let rules = "[rules.r]\nkind = \"limit\"\nselect = { facility = \"f\" }\naverage = \"1h\"\nlimit = \"1 t/h\"\n\
                 [notify.n]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\n\
                 [influxdb]\nurl = \"http://127.0.0.1:1\"\norg = \"o\"\nbucket = \"b\"\n";
    let mut daemon = Daemon::new(&broker, &format!("{EVENTS}{rules}"), &[]);
    daemon.start();
    let (_, text) = daemon.get("/metrics").unwrap();
    let told = |line: &str| -> Option<(String, String)> {
        let (name, help) = line.strip_prefix("# HELP ")?.split_once(' ')?;
        Some((name.to_owned(), help.trim_end_matches('.').to_owned()))
    };
    let found: BTreeSet<(String, String)> = text.lines().filter_map(told).collect();
    let mut page = "# Metrics\n\n`/metrics`, in OpenMetrics.\n\n| metric | is |\n|---|---|\n".to_owned();
    found.iter().for_each(|(name, help)| page.push_str(&format!("| `{name}` | {help} |\n")));
    let path = "docs/reference/metrics.md";
    if std::env::var_os("EMISSIOND_WRITE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), page, "write it anew: EMISSIOND_WRITE=1 tests/run documents::");
    assert!(daemon.stop().success());
}

/// Every link of the documents leads somewhere.
#[test]
fn links_lead_somewhere() {
    let mut pages = vec![std::path::PathBuf::from("README.md")];
    for folder in ["docs", "docs/howto", "docs/explanation", "docs/reference"] {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        pages.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    let mut wrong = Vec::new();
    let mut linked = BTreeSet::new();
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            match path.canonicalize() {
                Ok(path) => drop(linked.insert(path)),
                Err(_) => wrong.push(format!("{}: {link}", page.display())),
            }
        }
    }
    let orphans = pages.iter().skip(1).filter(|page| !linked.contains(&page.canonicalize().unwrap()));
    wrong.extend(orphans.map(|page| format!("nothing leads to {}", page.display())));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
