//! What a database lost or holds wrongly is found and repaired; what it knows better is left alone.

use serde_json::{Value, json};

use crate::broker::{EVENTS, publish};
use crate::harness::run;
use crate::servers::{Daemon, Influx, Mosquitto, wait_for};

const DAY_MS: i64 = 86_400_000;

fn reconcile(daemon: &Daemon, from: i64) -> (Value, bool, String) {
    let time = |ms: i64| emissiond::quantity::Time(ms).to_string();
    let mut command = daemon.command("reconcile");
    let output = run(command.args(["--from", &time(from), "--to", &time(from + 5 * DAY_MS)]));
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{said}")), output.status.success(), said)
}

fn report(points: u64, missing: u64, different: u64, newer: u64, strays: u64) -> Value {
    json!({ "points": points, "missing": missing, "different": different, "newer": newer, "strays": strays })
}

#[test]
fn what_the_database_lost_is_found_and_repaired() {
    let (broker, influx) = (Mosquitto::start(), Influx::start());
    let section = format!("[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"emissions\"\n{EVENTS}", influx.url);
    let mut daemon = Daemon::new(&broker, &section, &[]);
    daemon.start();
    let from = emissiond::clock::now().0 / DAY_MS * DAY_MS - 3 * DAY_MS;
    let message = |hour: i64| {
        let payload = format!(r#"{{"t":{},"kg":{}}}"#, from + hour * 3_600_000 + 60_000, hour + 1);
        ("plant/co2".to_owned(), payload.into_bytes(), false)
    };
    publish(&broker, 1e6, &(0..48).map(message).collect::<Vec<_>>());
    let held = |what: &str| {
        let query = format!(
            "SELECT count(revision) FROM emissions WHERE revision > 0 AND \"window\" = '{what}' AND level = 'cluster'"
        );
        influx.rows(&query).first().map_or(0, |row| row[1].as_i64().unwrap())
    };
    wait_for("the closed hours in the database", || (held("1h") == 48).then_some(()));
    wait_for("nothing to be behind", || (daemon.status()["influxdb"]["behind"] == 0).then_some(()));

    let (first, well, said) = reconcile(&daemon, from);
    // Meter: 48 quarters and hours, 2 days; facility and cluster: minutes as well.
    assert_eq!((&first, well), (&report(98 + 2 * 146, 0, 0, 0, 0), true), "{said}");

    let hour = |n: i64| (from + n * 3_600_000) * 1_000_000;
    influx.query(&format!("DELETE FROM emissions WHERE time = {} AND level = 'cluster'", hour(5)));
    let point = |n: i64, fields: &str| {
        let line = format!("emissions,cluster=c,level=cluster,window=1h {fields} {}\n", hour(n) / 1_000_000_000);
        assert_eq!(influx.write(&line), 204);
    };
    point(7, "scope1_kg=7.5");
    point(9, "revision=99i");
    point(60, "revision=1i");
    let (second, well, said) = reconcile(&daemon, from);
    assert_eq!((&second, well), (&report(98 + 2 * 146, 2, 1, 1, 1), false), "the hour's, and its quarter's: {said}");
    assert!(said.contains("the state directory is older"), "{said}");
    let (third, ..) = reconcile(&daemon, from);
    assert_eq!(third, report(98 + 2 * 146, 0, 0, 1, 1), "what was repaired is equal, the rest is left alone");
}
