//! An answer as text of JSON, which grows no longer than it may.

use expr::json::quoted;

use super::refusal::Refused;
use super::schema::{Meaning, Schema};
use super::select::Selected;

/// An answer under way.
#[derive(Debug)]
pub(super) struct Sink {
    text: String,
    bytes_max: usize,
}

impl Sink {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { text: String::new(), bytes_max }
    }

    /// Appends what is JSON already.
    pub(super) fn push(&mut self, json: &str) -> Result<(), Refused> {
        if self.text.len().saturating_add(json.len()) > self.bytes_max {
            let message = format!("the answer would take more than {} bytes", self.bytes_max);
            return Err(sql::Error::new("54000", message).hint("Ask for fewer rows at once.").into());
        }
        self.text.push_str(json);
        Ok(())
    }

    /// Appends a string, or null.
    pub(super) fn text_or_null(&mut self, text: Option<&str>) -> Result<(), Refused> {
        match text {
            Some(text) => self.push(&quoted(text)),
            None => self.push("null"),
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Appends an object of what is selected; `value` appends each value but that of `__typename`.
pub(super) fn write_object<'s>(
    schema: &Schema,
    selections: &[Selected<'s>],
    out: &mut Sink,
    mut value: impl FnMut(&Selected<'s>, &mut Sink) -> Result<(), Refused>,
) -> Result<(), Refused> {
    out.push("{")?;
    for (number, selected) in selections.iter().enumerate() {
        if number > 0 {
            out.push(",")?;
        }
        // Names of GraphQL need no escapes.
        out.push("\"")?;
        out.push(&selected.key)?;
        out.push("\":")?;
        match selected.field.meaning {
            Meaning::TypeName => out.text_or_null(Some(schema.name_of(selected.within)))?,
            _ => value(selected, out)?,
        }
    }
    out.push("}")
}
