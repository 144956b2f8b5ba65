//! Every field format of the shared samples, with its preset: decoded to what it means, or refused for the reason it should be.

use serde_json::{Value, json};

use crate::gateway::{Metric, payload};
use crate::harness::{Files, emissiond, run, shared_data};
use crate::sparkplug::base64;

const FACILITY: &str = r#"
[clusters.c]
timezone = "Europe/Paris"
[facilities.f]
cluster = "c"
[meters.m]
facility = "f"
topic = "a/b"
category = "memo"
"#;

/// What one message becomes for a meter with these keys: its readings, `value unit at time` or the reason of the refusal.
fn decode(keys: &str, message: &[&str]) -> Vec<String> {
    let files = Files::new(&[("c.toml", &format!("{FACILITY}{keys}\n"))]);
    let mut check = emissiond();
    check.args(["check", "--format", "json", "--topic"]).args(message).arg("--config").arg(files.path("c.toml"));
    let output = run(&mut check);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with('{'), "{keys}: {text}{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_str(&text).unwrap();
    let word = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let shown = |reading: &Value| match &reading["refused"] {
        Value::Null => format!("{} {} at {}", word(&reading["value"]), word(&reading["unit"]), word(&reading["time"])),
        reason => word(reason),
    };
    let readings: Vec<String> = seen["readings"].as_array().unwrap().iter().map(shown).collect();
    if readings.is_empty() { vec![word(&seen["outcome"])] } else { readings }
}

const RECEIVED: &str = "2026-01-01T00:00:05Z";

fn check(keys: &str, payload: &str, expected: &[&str]) {
    let found = decode(keys, &["a/b", "--payload", payload, "--received", RECEIVED]);
    assert_eq!(found, expected, "{keys}\n{payload}");
}

struct Samples(Vec<Value>);

impl Samples {
    fn read() -> Option<Samples> {
        let text = std::fs::read_to_string(shared_data()?.join("payload_samples.json")).unwrap();
        let all: Value = serde_json::from_str(&text).unwrap();
        Some(Samples(all["samples"].as_array().unwrap().clone()))
    }

    fn payload(&self, name: &str) -> String {
        let sample = self.0.iter().find(|sample| sample["name"] == name);
        match &sample.unwrap_or_else(|| panic!("no sample {name}"))["payload"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn check(&self, name: &str, keys: &str, expected: &[&str]) {
        // Received soon after it was sent, whenever that was.
        let received = expected.iter().find_map(|text| text.split(" at ").nth(1)).unwrap_or(RECEIVED);
        let payload = self.payload(name);
        let found = decode(keys, &["a/b", "--payload", &payload, "--received", received]);
        assert_eq!(found, expected, "{name}: {keys}\n{payload}");
    }
}

const POWER: &str = "kind = \"rate\"\nunit = \"kW\"\nexpected_every = \"1m\"\n";
const COUNT: &str = "kind = \"register\"\nunit = \"m3\"\nexpected_every = \"1m\"\n";

#[test]
fn presets_that_need_nothing_else() {
    let Some(samples) = Samples::read() else { return };
    samples.check("tasmota_sensor", "format = \"tasmota\"", &["9098.245 kWh at 2021-10-26T15:28:45Z"]);
    samples.check("shelly_gen2_emdata", "format = \"shelly-emdata\"", &["119878.25 Wh at 2026-01-01T00:00:05Z"]);
    samples.check(
        "shelly_gen2_emdata",
        "format = \"shelly-emdata\"\nvalue = \"/total_act_ret\"",
        &["1607.05 Wh at 2026-01-01T00:00:05Z"],
    );
    samples.check("shelly_gen2_em1", "format = \"shelly-em1\"", &["5080.3 W at 2026-01-01T00:00:05Z"]);
    samples.check("zigbee2mqtt_plug", "format = \"zigbee2mqtt\"", &["31.02 kWh at 2025-10-15T17:10:57Z"]);
    samples.check("wmbusmeters_water", "format = \"wmbusmeters-water\"", &["123.529 m3 at 2024-03-03T18:37:00Z"]);
    samples.check("wmbusmeters_heat", "format = \"wmbusmeters-heat\"", &["3781 kWh at 2023-01-14T07:20:22Z"]);
}

#[test]
fn presets_with_a_point() {
    let Some(samples) = Samples::read() else { return };
    let point = |format: &str, value: &str| format!("format = \"{format}\"\nvalue = \"{value}\"\n{COUNT}");
    samples.check("neuron_values", &point("neuron", "tag0"), &["123 m3 at 2022-04-15T07:06:28.943Z"]);
    samples.check("neuron_values", &point("neuron", "tag1"), &["bad-quality"]);
    samples.check("neuron_values", &point("neuron", "tag2"), &["unmapped"]);
    samples.check("siemens_databus_bulk", &point("siemens-databus", "103"), &["4.123 m3 at 2022-07-21T13:01:50.159Z"]);
    samples.check("siemens_databus_bulk", &point("siemens-databus", "101"), &["not-a-number"]);
    samples.check("opcua_pubsub_json", &point("opcua-pubsub", "1/nCounter"), &["18 m3 at 2026-01-01T00:00:05Z"]);
    samples.check("opcua_pubsub_json", &point("opcua-pubsub", "2/myNewVariable"), &["42 m3 at 2026-01-01T00:00:05Z"]);
    samples.check("opcua_pubsub_json", &point("opcua-pubsub", "1/bToogle"), &["not-a-number"]);
    let delta = "opcua_publisher_deltaframe";
    samples.check(delta, &point("opcua-pubsub", "1/StepUp"), &["23305 m3 at 2022-03-18T12:55:21.331Z"]);
    samples.check(delta, &point("opcua-pubsub", "1/BadFastUInt1"), &["bad-quality"]);
    let many = "thingsboard_gateway";
    samples.check(many, &point("thingsboard-gateway", "AM-1-1/m3"), &["123 m3 at 2026-01-01T00:00:00Z"]);
    let flow = "format = \"thingsboard-gateway\"\nvalue = \"AM-1-1/m3/h\"\nkind = \"rate\"\nunit = \"m3/h\"\nexpected_every = \"1m\"";
    samples.check(many, flow, &["87 m3/h at 2026-01-01T00:00:00Z"]);
    samples.check("advantech_adam_di", &point("advantech-adam", "di1"), &["not-a-number"]);
}

#[test]
fn presets_of_radio_sensors() {
    let Some(samples) = Samples::read() else { return };
    let up = format!("format = \"chirpstack\"\nvalue = \"energy\"\n{COUNT}");
    samples.check("chirpstack_v4_up", &up, &["missing-value"]);
    check(
        &up,
        r#"{"time":"2026-01-01T00:00:00.775023242+00:00","data":"qg==","object":{"energy":7.5}}"#,
        &["7.5 m3 at 2026-01-01T00:00:00.775Z"],
    );
    let pulses = "format = \"milesight-em300-di\"\nscale = 0.01\nunit = \"m3\"";
    samples.check("milesight_em300_di", pulses, &["2.56 m3 at 2022-10-12T08:02:38Z"]);
    check(
        pulses,
        r#"{"time":"2026-01-01T00:00:00Z","object":{"pulse":300,"history":[{"pulse":256,"timestamp":1767222000}]}}"#,
        &["3 m3 at 2026-01-01T00:00:00Z", "2.56 m3 at 2025-12-31T23:00:00Z"],
    );
    let charge = "format = \"milesight-ct101\"\nscale = 0.23\nunit = \"kWh\"\nuncertainty_pct = 20";
    samples.check("milesight_ct101", charge, &["23 kWh at 2026-01-01T00:00:05Z"]);
    check(charge, r#"{"current_sensor_status":"read failed"}"#, &["missing-value"]);
}

#[test]
fn text_lines_and_packs() {
    let Some(samples) = Samples::read() else { return };
    samples.check("plain_number", &format!("format = \"number\"\n{COUNT}"), &["45 m3 at 2026-01-01T00:00:05Z"]);
    let line = format!("format = \"influx-line\"\nvalue = \"mqtt_consumer,host=pop-os value\"\n{COUNT}");
    samples.check("influx_line_over_mqtt", &line, &["45 m3 at 2022-05-26T15:32:20.440Z"]);
    let name = "urn:dev:ow:10e2073a01080063:voltage";
    samples.check("senml_json", &format!("format = \"senml\"\nvalue = \"{name}\"\n{COUNT}"), &["other-unit"]);
    let volts = format!("format = \"senml\"\nvalue = \"{name}\"\n{COUNT}scale = 2");
    samples.check("senml_json", &volts, &["240.2 m3 at 2026-01-01T00:00:05Z"]);
    let keys = format!("format = \"teltonika\"\nregisters = \"u32\"\n{COUNT}");
    samples.check("teltonika_data_to_server", &keys, &["not-a-number"]);
    check(&keys, r#"{"TS":"1767225600","D":"[17,42105]"}"#, &["1156217 m3 at 2026-01-01T00:00:00Z"]);
    check(
        &keys,
        r#"[{"TS":"1767225600","D":"[17,42105]"},{"TS":"1767225601","D":"[17,42106]"}]"#,
        &["1156217 m3 at 2026-01-01T00:00:00Z", "1156218 m3 at 2026-01-01T00:00:01Z"],
    );
}

/// What is no reading is not taken for one.
#[test]
fn messages_about_other_things() {
    let Some(samples) = Samples::read() else { return };
    for name in ["home_assistant_discovery", "thin_edge_alarm", "thin_edge_health", "siemens_databus_metadata"] {
        samples.check(name, &format!("format = \"json\"\nvalue = \"/energy\"\n{COUNT}"), &["missing-value"]);
    }
    samples.check("tasmota_lwt", "format = \"tasmota\"", &["malformed"]);
}

#[test]
fn sparkplug_samples() {
    let sample = |topic: &str, value: &str| {
        format!("{}format = \"sparkplug\"\nvalue = \"{value}\"\n{COUNT}", FACILITY.replace("a/b", topic))
    };
    let look = |topic: &str, value: &str, bytes: &[u8], at: &str| {
        let files = Files::new(&[("c.toml", &sample(topic, value))]);
        let mut check = emissiond();
        check.args([
            "check",
            "--format",
            "json",
            "--topic",
            topic,
            "--payload-base64",
            &base64(bytes),
            "--received",
            at,
        ]);
        let output = run(check.arg("--config").arg(files.path("c.toml")));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let topic = "spBv1.0/Sparkplug B Devices/DDATA/Raspberry Pi/Pibrella";
    let metric =
        Metric { name: Some("Inputs/A"), timestamp: Some(1_486_144_502_122), long: Some(1), ..Metric::default() };
    let bytes = payload(1_486_144_502_122, Some(0), &[metric]);
    let seen = look(topic, "Inputs/A", &bytes, "2017-02-03T17:55:03Z");
    assert_eq!(seen["readings"][0]["time"], json!("2017-02-03T17:55:02.122Z"));
    let topic = "spBv1.0/ClusterA/DDATA/gw-07/boiler-2";
    let metric =
        Metric { alias: Some(11), timestamp: Some(1_767_225_599_000), double: Some(184_233.25), ..Metric::default() };
    let seen = look(topic, "Gas/Volume", &payload(1_767_225_600_000, Some(17), &[metric]), RECEIVED);
    assert_eq!(seen["outcome"], json!("no-birth"), "its birth is not on the wire");
    let null = Metric { name: Some("Gas/Volume"), null: true, ..Metric::default() };
    let seen = look(topic, "Gas/Volume", &payload(1_767_225_600_000, Some(17), &[null]), RECEIVED);
    assert_eq!(seen["readings"][0]["refused"], json!("null-value"));
}

/// Payloads as the makers' manuals show them.
#[test]
fn presets_without_a_shared_sample() {
    let kepware = format!("format = \"kepware\"\nvalue = \"Plant.Meter.Total\"\n{COUNT}");
    let values = |good: bool| {
        format!(
            r#"{{"timestamp":1767225600500,"values":[{{"id":"Plant.Meter.Other","v":7,"q":true,"t":1767225600000}},{{"id":"Plant.Meter.Total","v":4211.5,"q":{good},"t":1767225600250}}]}}"#
        )
    };
    check(&kepware, &values(true), &["4211.5 m3 at 2026-01-01T00:00:00.250Z"]);
    check(&kepware, &values(false), &["bad-quality"]);
    let tags = r#"{"timestamp":1767225600000,"node":"modbus","group":"grp","tags":[{"name":"total","value":12.5},{"name":"flow","error":3002}]}"#;
    let neuron = |tag: &str| format!("format = \"neuron-tags\"\nvalue = \"{tag}\"\n{COUNT}");
    check(&neuron("total"), tags, &["12.5 m3 at 2026-01-01T00:00:00Z"]);
    check(&neuron("flow"), tags, &["bad-quality"]);
    let uplink = r#"{"end_device_ids":{"device_id":"gas-7"},"received_at":"2026-01-01T00:00:02.1Z","uplink_message":{"f_port":2,"frm_payload":"AAEC","decoded_payload":{"volume":1022.75},"received_at":"2026-01-01T00:00:01.9Z"}}"#;
    let ttn = |key: &str| format!("format = \"ttn\"\nvalue = \"{key}\"\n{COUNT}");
    check(&ttn("volume"), uplink, &["1022.75 m3 at 2026-01-01T00:00:01.900Z"]);
    check(&ttn("energy"), uplink, &["missing-value"]);
    let victron = format!("format = \"victron\"\n{POWER}");
    check(&victron, r#"{"value": 1.25}"#, &["1.25 kW at 2026-01-01T00:00:05Z"]);
    check(&victron, r#"{"value": null}"#, &["missing-value"]);
}

/// Other makers, by keys alone.
#[test]
fn what_no_preset_is_for() {
    let json = |keys: &str| format!("format = \"json\"\n{keys}\n{COUNT}");
    check(
        &json("value = \"/Body/Data/Site/E_Total\"\ntime = \"/Head/Timestamp\"\ntime_format = \"rfc3339\""),
        r#"{"Head":{"Timestamp":"2026-01-01T01:00:00+01:00"},"Body":{"Data":{"Site":{"E_Total":5.5}}}}"#,
        &["5.5 m3 at 2026-01-01T00:00:00Z"],
    );
    check(
        &json("value = \"/Outputs/[ID=2]/Energy\""),
        r#"{"Outputs":[{"ID":1,"Energy":5},{"ID":2,"Energy":"17,5 m3"}]}"#,
        &["not-a-number"],
    );
    check(
        &json("value = \"/Outputs/[ID=2]/Energy\"\ndecimal = \",\""),
        r#"{"Outputs":[{"ID":1,"Energy":5},{"ID":2,"Energy":"1.017,5 m3"}]}"#,
        &["1017.5 m3 at 2026-01-01T00:00:05Z"],
    );
    check(
        &json(
            "value = \"/v\"\ntime = \"/t\"\ntime_format = \"%d.%m.%Y %H:%M:%S\"\nquality = \"/q\"\nquality_good = [\"GOOD\"]",
        ),
        r#"{"t":"01.01.2026 01:00:00","v":"9","q":"GOOD"}"#,
        &["9 m3 at 2026-01-01T00:00:00Z"],
    );
    check(&json("value = \"/ai1\"\nnull_values = [9999.9999, \"n/a\"]"), r#"{"ai1":9999.99990}"#, &["null-value"]);
    check(
        &json("value = [\"/new/v\", \"/old\"]\ntime = [\"/at\", \"received\"]\ntime_format = \"us\""),
        r#"{"old":3,"at":1767225600000000}"#,
        &["3 m3 at 2026-01-01T00:00:00Z"],
    );
    check(&json("value = \"/v\"\ndecimal = \",\""), r#"{"v":12.345}"#, &["12.345 m3 at 2026-01-01T00:00:05Z"]);
    check(&json("value = \"/v\"\ndecimal = \",\""), r#"{"v":"1234.567"}"#, &["not-a-number"]);
    let interval = "kind = \"interval\"\ninterval = \"15m\"\nunit = \"kWh\"";
    let line = format!("format = \"influx-line\"\nvalue = \"v\"\n{interval}");
    check(&line, "m v=5", &["missing-time"]);
    let pack = format!("format = \"senml\"\nvalue = \"e\"\n{interval}");
    check(&pack, r#"[{"n":"e","v":5,"t":-3}]"#, &["missing-time"]);
    check(&pack, r#"[{"n":"e","v":5,"t":1767225600}]"#, &["5 kWh at 2026-01-01T00:00:00Z"]);
    check(&pack, r#"[{"bt":-3,"n":"e","v":5}]"#, &["missing-time"]);
    let two = r#"[{"bt":-60,"n":"e","v":5},{"bt":1767225600,"n":"e","v":6}]"#;
    check(&pack, two, &["missing-time", "6 kWh at 2026-01-01T00:00:00Z"]);
    check(&pack, r#"[{"bt":1767225600,"n":"e","v":5,"t":null}]"#, &["bad-time"]);
    let power = format!("format = \"senml\"\nvalue = \"m:p\"\n{POWER}");
    check(&power, r#"[{"bn":"m:","n":"p","u":"W","v":1500,"t":-5}]"#, &["1.5 kW at 2026-01-01T00:00:00Z"]);
    let energy =
        "format = \"senml-sum\"\nvalue = \"m:p\"\nkind = \"register\"\nunit = \"kWh\"\nexpected_every = \"1m\"";
    check(energy, r#"[{"n":"m:p","u":"W","v":1500,"s":7200000}]"#, &["2 kWh at 2026-01-01T00:00:05Z"]);
    check(energy, r#"[{"n":"m:p","u":"V","s":7200000}]"#, &["other-unit"]);
}
