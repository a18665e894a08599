//! Rows and index entries as keys and values.
//!
//! ```text
//! row of a table      key   = prefix(primary index), key columns, suffix 0
//!                     value = the other columns (expr::row), and key columns whose display form a key loses
//! entry, unique       key   = prefix(index), columns, suffix 0                   value = the primary key's columns
//!   with a NULL       key   = prefix(index), columns, primary key's columns, suffix 0    value = the same
//! entry, not unique   key   = prefix(index), columns, primary key's columns, suffix 0    value = nothing
//! ```
//!
//! An index may have parts of its key computed, and entries for some rows alone: of the others it knows nothing.
//!
//! "The primary key's columns" are their bytes as they stand in the row's key between prefix and suffix. NULLs are
//! distinct, so an entry with a NULL is never in the way of another.
//!
//! A column that was added later may have a value that rows from before lack: where a row does not hold it, that value is
//! meant, and a NULL is stored as such.
//!
//! Under keys of a branch ([`client::BranchRow`]) there may be a mark instead: no row, and no entry, is ever like it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use expr::row::RowDecoder;
use expr::{Datum, EvalContext, Expr, Row, SessionContext, Type};
use keys::encode::Direction;
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT};

use crate::catalog::{IndexDescriptor, IndexExpression, IndexId, IndexPart, TableDescriptor};
use crate::error::{Error, Result};

/// The session that indexes are computed in, whoever writes: an entry has to be found again by those who set another time
/// zone, and some functions that are called immutable heed it (`age`).
static EVERYWHERE: LazyLock<SessionContext> = LazyLock::new(SessionContext::default);

/// A column of an index's key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyColumn {
    /// Its place among the table's columns.
    pub(crate) place: usize,
    /// Its type.
    pub(crate) ty: Type,
    /// Its order.
    pub(crate) direction: Direction,
}

/// What a part of a key is computed from.
#[derive(Debug, Clone)]
struct Computed {
    /// Its place in the key.
    part: usize,
    value: Arc<Expr>,
}

/// How keys of an index are made.
#[derive(Debug, Clone)]
pub(crate) struct IndexFormat {
    /// Its id.
    pub(crate) id: IndexId,
    /// Its name; empty for the index over a row id.
    pub(crate) name: String,
    /// Whether no two rows may have equal keys.
    pub(crate) unique: bool,
    /// What all its keys begin with.
    pub(crate) prefix: Bytes,
    /// Its columns: what is computed has a place behind those of all the table's columns.
    pub(crate) columns: Vec<KeyColumn>,
    /// The parts of the key that are computed.
    computed: Vec<Computed>,
    /// Which rows have entries: all, or those of which this is true.
    predicate: Option<Arc<Expr>>,
    /// The places of the columns that are read to compute parts and to judge rows.
    read: Vec<usize>,
    /// Whether NULLs are equal.
    nulls_not_distinct: bool,
}

impl IndexFormat {
    pub(crate) fn new(table: &TableDescriptor, index: &IndexDescriptor) -> Result<Self> {
        let places = table.key_columns(index);
        let columns: Vec<KeyColumn> = places
            .zip(&index.columns)
            .filter_map(|(place, key)| {
                Some(KeyColumn { place, ty: table.key_type(key)?, direction: key.direction() })
            })
            .collect();
        if columns.len() != index.columns.len() {
            return Err(Error::internal("an index names a column that its table does not have"));
        }
        let bound = |expression: &IndexExpression| {
            let unclear =
                || Error::internal(format!("what index \"{}\" is made of is not settled", index.name));
            expression.bound.clone().ok_or_else(unclear)
        };
        let mut computed = Vec::new();
        for (part, key) in index.columns.iter().enumerate() {
            if let IndexPart::Expression(expression) = &key.part {
                computed.push(Computed { part, value: bound(expression)? });
            }
        }
        let predicate = index.options.predicate.as_ref().map(bound).transpose()?;
        let expressions = computed.iter().map(|computed| &computed.value).chain(&predicate);
        Ok(Self {
            id: index.id,
            name: index.name.clone(),
            unique: index.unique,
            prefix: keys::sql::index_prefix(TENANT_DEFAULT, index.id),
            read: expressions.flat_map(|expression| expression.columns()).collect(),
            columns,
            computed,
            predicate,
            nulls_not_distinct: index.options.nulls_not_distinct,
        })
    }

    /// Whether it has entries for some rows alone.
    pub(crate) fn is_partial(&self) -> bool {
        self.predicate.is_some()
    }

    /// Whether a foreign key can reference it.
    pub(crate) fn is_referable(&self) -> bool {
        self.unique && self.predicate.is_none() && self.computed.is_empty()
    }

    /// The places of the table's columns that decide what entries it has.
    pub(crate) fn decided_by(&self) -> impl Iterator<Item = usize> {
        let is_computed = |part: usize| self.computed.iter().any(|computed| computed.part == part);
        let plain = self.columns.iter().enumerate().filter(move |(part, _)| !is_computed(*part));
        plain.map(|(_, key)| key.place).chain(self.read.iter().copied())
    }

    /// The values of the key of a row.
    pub(crate) fn key_values(&self, row: &[Datum]) -> Result<Vec<Datum>> {
        let mut values: Vec<Datum> =
            self.columns.iter().map(|key| row.get(key.place).cloned().unwrap_or_default()).collect();
        let context = EvalContext::new(row, &[], &EVERYWHERE);
        for computed in &self.computed {
            if let Some(value) = values.get_mut(computed.part) {
                *value = computed.value.evaluate(&context)?;
            }
        }
        Ok(values)
    }

    /// Whether it has an entry for a row.
    fn has(&self, row: &[Datum]) -> Result<bool> {
        let Some(predicate) = &self.predicate else { return Ok(true) };
        let context = EvalContext::new(row, &[], &EVERYWHERE);
        Ok(matches!(predicate.evaluate(&context)?, Datum::Bool(true)))
    }

    /// Appends a row's values for the key of an entry; whether a NULL is among them.
    fn put_key(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<bool> {
        if self.computed.is_empty() {
            return self.put_columns(row, out);
        }
        let mut has_null = false;
        for (value, column) in self.key_values(row)?.iter().zip(&self.columns) {
            has_null |= value.is_null();
            expr::key::encode_datum(value, column.ty, column.direction, out)?;
        }
        Ok(has_null)
    }

    /// Appends the row's columns; whether a NULL is among them.
    fn put_columns(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<bool> {
        let mut has_null = false;
        for column in &self.columns {
            let value = row.get(column.place).unwrap_or(&Datum::Null);
            has_null |= value.is_null();
            expr::key::encode_datum(value, column.ty, column.direction, out)?;
        }
        Ok(has_null)
    }

    /// Whether two rows may have different entries, but for what rows they lead to: they differ in columns of the key, as its
    /// bytes see it, or in what the rest depends on.
    pub(crate) fn differs(&self, left: &[Datum], right: &[Datum]) -> bool {
        if !self.read.is_empty() {
            let is_same = |place: &usize| match (left.get(*place), right.get(*place)) {
                (Some(left), Some(right)) => looks_the_same(left, right),
                _ => false,
            };
            if !self.read.iter().all(is_same) {
                return true;
            }
        }
        let is_computed = |part: usize| self.computed.iter().any(|computed| computed.part == part);
        self.columns.iter().enumerate().filter(|(part, _)| !is_computed(*part)).any(|(_, column)| {
            let (left, right) = (left.get(column.place), right.get(column.place));
            match (left, right) {
                (Some(left), Some(right)) => !expr::group_eq(left, right),
                _ => true,
            }
        })
    }

    /// The value of an entry of this secondary index that leads to a row whose primary key has these bytes.
    pub(crate) fn entry_value<'a>(&self, primary_columns: &'a [u8]) -> &'a [u8] {
        if self.unique { primary_columns } else { &[] }
    }

    /// The key of the row whose primary key has these bytes.
    pub(crate) fn row_key(&self, primary_columns: &[u8]) -> Bytes {
        let mut key = Vec::with_capacity(self.prefix.len() + primary_columns.len() + 1);
        self.put_key_of(primary_columns, &mut key);
        key.into()
    }

    /// Appends the key of the row whose primary key has these bytes.
    pub(crate) fn put_key_of(&self, primary_columns: &[u8], key: &mut Vec<u8>) {
        key.extend_from_slice(&self.prefix);
        key.extend_from_slice(primary_columns);
        key.push(SUFFIX_ROW);
    }

    /// The least key of those that begin with the values, of as many of the columns as there are values.
    pub(crate) fn first_key(&self, values: &[Datum]) -> Result<Bytes> {
        let mut key = self.prefix.to_vec();
        for (value, column) in values.iter().zip(&self.columns) {
            expr::key::encode_datum(value, column.ty, column.direction, &mut key)?;
        }
        Ok(key.into())
    }

    /// The bytes of the columns in the key of a row, or of an exclusive entry.
    pub(crate) fn columns_of<'a>(&self, key: &'a [u8]) -> Result<&'a [u8]> {
        let behind = key.get(self.prefix.len()..).and_then(<[u8]>::split_last);
        behind.map(|(_, columns)| columns).ok_or_else(damaged_entry)
    }

    /// The bytes of the primary key in an entry of this secondary index.
    pub(crate) fn primary_columns<'a>(&self, key: &'a [u8], value: &'a [u8]) -> Result<&'a [u8]> {
        if self.unique {
            return Ok(value);
        }
        let mut rest = key.get(self.prefix.len()..).unwrap_or_default();
        for column in &self.columns {
            expr::key::skip_datum(&mut rest, column.ty, column.direction)?;
        }
        rest.split_last().map(|(_, columns)| columns).ok_or_else(damaged_entry)
    }
}

fn damaged_entry() -> Error {
    Error::new("XX001", "an index entry does not lead to a row")
}

/// An entry of a secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its key.
    pub(crate) key: Bytes,
    /// Its value.
    pub(crate) value: Bytes,
    /// Whether another row's entry may stand under this key, which makes the two duplicates.
    pub(crate) exclusive: bool,
}

/// Makes the keys and values of a table's rows.
#[derive(Debug, Clone)]
pub(crate) struct TableFormat {
    /// The table.
    pub(crate) table: Arc<TableDescriptor>,
    /// The index that holds the rows.
    pub(crate) primary: IndexFormat,
    /// All others.
    pub(crate) secondary: Vec<IndexFormat>,
    /// Columns in the order of their ids.
    stored: Vec<StoredColumn>,
}

/// A column in the value of a row.
#[derive(Debug, Clone, Copy)]
struct StoredColumn {
    id: u32,
    /// Its place among the table's columns.
    place: usize,
    /// Its type, if it stands in the key.
    in_key: Option<Type>,
    /// Whether its NULLs are stored.
    keeps_null: bool,
}

impl TableFormat {
    pub(crate) fn new(table: &Arc<TableDescriptor>) -> Result<Self> {
        let primary =
            table.primary().ok_or_else(|| Error::internal("a table that is made up stores no rows"))?;
        let primary = IndexFormat::new(table, primary)?;
        let mut stored: Vec<_> = table
            .columns
            .iter()
            .enumerate()
            .map(|(place, column)| {
                let in_key = primary.columns.iter().any(|key| key.place == place);
                StoredColumn {
                    id: column.id,
                    place,
                    in_key: in_key.then_some(column.ty),
                    keeps_null: column.missing.is_some(),
                }
            })
            .collect();
        stored.sort_unstable_by_key(|column| column.id);
        let secondary = table
            .secondary()
            .iter()
            .map(|index| IndexFormat::new(table, index))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { table: Arc::clone(table), primary, secondary, stored })
    }

    /// The bytes of the row's primary key between prefix and suffix.
    pub(crate) fn primary_columns(&self, row: &[Datum]) -> Result<Vec<u8>> {
        let mut columns = Vec::with_capacity(16);
        self.primary.put_columns(row, &mut columns)?;
        Ok(columns)
    }

    /// Appends the key of a row.
    pub(crate) fn put_row_key(&self, row: &[Datum], key: &mut Vec<u8>) -> Result<()> {
        key.extend_from_slice(&self.primary.prefix);
        self.primary.put_columns(row, key)?;
        key.push(SUFFIX_ROW);
        Ok(())
    }

    /// The value under the row's key.
    pub(crate) fn value(&self, row: &[Datum]) -> Result<Bytes> {
        let mut value = Vec::with_capacity(self.stored.len().saturating_mul(10).saturating_add(16));
        self.put_value(row, &mut value)?;
        Ok(value.into())
    }

    /// Appends the value under the row's key.
    pub(crate) fn put_value(&self, row: &[Datum], out: &mut Vec<u8>) -> Result<()> {
        let stored = self.stored.iter().filter_map(|column| {
            let value = row.get(column.place)?;
            let is_left_out = value.is_null() && !column.keeps_null
                || column.in_key.is_some_and(|ty| expr::key::restores(value, ty));
            (!is_left_out).then_some((column.id, value))
        });
        Ok(expr::row::put_row(self.table.schema_version, stored, out)?)
    }

    /// The row's entry in a secondary index, if it has one there.
    pub(crate) fn entry(
        &self,
        index: &IndexFormat,
        row: &[Datum],
        primary_columns: &[u8],
    ) -> Result<Option<Entry>> {
        let mut key = Vec::with_capacity(index.prefix.len() + primary_columns.len() + 17);
        let Some(exclusive) = self.put_entry_key(index, row, primary_columns, &mut key)? else {
            return Ok(None);
        };
        let value = Bytes::copy_from_slice(index.entry_value(primary_columns));
        Ok(Some(Entry { key: key.into(), value, exclusive }))
    }

    /// Appends the key of the row's entry in a secondary index, if it has one there; whether it is exclusive.
    pub(crate) fn put_entry_key(
        &self,
        index: &IndexFormat,
        row: &[Datum],
        primary_columns: &[u8],
        key: &mut Vec<u8>,
    ) -> Result<Option<bool>> {
        if !index.has(row)? {
            return Ok(None);
        }
        key.extend_from_slice(&index.prefix);
        let has_null = index.put_key(row, key)?;
        let exclusive = index.unique && (!has_null || index.nulls_not_distinct);
        if !exclusive {
            key.extend_from_slice(primary_columns);
        }
        key.push(SUFFIX_ROW);
        Ok(Some(exclusive))
    }
}

/// Reads columns of a table's rows.
#[derive(Debug, Clone)]
pub(crate) struct RowReader {
    prefix_bytes: usize,
    /// The key's columns up to the last that is wanted, each with its places in the output.
    key: Vec<(KeyColumn, Option<usize>)>,
    decoder: RowDecoder,
    /// Output places of columns that rows may lack, and what is meant then.
    missing: Vec<(usize, Datum)>,
    /// Output places that repeat a column: from, to.
    copies: Vec<(usize, usize)>,
    width: usize,
}

impl RowReader {
    /// Reads these columns (places among the table's), in this order.
    pub(crate) fn new(format: &IndexFormat, table: &TableDescriptor, columns: &[usize]) -> Result<Self> {
        let mut read: Vec<(usize, usize)> = Vec::with_capacity(columns.len());
        let mut copies = Vec::new();
        for (output, place) in columns.iter().enumerate() {
            match columns.iter().position(|earlier| earlier == place) {
                Some(first) if first < output => copies.push((first, output)),
                _ => read.push((*place, output)),
            }
        }
        Ok(Self { copies, ..Self::of(format, table, &read, columns.len())? })
    }

    /// Reads columns (places among the table's), each into its place of a row of this width.
    fn of(
        format: &IndexFormat,
        table: &TableDescriptor,
        read: &[(usize, usize)],
        width: usize,
    ) -> Result<Self> {
        let output_of =
            |wanted: usize| read.iter().find(|(place, _)| *place == wanted).map(|(_, output)| *output);
        let mut key: Vec<_> =
            format.columns.iter().map(|column| (*column, output_of(column.place))).collect();
        while key.last().is_some_and(|(_, output)| output.is_none()) {
            key.pop();
        }
        let stored = read.iter().filter_map(|(place, output)| Some((table.columns.get(*place)?.id, *output)));
        let mut missing = Vec::new();
        for (place, output) in read {
            let column = table.columns.get(*place);
            if let Some(value) = column.map(|column| column.missing_value()).transpose()?.flatten() {
                missing.push((*output, value));
            }
        }
        Ok(Self {
            prefix_bytes: format.prefix.len(),
            key,
            decoder: RowDecoder::new(stored),
            missing,
            copies: Vec::new(),
            width,
        })
    }

    /// Those of the table's columns that are wanted, each at its place; the others are NULL, whatever they hold.
    pub(crate) fn some(format: &TableFormat, wanted: impl Fn(usize) -> bool) -> Result<Self> {
        let width = format.table.columns.len();
        let read: Vec<(usize, usize)> =
            (0..width).filter(|place| wanted(*place)).map(|place| (place, place)).collect();
        Self::of(&format.primary, &format.table, &read, width)
    }

    /// All columns of the table.
    pub(crate) fn whole(format: &TableFormat) -> Result<Self> {
        Self::some(format, |_| true)
    }

    /// The wanted columns of a row.
    pub(crate) fn read(&self, key: &[u8], value: &[u8]) -> Result<Row> {
        let mut row = Row::with_capacity(self.width);
        row.resize_with(self.width, Datum::default);
        for (output, value) in &self.missing {
            if let Some(place) = row.get_mut(*output) {
                place.clone_from(value);
            }
        }
        let mut rest = key.get(self.prefix_bytes..).unwrap_or_default();
        for (column, output) in &self.key {
            match output.and_then(|output| row.get_mut(output)) {
                Some(place) => *place = expr::key::decode_datum(&mut rest, column.ty, column.direction)?,
                None => expr::key::skip_datum(&mut rest, column.ty, column.direction)?,
            }
        }
        self.decoder.decode_into(value, &mut row)?;
        for (from, to) in &self.copies {
            let value = row.get(*from).cloned().unwrap_or_default();
            if let Some(place) = row.get_mut(*to) {
                *place = value;
            }
        }
        Ok(row)
    }
}

/// Whether two values are one, whatever is asked of them: equal ones may still look different (1.0 and 1.00).
fn looks_the_same(left: &Datum, right: &Datum) -> bool {
    let image = |value| expr::row::encode_row(0, &[(1, value)]).ok();
    expr::group_eq(left, right) && image(left) == image(right)
}
