//! Values on the wire: parameters in, rows out, as text or binary.

use bytes::{BufMut, BytesMut};
use expr::datum::Row;
use expr::session::SessionContext;
use expr::types::Form;
use expr::{Datum, Type, TypeKind};
use sql::{ColumnFormats, Error, Format, OutputColumn, Result};

use super::Failure;
use crate::pgwire::ProtocolError;
use crate::pgwire::backend::DataRow;
use crate::pgwire::frontend::Bind;

/// The parameter types that a Parse message gives; 0 and `unknown` are left to inference.
pub(super) fn parameter_types(context: &SessionContext, oids: &[u32]) -> Result<Vec<Option<TypeKind>>> {
    oids.iter()
        .map(|oid| match *oid {
            0 => Ok(None),
            oid => match context.catalog.type_of_oid(oid) {
                Some(TypeKind::Unknown) => Ok(None),
                Some(kind) => Ok(Some(kind)),
                None => Err(Error::new(
                    "0A000",
                    format!("parameters of the type with OID {oid} are not supported"),
                )),
            },
        })
        .collect()
}

/// The parameters of a Bind message as values of `types`.
pub(super) fn decode_parameters(
    context: &SessionContext,
    types: &[Type],
    bind: &Bind<'_>,
) -> Result<Row, Failure> {
    if bind.parameters.len() != types.len() {
        let message = format!(
            "bind message supplies {} parameters, but prepared statement \"{}\" requires {}",
            bind.parameters.len(),
            bind.statement,
            types.len()
        );
        return Err(ProtocolError::malformed(message).into());
    }
    let formats = bind.parameter_formats.of_parameters(types.len())?;
    let mut values = Vec::with_capacity(types.len());
    for (index, (bytes, ty)) in bind.parameters.iter().zip(types).enumerate() {
        let value = match bytes {
            None => Datum::Null,
            Some(bytes) => match formats.of(index) {
                Format::Text => decode_text(context, bytes, *ty)?,
                Format::Binary => receive(context, bytes, *ty)?,
            },
        };
        values.push(value);
    }
    Ok(values)
}

/// A value of its binary format. Texts are in the client's encoding there, too.
fn receive(context: &SessionContext, bytes: &[u8], ty: Type) -> Result<Datum> {
    let encoding = context.client_encoding;
    let converted;
    let bytes = match encoding.is_utf8() {
        false if is_text(ty.kind)? => {
            converted = encoding.to_utf8(bytes)?;
            &converted
        }
        _ => bytes,
    };
    Ok(expr::codec::receive(bytes, ty, context)?)
}

/// Whether the binary format of a type's values is text. 0A000 if texts stand within it.
fn is_text(kind: TypeKind) -> Result<bool> {
    let is_text = |kind: TypeKind| {
        // Held as texts, but sent as numbers.
        let is_of_numbers =
            matches!(kind, TypeKind::QuotedChar | TypeKind::PgSnapshot | TypeKind::TxidSnapshot);
        let form = matches!(kind.form(), Form::Json | Form::Text) && !is_of_numbers;
        kind.is_string() || kind == TypeKind::Citext || kind.is_enum() || form
    };
    let kind = kind.base();
    let holds_texts = |kind: TypeKind| kind.subtype().is_some_and(|subtype| is_text(subtype.base()));
    match kind.element() {
        Some(element) if is_text(element.base()) || element.form() == Form::Record => {}
        Some(element) if holds_texts(element) => {}
        None if holds_texts(kind) => {}
        None if kind.form() == Form::Record => {}
        Some(_) => return Ok(false),
        None => return Ok(is_text(kind)),
    }
    Err(Error::unsupported(format!(
        "type {} in binary format with another client_encoding than UTF8",
        kind.display_name()
    )))
}

fn decode_text(context: &SessionContext, bytes: &[u8], ty: Type) -> Result<Datum, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| ProtocolError::encoding(bytes, error))?;
    if text.contains('\0') {
        return Err(ProtocolError::Malformed {
            sqlstate: "22021",
            message: "invalid byte sequence for encoding \"UTF8\": 0x00".to_owned(),
        }
        .into());
    }
    if ty.kind == TypeKind::Int4
        && let Ok(value) = text.parse()
    {
        return Ok(Datum::Int4(value));
    }
    Ok(expr::codec::input(text, ty, context).map_err(Error::from)?)
}

/// How much room for the text or bytes of a value is kept from row to row.
const BYTES_KEPT: usize = 64 << 10;

/// Encodes rows of one result. Keeps what it would otherwise allocate for each value.
#[derive(Default)]
pub(super) struct RowEncoder {
    text: String,
    binary: Vec<u8>,
}

impl RowEncoder {
    /// Appends a DataRow.
    pub(super) fn encode(
        &mut self,
        context: &SessionContext,
        columns: &[OutputColumn],
        formats: &ColumnFormats,
        row: &[Datum],
        output: &mut BytesMut,
    ) -> Result<()> {
        let mut data = DataRow::begin(output, columns.len());
        for (index, (value, column)) in row.iter().zip(columns).enumerate() {
            let outcome = match (value, formats.of(index)) {
                (Datum::Null, _) => {
                    data.null();
                    Ok(())
                }
                (value, Format::Text) => self.text(context, value, column.ty, &mut data),
                (value, Format::Binary) => self.binary(context, value, column.ty, &mut data),
            };
            if let Err(error) = outcome {
                data.abandon();
                return Err(error);
            }
        }
        let is_sent = data.finish();
        if self.text.capacity() > BYTES_KEPT {
            self.text = String::new();
        }
        if self.binary.capacity() > BYTES_KEPT {
            self.binary = Vec::new();
        }
        if is_sent { Ok(()) } else { Err(Error::new("54000", "the row is too long to be sent")) }
    }

    fn binary(
        &mut self,
        context: &SessionContext,
        value: &Datum,
        ty: Type,
        data: &mut DataRow<'_>,
    ) -> Result<()> {
        self.binary.clear();
        expr::codec::send(value, ty, context, &mut self.binary)?;
        let encoding = context.client_encoding;
        if !encoding.is_utf8() && is_text(ty.kind)? {
            let text = std::str::from_utf8(&self.binary)
                .map_err(|_| Error::internal("the binary format of a text is none"))?;
            data.bytes(&encoding.of_utf8(text)?);
        } else {
            data.bytes(&self.binary);
        }
        Ok(())
    }

    fn text(
        &mut self,
        context: &SessionContext,
        value: &Datum,
        ty: Type,
        data: &mut DataRow<'_>,
    ) -> Result<()> {
        match value {
            Datum::Int2(value) if ty.kind == TypeKind::Int2 => {
                data.with(|buffer| put_integer(buffer, i64::from(*value)))
            }
            Datum::Int4(value) if ty.kind == TypeKind::Int4 => {
                data.with(|buffer| put_integer(buffer, i64::from(*value)))
            }
            Datum::Int8(value) if ty.kind == TypeKind::Int8 => {
                data.with(|buffer| put_integer(buffer, *value))
            }
            Datum::Oid(value) if ty.kind == TypeKind::Oid => {
                data.with(|buffer| put_integer(buffer, i64::from(*value)));
            }
            Datum::Bool(value) => data.bytes(if *value { b"t" } else { b"f" }),
            Datum::Text(value) if ty.kind.is_string() => {
                data.bytes(&context.client_encoding.of_utf8(value)?);
            }
            other => {
                self.text.clear();
                expr::codec::write(other, ty.kind, context, &mut self.text)?;
                data.bytes(&context.client_encoding.of_utf8(&self.text)?);
            }
        }
        Ok(())
    }
}

/// Finds out whether columns can be told to a client.
pub(super) fn try_columns(context: &SessionContext, columns: &[OutputColumn]) -> Result<()> {
    for column in columns {
        context.client_encoding.of_utf8(&column.name)?;
    }
    Ok(())
}

/// Finds out whether rows can be sent.
pub(super) fn try_rows(
    context: &SessionContext,
    columns: &[OutputColumn],
    formats: &ColumnFormats,
    rows: &[Row],
) -> Result<()> {
    let (mut encoder, mut output) = (RowEncoder::default(), BytesMut::new());
    for row in rows.iter().filter(|row| !is_sure(context, columns, row)) {
        encoder.encode(context, columns, formats, row, &mut output)?;
        match output.capacity() > BYTES_KEPT {
            true => output = BytesMut::new(),
            false => output.clear(),
        }
    }
    Ok(())
}

/// Whether there is nothing in a row that might not be sent, in whichever format: most rows are not to be encoded twice.
fn is_sure(context: &SessionContext, columns: &[OutputColumn], row: &[Datum]) -> bool {
    /// Shorter texts do not make a row too long for the protocol.
    const TEXT_BYTES_MAX: usize = 64 << 10;
    let is_short = |(value, column): (&Datum, &OutputColumn)| match value {
        Datum::Null
        | Datum::Bool(_)
        | Datum::Int2(_)
        | Datum::Int4(_)
        | Datum::Int8(_)
        | Datum::Oid(_)
        | Datum::Float4(_)
        | Datum::Float8(_)
        | Datum::Date(_)
        | Datum::Timestamp(_)
        | Datum::Timestamptz(_)
        | Datum::Interval(_)
        | Datum::Uuid(_) => true,
        Datum::Text(text) => column.ty.kind.is_string() && text.len() <= TEXT_BYTES_MAX,
        Datum::Numeric(_)
        | Datum::Bytea(_)
        | Datum::Json(_)
        | Datum::Array(_)
        | Datum::Record(_)
        | Datum::Keyed(_) => false,
    };
    context.client_encoding.is_utf8() && row.iter().zip(columns).all(is_short)
}

/// Appends a number in decimal.
fn put_integer(buffer: &mut BytesMut, value: i64) {
    let mut digits = [0u8; 20];
    let mut from = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        from -= 1;
        if let Some(digit) = digits.get_mut(from) {
            *digit = b'0' + (rest % 10) as u8;
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        buffer.put_u8(b'-');
    }
    buffer.put_slice(digits.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_within_binary_values_are_not_sent_as_they_are() {
        let refused = |kind| is_text(kind).is_err();
        assert!([TypeKind::TextArray, TypeKind::Record, TypeKind::RecordArray].into_iter().all(refused));
        for (kind, text) in [
            (TypeKind::Text, true),
            (TypeKind::Int4Array, false),
            (TypeKind::Bytea, false),
            (TypeKind::QuotedChar, false),
            (TypeKind::PgSnapshot, false),
            (TypeKind::TxidSnapshotArray, false),
        ] {
            assert_eq!(is_text(kind).unwrap(), text, "{kind:?}");
        }
    }

    #[test]
    fn integers_are_written_in_decimal() {
        for value in [0, 7, -7, 10, i64::MAX, i64::MIN, 1_000_000] {
            let mut buffer = BytesMut::new();
            put_integer(&mut buffer, value);
            assert_eq!(&buffer[..], value.to_string().as_bytes());
        }
    }
}
