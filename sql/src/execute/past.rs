//! What a table was: its descriptor of then, and how its rows of then become rows of its columns of now.
//!
//! The catalog's row of a table has versions as any other row has; the one of then names the index that held the rows. A
//! column is the same as long as its id is: one that was dropped since is seen no more, and one that has come since holds
//! what rows from before it hold. An index serves the past if it was there, of the same columns.

use std::sync::Arc;

use client::{ScanOptions, Span, Transaction};
use expr::casts::{self, CastContext};
use expr::{Datum, Row, SessionContext, Type, resolve};

use super::rows::{IndexFormat, RowReader};
use crate::catalog::object::stored as objects;
use crate::catalog::versioned::SystemColumn;
use crate::catalog::{
    CatalogSnapshot, Column, ColumnId, IndexDescriptor, IndexId, IndexState, TableDescriptor, stored,
};
use crate::error::{Error, Result};
use crate::moment;
use crate::plan::Scan;

/// A table as the transaction, one of the past, sees it; `None`: there was none such.
pub(crate) async fn table_then(
    transaction: &mut Transaction,
    catalog: &CatalogSnapshot,
    table: &TableDescriptor,
) -> Result<Option<TableDescriptor>> {
    let row = transaction.get(stored::table_key(catalog.home(), table.oid)).await?;
    match row {
        Some(row) => decoded(transaction, catalog, &row).await.map(Some),
        None => Ok(None),
    }
}

/// What the catalog's row of a table said when the transaction, one of the past, could see it.
///
/// # Errors
/// 0A000: it held values of a composite type whose attributes have been altered since.
pub(crate) async fn decoded(
    transaction: &mut Transaction,
    catalog: &CatalogSnapshot,
    row: &[u8],
) -> Result<TableDescriptor> {
    let is_composite =
        |column: &Column| column.ty.kind.element().unwrap_or(column.ty.kind).base().is_composite();
    if let Ok(then) = stored::decode_table(row, catalog.objects().kinds())
        && !then.columns.iter().any(is_composite)
    {
        return Ok(then);
    }
    // A type of then may be gone, or have had other attributes.
    let span = objects::objects_span(catalog.home());
    let mut left = Some(Span { start: span.start, end: span.end });
    let mut values = Vec::new();
    while let Some(span) = left.take() {
        let page = transaction.scan(span, ScanOptions::default()).await?;
        values.extend(page.rows.into_iter().map(|(_, value)| value));
        left = page.resume;
    }
    let (kinds, objects) = objects::decode_objects(&values)?;
    let objects: Vec<_> = objects.into_iter().map(Arc::new).collect();
    let then = stored::decode_table(row, &kinds)?;
    match then.columns.iter().find(|column| !catalog.objects().reads_as_then(column.ty.kind, &objects)) {
        None => Ok(then),
        Some(column) => {
            let (name, ty) = (&column.name, column.ty.display_name());
            let message = format!("type {ty} of column \"{name}\" had other attributes at that moment");
            Err(Error::unsupported_as(message))
        }
    }
}

/// How a column of now is made of a row of then.
#[derive(Debug)]
enum Made {
    /// It is the column at this place of what is read.
    Read(usize),
    /// That one had a type whose values are values of the one of now.
    Cast(usize, Type, Type),
    /// It was not there.
    Constant(Datum),
    /// What is known of the version.
    System(SystemColumn),
}

/// When a version of a row was current, and who wrote it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// When it was committed.
    pub(crate) start: u64,
    /// When it was current no more; `None`: it is.
    pub(crate) end: Option<u64>,
    /// The start timestamp of its transaction; 0: not known.
    pub(crate) transaction: u64,
}

impl Lifetime {
    fn value(self, column: SystemColumn) -> Datum {
        match (column, self.end, self.transaction) {
            (SystemColumn::Start, ..) => moment::timestamptz(self.start),
            (SystemColumn::End, Some(end), _) => moment::timestamptz(end),
            (SystemColumn::End, None, _) => Datum::Timestamptz(i64::MAX),
            (SystemColumn::StartTimestamp, ..) => moment::decimal(self.start),
            (SystemColumn::EndTimestamp, Some(end), _) => moment::decimal(end),
            (SystemColumn::EndTimestamp, None, _) | (SystemColumn::Transaction, _, 0) => Datum::Null,
            (SystemColumn::Transaction, _, transaction) => moment::decimal(transaction),
        }
    }
}

impl Made {
    /// `places` are the columns of then that are read.
    fn of(column: &Column, then: &TableDescriptor, places: &mut Vec<usize>) -> Result<Self> {
        let found = then.column_by_id(column.id);
        let Some((place, own)) = found.and_then(|place| Some((place, then.columns.get(place)?))) else {
            return Ok(Self::Constant(column.missing_value()?.unwrap_or_default()));
        };
        let read = places.iter().position(|known| *known == place).unwrap_or_else(|| {
            places.push(place);
            places.len().saturating_sub(1)
        });
        if own.ty.kind.oid() == column.ty.kind.oid() {
            return Ok(Self::Read(read));
        }
        if resolve::can_coerce(own.ty.kind, column.ty.kind, CastContext::Implicit) {
            return Ok(Self::Cast(read, own.ty, column.ty));
        }
        let message =
            format!("column \"{}\" was of type {} at that moment", column.name, own.ty.display_name());
        Err(Error::unsupported_as(message).hint("Name only columns whose types have stayed since."))
    }

    fn value(&self, row: &[Datum], life: Option<Lifetime>, session: &SessionContext) -> Result<Datum> {
        let read = |place: usize| row.get(place).cloned().unwrap_or_default();
        Ok(match self {
            Self::Read(place) => read(*place),
            Self::Cast(place, from, to) => casts::apply(read(*place), *from, *to, true, session)?,
            Self::Constant(value) => value.clone(),
            Self::System(column) => life.map_or(Datum::Null, |life| life.value(*column)),
        })
    }
}

/// A table as it was, read for a scan of what it is.
#[derive(Debug)]
pub(crate) struct Then {
    /// Reads what the scan's rows are made of, and perhaps more rows: their condition is not asked.
    scan: Scan,
    columns: Vec<Made>,
    /// What is read are the columns that are wanted.
    is_plain: bool,
}

impl Then {
    /// # Errors
    /// 0A000: a column that is wanted had a type whose values cannot be shown as those of now.
    pub(crate) fn new(then: TableDescriptor, now: &Scan) -> Result<Self> {
        Self::of(then, now, |_| None)
    }

    /// The same for a scan of its versions.
    ///
    /// # Errors
    /// As of [`Then::new`].
    pub(crate) fn versions(then: TableDescriptor, now: &Scan) -> Result<Self> {
        Self::of(then, now, |place| SystemColumn::at(&now.table, place))
    }

    fn of(
        mut then: TableDescriptor,
        now: &Scan,
        system: impl Fn(usize) -> Option<SystemColumn>,
    ) -> Result<Self> {
        let (mut columns, mut places) = (Vec::with_capacity(now.columns.len()), Vec::new());
        for place in &now.columns {
            if let Some(known) = system(*place) {
                columns.push(Made::System(known));
                continue;
            }
            let column = now.table.columns.get(*place);
            let column = column.ok_or_else(|| Error::internal("a plan's rows do not fit its table"))?;
            columns.push(Made::of(column, &then, &mut places)?);
        }
        let used = index_then(&then, &now.table, now.index);
        then.indexes.retain(|index| index.primary);
        let primary = then.primary().map(|primary| primary.id);
        let primary = primary.ok_or_else(|| Error::internal("a table without a primary index"))?;
        let (index, spans) = match used {
            Some(used) => {
                let id = used.id;
                then.indexes.extend(Some(used).filter(|used| !used.primary));
                (id, now.spans.clone())
            }
            None => (primary, None),
        };
        let is_read = |(at, made): (usize, &Made)| matches!(made, Made::Read(place) if *place == at);
        let is_plain = columns.iter().enumerate().all(is_read);
        let scan = Scan {
            table: Arc::new(then),
            alias: now.alias.clone(),
            index,
            spans,
            columns: places,
            filter: None,
            lock: None,
            passing: false,
            shielded: false,
            veiled: false,
            recheck: None,
            reverse: false,
            ordered: false,
            limit: None,
        };
        Ok(Self { scan, columns, is_plain })
    }

    /// What reads the rows of then.
    pub(crate) fn scan(&self) -> &Scan {
        &self.scan
    }

    /// The row of now that a row of then is.
    ///
    /// # Errors
    /// A value is none of its column's type.
    pub(crate) fn row(&self, read: Row, session: &SessionContext) -> Result<Row> {
        if self.is_plain {
            return Ok(read);
        }
        self.columns.iter().map(|made| made.value(&read, None, session)).collect()
    }

    /// The row of now that a version of a row is.
    ///
    /// # Errors
    /// As of [`Then::row`].
    pub(crate) fn version(&self, read: &[Datum], life: Lifetime, session: &SessionContext) -> Result<Row> {
        self.columns.iter().map(|made| made.value(read, Some(life), session)).collect()
    }

    /// What reads the rows of then by their keys and values.
    ///
    /// # Errors
    /// XX000: the table is none.
    pub(crate) fn reader(&self) -> Result<RowReader> {
        let table = &self.scan.table;
        let primary = table.primary().ok_or_else(|| Error::internal("a table without a primary index"))?;
        RowReader::new(&IndexFormat::new(table, primary)?, table, &self.scan.columns)
    }
}

/// The index of then that was what an index is now, under the id that it had; `None`: there was none, or it was another.
fn index_then(then: &TableDescriptor, now: &TableDescriptor, index: IndexId) -> Option<IndexDescriptor> {
    let wanted = now.index(index)?;
    let found = if wanted.primary {
        then.primary()?
    } else {
        then.indexes.iter().find(|own| !own.primary && own.oid == wanted.oid)?
    };
    let kind = |table: &TableDescriptor, id: ColumnId| {
        let column = table.columns.iter().find(|column| column.id == id)?;
        Some(column.ty.kind.oid())
    };
    let is_alike = found.state == IndexState::Public
        && (wanted.primary || found.unique == wanted.unique)
        && found.columns == wanted.columns
        && found.options.predicate == wanted.options.predicate
        && found.options.nulls_not_distinct == wanted.options.nulls_not_distinct
        && wanted.all_columns().into_iter().all(|id| kind(then, id) == kind(now, id));
    // What its expressions mean is known of the one of now alone.
    is_alike.then(|| IndexDescriptor { id: found.id, ..wanted.clone() })
}
