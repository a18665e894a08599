//! EXPLAIN's options.

use super::Name;

/// An option of EXPLAIN as it is written. What it says is judged once the statement is bound that is explained.
#[derive(Debug, Clone)]
pub struct ExplainOption {
    /// Its name.
    pub name: Name,
    /// Its value, if it has one.
    pub value: Option<OptionValue>,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// A word (in lower case) or a string.
    Text(String),
    /// A number, with its sign.
    Number(String),
}
