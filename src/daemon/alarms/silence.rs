//! Silent meters: which are worth a closer look, and which are silent because their gateway is.

use std::collections::{BTreeMap, BTreeSet};

use crate::alert::{Alarm, Line, Rule, Stale, Watched};
use crate::cluster::{Entity, MeterIx, Topology};
use crate::http::HeardView;
use crate::quantity::{Span, Time};

/// A silent meter is not told so long: its gateway may be silent too, or may just be back.
const SETTLE: Span = Span::seconds(30);

/// The meters of a rule that are silent now, or were when it was last looked.
pub(crate) fn suspects(
    (rule, stale): (&Rule, &Stale),
    topology: &Topology,
    heard: &HeardView,
    (active, changed): (&[Alarm], &BTreeSet<MeterIx>),
    now: Time,
) -> BTreeSet<MeterIx> {
    let alarmed: BTreeSet<&str> =
        active.iter().filter(|alarm| alarm.rule == rule.id.as_str()).map(|alarm| alarm.entity.as_str()).collect();
    let meters = rule.watched.iter().filter_map(|watched| match watched.entity() {
        Some(Entity::Meter(ix)) => Some((ix, watched)),
        _ => None,
    });
    let is_suspect = |(ix, watched): &(MeterIx, &Watched)| {
        let meter = topology.meter(*ix);
        let seen = heard.meters.get(ix.0 as usize).cloned().unwrap_or_default();
        let is_silent = seen.latest.is_none_or(|latest| now.since(latest) > meter.stale_after);
        is_silent || seen.gone.is_some() || changed.contains(ix) || alarmed.contains(watched.text(topology).as_str())
    };
    let mut suspects: BTreeSet<MeterIx> = meters.filter(is_suspect).map(|(ix, _)| ix).collect();
    // A gateway's silence hangs on all that is behind it.
    for (gateway, members) in &stale.gateways {
        let is_alarmed = alarmed.contains(Watched::Gateway(gateway.clone()).text(topology).as_str());
        if is_alarmed || members.iter().any(|ix| suspects.contains(ix)) {
            suspects.extend(members);
        }
    }
    suspects
}

/// The alarms that are not told because of their gateway. `ended`: when the gateway's last silence ended.
pub(crate) fn hidden(
    (rule, stale): (&Rule, &Stale),
    topology: &Topology,
    heard: &HeardView,
    (active, ended): (&[Alarm], &BTreeMap<String, Time>),
    now: Time,
) -> BTreeMap<Line, String> {
    let mut hidden = BTreeMap::new();
    let own: BTreeMap<&str, &Alarm> = active
        .iter()
        .filter(|alarm| alarm.rule == rule.id.as_str())
        .map(|alarm| (alarm.entity.as_str(), alarm))
        .collect();
    for (gateway, meters) in &stale.gateways {
        let text = Watched::Gateway(gateway.clone()).text(topology);
        let is_silent = own.contains_key(text.as_str());
        let just_back = ended.get(gateway).is_some_and(|ended| now.since(*ended) < SETTLE);
        let latest = meters.iter().filter_map(|ix| heard.meters.get(ix.0 as usize)?.latest).max();
        for ix in meters {
            let meter = Watched::Entity(Entity::Meter(*ix)).text(topology);
            let Some(since) = own.get(meter.as_str()).and_then(|alarm| Time::parse_rfc3339(&alarm.since)) else {
                continue;
            };
            // Nothing came through the gateway since: all of it may be silent.
            let is_alone = latest.is_some_and(|latest| latest >= since);
            if is_silent || just_back || !is_alone || now.since(since) < SETTLE {
                let why = if is_silent { "is silent" } else { "is looked at" };
                hidden.insert((rule.id.to_string(), meter), format!("its gateway {gateway} {why}"));
            }
        }
    }
    hidden
}
