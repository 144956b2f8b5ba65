//! What a meter's readings are - a register, a rate, intervals, events, a state - and what goes with that.

use serde_json::Value;

use crate::cluster::{Category, Kind, Reset, Shape, Stamp};
use crate::config::meter::MeterCheck;
use crate::config::property;
use crate::config::value::Number;
use crate::emission::PropertyKind;
use crate::quantity::{Amount, Ratio, Span, Unit};

/// An interval longer than this is a billing period, not a meter reading.
const INTERVAL_MAX: Span = Span::days(35);

impl MeterCheck<'_> {
    /// A sum of meters has no readings, and no keys about them.
    pub(crate) fn derived(&mut self) -> Option<Kind> {
        let section = self.section;
        let keys = [
            ("topic", section.topic.is_some()),
            ("format", section.format.is_some()),
            ("value", section.value.is_some()),
            ("time", section.time.is_some()),
            ("time_format", section.time_format.is_some()),
            ("quality", section.quality.is_some()),
            ("null_values", section.null_values.is_some()),
            ("history", section.history.is_some()),
            ("registers", section.registers.is_some()),
            ("kind", section.kind.is_some()),
            ("scale", section.scale.is_some()),
            ("offset", section.offset.is_some()),
            ("interval", section.interval.is_some()),
            ("stamp", section.stamp.is_some()),
            ("shape", section.shape.is_some()),
            ("rollover_at", section.rollover_at.is_some()),
            ("reset", section.reset.is_some()),
            ("max_gap", section.max_gap.is_some()),
            ("max_rate", section.max_rate.is_some()),
            ("expected_every", section.expected_every.is_some()),
            ("typical", section.typical.is_some()),
            ("parent", section.parent.is_some()),
        ];
        for (key, _) in keys.into_iter().filter(|(_, written)| *written) {
            self.error("C006", key, format!("`{key}` is of readings, and a `sum` of meters has none; remove it"));
        }
        Some(Kind::Derived)
    }

    pub(crate) fn kind(&mut self, unit: Option<Unit>, category: Option<Category>) -> Option<Kind> {
        let section = self.section;
        if category == Some(Category::Property) {
            return self.gauge();
        }
        let Some(written) = &section.kind else {
            self.missing("kind", "register, interval, rate or event: what the number means");
            return None;
        };
        let kind = match written.as_str() {
            "register" => Some(self.register(unit)),
            "interval" => self.interval(),
            "rate" => {
                let shapes = [("linear", Shape::Linear), ("step", Shape::Step)];
                Some(Kind::Rate { shape: self.word("shape", section.shape.as_ref(), &shapes).unwrap_or(Shape::Linear) })
            }
            "event" => Some(Kind::Event),
            other => {
                self.checker.not_one_of(
                    &["meters", self.id, "kind"],
                    other,
                    &["register", "interval", "rate", "event"],
                );
                None
            }
        }?;
        self.out_of_place(kind);
        let is_rate = matches!(kind, Kind::Rate { .. });
        match unit {
            Some(unit) if is_rate && unit.per.is_none() => {
                let unit = section.unit.as_deref().unwrap_or("");
                self.error(
                    "C008",
                    "unit",
                    format!("a rate needs an amount per time, such as `{unit}/h` or `kW`, not `{unit}`"),
                );
                None
            }
            Some(unit) if !is_rate && unit.per.is_some() => {
                let unit = section.unit.as_deref().unwrap_or("");
                self.error(
                    "C008",
                    "unit",
                    format!("`{unit}` is an amount per time; use kind `rate`, or the unit of an amount such as `kWh`"),
                );
                None
            }
            _ => Some(kind),
        }
    }

    /// A property is a state, whatever its readings are called: each holds until the next.
    fn gauge(&mut self) -> Option<Kind> {
        let section = self.section;
        let words = ["gauge", "rate", "event"].map(|word| (word, ()));
        let kind = section.kind.as_ref();
        if kind.is_some() && self.word("kind", kind, &words).is_none() {
            return None;
        }
        for (key, written) in [("max_rate", section.max_rate.is_some()), ("rollover_at", section.rollover_at.is_some())]
        {
            if written {
                self.error("C006", key, format!("`{key}` is of amounts, and a property is none; remove it"));
            }
        }
        let mut hold = self.span("max_age", section.max_age.as_ref());
        for (user, section) in &self.declarations.file.meters {
            for kind in PropertyKind::ALL {
                let written = property::written(section, kind).filter(|w| property::metered(w) == Some(self.id));
                let age = written.and_then(|written| written.0.get("max_age")).and_then(Value::as_str);
                let Some(age) = age.and_then(Span::parse) else {
                    continue;
                };
                if *hold.get_or_insert(age) != age {
                    let message = format!(
                        "`max_age` is {age}, and {} elsewhere for the same meter `{}`: a reading holds equally long for all",
                        hold.unwrap_or(age),
                        self.id
                    );
                    self.checker.error("C006", &["meters", user, kind.name()], message);
                }
            }
        }
        let every = self.span("expected_every", section.expected_every.as_ref()).unwrap_or(Span::minutes(15));
        let hold = hold.unwrap_or(Span(every.0.saturating_mul(3)));
        if hold > INTERVAL_MAX {
            self.error("C006", "max_age", format!("a reading of a property may hold for at most {INTERVAL_MAX}"));
        }
        Some(Kind::Gauge { hold })
    }

    /// Keys of another kind would be without effect, so they are refused.
    fn out_of_place(&mut self, kind: Kind) {
        let section = self.section;
        let is = |name: &str| section.kind.as_deref() == Some(name);
        let keys = [
            ("interval", section.interval.is_some(), is("interval"), "interval"),
            ("stamp", section.stamp.is_some(), is("interval"), "interval"),
            ("shape", section.shape.is_some(), is("rate"), "rate"),
            ("rollover_at", section.rollover_at.is_some(), is("register"), "register"),
            ("reset", section.reset.is_some(), is("register"), "register"),
            ("max_rate", section.max_rate.is_some(), kind != Kind::Event, "register, interval or rate"),
        ];
        for (key, written, fits, owner) in keys {
            if written && !fits {
                self.error("C006", key, format!("`{key}` belongs to kind `{owner}`; remove it or change `kind`"));
            }
        }
    }

    fn register(&mut self, unit: Option<Unit>) -> Kind {
        let words = [("to-zero", Reset::ToZero), ("any-drop", Reset::AnyDrop), ("never", Reset::Never)];
        let reset = self.word("reset", self.section.reset.as_ref(), &words).unwrap_or(Reset::ToZero);
        let rollover_at = self.section.rollover_at.and_then(|Number(number)| {
            let (scale, _) = self.scale();
            let modulus = Ratio::from_decimal(number).and_then(|n| unit?.to_base(n.times(scale)?)).filter(|m| *m > 0);
            if modulus.is_none() && unit.is_some() {
                self.error(
                    "C006",
                    "rollover_at",
                    format!("`rollover_at` is {number}: not a modulus this unit can hold"),
                );
            }
            modulus
        });
        Kind::Register { rollover_at, reset }
    }

    fn interval(&mut self) -> Option<Kind> {
        let section = self.section;
        if section.interval.is_none() {
            self.missing_for("interval", "kind", "the period each reading covers, such as \"15m\"");
        }
        let length = self.span("interval", section.interval.as_ref());
        if length.is_some_and(|length| length > INTERVAL_MAX) {
            self.error("C006", "interval", format!("`interval` may be at most {INTERVAL_MAX}"));
        }
        let stamps = [("start", Stamp::Start), ("end", Stamp::End)];
        let stamp = self.word("stamp", section.stamp.as_ref(), &stamps).unwrap_or(Stamp::End);
        Some(Kind::Interval { length: length?, stamp })
    }

    pub(crate) fn cadence(&mut self, kind: Option<Kind>) -> (Option<Span>, Option<Span>) {
        let section = self.section;
        let written = self.span("expected_every", section.expected_every.as_ref());
        let expected = match kind {
            Some(Kind::Interval { length, .. }) => written.or(Some(length)),
            Some(Kind::Event | Kind::Derived) => written.or(Some(Span::days(1))),
            Some(Kind::Gauge { .. }) => written.or(Some(Span::minutes(15))),
            _ => {
                if section.expected_every.is_none() && kind.is_some() {
                    self.missing("expected_every", "how often a reading is due, such as \"10s\" or \"15m\"");
                }
                written
            }
        };
        let max_gap = match section.max_gap.is_some() {
            true => self.span("max_gap", section.max_gap.as_ref()),
            false => expected.map(|e| Span(e.0.saturating_mul(3))),
        };
        if max_gap.is_some_and(|gap| gap > INTERVAL_MAX) {
            let key = if section.max_gap.is_some() { "max_gap" } else { "expected_every" };
            self.error("C006", key, format!("`{key}` is too long: gaps are bridged up to {INTERVAL_MAX}"));
        }
        (expected, max_gap)
    }

    /// An amount per time in base units a day.
    pub(crate) fn rate(&mut self, key: &str, written: Option<&String>, unit: Option<Unit>) -> Option<i64> {
        let text = written?;
        let amount = match Amount::parse(text) {
            Ok(amount) if amount.unit.per.is_some() => amount,
            Ok(_) => {
                let message = format!("`{text}` is an amount; a rate is per time, such as `{text}/h`");
                self.error("C008", key, message);
                return None;
            }
            Err(problem) => {
                self.error("C008", key, problem.to_string());
                return None;
            }
        };
        let dimension = unit?.dimension;
        let Some(ratio) = amount.unit.dimension.convert(dimension) else {
            let (has, needs) = (amount.unit.dimension.noun(), dimension.noun());
            self.error("C008", key, format!("`{text}` is a rate of {has}; the meter measures {needs}"));
            return None;
        };
        let rate =
            amount.to_base().and_then(|base| ratio.of(i128::from(base))).and_then(|rate| i64::try_from(rate).ok());
        if rate.is_none() {
            self.error("C006", key, format!("`{text}` is more than any meter can show"));
        }
        rate
    }

    /// What the simulator plays: a rate, or the value of a property.
    pub(crate) fn typical(&mut self, unit: Option<Unit>, category: Option<Category>) -> Option<i64> {
        let text = self.section.typical.as_ref()?;
        if category != Some(Category::Property) {
            return self.rate("typical", Some(text), unit);
        }
        let amount = match Amount::parse_property(text) {
            Ok(amount) => amount,
            Err(problem) => {
                self.error("C008", "typical", problem.to_string());
                return None;
            }
        };
        if unit.is_some_and(|unit| unit.dimension != amount.unit.dimension) {
            self.error("C008", "typical", format!("`{text}` is not in the unit of the meter"));
        }
        let value = Ratio::from_decimal(amount.value).and_then(|value| value.plus(amount.unit.zero));
        value.and_then(|value| amount.unit.to_base(value))
    }
}
