//! What each kind of rule is told: its limit, budget or way.

use std::collections::BTreeMap;

use crate::alert::{Align, Budget, Burn, Gate, Kind, Limit, Pathway, Period, Profile, Shape, Signal};
use crate::cluster::{Category, Entity, MeterIx};
use crate::config::file::GoalSection;
use crate::config::problem::Severity;
use crate::config::rule::RuleCheck;
use crate::emission::Column;
use crate::quantity::{Amount, Ratio, Span, Window};

/// Windows that an average may be of: parts of an hour that begin with it, an hour, a day.
pub(crate) const AVERAGES: [(&str, Span); 8] = [
    ("1m", Span::minutes(1)),
    ("5m", Span::minutes(5)),
    ("10m", Span::minutes(10)),
    ("15m", Span::minutes(15)),
    ("20m", Span::minutes(20)),
    ("30m", Span::minutes(30)),
    ("1h", Span::minutes(60)),
    ("24h", Span::days(1)),
];
const PROJECTED: u8 = 1;

impl RuleCheck<'_> {
    /// What the rule compares for an entity, and what of it.
    pub(crate) fn kind(&mut self, kind: &str, entity: Entity) -> Option<(Kind, Signal)> {
        let signal = self.signal();
        match kind {
            "limit" => Some((Kind::Limit(self.limit(entity)?), signal?)),
            "budget" => Some((Kind::Budget(self.budget()?), signal?)),
            "burn" => Some((Kind::Burn(self.burn(entity)?), signal?)),
            _ => self.pathway(entity).map(|(pathway, own)| Some((Kind::Pathway(pathway), own.or(signal)?)))?,
        }
    }

    /// Keys of other kinds than this.
    pub(crate) fn out_of_place(&mut self, kind: &str) {
        let section = self.section;
        let keys = [
            ("average", section.average.is_some(), &["limit", "coverage", "imbalance", "quality"][..]),
            ("align", section.align.is_some(), &["limit"]),
            ("limit", section.limit.is_some(), &["limit"]),
            ("warn_at", section.warn_at.is_some(), &["limit"]),
            ("critical_at", section.critical_at.is_some(), &["limit"]),
            ("projected", section.projected.is_some(), &["limit"]),
            ("budget", section.budget.is_some(), &["budget", "burn"]),
            ("period", section.period.is_some(), &["budget", "burn"]),
            ("margin", section.margin.is_some(), &["budget"]),
            ("headroom", section.headroom.is_some(), &["burn"]),
            ("plan", section.plan.is_some(), &["budget", "burn", "pathway"]),
            ("baseline", section.baseline.is_some(), &["pathway"]),
            ("target", section.target.is_some(), &["pathway"]),
            ("shape", section.shape.is_some(), &["pathway"]),
            ("table", section.table.is_some(), &["pathway"]),
            ("over", section.over.is_some(), &["pathway"]),
            ("over_by", section.over_by.is_some(), &["pathway"]),
            ("when", section.when.is_some(), &["limit"]),
            ("at_least", section.at_least.is_some(), &["coverage"]),
            ("at_most", section.at_most.is_some(), &["quality"]),
            ("tolerance", section.tolerance.is_some(), &["imbalance"]),
            ("watch", section.watch.is_some(), &["daemon"]),
            ("deadband", section.deadband.is_some() && matches!(kind, "stale" | "daemon"), &[]),
            ("for", section.lasting.is_some() && kind == "stale", &[]),
            ("keep", section.keep.is_some() && kind == "stale", &[]),
        ];
        for (key, written, kinds) in keys {
            if written && !kinds.contains(&kind) {
                self.error(key, format!("`{key}` is of no use to a rule of kind `{kind}`"));
            }
        }
    }

    // ---- what of an entry ----------------------------------------------------------------------------------------

    fn signal(&mut self) -> Option<Signal> {
        let select = &self.section.select;
        let basis = self.select_word("basis", select.basis.as_ref(), &[("location", true), ("market", false)]);
        let gases =
            [("CO2e", None), ("CO2", Some(Column::Co2)), ("CH4", Some(Column::Ch4)), ("N2O", Some(Column::N2o))];
        let gas = self.select_word("gas", select.gas.as_ref(), &gases).flatten();
        let emitting = Category::ALL.into_iter().filter(|category| *category < Category::Generation);
        let categories: Vec<(&str, Category)> = emitting.map(|category| (category.name(), category)).collect();
        if let Some(category) = self.select_word("category", select.category.as_ref(), &categories) {
            if gas.is_some() || basis == Some(false) || select.scope.is_some() {
                self.wrong_select("category", "a `category` is counted in CO2e, location-based, and has its scope");
            }
            return Some(Signal::Category(category));
        }
        let scope2 = if basis == Some(false) { Column::Scope2Market } else { Column::Scope2Location };
        match (select.scope, gas) {
            (Some(1) | None, Some(gas)) => Some(Signal::Columns(vec![gas])),
            (Some(1), None) => Some(Signal::Columns(vec![Column::Scope1])),
            (Some(2), None) => Some(Signal::Columns(vec![scope2])),
            (None, None) => Some(Signal::Columns(vec![Column::Scope1, scope2])),
            (Some(2), Some(_)) => {
                self.wrong_select("gas", "scope 2 is kept in CO2e, not by gas");
                None
            }
            (Some(scope), _) => {
                self.wrong_select("scope", &format!("scope {scope} is not kept here; scopes are 1 and 2"));
                None
            }
        }
    }

    fn select_word<T: Copy>(&mut self, key: &str, written: Option<&String>, words: &[(&str, T)]) -> Option<T> {
        self.checker.word(&["rules", self.id, "select", key], written, words)
    }

    fn wrong_select(&mut self, key: &str, message: &str) {
        self.checker.error("C006", &["rules", self.id, "select", key], message.to_owned());
    }

    // ---- kinds ---------------------------------------------------------------------------------------------------

    fn limit(&mut self, entity: Entity) -> Option<Limit> {
        let section = self.section;
        let Some(average) = &section.average else {
            self.missing("average", &format!("one of {}", AVERAGES.map(|(name, _)| name).join(", ")));
            return None;
        };
        let average = self.checker.word(&["rules", self.id, "average"], Some(average), &AVERAGES);
        let aligns = [("clock", Align::Clock), ("sliding", Align::Sliding)];
        let align = self.checker.word(&["rules", self.id, "align"], section.align.as_ref(), &aligns);
        let align = align.unwrap_or(Align::Clock);
        let Some(limit) = &section.limit else {
            self.missing("limit", "such as `limit = \"820 kg/h\"`");
            return None;
        };
        let per_day = self.mass("limit", limit, true);
        let warn = self.share("warn_at", section.warn_at.as_ref(), (0, 1), 1);
        let critical = self.share("critical_at", section.critical_at.as_ref(), (0, 1), 100);
        if critical.is_positive() && !critical.minus(Ratio::ONE).is_some_and(Ratio::is_positive) {
            self.error("critical_at", "`critical_at` is not above the limit: write 1.2 for 120 % of it".to_owned());
        }
        let projected = section.projected.unwrap_or(align == Align::Clock) && align == Align::Clock;
        Some(Limit {
            per_day: per_day?,
            average: average?,
            align,
            levels: vec![Ratio::whole(0), warn, Ratio::ONE, critical],
            clear: self.clear(true),
            min_coverage_e4: self.min_coverage_e4(),
            projected: if projected { PROJECTED } else { 0 },
            gate: self.gate(),
            events: self.events(entity),
        })
    }

    /// The state of the plant in which it counts.
    fn gate(&mut self) -> Option<Gate> {
        let when = self.section.when.as_ref()?;
        let (Some(meter), Some(above)) = (&when.meter, &when.above) else {
            self.missing("when", "`when = { meter = \"boiler-steam\", above = \"2 t/h\" }`");
            return None;
        };
        let Some(ix) = self.topology.find_meter(meter) else {
            let known = self.topology.meters.iter().map(|meter| (meter.id.to_string(), ())).collect();
            if !self.checker.is_declared("meters", meter) {
                self.checker.reference(&["rules", self.id, "when", "meter"], meter, &known, "meters");
            }
            return None;
        };
        let amount = Amount::parse(above);
        let fits =
            |amount: &Amount| amount.unit.dimension == self.topology.meter(ix).dimension && amount.unit.per.is_some();
        let Some(amount) = amount.ok().filter(fits) else {
            let unit = &self.topology.meter(ix).unit;
            let message =
                format!("`above` is `{above}`; `{meter}` shows {unit}: write that over time, such as \"2 t/h\"");
            self.checker.error("C006", &["rules", self.id, "when", "above"], message);
            return None;
        };
        let base = Ratio::from_decimal(amount.value).and_then(|value| value.times(amount.unit.base));
        Some(Gate { meter: ix, above_per_day: base?.of_floor(1) })
    }

    /// Meters of amounts at an instant, which have no rate.
    fn events(&mut self, entity: Entity) -> Vec<MeterIx> {
        let events = self.members.events(entity).to_vec();
        if !events.is_empty() && !self.members.is_timed(entity) {
            let message = format!(
                "`{}` has only meters of kind `event`, which have no rate: it will never raise an alarm",
                self.topology.id(entity)
            );
            let help = Some("a total has a `budget`".to_owned());
            self.checker.push("C019", Severity::Warning, &["rules", self.id, "select"], message, help);
        }
        events
    }

    fn total(&mut self) -> Option<i128> {
        let Some(text) = &self.section.budget else {
            self.missing("budget", "such as `budget = \"4200 t\"`");
            return None;
        };
        self.mass("budget", text, false)
    }

    fn budget(&mut self) -> Option<Budget> {
        let total = self.total();
        let period = self.period();
        let margin = self.share("margin", self.section.margin.as_ref(), (5, 100), 1);
        let profile = self.profile()?;
        let (clear, min_coverage_e4) = (self.clear(false), self.min_coverage_e4());
        Some(Budget { total: total?, period: period?, profile, margin, clear, min_coverage_e4 })
    }

    /// A period of the calendar, or a span that always lies behind.
    fn period(&mut self) -> Option<Period> {
        let words = [
            ("day", Period::Calendar(Window::Day)),
            ("week", Period::Week),
            ("month", Period::Calendar(Window::Month)),
            ("quarter", Period::Quarter),
            ("year", Period::Calendar(Window::Year)),
        ];
        let Some(text) = &self.section.period else {
            self.missing(
                "period",
                "day, week, month, quarter or year; or a span such as \"30d\", which always ends now",
            );
            return None;
        };
        match Span::parse(text) {
            Some(span) if (Span::minutes(60)..=Span::days(366)).contains(&span) => Some(Period::Rolling(span)),
            Some(span) => {
                self.error("period", format!("`period` is {span}; expected 1h to 366d"));
                None
            }
            None => self.checker.word(&["rules", self.id, "period"], Some(text), &words),
        }
    }

    fn burn(&mut self, entity: Entity) -> Option<Burn> {
        let total = self.total();
        let words = [("month", Window::Month), ("year", Window::Year)];
        let Some(period) = &self.section.period else {
            self.missing("period", "month or year");
            return None;
        };
        let period = self.checker.word(&["rules", self.id, "period"], Some(period), &words)?;
        let headroom = self.share("headroom", self.section.headroom.as_ref(), (5, 100), 1);
        if !headroom.is_positive() {
            self.error("headroom", "without headroom every gram above the plan is an alarm".to_owned());
            return None;
        }
        let slowest = self.members.slowest(&[entity]).unwrap_or(Span(0));
        Some(Burn {
            total: total?,
            headroom: headroom.of_floor(total?),
            period,
            profile: self.profile()?,
            paces: Burn::usual(period, slowest),
            clear: self.clear(true),
            min_coverage_e4: self.min_coverage_e4(),
        })
    }

    /// Even, or by 12 months, or by the 168 hours of a week.
    fn profile(&mut self) -> Option<Profile> {
        let Some(written) = &self.section.plan else {
            return Some(Profile::Linear);
        };
        if written.0 == "last_year" {
            return Some(Profile::LastYear);
        }
        let numbers = written.weights().unwrap_or_default();
        let mut weights = Vec::new();
        for number in &numbers {
            let weight = Ratio::from_decimal(*number).map(|weight| weight.of_floor(1_000));
            weights.extend(weight.and_then(|weight| u32::try_from(weight).ok()).filter(|weight| *weight <= 1_000_000));
        }
        let is_whole = weights.len() == numbers.len() && weights.iter().any(|weight| *weight > 0);
        match (is_whole, <[u32; 12]>::try_from(weights.as_slice()), <[u32; 168]>::try_from(weights.as_slice())) {
            (true, Ok(months), _) => Some(Profile::Months(months)),
            (true, _, Ok(hours)) => Some(Profile::Hours(Box::new(hours))),
            _ => {
                let message = "`plan` is the weights of 12 months, or of the 168 hours of a week from Monday; each from 0 to \
                               1000, with three decimals; or \"last_year\"";
                self.error("plan", message.to_owned());
                None
            }
        }
    }

    /// By the rule's own baseline and target, or those of its cluster; with what these count.
    fn pathway(&mut self, entity: Entity) -> Option<(Pathway, Option<Signal>)> {
        let cluster = self.cluster(entity);
        let baseline = self.section.baseline.as_ref().or_else(|| cluster?.baseline.as_ref());
        let target = self.section.target.as_ref().or_else(|| cluster?.target.as_ref());
        let (Some(baseline), Some(target)) = (baseline, target) else {
            let key = if baseline.is_none() { "baseline" } else { "target" };
            self.missing(key, "such as `{ year = 2021, value = \"16 Mt\" }`, here or at the cluster");
            return None;
        };
        let own = of_goal(baseline).filter(|_| self.selects_all());
        let (base, goal) = (self.goal("baseline", baseline)?, self.goal("target", target)?);
        if base.0 >= goal.0 {
            self.error("target", format!("the target's year {} is not after the baseline's, {}", goal.0, base.0));
            return None;
        }
        let shape = self.shape(base, goal)?;
        let over = self.share("over", self.section.over.as_ref(), (5, 100), 10);
        let over_mg = match &self.section.over_by {
            Some(text) => self.mass("over_by", text, false)?,
            None => 0,
        };
        let (profile, clear) = (self.profile()?, self.clear(false));
        let min_coverage_e4 = self.min_coverage_e4();
        Some((Pathway { base, target: goal, shape, profile, over, over_mg, clear, min_coverage_e4 }, own))
    }

    fn selects_all(&self) -> bool {
        let select = &self.section.select;
        select.scope.is_none() && select.gas.is_none() && select.category.is_none()
    }

    fn goal(&mut self, key: &str, goal: &GoalSection) -> Option<(i16, i128)> {
        let year = goal.year.and_then(|year| i16::try_from(year).ok());
        // Nought is a target like any other.
        let is_zero = goal.value.as_ref().is_some_and(|text| text.trim().split(' ').next() == Some("0"));
        let mg = match &goal.value {
            Some(_) if is_zero => Some(0),
            Some(text) => self.mass(key, text, false),
            None => None,
        };
        year.zip(mg)
    }

    fn shape(&mut self, base: (i16, i128), target: (i16, i128)) -> Option<Shape> {
        if let Some(table) = &self.section.table {
            return self.table(table);
        }
        let words = [("linear", false), ("geometric", true)];
        let path = ["rules", self.id, "shape"];
        match self.checker.word(&path, self.section.shape.as_ref(), &words).unwrap_or(false) {
            true if target.1 <= 0 || base.1 <= 0 => {
                let message = "a geometric way never reaches nought: write `shape = \"linear\"`, or a `table`";
                self.error("shape", message.to_owned());
                None
            }
            true => Some(Shape::Geometric),
            false => Some(Shape::Linear),
        }
    }

    fn table(&mut self, table: &BTreeMap<String, String>) -> Option<Shape> {
        let mut points = Vec::new();
        for (year, text) in table {
            let Some(parsed) = year.parse::<i16>().ok().filter(|year| (1990..=2100).contains(year)) else {
                self.error("table", format!("`{year}` is no year from 1990 to 2100"));
                continue;
            };
            points.extend(self.mass("table", text, false).map(|mg| (parsed, mg)));
        }
        points.sort_unstable();
        (points.len() == table.len()).then_some(Shape::Table(points))
    }
}

/// What a published goal counts, where it says so.
fn of_goal(goal: &GoalSection) -> Option<Signal> {
    let is_co2 = goal.gas.as_deref() == Some("CO2");
    match goal.scopes.as_deref() {
        Some([1]) if is_co2 => Some(Signal::Columns(vec![Column::Co2])),
        Some([1]) => Some(Signal::Columns(vec![Column::Scope1])),
        Some([2]) => Some(Signal::Columns(vec![Column::Scope2Location])),
        _ => None,
    }
}
