//! Numbers for ids, so that rows stay small. A number is given once and never reused.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use crate::cluster::{Entity, Level, MeterIx, Topology};
use crate::store::schema::insert_name;

/// The numbers of the entities of one plan.
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: HashMap<Entity, i64>,
    entities: HashMap<i64, Entity>,
}

impl Names {
    /// The number of an entity of the plan.
    pub(crate) fn number(&self, entity: Entity) -> i64 {
        self.numbers.get(&entity).copied().unwrap_or(-1)
    }

    /// The entity of a number. `None`: no longer in the plan.
    pub(crate) fn entity(&self, number: i64) -> Option<Entity> {
        self.entities.get(&number).copied()
    }

    /// Looks up the numbers of all entities; one without a number has no rows either.
    pub(crate) fn known(connection: &Connection, topology: &Topology) -> rusqlite::Result<Names> {
        let mut names = Names::default();
        let mut select = connection.prepare("SELECT number FROM name WHERE level = ?1 AND id = ?2")?;
        for entity in all(topology) {
            let (level, id) = (entity.level().name(), topology.id(entity).as_str());
            if let Some(number) = select.query_row((level, id), |row| row.get(0)).optional()? {
                names.note(entity, number);
            }
        }
        Ok(names)
    }

    fn note(&mut self, entity: Entity, number: i64) {
        self.numbers.insert(entity, number);
        self.entities.insert(number, entity);
    }

    /// Looks up the numbers of all entities, and gives new ones where needed.
    pub(crate) fn read(connection: &Connection, topology: &Topology) -> rusqlite::Result<Names> {
        let mut names = Names::default();
        let mut select = connection.prepare("SELECT number FROM name WHERE level = ?1 AND id = ?2")?;
        let mut next: i64 = connection.query_row(
            "SELECT 1 + max(coalesce((SELECT max(number) FROM name), 0), coalesce((SELECT max(number) FROM name_copy), 0),
                 coalesce((SELECT max(meter) FROM quarter), 0), coalesce((SELECT max(entity) FROM entry), 0))",
            [],
            |row| row.get(0),
        )?;
        for entity in all(topology) {
            let (level, id) = (entity.level().name(), topology.id(entity).as_str());
            let number = match select.query_row((level, id), |row| row.get(0)).optional()? {
                Some(number) => number,
                None => {
                    insert_name(connection, next, level, id)?;
                    next += 1;
                    next - 1
                }
            };
            names.note(entity, number);
        }
        Ok(names)
    }

    /// The level and id of a number that is not in the plan any more, for messages.
    pub(crate) fn describe(&self, topology: &Topology, number: i64) -> String {
        match self.entity(number) {
            Some(entity) => format!("{}/{}", Level::name(entity.level()), topology.id(entity)),
            None => format!("former entity {number}"),
        }
    }
}

/// All entities of a plan.
pub(crate) fn all(topology: &Topology) -> impl Iterator<Item = Entity> {
    let meters = (0u32..).zip(&topology.meters).map(|(i, _)| Entity::Meter(MeterIx(i)));
    meters.chain(topology.entities())
}
