//! FLASHBACK TABLE where the catalog alone can do it: the table comes to lie over what it was.
//!
//! ```text
//!   t, its index 7     ─────F──────────────┤           given up, as by TRUNCATE: whoever reads t as of a moment up to here finds it
//!                            ╲
//!   t, its index 9             over 7 at F  ├────────▶  a branch: what is written to t from here on
//! ```
//!
//! The table stays what it is: its oid and its name, columns and constraints, rights, comments, sequences. Each of its indexes gets
//! another id, that of a branch over the index as it was. So it takes no longer the more rows there are, and keeps its history: the catalog's row of then
//! names the indexes of then.
//!
//! That goes where what the table held then it may hold now ([`fits`]), and where nobody but its own rows refers to it: what rows of other
//! tables become where one is gone is said of rows that are deleted. What its rows refer to in other tables is looked for. Where it does not go,
//! and of a little table, whose rows are written as fast, whoever asks for it writes the rows that differ.

use std::collections::BTreeSet;

use bytes::Bytes;
use client::{BranchRow, Client, LAYERS_MAX, Transaction, TransactionOptions};
use expr::TypeKind;
use keys::sql::TENANT_DEFAULT;

use super::super::{Change, build, changed, kept, store};
use super::{Branches, layers_over};
use crate::catalog::{
    CatalogSnapshot, Column, IndexDescriptor, IndexId, IndexState, Oid, TableDescriptor, TableKind, stored,
};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::moment;
use crate::plan::WayBack;

/// The timestamp that a table is to go back to, if it can by the catalog alone; `None`: its rows are to be written.
///
/// # Errors
/// The moment is none, or still to come.
pub(crate) async fn way_back(cx: &mut Context<'_>, way: &WayBack) -> Result<Option<u64>> {
    let table: &TableDescriptor = &way.table;
    let is_referenced = cx.catalog.references_to(table.oid).any(|(child, _)| child.oid != table.oid);
    if is_referenced || !table.row_security.is_empty() {
        return Ok(None);
    }
    let value = cx.settled(|cx| cx.evaluate(&way.moment.value, &[])).await?;
    let wanted = moment::meant(&value, cx.session)?.last;
    let at = moment::reached(cx.client, wanted).await?;
    match suits(cx.client, cx.catalog, (table, cx.ingest_bytes_min as u64), at).await {
        Ok(suits) => Ok(suits.then_some(at)),
        Err(error) => {
            // Whoever reads the rows of then meets the same, or finds them.
            tracing::debug!(%error, "a table cannot go back by the catalog alone");
            Ok(None)
        }
    }
}

/// Whether a table is large, and what it was is known, fits, and can be kept.
async fn suits(
    client: &Client,
    catalog: &CatalogSnapshot,
    (table, bytes_min): (&TableDescriptor, u64),
    at: u64,
) -> Result<bool> {
    let mut past = client.past(at);
    let found = large_then(&mut past, client, catalog, (table, bytes_min)).await;
    past.rollback().await;
    let Some(then) = found?.filter(|then| fits(table, then)) else { return Ok(false) };
    let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
    let mut reader = client.begin(options);
    let rows = branches_over(&mut reader, table, &then, at).await;
    reader.rollback().await;
    let rows = rows?;
    if rows.iter().any(|row| row.layers.len() > LAYERS_MAX) {
        return Ok(false);
    }
    let (_, wanted) = kept::wanted_history(client).await?;
    if kept::check_room(&wanted, rows.iter()).is_err() {
        return Ok(false);
    }
    // Where a node runs an older program rows are written.
    client.check_branches().await?;
    Ok(true)
}

/// A table as it was; `None`: there was none, or it was, and is, little.
async fn large_then(
    past: &mut Transaction,
    client: &Client,
    catalog: &CatalogSnapshot,
    (table, bytes_min): (&TableDescriptor, u64),
) -> Result<Option<TableDescriptor>> {
    let Some(row) = past.get(stored::table_key(catalog.home(), table.oid)).await? else { return Ok(None) };
    let (_, indexes) = stored::indexes_of(&row)?;
    let primaries = [indexes.first().copied(), table.primary().map(|primary| primary.id)];
    for primary in primaries.into_iter().flatten() {
        if bytes_of(client, primary).await? > bytes_min {
            return decoded(past, catalog, &row).await.map(Some);
        }
    }
    Ok(None)
}

/// What the branches of a table would lie over.
async fn branches_over(
    reader: &mut Transaction,
    table: &TableDescriptor,
    then: &TableDescriptor,
    at: u64,
) -> Result<Vec<BranchRow>> {
    let mut rows = Vec::with_capacity(table.indexes.len());
    for was in table.indexes.iter().filter_map(|index| same_index(then, index)) {
        rows.push(BranchRow { layers: layers_over(reader, was.id, at).await?, note: Bytes::new() });
    }
    Ok(rows)
}

impl Change<'_, '_> {
    /// FLASHBACK TABLE, after [`way_back`] has found that it goes.
    ///
    /// # Errors
    /// 23503: what a row of then refers to is not there. 72000: what was is kept no more.
    pub(in crate::execute::ddl) async fn flash_back(
        &mut self,
        table: &TableDescriptor,
        at: u64,
    ) -> Result<()> {
        self.check_settled(table, "FLASHBACK TABLE")?;
        let lost = || Error::internal("a table is not what it was found to be");
        let then = table_then(self.cx.client, &self.catalog, table.oid, at).await?.ok_or_else(lost)?;
        let note = Bytes::from(format!("{}.{}", then.schema, then.name));
        let mut branches = Branches { at, made: Vec::new() };
        let mut to = changed(table.clone());
        for index in &mut to.indexes {
            let was = same_index(&then, index).ok_or_else(lost)?;
            index.id = self.branch(&mut branches, was.id, &note).await?;
        }
        let in_use: BTreeSet<IndexId> = table.indexes.iter().map(|index| index.id).collect();
        let primaries = then.primary().zip(to.primary()).map(|(was, primary)| (was.id, primary.id));
        self.establish(&branches, &in_use).await?;
        for index in &table.indexes {
            self.give_up_of(false, table.oid, index.id);
        }
        if let Some((from, to)) = primaries {
            self.copy_statistics(from, to).await?;
        }
        self.put_table(to)?;
        let now = self.catalog.table_by_oid(table.oid).cloned().ok_or_else(lost)?;
        let others = now.constraints.foreign_keys.iter();
        for key in others.filter(|key| key.parent != now.oid && key.validated) {
            build::verify_references(self.cx, &self.catalog, &now, &key.name).await?;
        }
        Ok(())
    }
}

/// A table as it was; `None`: there was none.
async fn table_then(
    client: &Client,
    catalog: &CatalogSnapshot,
    oid: Oid,
    at: u64,
) -> Result<Option<TableDescriptor>> {
    let mut past = client.past(at);
    let then = read_table(&mut past, catalog, oid).await;
    past.rollback().await;
    then
}

async fn read_table(
    past: &mut Transaction,
    catalog: &CatalogSnapshot,
    oid: Oid,
) -> Result<Option<TableDescriptor>> {
    match past.get(stored::table_key(catalog.home(), oid)).await? {
        Some(row) => decoded(past, catalog, &row).await.map(Some),
        None => Ok(None),
    }
}

/// What a row says of a table, whose types are those of its time.
async fn decoded(past: &mut Transaction, catalog: &CatalogSnapshot, row: &Bytes) -> Result<TableDescriptor> {
    let (kinds, _) = store::load_objects(past, catalog.home()).await?;
    stored::decode_table(row, &kinds)
}

/// About how many bytes are read of an index, history included.
async fn bytes_of(client: &Client, index: IndexId) -> Result<u64> {
    let span = keys::sql::index_span(TENANT_DEFAULT, index);
    let own: u64 = client.sizes(std::slice::from_ref(&span)).await?.into_iter().sum();
    let below = if keys::sql::is_branch(index) { client.size_below(index).await? } else { 0 };
    Ok(own.saturating_add(below))
}

/// What an index was.
fn same_index<'t>(then: &'t TableDescriptor, index: &IndexDescriptor) -> Option<&'t IndexDescriptor> {
    then.indexes.iter().find(|was| was.oid == index.oid)
}

/// Whether what a table held then it may hold as it is now, whatever it was, and each of its indexes led to all of it. What of that would have
/// to be looked for in the rows does not fit.
fn fits(now: &TableDescriptor, then: &TableDescriptor) -> bool {
    // Of what is made the values of then may be none any more.
    let is_settled = |kind: TypeKind| {
        let kind = kind.element().unwrap_or(kind);
        kind.is_built_in() || kind.is_enum()
    };
    let held = |column: &Column| {
        let was = then.columns.iter().find(|was| was.id == column.id);
        was.is_some_and(|was| {
            was.ty.is_same(&column.ty)
                && (was.not_null || !column.not_null)
                && (&was.generated, &was.missing) == (&column.generated, &column.missing)
        })
    };
    let led = |index: &IndexDescriptor| {
        same_index(then, index).is_some_and(|was| {
            let states = [was.state, index.state];
            states == [IndexState::Public; 2]
                && (was.primary, was.unique) == (index.primary, index.unique)
                && (&was.columns, &was.options) == (&index.columns, &index.options)
        })
    };
    let (own, known) = (&now.constraints, &then.constraints);
    let mut own_keys = own.foreign_keys.iter().filter(|key| key.parent == now.oid);
    then.kind == TableKind::Base
        && now.columns.iter().all(|column| is_settled(column.ty.kind) && held(column))
        && now.indexes.iter().all(led)
        && own.checks.iter().all(|check| known.checks.contains(check))
        && own_keys.all(|key| known.foreign_keys.contains(key))
}

#[cfg(test)]
mod tests {
    use audit::Classes;

    use super::*;
    use crate::catalog::{Check, Constraints, IndexColumn, IndexOptions, RowSecurity};

    fn column(id: u32, name: &str, kind: TypeKind) -> Column {
        Column {
            id,
            name: name.to_owned(),
            ty: kind.into(),
            not_null: id == 1,
            default: None,
            generated: None,
            hidden: false,
            missing: None,
        }
    }

    fn index(oid: Oid, column: u32) -> IndexDescriptor {
        IndexDescriptor {
            oid,
            id: u64::from(oid) * 10,
            name: format!("index_{oid}"),
            primary: column == 1,
            unique: column == 1,
            columns: vec![IndexColumn::ascending(column)],
            options: IndexOptions::default(),
            constraint: None,
            state: IndexState::Public,
        }
    }

    fn table() -> TableDescriptor {
        let check = Check {
            oid: 20_010,
            name: "positive".to_owned(),
            expression: "a > 0".to_owned(),
            columns: vec![1],
            validated: true,
            no_inherit: false,
        };
        TableDescriptor {
            oid: 20_000,
            schema: "public".to_owned(),
            name: "t".to_owned(),
            kind: TableKind::Base,
            columns: vec![column(1, "a", TypeKind::Int4), column(2, "b", TypeKind::Text)],
            indexes: vec![index(20_001, 1), index(20_002, 2)],
            constraints: Constraints { checks: vec![check], foreign_keys: Vec::new() },
            row_security: RowSecurity::default(),
            materialised: None,
            audit: Classes::NONE,
            next_column_id: 10,
            schema_version: 1,
        }
    }

    fn fits_after(change: impl FnOnce(&mut TableDescriptor)) -> bool {
        let mut now = table();
        change(&mut now);
        fits(&now, &table())
    }

    #[test]
    fn a_table_goes_back_to_what_it_may_hold() {
        assert!(fits_after(|_| {}));
        assert!(fits_after(|now| now.indexes.iter_mut().for_each(|index| index.id += 1)), "it was emptied");
        assert!(fits_after(|now| now.columns[1].name = "c".to_owned()));
        assert!(fits_after(|now| now.columns[0].default = Some("7".to_owned())));
        assert!(fits_after(|now| drop(now.columns.pop())), "what is gone stays so");
        assert!(fits_after(|now| drop(now.indexes.pop())));
        assert!(fits_after(|now| now.constraints.checks.clear()));
    }

    #[test]
    fn rows_of_then_are_looked_at_where_more_is_asked_of_them_now() {
        assert!(!fits_after(|now| now.columns.push(column(3, "c", TypeKind::Text))));
        assert!(!fits_after(|now| now.columns[1].ty = TypeKind::Int8.into()));
        assert!(!fits_after(|now| now.columns[1].not_null = true));
        assert!(!fits_after(|now| now.columns[1].missing = Some(Bytes::from_static(b"7"))));
        assert!(!fits_after(|now| now.indexes.push(index(20_003, 2))));
        assert!(!fits_after(|now| now.indexes[1].unique = true));
        assert!(!fits_after(|now| now.indexes[1].state = IndexState::WriteOnly));
        assert!(!fits_after(|now| now.constraints.checks[0].expression = "a > 1".to_owned()));
    }
}
