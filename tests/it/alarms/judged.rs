//! Random emissions against a limit: the turns are those of a naive reckoning, in whatever order the readings arrive.

use fastrand::Rng;
use serde_json::Value;

use crate::alarms::CLUSTER;
use crate::harness::{Files, emissiond, message, number, run};

const MINUTES: usize = 600;

/// What is drawn: kilograms of each minute, and the rule.
struct Case {
    kg: Vec<i64>,
    average: usize,
    limit: i64,
    lasting: i64,
    keep: i64,
    deadband_pct: i64,
}

impl Case {
    fn draw(random: &mut Rng) -> Case {
        let mut level = 10;
        let kg = (0..MINUTES)
            .map(|_| {
                if random.u8(..) < 12 {
                    level = random.i64(0..25);
                }
                (level + random.i64(-2..3)).max(0)
            })
            .collect();
        Case {
            kg,
            average: [1, 5, 30, 60][random.usize(..4)],
            limit: random.i64(5..20),
            lasting: [0, 0, 1, 5][random.usize(..4)],
            keep: [0, 0, 3, 10][random.usize(..4)],
            deadband_pct: [0, 3, 20][random.usize(..3)],
        }
    }

    fn rule(&self) -> String {
        format!(
            "[rules.r]\nkind = \"limit\"\nselect = {{ facility = \"f\" }}\naverage = \"{}\"\nalign = \"sliding\"\n\
             limit = \"{} kg/min\"\nfor = \"{}m\"\nkeep = \"{}m\"\ndeadband = \"{} %\"\nmin_coverage = 1\n",
            if self.average == 60 { "1h".to_owned() } else { format!("{}m", self.average) },
            self.limit,
            self.lasting,
            self.keep,
            self.deadband_pct
        )
    }

    /// Minute by minute: over, or kept by deadband or delay, or not.
    fn turns(&self) -> Vec<(i64, &'static str)> {
        let mut turns = Vec::new();
        let (mut state, mut since, mut held) = ("unknown", None, i64::MIN);
        for at in 1..=MINUTES {
            let window = &self.kg[at.saturating_sub(self.average)..at];
            let sum: i64 = window.iter().sum();
            let full = self.limit * self.average as i64;
            let minute = at as i64;
            let is_over = sum > full;
            if !is_over && at < self.average {
                since = None;
                continue;
            }
            since = is_over.then(|| since.unwrap_or(minute));
            if is_over || sum * 100 > full * (100 - self.deadband_pct) {
                held = minute;
            }
            let lasts = since.is_some_and(|since| minute - since >= self.lasting);
            let stays = state == "over" && (held == minute || minute - held < self.keep);
            let next = if lasts || stays { "over" } else { "normal" };
            if next != state {
                turns.push((minute, next));
                state = next;
            }
        }
        turns
    }
}

fn found(files: &Files) -> Vec<(String, String)> {
    let mut replay = emissiond();
    replay.args(["replay", "--alarms", "--config"]).arg(files.path("c.toml"));
    let output = run(replay.arg("--messages").arg(files.path("m.jsonl")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let turns = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    turns.filter(|turn| turn["level"] == "alarm").map(|turn| (text(&turn["at"]), text(&turn["state"]))).collect()
}

/// `EMISSIOND_ALARMS` makes a campaign of it.
#[test]
fn turns_are_those_of_a_naive_reckoning_in_any_order_of_arrival() {
    let seeds: u64 = number("EMISSIOND_ALARMS", 12);
    let start = 1_767_225_600_000;
    let time = |minute: i64| emissiond::quantity::Time(start + minute * 60_000).to_string();
    for seed in 0..seeds {
        let mut random = Rng::with_seed(seed);
        let case = Case::draw(&mut random);
        let mut total = 0;
        let mut readings = vec![(0, 0)];
        for (at, kg) in case.kg.iter().enumerate() {
            total += kg;
            readings.push((at as i64 + 1, total));
        }
        // Some arrive late, some twice, in any order.
        let again: Vec<_> = readings.iter().filter(|_| random.u8(..) < 20).copied().collect();
        readings.extend(again);
        random.shuffle(&mut readings);
        let line = |(minute, total): &(i64, i64)| {
            message(&time(MINUTES as i64), "plant/co2", &format!("{{\"t\":\"{}\",\"kg\":{total}}}", time(*minute)))
        };
        let messages = readings.iter().map(line).collect::<Vec<_>>().join("\n");
        let files = Files::new(&[("c.toml", &format!("{CLUSTER}{}", case.rule())), ("m.jsonl", &messages)]);
        let expected: Vec<_> = case.turns().iter().map(|(at, state)| (time(*at), (*state).to_owned())).collect();
        assert_eq!(found(&files), expected, "seed {seed}: {}", case.rule());
    }
}
