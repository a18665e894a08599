//! Type modifiers: what stands between the parentheses of `varchar(10)`, as `atttypmod` packs it.
//!
//! ```text
//! -1                                   none
//! varchar(n), char(n)                  n + 4
//! bit(n), bit varying(n), vector(n)    n
//! numeric(p, s)                        ((p << 16) | (s & 0x7ff)) + 4
//! timestamp(p), time(p) and with zone  p
//! interval(p)                          (0x7fff << 16) | p
//! interval f to g, interval f to g(p)  (bits of the fields << 16) | 0xffff, or p
//! ```

use super::interval_fields::IntervalFields;
use super::{Type, TypeKind};
use crate::error::{Error, Result};

/// Which modifiers a type takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modifiers {
    /// None.
    None,
    /// A number of characters; with what its error messages call the type.
    Length(&'static str),
    /// A number of bits; with what its error messages call the type.
    Bits(&'static str),
    /// A number of dimensions.
    Dimensions,
    /// Precision and scale.
    Decimal,
    /// Digits of a second; with the type's first word and what follows the parentheses.
    Precision(&'static str, &'static str),
    /// Digits of a second, below the fields that an interval is restricted to.
    Interval,
}

/// The longest text that a type asks for.
const CHARACTERS_MAX: i32 = 10_485_760;

/// The longest string of bits that a type asks for.
const BITS_MAX: i32 = 83_886_080;

/// The most dimensions that a type asks for.
const DIMENSIONS_MAX: i32 = 16_000;

/// The most digits of a second.
const PRECISION_MAX: i64 = 6;

/// An interval that is not restricted to some fields: what stands before its precision.
pub const ALL_FIELDS: i64 = 0x7fff;

/// An interval of which all digits of a second are kept.
const ALL_DIGITS: i32 = 0xffff;

impl Type {
    /// `numeric(precision, scale)`.
    pub const fn numeric(precision: i32, scale: i32) -> Self {
        Self { kind: TypeKind::Numeric, modifier: ((precision << 16) | (scale & 0x7ff)) + 4 }
    }

    /// varchar(n), char(n), bit(n), bit varying(n): `n`, if there is one.
    pub fn length(&self) -> Option<usize> {
        match self.kind.row().modifiers {
            Modifiers::Length(_) if self.modifier >= 4 => usize::try_from(self.modifier - 4).ok(),
            Modifiers::Bits(_) if self.modifier >= 1 => usize::try_from(self.modifier).ok(),
            _ => None,
        }
    }

    /// numeric(precision, scale): both, if there are any.
    pub fn precision_and_scale(&self) -> Option<(i32, i32)> {
        if self.modifier < 4 || self.kind.row().modifiers != Modifiers::Decimal {
            return None;
        }
        let packed = self.modifier - 4;
        Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
    }

    /// timestamp(p), time(p), interval(p): the digits of a second that are kept, if not all are.
    pub fn precision(&self) -> Option<i32> {
        match self.kind.row().modifiers {
            Modifiers::Precision(..) if self.modifier >= 0 => Some(self.modifier),
            Modifiers::Interval if self.modifier >= 0 && self.modifier & ALL_DIGITS != ALL_DIGITS => {
                Some(self.modifier & ALL_DIGITS)
            }
            _ => None,
        }
    }

    /// The fields that an interval is restricted to, if it is.
    pub fn interval_fields(&self) -> Option<IntervalFields> {
        match self.kind.row().modifiers {
            Modifiers::Interval if self.modifier >= 0 && self.kind.element().is_none() => {
                IntervalFields::of_bits(i64::from(self.modifier >> 16))
            }
            _ => None,
        }
    }

    /// The type as `format_type` prints it: `character varying(10)`, `timestamp(3) without time zone`.
    pub fn display_name(&self) -> String {
        if !self.kind.is_built_in() {
            return self.kind.display_name().to_owned();
        }
        let row = self.kind.row();
        let name = row.display_name;
        if let Some(element) = row.element
            && self.modifier >= 0
        {
            return format!("{}[]", Type { kind: element, modifier: self.modifier }.display_name());
        }
        // Without a length they are not what SQL's spelling, which has a length of 1, says.
        match self.kind {
            TypeKind::Bpchar if self.length().is_none() => return "bpchar".to_owned(),
            TypeKind::Bit if self.length().is_none() => return "\"bit\"".to_owned(),
            _ => {}
        }
        match (row.modifiers, self.precision()) {
            (Modifiers::Length(_) | Modifiers::Bits(_), _) => self.length().map(|n| format!("{name}({n})")),
            (Modifiers::Dimensions, _) => (self.modifier >= 1).then(|| format!("{name}({})", self.modifier)),
            (Modifiers::Decimal, _) => self.precision_and_scale().map(|(p, s)| format!("{name}({p},{s})")),
            (Modifiers::Precision(word, rest), Some(p)) => Some(format!("{word}({p}) {rest}")),
            (Modifiers::Interval, precision) => {
                let fields =
                    self.interval_fields().map_or_else(String::new, |fields| format!(" {}", fields.name()));
                let digits = precision.map_or_else(String::new, |digits| format!("({digits})"));
                Some(format!("{name}{fields}{digits}"))
            }
            _ => None,
        }
        .unwrap_or_else(|| name.to_owned())
    }
}

/// A length between parentheses. 22023 if it is out of range.
fn length(name: &str, n: i64, max: i32) -> Result<i32> {
    match i32::try_from(n) {
        _ if n < 1 => Err(Error::new("22023", format!("length for type {name} must be at least 1"))),
        Ok(n) if n <= max => Ok(n),
        _ => Err(Error::new("22023", format!("length for type {name} cannot exceed {max}"))),
    }
}

/// A number of dimensions between parentheses. 22023 if it is out of range.
fn dimensions(name: &str, n: i64) -> Result<i32> {
    let beyond = |bound: String| Err(Error::new("22023", format!("dimensions for type {name} {bound}")));
    match i32::try_from(n) {
        _ if n < 1 => beyond("must be at least 1".to_owned()),
        Ok(n) if n <= DIMENSIONS_MAX => Ok(n),
        _ => beyond(format!("cannot exceed {DIMENSIONS_MAX}")),
    }
}

impl TypeKind {
    /// The `atttypmod` that the modifiers between parentheses stand for: `[10]` of `varchar(10)`,
    /// `[10, 2]` of `numeric(10, 2)`; of an interval the bits of its fields, and its precision. 22023 if they are out of range, 42601 if the type takes none.
    pub fn modifier(self, arguments: &[i64]) -> Result<i32> {
        let invalid = |message: String| Err(Error::new("22023", message));
        match (self.row().modifiers, arguments) {
            (_, []) => Ok(-1),
            (Modifiers::None, _) => {
                Err(Error::new("42601", format!("type modifier is not allowed for type \"{}\"", self.name())))
            }
            (Modifiers::Length(name), [n]) => Ok(length(name, *n, CHARACTERS_MAX)? + 4),
            (Modifiers::Bits(name), [n]) => length(name, *n, BITS_MAX),
            (Modifiers::Dimensions, [n]) => dimensions(self.name(), *n),
            (Modifiers::Decimal, [p]) => self.modifier(&[*p, 0]),
            (Modifiers::Decimal, [p, s]) => {
                if !(1..=1000).contains(p) {
                    return invalid(format!("NUMERIC precision {p} must be between 1 and 1000"));
                }
                if !(-1000..=1000).contains(s) {
                    return invalid(format!("NUMERIC scale {s} must be between -1000 and 1000"));
                }
                Ok(Type::numeric(*p as i32, *s as i32).modifier)
            }
            (Modifiers::Precision(word, rest), [p]) if *p < 0 => {
                let zone = if rest.starts_with("with ") { " WITH TIME ZONE" } else { "" };
                invalid(format!("{}({p}){zone} precision must not be negative", word.to_uppercase()))
            }
            (Modifiers::Interval, [fields, ..])
                if *fields != ALL_FIELDS && IntervalFields::of_bits(*fields).is_none() =>
            {
                invalid("invalid INTERVAL type modifier".to_owned())
            }
            (Modifiers::Interval, [_, p]) if *p < 0 => {
                invalid(format!("INTERVAL({p}) precision must not be negative"))
            }
            (Modifiers::Precision(..), [p]) => Ok((*p).min(PRECISION_MAX) as i32),
            (Modifiers::Interval, [ALL_FIELDS]) => Ok(-1),
            (Modifiers::Interval, [fields]) => Ok(((*fields as i32) << 16) | ALL_DIGITS),
            (Modifiers::Interval, [fields, p]) => {
                Ok(((*fields as i32) << 16) | (*p).min(PRECISION_MAX) as i32)
            }
            (Modifiers::Decimal, _) => invalid("invalid NUMERIC type modifier".to_owned()),
            (Modifiers::Interval, _) => invalid("invalid INTERVAL type modifier".to_owned()),
            _ => invalid("invalid type modifier".to_owned()),
        }
    }
}
