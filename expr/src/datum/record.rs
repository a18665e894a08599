//! Records: values side by side, each with a name and a type of its own.
//!
//! A record says itself what its fields are; a value of a composite type does not, as its type does.

use std::sync::Arc;

use super::Datum;
use crate::error::{Error, Result};
use crate::types::Type;

/// How deep records nest in each other: whoever goes through one goes as deep.
const DEPTH_MAX: usize = 1000;

/// What the fields of a record are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    names: Vec<String>,
    types: Vec<Type>,
}

impl Shape {
    /// Fields of these names and types.
    pub fn new(fields: impl IntoIterator<Item = (String, Type)>) -> Self {
        let (names, types) = fields.into_iter().unzip();
        Self { names, types }
    }

    /// The values of a record of this shape, with their names and types.
    pub fn of<'a>(&'a self, record: &'a Record) -> impl Iterator<Item = (&'a str, Type, &'a Datum)> {
        let values = record.fields.iter().chain(std::iter::repeat(&Datum::Null));
        self.fields().zip(values).map(|((name, ty), value)| (name, ty, value))
    }

    /// The names and types.
    pub fn fields(&self) -> impl Iterator<Item = (&str, Type)> {
        self.names.iter().map(String::as_str).zip(self.types.iter().copied())
    }

    /// The types.
    pub fn types(&self) -> &[Type] {
        &self.types
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The place of the only field of this name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }
}

/// A record, or a value of a composite type.
///
/// # Invariants
/// - A value of a composite type has no shape: what is known of its fields stands in the catalog, so that renaming one
///   changes no value. At its end it may lack fields, those that have come since it was stored or that are NULL: they are
///   NULL.
/// - Any other record has a shape of as many fields.
#[derive(Debug, Clone)]
pub struct Record {
    shape: Option<Arc<Shape>>,
    fields: Vec<Datum>,
    /// How many records stand in each other, this one counted.
    depth: usize,
}

impl Record {
    /// A record of such fields; those that are missing are NULL.
    ///
    /// # Errors
    /// 54001: records nest too deep.
    pub fn new(shape: Arc<Shape>, mut fields: Vec<Datum>) -> Result<Self> {
        fields.resize(shape.len(), Datum::Null);
        Self::made(Some(shape), fields)
    }

    /// A value of a composite type, with the values of its attributes.
    ///
    /// # Errors
    /// 54001: records nest too deep.
    pub fn composite(fields: Vec<Datum>) -> Result<Self> {
        Self::made(None, fields)
    }

    fn made(shape: Option<Arc<Shape>>, fields: Vec<Datum>) -> Result<Self> {
        let depth = depth(&fields).saturating_add(1);
        if depth > DEPTH_MAX {
            return Err(Error::new("54001", "stack depth limit exceeded")
                .with_detail(format!("Records nest at most {DEPTH_MAX} deep.")));
        }
        Ok(Self { shape, fields, depth })
    }

    /// The values.
    pub fn fields(&self) -> &[Datum] {
        &self.fields
    }

    /// The values of the fields up to the last that is not NULL.
    pub(crate) fn given(&self) -> &[Datum] {
        let end =
            self.fields.iter().rposition(|field| !field.is_null()).map_or(0, |last| last.saturating_add(1));
        self.fields.get(..end).unwrap_or_default()
    }

    /// What its fields are, unless its type says it.
    pub fn shape(&self) -> Option<&Arc<Shape>> {
        self.shape.as_ref()
    }
}

/// How many records stand in each other among these values. Of arrays only those of records are looked through.
fn depth(values: &[Datum]) -> usize {
    let of = |value: &Datum| match value {
        Datum::Record(record) => record.depth,
        Datum::Array(items) => match items.iter().find(|item| !item.is_null()) {
            Some(Datum::Record(_)) => depth(items),
            _ => 0,
        },
        _ => 0,
    };
    values.iter().map(of).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TypeKind;

    #[test]
    fn records_nest_so_deep() {
        let shape = Arc::new(Shape::new([("f1".to_owned(), TypeKind::Record.into())]));
        let around = |inner: Datum| Record::new(shape.clone(), vec![inner]);
        let mut value = Datum::Null;
        for _ in 0..DEPTH_MAX {
            value = Datum::Record(Arc::new(around(value).unwrap()));
        }
        assert_eq!(around(value.clone()).unwrap_err().sqlstate, "54001");
        let array = Datum::Array(vec![Datum::Null, value].into());
        assert_eq!(around(array).unwrap_err().sqlstate, "54001");
    }
}
