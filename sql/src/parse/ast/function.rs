//! CREATE FUNCTION, and functions as other statements name them.

use expr::functions::Volatility;

use super::{DefaultDefinition, Name, QualifiedName, TypeName};
use crate::catalog::object::{Parallel, ParameterMode};

/// CREATE FUNCTION
#[derive(Debug, Clone)]
pub struct CreateFunction {
    /// Its name.
    pub name: QualifiedName,
    /// OR REPLACE
    pub replace: bool,
    /// What stands between the parentheses, and the columns of RETURNS TABLE behind that.
    pub parameters: Vec<ParameterDefinition>,
    /// What it returns; `None`: its output parameters say so.
    pub returns: Option<TypeName>,
    /// SETOF, TABLE
    pub is_set: bool,
    /// IMMUTABLE and its like, STRICT and its like.
    pub options: FunctionOptions,
    /// What it answers.
    pub body: FunctionText,
}

/// A parameter of a function.
#[derive(Debug, Clone)]
pub struct ParameterDefinition {
    /// Its name, if it has one.
    pub name: Option<Name>,
    /// What it is for.
    pub mode: ParameterMode,
    /// Its type.
    pub ty: TypeName,
    /// DEFAULT
    pub default: Option<DefaultDefinition>,
    /// Where it stands.
    pub at: usize,
}

/// What is said of a function beside its body; `None`: nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct FunctionOptions {
    /// IMMUTABLE, STABLE, VOLATILE
    pub volatility: Option<Volatility>,
    /// STRICT, CALLED ON NULL INPUT
    pub strict: Option<bool>,
    /// PARALLEL
    pub parallel: Option<Parallel>,
}

/// The body of a function.
#[derive(Debug, Clone)]
pub enum FunctionText {
    /// AS a string.
    Quoted {
        /// What it holds.
        text: String,
        /// Where its first character stands, if it holds what is written there, character by character.
        at: Option<usize>,
    },
    /// RETURN an expression: its text.
    Return(String),
    /// BEGIN ATOMIC: the text of its only query.
    Atomic(String),
}

/// A function as DROP, ALTER and GRANT name it.
#[derive(Debug, Clone)]
pub struct FunctionName {
    /// Its name.
    pub name: QualifiedName,
    /// The types of what it is called with; `None`: there is no other of this name.
    pub arguments: Option<Vec<TypeName>>,
}

/// What becomes of a function.
#[derive(Debug, Clone)]
pub enum FunctionAction {
    /// RENAME TO
    Rename(Name),
    /// SET SCHEMA
    SetSchema(Name),
    /// IMMUTABLE and its like
    Options(FunctionOptions),
}
