//! Records as text and in binary.
//!
//! ```text
//! (1,,"a b","say ""x""")
//! ```
//!
//! Of what fields they are they say themselves in binary alone: as text only values of composite types are read, whose
//! attributes the catalog knows.

use std::sync::Arc;

use crate::binary::Input;
use crate::datum::Datum;
use crate::datum::record::{Record, Shape};
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::TypeKind;
use crate::work;

/// What the fields of a record are that is of this type.
pub(crate) fn shape_of(record: &Record, kind: TypeKind, session: &SessionContext) -> Result<Arc<Shape>> {
    match record.shape() {
        Some(shape) => Ok(shape.clone()),
        None => attributes(kind, session),
    }
}

/// The attributes of a composite type.
pub(crate) fn attributes(kind: TypeKind, session: &SessionContext) -> Result<Arc<Shape>> {
    let unknown = || Error::internal("the attributes of a record are not known");
    session.catalog.attributes(kind).ok_or_else(unknown)
}

fn anonymous() -> Error {
    Error::new("0A000", "input of anonymous composite types is not implemented")
}

/// Blanks of ASCII, no others of Unicode.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

/// Appends the fields between parentheses; NULL is nothing.
pub(super) fn write(
    record: &Record,
    kind: TypeKind,
    session: &SessionContext,
    out: &mut String,
) -> Result<()> {
    let shape = shape_of(record, kind, session)?;
    out.push('(');
    let mut text = String::new();
    for (place, (_, ty, value)) in shape.of(record).enumerate() {
        if place > 0 {
            out.push(',');
        }
        if value.is_null() {
            continue;
        }
        text.clear();
        super::write(value, ty.kind, session, &mut text)?;
        match needs_quotes(&text) {
            true => super::quote(&text, None, out)?,
            false => super::plain(&text, out)?,
        }
    }
    out.push(')');
    Ok(())
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty() || text.contains(|c: char| matches!(c, '"' | '\\' | '(' | ')' | ',') || is_blank(c))
}

/// Reads a value of a composite type. 22P02 if malformed.
pub(super) fn parse(text: &str, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    if !kind.is_composite() {
        return Err(anonymous());
    }
    let shape = attributes(kind, session)?;
    let malformed = |detail: &str| {
        Error::new("22P02", format!("malformed record literal: \"{text}\"")).with_detail(detail)
    };
    let body = text.trim_start_matches(is_blank).strip_prefix('(');
    let mut rest = body.ok_or_else(|| malformed("Missing left parenthesis."))?;
    let mut fields = Vec::with_capacity(shape.len());
    let mut bytes = 0;
    for (place, ty) in shape.types().iter().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(',').ok_or_else(|| malformed("Too few columns."))?;
        }
        if rest.starts_with([',', ')']) {
            fields.push(super::judged(Datum::Null, ty.kind, session)?);
            continue;
        }
        let (field, behind) = take_field(rest).ok_or_else(|| malformed("Unexpected end of input."))?;
        fields.push(work::grown(&mut bytes, super::input(&field, *ty, session)?)?);
        rest = behind;
    }
    let behind = rest.strip_prefix(')').ok_or_else(|| malformed("Too many columns."))?;
    if !behind.trim_start_matches(is_blank).is_empty() {
        return Err(malformed("Junk after right parenthesis."));
    }
    Ok(Datum::Record(Arc::new(Record::composite(fields)?)))
}

/// The text of a field, without its quotes and escapes, and what is left from the comma or parenthesis that ends it.
fn take_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut is_quoted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            ',' | ')' if !is_quoted => return Some((field, text.get(at..)?)),
            '\\' => field.push(chars.next()?.1),
            '"' if is_quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            c => field.push(c),
        }
    }
    None
}

/// The number of fields, and of each its type, its length (-1 is NULL) and its value.
pub(super) fn send(
    record: &Record,
    kind: TypeKind,
    session: &SessionContext,
    out: &mut Vec<u8>,
) -> Result<()> {
    let shape = shape_of(record, kind, session)?;
    let length = |bytes: usize| i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes();
    out.extend_from_slice(&length(shape.len()));
    for (_, ty, value) in shape.of(record) {
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

/// Reads a value of a composite type. 42804 if it is one of other fields; 08P01.
pub(super) fn receive(input: &mut Input<'_>, kind: TypeKind, session: &SessionContext) -> Result<Datum> {
    if !kind.is_composite() {
        return Err(anonymous());
    }
    let shape = attributes(kind, session)?;
    let count = input.i32()?;
    if usize::try_from(count) != Ok(shape.len()) {
        let message = format!("wrong number of columns: {count}, expected {}", shape.len());
        return Err(Error::new("42804", message));
    }
    let mut fields = Vec::with_capacity(shape.len());
    let mut bytes = 0;
    for (ty, column) in shape.types().iter().zip(1..) {
        let oid = input.array().map(u32::from_be_bytes)?;
        if oid != ty.kind.oid() {
            return Err(of_other_type(oid, ty.kind, column, session));
        }
        let field = match usize::try_from(input.i32()?) {
            Ok(length) => super::receive(input.take(length)?, *ty, session)?,
            Err(_) => super::judged(Datum::Null, ty.kind, session)?,
        };
        fields.push(work::grown(&mut bytes, field)?);
    }
    Ok(Datum::Record(Arc::new(Record::composite(fields)?)))
}

fn of_other_type(oid: u32, expected: TypeKind, column: usize, session: &SessionContext) -> Error {
    let name = session.catalog.type_of_oid(oid).map_or("???", TypeKind::display_name);
    let (wanted, shown) = (expected.oid(), expected.display_name());
    let message = format!(
        "binary data has type {oid} ({name}) instead of expected {wanted} ({shown}) in record column {column}"
    );
    Error::new("42804", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::CatalogFunctions;
    use crate::types::{Symbol, Type};

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

    /// A catalog whose composite types all have these attributes.
    #[derive(Debug)]
    struct Attributes(Arc<Shape>);

    impl CatalogFunctions for Attributes {
        fn call(&self, name: &str, _: &[Datum]) -> Result<Datum> {
            Err(Error::unsupported(name))
        }

        fn reg_name(&self, _: TypeKind, _: u32) -> Option<String> {
            None
        }

        fn reg_oid(&self, _: TypeKind, name: &str) -> Result<u32> {
            Err(Error::unsupported(name))
        }

        fn enum_value(&self, _: TypeKind, label: &str) -> Result<Datum> {
            Err(Error::unsupported(label))
        }

        fn enum_label(&self, _: TypeKind, _: &[u8]) -> Option<Arc<str>> {
            None
        }

        fn enum_values(&self, _: TypeKind) -> Result<Vec<Datum>> {
            Ok(Vec::new())
        }

        fn attributes(&self, _: TypeKind) -> Option<Arc<Shape>> {
            Some(self.0.clone())
        }

        /// Its domains are over numbers of three digits, and none of them is NULL or below 0.
        fn over(&self, _: TypeKind) -> Option<Type> {
            Some(Type::numeric(3, 0))
        }

        fn judge(&self, _: TypeKind, value: &Datum, session: &SessionContext) -> Result<()> {
            let shown = crate::codec::output(value, TypeKind::Numeric.into(), session)?;
            match shown.is_empty() || shown.starts_with('-') {
                true => Err(Error::new("23514", shown)),
                false => Ok(()),
            }
        }

        fn type_of_oid(&self, oid: u32) -> Option<TypeKind> {
            TypeKind::from_oid(oid)
        }
    }

    fn of(fields: &[(&str, TypeKind)]) -> (TypeKind, SessionContext) {
        let fields = fields.iter().map(|(name, kind)| ((*name).to_owned(), Type::plain(*kind)));
        let catalog = Arc::new(Attributes(Arc::new(Shape::new(fields))));
        let kind = TypeKind::made(20_000, TypeKind::Record, Symbol::of("pair"));
        (kind, SessionContext { catalog, ..SessionContext::default() })
    }

    #[test]
    fn literals_are_read_as_postgresql_reads_them() {
        let (kind, session) = of(&[("a", TypeKind::Int4), ("b", TypeKind::Text)]);
        for (text, shown) in [
            ("(1,x)", "(1,x)"),
            (" (1,) ", "(1,)"),
            ("(,\"\")", "(,\"\")"),
            ("(1, x y)", "(1,\" x y\")"),
            ("(\"1\",\"a\"\"b\\\\c\")", "(1,\"a\"\"b\\\\c\")"),
            ("(1,a\"b,)\"c)", "(1,\"ab,)c\")"),
        ] {
            let value = crate::codec::input(text, kind.into(), &session).unwrap();
            assert_eq!(crate::codec::output(&value, kind.into(), &session).unwrap(), shown);
        }
        for (text, detail) in [
            ("1,x", "Missing left parenthesis."),
            ("(1)", "Too few columns."),
            ("(1,x,y)", "Too many columns."),
            ("(1,x", "Unexpected end of input."),
            ("(1,\"x)", "Unexpected end of input."),
            ("(1,x) y", "Junk after right parenthesis."),
        ] {
            let error = crate::codec::input(text, kind.into(), &session).unwrap_err();
            assert_eq!((error.sqlstate, error.detail.as_deref()), ("22P02", Some(detail)), "{text}");
        }
    }

    #[test]
    fn the_binary_format_reads_back() {
        let (kind, session) = of(&[("a", TypeKind::Int4), ("b", TypeKind::Text)]);
        let value = crate::codec::input("(7,)", kind.into(), &session).unwrap();
        let mut bytes = Vec::new();
        crate::codec::send(&value, kind.into(), &session, &mut bytes).unwrap();
        let read = crate::codec::receive(&bytes, kind.into(), &session).unwrap();
        assert_eq!(format!("{read:?}"), format!("{value:?}"));
        let (_, other) = of(&[("a", TypeKind::Int8), ("b", TypeKind::Text)]);
        assert_eq!(crate::codec::receive(&bytes, kind.into(), &other).unwrap_err().sqlstate, "42804");
        let (_, shorter) = of(&[("a", TypeKind::Int4)]);
        assert_eq!(crate::codec::receive(&bytes, kind.into(), &shorter).unwrap_err().sqlstate, "42804");
    }

    #[test]
    fn what_is_read_of_a_domain_is_judged() {
        let few = TypeKind::made(20_010, TypeKind::Numeric, Symbol::of("few"));
        let all = few.array().unwrap();
        let (kind, session) = of(&[("a", few), ("b", all)]);
        let read = |text: &str, kind: TypeKind| crate::codec::input(text, kind.into(), &session);
        for text in ["(1,)", "(999,{})", "(1,\"{1,2}\")"] {
            let value = read(text, kind).unwrap();
            assert_eq!(crate::codec::output(&value, kind.into(), &session).unwrap(), text);
            let mut bytes = Vec::new();
            crate::codec::send(&value, kind.into(), &session, &mut bytes).unwrap();
            let again = crate::codec::receive(&bytes, kind.into(), &session).unwrap();
            assert_eq!(format!("{again:?}"), format!("{value:?}"));
        }
        for (text, sqlstate) in [
            ("(-1,)", "23514"),
            ("(,)", "23514"),
            ("(1,{-1})", "23514"),
            ("(1,{NULL})", "23514"),
            ("(1000,)", "22003"),
            ("(1,{1000})", "22003"),
        ] {
            assert_eq!(read(text, kind).unwrap_err().sqlstate, sqlstate, "{text}");
        }
        assert_eq!(read("-1", few).unwrap_err().sqlstate, "23514");
    }
}
