//! The tables of a report.

use maud::{Markup, html};

use crate::format::report::{Change, Factor, Figures, Instrument, Report, kg, percent};

pub(super) fn totals(report: &Report) -> Markup {
    let total = &report.total;
    let rows = [
        ("Scope 1", total.scope1_mg),
        ("Scope 2, location-based", total.scope2_location_mg),
        ("Scope 2, market-based", total.scope2_market_mg),
    ];
    html! {
        table {
            thead { tr { th { "kg CO2e" } th .n { "Total" } } }
            tbody {
                @for (name, mg) in rows { tr { th { (name) } td .n { (kg(mg)) } } }
                @for (name, mg) in outside(total) { tr { th { (name) } td .n { (kg(mg)) } } }
            }
        }
        p {
            "What facilities sell to each other is eliminated from the totals of scope 2, and stands as a line of its own. "
            "Uncertainty at 95 %: " (total.uncertainty_pct.map_or_else(|| "not known".to_owned(), |percent| format!("{percent:.1} %")))
            ". Coverage: " (percent(total.coverage)) "."
        }
    }
}

/// What stands beside the scopes.
fn outside(total: &Figures) -> Vec<(&'static str, i128)> {
    let names = [
        ("eliminated_location", "Eliminated as bought inside, location-based"),
        ("eliminated_market", "Eliminated as bought inside, market-based"),
        ("biogenic_co2", "CO2 from biomass, outside the scopes"),
        ("captured_co2", "CO2 captured"),
        ("transferred_co2", "CO2 transferred to storage"),
    ];
    names.into_iter().map(|(column, name)| (name, column_of(total, column))).collect()
}

fn column_of(figures: &Figures, column: &str) -> i128 {
    figures.columns.iter().find(|(name, _)| *name == column).map_or(0, |(_, mg)| *mg)
}

pub(super) fn facilities(report: &Report) -> Markup {
    let line = |figures: &Figures| {
        html! {
            th { (figures.name) }
            td .n { (kg(figures.scope1_mg)) } td .n { (kg(figures.scope2_location_mg)) } td .n { (kg(figures.scope2_market_mg)) }
            td .n { (percent(figures.coverage)) }
            td .n { (figures.uncertainty_pct.map_or_else(String::new, |percent| format!("{percent:.1} %"))) }
        }
    };
    html! {
        table {
            thead { tr {
                th { "kg CO2e" } th .n { "Scope 1" } th .n { "Scope 2 location" } th .n { "Scope 2 market" } th .n { "Coverage" }
                th .n { "Uncertainty" }
            } }
            tbody { @for figures in &report.facilities { tr { (line(figures)) } } }
            tfoot { tr { (line(&Figures { name: "Cluster, without what was bought inside".to_owned(), ..report.total.clone() })) } }
        }
    }
}

pub(super) fn by_category(report: &Report) -> Markup {
    html! {
        table {
            thead { tr { th { "Category" } th .n { "kg CO2e, scope 2 location-based" } } }
            tbody { @for (category, mg) in &report.total.categories { tr { th { (category) } td .n { (kg(*mg)) } } } }
        }
    }
}

pub(super) fn by_gas(report: &Report) -> Markup {
    let gases = [
        ("co2", "CO2, kg of the gas"),
        ("ch4", "CH4, kg of the gas"),
        ("n2o", "N2O, kg of the gas"),
        ("hfc_co2e", "Hydrofluorocarbons, kg CO2e"),
        ("pfc_co2e", "Perfluorocarbons, kg CO2e"),
        ("sf6_co2e", "SF6, kg CO2e"),
        ("nf3_co2e", "NF3, kg CO2e"),
    ];
    html! {
        table {
            thead { tr { th { "Gas of scope 1" } th .n { "Mass" } } }
            tbody { @for (column, name) in gases { tr { th { (name) } td .n { (kg(column_of(&report.total, column))) } } } }
        }
    }
}

pub(super) fn instruments(report: &Report) -> Markup {
    html! {
        p {
            "Before elimination, of quarter-hours that are closed: up to " (report.instruments_to)
            ". What is measured in tonnes of steam has no megawatt-hours here."
        }
        (of_method(report, false))
        (of_method(report, true))
    }
}

fn of_method(report: &Report, is_market: bool) -> Markup {
    let mine: Vec<&Instrument> = report.instruments.iter().filter(|line| line.is_market == is_market).collect();
    let uncovered: i128 = mine.iter().filter(|line| line.is_uncovered).map(|line| line.energy_mj).sum();
    html! {
        h3 { @if is_market { "Market-based" } @else { "Location-based" } }
        table {
            thead { tr { th { "Facility" } th { "Instrument" } th .n { "MWh" } th .n { "kg CO2e/MWh" } th .n { "kg CO2e" } } }
            tbody {
                @for line in &mine {
                    tr {
                        th { (line.facility) }
                        td {
                            (line.row)
                            @if let Some(contract) = &line.contract { ", contract " (contract) }
                            @else if is_market && line.is_uncovered { " (no contract)" }
                        }
                        td .n { (mwh(line.energy_mj)) } td .n { (factor(line)) } td .n { (kg(line.mg)) }
                    }
                }
            }
            tfoot { tr {
                th colspan="2" { "All" }
                td .n { (mwh(mine.iter().map(|line| line.energy_mj).sum())) } td {}
                td .n { (kg(mine.iter().map(|line| line.mg).sum())) }
            } }
        }
        @if is_market { p { "Bought electricity that no contract covers: " (mwh(uncovered)) " MWh." } }
    }
}

/// To the watt-hour: a megawatt-hour is 3.6e12 millijoules, and the text has six decimals.
fn mwh(energy_mj: i128) -> String {
    kg(energy_mj * 10 / 36_000_000)
}

fn factor(line: &Instrument) -> String {
    if line.energy_mj == 0 {
        String::new()
    } else {
        format!("{:.3}", line.mg as f64 / 1e6 / (line.energy_mj as f64 / 3.6e12))
    }
}

pub(super) fn quality(report: &Report) -> Markup {
    let lines = [
        ("substituted", "Rests on substituted data"),
        ("interpolated", "Measured, its course over a gap is not"),
        ("provisional_factor", "Computed with a factor of another year"),
    ];
    html! {
        table {
            thead { tr { th { "kg CO2e" } th .n { "Of the totals" } } }
            tbody { @for (column, name) in lines { tr { th { (name) } td .n { (kg(column_of(&report.total, column))) } } } }
        }
        @if report.total.flags.is_empty() { p { "No flags." } }
        @else { dl { @for (flag, about) in &report.total.flags { dt { (flag) } dd { (about) } } } }
    }
}

pub(super) fn trail(report: &Report) -> Markup {
    html! {
        @if report.trail.is_empty() { p { "None that touches the period." } }
        @else {
            table {
                thead { tr { th { "When" } th { "What" } th { "By, why" } th { "Of what" } th { "kg CO2e before and after" } } }
                tbody { @for change in &report.trail { (changed(change)) } }
            }
        }
    }
}

fn changed(change: &Change) -> Markup {
    html! {
        tr {
            th { (change.at) } td { (change.what) } td { (change.by) ": " (change.reason) }
            td { @for (name, value) in &change.detail { div { (name) ": " (value) } } }
            td {
                @for (name, before, after) in &change.figures { div { (name) ": " (kg(*before)) " to " (kg(*after)) } }
                @if change.figures.is_empty() { (change.otherwise) }
            }
        }
    }
}

pub(super) fn factors(report: &Report) -> Markup {
    html! {
        table {
            thead { tr { th { "Id" } th { "Factor" } th .n { "Value" } th { "Unit" } th { "Valid" } th { "Source" } } }
            tbody {
                @for Factor { id, name, value, unit, valid, source } in &report.factors {
                    tr { th { (id) } td { (name) } td .n { (value) } td { (unit) } td { (valid) } td { (source) } }
                }
            }
        }
    }
}
