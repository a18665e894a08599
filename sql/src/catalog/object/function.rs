//! Functions that were made: what they are called with, what they answer, and the query that says so.
//!
//! A body that is a string means what it says in the session that calls the function; names in it are looked up then. A body that
//! is written as SQL (RETURN, BEGIN ATOMIC) is kept as a view's query is: its names mean what they meant when it was made.

use expr::functions::Volatility;
use expr::{Type, TypeKind};

use crate::catalog::{Oid, ViewDescriptor};

/// A function.
///
/// # Invariants
/// - It has a body. Inputs behind one with a default have one, too.
/// - `returns` is that of its only output parameter, or a record if there are several, or if it returns rows of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionDescriptor {
    /// Its parameters, in order, the columns of RETURNS TABLE among them.
    pub parameters: Vec<Parameter>,
    /// What it returns; of a set that of a row.
    pub returns: TypeKind,
    /// The relation whose rows it returns, if it does.
    pub row_of: Option<Oid>,
    /// Whether it returns any number of rows.
    pub is_set: bool,
    /// How often it returns the same.
    pub volatility: Volatility,
    /// NULL for a NULL argument, no rows if it returns a set.
    pub strict: bool,
    /// `proparallel`
    pub parallel: Parallel,
    /// What it answers.
    pub body: FunctionBody,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name; empty if it has none.
    pub name: String,
    /// What it is for.
    pub mode: ParameterMode,
    /// Its type.
    pub ty: TypeKind,
    /// What it is unless it is given, as it is kept.
    pub default: Option<String>,
}

/// What a parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterMode {
    /// IN
    In,
    /// OUT
    Out,
    /// INOUT
    InOut,
    /// A column of RETURNS TABLE.
    Table,
}

impl ParameterMode {
    /// All of them, each with its letter in `pg_proc.proargmodes`.
    pub const ALL: [(Self, char); 4] =
        [(Self::In, 'i'), (Self::Out, 'o'), (Self::InOut, 'b'), (Self::Table, 't')];

    /// Whether a call gives it.
    pub const fn is_input(self) -> bool {
        matches!(self, Self::In | Self::InOut)
    }

    /// Whether the function answers it.
    pub const fn is_output(self) -> bool {
        !matches!(self, Self::In)
    }

    /// `proargmodes`
    pub fn letter(self) -> char {
        Self::ALL.iter().find(|(own, _)| *own == self).map_or('i', |(_, letter)| *letter)
    }
}

/// Whether a function may be called in parallel: it is kept for who asks, nothing here depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parallel {
    /// PARALLEL UNSAFE
    #[default]
    Unsafe,
    /// PARALLEL RESTRICTED
    Restricted,
    /// PARALLEL SAFE
    Safe,
}

impl Parallel {
    /// All of them, each with its word and its letter in `pg_proc.proparallel`.
    pub const ALL: [(Self, &'static str, char); 3] =
        [(Self::Unsafe, "unsafe", 'u'), (Self::Restricted, "restricted", 'r'), (Self::Safe, "safe", 's')];

    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, own, _)| *own == word).map(|(own, ..)| *own)
    }

    /// `proparallel`
    pub fn letter(self) -> char {
        Self::ALL.iter().find(|(own, ..)| *own == self).map_or('u', |(.., letter)| *letter)
    }
}

/// What a function answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionBody {
    /// The text of a query, whose names are looked up when it is called.
    Text(String),
    /// A query that is kept as a view's is.
    Query {
        /// The query. Of its columns nothing is kept.
        query: Box<ViewDescriptor>,
        /// RETURN an expression, rather than BEGIN ATOMIC.
        is_return: bool,
    },
}

impl FunctionDescriptor {
    /// The parameters that a call gives, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.mode.is_input())
    }

    /// Those that it answers, in order.
    pub fn outputs(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(|parameter| parameter.mode.is_output())
    }

    /// The query of a body that is kept as a view's.
    pub fn query(&self) -> Option<&ViewDescriptor> {
        match &self.body {
            FunctionBody::Text(_) => None,
            FunctionBody::Query { query, .. } => Some(query),
        }
    }

    /// The columns of each row that it returns, if it has several output parameters: those without a name are called by their
    /// number.
    pub fn columns(&self) -> Option<Vec<(String, Type)>> {
        let several = self.outputs().nth(1).is_some();
        several.then(|| {
            let named = self.outputs().zip(1..).map(|(own, number)| {
                let name = if own.name.is_empty() { format!("column{number}") } else { own.name.clone() };
                (name, Type::plain(own.ty))
            });
            named.collect()
        })
    }

    /// All types that it is made of.
    pub fn kinds(&self) -> impl Iterator<Item = TypeKind> {
        self.parameters.iter().map(|parameter| parameter.ty).chain([self.returns])
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        match &self.body {
            FunctionBody::Text(text) if text.is_empty() => return Err("it has no body"),
            FunctionBody::Text(_) => {}
            FunctionBody::Query { query, .. } => query.check()?,
        }
        let mut inputs = self.inputs().skip_while(|parameter| parameter.default.is_none());
        if inputs.any(|parameter| parameter.default.is_none()) {
            return Err("a parameter behind one with a default has none");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_outputs_are_columns() {
        let parameter =
            |name: &str, mode| Parameter { name: name.to_owned(), mode, ty: TypeKind::Int4, default: None };
        let mut own = FunctionDescriptor {
            parameters: vec![parameter("a", ParameterMode::In), parameter("b", ParameterMode::Out)],
            returns: TypeKind::Int4,
            row_of: None,
            is_set: false,
            volatility: Volatility::Volatile,
            strict: false,
            parallel: Parallel::Unsafe,
            body: FunctionBody::Text("select 1".into()),
        };
        assert!(own.columns().is_none());
        own.parameters.push(parameter("", ParameterMode::InOut));
        let names: Vec<String> =
            own.columns().unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "column2"]);
        assert_eq!(own.inputs().count(), 2);
        assert!(own.check().is_ok());
        own.parameters
            .insert(0, Parameter { default: Some("1".into()), ..parameter("d", ParameterMode::In) });
        assert!(own.check().is_err());
    }
}
