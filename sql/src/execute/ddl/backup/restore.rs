//! RESTORE: rows are ingested under index ids that nobody knows of, then the catalog learns of all of them at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backup::{Collection, Manifest, Place, SecretKey};
use bytes::Bytes;
use client::{Client, Ingest, ScanOptions, Strength, Transaction, TransactionOptions, WaitPolicy};
use env::clock;
use env::random;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use keys::sql::TENANT_DEFAULT;

use super::super::{kept, store};
use super::contents::{catalog_of_all, databases, own_spans, plain_keys, scope};
use super::copies::{Found, NewIds, Source, comments, move_counter};
use crate::activity::Job;
use crate::catalog::access::{self, Object, ObjectRights};
use crate::catalog::comment;
use crate::catalog::database::{self, Database};
use crate::catalog::home::Home;
use crate::catalog::{
    CatalogSnapshot, FIRST_DATABASE_OID, FIRST_TEMPORARY_OID, FIRST_USER_OID, IndexId, Oid, dropped, object,
    stored,
};
use crate::error::{Cause, Error, Notice, Result};
use crate::execute::memory::Memory;
use crate::execute::row_ids;
use crate::plan::BackupOf;

/// So many indexes are filled at a time, if there is memory for it.
const INDEXES_MAX: usize = 4;

/// What one link of the chain takes of memory while an index is filled: a file, and a block of it.
const LINK_BYTES: usize = 12 << 20;

/// What is under way of an index that is filled.
const UNDER_WAY_BYTES: usize = 4 << 20;

/// A transaction that writes plain keys, or rows that are too long to be ingested, ends with the one that passes so many bytes.
const PUT_BYTES: usize = 1 << 20;

/// After so many rows others have a turn.
const ROWS: u64 = 1024;

/// Ids of objects are moved on by so many at once, ids of rows by so many more.
const OIDS_STEP: u64 = 1 << 16;
const ROW_IDS_STEP: u64 = 1 << 40;

/// So many rows of the catalog are asked for at once.
const ROWS_AT_ONCE: usize = 256;

/// So often the last step is tried.
const ATTEMPTS_MAX: u32 = 10;

/// What is to come back.
pub(crate) struct Restore {
    /// What.
    pub(crate) of: BackupOf,
    /// What the database is called from now on, if not as it was.
    pub(crate) name: Option<String>,
    /// The session's database, by oid and name.
    pub(crate) database: (Oid, String),
    /// Whose a database will be.
    pub(crate) owner: Oid,
    /// From where.
    pub(crate) place: Place,
    /// As of when; `None`: as of the newest backup.
    pub(crate) moment: Option<u64>,
    /// The key that it is sealed with.
    pub(crate) secret: Option<SecretKey>,
}

/// What came back.
pub(crate) struct Restored {
    /// As of when.
    pub(crate) at: u64,
    /// How many tables.
    pub(crate) tables: u64,
    /// How many rows and entries of indexes.
    pub(crate) entries: u64,
    /// What did not.
    pub(crate) notices: Vec<Notice>,
}

/// What is to be done.
struct Work {
    /// What comes back of each database's catalog.
    found: Vec<Found>,
    /// Rows of the catalog that come back as they are.
    rows: Vec<(Bytes, Bytes)>,
    notices: Vec<Notice>,
}

/// Restores.
pub(crate) async fn restore_backup(
    client: &Client,
    order: &Restore,
    memory: &mut Memory,
    job: &Job,
) -> Result<Restored> {
    let place = order.place.clone();
    let collection = Collection::open(place.clone(), order.secret.clone()).await?;
    let wanted = match &order.of {
        BackupOf::Database(name) => scope(&order.of, name),
        of => scope(of, &order.database.1),
    };
    job.about(wanted.to_string());
    let held = collection.holding(&wanted, order.moment).await?;
    let source = Arc::new(Source { place, held });
    if let Some(last) = source.held.links.last() {
        move_counters(client, &last.manifest).await?;
    }
    let work = find(client, order, &source).await?;
    let mut transaction = client.begin(TransactionOptions::default());
    let is_free = check_first(&mut transaction, order, &work).await;
    transaction.rollback().await;
    is_free?;
    // History is kept from its beginning on as long as it is open.
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut holder = client.begin(options);
    let restored = restore_held(client, order, &source, work, &mut holder, memory, job).await;
    holder.rollback().await;
    restored
}

async fn move_counters(client: &Client, manifest: &Manifest) -> Result<()> {
    if manifest.oid_next > u64::from(FIRST_TEMPORARY_OID) || manifest.row_id_next > i64::MAX as u64 {
        return Err(Error::new("XX001", "the backup has ids that there cannot be"));
    }
    move_counter(client, "oid", manifest.oid_next, OIDS_STEP).await?;
    move_counter(client, row_ids::COUNTER, manifest.row_id_next, ROW_IDS_STEP).await
}

/// Reads the catalog of the backup.
async fn find(client: &Client, order: &Restore, source: &Source) -> Result<Work> {
    let mut work = Work { found: Vec::new(), rows: Vec::new(), notices: Vec::new() };
    match &order.of {
        BackupOf::Cluster => {
            for span in catalog_of_all() {
                work.rows.extend(source.rows(&span).await?);
            }
            for oid in source.databases() {
                let home = Home::of(oid);
                for span in own_spans(home).into_iter().chain([comment::span(home)]) {
                    work.rows.extend(source.rows(&span).await?);
                }
                work.found.push(Found::of_database(source, home, home).await?);
            }
        }
        BackupOf::Database(name) => {
            let from = Home::of(source.database(name)?);
            let oid = u32::try_from(client.allocate_ids("oid", 1).await?).ok();
            let oid = oid.filter(|oid| *oid < FIRST_TEMPORARY_OID);
            let oid = oid.ok_or_else(|| Error::new("54000", "oids are exhausted"))?;
            let to = Home::of(oid);
            let mut found = Found::of_database(source, from, to).await?;
            found.leave_roles(&mut work.notices);
            work.found.push(found);
            work.rows = comments(source, from, to).await?;
            let own = Database::new(oid, order.name.as_deref().unwrap_or(name));
            work.rows.push((database::key(oid), database::encode(&own)));
            let (object, rights) = (Object::Database(oid), ObjectRights::of_owner(order.owner));
            let key = access::stored::rights_key(Home::FIRST, object);
            work.rows.push((key, access::stored::encode_rights(object, &rights)));
        }
        BackupOf::Table { schema, name } => {
            let from = Home::of(source.database(&order.database.1)?);
            let mut found = Found::of_database(source, from, Home::of(order.database.0)).await?;
            found.leave_others(schema, name, &mut work.notices)?;
            work.found.push(found);
        }
    }
    Ok(work)
}

/// That nothing is in the way, before anything is done.
async fn check_first(transaction: &mut Transaction, order: &Restore, work: &Work) -> Result<()> {
    if order.of == BackupOf::Cluster && !is_empty(transaction, plain_keys()).await? {
        return Err(not_empty("there are plain keys"));
    }
    check(transaction, order, work).await
}

fn not_empty(what: &str) -> Error {
    Error::new("55000", format!("the cluster is not empty: {what}"))
        .hint("RESTORE CLUSTER takes a cluster that was just made.")
}

/// That nothing is in the way, when the catalog is to learn of what has come back.
async fn check(transaction: &mut Transaction, order: &Restore, work: &Work) -> Result<()> {
    match &order.of {
        BackupOf::Cluster => check_empty(transaction).await,
        BackupOf::Database(name) => {
            let name = order.name.as_deref().unwrap_or(name);
            match databases(transaction).await?.named(name) {
                Some(_) => Err(Error::new("42P04", format!("database \"{name}\" already exists"))
                    .hint("RESTORE DATABASE … AS … gives it another name.")),
                None => Ok(()),
            }
        }
        BackupOf::Table { .. } => {
            let catalog = store::load_catalog(transaction, None, &[], order.database.0).await?;
            let catalog = catalog.ok_or_else(|| Error::internal("the catalog was not read"))?;
            work.found.iter().try_for_each(|found| check_free(&catalog, found))
        }
    }
}

/// 55000 unless nobody has made anything in the cluster.
async fn check_empty(transaction: &mut Transaction) -> Result<()> {
    let databases = databases(transaction).await?;
    if databases.iter().any(|database| database.oid >= FIRST_USER_OID) {
        return Err(not_empty("there are databases"));
    }
    for database in databases.iter() {
        let home = Home::of(database.oid);
        for span in [stored::tables_span(home), object::stored::objects_span(home)] {
            if !is_empty(transaction, span).await? {
                return Err(not_empty("there are tables, or other objects"));
            }
        }
    }
    let catalog = store::load_catalog(transaction, None, &[], FIRST_DATABASE_OID).await?;
    let catalog = catalog.ok_or_else(|| Error::internal("the catalog was not read"))?;
    if catalog.access().roles().any(|role| role.oid >= FIRST_USER_OID) {
        return Err(not_empty("there are roles"));
    }
    Ok(())
}

async fn is_empty(transaction: &mut Transaction, span: client::Span) -> Result<bool> {
    let mut left = Some(span);
    while let Some(span) = left.take() {
        let one = ScanOptions { rows_max: 1, bytes_max: 1 << 10, reverse: false };
        let page = transaction.scan(span, one).await?;
        if !page.rows.is_empty() {
            return Ok(false);
        }
        left = page.resume;
    }
    Ok(true)
}

/// That a database has room for a table by its names and oids.
fn check_free(catalog: &CatalogSnapshot, found: &Found) -> Result<()> {
    for (schema, name) in found.names() {
        if catalog.objects().schema_oid(schema).is_none() {
            return Err(Error::new("3F000", format!("schema \"{schema}\" does not exist")));
        }
        if catalog.is_taken(schema, name) {
            return Err(Error::new("42P07", format!("relation \"{name}\" already exists")));
        }
    }
    // A table brings a type of its name along.
    let is_type = |schema: &str, name: &str| {
        let objects = catalog.objects();
        objects.type_named(schema, name).is_some()
            || objects.type_brought(name).is_some()
            || objects.range_of_multirange(Some(schema), name).is_some()
    };
    if let Some(table) = found.tables.iter().find(|table| is_type(&table.schema, &table.name)) {
        return Err(Error::new("42710", format!("type \"{}\" already exists", table.name)));
    }
    let own: BTreeSet<Oid> = found.oids().collect();
    let mut taken = catalog.tables().flat_map(|table| {
        let indexes = table.indexes.iter().map(|index| index.oid);
        indexes.chain(table.constraint_names().map(|(oid, _)| oid)).chain([table.oid])
    });
    let is_taken = taken.any(|oid| own.contains(&oid));
    if is_taken || own.iter().any(|oid| catalog.objects().get(*oid).is_some()) {
        return Err(Error::unsupported("RESTORE of a table beside what has its oids")
            .detail("The table is there still, under another name, or another cluster has given its oids.")
            .hint("RESTORE DATABASE … AS … brings it in a database of its own."));
    }
    Ok(())
}

async fn restore_held(
    client: &Client,
    order: &Restore,
    source: &Arc<Source>,
    work: Work,
    holder: &mut Transaction,
    memory: &mut Memory,
    job: &Job,
) -> Result<Restored> {
    let at = holder.read_timestamp().await?;
    if let BackupOf::Table { .. } = &order.of {
        let tables = work.found.iter().flat_map(|found| &found.tables);
        let new = tables.map(|table| table.indexes.len()).sum();
        kept::check_new(client, Home::of(order.database.0), new).await?;
    }
    let mut ids = NewIds::take(client, work.found.iter().map(Found::indexes).sum()).await?;
    let mut rows = work.rows.clone();
    for found in &work.found {
        rows.extend(found.rows(&mut ids)?);
    }
    let given = ids.given;
    list(client, &given).await?;
    let mut entries = fill_all(client, source, &given, at, memory, job).await?;
    if order.of == BackupOf::Cluster {
        entries = entries.saturating_add(put_plain(client, source).await?);
    }
    job.step("learning the catalog", "rows", Some(rows.len() as u64));
    learn(client, order, &work, &rows, &given).await?;
    let tables = work.found.iter().map(|found| found.tables.len() as u64).sum();
    Ok(Restored { at: source.held.at, tables, entries, notices: work.notices })
}

/// Puts index ids on the list of those that are out of use.
async fn list(client: &Client, given: &[(IndexId, IndexId)]) -> Result<()> {
    let mut transaction = client.begin(TransactionOptions::default());
    for (_, to) in given {
        transaction.put(dropped::key(*to), Bytes::new());
    }
    transaction.commit().await?;
    Ok(())
}

/// Fills all indexes; how many entries that are.
async fn fill_all(
    client: &Client,
    source: &Arc<Source>,
    given: &[(IndexId, IndexId)],
    at: u64,
    memory: &mut Memory,
    job: &Job,
) -> Result<u64> {
    job.step("writing entries", "entries", None);
    let one = source.held.links.len().saturating_mul(LINK_BYTES).saturating_add(UNDER_WAY_BYTES);
    let mut beside = INDEXES_MAX;
    while let Err(error) = memory.reserve(one.saturating_mul(beside)) {
        beside /= 2;
        if beside == 0 {
            return Err(error);
        }
    }
    let mut left = given.iter();
    let mut under_way = FuturesUnordered::new();
    let mut entries = 0_u64;
    loop {
        while under_way.len() < beside
            && let Some((from, to)) = left.next()
        {
            under_way.push(fill(client.clone(), source.clone(), *from, *to, at, job));
        }
        match under_way.next().await {
            Some(filled) => entries = entries.saturating_add(filled?),
            None => break,
        }
    }
    memory.release(one.saturating_mul(beside));
    Ok(entries)
}

/// Fills an index, with versions at a timestamp.
async fn fill(
    client: Client,
    source: Arc<Source>,
    from: IndexId,
    to: IndexId,
    at: u64,
    job: &Job,
) -> Result<u64> {
    let [old, new] = [from, to].map(|id| keys::sql::index_prefix(TENANT_DEFAULT, id));
    let mut rows = source.walk(&keys::sql::index_span(TENANT_DEFAULT, from)).await?;
    let mut ingest = client.ingest(at);
    let mut key = new.to_vec();
    let mut count = 0_u64;
    while let Some((row, value)) = rows.row().await? {
        let rest = row.strip_prefix(old.as_ref()).ok_or_else(|| Error::internal("a row of another index"))?;
        key.truncate(new.len());
        key.extend_from_slice(rest);
        if Ingest::takes(key.len(), value.len()) {
            ingest.put(&key, &value).await?;
        } else {
            // It stands above what is ingested, which is no harm: nobody else writes here.
            let mut transaction = client.begin(TransactionOptions::default());
            transaction.put(Bytes::copy_from_slice(&key), value);
            transaction.commit().await?;
        }
        count = count.saturating_add(1);
        if count.is_multiple_of(ROWS) {
            job.add(ROWS);
            env::task::yield_now().await;
        }
    }
    ingest.finish().await?;
    job.add(count % ROWS);
    Ok(count)
}

/// Puts plain keys and values, which nobody knows of by their being in the catalog: they are there as they come.
async fn put_plain(client: &Client, source: &Source) -> Result<u64> {
    let mut rows = source.walk(&plain_keys()).await?;
    let (mut count, mut bytes) = (0_u64, 0_usize);
    let mut transaction = client.begin(TransactionOptions::default());
    while let Some((key, value)) = rows.row().await? {
        count = count.saturating_add(1);
        bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        transaction.put(key, value);
        if bytes >= PUT_BYTES {
            transaction.commit().await?;
            transaction = client.begin(TransactionOptions::default());
            bytes = 0;
        }
    }
    transaction.commit().await?;
    Ok(count)
}

/// Has the catalog learn of what has come back.
async fn learn(
    client: &Client,
    order: &Restore,
    work: &Work,
    rows: &[(Bytes, Bytes)],
    given: &[(IndexId, IndexId)],
) -> Result<()> {
    let mut attempt = 0;
    loop {
        let error = match learn_once(client, order, work, rows, given, attempt > 0).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        attempt += 1;
        let may_succeed = error.cause() != Cause::Statement || matches!(error.sqlstate, "08007" | "57P03");
        if !may_succeed || attempt >= ATTEMPTS_MAX {
            return Err(error.cause_is(Cause::Statement));
        }
        clock::sleep(Duration::from_millis(random::below(2 << attempt.min(6)))).await;
    }
}

async fn learn_once(
    client: &Client,
    order: &Restore,
    work: &Work,
    rows: &[(Bytes, Bytes)],
    given: &[(IndexId, IndexId)],
    again: bool,
) -> Result<()> {
    let lock_timeout = Some(store::CATALOG_WAIT_MAX);
    let mut transaction = client.begin(TransactionOptions { lock_timeout, ..TransactionOptions::default() });
    let version_key = keys::sql::catalog_version_key();
    let locked = transaction.lock(vec![version_key.clone()], Strength::Exclusive, WaitPolicy::Block).await?;
    let version = store::version_of(locked.first().and_then(|locked| locked.value.as_ref()))?;
    let listed: Vec<Bytes> = given.iter().map(|(_, to)| dropped::key(*to)).collect();
    let locked = match listed.is_empty() {
        true => Vec::new(),
        false => transaction.lock(listed.clone(), Strength::Exclusive, WaitPolicy::Block).await?,
    };
    let is_off = locked.iter().all(|locked| locked.value.is_none());
    if again && is_off && stand_all(&mut transaction, rows).await? {
        // It has learnt of it, and nobody heard so. Where the room was given back they are off the list, too, and no row is there.
        transaction.rollback().await;
        return Ok(());
    }
    let is_kept = |value: Option<&Bytes>| value.is_some_and(|value| dropped::settled(value).is_none());
    if !locked.iter().all(|locked| is_kept(locked.value.as_ref())) {
        transaction.rollback().await;
        return Err(Error::new("55000", "what was restored was given up meanwhile")
            .detail("The gateway had no connection with the cluster for too long."));
    }
    if let Err(error) = check(&mut transaction, order, work).await {
        transaction.rollback().await;
        return Err(error);
    }
    for (key, value) in rows {
        transaction.put(key.clone(), value.clone());
    }
    for key in listed {
        transaction.delete(key);
    }
    let next = version.saturating_add(1);
    transaction.put(version_key, Bytes::copy_from_slice(&next.to_be_bytes()));
    transaction.commit().await?;
    Ok(())
}

/// Whether rows stand in the catalog as they are here, every one.
async fn stand_all(transaction: &mut Transaction, rows: &[(Bytes, Bytes)]) -> Result<bool> {
    for some in rows.chunks(ROWS_AT_ONCE) {
        let keys = some.iter().map(|(key, _)| key.clone()).collect();
        let found = transaction.get_many(keys).await?;
        if found.iter().zip(some).any(|(found, (_, value))| found.as_ref() != Some(value)) {
            return Ok(false);
        }
    }
    Ok(true)
}
