//! What ANALYZE has found, as views show it.

use std::collections::{HashMap, HashSet};

use expr::{Datum, SessionContext};

use super::World;
use super::record::{Records, Value};
use crate::catalog::access::{Access, Object, Powers, Right, Rights};
use crate::catalog::{CatalogSnapshot, Column, ColumnId, IndexId, TableDescriptor};
use crate::statistics::ColumnStatistics;

/// `reltuples`: -1 where nothing is known.
pub(super) fn rows(world: &World<'_>, table: &TableDescriptor) -> Value {
    let rows = table.primary().and_then(|primary| world.gathered.rows.get(&primary.id));
    Value::Real(rows.map_or(-1.0, |rows| *rows as f32))
}

/// The columns whose values the session's role may see, by their tables' primary indexes.
pub(super) fn visible_columns(
    catalog: &CatalogSnapshot,
    session: &SessionContext,
) -> HashMap<IndexId, HashSet<ColumnId>> {
    let access = catalog.access();
    let Some(role) = access.role_named(&session.current_user) else { return HashMap::new() };
    let powers = access.powers(role.oid);
    let seen = |table: &TableDescriptor| -> HashSet<ColumnId> {
        let columns = table.visible().filter(|(_, column)| may_see(access, &powers, table, column));
        columns.map(|(_, column)| column.id).collect()
    };
    let stored = catalog.tables().filter(|table| table.kind.is_stored());
    let columns = stored.filter_map(|table| Some((table.primary()?.id, seen(table))));
    columns.filter(|(_, columns)| !columns.is_empty()).collect()
}

/// Whether a role may see what values a column has.
fn may_see(access: &Access, powers: &Powers, table: &TableDescriptor, column: &Column) -> bool {
    let select = Rights::of(Right::Select);
    !access.heeds_policies(powers, table)
        && (!access.granted(powers, Object::of(table), Some(table.kind), select).is_empty()
            || !access.granted_on_column(powers, table.oid, column.id, select).is_empty())
}

pub(super) fn pg_stats(world: &World<'_>, records: &mut Records<'_>) {
    for table in world.catalog.tables().filter(|table| table.kind.is_stored()) {
        let primary = table.primary();
        let found = primary.and_then(|primary| world.gathered.statistics.get(&primary.id));
        let Some(statistics) = found else { continue };
        for (_, column) in table.visible() {
            if let Some(known) = statistics.get(&column.id) {
                push(world, records, table, column, known);
            }
        }
    }
}

fn push(
    world: &World<'_>,
    records: &mut Records<'_>,
    table: &TableDescriptor,
    column: &Column,
    known: &ColumnStatistics,
) {
    let shown = |value: &Datum| expr::codec::shown(value, column.ty, world.session);
    let common = known.common.iter().map(|(value, _)| shown(value)).collect::<Vec<_>>();
    let parts = known.common.iter().map(|(_, part)| *part).collect::<Vec<_>>();
    let bounds = known.histogram.iter().map(shown).collect::<Vec<_>>();
    let texts = |texts: Vec<String>| if texts.is_empty() { Value::Null } else { Value::Texts(texts) };
    records.push(&[
        ("schemaname", (&table.schema).into()),
        ("tablename", (&table.name).into()),
        ("attname", (&column.name).into()),
        ("inherited", false.into()),
        ("null_frac", Value::Real(known.null_fraction)),
        ("avg_width", known.width.into()),
        ("n_distinct", Value::Real(known.distinct)),
        ("most_common_vals", texts(common)),
        ("most_common_freqs", if parts.is_empty() { Value::Null } else { Value::Reals(parts) }),
        ("histogram_bounds", texts(bounds)),
        ("correlation", known.correlation.map_or(Value::Null, Value::Real)),
    ]);
}
