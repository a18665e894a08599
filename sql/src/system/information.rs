//! `information_schema`: the catalog in the words of the SQL standard.

use expr::TypeKind;
use expr::types::Modifiers;

use super::record::{Records, Value};
use super::{World, columns as system_views};
use crate::bind::Changeable;
use crate::catalog::object::types::array_name;
use crate::catalog::object::{Identity, SequenceDescriptor};
use crate::catalog::{CheckOption, Column, TableDescriptor, TableKind, named, schema, spelled};

fn yes_or_no(value: bool) -> Value {
    if value { "YES" } else { "NO" }.into()
}

pub(super) fn information_schema_catalog_name(world: &World<'_>, records: &mut Records<'_>) {
    records.push(&[("catalog_name", (&*world.session.database).into())]);
}

pub(super) fn collations(world: &World<'_>, records: &mut Records<'_>) {
    for name in ["default", "C", "POSIX"] {
        records.push(&[
            ("collation_catalog", (&*world.session.database).into()),
            ("collation_schema", schema::PG_CATALOG.into()),
            ("collation_name", name.into()),
            ("pad_attribute", "NO PAD".into()),
        ]);
    }
}

pub(super) fn tables(world: &World<'_>, records: &mut Records<'_>) {
    for table in world
        .catalog
        .tables()
        .filter(|table| !matches!(table.kind, TableKind::Sequence | TableKind::Materialised))
    {
        let kind = match table.kind {
            _ if table.is_temporary() => "LOCAL TEMPORARY",
            TableKind::View => "VIEW",
            _ if system_views::is_view(table) => "VIEW",
            _ => "BASE TABLE",
        };
        records.push(&[
            ("table_catalog", (&*world.session.database).into()),
            ("table_schema", world.schema(&table.schema).into()),
            ("table_name", (&table.name).into()),
            ("table_type", kind.into()),
            ("is_insertable_into", yes_or_no(Changeable::of(table, world.catalog).takes_values())),
            ("is_typed", yes_or_no(false)),
        ]);
    }
}

pub(super) fn columns(world: &World<'_>, records: &mut Records<'_>) {
    for table in world
        .catalog
        .tables()
        .filter(|table| !matches!(table.kind, TableKind::Sequence | TableKind::Materialised))
    {
        let changeable = Changeable::of(table, world.catalog);
        for (place, column) in table.visible() {
            let takes_values = changeable.columns.get(place).copied().unwrap_or_default();
            push_column(world, records, table, (column, takes_values));
        }
    }
}

fn push_column(
    world: &World<'_>,
    records: &mut Records<'_>,
    table: &TableDescriptor,
    (column, takes_values): (&Column, bool),
) {
    /// What PostgreSQL says of texts without a bound: bytes of a field at most.
    const OCTETS_MAX: usize = 1 << 30;
    let domain = world.catalog.objects().get(column.ty.kind.oid()).filter(|_| column.ty.kind.is_domain());
    let ty = match world.catalog.objects().domain(column.ty.kind) {
        Some(own) => own.base,
        None => column.ty,
    };
    let kind = ty.kind;
    let length = ty.length();
    let octets = match (kind, length) {
        (TypeKind::Text, _) | (TypeKind::Varchar, None) => Some(OCTETS_MAX),
        (TypeKind::Varchar | TypeKind::Bpchar, Some(length)) => Some(length.saturating_mul(4)),
        _ => None,
    };
    let (precision, radix, scale) = match kind {
        TypeKind::Int2 => (Some(16), Some(2), Some(0)),
        TypeKind::Int4 => (Some(32), Some(2), Some(0)),
        TypeKind::Int8 => (Some(64), Some(2), Some(0)),
        TypeKind::Float4 => (Some(24), Some(2), None),
        TypeKind::Float8 => (Some(53), Some(2), None),
        TypeKind::Numeric => match ty.precision_and_scale() {
            Some((precision, scale)) => (Some(precision), Some(10), Some(scale)),
            None => (None, Some(10), None),
        },
        _ => (None, None, None),
    };
    let datetime_precision = match kind {
        TypeKind::Date => Some(0),
        kind => match kind.row().modifiers {
            Modifiers::Precision(..) if kind.element().is_none() => Some(ty.precision().unwrap_or(6)),
            Modifiers::Interval if kind.element().is_none() => Some(ty.precision().unwrap_or(6)),
            _ => None,
        },
    };
    let data_type = match kind {
        kind if kind.element().is_some() => "ARRAY",
        kind if kind.is_built_in() && kind.extension().is_none() => kind.display_name(),
        _ => "USER-DEFINED",
    };
    let made = kind.made_oid().and_then(|oid| world.catalog.objects().get(oid));
    let of_type = made.or_else(|| world.catalog.objects().bringer(kind).filter(|_| kind.is_built_in()));
    let type_schema = of_type.map_or(schema::PG_CATALOG, |own| own.schema.as_str());
    let type_name = match made {
        Some(made) if kind.element().is_some() => array_name(&made.name),
        Some(made) => made.name.clone(),
        None => kind.name().to_owned(),
    };
    let database = &*world.session.database;
    let by_name = |kept: &str| {
        let text = named::shown(kept, |oid| world.session.catalog.reg_name(TypeKind::Regclass, oid));
        spelled::by_name(world.catalog, &world.settings.hot().search_path, &text)
    };
    let identity = world.catalog.objects().identity(table.oid, column.id);
    let sequence = identity.and_then(|(_, object)| object.sequence());
    let number = |of: fn(&SequenceDescriptor) -> i64| sequence.map(|sequence| of(sequence).to_string());
    records.push(&[
        ("table_catalog", database.into()),
        ("table_schema", world.schema(&table.schema).into()),
        ("table_name", (&table.name).into()),
        ("column_name", (&column.name).into()),
        ("ordinal_position", column.id.into()),
        ("column_default", column.default.as_deref().map(by_name).into()),
        ("is_nullable", yes_or_no(!column.not_null)),
        ("data_type", data_type.into()),
        ("character_maximum_length", length.into()),
        ("character_octet_length", octets.into()),
        ("numeric_precision", precision.into()),
        ("numeric_precision_radix", radix.into()),
        ("numeric_scale", scale.into()),
        ("datetime_precision", datetime_precision.into()),
        ("domain_catalog", domain.map(|_| database).into()),
        ("domain_schema", domain.map(|domain| domain.schema.as_str()).into()),
        ("domain_name", domain.map(|domain| domain.name.as_str()).into()),
        ("udt_catalog", database.into()),
        ("udt_schema", type_schema.into()),
        ("udt_name", (&type_name).into()),
        ("dtd_identifier", column.id.to_string().into()),
        ("is_self_referencing", yes_or_no(false)),
        ("is_identity", yes_or_no(identity.is_some())),
        (
            "identity_generation",
            identity
                .map(|(identity, _)| match identity {
                    Identity::Always => "ALWAYS",
                    Identity::ByDefault => "BY DEFAULT",
                })
                .into(),
        ),
        ("identity_start", number(|sequence| sequence.start).into()),
        ("identity_increment", number(|sequence| sequence.increment).into()),
        ("identity_maximum", number(|sequence| sequence.max).into()),
        ("identity_minimum", number(|sequence| sequence.min).into()),
        ("identity_cycle", yes_or_no(sequence.is_some_and(|sequence| sequence.cycle))),
        ("is_generated", if column.generated.is_some() { "ALWAYS" } else { "NEVER" }.into()),
        ("generation_expression", column.generated.as_ref().map(|generated| by_name(&generated.text)).into()),
        ("is_updatable", yes_or_no(takes_values)),
    ]);
}

/// Which columns the generated ones are made of.
pub(super) fn column_column_usage(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables() {
        for (_, column) in table.visible() {
            let Some(generated) = &column.generated else { continue };
            for base in generated.columns.iter().filter_map(|id| table.column_by_id(*id)) {
                records.push(&[
                    ("table_catalog", (&*world.session.database).into()),
                    ("table_schema", world.schema(&table.schema).into()),
                    ("table_name", (&table.name).into()),
                    ("column_name", table.columns.get(base).map(|base| &base.name).into()),
                    ("dependent_column", (&column.name).into()),
                ]);
            }
        }
    }
}

pub(super) fn views(world: &World<'_>, records: &mut Records<'_>) {
    let path = &world.settings.hot().search_path;
    for object in world.catalog.objects().iter() {
        let Some(view) = object.view() else { continue };
        let relation = world.catalog.table_by_oid(object.oid);
        let takes_values =
            relation.is_some_and(|relation| Changeable::of(relation, world.catalog).takes_values());
        records.push(&[
            ("table_catalog", (&*world.session.database).into()),
            ("table_schema", world.schema(&object.schema).into()),
            ("table_name", (&object.name).into()),
            ("view_definition", super::deparse::view(view, world.catalog, path, false).into()),
            ("check_option", view.options.check.map_or("NONE", check_word).into()),
            ("is_updatable", yes_or_no(takes_values)),
            ("is_insertable_into", yes_or_no(takes_values)),
            ("is_trigger_updatable", yes_or_no(false)),
            ("is_trigger_deletable", yes_or_no(false)),
            ("is_trigger_insertable_into", yes_or_no(false)),
        ]);
    }
}

fn check_word(check: CheckOption) -> &'static str {
    match check {
        CheckOption::Local => "LOCAL",
        CheckOption::Cascaded => "CASCADED",
    }
}

pub(super) fn schemata(world: &World<'_>, records: &mut Records<'_>) {
    for (name, _) in world.catalog.objects().schemas() {
        records.push(&[
            ("catalog_name", (&*world.session.database).into()),
            ("schema_name", name.into()),
            ("schema_owner", super::roles::schema_owner(world.catalog, name).into()),
        ]);
    }
}
