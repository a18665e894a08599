//! UNDROP TABLE: a table that was dropped comes back with its rows and all their history.
//!
//! DROP TABLE takes the table's row out of the catalog and lists its indexes ([`dropped`]); their keys stay until history no
//! longer reaches back to them. What the table was stands in the version of its row before that. It is put back as it was,
//! and its indexes are taken off the list: nobody gives their room back any more.

use std::sync::Arc;

use bytes::Bytes;
use client::{Client, Strength, Transaction, VersionsLeft, WaitPolicy};

use super::{Change, changed, store};
use crate::catalog::access::stored::RightsRow;
use crate::catalog::access::{self, Object, PUBLIC_ROLE};
use crate::catalog::depend::{Address, dependencies};
use crate::catalog::home::Home;
use crate::catalog::object::ObjectDescriptor;
use crate::catalog::object::types::{EnumLabel, TypeDescriptor};
use crate::catalog::{
    CatalogSnapshot, IndexDescriptor, IndexId, IndexState, Oid, TableDescriptor, dropped, spelled, stored,
};
use crate::error::{Error, Notice, Result};

/// A page of the versions of tables' rows is about so large.
const PAGE_BYTES: usize = 256 << 10;

impl Change<'_, '_> {
    pub(super) async fn undrop(&mut self, schema: &str, name: &str) -> Result<()> {
        let client = self.cx.client;
        let Some((oid, at)) = last_dropped(client, self.catalog.home(), schema, name).await? else {
            let message = format!("table \"{name}\" has not been dropped");
            return Err(Error::new("42P01", message)
                .detail("What was dropped is known for as long as history is kept."));
        };
        let mut past = client.past(at.saturating_sub(1));
        let then = was(&mut past, &self.catalog, oid).await;
        past.rollback().await;
        let (mut table, sequences, owner) = then?;
        // Nobody goes on to build what was being built then: it stays on the list.
        table.indexes.retain(|index| index.state == IndexState::Public);
        let owner = self.owner_again(&table, owner)?;
        self.check_fits(&table)?;
        self.leave_keys(&mut table);
        let names = sequences.iter().map(|sequence| (&sequence.schema, &sequence.name));
        let mut names = names.chain(table.indexes.iter().map(|index| (&table.schema, &index.name)));
        if let Some((_, taken)) = names.find(|(schema, name)| self.catalog.is_taken(schema, name)) {
            return Err(Error::new("42P07", format!("relation \"{taken}\" already exists")));
        }
        let states = sequences.iter().filter_map(ObjectDescriptor::sequence).map(|sequence| sequence.state);
        let indexes = table.indexes.iter().map(|index| index.id).chain(states).collect();
        self.have_back(&table, indexes).await?;
        let made: Vec<Oid> = sequences.iter().map(|sequence| sequence.oid).chain([oid]).collect();
        for sequence in sequences {
            let own = sequence.oid;
            self.put_object(sequence)?;
            self.own(Object::Sequence(own), Some(owner))?;
        }
        let name = table.name.clone();
        self.put_table(changed(table))?;
        self.own(Object::Table(oid), Some(owner))?;
        self.check_whole(&made, &name)
    }

    /// That there is all that a table and what goes with it depend on.
    pub(super) fn check_whole(&self, made: &[Oid], name: &str) -> Result<()> {
        let is_made = |of: Address| made.contains(&of.table().unwrap_or_else(|| of.oid()));
        let gone = dependencies(&self.catalog)
            .into_iter()
            .any(|tie| is_made(tie.of) && !is_there(&self.catalog, tie.on));
        // Types that extensions bring are known without them.
        let is_brought = |extension: &str| self.catalog.objects().extension(extension).is_some();
        let tables = self.catalog.tables().filter(|table| made.contains(&table.oid));
        let mut brought = tables.flat_map(|table| &table.columns).filter_map(|own| own.ty.kind.extension());
        if gone || !brought.all(is_brought) { Err(lacks(name)) } else { Ok(()) }
    }

    /// Whoever had the table's rights has it again; its owner.
    fn owner_again(&self, table: &TableDescriptor, owner: Option<Oid>) -> Result<Oid> {
        let acting = self.acting()?;
        let owner = owner.filter(|owner| self.catalog.access().role(*owner).is_some());
        match owner {
            Some(owner) if acting.has(owner) => Ok(owner),
            None if acting.is_superuser => Ok(acting.role),
            _ => Err(Error::new("42501", format!("must be owner of table {}", table.name))),
        }
    }

    /// That there still are the types of its columns, and the roles that its policies bind.
    fn check_fits(&self, table: &TableDescriptor) -> Result<()> {
        let access = self.catalog.access();
        let mut roles = table.row_security.policies.iter().flat_map(|policy| &policy.roles);
        let has_roles = roles.all(|role| *role == PUBLIC_ROLE || access.role(*role).is_some());
        let row = stored::encode_table(table)?;
        let has_types = stored::decode_table(&row, self.catalog.objects().kinds()).is_ok();
        if has_roles && has_types { Ok(()) } else { Err(lacks(&table.name)) }
    }

    /// What rows refer to in other tables may have gone since.
    fn leave_keys(&mut self, table: &mut TableDescriptor) {
        let own = table.oid;
        for key in table.constraints.foreign_keys.extract_if(.., |key| key.parent != own) {
            let message = format!(
                "foreign key constraint \"{}\" of table \"{}\" does not come back",
                key.name, table.name
            );
            self.notices.push(Notice::notice("00000", message));
        }
    }

    /// Takes indexes off the list of those that are out of use.
    async fn have_back(&mut self, table: &TableDescriptor, indexes: Vec<IndexId>) -> Result<()> {
        let keys: Vec<Bytes> = indexes.into_iter().map(dropped::key).collect();
        let transaction = &mut *self.cx.transaction;
        let locked = transaction.lock(keys.clone(), Strength::Exclusive, WaitPolicy::Block).await?;
        let is_kept = |value: Option<&Bytes>| value.is_some_and(|value| dropped::settled(value).is_none());
        if !locked.iter().all(|locked| is_kept(locked.value.as_ref())) {
            let message = format!("the rows of table \"{}\" are kept no more", table.name);
            return Err(Error::new("55000", message));
        }
        for key in keys {
            self.delete(key);
        }
        Ok(())
    }
}

/// A table as it was, the sequences that went with its columns, and whose it was; `None`: that is known no more.
///
/// # Errors
/// 55000: a composite type has other attributes than the values, or the texts, of then know; a type is called otherwise.
async fn was(
    past: &mut Transaction,
    catalog: &CatalogSnapshot,
    oid: Oid,
) -> Result<(TableDescriptor, Vec<ObjectDescriptor>, Option<Oid>)> {
    let home = catalog.home();
    let (kinds, objects) = store::load_objects(past, home).await?;
    let row = past.get(stored::table_key(home, oid)).await?;
    let row = row.ok_or_else(|| Error::internal("a table that was dropped was not there"))?;
    let table = stored::decode_table(&row, &kinds)?;
    if let Some(column) =
        table.columns.iter().find(|column| !catalog.objects().is_as_then(column.ty.kind, &objects))
    {
        let message = format!("attributes of the type of column \"{}\" have been altered since", column.name);
        return Err(Error::new("55000", message));
    }
    check_spelling(catalog, &table, &objects)?;
    let is_own = |object: &&Arc<ObjectDescriptor>| {
        let owner = object.sequence().and_then(|sequence| sequence.owner);
        owner.is_some_and(|owner| owner.table == oid)
    };
    let sequences = objects.iter().filter(is_own).map(|own| ObjectDescriptor::clone(own)).collect();
    // The history of rights is not kept for longer with that of a table.
    let owner = match past.get(access::stored::rights_key(home, Object::Table(oid))).await {
        Ok(Some(row)) => match access::stored::decode_rights(&row)? {
            RightsRow::Object(_, rights) => Some(rights.owner),
            RightsRow::Default(..) => None,
        },
        Ok(None) => Some(access::BOOTSTRAP_OID),
        Err(client::Error::SnapshotTooOld { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    Ok((table, sequences, owner))
}

/// That the made types that texts of a table name are called as they were then, and so are the labels of enums: whoever renames one
/// changes the texts of now, not those of then, which would name nothing any more, or another.
///
/// # Errors
/// 55000: one is not, or is gone.
pub(super) fn check_spelling(
    catalog: &CatalogSnapshot,
    then: &TableDescriptor,
    objects: &[Arc<ObjectDescriptor>],
) -> Result<()> {
    let made = then.columns.iter().filter_map(|column| column.generated.as_ref());
    let made = made.chain(
        then.indexes.iter().flat_map(IndexDescriptor::all_expressions).map(|expression| &expression.kept),
    );
    let texts: Vec<&str> = then
        .columns
        .iter()
        .filter_map(|column| column.default.as_deref())
        .chain(then.constraints.checks.iter().map(|check| check.expression.as_str()))
        .chain(made.map(|expression| expression.text.as_str()))
        .collect();
    for was in objects {
        let Some(name) = was.kind().map(expr::TypeKind::display_name) else { continue };
        if !texts.iter().any(|text| spelled::names(text, name)) {
            continue;
        }
        let now = catalog.objects().get(was.oid).ok_or_else(|| lacks(&then.name))?;
        if !is_spelled_as(now, was) {
            let message = format!("type \"{name}\", or a label of it, has been renamed since");
            return Err(Error::new("55000", message));
        }
    }
    Ok(())
}

/// Whether a type has its name of then, and those of its labels.
fn is_spelled_as(now: &ObjectDescriptor, then: &ObjectDescriptor) -> bool {
    if (&now.schema, &now.name) != (&then.schema, &then.name) {
        return false;
    }
    match (now.made_type(), then.made_type()) {
        (Some(TypeDescriptor::Enum(now)), Some(TypeDescriptor::Enum(then))) => {
            let is_as_then =
                |was: &EnumLabel| now.stored(&was.key).is_some_and(|label| label.label == was.label);
            then.labels().iter().all(is_as_then)
        }
        _ => true,
    }
}

pub(super) fn lacks(name: &str) -> Error {
    Error::new("55000", format!("table \"{name}\" needs what has been dropped, too"))
}

/// Whether something that others depend on is in the catalog.
fn is_there(catalog: &CatalogSnapshot, address: Address) -> bool {
    let table = address.table().map(|table| catalog.table_by_oid(table));
    match (address, table) {
        (_, Some(None)) => false,
        (Address::Column(_, id), Some(Some(table))) => table.column_by_id(id).is_some(),
        (Address::Index(_, oid), Some(Some(table))) => table.indexes.iter().any(|index| index.oid == oid),
        (Address::Constraint(_, oid), Some(Some(table))) => table.constraint_name(oid).is_some(),
        (Address::Relation(oid), _) => {
            catalog.table_by_oid(oid).is_some() || catalog.index_by_oid(oid).is_some()
        }
        (Address::Type(oid) | Address::Attribute(oid, _), _) => catalog.objects().kind(oid).is_some(),
        (Address::Extension(oid) | Address::Function(oid), _) => catalog.objects().get(oid).is_some(),
        _ => true,
    }
}

/// The table of this name that was dropped last, and when; `None`: none was, as far as is known.
async fn last_dropped(client: &Client, home: Home, schema: &str, name: &str) -> Result<Option<(Oid, u64)>> {
    let at = client.timestamp().await?.timestamp;
    let mut found: Option<(Oid, u64)> = None;
    let mut key = Bytes::new();
    // Of the key: when its newest version, an end, was written.
    let mut ended: Option<u64> = None;
    let mut left = Some(VersionsLeft::all(stored::tables_span(home)));
    while let Some(wanted) = left.take() {
        let page = client.versions(wanted, 0, at, PAGE_BYTES).await?;
        for version in page.versions {
            let is_newest = version.key != key;
            let Some(value) = &version.value else {
                ended = is_newest.then_some(version.timestamp);
                key = version.key;
                continue;
            };
            let dropped = ended.take().filter(|_| !is_newest);
            if let Some(dropped) = dropped
                && let Some((oid, own_schema, own_name)) = stored::name_of(value)?
                && (own_schema.as_str(), own_name.as_str()) == (schema, name)
                && found.is_none_or(|(_, other)| other < dropped)
            {
                found = Some((oid, dropped));
            }
            key = version.key;
        }
        left = page.left;
    }
    Ok(found)
}
