//! What the desk shows of itself.

use std::collections::{BTreeSet, HashSet};

use crate::clock;
use crate::cluster::{Entity, Kind, Meter, MeterIx};
use crate::daemon::Desk;
use crate::daemon::desk::Held;
use crate::emission::Column;
use crate::http::{DeskView, HeardView, MeterHeard, MeterRow, OpenView, Rate};
use crate::pipeline::Pipeline;
use crate::quantity::{Time, Window};
use crate::store::{Space, StoreError};

/// What is open of some entities.
pub fn open(pipeline: &Pipeline, entities: &[Entity], window: Window) -> OpenView {
    let mut view = OpenView { now: Some(pipeline.now()), ..OpenView::default() };
    let above: HashSet<Entity> = entities.iter().copied().filter(is_booked).collect();
    if !above.is_empty() {
        view.entries = pipeline.open_entries(|entity, w| w == window && above.contains(&entity));
    }
    let mut meters = BTreeSet::new();
    for entity in entities {
        if let Entity::Meter(ix) = entity {
            meters.extend(pipeline.rules().accounts.needs(*ix));
        }
    }
    view.quarters = meters.into_iter().map(|ix| (Entity::Meter(ix), pipeline.open_activities(ix))).collect();
    view
}

pub(crate) fn desk(desk: &Desk) -> Result<DeskView, StoreError> {
    let pipeline = &desk.books.pipeline;
    let meters = pipeline.rules().topology.meters.len() as u32;
    Ok(DeskView {
        counters: pipeline.counters().clone(),
        now: clock::now(),
        held: desk.held.map(Held::name),
        ahead_of_clock_ms: desk.keeper.ahead_of(clock::now()).0,
        disk_free: Space::of(&desk.state_dir).map(|space| space.free),
        watermark: pipeline.open_from().start(),
        journal_blocks: desk.books.journal.last(),
        journal_bytes: desk.books.journal.size(),
        quarantined: (0..meters).map(|ix| pipeline.meter_view(MeterIx(ix)).quarantined).sum(),
        gaps: desk.books.ledger.gaps()?,
        damage: desk.books.ledger.damage()?,
        rates: rates(pipeline),
        plan: desk.plan_hash.clone(),
        gateways: pipeline.births().view(),
    })
}

/// Whether an entity is above the meters.
fn is_booked(entity: &Entity) -> bool {
    !matches!(entity, Entity::Meter(_))
}

/// When all meters were heard; of some, every reading in memory.
pub(crate) fn heard(pipeline: &Pipeline, details: &[MeterIx]) -> HeardView {
    let rules = pipeline.rules();
    let of = |ix: MeterIx| {
        let view = pipeline.meter_view(ix);
        let gone = rules.routes.gone(ix, pipeline.births());
        MeterHeard { latest: view.latest.map(|(time, _)| time), gone, came: view.came }
    };
    let all = (0u32..).zip(&rules.topology.meters);
    HeardView {
        meters: all.map(|(ix, _)| of(MeterIx(ix))).collect(),
        details: details.iter().map(|ix| (*ix, pipeline.heard(*ix))).collect(),
    }
}

/// The latest quarter that is over, four times.
fn rates(pipeline: &Pipeline) -> Vec<Rate> {
    let latest = pipeline.now().quarter().previous().start();
    let topology = &pipeline.rules().topology;
    let kg_per_hour = |mg: i128| mg as f64 * 4.0 / 1e6;
    let columns = [Column::Scope1, Column::Scope2Location, Column::Scope2Market];
    let quarters = pipeline.quarters_at(latest);
    let rate = |(entity, tally): (Entity, &crate::emission::Tally)| Rate {
        level: entity.level(),
        entity: topology.id(entity).to_string(),
        kg_per_hour: columns.map(|column| kg_per_hour(tally.mg(column))),
    };
    quarters.into_iter().map(rate).collect()
}

pub(crate) fn meters(pipeline: &Pipeline, now: Time) -> Vec<MeterRow> {
    let topology = &pipeline.rules().topology;
    let row = |(ix, meter): (u32, &Meter)| {
        let view = pipeline.meter_view(MeterIx(ix));
        let gone = pipeline.rules().routes.gone(MeterIx(ix), pipeline.births());
        let heard = view.latest.map_or(meter.valid_from, |(time, _)| time);
        let is_due = meter.valid_from <= now && now < meter.valid_to && meter.kind != Kind::Derived;
        MeterRow {
            id: meter.id.to_string(),
            facility: topology.facility(meter.facility).id.to_string(),
            unit: meter.unit.clone(),
            category: meter.category.name(),
            view,
            expected_every: meter.expected_every.to_string(),
            stale: is_due && (gone.is_some() || now.since(heard) > meter.stale_after),
            gone,
        }
    };
    (0u32..).zip(&topology.meters).map(row).collect()
}
