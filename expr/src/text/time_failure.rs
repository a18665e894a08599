//! Why a text is no date or time.

use crate::error::Error;

/// Why text is no time.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    Syntax,
    /// A field beyond its range.
    Field,
    /// A month or day beyond its range, which another DateStyle might read.
    MonthOrDay,
    /// A zone's offset beyond its range.
    Offset,
    /// No zone has this name.
    Zone(String),
}

impl Failure {
    pub(super) fn into_error(self, text: &str, type_name: &str) -> Error {
        match self {
            Failure::Syntax => {
                Error::new("22007", format!("invalid input syntax for type {type_name}: \"{text}\""))
            }
            Failure::Field => Error::new("22008", format!("date/time field value out of range: \"{text}\"")),
            Failure::MonthOrDay => {
                Error::new("22008", format!("date/time field value out of range: \"{text}\""))
                    .with_hint("Perhaps you need a different \"datestyle\" setting.")
            }
            Failure::Offset => {
                Error::new("22009", format!("time zone displacement out of range: \"{text}\""))
            }
            Failure::Zone(name) => Error::new("22023", format!("time zone \"{name}\" not recognized")),
        }
    }
}
