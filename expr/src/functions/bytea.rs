//! Functions of bytea, and the encodings of bytes as text.

use bytes::Bytes;

use super::arguments::{bytes, exactly, int4, integer, mismatch, text};
use crate::codec;
use crate::datum::Datum;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::text as text_format;
use crate::types::{Type, TypeKind};
use crate::work;

/// `int4send` and its like: a value in its binary format.
pub(super) fn sent(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let [value] = exactly(args)?;
    let ty = types.first().copied().unwrap_or(Type::plain(TypeKind::Text));
    let mut out = Vec::new();
    codec::send(value, ty, session, &mut out)?;
    Ok(Datum::Bytea(out.into()))
}

pub(super) fn length(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(bytes(value)?.len() as i32))
}

pub(super) fn bit_length(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int4((bytes(value)?.len() * 8) as i32))
}

pub(super) fn concatenate(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (bytes(left)?, bytes(right)?);
    work::fits(left.len().saturating_add(right.len()))?;
    Ok(Datum::Bytea([left, right].concat().into()))
}

pub(super) fn position(value: &Datum, part: &Datum) -> Result<Datum> {
    let (value, part) = (bytes(value)?, bytes(part)?);
    if part.is_empty() {
        return Ok(Datum::Int4(1));
    }
    for (at, window) in value.windows(part.len()).enumerate() {
        if window == part {
            return Ok(Datum::Int4(at as i32 + 1));
        }
        // A window that differs late costs its length.
        work::step(part.len())?;
    }
    Ok(Datum::Int4(0))
}

pub(super) fn substring(args: &[Datum]) -> Result<Datum> {
    let (value, start, end) = match args {
        [value, start] => (bytes(value)?, integer(start)?, i64::MAX),
        _ => {
            let [value, start, length] = exactly(args)?;
            let (start, length) = (integer(start)?, integer(length)?);
            if length < 0 {
                return Err(Error::new("22011", "negative substring length not allowed"));
            }
            (bytes(value)?, start, start + length)
        }
    };
    let from = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX).min(value.len());
    let to = usize::try_from((end - 1).max(0)).unwrap_or(usize::MAX).clamp(from, value.len());
    Ok(Datum::Bytea(Bytes::copy_from_slice(value.get(from..to).unwrap_or_default())))
}

pub(super) fn trim(value: &Datum, set: &Datum) -> Result<Datum> {
    let (value, set) = (bytes(value)?, bytes(set)?);
    let keep = |byte: &u8| !set.contains(byte);
    let trimmed = match (value.iter().position(keep), value.iter().rposition(keep)) {
        (Some(from), Some(to)) => value.get(from..=to).unwrap_or_default(),
        _ => &[],
    };
    Ok(Datum::Bytea(Bytes::copy_from_slice(trimmed)))
}

pub(super) fn ltrim(value: &Datum, set: &Datum) -> Result<Datum> {
    let (value, set) = (bytes(value)?, bytes(set)?);
    let from = value.iter().position(|byte| !set.contains(byte)).unwrap_or(value.len());
    Ok(Datum::Bytea(Bytes::copy_from_slice(value.get(from..).unwrap_or_default())))
}

pub(super) fn rtrim(value: &Datum, set: &Datum) -> Result<Datum> {
    let (value, set) = (bytes(value)?, bytes(set)?);
    let to = value.iter().rposition(|byte| !set.contains(byte)).map_or(0, |last| last + 1);
    Ok(Datum::Bytea(Bytes::copy_from_slice(value.get(..to).unwrap_or_default())))
}

/// overlay(value, new, start [, length])
pub(super) fn overlay(args: &[Datum]) -> Result<Datum> {
    let [value, new, start, rest @ ..] = args else { return Err(mismatch()) };
    let (value, new, start) = (bytes(value)?, bytes(new)?, integer(start)?);
    let length = rest.first().map_or(Ok(new.len() as i64), integer)?;
    if start <= 0 {
        return Err(Error::new("22011", "negative substring length not allowed"));
    }
    let end = i32::try_from(start.saturating_add(length)).map_err(|_| Error::out_of_range("integer"))?;
    let place = |at: i64| usize::try_from(at).unwrap_or(0).min(value.len());
    let before = value.get(..place(start - 1)).unwrap_or_default();
    let behind = value.get(place(i64::from(end) - 1)..).unwrap_or_default();
    work::fits(before.len().saturating_add(new.len()).saturating_add(behind.len()))?;
    Ok(Datum::Bytea([before, new, behind].concat().into()))
}

fn index_out_of_range(index: i64, length: usize) -> Error {
    Error::new("2202E", format!("index {index} out of valid range, 0..{}", length as i64 - 1))
}

pub(super) fn get_byte(value: &Datum, index: &Datum) -> Result<Datum> {
    let (value, index) = (bytes(value)?, integer(index)?);
    let byte = usize::try_from(index).ok().and_then(|index| value.get(index));
    byte.map(|byte| Datum::Int4(i32::from(*byte))).ok_or_else(|| index_out_of_range(index, value.len()))
}

pub(super) fn set_byte(args: &[Datum]) -> Result<Datum> {
    let [value, index, new] = exactly(args)?;
    let (mut value, index) = (bytes(value)?.to_vec(), integer(index)?);
    let length = value.len();
    let byte = usize::try_from(index).ok().and_then(|index| value.get_mut(index));
    *byte.ok_or_else(|| index_out_of_range(index, length))? = int4(new)? as u8;
    Ok(Datum::Bytea(value.into()))
}

/// The place of a bit: which byte, and which bit of it, the lowest first. 2202E if there is none.
fn bit_place(value: &[u8], index: &Datum) -> Result<(usize, u8)> {
    let index = integer(index)?;
    let place = usize::try_from(index).ok().filter(|index| index / 8 < value.len());
    let place = place.ok_or_else(|| index_out_of_range(index, value.len().saturating_mul(8)))?;
    Ok((place / 8, 1 << (place % 8)))
}

pub(super) fn get_bit(value: &Datum, index: &Datum) -> Result<Datum> {
    let value = bytes(value)?;
    let (place, mask) = bit_place(value, index)?;
    Ok(Datum::Int4(i32::from(value.get(place).is_some_and(|byte| byte & mask != 0))))
}

pub(super) fn set_bit(args: &[Datum]) -> Result<Datum> {
    let [value, index, new] = exactly(args)?;
    let mut value = bytes(value)?.to_vec();
    let (place, mask) = bit_place(&value, index)?;
    let bit = new_bit(new)?;
    if let Some(byte) = value.get_mut(place) {
        *byte = if bit { *byte | mask } else { *byte & !mask };
    }
    Ok(Datum::Bytea(value.into()))
}

/// The bit that another is to become. 22023 if that is none.
pub(super) fn new_bit(value: &Datum) -> Result<bool> {
    match int4(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new("22023", "new bit must be 0 or 1")),
    }
}

pub(super) fn ones(value: &Datum) -> Result<Datum> {
    Ok(Datum::Int8(bytes(value)?.iter().map(|byte| i64::from(byte.count_ones())).sum()))
}

fn unrecognized(encoding: &str) -> Error {
    Error::new("22023", format!("unrecognized encoding: \"{encoding}\""))
}

pub(super) fn encode(value: &Datum, encoding: &Datum) -> Result<Datum> {
    let (value, encoding) = (bytes(value)?, text(encoding)?);
    let mut out = String::new();
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => text_format::write_hex(value, &mut out),
        "escape" => {
            // As the type's output, but bytes that stand for themselves go out as they are.
            for byte in value {
                match byte {
                    b'\\' => out.push_str("\\\\"),
                    1..=0x7f => out.push(char::from(*byte)),
                    _ => out.push_str(&format!("\\{byte:03o}")),
                }
            }
        }
        "base64" => write_base64(value, &mut out),
        _ => return Err(unrecognized(encoding)),
    }
    Ok(Datum::from(out))
}

pub(super) fn decode(value: &Datum, encoding: &Datum) -> Result<Datum> {
    let (value, encoding) = (text(value)?, text(encoding)?);
    let decoded = match encoding.to_ascii_lowercase().as_str() {
        "hex" => text_format::parse_hex(value)?,
        "escape" => text_format::parse_escape(value)?,
        "base64" => parse_base64(value)?,
        _ => return Err(unrecognized(encoding)),
    };
    Ok(Datum::Bytea(decoded.into()))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of a line.
const BASE64_LINE: usize = 76;

fn write_base64(value: &[u8], out: &mut String) {
    let digit = |value: u32| BASE64.get(value as usize & 63).map_or('=', |digit| char::from(*digit));
    let mut line = 0;
    for chunk in value.chunks(3) {
        if line == BASE64_LINE {
            out.push('\n');
            line = 0;
        }
        line += 4;
        let group =
            chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        out.push(digit(group >> 18));
        out.push(digit(group >> 12));
        out.push(if chunk.len() > 1 { digit(group >> 6) } else { '=' });
        out.push(if chunk.len() > 2 { digit(group) } else { '=' });
    }
}

fn parse_base64(text: &str) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut group, mut filled, mut padding) = (0u32, 0, 0);
    for c in text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r')) {
        let value = match c {
            '=' if filled < 2 && padding == 0 => {
                return Err(Error::new("22023", "unexpected \"=\" while decoding base64 sequence"));
            }
            '=' => {
                padding += 1;
                0
            }
            c => BASE64.iter().position(|digit| char::from(*digit) == c).filter(|_| padding == 0).ok_or_else(
                || {
                    Error::new(
                        "22023",
                        format!("invalid symbol \"{c}\" found while decoding base64 sequence"),
                    )
                },
            )? as u32,
        };
        group = group << 6 | value;
        filled += 1;
        if filled == 4 {
            let bytes = group.to_be_bytes();
            out.extend(bytes.iter().skip(1).take(3 - padding.min(2)));
            (group, filled) = (0, 0);
        }
    }
    match filled {
        0 => Ok(out),
        _ => Err(Error::new("22023", "invalid base64 end sequence")
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted.")),
    }
}

/// `kind` says, with a blank behind it, which of two is meant.
fn encoding(kind: &str, name: &Datum) -> Result<Encoding> {
    let name = text(name)?;
    let unknown = || Error::new("22023", format!("invalid {kind}encoding name \"{name}\""));
    let encoding = Encoding::find(name).ok_or_else(unknown)?;
    match encoding.is_supported() {
        true => Ok(encoding),
        false => Err(Error::unsupported(format!("conversion to or from encoding \"{name}\""))),
    }
}

pub(super) fn convert_from(value: &Datum, name: &Datum) -> Result<Datum> {
    let converted = encoding("source ", name)?.to_utf8(bytes(value)?)?;
    crate::binary::Input::new(&converted).text()
}

/// How many characters bytes are in an encoding.
pub(super) fn length_in(value: &Datum, name: &Datum) -> Result<Datum> {
    let decoded = encoding("", name)?.to_utf8(bytes(value)?)?;
    let decoded = crate::binary::Input::new(&decoded).text()?;
    Ok(Datum::Int4(text(&decoded)?.chars().count() as i32))
}

/// convert(bytes, from, to)
pub(super) fn convert(args: &[Datum]) -> Result<Datum> {
    let [value, from, to] = exactly(args)?;
    convert_to(&convert_from(value, from)?, to)
}

pub(super) fn convert_to(value: &Datum, name: &Datum) -> Result<Datum> {
    let converted = encoding("destination ", name)?.of_utf8(text(value)?)?;
    Ok(Datum::Bytea(Bytes::copy_from_slice(&converted)))
}

pub(super) fn md5_text(value: &Datum) -> Result<Datum> {
    Ok(md5_datum(text(value)?.as_bytes()))
}

pub(super) fn md5_bytes(value: &Datum) -> Result<Datum> {
    Ok(md5_datum(bytes(value)?))
}

fn md5_datum(input: &[u8]) -> Datum {
    let mut out = String::new();
    text_format::write_hex(&super::md5::digest(input), &mut out);
    Datum::from(out)
}
