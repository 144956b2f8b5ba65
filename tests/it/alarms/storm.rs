//! Storms: alarms that come and go, gateways that fall silent, what people put aside.

use std::fmt::Write as _;

use serde_json::Value;

use crate::alarms::hook::{Hook, METERS, MINUTE, end_of, minute, overrun};
use crate::broker::{Publication, publish};
use crate::harness::{emissiond, number, run};
use crate::servers::{Daemon, Mosquitto, wait_for, wait_for_long};

/// `EMISSIOND_STORM` makes a campaign of it: every second minute is over.
#[test]
fn flips_are_told_a_few_times() {
    let flips: i64 = number("EMISSIOND_STORM", 400);
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let mut daemon = Daemon::new(
        &broker,
        &hook.config(&format!("{MINUTE}min_coverage = 0\n[ledger]\nlate_horizon = \"30d\"\n")),
        &[],
    );
    daemon.start();
    let start = emissiond::clock::now().0 - (2 * flips + 60) * 60_000;
    let at = |flip: i64| start + flip * 60_000;
    let messages: Vec<Publication> =
        (0..2 * flips).map(|flip| minute("co2", at(flip), if flip % 2 == 0 { 150 } else { 50 })).collect();
    publish(&broker, 2_000.0, &messages);
    let known = || {
        let (_, text) = daemon.get("/api/v1/alarms?limit=10000")?;
        let alarms: Vec<Value> = serde_json::from_str(&text).ok()?;
        (alarms.len() as i64 == flips && alarms.iter().all(|alarm| alarm["state"] == "returned")).then_some(())
    };
    wait_for_long("all alarms in the record", known);
    // The first three with their ends, and the fourth, which says that it comes and goes.
    let told = wait_for("the fourth", || Some(hook.taken()).filter(|taken| taken.len() >= 7));
    assert_eq!((told.len(), hook.messages() <= 7), (7, true), "{told:?}");
    let came = hook.came.lock().unwrap();
    let alerts = came.iter().flat_map(|(_, body, _)| body["alerts"].as_array().unwrap().clone());
    let says_so = |alert: &Value| alert["annotations"]["summary"].as_str().unwrap().contains("it comes and goes");
    assert_eq!(alerts.filter(says_so).count(), 1);
}

/// So many meters behind a gateway, each of which is due every second.
const METERS_OF_GATEWAY: usize = 400;

#[test]
fn a_silent_gateway_is_one_message() {
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let mut config = String::from(
        "[clusters.c]\ntimezone = \"UTC\"\n[facilities.f]\ncluster = \"c\"\n[rules.silent]\nkind = \"stale\"\n\
         select = { facility = \"f\" }\n[templates.t]\nfacility = \"f\"\nformat = \"json\"\nvalue = \"/v\"\ntime = \"/t\"\n\
         time_format = \"ms\"\nkind = \"rate\"\nunit = \"kg/h\"\nexpected_every = \"1s\"\nstale_after = \"5s\"\n\
         category = \"cems-co2\"\ngateway = \"gw-1\"\n",
    );
    for meter in 0..METERS_OF_GATEWAY {
        let _ = writeln!(config, "[meters.m{meter}]\ntemplate = \"t\"\ntopic = \"plant/{meter}\"");
    }
    let _ = writeln!(config, "[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/alarm\"", hook.port);
    let mut daemon = Daemon::new(&broker, &config, &[]);
    daemon.start();
    let round = |from: usize| {
        let now = emissiond::clock::now().0;
        let of = |meter| (format!("plant/{meter}"), format!("{{\"t\":{now},\"v\":1}}").into_bytes(), false);
        publish(&broker, 1e6, &(from..METERS_OF_GATEWAY).map(of).collect::<Vec<Publication>>());
    };
    round(0);
    let silent = || {
        let (_, text) = daemon.get("/api/v1/alarms?state=active&limit=1000")?;
        let alarms: Vec<Value> = serde_json::from_str(&text).ok()?;
        (alarms.len() == METERS_OF_GATEWAY + 1).then_some(alarms)
    };
    let alarms = wait_for_long("all of them silent", silent);
    let suppressed = alarms.iter().filter(|alarm| alarm["condition"] == "suppressed").count();
    assert_eq!(suppressed, METERS_OF_GATEWAY, "what the gateway says is said once");
    let told = wait_for("the gateway's alarm", || Some(hook.taken()).filter(|taken| !taken.is_empty()));
    assert!(told.len() == 1 && told[0].0.starts_with("silent/gateway/gw-1/"), "{told:?}");
    // When it is back, so are they, one after the other; that is said once as well.
    let back = || {
        round(0);
        let (_, text) = daemon.get("/api/v1/alarms?state=active")?;
        (text == "[]\n").then_some(())
    };
    wait_for_long("all of them back", back);
    let told = wait_for("its end", || Some(hook.taken()).filter(|taken| taken.len() > 1));
    assert_eq!((told.len(), told[1].1.as_str(), hook.messages()), (2, "resolved", 2), "{told:?}");
    // One meter alone says nothing of what its gateway did.
    let alone = || {
        round(1);
        let (_, text) = daemon.get("/api/v1/alarms?state=active")?;
        text.contains("silent/meter/m0/").then_some(())
    };
    wait_for_long("one silent meter", alone);
    let of_gateway = daemon.get("/api/v1/alarms?entity=gateway/gw-1").unwrap().1;
    let of_gateway: Vec<Value> = serde_json::from_str(&of_gateway).unwrap();
    assert_eq!((of_gateway.len(), &of_gateway[0]["state"]), (1, &"returned".into()), "{of_gateway:?}");
}

/// What is put aside is not told, and comes back by itself; out of service means out of service.
#[test]
fn what_is_put_aside_is_in_the_record_alone() {
    let (broker, hook) = (Mosquitto::start(), Hook::start(0));
    let mut daemon = Daemon::new(&broker, &hook.config(MINUTE), &[]);
    daemon.start();
    let (at, readings) = overrun();
    publish(&broker, 1e6, &readings);
    let told = wait_for("the alarm", || Some(hook.taken()).filter(|taken| !taken.is_empty()));
    let id = told[0].0.split('#').next().unwrap().to_owned();
    let path = format!("/api/v1/alarms/{}/shelve", id.replace('/', "%2F"));
    let wrong = [
        ("{\"by\":\"A\",\"reason\":\"\",\"for\":\"1h\"}", "`reason` says why"),
        ("{\"by\":\"A\",\"reason\":\"known\",\"for\":\"13h\"}", "up to 12 hours"),
        ("{\"by\":\"\",\"reason\":\"known\",\"for\":\"1h\"}", "`by` is empty"),
        ("{\"by\":\"A\"}", "missing field"),
    ];
    for (body, expected) in wrong {
        let (code, text) = daemon.post(&path, body, None);
        assert!(code == 400 && text.contains(expected), "{body}: {code} {text}");
    }
    let body = "{\"by\":\"A. Lee\",\"reason\":\"the boiler is tested\",\"for\":\"12h\"}";
    assert_eq!(daemon.post(&path, body, None).0, 204);
    let condition = || {
        let alarms: Value = serde_json::from_str(&daemon.get("/api/v1/alarms?state=active")?.1).ok()?;
        alarms[0]["condition"].as_str().map(str::to_owned)
    };
    wait_for("the shelf", || (condition()? == "shelved").then_some(()));
    // Out of service it stays in the record, and its end is told to whom knows of it.
    let config = format!("{METERS}{MINUTE}out_of_service = \"the stack is closed\"\n");
    let notify = format!("[notify.ops]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/alarm\"\n", hook.port);
    assert_eq!(daemon.reload(&format!("{config}{notify}"))["last_reload"]["result"], "applied");
    wait_for("the state", || (condition()? == "out-of-service").then_some(()));
    publish(&broker, 1e6, &end_of(at));
    wait_for("its end", || hook.taken().iter().any(|(_, status)| status == "resolved").then_some(()));
    assert_eq!(hook.taken().len(), 2);
    let output = run(emissiond().args(["alarms", "history", "--json", "-c"]).arg(daemon.files.path("c.toml")));
    let alarms: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(alarms[0]["condition"], "returned-unacknowledged", "{alarms}");
}
