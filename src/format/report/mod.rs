//! A period of a cluster as one page for people, that needs nothing else: to be read, printed, and kept.

mod chart;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use chart::chart;
use tables::{by_category, by_gas, facilities, factors, instruments, quality, totals, trail};

/// All that a report says. Masses are milligrams.
#[derive(Clone, Debug)]
pub struct Report {
    /// The cluster, as people call it.
    pub name: String,
    /// Its id.
    pub id: String,
    /// As written: `2026-11`.
    pub period: String,
    /// Its first instant,
    pub from: String,
    /// and the one after its last, in local time.
    pub to: String,
    /// The time zone of its days.
    pub zone: String,
    /// When it was made.
    pub made: String,
    /// The hash of the plan in force.
    pub plan: String,
    /// The potentials.
    pub gwp: String,
    /// The cluster's figures.
    pub total: Figures,
    /// Each facility's.
    pub facilities: Vec<Figures>,
    /// The days of a month or the months of a year, or the hours of a day.
    pub course: Vec<Figures>,
    /// Scope 2 by the factor it was worked out with.
    pub instruments: Vec<Instrument>,
    /// Up to when the instruments are known: what is open is not in them.
    pub instruments_to: String,
    /// The factors that were used.
    pub factors: Vec<Factor>,
    /// What changed closed figures on purpose.
    pub trail: Vec<Change>,
    /// The meters of each facility with what they are booked as.
    pub boundary: Vec<(String, Vec<String>)>,
}

/// What was emitted.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Whose, or when.
    pub name: String,
    /// CO2e.
    pub scope1_mg: i128,
    /// Location-based.
    pub scope2_location_mg: i128,
    /// Market-based.
    pub scope2_market_mg: i128,
    /// Other columns by name: gases, biogenic, captured, eliminated, substituted.
    pub columns: Vec<(&'static str, i128)>,
    /// CO2e by category.
    pub categories: Vec<(String, i128)>,
    /// The part of the meters' time that was measured.
    pub coverage: f64,
    /// At 95 %.
    pub uncertainty_pct: Option<f64>,
    /// What must be known about it: flags, and what they say.
    pub flags: Vec<(String, &'static str)>,
    /// 0: the window is open.
    pub revision: u32,
}

/// A factor of scope 2 and what it was used for.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// The facility.
    pub facility: String,
    /// It is of the market-based method.
    pub is_market: bool,
    /// The set of its rows.
    pub row: String,
    /// The contract that delivers it.
    pub contract: Option<String>,
    /// It is under no contract, and of the residual mix, or the grid in its stead.
    pub is_uncovered: bool,
    /// Energy in millijoules.
    pub energy_mj: i128,
    /// Milligrams.
    pub mg: i128,
}

/// A change of closed figures.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: String,
    /// `adjust`, `restate`, `plan`, `backfill`.
    pub what: String,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// What else is said: names and values.
    pub detail: Vec<(String, String)>,
    /// Of each facility of the cluster and each figure that is another: before and after, in milligrams.
    pub figures: Vec<(String, i128, i128)>,
    /// What there is to say where no figure is shown.
    pub otherwise: &'static str,
}

/// A factor.
#[derive(Clone, Debug)]
pub struct Factor {
    /// The id of its row.
    pub id: String,
    /// For people.
    pub name: String,
    /// As printed,
    pub value: String,
    /// in this unit.
    pub unit: String,
    /// From when to when.
    pub valid: String,
    /// Where it was read. Empty: it is no row, but worked out.
    pub source: String,
}

/// The whole page.
pub fn report_html(report: &Report) -> String {
    let title = format!("Emissions of {} in {}", report.name, report.period);
    let page: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (head(report))
                h2 { "Totals" } (totals(report))
                h2 { "Course" } (chart(&report.course))
                h2 { "By facility" } (facilities(report))
                h2 { "By category" } (by_category(report))
                h2 { "By gas" } (by_gas(report))
                h2 { "Scope 2 by instrument" } (instruments(report))
                h2 { "Quality" } (quality(report))
                h2 { "Corrections and restatements" } (trail(report))
                h2 { "Factors" } (factors(report))
                h2 { "Boundary" } (boundary(report))
            }
        }
    };
    page.into_string()
}

/// Less is told at the top.
const WELL_COVERED: f64 = 0.95;

fn head(report: &Report) -> Markup {
    let open = report.total.revision == 0;
    html! {
        dl {
            dt { "Cluster" } dd { (report.id) }
            dt { "Period" } dd { (report.from) " to " (report.to) ", " (report.zone) }
            dt { "State" }
            dd {
                @if open { "provisional: the period, or some of its readings, is still open" }
                @else { "closed, revision " (report.total.revision) }
            }
            @if report.total.coverage < WELL_COVERED {
                dt { "Note" }
                dd { strong { "Only " (percent(report.total.coverage)) " of the meters' time " @if open { "so far " } "was measured: the totals are a part." } }
            }
            dt { "Made" } dd { (report.made) " by emissiond " (env!("CARGO_PKG_VERSION")) }
            dt { "Plan" } dd { code { (report.plan) } }
            dt { "Warming potentials" } dd { (report.gwp.to_uppercase()) ", 100 years" }
        }
    }
}

fn boundary(report: &Report) -> Markup {
    html! {
        p { "Scope 1 and scope 2 of the facilities below, by operational control as they are declared." }
        dl {
            @for (facility, meters) in &report.boundary {
                dt { (facility) } dd { (meters.join(", ")) }
            }
        }
    }
}

/// Exact kilograms, with thin spaces between thousands.
fn kg(mg: i128) -> String {
    let text = crate::format::kg_text(mg);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push('\u{2009}');
        }
        grouped.push(digit);
    }
    let part = if part.is_empty() { String::new() } else { format!(".{part}") };
    format!("{sign}{grouped}{part}")
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

const STYLE: &str = "body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1f2124}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #c6c7c4}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\
th,td{text-align:left;padding:.2rem .5rem;border-bottom:1px solid #ddd;vertical-align:top}.n{text-align:right;white-space:nowrap}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:#54585e}dd{margin:0;overflow-wrap:anywhere}\
tfoot td,tfoot th{font-weight:700}svg{width:100%;height:auto}code{font-size:.9em}\
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilograms_are_exact() {
        let shown = [0, 1, 1_234_567, 12_345_678_900_000, -1_000_000_000_000].map(kg);
        assert_eq!(shown, ["0", "0.000001", "1.234567", "12\u{2009}345\u{2009}678.9", "-1\u{2009}000\u{2009}000"]);
    }
}
