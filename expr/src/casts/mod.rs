//! Casts: PostgreSQL's `pg_cast` as a [`table`], the casts through text that every type has, those of arrays by their
//! elements, of composite types to records, and length coercion.

mod composed;
mod convert;
mod table;

use std::sync::{Arc, LazyLock};

use crate::codec;
use crate::datum::Datum;
use crate::datum::record::Record;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Category, Type, TypeKind};
use crate::volatility::Volatility;
use crate::work;

pub use crate::length::coerce as coerce_length;
pub use table::CastRow;

/// Where a cast may be used; a wider context allows what a narrower one does (`pg_cast.castcontext`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When a value is stored in a column.
    Assignment,
    /// Only where it is written: `CAST`, `::`.
    Explicit,
}

/// How a cast is done.
#[derive(Debug, Clone, Copy)]
pub enum CastMethod {
    /// The value stays as it is.
    Same,
    /// Both types have the same bits, held in another form.
    Bits(fn(&Datum, &SessionContext) -> Result<Datum>),
    /// By a function.
    By(fn(&Datum, &SessionContext) -> Result<Datum>),
    /// By a function that looks at the target's modifier.
    Fitted(fn(&Datum, Type) -> Result<Datum>),
    /// By writing text and reading it.
    ThroughText,
    /// Each element of an array by itself.
    Elements,
    /// A value of a composite type says from now on itself what its fields are.
    Described,
}

/// A cast between two types.
#[derive(Debug, Clone, Copy)]
pub struct Cast {
    /// Where it may be used.
    pub context: CastContext,
    /// How it is done.
    pub method: CastMethod,
    /// How much its result depends on the session: on its time zone and the names in its catalog.
    pub volatility: Volatility,
    /// Whether PostgreSQL does it by a function (`castmethod` f).
    pub is_call: bool,
}

/// For each type, for each type: where the row of the cast between them stands, counted from 1.
static PLACES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut places = vec![0; TypeKind::COUNT * TypeKind::COUNT];
    for (at, row) in table::CASTS.iter().enumerate() {
        if let Some(place) = place(row.from, row.to).and_then(|place| places.get_mut(place)) {
            *place = u8::try_from(at + 1).unwrap_or(0);
        }
    }
    places
});

fn place(from: TypeKind, to: TypeKind) -> Option<usize> {
    Some(from.place()? * TypeKind::COUNT + to.place()?)
}

/// The row of `pg_cast`.
fn listed(from: TypeKind, to: TypeKind) -> Option<&'static CastRow> {
    let place = usize::from(*PLACES.get(place(from, to)?)?);
    table::CASTS.get(place.wrapping_sub(1))
}

/// All rows of `pg_cast`.
pub fn all() -> &'static [CastRow] {
    table::CASTS
}

/// The cast from one type to another, if there is one. A type to itself is implicit and changes nothing; from unknown,
/// whose values are literals, everything can be read; and string types convert to and from everything through text.
pub fn find(from: TypeKind, to: TypeKind) -> Option<Cast> {
    use CastContext::{Assignment, Explicit, Implicit};
    use CastMethod::{Described, Elements, Same, ThroughText};
    let through_text = |context| {
        let volatility = codec::output_volatility(from).max(codec::input_volatility(to));
        Some(Cast { context, method: ThroughText, volatility, is_call: false })
    };
    if from == to {
        return Some(Cast {
            context: Implicit,
            method: Same,
            volatility: Volatility::Immutable,
            is_call: false,
        });
    }
    if from.is_domain() || to.is_domain() {
        return find(from.base(), to.base());
    }
    if from == TypeKind::Unknown {
        return through_text(Implicit);
    }
    if from.is_composite() && to == TypeKind::Record {
        let (context, volatility) = (Implicit, Volatility::Stable);
        return Some(Cast { context, method: Described, volatility, is_call: false });
    }
    if let Some(row) = listed(from, to) {
        let is_call = row.function != 0;
        return Some(Cast { context: row.context, method: row.method, volatility: row.volatility, is_call });
    }
    if let (Some(from_element), Some(to_element)) = (from.element(), to.element())
        && !to.is_vector()
    {
        let element = find(from_element, to_element)?;
        return match element.method {
            Same if element.context == Implicit && !element.is_call => Some(element),
            _ => Some(Cast { method: Elements, is_call: true, ..element }),
        };
    }
    match (from.category(), to.category()) {
        (_, Category::String)
            if matches!(from, TypeKind::Record | TypeKind::Void) && to != TypeKind::Name =>
        {
            through_text(Assignment)
        }
        (Category::Pseudo, _) | (_, Category::Pseudo | Category::Unknown) => None,
        // Everything may be written into a string, and a string read as everything where that is asked for.
        (_, Category::String) if to != TypeKind::Name => through_text(Assignment),
        (_, Category::String) | (Category::String, _) => through_text(Explicit),
        _ => None,
    }
}

/// Whether the value may be used as the other type without a change: the same type or a binary-coercible one.
pub fn is_binary_coercible(from: TypeKind, to: TypeKind) -> bool {
    let (from, to) = (from.base(), to.base());
    from == to
        || match (from.element(), to.element()) {
            (Some(from), Some(to)) => is_binary_coercible(from, to),
            _ => {
                listed(from, to).is_some_and(|row| row.function == 0 && row.context == CastContext::Implicit)
            }
        }
}

/// Whether a value of one type is, as a datum, one of the other: nothing needs to be done.
pub fn is_relabel(from: TypeKind, to: TypeKind) -> bool {
    let (from, to) = (from.base(), to.base());
    from == to
        || listed(from, to).is_some_and(|row| matches!(row.method, CastMethod::Same)) && to != TypeKind::Name
        || from == TypeKind::Unknown && to.is_string() && to != TypeKind::Name
}

/// How much a cast's result depends on the session: on its time zone and the names in its catalog.
pub fn volatility(from: TypeKind, to: TypeKind) -> Volatility {
    find(from, to).map_or(Volatility::Immutable, |cast| cast.volatility)
}

/// Casts a value, length coercion to the target's modifier included. `explicit` casts cut off what is too long
/// where others refuse it (22001).
pub fn apply(value: Datum, from: Type, to: Type, explicit: bool, session: &SessionContext) -> Result<Datum> {
    if value.is_null() {
        return Ok(Datum::Null);
    }
    let converted = convert(value, from, to, explicit, session)?;
    coerce_length(converted, to, explicit)
}

fn convert(value: Datum, from: Type, to: Type, explicit: bool, session: &SessionContext) -> Result<Datum> {
    if from.kind == to.kind {
        return Ok(value);
    }
    match find(from.kind, to.kind).map(|cast| cast.method) {
        Some(CastMethod::Same) => Ok(value),
        Some(CastMethod::By(function) | CastMethod::Bits(function)) => function(&value, session),
        Some(CastMethod::Fitted(function)) => function(&value, to),
        Some(CastMethod::ThroughText) => through_text(value, from, to.kind, session),
        Some(CastMethod::Elements) => convert_elements(&value, from, to, explicit, session),
        Some(CastMethod::Described) => described(value, from.kind, session),
        // What its fields are may be known as late as here.
        None if from.kind == TypeKind::Record && to.kind.is_composite() => {
            composed::composed(&value, to.kind, explicit, session)
        }
        None => Err(impossible(from.kind, to.kind)),
    }
}

/// A value of a composite type as a record.
fn described(value: Datum, from: TypeKind, session: &SessionContext) -> Result<Datum> {
    let Datum::Record(record) = value else { return Err(impossible(from, TypeKind::Record)) };
    let shape = codec::shape_of(&record, from, session)?;
    Ok(Datum::Record(Arc::new(Record::new(shape, record.fields().to_vec())?)))
}

fn impossible(from: TypeKind, to: TypeKind) -> Error {
    Error::new("42846", format!("cannot cast type {} to {}", from.display_name(), to.display_name()))
}

fn through_text(value: Datum, from: Type, to: TypeKind, session: &SessionContext) -> Result<Datum> {
    let plain = to.is_string() || to == TypeKind::Unknown;
    // Elements may share what each of them is to be written as.
    work::fits(value.text_bytes())?;
    match value {
        Datum::Text(text) if plain => Ok(Datum::Text(text)),
        Datum::Text(text) => codec::input(&text, to.into(), session),
        other if plain => Ok(Datum::from(codec::output(&other, from, session)?)),
        other => codec::input(&codec::output(&other, from, session)?, to.into(), session),
    }
}

fn convert_elements(
    value: &Datum,
    from: Type,
    to: Type,
    explicit: bool,
    session: &SessionContext,
) -> Result<Datum> {
    let (Datum::Array(items), Some(from), Some(to)) = (value, from.element(), to.element()) else {
        return Err(impossible(from.kind, to.kind));
    };
    let mut bytes = 0;
    let mut convert =
        |item: &Datum| work::grown(&mut bytes, apply(item.clone(), from, to, explicit, session)?);
    items.map(&mut convert).map(Datum::Array)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datum::arbitrary::{KINDS, datum_of};

    proptest! {
        #[test]
        fn every_cast_there_is_can_be_done(
            (from, value) in prop::sample::select(KINDS).prop_flat_map(|kind| (Just(kind), datum_of(kind))),
            to in prop::sample::select(KINDS),
        ) {
            if find(from, to).is_none() {
                return Ok(());
            }
            let session = SessionContext::default();
            if let Err(error) = apply(value, from.into(), to.into(), true, &session) {
                prop_assert!(!matches!(error.sqlstate, "XX000" | "42846"), "{:?} to {:?}: {}", from, to, error);
            }
        }
    }

    #[test]
    fn the_rules_of_pg_cast_hold() {
        use CastContext::{Assignment, Explicit, Implicit};
        let context = |from, to| find(from, to).map(|cast| cast.context);
        assert_eq!(context(TypeKind::Int4, TypeKind::Int8), Some(Implicit));
        assert_eq!(context(TypeKind::Int8, TypeKind::Int4), Some(Assignment));
        assert_eq!(context(TypeKind::Bool, TypeKind::Int4), Some(Explicit));
        assert_eq!(context(TypeKind::Int4, TypeKind::Text), Some(Assignment));
        assert_eq!(context(TypeKind::Text, TypeKind::Int4), Some(Explicit));
        assert_eq!(context(TypeKind::Bool, TypeKind::Int8), None);
        assert_eq!(context(TypeKind::Uuid, TypeKind::Bytea), None);
        assert!(is_binary_coercible(TypeKind::Varchar, TypeKind::Text));
    }
}
