//! How each rule stands, for whoever asks; and the marks that budgets pass, which are worth a line in the log and no alarm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::alert::{Judged, Kind, Line, Outlook, Period, Rule, Signal, State, Watched};
use crate::cluster::Topology;
use crate::format::state_name;
use crate::http::{Look, Planned, RuleView};
use crate::quantity::Time;

/// Parts of a budget, in hundredths.
const MARKS: [i128; 3] = [50, 75, 90];

/// How each rule stands for each of what it watches.
#[derive(Clone)]
pub(crate) struct Standings {
    rules: Arc<Mutex<BTreeMap<Line, RuleView>>>,
    /// The period, and the last mark that was passed in it.
    marks: BTreeMap<Line, (Time, i128)>,
}

impl Standings {
    /// Nothing is known yet.
    pub(crate) fn new(rules: &[Rule], topology: &Topology) -> Standings {
        let of = |rule| move |watched: &Watched| (line(rule, watched, topology), unknown(rule, watched, topology));
        let rules = rules.iter().flat_map(|rule| rule.watched.iter().map(of(rule))).collect();
        Standings { rules: Arc::new(Mutex::new(rules)), marks: BTreeMap::new() }
    }

    pub(crate) fn look(&self) -> Look<Vec<RuleView>> {
        let rules = Arc::clone(&self.rules);
        Arc::new(move || rules.lock().map(|rules| rules.values().cloned().collect()).unwrap_or_default())
    }

    /// Takes how a rule was judged.
    pub(crate) fn note(&mut self, rule: &Rule, watched: &Watched, topology: &Topology, (judged, now): (&Judged, Time)) {
        let line = line(rule, watched, topology);
        self.mark(rule, watched, topology, judged, &line);
        let Ok(mut rules) = self.rules.lock() else {
            return;
        };
        let view = rules.entry(line).or_insert_with(|| unknown(rule, watched, topology));
        view.planned = planned(rule, watched, topology, now);
        if let Some(turn) = judged.turns.last() {
            view.state = state_name(turn.state);
        }
        if let Some(seen) = judged.last {
            let shown = |millionths: i128| millionths as f64 / 1e6;
            (view.value, view.limit) = (Some(shown(seen.value)), Some(shown(seen.limit)));
        }
        if let (Kind::Budget(budget), Some(forecast)) = (&rule.kind, &judged.forecast) {
            // Of what is unknown it is known all the same.
            let kg = |mg: i128| Some(mg as f64 / 1e6);
            (view.value, view.limit) = (kg(forecast.used), kg(budget.total));
        }
        if let Some(forecast) = &judged.forecast {
            view.outlook = Some(Outlook::of(forecast));
        }
    }

    /// Nothing speaks for an alarm.
    pub(crate) fn is_well(&self, rule: &Rule, watched: &Watched, topology: &Topology) {
        if let Ok(mut rules) = self.rules.lock()
            && let Some(view) = rules.get_mut(&line(rule, watched, topology))
        {
            view.state = state_name(State::Normal);
        }
    }

    fn mark(&mut self, rule: &Rule, watched: &Watched, topology: &Topology, judged: &Judged, line: &Line) {
        let (Kind::Budget(budget), Some(forecast)) = (&rule.kind, &judged.forecast) else {
            return;
        };
        if matches!(budget.period, Period::Rolling(_)) {
            return;
        }
        // The period of the figures, which may be the one before.
        let (period, _) = budget.bounds(watched.zone(topology), forecast.at);
        let passed = |mark: &&i128| forecast.used.saturating_mul(100) >= budget.total.saturating_mul(**mark);
        let mark = MARKS.iter().filter(passed).max().copied().unwrap_or(0);
        let before = self.marks.insert(line.clone(), (period, mark));
        // What was passed before the daemon started is no news.
        if before.is_some_and(|(of, before)| mark > if of == period { before } else { 0 }) {
            let (rule, entity) = line;
            tracing::info!(rule, entity, used_pct = mark as i64, "a mark of the budget is passed");
        }
    }
}

fn line(rule: &Rule, watched: &Watched, topology: &Topology) -> Line {
    (rule.id.to_string(), watched.text(topology))
}

fn counts(signal: &Signal) -> Vec<String> {
    match signal {
        Signal::Columns(columns) => columns.iter().map(|column| format!("{}_mg", column.name())).collect(),
        Signal::Category(category) => vec![format!("by_category.{}", category.name())],
    }
}

fn planned(rule: &Rule, watched: &Watched, topology: &Topology, now: Time) -> Vec<Planned> {
    let points = rule.kind.planned(watched.zone(topology), now);
    points.into_iter().map(|(at, mg)| Planned { at: at.to_string(), kg: mg as f64 / 1e6 }).collect()
}

fn unknown(rule: &Rule, watched: &Watched, topology: &Topology) -> RuleView {
    let (rule_id, entity) = line(rule, watched, topology);
    RuleView {
        rule: rule_id,
        entity,
        kind: rule.kind.name(),
        priority: rule.priority,
        state: "unknown",
        value: None,
        limit: None,
        unit: rule.kind.unit(),
        outlook: None,
        out_of_service: rule.out_of_service.clone(),
        counts: counts(&rule.signal),
        planned: Vec::new(),
    }
}
