//! What a declaration must stay for the figures that are stored under its id to keep their meaning. A meter's open quarter is
//! made of the journal again at every start, with the unit declared then, and joins what is closed: were that in another unit
//! of the device, the difference would be usage that never was. And what restates a closed window must mean what it meant.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use crate::cluster::{Entity, MeterIx, Topology};
use crate::quantity::Quarter;
use crate::store::names::all;
use crate::store::{Ledger, StoreError, schema};

/// Refuses declarations under whose ids something else is stored.
pub(crate) fn check(connection: &Connection, topology: &Topology, path: &std::path::Path) -> Result<(), StoreError> {
    let changes = changes(connection, topology).map_err(StoreError::database(path))?;
    if changes.is_empty() { Ok(()) } else { Err(StoreError::Redeclared { path: path.to_owned(), changes }) }
}

fn changes(connection: &Connection, topology: &Topology) -> rusqlite::Result<Vec<String>> {
    let mut changes = Vec::new();
    for entity in all(topology) {
        let (section, id) = (entity.level().section(), topology.id(entity));
        let stored = schema::meta(connection, &key(entity, topology))?;
        if let Some((declared, stored)) = topology.identity(entity).zip(stored)
            && let Some((key, text)) = stored.split_once('\t')
            && key != declared.key
            && has_figures(connection, entity, topology)?
        {
            changes.push(format!("[{section}.{id}] was {text}, and is now {}", declared.text));
        }
    }
    Ok(changes)
}

/// Remembers the declarations as they are.
pub(crate) fn note(connection: &Connection, topology: &Topology) -> rusqlite::Result<()> {
    for entity in all(topology) {
        let Some(declared) = topology.identity(entity) else {
            continue;
        };
        let (key, value) = (key(entity, topology), format!("{}\t{}", declared.key, declared.text));
        if schema::meta(connection, &key)?.as_ref() != Some(&value) {
            schema::set_meta(connection, &key, &value)?;
        }
    }
    Ok(())
}

fn key(entity: Entity, topology: &Topology) -> String {
    format!("declared/{}/{}", entity.level().name(), topology.id(entity))
}

fn has_figures(connection: &Connection, entity: Entity, topology: &Topology) -> rusqlite::Result<bool> {
    let name = "SELECT number FROM name WHERE level = ?1 AND id = ?2";
    let mut select = connection.prepare_cached(name)?;
    let parameters = (entity.level().name(), topology.id(entity).as_str());
    let Some(number) = select.query_row(parameters, |row| row.get::<_, i64>(0)).optional()? else {
        return Ok(false);
    };
    let any = "SELECT 1 FROM quarter WHERE meter = ?1 UNION ALL SELECT 1 FROM day WHERE meter = ?1
               UNION ALL SELECT 1 FROM entry WHERE entity = ?1 LIMIT 1";
    connection.prepare_cached(any)?.exists([number])
}

impl Ledger {
    /// Meters that are not in the plan any more and whose readings are still of use.
    pub fn undeclared(&self) -> Result<Vec<String>, StoreError> {
        undeclared(&self.connection, &self.topology).map_err(StoreError::database(self.path()))
    }

    /// The closed quarters from `from` on of meters that were not declared at the last start, and are again: their
    /// facilities may have been added up without them.
    pub fn returned(&self, from: Quarter) -> Result<Vec<Quarter>, StoreError> {
        let Some(before) = self.meta("meters")?.and_then(|text| serde_json::from_str::<BTreeSet<String>>(&text).ok())
        else {
            return Ok(Vec::new());
        };
        let mut quarters = BTreeSet::new();
        let back = (0u32..).map(MeterIx).zip(&self.topology.meters).filter(|(_, m)| !before.contains(m.id.as_str()));
        for (ix, _) in back {
            let number = self.names.number(Entity::Meter(ix));
            let read = || -> rusqlite::Result<Vec<Quarter>> {
                let sql = "SELECT start FROM quarter WHERE meter = ?1 AND start >= ?2";
                let mut statement = self.connection.prepare_cached(sql)?;
                let rows = statement.query_map((number, from.0), |row| row.get(0).map(Quarter))?;
                rows.collect()
            };
            quarters.extend(read().map_err(StoreError::database(self.path()))?);
        }
        Ok(quarters.into_iter().collect())
    }

    /// Notes which meters are declared.
    pub fn note_meters(&self) -> Result<(), StoreError> {
        let ids: Vec<&str> = self.topology.meters.iter().map(|meter| meter.id.as_str()).collect();
        let text = serde_json::json!(ids).to_string();
        if self.meta("meters")?.as_ref() == Some(&text) { Ok(()) } else { self.set_meta("meters", &text) }
    }
}

/// Meters that are not in the plan and whose readings are still of use.
pub(crate) fn undeclared(connection: &Connection, topology: &Topology) -> rusqlite::Result<Vec<String>> {
    let sql =
        "SELECT id FROM name WHERE level = 'meter' AND EXISTS (SELECT 1 FROM quarter WHERE meter = number) ORDER BY id";
    let mut statement = connection.prepare(sql)?;
    let ids = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(ids.into_iter().filter(|id| topology.find_meter(id).is_none()).collect())
}

#[cfg(test)]
mod tests {
    use crate::cluster::{Entity, Level};
    use crate::config::check;

    /// A stored form that changed would refuse every state directory there is.
    #[test]
    fn the_stored_form_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        let meter = |id: &str, more: &str| {
            format!(
                "[meters.{id}]\nfacility = \"f\"\ntopic = \"{id}\"\nformat = \"number\"\ncategory = \"cems-co2\"\n{more}\n"
            )
        };
        let meters = [
            meter("a", "kind = \"register\"\nunit = \"kg\"\nscale = 10\nexpected_every = \"1m\""),
            meter("b", "kind = \"event\"\nunit = \"t\"\noffset = -0.5"),
            meter("c", "kind = \"rate\"\nunit = \"kg/h\"\nexpected_every = \"1m\""),
        ];
        let clusters = "[clusters.c]\ntimezone = \"Asia/Kolkata\"\n[facilities.f]\ncluster = \"c\"\n";
        std::fs::write(&file, format!("{clusters}{}", meters.join(""))).unwrap();
        let plan = check(Some(&file)).map_err(|report| report.to_text()).unwrap();
        let topology = &plan.rules.topology;
        let key = |level, id| topology.identity(topology.find(level, id).unwrap()).unwrap().key;
        assert_eq!(key(Level::Meter, "a"), "1 register ug 10000000000 0 cems-co2 f");
        assert_eq!(key(Level::Meter, "b"), "1 event ug 1000000000000 -500000000000 cems-co2 f");
        assert_eq!(key(Level::Meter, "c"), "1 rate ug 24000000000 0 cems-co2 f");
        assert_eq!(key(Level::Facility, "f"), "1 c");
        assert_eq!(key(Level::Cluster, "c"), "1 Asia/Kolkata");
        assert!(topology.entities().iter().all(|e| topology.identity(*e).is_some() || matches!(e, Entity::Network(_))));
    }
}
