//! Whether a role may run a statement: judged before each run, under the roles and rights of the catalog that it runs
//! under.

use crate::catalog::access::{Access, Object, Powers, Right, Rights};
use crate::catalog::{CatalogSnapshot, Oid, TableDescriptor, schema};
use crate::error::{Error, Result};
use crate::plan::{Bound, Ddl, Need, Plan, SessionCommand};

/// 42501 if the role may not do what the statement does.
pub(crate) fn check(bound: &Bound, catalog: &CatalogSnapshot, powers: &Powers) -> Result<()> {
    if powers.is_superuser {
        return Ok(());
    }
    let access = catalog.access();
    // What a newer catalog has no more nobody has been denied.
    for need in bound.needs.iter().filter(|need| catalog.table_by_oid(need.table.oid).is_some()) {
        check_schema(access, powers, &need.table.schema, Right::Usage)?;
        if !is_granted(access, powers, need) {
            return Err(denied("table", &need.table.name));
        }
    }
    match &bound.plan {
        Plan::Ddl(ddl) => check_ddl(access, powers, ddl),
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::SplitAt { table, .. } | SessionCommand::ShowRanges(Some(table)) => {
                must_own(access, powers, table, "table", &table.name)
            }
            // Where ranges begin tells what others' rows are.
            SessionCommand::ShowRanges(None) | SessionCommand::ShowNodes => {
                Err(Error::new("42501", "must be superuser to look at the whole cluster"))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// `permission denied for table t`
pub(crate) fn denied(what: &str, name: &str) -> Error {
    Error::new("42501", format!("permission denied for {what} {name}"))
}

fn must_own(access: &Access, powers: &Powers, table: &TableDescriptor, what: &str, name: &str) -> Result<()> {
    if access.owns(powers, Object::Table(table.oid)) {
        return Ok(());
    }
    Err(Error::new("42501", format!("must be owner of {what} {name}")))
}

/// A right on a schema.
pub(crate) fn check_schema(access: &Access, powers: &Powers, name: &str, right: Right) -> Result<()> {
    let Some(oid) = schema::oid(name) else { return Ok(()) };
    let granted = access.granted(powers, Object::Schema(oid), None, Rights::of(right));
    if granted.is_empty() { Err(denied("schema", name)) } else { Ok(()) }
}

/// The rights are on the whole, or, those that can be, on every column that is touched; of none, on any.
fn is_granted(access: &Access, powers: &Powers, need: &Need) -> bool {
    let table = &need.table;
    let whole = access.granted(powers, Object::Table(table.oid), Some(table.kind), need.rights);
    need.rights.without(whole).iter().all(|right| {
        let on =
            |column: Oid| !access.granted_on_column(powers, table.oid, column, Rights::of(right)).is_empty();
        let columns = match right {
            Right::Select => &need.read,
            Right::Insert => &need.inserted,
            Right::Update => &need.updated,
            _ => return false,
        };
        if columns.is_empty() {
            return table.visible().any(|(_, column)| on(column.id));
        }
        columns.iter().all(|column| on(*column))
    })
}

fn check_ddl(access: &Access, powers: &Powers, ddl: &Ddl) -> Result<()> {
    match ddl {
        Ddl::CreateTable(create) => {
            check_schema(access, powers, &create.schema, Right::Create).map_err(|error| error.at(create.at))
        }
        Ddl::DropTables(drop) => {
            drop.tables.iter().try_for_each(|table| must_own(access, powers, table, "table", &table.name))
        }
        Ddl::Truncate(truncate) => truncate.tables.iter().try_for_each(|table| {
            let wanted = Rights::of(Right::Truncate);
            let granted = access.granted(powers, Object::Table(table.oid), Some(table.kind), wanted);
            if granted.is_empty() { Err(denied("table", &table.name)) } else { Ok(()) }
        }),
        Ddl::CreateIndex(create) => must_own(access, powers, &create.table, "table", &create.table.name),
        Ddl::AddPrimaryKey(add) => must_own(access, powers, &add.table, "table", &add.table.name),
        Ddl::DropIndexes(drop) => drop.indexes.iter().try_for_each(|(table, oid)| {
            let index = table.indexes.iter().find(|index| index.oid == *oid);
            must_own(access, powers, table, "index", index.map_or("", |index| index.name.as_str()))
        }),
        // Those judge by what they change.
        Ddl::Access(_) | Ddl::Nothing { .. } => Ok(()),
    }
}
