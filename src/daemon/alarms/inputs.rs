//! What made a rate too high: the parts of what is watched that emitted most in the window.

use tokio::runtime::Handle;

use crate::alert::{Facts, Input, Kind, Rule, Watched};
use crate::cluster::{Entity, FacilityIx, Topology};
use crate::daemon::alarms::live::{self, Live, Open};
use crate::http::{Ask, HeardView};
use crate::pipeline::Rules;
use crate::quantity::{Time, Window};
use crate::store::{Reader, StoreError};

/// Nobody reads more.
const SHOWN: usize = 5;

/// The largest inputs of an alarm that began at `since`, largest first. It is to be called where blocking is allowed.
pub(crate) fn inputs(
    (rule, watched, since): (&Rule, &Watched, Time),
    rules: &Rules,
    (reader, ask): (&Reader, &Ask),
) -> Result<Vec<Input>, StoreError> {
    let (Kind::Limit(limit), Some(entity)) = (&rule.kind, watched.entity()) else {
        return Ok(Vec::new());
    };
    let topology = &rules.topology;
    let parts = parts(topology, entity);
    let asked = live::entities(ask, parts.clone(), Window::Minute);
    let Some(view) = Handle::current().block_on(asked) else {
        return Ok(Vec::new());
    };
    let (open, heard) = (Open::from([(Window::Minute, view)]), HeardView::default());
    let facts = Live { rules, reader, open: &open, heard: &heard, began: since };
    let (from, _) = limit.window(topology.zone(entity), since);
    let mut inputs = Vec::new();
    for part in parts {
        let entries = facts.entries(part, Window::Minute, (from, since))?;
        let mg: i128 = entries.iter().map(|entry| rule.signal.of(&entry.tally)).sum();
        if mg > 0 {
            inputs.push(Input { entity: Watched::Entity(part).text(topology), kg: mg as f64 / 1e6 });
        }
    }
    inputs.sort_by(|a, b| b.kg.total_cmp(&a.kg));
    inputs.truncate(SHOWN);
    Ok(inputs)
}

/// What an entity is made of.
fn parts(topology: &Topology, entity: Entity) -> Vec<Entity> {
    match entity {
        Entity::Meter(_) => Vec::new(),
        Entity::Facility(ix) => topology.facility(ix).meters.iter().copied().map(Entity::Meter).collect(),
        Entity::Cluster(ix) => {
            let facilities: &[FacilityIx] = &topology.cluster(ix).facilities;
            facilities.iter().copied().map(Entity::Facility).collect()
        }
        Entity::Network(ix) => topology.network(ix).clusters.iter().copied().map(Entity::Cluster).collect(),
    }
}
