//! `pg_type`, `pg_range`, `pg_cast` and `pg_proc`.

use expr::TypeKind;
use expr::casts::{self, CastContext, CastMethod};
use expr::functions::{self, FunctionId, FunctionKind};
use expr::types::{Alignment, Category};

use super::inner;
use super::record::{Records, Value};
use super::{
    COLLATION_C_OID, COLLATION_DEFAULT_OID, COLLATION_POSIX_OID, OWNER_OID, World, operator_classes,
};
use crate::catalog::PG_CATALOG_OID;
use crate::catalog::access::Object;
use crate::catalog::object::TypeDescriptor;
use crate::catalog::object::types::array_name;

/// `typalign`
pub(super) fn alignment(kind: TypeKind) -> String {
    let own = kind.row().alignment;
    // Ranges stand as their bounds do, but by four bytes at least.
    let bounds = kind.element().unwrap_or(kind).base().subtype();
    let bounds = bounds.filter(|subtype| subtype.row().alignment == Alignment::Double);
    bounds.map_or(own, |subtype| subtype.row().alignment).letter().to_string()
}

/// `typbyval`: as long as it is aligned.
fn is_by_value(kind: TypeKind) -> bool {
    let alignment = kind.row().alignment;
    matches!(
        (kind.length(), alignment),
        (1, Alignment::Char) | (2, Alignment::Short) | (4, Alignment::Int) | (8, Alignment::Double)
    )
}

/// `typstorage`
pub(super) fn storage(kind: TypeKind) -> &'static str {
    match kind {
        TypeKind::Numeric => "m",
        TypeKind::Vector => "e",
        kind if kind.is_vector() => "p",
        kind if kind.length() == -1 => "x",
        _ => "p",
    }
}

/// `typcollation`
pub(super) fn collation(kind: TypeKind) -> u32 {
    match kind.element().unwrap_or(kind) {
        TypeKind::Name => COLLATION_C_OID,
        kind if kind.is_string() || kind == TypeKind::Citext => COLLATION_DEFAULT_OID,
        _ => 0,
    }
}

/// The functions that read and write the values of a made type, as text and in binary, and others that it has.
struct Formats {
    input: u32,
    output: u32,
    receive: u32,
    send: u32,
    /// `typsubscript`
    subscript: u32,
    /// `typanalyze`
    analyze: u32,
}

/// `enum_in` and its like.
const ENUM_FORMATS: Formats =
    Formats { input: 3506, output: 3507, receive: 3532, send: 3533, subscript: 0, analyze: 0 };
/// `domain_in` and its like; a domain is sent as what it is over, whose function is not told.
const DOMAIN_FORMATS: Formats =
    Formats { input: 2597, output: 0, receive: 2598, send: 0, subscript: 0, analyze: 0 };
/// `record_in` and its like.
const RECORD_FORMATS: Formats =
    Formats { input: 2290, output: 2291, receive: 2402, send: 2403, subscript: 0, analyze: 0 };
/// `range_in` and its like.
const RANGE_FORMATS: Formats =
    Formats { input: 3834, output: 3835, receive: 3836, send: 3837, subscript: 0, analyze: 3916 };
/// `array_in` and its like.
const ARRAY_FORMATS: Formats =
    Formats { input: 750, output: 751, receive: 2400, send: 2401, subscript: 6179, analyze: 3816 };
/// Those of built-in types are not told.
const NO_FORMATS: Formats = Formats { input: 0, output: 0, receive: 0, send: 0, subscript: 0, analyze: 0 };

pub(super) fn pg_type(world: &World<'_>, records: &mut Records<'_>) {
    for kind in TypeKind::all() {
        let letter = match kind.category() {
            _ if matches!(kind, TypeKind::Unknown | TypeKind::RecordArray) => "p",
            Category::Pseudo => "p",
            Category::Range if kind.ranges().is_some() => "m",
            Category::Range => "r",
            _ => "b",
        };
        let Some(schema) = world.namespace(kind.extension()) else { continue };
        let place = Place { name: kind.name(), schema, owner: OWNER_OID };
        push_type(records, kind, &place, letter, &NO_FORMATS);
    }
    push_inner(records, (inner::CSTRING_OID, "cstring"), (-2, false, "c"));
    push_inner(records, (inner::INTERNAL_OID, "internal"), (8, true, "d"));
    for (object, made) in world.catalog.objects().types() {
        let Some(kind) = object.kind() else { continue };
        let schema = world.catalog.objects().schema_oid(&object.schema).unwrap_or_default();
        let owner = world.catalog.access().object(Object::Type(object.oid)).owner;
        let (letter, formats) = match made {
            TypeDescriptor::Enum(_) => ("e", &ENUM_FORMATS),
            TypeDescriptor::Domain(_) => ("d", &DOMAIN_FORMATS),
            TypeDescriptor::Composite(_) => ("c", &RECORD_FORMATS),
            TypeDescriptor::Range(_) => ("r", &RANGE_FORMATS),
        };
        push_type(records, kind, &Place { name: &object.name, schema, owner }, letter, formats);
        if let TypeDescriptor::Domain(own) = made {
            records.amend(&[
                ("typbasetype", own.base.kind.oid().into()),
                ("typtypmod", own.base.modifier.into()),
                ("typnotnull", own.not_null.into()),
                ("typdefault", own.default.as_deref().into()),
            ]);
        }
        if let TypeDescriptor::Composite(own) = made {
            records.amend(&[("typrelid", own.relation.into())]);
        }
        if let Some(array) = kind.array() {
            let name = array_name(&object.name);
            push_type(records, array, &Place { name: &name, schema, owner }, "b", &ARRAY_FORMATS);
        }
    }
}

/// A type that only functions name which no statement calls: its length, whether it is passed by value, and its alignment.
fn push_inner(
    records: &mut Records<'_>,
    (oid, name): (u32, &str),
    (length, by_value, alignment): (i32, bool, &str),
) {
    records.push(&[
        ("oid", oid.into()),
        ("typname", name.into()),
        ("typnamespace", PG_CATALOG_OID.into()),
        ("typowner", OWNER_OID.into()),
        ("typlen", length.into()),
        ("typbyval", by_value.into()),
        ("typtype", "p".into()),
        ("typcategory", "P".into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typalign", alignment.into()),
        ("typstorage", "p".into()),
        ("typtypmod", (-1).into()),
    ]);
}

/// Without the multiranges of ranges that were made, which there are none of, and without the functions of built-in ranges,
/// which are not told.
pub(super) fn pg_range(world: &World<'_>, records: &mut Records<'_>) {
    let objects = world.catalog.objects();
    let made = objects.types().filter_map(|(object, _)| object.kind());
    for kind in TypeKind::all().chain(made.filter(|kind| kind.is_made_range())) {
        let Some(subtype) = kind.subtype() else { continue };
        let own = objects.range(kind);
        let named = own.and_then(|own| own.collation.as_deref());
        let collation = match named {
            Some("C") => COLLATION_C_OID,
            Some(_) => COLLATION_POSIX_OID,
            None => collation(subtype.base()),
        };
        let class = own.and_then(|own| own.class.as_deref()).unwrap_or(subtype.base().class());
        records.push(&[
            ("rngtypid", kind.oid().into()),
            ("rngsubtype", subtype.oid().into()),
            ("rngmultitypid", kind.multirange().map_or(0, TypeKind::oid).into()),
            ("rngcollation", collation.into()),
            ("rngsubopc", operator_classes::btree_oid(class).into()),
            ("rngsubdiff", own.map_or(0, |own| own.diff).into()),
        ]);
    }
}

pub(super) fn pg_enum(world: &World<'_>, records: &mut Records<'_>) {
    for (object, made) in world.catalog.objects().types() {
        let TypeDescriptor::Enum(own) = made else { continue };
        for (place, label) in (1_u16..).zip(own.labels()) {
            records.push(&[
                ("oid", label.oid.into()),
                ("enumtypid", object.oid.into()),
                ("enumsortorder", Value::Real(f32::from(place))),
                ("enumlabel", (&label.label).into()),
            ]);
        }
    }
}

/// What a type is called, where, and whose it is.
struct Place<'a> {
    name: &'a str,
    schema: u32,
    owner: u32,
}

fn push_type(records: &mut Records<'_>, kind: TypeKind, place: &Place<'_>, letter: &str, formats: &Formats) {
    let length = kind.length();
    records.push(&[
        ("oid", kind.oid().into()),
        ("typname", place.name.into()),
        ("typnamespace", place.schema.into()),
        ("typowner", place.owner.into()),
        ("typinput", formats.input.into()),
        ("typoutput", formats.output.into()),
        ("typreceive", formats.receive.into()),
        ("typsend", formats.send.into()),
        ("typsubscript", formats.subscript.into()),
        ("typanalyze", formats.analyze.into()),
        ("typlen", i32::from(length).into()),
        ("typbyval", is_by_value(kind).into()),
        ("typtype", letter.into()),
        ("typcategory", kind.category().letter().to_string().into()),
        ("typispreferred", kind.is_preferred().into()),
        ("typisdefined", true.into()),
        ("typdelim", ",".into()),
        ("typelem", kind.element().map_or(0, TypeKind::oid).into()),
        ("typarray", kind.array().map_or(0, TypeKind::oid).into()),
        ("typalign", alignment(kind).into()),
        ("typstorage", storage(kind).into()),
        ("typtypmod", (-1).into()),
        ("typcollation", collation(kind).into()),
    ]);
}

pub(super) fn pg_cast(world: &World<'_>, records: &mut Records<'_>) {
    for cast in casts::all().iter().filter(|cast| world.namespace(cast.extension()).is_some()) {
        let context = match cast.context {
            CastContext::Implicit => "i",
            CastContext::Assignment => "a",
            CastContext::Explicit => "e",
        };
        let method = match (cast.function, cast.method) {
            (0, CastMethod::ThroughText) => "i",
            (0, _) => "b",
            _ => "f",
        };
        records.push(&[
            ("oid", cast.oid.into()),
            ("castsource", cast.from.oid().into()),
            ("casttarget", cast.to.oid().into()),
            ("castfunc", cast.function.into()),
            ("castcontext", context.into()),
            ("castmethod", method.into()),
        ]);
    }
}

/// The types of a function's arguments as its signature has them: what may be repeated is an array.
pub(super) fn arguments(function: FunctionId) -> impl Iterator<Item = TypeKind> {
    let (declared, variadic) = (function.args, function.variadic);
    declared.iter().enumerate().map(move |(place, argument)| {
        let repeated = variadic && place.saturating_add(1) == declared.len();
        argument.array().filter(|_| repeated).unwrap_or(*argument)
    })
}

pub(super) fn pg_proc(world: &World<'_>, records: &mut Records<'_>) {
    for function in functions::all() {
        let Some(schema) = world.namespace(function.extension) else { continue };
        let kind = match function.kind {
            FunctionKind::Aggregate => "a",
            FunctionKind::Window => "w",
            FunctionKind::Scalar | FunctionKind::Set => "f",
        };
        let variadic = function.args.last().filter(|_| function.variadic).map_or(0, |last| last.oid());
        let arguments = arguments(function).map(|kind| i64::from(kind.oid())).collect();
        records.push(&[
            ("oid", function.oid().into()),
            ("proname", function.name.into()),
            ("pronamespace", schema.into()),
            ("proowner", OWNER_OID.into()),
            ("prolang", super::LANGUAGE_INTERNAL_OID.into()),
            ("procost", Value::Real(1.0)),
            ("prorows", Value::Real(if function.kind == FunctionKind::Set { 1000.0 } else { 0.0 })),
            ("provariadic", variadic.into()),
            ("prokind", kind.into()),
            ("proisstrict", function.strict.into()),
            ("proretset", (function.kind == FunctionKind::Set).into()),
            ("provolatile", function.volatility.letter().to_string().into()),
            ("proparallel", "s".into()),
            ("pronargs", function.args.len().into()),
            ("pronargdefaults", function.defaults.into()),
            ("prorettype", function.result.oid().into()),
            ("proargtypes", Value::Ints(arguments)),
            ("prosrc", function.name.into()),
        ]);
    }
}
