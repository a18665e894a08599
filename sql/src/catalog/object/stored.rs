//! The durable form of objects that are no tables: one row each under `/sys`.
//!
//! ```text
//! key   = index key of the catalog's index of objects: column oid, suffix 0
//! value = protobuf ObjectRecord
//!         version = 1            a reader refuses what is newer than it knows
//!         oid, schema, name
//!         kind                   0 schema, 1 a schema that is gone, 2 sequence, 3 view, 4 enum, 5 domain, 6 extension,
//!                                7 composite type, 8 function, 9 range
//!         sequence               type oid, start, increment, bounds, cache, cycle, where its state is, what it is
//!                                until a number is drawn, the column that it goes with
//!         view                   columns (name, type, default)*, query, what it names (name, oid, columns, those read)*, flags,
//!                                the types that it was made of, its check option
//!         enum                   labels (oid, label, key)*, in order
//!         domain                 what it is over (type), default, whether NULL is refused, checks (oid, name, condition, flag)*
//!         composite              what it is in `pg_class` (oid), attributes (name, type)*, in order
//!         function               see [`function`]
//!         range                  see [`range`]
//! ```
//!
//! What recovery may assume: a row that decodes satisfies [`ObjectDescriptor::check`]; it was checked when written.

mod function;
mod range;
mod view;

use std::sync::Arc;

use bytes::Bytes;
use expr::{Shape, Type, TypeKind};
use keys::Span;
use prost::Message;

pub(in crate::catalog) use self::view::{ViewRecord, view, view_record};
use super::types::{CompositeDescriptor, DomainCheck, DomainDescriptor, EnumDescriptor, EnumLabel};
use super::{
    Identity, Kinds, ObjectBody, ObjectDescriptor, SequenceDescriptor, SequenceOwner, SequenceState,
    TypeDescriptor,
};
use crate::catalog::Oid;
use crate::catalog::home::Home;
use crate::error::{Error, Result};

/// The index id under which the rows of objects stand.
const OBJECTS: u64 = 3;

/// The newest version of a row that this code reads: that of views that say how their rows are hidden or changed.
const VERSION: u32 = 7;
/// The version of ranges.
const VERSION_RANGE: u32 = 6;
/// The version of domains over types that were made, and of attributes of domains.
const VERSION_WITHIN: u32 = 5;
/// The version of functions.
const VERSION_FUNCTION: u32 = 4;
/// The version of composite types.
const VERSION_COMPOSITE: u32 = 3;
/// The version of views that depend on what literals name, or on constraints.
const VERSION_TIED: u32 = 2;
/// The version of all other objects.
const VERSION_PLAIN: u32 = 1;

/// The key of an object's row.
pub fn object_key(home: Home, oid: Oid) -> Bytes {
    home.key(OBJECTS, &[oid])
}

/// The keys of all objects' rows.
pub fn objects_span(home: Home) -> Span {
    home.span(OBJECTS)
}

#[derive(Clone, PartialEq, Message)]
struct ObjectRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    oid: u32,
    #[prost(string, tag = "3")]
    schema: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(uint32, tag = "5")]
    kind: u32,
    #[prost(message, optional, tag = "6")]
    sequence: Option<SequenceRecord>,
    #[prost(message, optional, tag = "7")]
    view: Option<ViewRecord>,
    #[prost(message, optional, tag = "8")]
    enumerated: Option<EnumRecord>,
    #[prost(message, optional, tag = "9")]
    domain: Option<DomainRecord>,
    /// Of an extension.
    #[prost(string, tag = "10")]
    extension_version: String,
    #[prost(message, optional, tag = "11")]
    composite: Option<CompositeRecord>,
    #[prost(message, optional, tag = "12")]
    function: Option<function::FunctionRecord>,
    #[prost(message, optional, tag = "13")]
    range: Option<range::RangeRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct CompositeRecord {
    #[prost(uint32, tag = "1")]
    relation: u32,
    #[prost(message, repeated, tag = "2")]
    attributes: Vec<AttributeRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributeRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    type_oid: u32,
    #[prost(sint32, tag = "3")]
    type_modifier: i32,
}

#[derive(Clone, PartialEq, Message)]
struct DomainRecord {
    #[prost(uint32, tag = "1")]
    type_oid: u32,
    #[prost(sint32, tag = "2")]
    type_modifier: i32,
    #[prost(string, optional, tag = "3")]
    default: Option<String>,
    #[prost(bool, tag = "4")]
    not_null: bool,
    #[prost(message, repeated, tag = "5")]
    checks: Vec<DomainCheckRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct DomainCheckRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    expression: String,
    #[prost(bool, tag = "4")]
    not_valid: bool,
}

#[derive(Clone, PartialEq, Message)]
struct EnumRecord {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<EnumLabelRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct EnumLabelRecord {
    #[prost(uint32, tag = "1")]
    oid: u32,
    #[prost(string, tag = "2")]
    label: String,
    #[prost(bytes = "bytes", tag = "3")]
    key: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct SequenceRecord {
    #[prost(uint32, tag = "1")]
    type_oid: u32,
    #[prost(sint64, tag = "2")]
    start: i64,
    #[prost(sint64, tag = "3")]
    increment: i64,
    #[prost(sint64, tag = "4")]
    min: i64,
    #[prost(sint64, tag = "5")]
    max: i64,
    #[prost(sint64, tag = "6")]
    cache: i64,
    #[prost(bool, tag = "7")]
    cycle: bool,
    #[prost(uint64, tag = "8")]
    state: u64,
    #[prost(sint64, tag = "9")]
    last: i64,
    #[prost(bool, tag = "10")]
    is_called: bool,
    #[prost(message, optional, tag = "11")]
    owner: Option<OwnerRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct OwnerRecord {
    #[prost(uint32, tag = "1")]
    table: u32,
    #[prost(uint32, tag = "2")]
    column: u32,
    /// 0: no identity column, 1: ALWAYS, 2: BY DEFAULT.
    #[prost(uint32, tag = "3")]
    identity: u32,
}

/// The value of an object's row. An error (XX000) if the descriptor breaks its invariants.
pub fn encode_object(object: &ObjectDescriptor) -> Result<Bytes> {
    object.check().map_err(Error::internal)?;
    let mut record = ObjectRecord {
        version: match &object.body {
            ObjectBody::View(view) if view.rules_writes() => VERSION,
            ObjectBody::Type(TypeDescriptor::Range(_)) => VERSION_RANGE,
            ObjectBody::Type(made) if made.has_domains_within() => VERSION_WITHIN,
            ObjectBody::Function(_) => VERSION_FUNCTION,
            ObjectBody::Type(TypeDescriptor::Composite(_)) => VERSION_COMPOSITE,
            ObjectBody::View(view) if view.has_other_ties() => VERSION_TIED,
            _ => VERSION_PLAIN,
        },
        oid: object.oid,
        schema: object.schema.clone(),
        name: object.name.clone(),
        ..ObjectRecord::default()
    };
    match &object.body {
        ObjectBody::Schema => record.kind = 0,
        ObjectBody::TemporarySchema => {
            return Err(Error::internal("a session's own schema is not stored"));
        }
        ObjectBody::Gone => record.kind = 1,
        ObjectBody::Sequence(sequence) => {
            record.kind = 2;
            record.sequence = Some(sequence_record(sequence));
        }
        ObjectBody::View(view) => {
            record.kind = 3;
            record.view = Some(view_record(view));
        }
        ObjectBody::Type(TypeDescriptor::Enum(own)) => {
            record.kind = 4;
            record.enumerated = Some(enum_record(own));
        }
        ObjectBody::Extension(version) => {
            record.kind = 6;
            record.extension_version.clone_from(version);
        }
        ObjectBody::Type(TypeDescriptor::Domain(own)) => {
            record.kind = 5;
            record.domain = Some(domain_record(own));
        }
        ObjectBody::Type(TypeDescriptor::Composite(own)) => {
            record.kind = 7;
            record.composite = Some(composite_record(own));
        }
        ObjectBody::Type(TypeDescriptor::Range(own)) => {
            record.kind = 9;
            record.range = Some(range::record(own));
        }
        ObjectBody::Function(own) => {
            record.kind = 8;
            record.function = Some(function::record(own));
        }
    }
    Ok(record.encode_to_vec().into())
}

fn damaged(why: String) -> Error {
    Error::new("XX001", format!("the catalog's row of an object is damaged: {why}"))
}

/// The objects of all rows' values, and the types that are among them. XX001 if one is damaged, 0A000 if it is newer than
/// this code.
pub fn decode_objects(values: &[Bytes]) -> Result<(Kinds, Vec<ObjectDescriptor>)> {
    let record =
        |value: &Bytes| ObjectRecord::decode(value.as_ref()).map_err(|error| damaged(error.to_string()));
    let records = values.iter().map(record).collect::<Result<Vec<_>>>()?;
    // Types first, the oldest first: the others are made of them. What composite types are made of may be younger, and is
    // looked up when all others are known.
    let is_type = |record: &ObjectRecord| {
        record.enumerated.is_some() || record.domain.is_some() || record.range.is_some()
    };
    let (mut types, others): (Vec<_>, Vec<_>) = records.into_iter().partition(is_type);
    types.sort_by_key(|record| record.oid);
    let mut kinds = Kinds::default();
    for record in others.iter().filter(|record| record.composite.is_some()) {
        let none = CompositeDescriptor { relation: 0, attributes: Arc::default() };
        kinds.put(TypeDescriptor::Composite(none).kind(record.oid, &record.schema, &record.name));
    }
    let mut objects = Vec::with_capacity(values.len());
    for record in types {
        let object = object(record, &kinds)?;
        object.kind().into_iter().for_each(|kind| kinds.put(kind));
        objects.push(object);
    }
    for record in others {
        objects.push(object(record, &kinds)?);
    }
    Ok((kinds, objects))
}

fn object(record: ObjectRecord, kinds: &Kinds) -> Result<ObjectDescriptor> {
    if record.version > VERSION {
        let message =
            format!("object \"{}\" was written by a newer version (format {})", record.name, record.version);
        return Err(Error::new("0A000", message));
    }
    let body = match (record.kind, record.composite, record.function, record.range) {
        (9, None, None, Some(own)) => {
            let own = range::descriptor(own, kinds);
            let own = own.ok_or_else(|| damaged("what a range is of is unknown".into()))?;
            Some(ObjectBody::Type(TypeDescriptor::Range(own)))
        }
        (7, Some(composite), None, None) => {
            let own = composite_of(composite, kinds);
            let own = own.ok_or_else(|| damaged("the type of an attribute is unknown".into()))?;
            Some(ObjectBody::Type(TypeDescriptor::Composite(own)))
        }
        (8, None, Some(own), None) => {
            let own = function::descriptor(own, kinds);
            let own = own.ok_or_else(|| damaged("a type or the body of a function is unknown".into()))?;
            Some(ObjectBody::Function(Box::new(own)))
        }
        _ => None,
    };
    if let Some(body) = body {
        let object = ObjectDescriptor { oid: record.oid, schema: record.schema, name: record.name, body };
        object.check().map_err(damaged)?;
        return Ok(object);
    }
    let body = match (record.kind, record.sequence, record.view, record.enumerated, record.domain) {
        (0, None, None, None, None) => ObjectBody::Schema,
        (1, None, None, None, None) => ObjectBody::Gone,
        (6, None, None, None, None) => ObjectBody::Extension(record.extension_version),
        (5, None, None, None, Some(record)) => ObjectBody::Type(TypeDescriptor::Domain(
            domain(record, kinds).ok_or_else(|| damaged("what a domain is over is unknown".into()))?,
        )),
        (3, None, Some(record), None, None) => {
            ObjectBody::View(view(record, kinds).ok_or_else(|| damaged("a column's type is unknown".into()))?)
        }
        (2, Some(record), None, None, None) => ObjectBody::Sequence(
            sequence(record).ok_or_else(|| damaged("a sequence has no type or an unknown owner".into()))?,
        ),
        (4, None, None, Some(record), None) => ObjectBody::Type(TypeDescriptor::Enum(enumerated(record))),
        (kind, ..) => return Err(damaged(format!("it is of kind {kind}"))),
    };
    let object = ObjectDescriptor { oid: record.oid, schema: record.schema, name: record.name, body };
    object.check().map_err(damaged)?;
    Ok(object)
}

fn enum_record(own: &EnumDescriptor) -> EnumRecord {
    let label =
        |own: &EnumLabel| EnumLabelRecord { oid: own.oid, label: own.label.clone(), key: own.key.clone() };
    EnumRecord { labels: own.labels().iter().map(label).collect() }
}

fn enumerated(record: EnumRecord) -> EnumDescriptor {
    let label =
        |own: EnumLabelRecord| EnumLabel { oid: own.oid, label: own.label, key: own.key, is_fresh: false };
    EnumDescriptor::of_stored(record.labels.into_iter().map(label).collect())
}

fn domain_record(own: &DomainDescriptor) -> DomainRecord {
    let check = |check: &DomainCheck| DomainCheckRecord {
        oid: check.oid,
        name: check.name.clone(),
        expression: check.expression.clone(),
        not_valid: !check.validated,
    };
    DomainRecord {
        type_oid: own.base.kind.oid(),
        type_modifier: own.base.modifier,
        default: own.default.clone(),
        not_null: own.not_null,
        checks: own.checks.iter().map(check).collect(),
    }
}

fn domain(record: DomainRecord, kinds: &Kinds) -> Option<DomainDescriptor> {
    let check = |check: DomainCheckRecord| DomainCheck {
        oid: check.oid,
        name: check.name,
        expression: check.expression,
        validated: !check.not_valid,
    };
    Some(DomainDescriptor {
        base: Type { kind: kinds.find(record.type_oid)?, modifier: record.type_modifier },
        default: record.default,
        not_null: record.not_null,
        checks: record.checks.into_iter().map(check).collect(),
    })
}

fn composite_record(own: &CompositeDescriptor) -> CompositeRecord {
    let attribute = |(name, ty): (&str, Type)| AttributeRecord {
        name: name.to_owned(),
        type_oid: ty.kind.oid(),
        type_modifier: ty.modifier,
    };
    CompositeRecord { relation: own.relation, attributes: own.attributes.fields().map(attribute).collect() }
}

fn composite_of(record: CompositeRecord, kinds: &Kinds) -> Option<CompositeDescriptor> {
    let attribute = |own: AttributeRecord| {
        let ty = Type { kind: kinds.find(own.type_oid)?, modifier: own.type_modifier };
        Some((own.name, ty))
    };
    let attributes = record.attributes.into_iter().map(attribute).collect::<Option<Vec<_>>>()?;
    Some(CompositeDescriptor { relation: record.relation, attributes: Arc::new(Shape::new(attributes)) })
}

fn sequence_record(sequence: &SequenceDescriptor) -> SequenceRecord {
    SequenceRecord {
        type_oid: sequence.ty.oid(),
        start: sequence.start,
        increment: sequence.increment,
        min: sequence.min,
        max: sequence.max,
        cache: sequence.cache,
        cycle: sequence.cycle,
        state: sequence.state,
        last: sequence.initial.last,
        is_called: sequence.initial.is_called,
        owner: sequence.owner.map(|owner| OwnerRecord {
            table: owner.table,
            column: owner.column,
            identity: match owner.identity {
                None => 0,
                Some(Identity::Always) => 1,
                Some(Identity::ByDefault) => 2,
            },
        }),
    }
}

fn sequence(record: SequenceRecord) -> Option<SequenceDescriptor> {
    let owner = match record.owner {
        None => None,
        Some(owner) => Some(SequenceOwner {
            table: owner.table,
            column: owner.column,
            identity: match owner.identity {
                0 => None,
                1 => Some(Identity::Always),
                2 => Some(Identity::ByDefault),
                _ => return None,
            },
        }),
    };
    Some(SequenceDescriptor {
        ty: TypeKind::from_oid(record.type_oid)?,
        start: record.start,
        increment: record.increment,
        min: record.min,
        max: record.max,
        cache: record.cache,
        cycle: record.cycle,
        state: record.state,
        initial: SequenceState { last: record.last, is_called: record.is_called },
        owner,
    })
}

#[cfg(test)]
mod tests {
    use expr::functions::Volatility;

    use super::super::types::RangeDescriptor;
    use super::super::{CheckOption, ViewColumn, ViewDescriptor, ViewOptions, ViewRelation};
    use super::super::{FunctionBody, FunctionDescriptor, Parallel, Parameter, ParameterMode};
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let sequence = SequenceDescriptor {
            ty: TypeKind::Int4,
            start: 5,
            increment: -2,
            min: -10,
            max: 10,
            cache: 7,
            cycle: true,
            state: 1030,
            initial: SequenceState { last: 3, is_called: true },
            owner: Some(SequenceOwner { table: 20000, column: 2, identity: Some(Identity::Always) }),
        };
        let view = ViewDescriptor {
            columns: vec![ViewColumn {
                name: "a".into(),
                ty: TypeKind::Text.into(),
                default: Some("'x'::text".into()),
            }],
            query: "select a from s.t".into(),
            relations: vec![ViewRelation {
                schema: Some("s".into()),
                name: "t".into(),
                oid: 20002,
                columns: vec![(1, "a".into())],
                read: vec![1],
            }],
            grouped_by: vec![(20002, 20003)],
            options: ViewOptions { invoker: true, barrier: true, check: Some(CheckOption::Local) },
            types: vec![20003],
            pinned: vec![20004],
        };
        let own = EnumDescriptor::new(&["a".into(), "b".into()]).unwrap();
        let fields = [("a".to_owned(), TypeKind::Int4.into()), ("b".to_owned(), Type::numeric(10, 2))];
        let parameter = |mode, default: Option<&str>| Parameter {
            name: "a".into(),
            mode,
            ty: TypeKind::Int4,
            default: default.map(str::to_owned),
        };
        let double = FunctionDescriptor {
            parameters: vec![
                parameter(ParameterMode::In, Some("1")),
                parameter(ParameterMode::InOut, Some("2")),
                parameter(ParameterMode::Table, None),
            ],
            returns: TypeKind::Record,
            row_of: Some(20006),
            is_set: true,
            volatility: Volatility::Stable,
            strict: true,
            parallel: Parallel::Safe,
            body: FunctionBody::Text("select $1, 2".into()),
        };
        let kept = FunctionDescriptor {
            body: FunctionBody::Query { query: Box::new(view.clone()), is_return: true },
            ..double.clone()
        };
        let times = RangeDescriptor {
            subtype: TypeKind::Time,
            class: Some("time_ops".into()),
            collation: None,
            diff: 219,
            multirange: "m".into(),
        };
        let pair = CompositeDescriptor { relation: 20005, attributes: Arc::new(Shape::new(fields)) };
        for (schema, body) in [
            ("", ObjectBody::Schema),
            ("s", ObjectBody::View(view)),
            ("", ObjectBody::Gone),
            ("s", ObjectBody::Sequence(sequence)),
            ("s", ObjectBody::Type(TypeDescriptor::Enum(own))),
            ("s", ObjectBody::Type(TypeDescriptor::Composite(pair))),
            ("s", ObjectBody::Type(TypeDescriptor::Range(times))),
            ("s", ObjectBody::Function(Box::new(double))),
            ("s", ObjectBody::Function(Box::new(kept))),
        ] {
            let object = ObjectDescriptor { oid: 20001, schema: schema.into(), name: "n".into(), body };
            let value = encode_object(&object).unwrap();
            let short = value.slice(..value.len() - 1);
            assert_eq!(decode_objects(&[value]).unwrap().1, [object]);
            assert!(decode_objects(&[short]).is_err());
        }
        let nameless =
            ObjectDescriptor { oid: 1, schema: String::new(), name: String::new(), body: ObjectBody::Schema };
        assert!(encode_object(&nameless).is_err());
    }
}
