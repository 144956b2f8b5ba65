//! Bars over time: scope 1, and scope 2 (location-based) upon it.

use maud::{Markup, html};

use crate::format::report::{Figures, kg};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 90.0;
const BELOW: f64 = 30.0;

pub(super) fn chart(course: &[Figures]) -> Markup {
    let total = |figures: &Figures| figures.scope1_mg.max(0) + figures.scope2_location_mg.max(0);
    let most = course.iter().map(total).max().unwrap_or(0).max(1);
    let step = (WIDTH - LEFT) / course.len().max(1) as f64;
    let plot = HEIGHT - BELOW;
    let tall = |mg: i128| plot * 0.95 * mg.max(0) as f64 / most as f64;
    let every = course.len().div_ceil(12).max(1);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label="scope 1 and scope 2 over the period" {
            line x1=(LEFT) y1=(plot) x2=(WIDTH) y2=(plot) stroke="#54585e" {}
            text x=(LEFT - 6.0) y="14" text-anchor="end" font-size="11" { (kg(most / 1_000_000 * 1_000_000)) " kg" }
            text x=(LEFT - 6.0) y=(plot) text-anchor="end" font-size="11" { "0" }
            @for (at, figures) in course.iter().enumerate() {
                @let x = LEFT + step * at as f64 + step * 0.1;
                @let (scope1, scope2) = (tall(figures.scope1_mg), tall(figures.scope2_location_mg));
                @let is_empty = figures.coverage == 0.0 && total(figures) == 0;
                g {
                    title { (figures.name) ": " @if is_empty { "no data; " } "scope 1 " (kg(figures.scope1_mg)) " kg, scope 2 " (kg(figures.scope2_location_mg)) " kg" }
                    (bar(x, plot - scope1, step * 0.8, scope1, "#54585e"))
                    (bar(x, plot - scope1 - scope2, step * 0.8, scope2, "#b4b8bd"))
                }
                @if is_empty { text x=(x + step * 0.4) y=(plot - 3.0) text-anchor="middle" font-size="10" fill="#54585e" { "\u{d7}" } }
                @if at % every == 0 {
                    text x=(x + step * 0.4) y=(HEIGHT - 10.0) text-anchor="middle" font-size="10" { (figures.name) }
                }
            }
        }
        p { "Dark: scope 1. Light: scope 2, location-based. \u{d7}: no data." }
    }
}

fn bar(x: f64, y: f64, width: f64, height: f64, fill: &str) -> Markup {
    html! {
        rect x=(format!("{x:.1}")) y=(format!("{y:.1}")) width=(format!("{width:.1}")) height=(format!("{height:.1}")) fill=(fill) {}
    }
}
