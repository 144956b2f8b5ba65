//! What several pages show.

use maud::{Markup, html};

use crate::alert::{Level, Priority};
use crate::cluster::{self, ClusterIx, Entity};
use crate::http::board::{AlarmCount, AlarmLine, Board, Figure, Row};
use crate::http::factors::vintage;
use crate::http::page::number::{self, Behind};
use crate::http::rate::Rate;
use crate::http::server::App;
use crate::http::views::RuleView;
use crate::quantity::Zone;

/// A mass of a figure. `field`: its path in a row, for what comes later.
pub(super) fn mass(figure: Option<&Figure>, of: fn(&Figure) -> i128, field: &str, behind: &Behind) -> Markup {
    html! {
        @match figure {
            Some(figure) => data data-f=(field) data-k="mass" value=(of(figure)) title=(number::about(figure, behind)) { (number::mass(of(figure))) },
            None => data data-f=(field) data-k="mass" value="" { "-" },
        }
    }
}

/// Both scopes, location-based.
pub(super) fn total(figure: &Figure) -> i128 {
    figure.scope1_mg + figure.scope2_location_mg
}

/// A rate now, both scopes, location-based.
pub(super) fn rate(rate: Option<&Rate>, behind: &Behind) -> Markup {
    html! {
        @match rate {
            Some(rate) => data data-f="rate" data-k="rate" value=(rate_total(rate)) title=(rate_about(rate, behind)) {
                (number::rate(rate_total(rate))) @if !rate.complete { (measured(rate)) }
            },
            None => data data-f="rate" data-k="rate" value="" { "-" },
        }
    }
}

/// Beside a rate of which a part is not measured yet: what part is.
fn measured(rate: &Rate) -> String {
    format!(" \u{25b3} {:.0} %", rate.coverage * 100.0)
}

fn rate_total(rate: &Rate) -> f64 {
    rate.scope1_kg_per_hour + rate.scope2_location_kg_per_hour
}

fn rate_about(rate: &Rate, Behind { zone, factors, .. }: &Behind) -> String {
    let (from, to) = (number::local(&rate.from, zone), number::local(&rate.to, zone));
    let (scope1, location) = (number::rate(rate.scope1_kg_per_hour), number::rate(rate.scope2_location_kg_per_hour));
    let (market, coverage) = (number::rate(rate.scope2_market_kg_per_hour), number::percent(rate.coverage));
    format!(
        "{from} to {to} {}; scope 1 {scope1}, scope 2 {location} location-based, {market} market-based; \
         coverage {coverage}; provisional; factors now {factors}",
        zone.name()
    )
}

/// How much of the rate is scope 1: the left part.
pub(super) fn split(rate: Option<&Rate>) -> Markup {
    let part = rate.map_or(0.0, |rate| rate.scope1_kg_per_hour / rate_total(rate).max(1e-9)).clamp(0.0, 1.0);
    let label = format!("scope 1 is {} of the rate", number::percent(part));
    html! {
        svg .split data-f="rate" data-k="split" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect .rest width="100" height="6" {}
            rect .part width=(format!("{:.1}", part * 100.0)) height="6" {}
        }
    }
}

/// A value against its limit, which is four fifths of the bar.
pub(super) fn bar(rule: Option<&RuleView>, field: &str) -> Markup {
    let Some(rule) = rule else {
        return html! { span .none data-f=(field) data-k="bar" {} };
    };
    let part = rule.value.zip(rule.limit).map_or(0.0, |(value, limit)| value / limit.max(1e-9));
    html! {
        span .bar data-f=(field) data-k="bar" title=(bar_about(rule)) {
            svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(bar_about(rule)) {
                rect .rest width="100" height="8" {}
                rect .part .over[part > 1.0] width=(format!("{:.1}", (part * 80.0).clamp(0.0, 100.0))) height="8" {}
                rect .mark x="79.5" width="1" height="8" {}
                rect .plan x=(format!("{:.1}", planned(rule) * 80.0)) width=(if rule.outlook.is_some() { "1" } else { "0" }) height="8" {}
            }
        }
    }
}

/// What part of a budget is planned up to now.
fn planned(rule: &RuleView) -> f64 {
    let part = rule.outlook.as_ref().zip(rule.limit).map(|(outlook, limit)| outlook.planned_kg / limit.max(1e-9));
    part.unwrap_or(0.0).clamp(0.0, 1.25)
}

pub(super) fn bar_about(rule: &RuleView) -> String {
    if rule.value.is_none() && rule.limit.is_none() {
        return format!("{}: not known yet", rule.rule);
    }
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| number::value(value, rule.unit));
    // A budget is held against what is closed.
    let planned = rule
        .outlook
        .as_ref()
        .map(|outlook| format!(" in closed time, {} planned by now", number::kilograms(outlook.planned_kg)));
    format!(
        "{}: {} of {}{}, {}",
        rule.rule,
        shown(rule.value),
        shown(rule.limit),
        planned.unwrap_or_default(),
        rule.state
    )
}

/// Where a budget is going, in words.
pub(super) fn forecast(rule: Option<&RuleView>, zone: &Zone) -> String {
    let Some(rule) = rule else {
        return String::new();
    };
    let Some(outlook) = &rule.outlook else {
        return format!("{}: not known yet", rule.rule);
    };
    if rule.state == "unknown" {
        return format!("{}: too little is measured to say", rule.rule);
    }
    let day = |at: &str| number::local(at, zone).chars().take(10).collect::<String>();
    match &outlook.runs_out {
        Some(out) => format!("{}: used up {}", rule.rule, day(out)),
        None => {
            let part = rule.limit.map_or(0.0, |limit| outlook.expected_kg / limit.max(1e-9));
            let holds = if part > 1.0 { "over" } else { "holds" };
            format!("{}: {holds}, {} expected", rule.rule, number::percent(part))
        }
    }
}

/// The course of the last day, 100 wide and 20 high.
pub(super) fn course(key: &str, points: &[Option<i64>]) -> Markup {
    html! {
        svg .course data-course=(key) viewBox="0 0 100 20" preserveAspectRatio="none" role="img"
            aria-label="the last 24 hours" {
            path d=(path(points)) {}
        }
    }
}

/// The course over a time that can be chosen, which `charts.js` draws.
pub(super) fn trend() -> Markup {
    html! {
        h2 { "Course" }
        div .buttons role="group" aria-label="Time" {
            button type="button" data-range="day" aria-pressed="true" { "24 hours" }
            button type="button" data-range="week" aria-pressed="false" { "7 days" }
            button type="button" data-range="month" aria-pressed="false" { "31 days" }
            button type="button" data-range="year" aria-pressed="false" { "12 months" }
        }
        div #trend role="img" aria-label="emissions over time: scope 1, and scope 2 upon it" {}
    }
}

/// Gaps stay gaps.
fn path(points: &[Option<i64>]) -> String {
    let most = points.iter().flatten().copied().max().unwrap_or(0).max(1) as f64;
    let step = 100.0 / points.len().saturating_sub(1).max(1) as f64;
    let mut text = String::new();
    let mut is_on = false;
    for (at, point) in points.iter().enumerate() {
        if let Some(value) = point {
            let (x, y) = (at as f64 * step, 19.0 - 18.0 * (*value).max(0) as f64 / most);
            let letter = if is_on { 'L' } else { 'M' };
            text.push_str(&format!("{letter}{x:.1} {y:.1}"));
        }
        is_on = point.is_some();
    }
    text
}

/// The worst alarm: shape, word and number.
pub(super) fn worst(alarms: &AlarmCount) -> Markup {
    html! {
        span data-f="alarms" data-k="alarms" .(class(alarms.level)) { (worst_text(alarms)) }
    }
}

fn worst_text(alarms: &AlarmCount) -> String {
    match alarms.level {
        None if alarms.held > 0 => format!("{} not told", alarms.held),
        None => "none".to_owned(),
        Some(level) if alarms.active > 1 => format!("{} {} ({})", shape(level), level.name(), alarms.active),
        Some(level) => format!("{} {}", shape(level), level.name()),
    }
}

/// No alarm is told by its colour alone.
pub(super) fn shape(level: Level) -> &'static str {
    match level {
        Level::Projected => "\u{25c7}",
        Level::Warning => "\u{25b3}",
        Level::Over => "\u{25b2}",
        Level::Critical => "\u{25a0}",
    }
}

pub(super) fn class(level: Option<Level>) -> &'static str {
    match level {
        None => "calm",
        Some(Level::Projected) => "projected",
        Some(Level::Warning) => "warning",
        Some(Level::Over) => "over",
        Some(Level::Critical) => "critical",
    }
}

/// What goes on and nobody has seen: how many of each priority, and since when.
pub(super) fn banner(board: &Board, zone: &Zone) -> Markup {
    html! {
        p #banner aria-live="polite" .loud[board.alarms.iter().any(AlarmLine::is_unseen)] {
            a href="/alarms" { (banner_text(&board.alarms, zone)) }
        }
    }
}

fn banner_text(alarms: &[AlarmLine], zone: &Zone) -> String {
    let unseen: Vec<&AlarmLine> = alarms.iter().filter(|alarm| alarm.is_unseen()).collect();
    if unseen.is_empty() {
        let on = alarms.iter().filter(|alarm| alarm.until.is_none()).count();
        return format!("No alarm waits to be seen; {on} on{}", ended(alarms));
    }
    let of = |priority: Priority| unseen.iter().filter(|alarm| alarm.priority == priority).count();
    let counts = [Priority::High, Priority::Medium, Priority::Low].map(|priority| (of(priority), priority.name()));
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    let oldest = unseen.iter().map(|alarm| alarm.since.as_str()).min().unwrap_or("");
    let first = unseen.first().map_or_else(String::new, |alarm| format!("{} {}", alarm.entity, alarm.rule));
    let (counts, since) = (counts.join(", "), number::local(oldest, zone));
    format!("\u{25b2} {first}; not seen yet: {counts}, the oldest since {since}{}", ended(alarms))
}

fn ended(alarms: &[AlarmLine]) -> String {
    let count = alarms.iter().filter(|alarm| alarm.until.is_some()).count();
    if count > 0 { format!("; {count} ended unseen") } else { String::new() }
}

/// As people call it, or its id.
pub(super) fn called(row: &Row) -> &str {
    row.name.as_deref().unwrap_or(&row.id)
}

/// The zone of a row.
pub(super) fn zone(row: &Row) -> Zone {
    Zone::parse(&row.zone).unwrap_or(Zone::UTC)
}

/// The zone of what belongs to no cluster: that of the first one.
pub(super) fn home(app: &App) -> Zone {
    let topology = &app.rules.topology;
    if topology.clusters.is_empty() { Zone::UTC } else { topology.zone(Entity::Cluster(ClusterIx(0))).clone() }
}

/// What is behind the figures of a row.
pub(super) fn behind(app: &App, row: &Row) -> Behind {
    let topology = &app.rules.topology;
    let level = cluster::Level::parse(row.level).unwrap_or(cluster::Level::Facility);
    let meters = topology.find(level, &row.id).map(|entity| topology.meters_of(entity)).unwrap_or_default();
    Behind { zone: zone(row), factors: vintage(app, &meters, (app.now)()), is_network: row.level == "network" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_keeps_its_gaps() {
        assert_eq!(path(&[Some(0), Some(10), None, Some(5), Some(10)]), "M0.0 19.0L25.0 1.0M75.0 10.0L100.0 1.0");
        assert_eq!(path(&[]), "");
    }
}
