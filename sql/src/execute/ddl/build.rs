//! Reads all rows of a table: writes rows anew, finds out whether constraints hold.
//!
//! Everything is read in the transaction of the DDL statement, which proves at commit that nobody changed the table meanwhile.
//! How rows and entries are written: [`fill`].

use std::sync::Arc;

use expr::{Datum, Expr, Row, TypeKind};

use super::fill::{self, RowsInOrder};
use super::pages::Pages;
use super::sorted_pairs::PairSorter;
use crate::catalog::object::ObjectDescriptor;
use crate::catalog::{CatalogSnapshot, Column, TableDescriptor};
use crate::error::{Error, ObjectNames, Result};
use crate::execute::context::Context;
use crate::execute::rows::{RowReader, TableFormat};
use crate::execute::write::{References, misfit};
use crate::plan::{Assignment, RowCheck, Verify};

/// How rows become others.
pub(super) struct Rewrite<'a> {
    /// The table as it is.
    pub(super) from: &'a Arc<TableDescriptor>,
    /// As it becomes, all of its indexes under new ids.
    pub(super) to: &'a Arc<TableDescriptor>,
    /// All of its columns over the old row.
    pub(super) values: &'a [Expr],
    /// Generated columns over the new row, instead.
    pub(super) generated: &'a [Assignment],
    /// The places of columns that sequences fill, instead.
    pub(super) numbers: &'a [(usize, Arc<ObjectDescriptor>)],
    pub(super) verify: &'a Verify,
}

/// Writes all rows of a table under its new primary index, and the entries of its other indexes.
pub(super) async fn rewrite_rows(cx: &mut Context<'_>, rewrite: &Rewrite<'_>) -> Result<()> {
    let Rewrite { from, to, values, generated, numbers, verify } = rewrite;
    let old = TableFormat::new(from)?;
    let new = TableFormat::new(to)?;
    let verifier = Verifier::new(to, verify);
    let reader = RowReader::whole(&old)?;
    let new_row_id = to.row_id().filter(|_| from.row_id().is_none());
    let mut written = match keeps_order(rewrite) {
        true => Written::InOrder(RowsInOrder::default()),
        false => Written::Sorted(PairSorter::new(new.primary.prefix.len(), cx.memory)),
    };
    let mut pages = Pages::of(old.primary.id);
    while let Some(rows) = pages.next(cx).await? {
        let mut row_ids = match new_row_id {
            Some(_) => cx.row_ids.take(cx.client, cx.catalog.version(), rows.len() as u64).await?,
            None => 0,
        };
        let mut drawn = Numbers::draw(cx, to, numbers, rows.len()).await?;
        for (key, value) in rows {
            let old = reader.read(&key, &value)?;
            let mut row = cx.settled_all(values, &old).await?;
            drawn.put(&mut row)?;
            if let Some(place) = new_row_id.and_then(|place| row.get_mut(place)) {
                *place = Datum::Int8(row_ids);
                row_ids = row_ids.saturating_add(1);
            }
            for column in *generated {
                let value = cx.evaluate(&column.value, &row)?;
                *row.get_mut(column.column).ok_or_else(misfit)? = value;
            }
            verifier.verify(cx, &row)?;
            let key = new.primary.row_key(&new.primary_columns(&row)?);
            let value = new.value(&row)?;
            match &mut written {
                Written::InOrder(rows) => rows.put(cx, &new, &key, &value).await?,
                Written::Sorted(rows) => rows.push(cx, &key, &value).await?,
            }
            cx.tick(1).await?;
        }
        cx.account_writes().await?;
    }
    match written {
        Written::InOrder(rows) => rows.finish(cx, &new).await?,
        Written::Sorted(rows) => fill::put_rows(cx, &new, rows).await?,
    }
    for index in &new.secondary {
        fill::fill_index(cx, &new, index.id).await?;
    }
    Ok(())
}

/// Rows on their way to where they are written.
enum Written {
    /// As they come.
    InOrder(RowsInOrder),
    /// Once all of them have been put in order.
    Sorted(PairSorter),
}

/// Whether rows are written in the order in which they are read: their primary key is what it was.
fn keeps_order(rewrite: &Rewrite<'_>) -> bool {
    let Rewrite { from, to, values, generated, .. } = rewrite;
    let (Some(before), Some(now)) = (from.primary(), to.primary()) else { return false };
    let is_kept = |place: usize| match (to.columns.get(place), values.get(place)) {
        (Some(column), Some(Expr::Column { index, .. })) => {
            let is_same = |own: &Column| own.id == column.id && own.ty == column.ty;
            from.columns.get(*index).is_some_and(is_same)
                && !generated.iter().any(|computed| computed.column == place)
        }
        _ => false,
    };
    before.columns == now.columns && to.key_columns(now).all(is_kept)
}

/// Numbers for the rows of a page.
struct Numbers(Vec<(usize, TypeKind, std::vec::IntoIter<i64>)>);

impl Numbers {
    async fn draw(
        cx: &Context<'_>,
        table: &TableDescriptor,
        of: &[(usize, Arc<ObjectDescriptor>)],
        count: usize,
    ) -> Result<Self> {
        let mut drawn = Vec::with_capacity(of.len());
        for (place, sequence) in of {
            let column = table.columns.get(*place).ok_or_else(misfit)?;
            let numbers = cx.sequences.draw(cx.client, sequence, count).await?;
            drawn.push((*place, column.ty.kind, numbers.into_iter()));
        }
        Ok(Self(drawn))
    }

    fn put(&mut self, row: &mut Row) -> Result<()> {
        for (place, kind, numbers) in &mut self.0 {
            let number = numbers.next().ok_or_else(misfit)?;
            let value = match *kind {
                TypeKind::Int2 => i16::try_from(number).ok().map(Datum::Int2),
                TypeKind::Int4 => i32::try_from(number).ok().map(Datum::Int4),
                _ => Some(Datum::Int8(number)),
            };
            let out_of_range = || Error::new("22003", format!("{} out of range", kind.display_name()));
            *row.get_mut(*place).ok_or_else(misfit)? = value.ok_or_else(out_of_range)?;
        }
        Ok(())
    }
}

/// Finds out whether all rows of a table are as they must be.
pub(super) async fn verify_rows(
    cx: &mut Context<'_>,
    table: &Arc<TableDescriptor>,
    verify: &Verify,
) -> Result<()> {
    let format = TableFormat::new(table)?;
    let verifier = Verifier::new(table, verify);
    let reader = RowReader::whole(&format)?;
    let mut pages = Pages::of(format.primary.id);
    while let Some(rows) = pages.next(cx).await? {
        for (key, value) in rows {
            verifier.verify(cx, &reader.read(&key, &value)?)?;
            cx.tick(1).await?;
        }
    }
    Ok(())
}

/// Finds out whether what all rows reference by a foreign key is there.
pub(super) async fn verify_references(
    cx: &mut Context<'_>,
    catalog: &CatalogSnapshot,
    table: &Arc<TableDescriptor>,
    name: &str,
) -> Result<()> {
    let Some(key) = table.constraints.foreign_keys.iter().find(|key| key.name == name) else {
        return Ok(());
    };
    let mut references = References::of_key(catalog, table, key.oid)?;
    let format = TableFormat::new(table)?;
    let reader = RowReader::whole(&format)?;
    let mut pages = Pages::of(format.primary.id);
    while let Some(rows) = pages.next(cx).await? {
        for (key, value) in rows {
            references.inserted(cx, &reader.read(&key, &value)?)?;
            cx.tick(1).await?;
        }
        references.find_so_far(cx).await?;
    }
    Ok(())
}

/// What rows that are there already have to be like.
struct Verifier<'a> {
    table: &'a TableDescriptor,
    not_null: Vec<usize>,
    checks: &'a [RowCheck],
}

impl<'a> Verifier<'a> {
    fn new(table: &'a TableDescriptor, verify: &'a Verify) -> Self {
        let columns = table.columns.iter().enumerate();
        let not_null = columns.filter(|(_, column)| verify.not_null.contains(&column.id));
        Self { table, not_null: not_null.map(|(place, _)| place).collect(), checks: &verify.checks }
    }

    fn verify(&self, cx: &Context<'_>, row: &[Datum]) -> Result<()> {
        let table = self.table;
        let names = |column: Option<&String>, constraint: Option<&String>| ObjectNames {
            schema: Some(table.schema.clone()),
            table: Some(table.name.clone()),
            column: column.cloned(),
            constraint: constraint.cloned(),
        };
        for place in &self.not_null {
            let Some(column) = table.columns.get(*place) else { continue };
            if row.get(*place).is_none_or(Datum::is_null) {
                let message =
                    format!("column \"{}\" of relation \"{}\" contains null values", column.name, table.name);
                return Err(Error::new("23502", message).names(names(Some(&column.name), None)));
            }
        }
        for check in self.checks {
            if matches!(cx.evaluate(&check.condition, row)?, Datum::Bool(false)) {
                let message = format!(
                    "check constraint \"{}\" of relation \"{}\" is violated by some row",
                    check.name, table.name
                );
                return Err(Error::new("23514", message).names(names(None, Some(&check.name))));
            }
        }
        Ok(())
    }
}
