//! What a database lost or holds wrongly is found and repaired; what it knows better is left alone.

use serde_json::{Value, json};

use crate::broker::{EVENTS, publish};
use crate::harness::run;
use crate::servers::{Daemon, Influx, Mosquitto, wait_for};

const DAY_MS: i64 = 86_400_000;

fn reconcile(daemon: &Daemon, from: i64, more: &[&str]) -> (Value, bool, String) {
    let time = |ms: i64| emissiond::quantity::Time(ms).to_string();
    let mut command = daemon.command("reconcile");
    let output = run(command.args(["--from", &time(from), "--to", &time(from + 5 * DAY_MS)]).args(more));
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

    let (first, well, said) = reconcile(&daemon, from, &[]);
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
    let elsewhere =
        format!("emissions,cluster=former,level=cluster,window=1h revision=1i {}\n", hour(8) / 1_000_000_000);
    assert_eq!(influx.write(&elsewhere), 204);
    let (second, well, said) = reconcile(&daemon, from, &[]);
    assert_eq!((&second, well), (&report(98 + 2 * 146, 2, 1, 1, 2), false), "the hour's, and its quarter's: {said}");
    assert!(said.contains("the state directory is older"), "{said}");
    let (third, ..) = reconcile(&daemon, from, &[]);
    assert_eq!(third, report(98 + 2 * 146, 0, 0, 1, 2), "what was repaired is equal, the rest is left alone");
}

#[test]
fn a_state_directory_that_was_rolled_back_is_noticed_and_overwrites_nothing_newer() {
    let (broker, influx) = (Mosquitto::start(), Influx::start());
    let section = format!("[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"emissions\"\n{EVENTS}", influx.url);
    let mut daemon = Daemon::new(&broker, &section, &[]);
    daemon.start();
    let hour = emissiond::clock::now().0 / DAY_MS * DAY_MS - DAY_MS;
    let send = |minute: i64, kg: i64| {
        let payload = format!(r#"{{"t":{},"kg":{kg}}}"#, hour + minute * 60_000);
        publish(&broker, 1e6, &[("plant/co2".to_owned(), payload.into_bytes(), false)]);
    };
    let held = || {
        let query = "SELECT scope1_kg, revision FROM emissions WHERE level = 'facility' AND \"window\" = '1h'";
        influx.rows(query).iter().map(|row| (row[1].as_f64().unwrap(), row[2].as_i64().unwrap())).collect::<Vec<_>>()
    };
    let marked = || {
        let (mark, behind) = (influx.rows("SELECT changed FROM ledger"), daemon_behind(&daemon));
        (behind == 0).then(|| mark.first().map(|row| row[1].as_i64().unwrap())).flatten()
    };
    send(5, 3);
    wait_for("the closed hour", || (held() == [(3.0, 1)]).then_some(()));
    let early = wait_for("the mark", marked);
    assert!(daemon.stop().success());
    let (state, copy) = (daemon.files.path("state"), daemon.files.path("copy"));
    assert!(run(std::process::Command::new("cp").arg("-r").arg(&state).arg(&copy)).status.success());

    daemon.start();
    send(10, 4);
    send(70, 20);
    wait_for("its restatement, and the next hour", || (held() == [(7.0, 2), (20.0, 1)]).then_some(()));
    wait_for("the mark to move", || {
        influx
            .rows("SELECT changed FROM ledger")
            .first()
            .is_some_and(|row| row[1].as_i64().unwrap() > early)
            .then_some(())
    });
    daemon.kill();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::rename(&copy, &state).unwrap();

    daemon.start();
    wait_for("the notice", || (daemon.status()["influxdb"]["state_rolled_back"] == true).then_some(()));
    let lost = daemon.status()["influxdb"]["lost"][0].clone();
    assert!(lost["from"].as_str().unwrap() < lost["to"].as_str().unwrap(), "{lost}");
    // Another hour is written; the poorer versions of these are not.
    send(75, 9);
    send(130, 5);
    wait_for("the third hour", || (held().last() == Some(&(5.0, 1))).then_some(()));
    assert_eq!(held(), [(7.0, 2), (20.0, 1), (5.0, 1)]);
    daemon.kill();
    daemon.start();
    wait_for("nothing to be behind", || (daemon_behind(&daemon) == 0).then_some(()));
    assert_eq!(daemon.status()["influxdb"]["state_rolled_back"], true, "as long as a late reading may come");
    assert_eq!(held(), [(7.0, 2), (20.0, 1), (5.0, 1)]);

    let (found, well, said) = reconcile(&daemon, hour, &[]);
    assert!(!well && found["newer"].as_u64().unwrap() > 0 && found["different"] == 0, "{found} {said}");
    assert_eq!(held(), [(7.0, 2), (20.0, 1), (5.0, 1)]);
    let (found, well, said) = reconcile(&daemon, hour, &["--overwrite"]);
    assert!(well && found["different"].as_u64().unwrap() > 0, "{found} {said}");
    assert_eq!(held(), [(3.0, 1), (9.0, 1), (5.0, 1)], "what the ledger has");
}

fn daemon_behind(daemon: &Daemon) -> i64 {
    daemon.status()["influxdb"]["behind"].as_i64().unwrap()
}
