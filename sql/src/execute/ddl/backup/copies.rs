//! The rows of the catalog as they come back: under new index ids, for those are the cluster's.
//!
//! Oids stay as they are: they are a database's own. What names roles comes back with the whole cluster alone, for roles are its own,
//! too: a database or a table that comes back by itself belongs to the first superuser, and of its policies those stay away that bind
//! roles which have names.

use std::sync::Arc;

use backup::{Held, Place, Rows};
use bytes::Bytes;
use client::{Client, Span};

use crate::catalog::access::PUBLIC_ROLE;
use crate::catalog::comment::{self, Comments};
use crate::catalog::depend::{Address, dependencies};
use crate::catalog::home::Home;
use crate::catalog::object::{ObjectBody, ObjectDescriptor, TypeDescriptor, stored as objects};
use crate::catalog::{
    CatalogSnapshot, FIRST_USER_OID, IndexId, IndexState, Oid, RowSecurity, TableDescriptor, TableKind,
    called, stored,
};
use crate::error::{Error, Notice, Result};

/// So many ids are taken at once.
const IDS_MAX: u64 = 1 << 16;

/// A backup that is read, as of a moment.
pub(super) struct Source {
    pub(super) place: Place,
    pub(super) held: Held,
}

impl Source {
    /// All rows of a span.
    pub(super) async fn rows(&self, span: &Span) -> Result<Vec<(Bytes, Bytes)>> {
        let mut found = Vec::new();
        let mut rows = self.walk(span).await?;
        while let Some(row) = rows.row().await? {
            found.push(row);
        }
        Ok(found)
    }

    /// The rows of a span, one by one.
    pub(super) async fn walk(&self, span: &Span) -> Result<Rows> {
        let Self { place, held } = self;
        Ok(Rows::of(place, &held.links, &span.start, &span.end, held.at).await?)
    }

    /// The oid of a database in the backup.
    pub(super) fn database(&self, name: &str) -> Result<Oid> {
        let databases = self.held.links.last().map(|link| &link.manifest.databases);
        let found = databases.into_iter().flatten().find(|database| database.name == name);
        let missing = || Error::new("3D000", format!("database \"{name}\" is not in the backup"));
        Ok(found.ok_or_else(missing)?.oid)
    }

    /// All databases in the backup.
    pub(super) fn databases(&self) -> Vec<Oid> {
        let databases = self.held.links.last().map(|link| &link.manifest.databases);
        databases.into_iter().flatten().map(|database| database.oid).collect()
    }
}

/// What comes back of a database's catalog.
pub(super) struct Found {
    /// Where to.
    home: Home,
    pub(super) objects: Vec<ObjectDescriptor>,
    pub(super) tables: Vec<TableDescriptor>,
}

impl Found {
    /// All that a database had. An index that was being built then is left out: nobody goes on to build it.
    pub(super) async fn of_database(source: &Source, from: Home, to: Home) -> Result<Self> {
        let rows = source.rows(&objects::objects_span(from)).await?;
        let values: Vec<Bytes> = rows.into_iter().map(|(_, value)| value).collect();
        let (kinds, objects) = objects::decode_objects(&values)?;
        let mut tables = Vec::new();
        for (_, value) in source.rows(&stored::tables_span(from)).await? {
            let mut table = stored::decode_table(&value, &kinds)?;
            table.indexes.retain(|index| index.state == IndexState::Public);
            tables.push(table);
        }
        Ok(Self { home: to, objects, tables })
    }

    /// How many indexes, and numbers of sequences, there are.
    pub(super) fn indexes(&self) -> u64 {
        let indexes = self.tables.iter().map(|table| table.indexes.len()).sum::<usize>();
        let states = self.objects.iter().filter(|object| object.sequence().is_some()).count();
        indexes.saturating_add(states) as u64
    }

    /// Nothing that names roles is to come back.
    pub(super) fn leave_roles(&mut self, notices: &mut Vec<Notice>) {
        for table in &mut self.tables {
            let is_named = |role: &Oid| *role != PUBLIC_ROLE;
            let own = table.row_security.policies.extract_if(.., |own| own.roles.iter().any(is_named));
            for policy in own {
                let message = format!(
                    "policy \"{}\" of table \"{}\" does not come back: it binds roles",
                    policy.name, table.name
                );
                notices.push(Notice::notice("00000", message));
            }
        }
    }

    /// Nothing but one table, and the sequences that go with its columns, without what leads out of it.
    ///
    /// # Errors
    /// There is no such table, or it is made of what does not come back with it.
    pub(super) fn leave_others(&mut self, schema: &str, name: &str, notices: &mut Vec<Notice>) -> Result<()> {
        self.tables.retain(|table| table.schema == schema && table.name == name);
        let Some(table) = self.tables.first_mut() else {
            let message = format!("relation \"{schema}.{name}\" is not in the backup as of that moment");
            return Err(Error::new("42P01", message));
        };
        if table.kind != TableKind::Base {
            let what = format!("RESTORE of \"{name}\", which is no table,");
            return Err(Error::unsupported(what).hint("RESTORE DATABASE … AS … brings all of its database."));
        }
        if let Some(column) = table.columns.iter().find(|column| column.ty.kind.oid() >= FIRST_USER_OID) {
            let what = format!("RESTORE of a table by itself with column \"{}\" of a made type", column.name);
            return Err(Error::unsupported(what).hint("RESTORE DATABASE … AS … brings the type, too."));
        }
        if texts(table).any(|text| !called::functions_in(text).is_empty()) {
            let what = "RESTORE of a table by itself that calls a function in SQL";
            return Err(Error::unsupported(what).hint("RESTORE DATABASE … AS … brings the function, too."));
        }
        let own = table.oid;
        for key in table.constraints.foreign_keys.extract_if(.., |key| key.parent != own) {
            let message = format!("foreign key constraint \"{}\" does not come back", key.name);
            notices.push(Notice::notice("00000", message));
        }
        let security = std::mem::take(&mut table.row_security);
        for policy in &security.policies {
            let message = format!("policy \"{}\" does not come back", policy.name);
            notices.push(Notice::notice("00000", message));
        }
        // Without its policies who is bound by them sees nothing.
        table.row_security = RowSecurity { policies: Vec::new(), ..security };
        let goes_with = |object: &ObjectDescriptor| {
            let owner = object.sequence().and_then(|sequence| sequence.owner.as_ref());
            owner.is_some_and(|owner| owner.table == own)
        };
        if let Some(missing) = self.needed_beside(own, &goes_with) {
            let what = format!("RESTORE of table \"{name}\" by itself, which depends on {missing},");
            return Err(
                Error::unsupported(what).hint("RESTORE DATABASE … AS … brings what it depends on, too.")
            );
        }
        self.objects.retain(goes_with);
        Ok(())
    }

    /// What the table needs of what does not come back with it: its oid would name nothing where it comes to, or something else.
    fn needed_beside(&self, own: Oid, goes_with: &impl Fn(&ObjectDescriptor) -> bool) -> Option<String> {
        let tables = self.tables.iter().cloned().map(Arc::new);
        let objects = self.objects.iter().cloned().map(Arc::new);
        let catalog = CatalogSnapshot::new(0, [], tables).with_objects(objects);
        let object = |oid: Oid| self.objects.iter().find(|object| object.oid == oid);
        let comes = |oid: Oid| oid == own || object(oid).is_some_and(goes_with);
        let part = |address: Address| address.table().unwrap_or_else(|| address.oid());
        let needed = dependencies(&catalog).into_iter().filter(|tie| comes(part(tie.of))).map(|tie| tie.on);
        let mut missing = needed.filter(|on| match on {
            Address::Schema(_) | Address::Extension(_) => false,
            on => !comes(part(*on)),
        });
        missing.next().map(|on| match object(part(on)) {
            Some(object) => format!("\"{}\"", object.name),
            None => format!("what has the oid {}", part(on)),
        })
    }

    /// All oids that come back.
    pub(super) fn oids(&self) -> impl Iterator<Item = Oid> {
        let tables = self.tables.iter().flat_map(|table| {
            let indexes = table.indexes.iter().map(|index| index.oid);
            indexes.chain(table.constraint_names().map(|(oid, _)| oid)).chain([table.oid])
        });
        let relations = self.objects.iter().filter_map(|object| match object.made_type()? {
            TypeDescriptor::Composite(own) => Some(own.relation),
            TypeDescriptor::Enum(_) | TypeDescriptor::Domain(_) | TypeDescriptor::Range(_) => None,
        });
        tables.chain(self.objects.iter().map(|object| object.oid)).chain(relations)
    }

    /// The schema and the name of each relation that comes back, a table's before those of its indexes.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let tables = self.tables.iter().flat_map(|table| {
            let indexes = table.indexes.iter().map(|index| index.name.as_str());
            std::iter::once(table.name.as_str()).chain(indexes).map(move |name| (table.schema.as_str(), name))
        });
        tables.chain(self.objects.iter().map(|object| (object.schema.as_str(), object.name.as_str())))
    }

    /// The rows that say it.
    pub(super) fn rows(&self, ids: &mut NewIds) -> Result<Vec<(Bytes, Bytes)>> {
        let mut rows = Vec::new();
        for object in &self.objects {
            let mut object = object.clone();
            if let ObjectBody::Sequence(sequence) = &mut object.body {
                sequence.state = ids.renew(sequence.state)?;
            }
            rows.push((objects::object_key(self.home, object.oid), objects::encode_object(&object)?));
        }
        for table in &self.tables {
            let mut table = table.clone();
            for index in &mut table.indexes {
                index.id = ids.renew(index.id)?;
            }
            rows.push((stored::table_key(self.home, table.oid), stored::encode_table(&table)?));
        }
        Ok(rows)
    }
}

/// What was said of what is in a database.
pub(super) async fn comments(source: &Source, from: Home, to: Home) -> Result<Vec<(Bytes, Bytes)>> {
    let mut comments = Comments::default();
    for (_, row) in source.rows(&comment::span(from)).await? {
        comments.take(&row)?;
    }
    let own = comments.iter().filter(|(on, _)| !on.is_shared());
    Ok(own.map(|(on, text)| (on.key(to), comment::encode(on, text))).collect())
}

/// The kept texts that come back with a table that comes by itself.
fn texts(table: &TableDescriptor) -> impl Iterator<Item = &str> {
    let columns = table.columns.iter();
    let columns = columns.flat_map(|column| {
        let generated = column.generated.as_ref().map(|generated| generated.text.as_str());
        column.default.as_deref().into_iter().chain(generated)
    });
    let checks = table.constraints.checks.iter().map(|check| check.expression.as_str());
    let indexes = table.indexes.iter().flat_map(|index| index.all_expressions());
    columns.chain(checks).chain(indexes.map(|expression| expression.kept.text.as_str()))
}

/// Index ids for what comes back.
pub(super) struct NewIds {
    free: Vec<IndexId>,
    /// What each was in the backup, and what it is here.
    pub(super) given: Vec<(IndexId, IndexId)>,
}

impl NewIds {
    /// So many.
    pub(super) async fn take(client: &Client, count: u64) -> Result<Self> {
        let mut free = Vec::new();
        let mut left = count;
        while left > 0 {
            let some = left.min(IDS_MAX);
            let first = client.allocate_ids("index", some).await?;
            let first = first.saturating_add(keys::sql::SYSTEM_INDEX_IDS);
            free.extend(first..first.saturating_add(some));
            left = left.saturating_sub(some);
        }
        Ok(Self { free, given: Vec::new() })
    }

    fn renew(&mut self, from: IndexId) -> Result<IndexId> {
        let to = self.free.pop().ok_or_else(|| Error::internal("more comes back than was counted"))?;
        self.given.push((from, to));
        Ok(to)
    }
}

/// Has no id be given again that rows or the catalog have in the backup.
pub(super) async fn move_counter(client: &Client, counter: &str, next: u64, step_max: u64) -> Result<()> {
    loop {
        let first = client.allocate_ids(counter, 1).await?.saturating_add(1);
        if first >= next {
            return Ok(());
        }
        client.allocate_ids(counter, next.saturating_sub(first).min(step_max)).await?;
    }
}
