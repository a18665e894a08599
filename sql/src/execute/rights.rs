//! Whether a role may run a statement: judged before each run, under the roles and rights of the catalog that it runs
//! under.

use audit::Classes;

use crate::catalog::access::{Access, Object, Powers, Right, Rights};
use crate::catalog::{CatalogSnapshot, Oid, TableDescriptor, schema};
use crate::error::{Error, Result};
use crate::plan::{
    Bound, Call, CreateTableAs, Ddl, FunctionChange, KeepOf, Need, ObjectChange, Plan, SessionCommand,
    Target, TypeChange,
};

/// 42501 if the role may not do what the statement does.
pub(crate) fn check(bound: &Bound, catalog: &CatalogSnapshot, powers: &Powers) -> Result<()> {
    let access = catalog.access();
    // What a newer catalog has no more nobody has been denied.
    for need in bound.needs.iter() {
        let owners = need.acting.owner.map(|owner| access.powers(owner));
        let powers = owners.as_ref().unwrap_or(powers);
        // Within a view it has the names that it had when the view was made.
        let Some(table) = catalog.table_by_oid(need.table.oid).filter(|_| !powers.is_superuser) else {
            continue;
        };
        if !need.acting.within_view {
            let placed = |error: Error| if need.at > 0 { error.at(need.at) } else { error };
            check_schema(catalog, powers, &table.schema, Right::Usage).map_err(placed)?;
        }
        if !is_granted(access, powers, need) {
            return Err(denied(table.kind.word(), &table.name));
        }
        if need.owned {
            must_own(access, powers, table, table.kind.word(), &table.name)?;
        }
    }
    for call in bound.needs.calls() {
        let owners = call.owner.map(|owner| access.powers(owner));
        let powers = owners.as_ref().unwrap_or(powers);
        if !powers.is_superuser {
            check_call(catalog, powers, call)?;
        }
    }
    if powers.is_superuser {
        return Ok(());
    }
    match bound.plan.done() {
        Plan::Ddl(ddl) => check_ddl(catalog, powers, ddl),
        Plan::Session(command) => match command.as_ref() {
            SessionCommand::SplitAt { table, .. } | SessionCommand::ShowRanges(Some(table)) => {
                must_own(access, powers, table, "table", &table.name)
            }
            SessionCommand::EraseHistory(erase) => {
                let table = &erase.table;
                must_own(access, powers, table, table.kind.word(), &table.name)
            }
            SessionCommand::KeepHistory(keep) => match &keep.of {
                KeepOf::Table(_, table) => must_own(access, powers, table, table.kind.word(), &table.name),
                KeepOf::Database(oid) if access.owns(powers, Object::Database(*oid)) => Ok(()),
                KeepOf::Database(_) => Err(Error::new("42501", "must be owner of the database")),
                KeepOf::Cluster => {
                    Err(Error::new("42501", "must be superuser to change settings of the cluster"))
                }
            },
            SessionCommand::Backup(_) => {
                Err(Error::new("42501", "must be superuser to make, restore or look at backups"))
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

/// A function may be called by whoever may execute it, be it named or what a view or a default calls.
fn check_call(catalog: &CatalogSnapshot, powers: &Powers, call: &Call) -> Result<()> {
    let Some(function) = catalog.objects().get(call.function) else { return Ok(()) };
    if let Some(at) = call.named_at {
        let placed = |error: Error| if at > 0 { error.at(at) } else { error };
        check_schema(catalog, powers, &function.schema, Right::Usage).map_err(placed)?;
    }
    let wanted = Rights::of(Right::Execute);
    match catalog.access().granted(powers, Object::Function(call.function), None, wanted).is_empty() {
        true => Err(denied("function", &function.name)),
        false => Ok(()),
    }
}

/// `permission denied for table t`
pub(crate) fn denied(what: &str, name: &str) -> Error {
    Error::new("42501", format!("permission denied for {what} {name}"))
}

fn must_own(access: &Access, powers: &Powers, table: &TableDescriptor, what: &str, name: &str) -> Result<()> {
    if access.owns(powers, Object::of(table)) {
        return Ok(());
    }
    Err(Error::new("42501", format!("must be owner of {what} {name}")))
}

/// What is recorded of a table is not for its owner to say.
fn check_audit(changes: bool) -> Result<()> {
    match changes {
        true => Err(Error::new("42501", "must be superuser to change what of a table is audited")),
        false => Ok(()),
    }
}

/// A right on a schema.
pub(crate) fn check_schema(
    catalog: &CatalogSnapshot,
    powers: &Powers,
    name: &str,
    right: Right,
) -> Result<()> {
    if name == schema::TEMPORARY {
        return check_temporary(catalog, powers, right);
    }
    let Some(oid) = catalog.objects().schema_oid(name) else { return Ok(()) };
    let granted = catalog.access().granted(powers, Object::Schema(oid), None, Rights::of(right));
    if granted.is_empty() { Err(denied("schema", name)) } else { Ok(()) }
}

/// Whoever may make temporary objects in the database may do what he likes in his schema of them; others look things up there.
fn check_temporary(catalog: &CatalogSnapshot, powers: &Powers, right: Right) -> Result<()> {
    let (database, wanted) = (Object::Database(catalog.database_oid()), Rights::of(Right::Temporary));
    let may = !catalog.access().granted(powers, database, None, wanted).is_empty();
    if may || right != Right::Create {
        return Ok(());
    }
    match catalog.objects().temporary_schema() {
        Some(own) => Err(denied("schema", &own.name)),
        None => {
            let name = catalog.database_name();
            let message = format!("permission denied to create temporary tables in database \"{name}\"");
            Err(Error::new("42501", message))
        }
    }
}

/// The rights are on the whole, or, those that can be, on every column that is touched; of none, on any.
fn is_granted(access: &Access, powers: &Powers, need: &Need) -> bool {
    let table = &need.table;
    let whole = access.granted(powers, Object::of(table), Some(table.kind), need.rights);
    need.rights.without(whole).iter().all(|right| {
        let on =
            |column: Oid| !access.granted_on_column(powers, table.oid, column, Rights::of(right)).is_empty();
        let columns = match right {
            Right::Select => &need.read,
            Right::Insert => &need.inserted,
            Right::Update => &need.updated,
            Right::References => &need.referenced,
            _ => return false,
        };
        if columns.is_empty() {
            return table.visible().any(|(_, column)| on(column.id));
        }
        columns.iter().all(|column| on(*column))
    })
}

fn check_ddl(catalog: &CatalogSnapshot, powers: &Powers, ddl: &Ddl) -> Result<()> {
    let access = catalog.access();
    match ddl {
        Ddl::Object(change) => check_object(catalog, powers, change),
        Ddl::CreateTableAs(CreateTableAs { create, .. }) => {
            check_schema(catalog, powers, &create.schema, Right::Create)
        }
        Ddl::CreateTable(create) => {
            check_audit(create.audit != Classes::NONE)?;
            check_schema(catalog, powers, &create.schema, Right::Create).map_err(|error| error.at(create.at))
        }
        Ddl::Truncate(truncate) => truncate.tables.iter().try_for_each(|table| {
            let wanted = Rights::of(Right::Truncate);
            let granted = access.granted(powers, Object::Table(table.oid), Some(table.kind), wanted);
            if granted.is_empty() { Err(denied("table", &table.name)) } else { Ok(()) }
        }),
        Ddl::Refresh(refresh) => {
            must_own(access, powers, &refresh.table, "materialized view", &refresh.table.name)
        }
        Ddl::Reindex(reindex) => (reindex.indexes.iter())
            .try_for_each(|(table, _)| must_own(access, powers, table, "table", &table.name)),
        Ddl::CreateIndex(create) => {
            must_own(access, powers, &create.table, create.table.kind.word(), &create.table.name)?;
            check_schema(catalog, powers, &create.table.schema, Right::Create)
        }
        Ddl::AlterTable(alter) => {
            let what = if alter.tag == "DROP POLICY" { "relation" } else { "table" };
            must_own(access, powers, &alter.from, what, &alter.from.name)?;
            check_audit(alter.from.audit != alter.to.audit)?;
            // New relations stand in the table's schema.
            match alter.makes_relations() {
                true => check_schema(catalog, powers, &alter.from.schema, Right::Create),
                false => Ok(()),
            }
        }
        // Those judge by what they change.
        Ddl::Access(_) | Ddl::Nothing { .. } => Ok(()),
    }
}

fn check_object(catalog: &CatalogSnapshot, powers: &Powers, change: &ObjectChange) -> Result<()> {
    let access = catalog.access();
    let owns =
        |relation: &TableDescriptor| must_own(access, powers, relation, relation.kind.word(), &relation.name);
    let creates_schemas = || {
        let granted =
            access.granted(powers, Object::Database(catalog.database_oid()), None, Rights::of(Right::Create));
        if granted.is_empty() { Err(denied("database", catalog.database_name())) } else { Ok(()) }
    };
    let owns_schema = |oid: Oid, name: &str| match access.owns(powers, Object::Schema(oid)) {
        true => Ok(()),
        false => Err(Error::new("42501", format!("must be owner of schema {name}"))),
    };
    let owns_type = |oid: Oid| match access.owns(powers, Object::Type(oid)) {
        true => Ok(()),
        false => {
            let name = catalog.objects().kind(oid).map_or("", expr::TypeKind::display_name);
            Err(Error::new("42501", format!("must be owner of type {name}")))
        }
    };
    let owns_extension = |oid: Oid, name: &str| match access.owns(powers, Object::Extension(oid)) {
        true => Ok(()),
        false => Err(Error::new("42501", format!("must be owner of extension {name}"))),
    };
    let owns_function = |oid: Oid, name: &str| match access.owns(powers, Object::Function(oid)) {
        true => Ok(()),
        false => Err(Error::new("42501", format!("must be owner of function {name}"))),
    };
    match change {
        ObjectChange::Function(change) => match change {
            FunctionChange::Create { oid, schema, name, .. } => {
                check_schema(catalog, powers, schema, Right::Create)?;
                oid.map_or(Ok(()), |oid| owns_function(oid, name))
            }
            FunctionChange::Alter { oid, schema, moves, .. } => {
                let name = catalog.objects().get(*oid).map_or("", |object| object.name.as_str());
                owns_function(*oid, name)?;
                if *moves { check_schema(catalog, powers, schema, Right::Create) } else { Ok(()) }
            }
        },
        ObjectChange::CreateExtension { schema, .. } => {
            creates_schemas()?;
            check_schema(catalog, powers, schema, Right::Create)
        }
        ObjectChange::Type(change) => match change {
            TypeChange::Create { schema, .. } => check_schema(catalog, powers, schema, Right::Create),
            TypeChange::Alter { oid, .. }
            | TypeChange::RenameLabel { oid, .. }
            | TypeChange::AlterDomain { oid, .. } => owns_type(*oid),
            TypeChange::Move { oid, schema, .. } => {
                owns_type(*oid)?;
                check_schema(catalog, powers, schema, Right::Create)
            }
        },
        ObjectChange::CreateSequence { sequence } => {
            check_schema(catalog, powers, &sequence.schema, Right::Create)
        }
        ObjectChange::AlterSequence { sequence, .. } => {
            catalog.table_by_oid(sequence.oid).map_or(Ok(()), |relation| owns(relation))
        }
        ObjectChange::CreateView { oid, schema, .. } => {
            check_schema(catalog, powers, schema, Right::Create)?;
            oid.and_then(|oid| catalog.table_by_oid(oid)).map_or(Ok(()), |known| owns(known))
        }
        ObjectChange::AlterView { relation, .. } => owns(relation),
        ObjectChange::CreateSchema { .. } => creates_schemas(),
        // Of the whole: columns of then may be none any more.
        ObjectChange::Clone { schema, of, .. } => {
            let wanted = Rights::of(Right::Select);
            if access.granted(powers, Object::Table(of.oid), Some(of.kind), wanted).is_empty() {
                return Err(denied("table", &of.name));
            }
            check_schema(catalog, powers, schema, Right::Create)
        }
        // They are those of the rows that would be written.
        ObjectChange::FlashBack { .. } => Ok(()),
        // Whose it was is judged where it is found.
        ObjectChange::Undrop { schema, .. } => check_schema(catalog, powers, schema, Right::Create),
        ObjectChange::Rename { object, .. } => match object {
            Target::Schema { oid, name } => {
                owns_schema(*oid, name)?;
                creates_schemas()
            }
            Target::Relation(relation) => {
                owns(relation)?;
                check_schema(catalog, powers, &relation.schema, Right::Create)
            }
            Target::Index { table, name, .. } => {
                must_own(access, powers, table, "index", name)?;
                check_schema(catalog, powers, &table.schema, Right::Create)
            }
            Target::Type { kind } => owns_type(kind.oid()),
            Target::Extension { oid, name } => owns_extension(*oid, name),
            Target::Function { oid, name } => owns_function(*oid, name),
        },
        ObjectChange::Comment { on, owned, .. } => match owned {
            Some(Target::Relation(relation)) => owns(relation),
            Some(Target::Schema { oid, name }) => owns_schema(*oid, name),
            Some(Target::Index { table, name, .. }) => must_own(access, powers, table, "index", name),
            Some(Target::Type { kind }) => owns_type(kind.oid()),
            Some(Target::Extension { oid, name }) => owns_extension(*oid, name),
            Some(Target::Function { oid, name }) => owns_function(*oid, name),
            None if access.owns(powers, Object::Database(on.oid)) => Ok(()),
            None => {
                let name = catalog.databases().get(on.oid).map_or("", |database| &database.name);
                Err(Error::new("42501", format!("must be owner of database {name}")))
            }
        },
        ObjectChange::SetSchema { relation, schema, .. } => {
            owns(relation)?;
            check_schema(catalog, powers, schema, Right::Create)
        }
        ObjectChange::Drop { targets, .. } => targets.iter().try_for_each(|target| match target {
            Target::Schema { oid, name } => owns_schema(*oid, name),
            Target::Index { table, name, .. } => must_own(access, powers, table, "index", name),
            Target::Extension { oid, name } => owns_extension(*oid, name),
            Target::Function { oid, name } => {
                let schema = catalog.objects().get(*oid).map(|object| object.schema.as_str());
                let schema = schema.and_then(|schema| catalog.objects().schema_oid(schema));
                match schema.is_some_and(|schema| access.owns(powers, Object::Schema(schema))) {
                    true => Ok(()),
                    false => owns_function(*oid, name),
                }
            }
            Target::Type { kind } => {
                let schema = catalog.objects().get(kind.oid()).map(|object| object.schema.as_str());
                let schema = schema.and_then(|schema| catalog.objects().schema_oid(schema));
                match schema.is_some_and(|schema| access.owns(powers, Object::Schema(schema))) {
                    true => Ok(()),
                    false => owns_type(kind.oid()),
                }
            }
            Target::Relation(relation) => {
                let schema = catalog.objects().schema_oid(&relation.schema);
                match schema.is_some_and(|schema| access.owns(powers, Object::Schema(schema))) {
                    true => Ok(()),
                    false => owns(relation),
                }
            }
        }),
    }
}
