//! A session's own objects: temporary tables, their indexes and sequences, and temporary views.
//!
//! A change of them makes another catalog for the session, and nothing else: no row of the catalog is written, and the
//! version stays, so that it waits for no other DDL and no other statement hears of it. What is written is which index ids
//! are kept for the session ([`crate::keeper`]), in the transaction of the change. A statement that changes temporary objects
//! and others (`DROP TABLE own, everybodys`) raises the version for the others.
//!
//! At each commit tables `ON COMMIT DELETE ROWS` are emptied, and those `ON COMMIT DROP` dropped. Before a transaction the former
//! hold nothing and the latter are not there: where nothing has left the transaction's buffer, it is enough to forget what it
//! has written. The same holds of a temporary table that one transaction makes and drops.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use client::ScanOptions;
use keys::sql::TENANT_DEFAULT;

use super::{Change, DdlOutcome, store};
use crate::catalog::depend::Address;
use crate::catalog::object::{ObjectBody, ObjectDescriptor, TypeDescriptor};
use crate::catalog::{
    CatalogSnapshot, FIRST_TEMPORARY_OID, IndexDescriptor, IndexId, Oid, OnCommit, TableDescriptor,
    TableKind, ViewDescriptor, dropped, named, removal, schema,
};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::keeper::Holder;
use crate::parse::ast::{AccessStatement, GrantObjects, Name};
use crate::plan::{AccessChange, CreateTableAs, Ddl, ObjectChange, Target};

const PAGE: ScanOptions = ScanOptions { rows_max: 4096, bytes_max: 1 << 20, reverse: false };

/// Whether a statement is about temporary objects alone.
pub(super) fn is_of_own(ddl: &Ddl) -> bool {
    match ddl {
        Ddl::CreateTable(create) | Ddl::CreateTableAs(CreateTableAs { create, .. }) => {
            create.schema == schema::TEMPORARY
        }
        Ddl::Truncate(truncate) => truncate.tables.iter().all(|table| table.is_temporary()),
        Ddl::CreateIndex(create) => create.table.is_temporary(),
        Ddl::Reindex(reindex) => reindex.indexes.iter().all(|(table, _)| table.is_temporary()),
        Ddl::AlterTable(alter) => alter.from.is_temporary(),
        Ddl::Object(change) => is_change_of_own(change),
        Ddl::Access(change) => is_access_to_own(change),
        Ddl::Refresh(_) | Ddl::Nothing { .. } => false,
    }
}

fn is_access_to_own(change: &AccessChange) -> bool {
    let is_of_relations = || {
        change.types.is_empty()
            && !change.tables.is_empty()
            && change.tables.iter().all(|table| table.is_temporary())
    };
    let are_own = |schemas: &[Name]| schemas.iter().all(|name| schema::is_temporary(&name.value));
    match &change.statement {
        AccessStatement::Rights(grant) => match &grant.objects {
            GrantObjects::Tables(_) | GrantObjects::Sequences(_) => is_of_relations(),
            GrantObjects::TablesIn(schemas)
            | GrantObjects::SequencesIn(schemas)
            | GrantObjects::Schemas(schemas) => are_own(schemas),
            GrantObjects::Databases(_) | GrantObjects::Functions(_) | GrantObjects::FunctionsIn(_) => false,
        },
        AccessStatement::Owner { .. } => is_of_relations(),
        AccessStatement::FunctionOwner { .. }
        | AccessStatement::Role(_)
        | AccessStatement::Database(_)
        | AccessStatement::Defaults(_)
        | AccessStatement::ClusterSetting { .. }
        | AccessStatement::Membership(_)
        | AccessStatement::DefaultPrivileges(_) => false,
    }
}

fn is_change_of_own(change: &ObjectChange) -> bool {
    match change {
        ObjectChange::CreateSequence { sequence } => sequence.schema == schema::TEMPORARY,
        ObjectChange::AlterSequence { sequence, .. } => sequence.is_temporary(),
        ObjectChange::CreateView { schema: own, .. } => own == schema::TEMPORARY,
        ObjectChange::AlterView { relation, .. } => relation.is_temporary(),
        ObjectChange::Comment { owned: Some(target), .. } | ObjectChange::Rename { object: target, .. } => {
            is_own(target)
        }
        ObjectChange::Drop { targets, .. } => targets.iter().all(is_own),
        ObjectChange::Comment { owned: None, .. }
        | ObjectChange::CreateSchema { .. }
        | ObjectChange::CreateExtension { .. }
        | ObjectChange::Type(_)
        | ObjectChange::Function(_)
        | ObjectChange::Clone { .. }
        | ObjectChange::FlashBack { .. }
        | ObjectChange::Undrop { .. }
        | ObjectChange::SetSchema { .. } => false,
    }
}

fn is_own(target: &Target) -> bool {
    match target {
        Target::Relation(relation) => relation.is_temporary(),
        Target::Index { table, .. } => table.is_temporary(),
        Target::Schema { name, .. } => schema::is_temporary(name),
        Target::Type { .. } | Target::Extension { .. } | Target::Function { .. } => false,
    }
}

/// The temporary objects of a catalog, and their parts that have oids.
pub(super) fn parts(catalog: &CatalogSnapshot) -> BTreeSet<Oid> {
    let schema = catalog.objects().temporary_schema().map(|schema| schema.oid);
    catalog.temporary_relations().flat_map(|relation| parts_of(relation)).chain(schema).collect()
}

fn parts_of(relation: &TableDescriptor) -> impl Iterator<Item = Oid> {
    let indexes = relation.indexes.iter().map(|index| index.oid);
    let constraints = relation.constraint_names().map(|(oid, _)| oid);
    let policies = relation.row_security.policies.iter().map(|policy| policy.oid);
    std::iter::once(relation.oid).chain(indexes).chain(constraints).chain(policies)
}

impl<'b> Change<'_, 'b> {
    /// Whether nothing is written about an object, or a part of one, because it is temporary.
    pub(super) fn is_own(&self, oid: Oid) -> bool {
        self.temporary.contains(&oid)
    }

    /// Who keeps temporary objects for the session, and numbers them.
    pub(super) fn holder(&self) -> Result<&'b Holder> {
        self.cx.holder.ok_or_else(|| Error::internal("temporary objects are made and nobody keeps them"))
    }

    /// Makes the schema of temporary objects, if one is wanted and there is none yet.
    pub(super) async fn make_own_schema(&mut self, wanted: &str) -> Result<()> {
        if wanted != schema::TEMPORARY || self.catalog.objects().temporary_schema().is_some() {
            return Ok(());
        }
        let name = format!("{}_{}", schema::TEMPORARY, self.holder()?.session());
        let oid = self.oid().await?;
        self.put_object(ObjectDescriptor {
            oid,
            schema: String::new(),
            name,
            body: ObjectBody::TemporarySchema,
        })
    }

    /// Notes that a table is temporary, if it is.
    pub(super) fn note_own(&mut self, table: &TableDescriptor) {
        if table.is_temporary() {
            self.temporary.extend(parts_of(table));
        }
    }

    /// Keeps a temporary table's new indexes for the session.
    pub(super) fn keep_table(&mut self, table: &TableDescriptor) -> Result<()> {
        self.note_own(table);
        table.indexes.iter().try_for_each(|index| self.keep(index.id))
    }

    /// The same of what is no table.
    pub(super) fn keep_object(&mut self, object: &ObjectDescriptor) -> Result<()> {
        self.temporary.insert(object.oid);
        object.sequence().map_or(Ok(()), |sequence| self.keep(sequence.state))
    }

    fn keep(&mut self, index: IndexId) -> Result<()> {
        if self.fresh.contains(index) {
            let key = self.holder()?.key(index);
            self.cx.transaction.put(key, Bytes::new());
        }
        Ok(())
    }

    /// 0A000 if a table that is not temporary would depend on what is.
    pub(super) fn check_lasting(&self, table: &TableDescriptor) -> Result<()> {
        let defaults = table.columns.iter().filter_map(|column| column.default.as_deref());
        let checks = table.constraints.checks.iter().map(|check| check.expression.as_str());
        self.check_texts(defaults.chain(checks), "a default or a constraint")?;
        if table.constraints.foreign_keys.iter().any(|key| self.is_anybodys_own(key.parent)) {
            return Err(outlasts("a foreign key"));
        }
        let generated = table.columns.iter().filter_map(|column| column.generated.as_ref());
        self.check_texts(generated.map(|generated| generated.text.as_str()), "a generated column")?;
        let indexed = table.indexes.iter().flat_map(IndexDescriptor::all_expressions);
        self.check_texts(indexed.map(|expression| expression.kept.text.as_str()), "an index")?;
        let conditions = table.row_security.policies.iter().flat_map(|policy| policy.conditions());
        for condition in conditions {
            self.check_view(&condition.written, "a policy")?;
        }
        table.materialised.as_ref().map_or(Ok(()), |own| self.check_view(&own.view, "a materialized view"))
    }

    /// The same of what is no table.
    pub(super) fn check_lasting_object(&self, object: &ObjectDescriptor) -> Result<()> {
        match &object.body {
            ObjectBody::View(view) => self.check_view(view, "a view"),
            ObjectBody::Type(TypeDescriptor::Domain(domain)) => {
                let checks = domain.checks.iter().map(|check| check.expression.as_str());
                self.check_texts(domain.default.as_deref().into_iter().chain(checks), "a domain")
            }
            ObjectBody::Function(function) => {
                let defaults = function.parameters.iter().filter_map(|own| own.default.as_deref());
                self.check_texts(defaults, "a function")?;
                function.query().map_or(Ok(()), |query| self.check_view(query, "a function"))
            }
            ObjectBody::Sequence(sequence) => match sequence.owner {
                Some(owner) if self.is_anybodys_own(owner.table) => Err(outlasts("a sequence")),
                _ => Ok(()),
            },
            ObjectBody::Type(
                TypeDescriptor::Enum(_) | TypeDescriptor::Composite(_) | TypeDescriptor::Range(_),
            )
            | ObjectBody::Schema
            | ObjectBody::TemporarySchema
            | ObjectBody::Gone
            | ObjectBody::Extension(_) => Ok(()),
        }
    }

    fn check_texts<'t>(&self, mut texts: impl Iterator<Item = &'t str>, what: &str) -> Result<()> {
        let names_own =
            |text: &str| named::relations_in(text).into_iter().any(|oid| self.is_anybodys_own(oid));
        if texts.any(names_own) { Err(outlasts(what)) } else { Ok(()) }
    }

    fn check_view(&self, view: &ViewDescriptor, what: &str) -> Result<()> {
        let relations = view.relations.iter().map(|relation| relation.oid);
        let mut named = relations.chain(view.pinned.iter().copied());
        if named.any(|oid| self.is_anybodys_own(oid)) {
            return Err(outlasts(what));
        }
        self.check_texts(view.columns.iter().filter_map(|column| column.default.as_deref()), what)
    }

    /// Whether an oid is of something temporary, of this session or any other: each counts its own from the same number.
    fn is_anybodys_own(&self, oid: Oid) -> bool {
        oid >= FIRST_TEMPORARY_OID || self.is_own(oid)
    }

    /// An index id is out of use, of something temporary or not.
    pub(super) fn give_up(&mut self, is_temporary: bool, index: IndexId) {
        store::note_dropped(self.cx, index);
        if let Some(holder) = self.cx.holder.filter(|_| is_temporary) {
            self.cx.transaction.delete(holder.key(index));
        }
    }

    /// The same of an index of a table.
    pub(super) fn give_up_of(&mut self, is_temporary: bool, table: Oid, index: IndexId) {
        if is_temporary {
            self.give_up(true, index);
        } else {
            store::note_dropped_of(self.cx, table, index);
        }
    }

    /// The same of one that this transaction may have made.
    pub(super) fn give_up_index(&mut self, is_temporary: bool, table: Oid, index: IndexId) {
        self.give_up_of(is_temporary, table, index);
        if is_temporary {
            self.fresh.note_dropped(index);
        }
    }

    /// At the end: what this transaction has made and dropped is nobody's to give back, if it has never left it.
    fn forget_dropped(&mut self) {
        let gone: Vec<IndexId> = self.fresh.dropped().collect();
        for index in gone {
            let span = keys::sql::index_span(TENANT_DEFAULT, index);
            if self.cx.transaction.forget_writes(&span)
                && let Some(holder) = self.cx.holder
            {
                for key in [dropped::key(index), holder.key(index)] {
                    self.cx.transaction.forget_writes(&keys::Span::prefix(key));
                }
            }
        }
    }
}

fn outlasts(what: &str) -> Error {
    Error::unsupported(format!("{what} that depends on something temporary and is not"))
}

/// Empties and drops temporary tables as they were said to be at each commit. `None`: the catalog stays as it is.
/// `raised`: whether this transaction has raised the catalog version.
///
/// # Errors
/// 0A000: a table that stays references one that is emptied.
pub(crate) async fn end_at_commit(cx: &mut Context<'_>, raised: bool) -> Result<Option<DdlOutcome>> {
    let (mut emptied, mut gone) = (Vec::new(), Vec::new());
    for table in cx.catalog.temporary_relations() {
        match cx.catalog.on_commit(table.oid) {
            OnCommit::PreserveRows => {}
            OnCommit::DeleteRows => emptied.push(table.clone()),
            OnCommit::Drop => gone.push(table.clone()),
        }
    }
    for table in &emptied {
        check_references(cx.catalog, table, &emptied)?;
    }
    for index in emptied.iter().flat_map(|table| &table.indexes) {
        empty(cx, index.id).await?;
    }
    let wanted: Vec<Address> = gone.iter().map(|table| Address::Relation(table.oid)).collect();
    let order = match wanted.is_empty() {
        true => Vec::new(),
        false => removal::temporary_removal(cx.catalog, &wanted).order,
    };
    let mut change = Change::new(cx, raised);
    change.ends = true;
    if order.iter().any(|address| !change.is_own(address.oid())) {
        return Err(Error::internal("what lasts would go with temporary tables"));
    }
    change.take_away(&order)?;
    change.forget_dropped();
    if gone.is_empty() { Ok(None) } else { change.finish("COMMIT").map(Some) }
}

/// 0A000 if a table would go on to reference rows that are gone.
fn check_references(
    catalog: &CatalogSnapshot,
    table: &TableDescriptor,
    emptied: &[Arc<TableDescriptor>],
) -> Result<()> {
    let stays = |child: &TableDescriptor| !emptied.iter().any(|other| other.oid == child.oid);
    match catalog.references_to(table.oid).find(|(child, _)| stays(child)) {
        None => Ok(()),
        Some((child, _)) => {
            let detail = format!(
                "Table \"{}\" references \"{}\", but they do not have the same ON COMMIT setting.",
                child.name, table.name
            );
            Err(Error::new("0A000", "unsupported ON COMMIT and foreign key combination").detail(detail))
        }
    }
}

/// Takes away the keys of an index that was empty before this transaction.
async fn empty(cx: &mut Context<'_>, index: IndexId) -> Result<()> {
    let span = keys::sql::index_span(TENANT_DEFAULT, index);
    if cx.transaction.forget_writes(&span) {
        return Ok(());
    }
    let mut left = Some(span);
    while let Some(span) = left.take() {
        let page = cx.transaction.scan(span, PAGE).await?;
        let count = page.rows.len();
        page.rows.into_iter().for_each(|(key, _)| cx.transaction.delete(key));
        left = page.resume;
        cx.tick(count).await?;
        cx.account_writes().await?;
    }
    Ok(())
}

/// Drops all temporary objects of the session.
///
/// # Errors
/// 55006: a table owes foreign keys something.
pub(crate) fn drop_own(cx: &mut Context<'_>, raised: bool) -> Result<DdlOutcome> {
    let mut relations: Vec<_> = cx.catalog.temporary_relations().cloned().collect();
    // Dependents first: views, then tables, then the sequences that they draw from.
    relations.sort_by_key(|relation| match relation.kind {
        TableKind::View => 0,
        TableKind::Base | TableKind::Virtual | TableKind::Materialised => 1,
        TableKind::Sequence => 2,
    });
    let order: Vec<Address> = relations.iter().map(|relation| Address::Relation(relation.oid)).collect();
    if !order.is_empty() {
        cx.transaction.frees_space();
    }
    let mut change = Change::new(cx, raised);
    change.take_away(&order)?;
    change.finish("DISCARD TEMP")
}
