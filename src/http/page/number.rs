//! Figures as people read them: four or five digits, in a unit that fits. `page.js` writes them in the same way.

use crate::http::board::Figure;
use crate::quantity::{Time, Zone};

/// Milligrams as kg, t, kt or Mt.
pub(super) fn mass(mg: i128) -> String {
    scaled(mg as f64 / 1e6, "")
}

/// Kilograms an hour as kg/h, t/h or kt/h.
pub(super) fn rate(kg_per_hour: f64) -> String {
    scaled(kg_per_hour, "/h")
}

/// Kilograms.
pub(super) fn kilograms(kg: f64) -> String {
    scaled(kg, "")
}

fn scaled(kg: f64, per: &str) -> String {
    let steps = [(1e9, "Mt"), (1e6, "kt"), (1e3, "t")];
    let (part, unit) = steps.into_iter().find(|(step, _)| kg.abs() >= *step).unwrap_or((1.0, "kg"));
    format!("{} {unit}{per}", digits(kg / part))
}

/// As many as matter.
fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        size if size < 10.0 => 3,
        size if size < 100.0 => 2,
        _ => 1,
    };
    format!("{value:.decimals$}")
}

/// A part in a hundred.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// A value of a rule in its unit.
pub(super) fn value(value: f64, unit: &str) -> String {
    match unit {
        "kg" => kilograms(value),
        "kg/h" => rate(value),
        _ => format!("{} {unit}", digits(value)).trim_end().to_owned(),
    }
}

/// `2026-11-26 14:05` in a zone.
pub(super) fn local(text: &str, zone: &Zone) -> String {
    Time::parse_rfc3339(text).map_or_else(|| text.to_owned(), |time| zone.text("%Y-%m-%d %H:%M", time))
}

/// The same text with all times in it in a zone.
pub(super) fn localised(text: &str, zone: &Zone) -> String {
    text.split(' ').map(|word| local(word, zone)).collect::<Vec<_>>().join(" ")
}

/// What stands behind a figure: its time, how much of it is measured, whether it may change, and the factors.
pub(super) fn about(figure: &Figure, behind: &Behind) -> String {
    let settled = if figure.revision == 0 {
        "provisional: still open".to_owned()
    } else {
        format!("closed, revision {}", figure.revision)
    };
    let quality = if figure.flags.is_empty() { "as measured".to_owned() } else { figure.flags.join("; ") };
    let (coverage, factors) = (percent(figure.coverage), &behind.factors);
    format!("{}; coverage {coverage}; {quality}; {settled}; factors now {factors}", time(figure, behind))
}

/// A network's days, months and years are those of its clusters' own clocks.
fn time(figure: &Figure, behind: &Behind) -> String {
    if behind.is_network {
        let day = figure.from.get(..10).unwrap_or("");
        return format!("{} from {day}, by each cluster's own clock", figure.window);
    }
    let (from, to) = (local(&figure.from, &behind.zone), local(&figure.to, &behind.zone));
    format!("{from} to {to} {}", behind.zone.name())
}

/// What all figures of an entity have in common.
pub(super) struct Behind {
    /// Times are in this zone.
    pub zone: Zone,
    /// Which factors are in force, and of when.
    pub factors: String,
    /// They are of a network.
    pub is_network: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_matter() {
        let kilograms = [0, 1, 1_234, 99_999, 1_000_000, 12_345_678, 999_949_999, 1_000_000_000, 12_345_678_901];
        let shown = kilograms.map(|grams| mass(grams * 1_000));
        let expected =
            ["0 kg", "0.001 kg", "1.234 kg", "100.00 kg", "1.000 t", "12.35 t", "999.9 t", "1.000 kt", "12.35 kt"];
        assert_eq!(shown, expected);
        assert_eq!((mass(-5_000_000).as_str(), rate(420_000.0).as_str()), ("-5.000 kg", "420.0 t/h"));
        assert_eq!((percent(0.98765).as_str(), value(33.3, "%").as_str()), ("98.8 %", "33.30 %"));
    }
}
