//! How the values of each type are read and written: the second half of `pg_type`. Arrays are not listed: they are read
//! and written as their elements are.

use crate::binary::{self, Input};
use crate::bits::Bits;
use crate::calendar::MICROS_PER_DAY;
use crate::calendar::zoned_time::ZonedTime;
use crate::citext;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::json;
use crate::lsn;
use crate::mac;
use crate::money;
use crate::network::Network;
use crate::numeric;
use crate::session::SessionContext;
use crate::text;
use crate::types::TypeKind;
use crate::vector::{self, Vector};
use crate::xid::{self, Snapshot};

use super::{enumerated, extent, multirange, record, reg};

/// Reads text. Errors: 22P02, 22003, 22007, 22008 in PostgreSQL's words.
type ReadText = fn(&str, TypeKind, &SessionContext) -> Result<Datum>;
/// Writes text.
type WriteText = fn(&Datum, TypeKind, &SessionContext, &mut String);
/// Reads all that is left of the input. Errors: 22P03, 08P01, 22021.
type ReadBinary = fn(&mut Input<'_>, TypeKind, &SessionContext) -> Result<Datum>;
/// Appends the binary format.
type WriteBinary = fn(&Datum, TypeKind, &SessionContext, &mut Vec<u8>);

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Codec {
    kind: TypeKind,
    /// `typinput`
    pub(super) input: ReadText,
    /// `typoutput`; None = as every value of the type's form is written.
    pub(super) output: Option<WriteText>,
    /// `typreceive`; None = as every value of the type's form is read.
    pub(super) receive: Option<ReadBinary>,
    /// `typsend`; None = as every value of the type's form is written.
    pub(super) send: Option<WriteBinary>,
    /// Whether what text means depends on the session.
    pub(super) input_depends: bool,
    /// Whether the text of a value depends on the session.
    pub(super) output_depends: bool,
}

/// A type whose values are written as all of their form are.
const fn row(kind: TypeKind, input: ReadText) -> Codec {
    Codec {
        kind,
        input,
        output: None,
        receive: None,
        send: None,
        input_depends: false,
        output_depends: false,
    }
}

impl Codec {
    const fn written(mut self, output: WriteText) -> Self {
        self.output = Some(output);
        self
    }

    /// Its text is read by the session's settings or catalog.
    const fn input_depends(mut self) -> Self {
        self.input_depends = true;
        self
    }

    /// Its text is written by the session's settings or catalog.
    const fn output_depends(mut self) -> Self {
        self.output_depends = true;
        self
    }

    const fn binary(mut self, receive: ReadBinary, send: WriteBinary) -> Self {
        self.receive = Some(receive);
        self.send = Some(send);
        self
    }
}

const CODECS: &[Codec] = &[
    row(TypeKind::Enum, enumerated::parse)
        .written(enumerated::write)
        .binary(enumerated::receive, enumerated::send)
        .input_depends()
        .output_depends(),
    range(TypeKind::MadeRange).input_depends().output_depends(),
    row(TypeKind::Bool, |text, _, _| text::parse_bool(text).map(Datum::Bool)),
    row(TypeKind::Bytea, |text, _, _| Ok(Datum::Bytea(text::parse_bytea(text)?.into()))).output_depends(),
    row(TypeKind::QuotedChar, |text, _, _| Ok(first_character(text))).binary(
        |input, _, _| binary::receive_byte(input),
        |value, _, _, out| binary::send_first_byte(value, out),
    ),
    row(TypeKind::Name, as_it_is),
    row(TypeKind::Int8, |text, _, _| text::parse_i64(text).map(Datum::Int8)),
    row(TypeKind::Int2, |text, _, _| text::parse_i16(text).map(Datum::Int2)),
    row(TypeKind::Int4, |text, _, _| text::parse_i32(text).map(Datum::Int4)),
    row(TypeKind::Regproc, reg::parse).written(reg::write).input_depends().output_depends(),
    row(TypeKind::Text, as_it_is),
    row(TypeKind::Oid, |text, _, _| text::parse_oid(text).map(Datum::Oid)),
    row(TypeKind::Cidr, |text, _, _| Ok(Network::parse_cidr(text)?.to_datum()))
        .written(|value, _, _, out| {
            if let Ok(network) = Network::of(value) {
                network.write_cidr(out);
            }
        })
        .binary(
            |input, _, _| Ok(Network::receive(input, "cidr")?.to_datum()),
            |value, _, _, out| {
                if let Ok(network) = Network::of(value) {
                    network.send(true, out);
                }
            },
        ),
    row(TypeKind::Float4, |text, _, _| text::parse_f32(text).map(Datum::Float4)).output_depends(),
    row(TypeKind::Float8, |text, _, _| text::parse_f64(text).map(Datum::Float8)).output_depends(),
    row(TypeKind::Unknown, as_it_is),
    row(TypeKind::Macaddr8, |text, _, _| mac::parse_eight(text).map(mac::datum))
        .written(|value, _, _, out| mac::write(value, out))
        .binary(
            |input, _, _| match input.len() {
                6 => Ok(mac::datum(mac::widened(input.array()?))),
                _ => Ok(mac::datum(input.array::<8>()?)),
            },
            |value, _, _, out| binary::send(value, out),
        ),
    row(TypeKind::Money, |text, _, _| money::parse(text).map(Datum::Int8))
        .written(|value, _, _, out| money::write(value.as_i64().unwrap_or_default(), out))
        .input_depends()
        .output_depends(),
    row(TypeKind::Macaddr, |text, _, _| mac::parse_six(text).map(mac::datum))
        .written(|value, _, _, out| mac::write(value, out))
        .binary(
            |input, _, _| Ok(mac::datum(input.array::<6>()?)),
            |value, _, _, out| binary::send(value, out),
        ),
    row(TypeKind::Inet, |text, _, _| Ok(Network::parse_inet(text)?.to_datum()))
        .written(|value, _, _, out| {
            if let Ok(network) = Network::of(value) {
                network.write_inet(out);
            }
        })
        .binary(
            |input, _, _| Ok(Network::receive(input, "inet")?.to_datum()),
            |value, _, _, out| {
                if let Ok(network) = Network::of(value) {
                    network.send(false, out);
                }
            },
        ),
    row(TypeKind::Bpchar, as_it_is),
    row(TypeKind::Varchar, as_it_is),
    row(TypeKind::Date, |text, _, session| text::parse_date(text, session).map(Datum::Date))
        .input_depends()
        .output_depends(),
    row(TypeKind::Time, |text, _, session| text::parse_time(text, session).map(Datum::Int8))
        .written(|value, _, _, out| text::write_time(value.as_i64().unwrap_or_default(), out))
        .binary(
            |input, _, _| match input.i64()? {
                micros @ 0..=MICROS_PER_DAY => Ok(Datum::Int8(micros)),
                _ => Err(Error::new("22008", "time out of range")),
            },
            |value, _, _, out| binary::send(value, out),
        )
        .input_depends(),
    row(TypeKind::Timestamp, |text, _, session| text::parse_timestamp(text, session).map(Datum::Timestamp))
        .input_depends()
        .output_depends(),
    row(TypeKind::Timestamptz, |text, _, session| {
        text::parse_timestamptz(text, session).map(Datum::Timestamptz)
    })
    .input_depends()
    .output_depends(),
    row(TypeKind::Interval, |text, _, session| {
        text::parse_interval(text, session.interval_style, None).map(Datum::Interval)
    })
    .input_depends()
    .output_depends(),
    row(TypeKind::Timetz, |text, _, session| Ok(text::parse_zoned_time(text, session)?.to_datum()))
        .written(|value, _, _, out| {
            if let Ok(time) = ZonedTime::of(value) {
                text::write_zoned_time(time, out);
            }
        })
        .binary(
            |input, _, _| {
                let (local, west) = (input.i64()?, input.i32()?);
                Ok(ZonedTime { local, offset: -i64::from(west) }.checked()?.to_datum())
            },
            |value, _, _, out| {
                if let Ok(time) = ZonedTime::of(value) {
                    out.extend_from_slice(&time.local.to_be_bytes());
                    out.extend_from_slice(&((-time.offset) as i32).to_be_bytes());
                }
            },
        )
        .input_depends(),
    bit_string(TypeKind::Bit),
    bit_string(TypeKind::Varbit),
    row(TypeKind::Numeric, |text, _, _| numeric::parse(text).map(Datum::Numeric)),
    row(TypeKind::Regprocedure, reg::parse).written(reg::write).input_depends().output_depends(),
    row(TypeKind::Regclass, reg::parse).written(reg::write).input_depends().output_depends(),
    row(TypeKind::Regtype, reg::parse).written(reg::write).input_depends().output_depends(),
    row(TypeKind::Void, |_, _, _| Ok(Datum::text(""))).binary(
        |input, _, _| {
            input.rest();
            Ok(Datum::text(""))
        },
        |_, _, _, _| {},
    ),
    row(TypeKind::Json, |text, _, _| {
        json::parse::check(text)?;
        Ok(Datum::from(text))
    })
    .binary(
        |input, _, _| {
            let text = binary::receive_text(input)?;
            json::parse::check(text.as_str().unwrap_or_default())?;
            Ok(text)
        },
        |value, _, _, out| binary::send(value, out),
    ),
    row(TypeKind::Jsonb, |text, _, _| json::parse(text).map(Datum::json)),
    row(TypeKind::Jsonpath, |text, _, _| json::path::canonical(text).map(Datum::from)).binary(
        |input, _, _| {
            let [version] = input.array()?;
            if version != 1 {
                return Err(Error::new("22P03", format!("unsupported jsonpath version number: {version}")));
            }
            let text = binary::receive_text(input)?;
            json::path::canonical(text.as_str().unwrap_or_default()).map(Datum::from)
        },
        |value, _, _, out| {
            out.push(1);
            binary::send(value, out);
        },
    ),
    row(TypeKind::Uuid, |text, _, _| text::parse_uuid(text).map(Datum::Uuid)),
    range(TypeKind::Int4Range),
    range(TypeKind::Numrange),
    range(TypeKind::Tsrange).input_depends().output_depends(),
    range(TypeKind::Tstzrange).input_depends().output_depends(),
    range(TypeKind::Daterange).input_depends().output_depends(),
    range(TypeKind::Int8Range),
    many(TypeKind::Int4Multirange),
    many(TypeKind::Nummultirange),
    many(TypeKind::Tsmultirange).input_depends().output_depends(),
    many(TypeKind::Tstzmultirange).input_depends().output_depends(),
    many(TypeKind::Datemultirange).input_depends().output_depends(),
    many(TypeKind::Int8Multirange),
    row(TypeKind::PgLsn, |text, _, _| lsn::parse(text).map(lsn::datum))
        .written(|value, _, _, out| lsn::write(lsn::of(value).unwrap_or_default(), out))
        .binary(
            |input, _, _| input.array().map(u64::from_be_bytes).map(lsn::datum),
            |value, _, _, out| out.extend_from_slice(&lsn::of(value).unwrap_or_default().to_be_bytes()),
        ),
    row(TypeKind::Xid, |text, _, _| Ok(Datum::Oid(xid::number(text) as u32))),
    row(TypeKind::Xid8, |text, _, _| Ok(lsn::datum(xid::number(text))))
        .written(|value, _, _, out| out.push_str(&lsn::of(value).unwrap_or_default().to_string()))
        .binary(
            |input, _, _| input.array().map(u64::from_be_bytes).map(lsn::datum),
            |value, _, _, out| out.extend_from_slice(&lsn::of(value).unwrap_or_default().to_be_bytes()),
        ),
    snapshot(TypeKind::TxidSnapshot),
    snapshot(TypeKind::PgSnapshot),
    row(TypeKind::Record, record::parse)
        .binary(record::receive, |_, _, _, _| {})
        .input_depends()
        .output_depends(),
    row(TypeKind::Citext, |text, _, _| Ok(citext::of_text(text)))
        .written(|value, _, _, out| out.push_str(value.as_str().unwrap_or_default()))
        .binary(
            |input, _, _| Ok(citext::of_text(binary::receive_text(input)?.as_str().unwrap_or_default())),
            |value, _, _, out| out.extend_from_slice(value.as_str().unwrap_or_default().as_bytes()),
        ),
    row(TypeKind::Vector, |text, _, _| vector::parse(text))
        .written(|value, _, _, out| {
            if let Ok(vector) = Vector::of(value) {
                vector.write(out);
            }
        })
        .binary(
            |input, _, _| vector::receive(input),
            |value, _, _, out| {
                if let Ok(vector) = Vector::of(value) {
                    vector.send(out);
                }
            },
        ),
    row(TypeKind::Regnamespace, reg::parse).written(reg::write).input_depends().output_depends(),
    row(TypeKind::Regrole, reg::parse).written(reg::write).input_depends().output_depends(),
];

/// A type of strings of bits.
const fn bit_string(kind: TypeKind) -> Codec {
    row(kind, |text, _, _| Bits::parse(text)?.into_datum())
        .written(|value, _, _, out| Bits::of(value).unwrap_or_default().write(out))
        .binary(
            |input, _, _| Bits::receive(input)?.into_datum(),
            |value, _, _, out| Bits::of(value).unwrap_or_default().send(out),
        )
}

/// A type of snapshots.
const fn snapshot(kind: TypeKind) -> Codec {
    row(kind, |text, _, _| Ok(Snapshot::parse(text)?.to_datum())).binary(
        |input, _, _| Ok(Snapshot::receive(input)?.to_datum()),
        |value, _, _, out| {
            if let Ok(snapshot) = Snapshot::of(value) {
                snapshot.send(out);
            }
        },
    )
}

/// A type of ranges.
const fn range(kind: TypeKind) -> Codec {
    row(kind, extent::parse).written(extent::write).binary(extent::receive, extent::send)
}

/// A type of multiranges.
const fn many(kind: TypeKind) -> Codec {
    row(kind, multirange::parse).written(multirange::write).binary(multirange::receive, multirange::send)
}

#[expect(clippy::unnecessary_wraps, reason = "as every function that reads text")]
fn as_it_is(text: &str, _: TypeKind, _: &SessionContext) -> Result<Datum> {
    Ok(Datum::from(text))
}

fn first_character(given: &str) -> Datum {
    Datum::from(text::character_of(text::character_byte(given)))
}

/// Above the OIDs of all types.
const OIDS: usize = 9520;

/// Where the row of an OID stands, counted from 1.
static PLACES: [u8; OIDS] = places();

#[expect(clippy::indexing_slicing, reason = "computed while compiling, where a wrong index is an error")]
const fn places() -> [u8; OIDS] {
    let mut places = [0; OIDS];
    let mut at = 0;
    while at < CODECS.len() {
        places[CODECS[at].kind.oid() as usize] = at as u8 + 1;
        at += 1;
    }
    places
}

/// The row of a type; None of arrays and of types that have no values.
#[inline]
pub(super) fn find(kind: TypeKind) -> Option<&'static Codec> {
    let place = usize::from(*PLACES.get(kind.row().id.oid() as usize)?);
    CODECS.get(place.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Category, Form};

    #[test]
    fn every_type_with_values_of_its_own_has_a_row() {
        for kind in TypeKind::all().filter(|kind| kind.element().is_none()) {
            let has_values = kind.form() != Form::None || kind == TypeKind::Void;
            assert_eq!(find(kind).is_some(), has_values, "{kind:?}");
            let is_pseudo = kind.category() == Category::Pseudo && kind != TypeKind::Record;
            assert_eq!(is_pseudo, kind.form() == Form::None, "{kind:?}");
        }
    }
}
