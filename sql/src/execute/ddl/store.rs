//! The catalog's keys: the version, a row per table, a row per index that was dropped.
//!
//! ```text
//! catalog version   keys::sql::catalog_version_key()      u64, big-endian
//! table             index 1, oid (u32), suffix 0          see catalog::stored
//! object            index 3, oid (u32), suffix 0          see catalog::object::stored
//! comment           index 4                               see catalog::comment
//! dropped index     index 2                               see catalog::dropped
//! database          index 33, oid (u32), suffix 0         see catalog::database
//! settings          index 34                              see catalog::defaults
//! of the cluster    index 35                              see catalog::cluster_settings
//! being built       index 38                              see catalog::building
//! erased            index 42, index id (u64), suffix 0    see catalog::erased
//! roles, rights     indexes 16 to 19                      see catalog::access::stored
//! ```
//!
//! Those of tables, objects, comments, and of rights on them, stand where the [home](crate::catalog::home) of their
//! database is.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{ScanOptions, Span, Strength, Transaction, WaitPolicy};
use keys::sql::TENANT_DEFAULT;

use crate::bind;
use crate::catalog::access::stored::RightsRow;
use crate::catalog::access::{self, Access};
use crate::catalog::cluster_settings::{self, ClusterSettings};
use crate::catalog::comment::{self, Comments};
use crate::catalog::database::{self, Databases};
use crate::catalog::defaults::{self, SettingDefaults};
use crate::catalog::home::Home;
use crate::catalog::object::{self, Kinds, ObjectDescriptor};
use crate::catalog::{CatalogSnapshot, IndexId, Oid, TableDescriptor, dropped, stored};
use crate::error::{Cause, Error, Result};
use crate::execute::context::Context;

/// Notes that an index id is out of use.
pub(super) fn note_dropped(cx: &mut Context<'_>, index: IndexId) {
    cx.transaction.put(dropped::key(index), Bytes::new());
}

/// The same of an index of a table, whose history may be kept for longer than others'.
pub(super) fn note_dropped_of(cx: &mut Context<'_>, table: Oid, index: IndexId) {
    let value = dropped::value(cx.catalog.database_oid(), table);
    cx.transaction.put(dropped::key(index), value);
}

/// The catalog version that is stored.
pub(super) fn version_of(value: Option<&Bytes>) -> Result<u64> {
    let Some(value) = value else { return Ok(0) };
    let bytes: [u8; 8] =
        value.as_ref().try_into().map_err(|_| Error::new("XX001", "the catalog version is damaged"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// How long a statement waits for another transaction's change of the catalog to end: 55P03 then.
pub(super) const CATALOG_WAIT_MAX: Duration = Duration::from_secs(5 * 60);

/// Locks the catalog version and raises it by one. The statement has to be planned again if it was not planned under
/// the newest.
pub(super) async fn raise_version(cx: &mut Context<'_>) -> Result<()> {
    let key = keys::sql::catalog_version_key();
    let patience = cx.transaction.options().lock_timeout;
    cx.transaction.set_lock_timeout(Some(patience.map_or(CATALOG_WAIT_MAX, |own| own.min(CATALOG_WAIT_MAX))));
    let locked = cx.transaction.lock(vec![key.clone()], Strength::Exclusive, WaitPolicy::Block).await;
    cx.transaction.set_lock_timeout(patience);
    let locked = locked?;
    let version = version_of(locked.first().and_then(|locked| locked.value.as_ref()))?;
    if version != cx.catalog.version() {
        return Err(Error::new("40001", "the catalog has changed").cause_is(Cause::StaleCatalog));
    }
    cx.transaction.put(key, Bytes::copy_from_slice(&version.saturating_add(1).to_be_bytes()));
    Ok(())
}

/// The catalog as the transaction sees it, or `None` if that is `known`.
pub(crate) async fn load_catalog(
    transaction: &mut Transaction,
    known: Option<u64>,
    system: &[Arc<TableDescriptor>],
    database: Oid,
) -> Result<Option<CatalogSnapshot>> {
    let version = version_of(transaction.get(keys::sql::catalog_version_key()).await?.as_ref())?;
    if known == Some(version) {
        return Ok(None);
    }
    let mut databases = Databases::default();
    for (_, value) in scan(transaction, database::span()).await? {
        databases.take(&value)?;
    }
    if databases.get(database).is_none() {
        let message = format!("database with OID {database} does not exist");
        return Err(Error::new("3D000", message).detail("It seems to have just been dropped."));
    }
    let mut defaults = SettingDefaults::default();
    for (_, value) in scan(transaction, defaults::span()).await? {
        defaults.take(&value)?;
    }
    let set = transaction.get(cluster_settings::key()).await?;
    let set = set.map(|row| ClusterSettings::decode(&row)).transpose()?;
    let set = Arc::new(set.unwrap_or_default());
    let home = Home::of(database);
    let (kinds, objects) = load_objects(transaction, home).await?;
    let mut tables = load_tables(transaction, home, &kinds).await?;
    let access = Arc::new(load_access(transaction, home).await?);
    let (databases, defaults) = (Arc::new(databases), Arc::new(defaults));
    let snapshot = |tables: Vec<Arc<TableDescriptor>>| {
        CatalogSnapshot::new(version, system.iter().cloned(), tables)
            .in_database(database, databases.clone())
            .with_objects(objects.iter().cloned())
            .with_access(access.clone())
            .with_defaults(defaults.clone())
            .with_cluster_settings(set.clone())
    };
    let mut catalog = snapshot(tables.clone());
    if tables.iter().any(|table| table.has_index_expressions()) {
        // What indexes are made of is bound under a catalog.
        for table in tables.iter_mut().filter(|table| table.has_index_expressions()) {
            *table = Arc::new(bind::settle_indexes(TableDescriptor::clone(table), &catalog));
        }
        catalog = snapshot(tables);
    }
    Ok(Some(catalog.with_comments(Arc::new(load_comments(transaction, home).await?))))
}

/// All rows of a span.
pub(super) async fn scan(transaction: &mut Transaction, span: keys::Span) -> Result<Vec<(Bytes, Bytes)>> {
    let mut left = Some(Span { start: span.start, end: span.end });
    let mut rows = Vec::new();
    while let Some(span) = left.take() {
        let page = transaction.scan(span, ScanOptions::default()).await?;
        rows.extend(page.rows);
        left = page.resume;
    }
    Ok(rows)
}

/// The tables of a database as the transaction sees them, of these types.
pub(super) async fn load_tables(
    transaction: &mut Transaction,
    home: Home,
    kinds: &Kinds,
) -> Result<Vec<Arc<TableDescriptor>>> {
    let rows = scan(transaction, stored::tables_span(home)).await?;
    rows.iter().map(|(_, value)| Ok(Arc::new(stored::decode_table(value, kinds)?))).collect()
}

/// Comments as the transaction sees them: those of a database, and of the whole cluster.
async fn load_comments(transaction: &mut Transaction, home: Home) -> Result<Comments> {
    let mut comments = Comments::default();
    for (_, value) in scan(transaction, comment::span(Home::FIRST)).await? {
        comments.take(&value)?;
    }
    if home != Home::FIRST {
        comments.leave_shared();
        for (_, value) in scan(transaction, comment::span(home)).await? {
            comments.take(&value)?;
        }
    }
    Ok(comments)
}

/// Schemas, sequences, views and types of a database as the transaction sees them, and the types by oid.
pub(super) async fn load_objects(
    transaction: &mut Transaction,
    home: Home,
) -> Result<(Kinds, Vec<Arc<ObjectDescriptor>>)> {
    let rows = scan(transaction, object::stored::objects_span(home)).await?;
    let values: Vec<Bytes> = rows.into_iter().map(|(_, value)| value).collect();
    let (kinds, objects) = object::stored::decode_objects(&values)?;
    Ok((kinds, objects.into_iter().map(Arc::new).collect()))
}

/// Owners of what is in a database, and rights on it, and on what is to be there, where they are not as at first.
pub(super) async fn load_rights(transaction: &mut Transaction, home: Home) -> Result<Vec<RightsRow>> {
    let rows = scan(transaction, access::stored::rights_span(home)).await?;
    let mut rights: Vec<_> =
        rows.iter().map(|(_, value)| access::stored::decode_rights(value)).collect::<Result<_>>()?;
    rights.retain(|row| !row.is_shared());
    Ok(rights)
}

/// Roles, and rights on what is in a database and on databases, as the transaction sees them.
async fn load_access(transaction: &mut Transaction, home: Home) -> Result<Access> {
    let mut reader = access::stored::Reader::default();
    for (key, value) in scan(transaction, access::stored::span(TENANT_DEFAULT)).await? {
        reader.take(TENANT_DEFAULT, &key, &value)?;
    }
    if home != Home::FIRST {
        reader.leave_shared();
        for (_, value) in scan(transaction, access::stored::rights_span(home)).await? {
            reader.take_rights(&value)?;
        }
    }
    Ok(reader.finish())
}
