//! What a declaration must stay for the figures that are stored under its id to keep their meaning. The unit of a meter is
//! part of that: its stored readings are numbers in base units, and the next ones would no longer match them.

use rusqlite::{Connection, OptionalExtension};

use crate::cluster::{Entity, Topology};
use crate::store::names::all;
use crate::store::{StoreError, schema};

/// Refuses declarations under whose ids something else is stored.
pub(crate) fn check(connection: &Connection, topology: &Topology, path: &std::path::Path) -> Result<(), StoreError> {
    let changes = changes(connection, topology).map_err(StoreError::database(path))?;
    if changes.is_empty() { Ok(()) } else { Err(StoreError::Redeclared { path: path.to_owned(), changes }) }
}

fn changes(connection: &Connection, topology: &Topology) -> rusqlite::Result<Vec<String>> {
    let mut changes = Vec::new();
    for entity in all(topology) {
        let (section, id, declared) = (entity.level().section(), topology.id(entity), topology.identity(entity));
        let stored = schema::meta(connection, &key(entity, topology))?;
        if let Some(stored) = stored.filter(|stored| *stored != declared)
            && has_figures(connection, entity, topology)?
        {
            changes.push(format!("[{section}.{id}] was {stored}, and is now {declared}"));
        }
    }
    Ok(changes)
}

/// Remembers the declarations as they are.
pub(crate) fn note(connection: &Connection, topology: &Topology) -> rusqlite::Result<()> {
    for entity in all(topology) {
        let (key, declared) = (key(entity, topology), topology.identity(entity));
        if schema::meta(connection, &key)?.as_ref() != Some(&declared) {
            schema::set_meta(connection, &key, &declared)?;
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
