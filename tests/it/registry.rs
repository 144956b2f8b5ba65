//! Lists of meters as engineers keep them: 400 rows, some of them faulty, as a workbook and as a text of another country.

use std::path::Path;

use rust_xlsxwriter::Workbook;
use serde_json::Value;

use crate::broker::publish;
use crate::harness::{Files, emissiond, run};
use crate::servers::{Daemon, Mosquitto, wait_for};

const CONFIG: &str = r#"
[registry]
files = ["meters.csv"]
[clusters.c]
timezone = "Europe/Paris"
grid = "eea_fr"
[facilities.werk]
cluster = "c"
[facilities.hafen]
cluster = "c"
"#;

const HEADER: [&str; 14] = [
    "ID",
    "Bezeichnung",
    "Anlage",
    "Medium",
    "Scope",
    "Topic",
    "Wert",
    "Zeit",
    "Art",
    "Einheit",
    "Skalierung",
    "Max Rate",
    "expected every",
    "Gültig ab",
];

fn row(at: usize) -> Vec<String> {
    let facility = if at.is_multiple_of(2) { "werk" } else { "hafen" };
    let texts = [
        &format!("m{at:03}"),
        &format!("Zähler {at}"),
        facility,
        "Strom",
        "2",
        &format!("werk/el/{at}"),
        "/kwh",
        "/ts",
        "register",
        "kWh",
        "0,01",
        "500,5 kW",
        "10s",
        "01.01.2026",
    ];
    texts.map(str::to_owned).to_vec()
}

/// Seven mistakes, each in a cell: row in the file, column, text.
const FAULTS: [(usize, usize, &str); 7] = [
    (5, 9, "kWhh"),
    (17, 2, "hafn"),
    (42, 8, "registre"),
    (99, 10, "1.000"),
    (250, 12, "soon"),
    (301, 0, "M 299"),
    (401, 11, "500,5 Nm3/h"),
];
const CELLS: [&str; 7] = ["J5", "C17", "I42", "K99", "M250", "A301", "L401"];

fn rows(faulty: bool) -> Vec<Vec<String>> {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend((0..400).map(row));
    for (line, column, text) in FAULTS.iter().filter(|_| faulty) {
        rows[line - 1][*column] = (*text).to_owned();
    }
    rows
}

fn workbook(path: &Path, rows: &[Vec<String>]) {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("Meters").unwrap();
    for (at, row) in rows.iter().enumerate() {
        for (column, text) in row.iter().enumerate() {
            // As a spreadsheet keeps what was typed as a number.
            match text.replace(',', ".").parse::<f64>() {
                Ok(number) if text != "1.000" => {
                    sheet.write_number(at as u32, column as u16, number).map(drop).unwrap()
                }
                _ => sheet.write_string(at as u32, column as u16, text).map(drop).unwrap(),
            }
        }
    }
    workbook.save(path).unwrap();
}

/// Semicolons, decimal commas, Windows-1252.
fn text(path: &Path, rows: &[Vec<String>]) {
    let lines: String = rows.iter().map(|row| format!("{}\r\n", row.join(";"))).collect();
    let latin: Vec<u8> = lines.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    std::fs::write(path, latin).unwrap();
}

fn import(files: &Files, list: &str, more: &[&str]) -> (i32, String, String) {
    let mut command = emissiond();
    command.args(["meters", "import"]).arg(files.path(list)).args(more).arg("--config").arg(files.path("c.toml"));
    let output = run(&mut command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn all_faulty_cells_are_named_and_nothing_is_applied() {
    let files = Files::new(&[("c.toml", CONFIG)]);
    workbook(&files.path("list.xlsx"), &rows(true));
    text(&files.path("list.csv"), &rows(true));
    for (list, sheet) in [("list.xlsx", "Meters!"), ("list.csv", "")] {
        let (code, out, said) = import(&files, list, &[]);
        assert_eq!(code, 78, "{out}{said}");
        for cell in CELLS {
            assert!(out.contains(&format!("rejected  {sheet}{cell}: ")), "{list}: {cell}\n{out}{said}");
        }
        assert!(said.ends_with("nothing is applied\n"), "{said}");
        assert!(!files.path("meters.csv").exists());
    }
}

#[test]
fn a_repaired_list_is_taken_whole_and_comes_out_as_it_went_in() {
    let files = Files::new(&[("c.toml", CONFIG)]);
    workbook(&files.path("list.xlsx"), &rows(false));
    text(&files.path("list.csv"), &rows(false));
    let (code, out, said) = import(&files, "list.xlsx", &["--dry-run"]);
    assert_eq!((code, out.lines().last()), (0, Some("400 new, 0 changed, 0 removed, 0 rejected")), "{said}");
    assert!(!files.path("meters.csv").exists());
    let (code, _, said) = import(&files, "list.xlsx", &[]);
    assert_eq!(code, 0, "{said}");
    let output = run(emissiond().args(["check", "--config"]).arg(files.path("c.toml")));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains(" 400 meters,"), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    // The text says the same; and what is exported is what is there.
    let (code, out, _) = import(&files, "list.csv", &["--dry-run"]);
    assert_eq!((code, out.as_str()), (0, "0 new, 0 changed, 0 removed, 0 rejected\n"));
    let exported = run(emissiond().args(["meters", "export", "--config"]).arg(files.path("c.toml"))).stdout;
    assert_eq!(exported, std::fs::read(files.path("meters.csv")).unwrap());
}

/// From the list to the books: imported beside a running daemon, taken at its reload, and read from then on.
#[test]
fn imported_meters_are_live() {
    let broker = Mosquitto::as_shipped();
    let plain = "id,series,use,gas,value,unit\nown,own,grid,CO2,0.5,kg/kWh\n";
    let config = CONFIG.replace("\"meters.csv\"", "").replace("eea_fr", "own");
    let config = format!("[factors]\nfiles = [\"own.csv\"]\n{config}");
    let mut daemon = Daemon::new(&broker, &config, &[("own.csv", plain)]);
    daemon.start();
    text(&daemon.files.path("list.csv"), &rows(false));
    let config = daemon.files.path("c.toml");
    let listed = std::fs::read_to_string(&config).unwrap().replace("files = []", "files = [\"meters.csv\"]");
    std::fs::write(&config, listed).unwrap();
    let (code, _, said) = import(&daemon.files, "list.csv", &[]);
    assert_eq!(code, 0, "{said}");
    let detail = daemon.hang_up()["last_reload"]["detail"].clone();
    assert!(detail.as_str().is_some_and(|detail| detail.starts_with("meters: 400 new")), "{detail}");
    wait_for("the new topics", || (daemon.status()["mqtt"]["subscribed"] == true).then_some(()));
    let now = emissiond::clock::now().0;
    let start = now - now % 900_000 - 3_600_000;
    // Each meter counts one hundredth of a kilowatt-hour more than the one before it.
    let reading = |at: usize, minute: i64, raw: usize| {
        let payload = format!("{{\"ts\":{},\"kwh\":{raw}}}", start + minute * 60_000);
        (format!("werk/el/{at}"), payload.into_bytes(), false)
    };
    let messages: Vec<_> = (0..400).flat_map(|at| [reading(at, 0, 1_000), reading(at, 10, 1_000 + at)]).collect();
    publish(&broker, 1e6, &messages);
    let accepted = |status: &Value| status["messages"]["accepted"] == 800;
    wait_for("every reading", || Some(daemon.status()).filter(accepted));
    // Half a kilogram for each kilowatt-hour.
    let expected_mg: i64 = (0..400).map(|at| at * 5_000).sum();
    let booked = || -> i64 {
        daemon.entries("meter", "1y").iter().map(|entry| entry["scope2_location_mg"].as_i64().unwrap()).sum()
    };
    wait_for("the emissions of all", || (booked() == expected_mg).then_some(()));
    let meters: Value = serde_json::from_str(&daemon.get("/api/v1/meters").unwrap().1).unwrap();
    let meters = meters.as_array().unwrap();
    assert_eq!(meters.len(), 400);
    assert!(meters.iter().all(|meter| !meter["last_reading"].is_null()), "{meters:?}");
    assert!(daemon.stop().success());
}

#[test]
fn what_changes_is_shown() {
    let list = "id,facility,topic,format,unit,kind,expected_every,category\n";
    let meter = |id: &str, unit: &str| format!("{id},werk,t/{id},number,{unit},register,10s,memo\n");
    let before = format!("{list}{}{}", meter("a", "kWh"), meter("b", "kWh"));
    let after = format!("{list}{}{}", meter("a", "MWh"), meter("c", "kWh"));
    let files = Files::new(&[("c.toml", CONFIG), ("meters.csv", &before), ("new.csv", &after)]);
    let (code, out, said) = import(&files, "new.csv", &["--dry-run"]);
    assert_eq!(code, 0, "{said}");
    let expected =
        "changed   a: unit \"kWh\" -> \"MWh\"\nnew       c\nremoved   b\n1 new, 1 changed, 1 removed, 0 rejected\n";
    assert_eq!(out, expected);
}

fn problems(files: &Files) -> Vec<Value> {
    let output = run(emissiond().args(["check", "--format", "json", "--config"]).arg(files.path("c.toml")));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_meter_is_declared_in_one_place() {
    let list = "id;facility;topic;format;unit;kind;expected_every;category\na;werk;t;number;kWh;register;10s;memo\n";
    let meter = "\n[meters.a]\nfacility = \"werk\"\ntopic = \"t\"\n";
    let files = Files::new(&[("c.toml", &format!("{CONFIG}{meter}")), ("meters.csv", list)]);
    let problems = problems(&files);
    let twice = problems.iter().find(|problem| problem["code"] == "C015").unwrap();
    assert_eq!(twice["cell"], "A2");
    assert!(twice["message"].as_str().unwrap().contains("c.toml:"), "{twice}");
}

#[test]
fn columns_are_known_by_other_names_and_mistyped_ones_are_told() {
    let list = "id,facility,topic,unitt,kind,expected_every,category,Kostenstelle\na,werk,t,kWh,register,10s,memo,17\n";
    let files = Files::new(&[("c.toml", CONFIG), ("meters.csv", list)]);
    let problems = problems(&files);
    let told: Vec<(&str, &str)> =
        problems.iter().map(|p| (p["cell"].as_str().unwrap(), p["message"].as_str().unwrap())).collect();
    assert!(told.contains(&("D1", "unknown column `unitt`; did you mean `unit`?")), "{told:?}");
    assert!(told.contains(&("H1", "column `Kostenstelle` is not used")), "{told:?}");
    assert!(told.iter().any(|(cell, message)| *cell == "A2" && message.contains("needs `unit`")), "{told:?}");
}

fn told(list: &str, more: &str) -> Vec<(String, String)> {
    let files = Files::new(&[("c.toml", &format!("{CONFIG}{more}")), ("meters.csv", list)]);
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    problems(&files).iter().map(|problem| (text(&problem["cell"]), text(&problem["message"]))).collect()
}

#[test]
fn cells_that_may_be_misread_are_told() {
    let head = "id,facility,topic,format,unit,kind,expected_every,category,scale,note\n";
    // An unquoted decimal comma moves what is behind it into the next cell.
    let moved = told(&format!("{head}a,werk,t,number,kWh,register,10s,memo,1,5,text\n"), "");
    assert!(moved.iter().any(|(cell, message)| cell == "K2" && message.contains("without a name")), "{moved:?}");
    let thousands = told(&format!("{head}a,werk,t,number,kWh,register,10s,memo,\"1,026\",\n"), "");
    assert!(thousands.iter().any(|(cell, message)| cell == "I2" && message.contains("may be 1026")), "{thousands:?}");
    let short = told(&format!("{head}a,werk,t,number,kWh,register\n"), "");
    assert!(short.iter().any(|(cell, message)| cell == "G2" && message.contains("`expected_every`")), "{short:?}");
    assert!(short.iter().any(|(cell, message)| cell == "H2" && message.contains("`category`")), "{short:?}");
}

#[test]
fn a_template_comes_before_what_a_list_leaves_to_be_understood() {
    let list = "id,facility,topic,medium,value,time\npv,werk,t,Electricity,/kwh,/ts\n";
    let template =
        "[templates.plant]\ncategory = \"generation\"\nkind = \"register\"\nunit = \"kWh\"\nexpected_every = \"1m\"\n";
    let config = CONFIG.replace("[registry]", "[registry]\ntemplate = \"plant\"");
    let files = Files::new(&[("c.toml", &format!("{config}{template}")), ("meters.csv", list)]);
    let output = run(emissiond().args(["meters", "list", "--config"]).arg(files.path("c.toml")));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("generation"), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    let medium = told("id,facility,topic,medium\na,werk,t,Erdgas\n", "");
    assert!(medium.iter().any(|(cell, message)| cell == "D2" && message.contains("`scope` is 1")), "{medium:?}");
}

/// A stray cell in the last corner of a sheet would be a table of seventeen thousand million cells.
#[test]
fn a_stray_cell_is_told_and_takes_no_memory() {
    let files = Files::new(&[("c.toml", CONFIG)]);
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write_string(0, 0, "id").unwrap();
    sheet.write_string(1_048_575, 16_383, "x").unwrap();
    workbook.save(files.path("list.xlsx")).unwrap();
    let (code, _, said) = import(&files, "list.xlsx", &[]);
    assert!(code == 78 && said.contains("cell XFD1048576 is beyond"), "{said}");
}
