//! From SQL text to the syntax tree.

pub mod ast;

pub use ast::Statement;
