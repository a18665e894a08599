//! The rows that reference keys: by an index over the referencing columns where there is one, else by looking through
//! the table.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use client::{ScanOptions, Span};
use expr::{Datum, Row, Type};
use keys::encode::Direction;
use keys::sql::TENANT_DEFAULT;

use super::misfit;
use crate::catalog::{ColumnId, IndexState, TableDescriptor};
use crate::error::Result;
use crate::execute::context::Context;
use crate::execute::rows::{IndexFormat, RowReader, TableFormat};

const PAGE: ScanOptions = ScanOptions { rows_max: 1024, bytes_max: 1 << 20, reverse: false };

/// A row that references a key.
pub(super) struct Found {
    pub(super) key: Bytes,
    pub(super) row: Row,
    /// The place of the key among those that are looked for.
    pub(super) which: usize,
}

/// Looks for rows, page by page.
pub(super) struct Children {
    format: TableFormat,
    reader: RowReader,
    /// The places and types of the referencing columns.
    columns: Vec<(usize, Type)>,
    /// What is looked for, by its image.
    wanted: HashMap<Vec<u8>, usize>,
    /// The index that is read, if it is not the primary.
    secondary: Option<IndexFormat>,
    /// What is left to read, the next last.
    left: Vec<Span>,
}

impl Children {
    /// Of the rows of `child` whose `columns` hold one of `keys`, which are of these types; `fit` makes of a value one of
    /// another type, unless there is none.
    pub(super) fn new<'k>(
        child: &Arc<TableDescriptor>,
        columns: &[ColumnId],
        types: &[Type],
        keys: impl Iterator<Item = &'k [Datum]>,
        fit: impl Fn(Datum, Type) -> Option<Datum>,
    ) -> Result<Self> {
        let format = TableFormat::new(child)?;
        let columns = columns.iter().map(|id| {
            let place = child.column_by_id(*id).ok_or_else(misfit)?;
            Ok((place, child.columns.get(place).ok_or_else(misfit)?.ty))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let mut wanted = HashMap::new();
        let mut fitted = Vec::new();
        for (which, key) in keys.enumerate() {
            let pairs = key.iter().zip(&columns).zip(types);
            let own: Option<Vec<Datum>> = pairs
                .map(|((value, (_, own)), ty)| match own.kind == ty.kind {
                    true => Some(value.clone()),
                    false => fit(value.clone(), *own),
                })
                .collect();
            // What cannot be said in the columns' types nobody references.
            let Some(own) = own else { continue };
            wanted.insert(image(&columns, &own)?, which);
            fitted.push(own);
        }
        let leads = |index: &&IndexFormat| {
            let leading = index.columns.get(..columns.len()).filter(|_| !index.is_partial());
            leading.is_some_and(|leading| {
                columns.iter().all(|(place, _)| leading.iter().any(|key| key.place == *place))
            })
        };
        let is_public = |index: &&IndexFormat| {
            child.index(index.id).is_some_and(|index| index.state == IndexState::Public)
        };
        let index = std::iter::once(&format.primary).chain(&format.secondary).filter(is_public).find(leads);
        let mut left = Vec::new();
        let mut secondary = None;
        match index {
            Some(index) => {
                for own in &fitted {
                    let ordered = index.columns.iter().take(columns.len()).filter_map(|key| {
                        let place = columns.iter().position(|(place, _)| *place == key.place)?;
                        own.get(place).cloned()
                    });
                    let start = index.first_key(&ordered.collect::<Vec<_>>())?;
                    left.push(Span::prefix(start));
                }
                if index.id != format.primary.id {
                    secondary = Some(index.clone());
                }
            }
            None if fitted.is_empty() => {}
            None => {
                let span = keys::sql::index_span(TENANT_DEFAULT, format.primary.id);
                left.push(Span { start: span.start, end: span.end });
            }
        }
        left.reverse();
        let reader = RowReader::whole(&format)?;
        Ok(Self { format, reader, columns, wanted, secondary, left })
    }

    /// A row of the table.
    pub(super) fn read(&self, key: &[u8], value: &[u8]) -> Result<Row> {
        self.reader.read(key, value)
    }

    /// The place of the key that a row references, if it is looked for.
    pub(super) fn references(&self, row: &[Datum]) -> Result<Option<usize>> {
        let own: Vec<Datum> =
            self.columns.iter().map(|(place, _)| row.get(*place).cloned().unwrap_or_default()).collect();
        if own.iter().any(Datum::is_null) {
            return Ok(None);
        }
        Ok(self.wanted.get(&image(&self.columns, &own)?).copied())
    }

    /// The next of them; none may be among them.
    pub(super) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Found>>> {
        let Some(span) = self.left.pop() else { return Ok(None) };
        let page = cx.transaction.scan(span.clone(), PAGE).await?;
        cx.transaction.rely_on(span);
        if let Some(resume) = page.resume {
            self.left.push(resume);
        }
        let rows = match &self.secondary {
            None => page.rows,
            Some(index) => {
                let lead = |(key, value): &(Bytes, Bytes)| {
                    Ok(self.format.primary.row_key(index.primary_columns(key, value)?))
                };
                let keys = page.rows.iter().map(lead).collect::<Result<Vec<_>>>()?;
                let values = cx.transaction.get_many(keys.clone()).await?;
                keys.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?))).collect()
            }
        };
        let mut found = Vec::new();
        for (key, value) in rows {
            cx.tick(1).await?;
            let row = self.reader.read(&key, &value)?;
            if let Some(which) = self.references(&row)? {
                found.push(Found { key, row, which });
            }
        }
        Ok(Some(found))
    }
}

/// What two keys have in common if, and only if, they are equal.
fn image(columns: &[(usize, Type)], values: &[Datum]) -> Result<Vec<u8>> {
    let mut image = Vec::new();
    for ((_, ty), value) in columns.iter().zip(values) {
        expr::key::encode_datum(value, *ty, Direction::Ascending, &mut image)?;
    }
    Ok(image)
}
