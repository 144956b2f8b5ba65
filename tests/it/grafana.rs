//! The dashboards name nothing that the daemon does not write.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::alarms::hook::{Hook, MINUTE, minute};
use crate::broker::publish;
use crate::servers::{Daemon, Mosquitto, wait_for};

fn dashboards() -> Vec<(String, Value)> {
    let read = |name: &str| {
        let path = Path::new("deploy/grafana/dashboards").join(format!("{name}.json"));
        (name.to_owned(), serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    };
    ["cluster", "facility", "meters", "daemon"].map(read).into()
}

/// All texts under a key, anywhere.
fn texts(value: &Value, key: &str) -> Vec<String> {
    match value {
        Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name == key => vec![text.clone()],
                other => texts(other, key),
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(|value| texts(value, key)).collect(),
        _ => Vec::new(),
    }
}

/// The names and values that a Flux query compares: `r.level == "meter"`.
fn compared(query: &str) -> Vec<(String, String)> {
    let parts = query.split("r.").skip(1);
    let pair = |part: &str| {
        let (name, rest) = part.split_once(" == \"")?;
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        Some((name.to_owned(), rest.split('"').next()?.to_owned())).filter(|_| is_name)
    };
    parts.filter_map(pair).collect()
}

#[test]
fn queries_ask_for_what_is_written() {
    use emissiond::emission::Column;
    let columns = Column::ALL.iter().map(|column| format!("{}_kg", column.name()));
    let own = ["uncertainty_pct", "coverage", "revision"].map(str::to_owned);
    let emissions: BTreeSet<String> = columns.chain(own).collect();
    let alarms = BTreeSet::from(["state", "value", "limit", "excess_kg"].map(str::to_owned));
    let tags = ["level", "window", "network", "cluster", "facility", "meter"];
    let mut asked = 0;
    for (name, dashboard) in dashboards() {
        for query in texts(&dashboard, "query") {
            let compared = compared(&query);
            let measurement = compared.iter().find(|(name, _)| name == "_measurement").map(|(_, value)| value.as_str());
            let fields = match measurement {
                Some("emissions") => &emissions,
                Some("alarms") => &alarms,
                other => panic!("{name}: {other:?} in {query}"),
            };
            for (key, value) in &compared {
                asked += 1;
                match key.as_str() {
                    "_measurement" => {}
                    "_field" => assert!(fields.contains(value), "{name}: no field {value}"),
                    "level" => assert!(["meter", "facility", "cluster"].contains(&value.as_str()), "{name}: {value}"),
                    "window" => assert!(["15m", "1h", "1d", "1mo"].contains(&value.as_str()), "{name}: {value}"),
                    tag => assert!(tags.contains(&tag), "{name}: no tag {tag}"),
                }
            }
        }
    }
    assert!(asked > 80, "{asked}");
}

#[test]
fn metrics_are_those_of_the_daemon() {
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let database = "[influxdb]\nurl = \"http://127.0.0.1:9\"\norg = \"o\"\nbucket = \"b\"\ntoken_file = \"token\"\n";
    let config = format!("{}{database}", hook.config(MINUTE));
    let mut daemon = Daemon::new(&broker, &config, &[("token", "t")]);
    daemon.start();
    // Some are only there when there is something to count.
    let bad = ("plant/co2".to_owned(), b"{}".to_vec(), false);
    publish(&broker, 1e6, &[bad, minute("co2", emissiond::clock::now().0, 101)]);
    wait_for("the alarm", || (!hook.taken().is_empty()).then_some(()));
    let metrics = daemon.get("/metrics").unwrap().1;
    let known: BTreeSet<&str> =
        metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let mut asked = 0;
    for (name, dashboard) in dashboards() {
        for expression in texts(&dashboard, "expr") {
            for word in
                expression.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| w.starts_with("emissiond"))
            {
                let metric = word.trim_end_matches("_total").trim_end_matches("_bucket");
                assert!(known.contains(metric), "{name}: no metric {metric} in {known:?}");
                asked += 1;
            }
        }
    }
    assert!(asked >= 12, "{asked}");
    assert!(daemon.stop().success());
}
