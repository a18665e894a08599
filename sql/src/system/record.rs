//! Rows of a view, written by the names of their columns.

use expr::types::Form;
use expr::{Array, Datum, Interval, Row, TypeKind};

use crate::catalog::TableDescriptor;
use crate::error::{Error, Result};

/// The rows of one view under construction.
pub(super) struct Records<'a> {
    view: &'a TableDescriptor,
    rows: Vec<Row>,
    wrong: Option<String>,
}

impl<'a> Records<'a> {
    pub(super) fn new(view: &'a TableDescriptor) -> Self {
        Self { view, rows: Vec::new(), wrong: None }
    }

    /// Adds a row; columns that are not named are NULL, or the zero of their type if they cannot be.
    pub(super) fn push(&mut self, fields: &[(&str, Value)]) {
        let mut row: Row = self
            .view
            .columns
            .iter()
            .map(|column| if column.not_null { zero(column.ty.kind) } else { Datum::Null })
            .collect();
        for (name, value) in fields {
            match self.view.columns.iter().position(|column| column.name == *name) {
                Some(place) => {
                    if let (Some(slot), Some(column)) = (row.get_mut(place), self.view.columns.get(place)) {
                        *slot = value.datum(column.ty.kind);
                    }
                }
                None => self.wrong = Some((*name).to_owned()),
            }
        }
        self.rows.push(row);
    }

    /// Changes fields of the row that was added last.
    pub(super) fn amend(&mut self, fields: &[(&str, Value)]) {
        for (name, value) in fields {
            let place = self.view.columns.iter().position(|column| column.name == *name);
            let column = place.and_then(|place| self.view.columns.get(place));
            let row = self.rows.last_mut();
            match (place.and_then(|place| row?.get_mut(place)), column) {
                (Some(slot), Some(column)) => *slot = value.datum(column.ty.kind),
                _ => self.wrong = Some((*name).to_owned()),
            }
        }
    }

    pub(super) fn finish(self) -> Result<Vec<Row>> {
        match self.wrong {
            None => Ok(self.rows),
            Some(name) => Err(Error::internal(format!("view {} has no column {name}", self.view.name))),
        }
    }
}

/// A value of a field; its column tells which type it becomes.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Real(f32),
    Double(f64),
    Text(String),
    Ints(Vec<i64>),
    Texts(Vec<String>),
    Reals(Vec<f32>),
    /// Microseconds since 2000.
    Moment(i64),
    /// So many seconds.
    Span(i64),
}

impl Value {
    /// A number of something.
    pub(super) fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    fn datum(&self, kind: TypeKind) -> Datum {
        match self {
            Self::Null => Datum::Null,
            Self::Bool(value) => Datum::Bool(*value),
            Self::Int(value) => integer(*value, kind),
            Self::Real(value) => Datum::Float4(*value),
            Self::Double(value) => Datum::Float8(*value),
            Self::Text(text) => Datum::Text(text.as_str().into()),
            Self::Texts(texts) => Datum::Array(
                texts.iter().map(|text| Datum::Text(text.as_str().into())).collect::<Vec<_>>().into(),
            ),
            Self::Reals(values) => {
                Datum::Array(values.iter().map(|value| Datum::Float4(*value)).collect::<Vec<_>>().into())
            }
            Self::Moment(moment) => Datum::Timestamptz(*moment),
            Self::Span(seconds) => {
                let micros = seconds.saturating_mul(expr::calendar::MICROS_PER_SECOND);
                Datum::Interval(Interval { months: 0, days: 0, micros })
            }
            Self::Ints(values) => {
                let element = kind.element().unwrap_or(TypeKind::Int2);
                let items: Vec<_> = values.iter().map(|value| integer(*value, element)).collect();
                Datum::Array(Array::from_lower(items, i32::from(!kind.is_vector())))
            }
        }
    }
}

fn integer(value: i64, kind: TypeKind) -> Datum {
    match kind {
        TypeKind::Int2 => Datum::Int2(i16::try_from(value).unwrap_or(i16::MAX)),
        TypeKind::Int8 => Datum::Int8(value),
        TypeKind::Oid => Datum::Oid(u32::try_from(value).unwrap_or(0)),
        kind if kind.is_reg() => Datum::Oid(u32::try_from(value).unwrap_or(0)),
        TypeKind::Float4 => Datum::Float4(value as f32),
        _ => Datum::Int4(i32::try_from(value).unwrap_or(i32::MAX)),
    }
}

fn zero(kind: TypeKind) -> Datum {
    match kind.form() {
        Form::Bool => Datum::Bool(false),
        Form::Text => Datum::Text("".into()),
        Form::Array => Datum::Array(Vec::new().into()),
        Form::Bytea => Datum::Bytea(bytes::Bytes::new()),
        Form::Timestamptz => Datum::Timestamptz(0),
        _ => integer(0, kind),
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
