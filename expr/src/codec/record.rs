//! Records as text and in binary.
//!
//! ```text
//! (1,,"a b","say ""x""")
//! ```

use crate::datum::Datum;
use crate::datum::record::Record;
use crate::error::Result;
use crate::session::SessionContext;

/// Appends the fields between parentheses; NULL is nothing.
pub(super) fn write(record: &Record, session: &SessionContext, out: &mut String) -> Result<()> {
    out.push('(');
    let mut text = String::new();
    for (place, (kind, value)) in record.typed().enumerate() {
        if place > 0 {
            out.push(',');
        }
        if value.is_null() {
            continue;
        }
        text.clear();
        super::write(value, kind, session, &mut text)?;
        match needs_quotes(&text) {
            true => super::quote(&text, None, out)?,
            false => super::plain(&text, out)?,
        }
    }
    out.push(')');
    Ok(())
}

fn needs_quotes(text: &str) -> bool {
    let is_blank = |c: char| c.is_ascii_whitespace() || c == '\x0b';
    text.is_empty() || text.contains(|c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || is_blank(c))
}

/// The number of fields, and of each its type, its length (-1 is NULL) and its value.
pub(super) fn send(record: &Record, session: &SessionContext, out: &mut Vec<u8>) -> Result<()> {
    let length = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes();
    out.extend_from_slice(&length(record.fields().len()));
    for (_, ty, value) in record.named() {
        out.extend_from_slice(&ty.kind.oid().to_be_bytes());
        if matches!(value, Datum::Null) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            continue;
        }
        let mut bytes = Vec::new();
        super::send(value, ty, session, &mut bytes)?;
        out.extend_from_slice(&length(bytes.len()));
        out.extend_from_slice(&bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::datum::record::Shape;
    use crate::types::{Type, TypeKind};

    #[test]
    fn records_in_records_end_where_values_do() {
        let shape = |kind| Arc::new(Shape::new([("f1".to_owned(), Type::plain(kind))]));
        let mut value =
            Datum::Record(Arc::new(Record::new(shape(TypeKind::Int4), vec![Datum::Int4(1)]).unwrap()));
        for _ in 0..100 {
            value = Datum::Record(Arc::new(Record::new(shape(TypeKind::Record), vec![value]).unwrap()));
        }
        let outcome = crate::codec::output(&value, TypeKind::Record.into(), &SessionContext::default());
        assert_eq!(outcome.unwrap_err().sqlstate, "54000");
        assert!(value.text_bytes() > crate::work::VALUE_BYTES_MAX);
    }
}
