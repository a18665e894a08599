//! What a backup covers: spans of the catalog, and of the rows that it tells of.

use backup::{DatabaseName, Scope};
use client::{Span, Transaction};
use keys::sql::TENANT_DEFAULT;

use super::super::store;
use crate::catalog::database::{self, Database, Databases};
use crate::catalog::home::Home;
use crate::catalog::{IndexState, Oid, access, cluster_settings, comment, defaults, kept, object, stored};
use crate::error::{Error, Result};
use crate::plan::BackupOf;

/// What a backup of something covers.
pub(super) struct Contents {
    pub(super) scope: Scope,
    pub(super) databases: Vec<DatabaseName>,
    /// They ascend, and none overlaps another.
    pub(super) spans: Vec<Span>,
}

/// What `of` is at the transaction's timestamp; a table is one of `database`.
pub(super) async fn contents(past: &mut Transaction, of: &BackupOf, database: Oid) -> Result<Contents> {
    let all = databases(past).await?;
    let no_database = || Error::new("3D000", "the database does not exist at that moment");
    let wanted: Vec<&Database> = match of {
        BackupOf::Cluster => all.iter().collect(),
        BackupOf::Database(name) => vec![all.named(name).ok_or_else(no_database)?],
        BackupOf::Table { .. } => vec![all.get(database).ok_or_else(no_database)?],
    };
    let scope = scope(of, wanted.first().map_or("", |first| first.name.as_str()));
    let mut spans = match of {
        BackupOf::Cluster => shared_spans(),
        _ => Vec::new(),
    };
    for database in &wanted {
        let home = Home::of(database.oid);
        spans.extend(catalog_spans(home));
        if *of == BackupOf::Cluster {
            spans.extend(own_spans(home));
        }
        spans.extend(row_spans(past, home, of).await?);
    }
    spans.sort_by(|one, other| one.start.cmp(&other.start));
    let name = |database: &&Database| DatabaseName { oid: database.oid, name: database.name.clone() };
    Ok(Contents { scope, databases: wanted.iter().map(name).collect(), spans })
}

/// The databases that there are.
pub(super) async fn databases(transaction: &mut Transaction) -> Result<Databases> {
    let mut databases = Databases::default();
    for (_, value) in store::scan(transaction, database::span()).await? {
        databases.take(&value)?;
    }
    Ok(databases)
}

/// What it is called in manifests.
pub(super) fn scope(of: &BackupOf, database: &str) -> Scope {
    match of {
        BackupOf::Cluster => Scope::cluster(),
        BackupOf::Database(_) => Scope::database(database),
        BackupOf::Table { schema, name } => Scope::table(database, schema, name),
    }
}

/// Tables, other objects and comments of a database.
fn catalog_spans(home: Home) -> [Span; 3] {
    [stored::tables_span(home), object::stored::objects_span(home), comment::span(home)]
}

/// What else of a database comes back with the whole cluster: rights, and how long history is kept.
pub(super) fn own_spans(home: Home) -> Vec<Span> {
    let mut spans = vec![kept::span(home)];
    // Those of the first are among what is of the whole cluster.
    if home != Home::FIRST {
        spans.push(access::stored::rights_span(home));
    }
    spans
}

/// What is of the whole cluster: roles and rights, databases, settings; plain keys and values.
pub(super) fn shared_spans() -> Vec<Span> {
    let mut spans = catalog_of_all();
    spans.push(plain_keys());
    spans
}

/// The same without plain keys.
pub(super) fn catalog_of_all() -> Vec<Span> {
    vec![
        access::stored::span(TENANT_DEFAULT),
        database::span(),
        defaults::span(),
        Span::key(cluster_settings::key()),
    ]
}

/// Plain keys and values.
pub(super) fn plain_keys() -> Span {
    Span::prefix(keys::sql::kv_key(TENANT_DEFAULT, b""))
}

/// Rows, entries of indexes, and numbers of sequences. An index that is being built is none yet.
async fn row_spans(past: &mut Transaction, home: Home, of: &BackupOf) -> Result<Vec<Span>> {
    let (kinds, objects) = store::load_objects(past, home).await?;
    let mut tables = store::load_tables(past, home, &kinds).await?;
    if let BackupOf::Table { schema, name } = of {
        tables.retain(|table| table.schema == *schema && table.name == *name);
        if tables.is_empty() {
            let message = format!("relation \"{schema}.{name}\" does not exist at that moment");
            return Err(Error::new("42P01", message));
        }
    }
    let is_wanted = |owner: Option<Oid>| {
        let is_of_one = matches!(of, BackupOf::Table { .. });
        !is_of_one || owner.is_some_and(|owner| tables.iter().any(|table| table.oid == owner))
    };
    let states = objects.iter().filter_map(|object| object.sequence());
    let states = states.filter(|sequence| is_wanted(sequence.owner.as_ref().map(|owner| owner.table)));
    let states = states.map(|sequence| sequence.state);
    let indexes = tables.iter().flat_map(|table| &table.indexes);
    let indexes = indexes.filter(|index| index.state == IndexState::Public).map(|index| index.id);
    Ok(states.chain(indexes).map(|index| keys::sql::index_span(TENANT_DEFAULT, index)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::FIRST_DATABASE_OID;

    #[test]
    fn what_a_cluster_is_covered_by_does_not_overlap() {
        let mut spans = shared_spans();
        for oid in [1, 4, FIRST_DATABASE_OID, 20_000] {
            spans.extend(catalog_spans(Home::of(oid)));
            spans.extend(own_spans(Home::of(oid)));
        }
        spans.sort_by(|one, other| one.start.cmp(&other.start));
        assert!(spans.is_sorted_by(|one, other| one.end <= other.start));
        assert!(spans.iter().all(|span| !span.is_empty()));
    }
}
