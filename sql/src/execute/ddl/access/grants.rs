//! GRANT and REVOKE of rights on objects, and ALTER … OWNER TO.
//!
//! Rights are granted in somebody's name: the owner's by whoever has the owner's rights, else that of the role whose
//! grant options reach farthest among those that the acting role has the rights of.

use std::sync::Arc;

use super::super::Change;
use super::forbidden;
use crate::catalog::access::{Acl, Object, ObjectRights, PUBLIC_ROLE, Powers, Right, Rights};
use crate::catalog::object::ObjectDescriptor;
use crate::catalog::{ColumnId, Oid, TableDescriptor, TableKind, schema};
use crate::error::{Error, Notice, Result};
use crate::execute::rights::{check_schema, denied};
use crate::parse::ast::{Grant, GrantObjects, Name, NamedRight, RoleReference};
use crate::plan::AccessChange;

/// Something that rights are granted on: its name in messages, and its table if it is one.
struct Target {
    object: Object,
    name: String,
    table: Option<Arc<TableDescriptor>>,
}

impl Change<'_, '_> {
    pub(super) fn grant_rights(&mut self, grant: &Grant, change: &AccessChange) -> Result<()> {
        let acting = self.acting()?;
        if let Some(grantor) = &grant.grantor
            && self.role_of(grantor)?.oid != acting.role
        {
            return Err(Error::new("0A000", "grantor must be current user"));
        }
        let mut grantees = Vec::new();
        for grantee in &grant.grantees {
            grantees.push(self.grantee(grantee)?);
        }
        if grant.option && !grant.revoke && grantees.contains(&PUBLIC_ROLE) {
            return Err(Error::new("0LP01", "grant options can only be granted to roles"));
        }
        for target in self.targets(&grant.objects, change)? {
            let (object, table) = (target.object, target.table.as_deref());
            let of = OfObject { object, table, word: word(object) };
            let (whole, columns) = wanted(of, &grant.rights)?;
            if !whole.is_empty() || columns.is_empty() {
                let all = grant.rights.iter().any(|right| right.right.is_none() && right.columns.is_empty());
                self.grant_on(&acting, grant, &target, &grantees, None, whole, all)?;
            }
            for (column, rights, all) in columns {
                self.grant_on(&acting, grant, &target, &grantees, Some(column), rights, all)?;
            }
        }
        Ok(())
    }

    fn targets(&self, objects: &GrantObjects, change: &AccessChange) -> Result<Vec<Target>> {
        let of_table = |table: &Arc<TableDescriptor>| Target {
            object: Object::of(table),
            name: table.name.clone(),
            table: Some(table.clone()),
        };
        let schema_of =
            |name: &Name| self.catalog.objects().schema_oid(&name.value).ok_or_else(|| no_schema(name));
        match objects {
            GrantObjects::Tables(_) | GrantObjects::Sequences(_) => {
                Ok(change.tables.iter().map(of_table).collect())
            }
            GrantObjects::Functions(_) => {
                let found = change.functions.iter().filter_map(|oid| self.catalog.objects().get(*oid));
                Ok(found.map(|object| of_function(object)).collect())
            }
            GrantObjects::FunctionsIn(schemas) => {
                schemas.iter().try_for_each(|name| schema_of(name).map(drop))?;
                let functions = self.catalog.objects().functions();
                let within = functions.filter(|(own, _)| schemas.iter().any(|name| name.value == own.schema));
                Ok(within.map(|(object, _)| of_function(object)).collect())
            }
            GrantObjects::TablesIn(schemas) | GrantObjects::SequencesIn(schemas) => {
                let sequences = matches!(objects, GrantObjects::SequencesIn(_));
                schemas.iter().try_for_each(|name| schema_of(name).map(drop))?;
                let within = |table: &&Arc<TableDescriptor>| {
                    let fits = sequences == (table.kind == TableKind::Sequence);
                    let objects = self.catalog.objects();
                    fits && schemas.iter().any(|name| objects.kept_schema(&name.value) == table.schema)
                };
                Ok(self.catalog.tables().filter(within).map(of_table).collect())
            }
            GrantObjects::Schemas(names) => names
                .iter()
                .map(|name| {
                    let object = Object::Schema(self.schema_itself(name)?);
                    Ok(Target { object, name: name.value.clone(), table: None })
                })
                .collect(),
            GrantObjects::Databases(names) => names
                .iter()
                .map(|name| {
                    let missing =
                        || Error::new("3D000", format!("database \"{}\" does not exist", name.value));
                    let database = self.catalog.databases().named(&name.value).ok_or_else(missing)?;
                    Ok(Target {
                        object: Object::Database(database.oid),
                        name: name.value.clone(),
                        table: None,
                    })
                })
                .collect(),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a grant has so many parts")]
    fn grant_on(
        &mut self,
        acting: &Powers,
        grant: &Grant,
        target: &Target,
        grantees: &[Oid],
        column: Option<ColumnId>,
        wanted: Rights,
        all: bool,
    ) -> Result<()> {
        let access = self.catalog.access().clone();
        let kind = target.table.as_ref().map(|table| table.kind);
        let mut rights = ObjectRights::clone(&access.object(target.object));
        let whole = access.acl(target.object, kind);
        let own = column.map(|column| rights.columns.get(&column).cloned().unwrap_or_default());
        let grantable = |role: Oid| {
            let of_whole = whole.grantable_by(role, rights.owner, wanted);
            let of_column =
                own.as_ref().map_or(Rights::NONE, |acl| acl.grantable_by(role, rights.owner, wanted));
            of_whole.or(of_column).and(wanted)
        };
        let grantor = if acting.has(rights.owner) {
            rights.owner
        } else {
            let candidates = std::iter::once(acting.role).chain(acting.roles());
            // The first of those that reach farthest.
            candidates
                .fold((acting.role, 0), |(best, reach), role| {
                    let own = grantable(role).len();
                    if own > reach { (role, own) } else { (best, reach) }
                })
                .0
        };
        let granted = grantable(grantor);
        if granted.is_empty() && !holds_any(acting, &whole, own.as_ref()) {
            return Err(denied(word(target.object), &target.name));
        }
        self.warn_of_rest(grant.revoke, target, column, wanted, granted, all);
        let owner = rights.owner;
        let change = |acl: &mut Acl, granted: Rights| {
            for grantee in grantees {
                if grant.revoke {
                    acl.remove(*grantee, grantor, owner, granted, grant.option, grant.cascade).map_err(
                        |_dependent| {
                            Error::new("2BP01", "dependent privileges exist")
                                .hint("Use CASCADE to revoke them too.")
                        },
                    )?;
                } else {
                    acl.add(*grantee, grantor, granted, if grant.option { granted } else { Rights::NONE });
                }
            }
            Ok::<_, Error>(())
        };
        match column {
            Some(column) => {
                let acl = rights.columns.entry(column).or_default();
                change(acl, granted)?;
                rights.columns.retain(|_, acl| !acl.is_empty());
            }
            None => {
                let mut acl = whole;
                change(&mut acl, granted)?;
                rights.acl = Some(acl);
                if grant.revoke {
                    // What is taken back of the whole is taken back of each column.
                    for acl in rights.columns.values_mut() {
                        change(acl, granted)?;
                    }
                    rights.columns.retain(|_, acl| !acl.is_empty());
                }
            }
        }
        self.put_rights(target.object, rights);
        Ok(())
    }

    fn warn_of_rest(
        &mut self,
        revoke: bool,
        target: &Target,
        column: Option<ColumnId>,
        wanted: Rights,
        granted: Rights,
        all: bool,
    ) {
        let (sqlstate, verb) = if revoke { ("01006", "could be revoked") } else { ("01007", "were granted") };
        let name = match (column, &target.table) {
            (Some(column), Some(table)) => {
                let column = table.columns.iter().find(|own| own.id == column);
                let column = column.map_or("", |column| column.name.as_str());
                format!("column \"{column}\" of relation \"{}\"", target.name)
            }
            _ => format!("\"{}\"", target.name),
        };
        if granted.is_empty() {
            self.notice(Notice::warning(sqlstate, format!("no privileges {verb} for {name}")));
        } else if granted != wanted && !all {
            self.notice(Notice::warning(sqlstate, format!("not all privileges {verb} for {name}")));
        }
    }

    pub(in super::super) fn change_owner(
        &mut self,
        table: &TableDescriptor,
        owner: &RoleReference,
    ) -> Result<()> {
        let acting = self.acting()?;
        let owner = self.role_of(owner)?;
        let owner_oid = owner.oid;
        let access = self.catalog.access().clone();
        let object = Object::of(table);
        let mut rights = ObjectRights::clone(&access.object(object));
        if !acting.has(rights.owner) {
            return Err(forbidden(format!("must be owner of {} {}", table.kind.word(), table.name)));
        }
        let sequence = self.catalog.objects().get(table.oid).and_then(|object| object.sequence());
        if let Some(owner) = sequence.and_then(|sequence| sequence.owner)
            && access.object(Object::Table(owner.table)).owner != owner_oid
        {
            let linked = self.catalog.table_by_oid(owner.table).map_or("", |table| table.name.as_str());
            let detail = format!("Sequence \"{}\" is linked to table \"{linked}\".", table.name);
            let message = format!("cannot change owner of sequence \"{}\"", table.name);
            return Err(Error::new("0A000", message).detail(detail));
        }
        if rights.owner == owner.oid {
            return Ok(());
        }
        if !acting.is_superuser {
            if !access.is_member(acting.role, owner.oid) {
                return Err(forbidden(format!("must be member of role \"{}\"", owner.name)));
            }
            check_schema(&self.catalog, &access.powers(owner.oid), &table.schema, Right::Create)?;
        }
        let from = std::mem::replace(&mut rights.owner, owner.oid);
        rights
            .acl
            .iter_mut()
            .chain(rights.columns.values_mut())
            .for_each(|acl| acl.change_owner(from, owner.oid));
        self.put_rights(object, rights);
        // What goes with its columns is its owner's.
        let owned: Vec<Oid> =
            self.catalog.objects().owned_by(table.oid, None).map(|sequence| sequence.oid).collect();
        for sequence in owned {
            let object = Object::Sequence(sequence);
            let mut rights = ObjectRights::clone(&access.object(object));
            let from = std::mem::replace(&mut rights.owner, owner.oid);
            rights.acl.iter_mut().for_each(|acl| acl.change_owner(from, owner.oid));
            self.put_rights(object, rights);
        }
        Ok(())
    }

    pub(super) fn change_function_owner(&mut self, oid: Oid, owner: &RoleReference) -> Result<()> {
        let known = self.catalog.objects().get(oid).cloned();
        let known = known.ok_or_else(|| Error::internal("a function is gone"))?;
        let acting = self.acting()?;
        let object = Object::Function(oid);
        let access = self.catalog.access().clone();
        let mut rights = ObjectRights::clone(&access.object(object));
        if !acting.has(rights.owner) {
            return Err(forbidden(format!("must be owner of function {}", known.name)));
        }
        let owner = self.owner_to_be(owner)?;
        if rights.owner == owner.oid {
            return Ok(());
        }
        if !acting.is_superuser {
            check_schema(&self.catalog, &access.powers(owner.oid), &known.schema, Right::Create)?;
        }
        let from = std::mem::replace(&mut rights.owner, owner.oid);
        rights.acl.iter_mut().for_each(|acl| acl.change_owner(from, owner.oid));
        self.put_rights(object, rights);
        Ok(())
    }

    pub(super) fn change_type_owner(&mut self, oid: Oid, owner: &RoleReference) -> Result<()> {
        let known = self.catalog.objects().get(oid).cloned();
        let (Some(known), Some(kind)) = (known, self.catalog.objects().kind(oid)) else {
            return Err(Error::internal("a type is gone"));
        };
        let acting = self.acting()?;
        let object = Object::Type(oid);
        let access = self.catalog.access().clone();
        let mut rights = ObjectRights::clone(&access.object(object));
        if !acting.has(rights.owner) {
            return Err(forbidden(format!("must be owner of type {}", kind.display_name())));
        }
        let owner = self.owner_to_be(owner)?;
        if rights.owner == owner.oid {
            return Ok(());
        }
        if !acting.is_superuser {
            check_schema(&self.catalog, &access.powers(owner.oid), &known.schema, Right::Create)?;
        }
        let from = std::mem::replace(&mut rights.owner, owner.oid);
        rights.acl.iter_mut().for_each(|acl| acl.change_owner(from, owner.oid));
        self.put_rights(object, rights);
        Ok(())
    }

    /// The schema of this name where it is meant itself: `pg_temp` is a word for one, where things are looked for in it.
    pub(super) fn schema_itself(&self, name: &Name) -> Result<Oid> {
        let found = self.catalog.objects().schema_oid(&name.value);
        found.filter(|_| name.value != schema::TEMPORARY).ok_or_else(|| no_schema(name))
    }

    pub(super) fn change_schema_owner(&mut self, name: &Name, owner: &RoleReference) -> Result<()> {
        let oid = self.schema_itself(name)?;
        let acting = self.acting()?;
        let object = Object::Schema(oid);
        let access = self.catalog.access().clone();
        let mut rights = ObjectRights::clone(&access.object(object));
        if !acting.has(rights.owner) {
            return Err(forbidden(format!("must be owner of schema {}", name.value)));
        }
        let owner = self.owner_to_be(owner)?;
        if rights.owner == owner.oid {
            return Ok(());
        }
        if access
            .granted(&acting, Object::Database(self.catalog.database_oid()), None, Rights::of(Right::Create))
            .is_empty()
        {
            return Err(denied("database", &self.cx.session.database));
        }
        let from = std::mem::replace(&mut rights.owner, owner.oid);
        rights.acl.iter_mut().for_each(|acl| acl.change_owner(from, owner.oid));
        self.put_rights(object, rights);
        Ok(())
    }
}

fn of_function(object: &ObjectDescriptor) -> Target {
    Target { object: Object::Function(object.oid), name: object.name.clone(), table: None }
}

fn no_schema(name: &Name) -> Error {
    Error::new("3F000", format!("schema \"{}\" does not exist", name.value))
}

/// Whether the role holds anything at all of an object: then what it cannot grant is a warning.
fn holds_any(acting: &Powers, whole: &Acl, column: Option<&Acl>) -> bool {
    let roles = acting.roles().collect();
    let held = whole.held_by(&roles).or(column.map_or(Rights::NONE, |acl| acl.held_by(&roles)));
    !held.is_empty()
}

fn word(object: Object) -> &'static str {
    match object {
        Object::Table(_) => "table",
        Object::Sequence(_) => "sequence",
        Object::Schema(_) => "schema",
        Object::Type(_) => "type",
        Object::Extension(_) => "extension",
        Object::Function(_) => "function",
        Object::Database(_) => "database",
    }
}

/// Rights on columns, and whether all were asked for.
pub(super) type OnColumns = Vec<(ColumnId, Rights, bool)>;

/// What rights are named for.
#[derive(Clone, Copy)]
pub(super) struct OfObject<'t> {
    object: Object,
    table: Option<&'t TableDescriptor>,
    /// What messages call it.
    word: &'static str,
}

impl OfObject<'_> {
    /// Any object like this.
    pub(super) fn new(object: Object) -> Self {
        let word = if matches!(object, Object::Table(_)) { "relation" } else { word(object) };
        Self { object, table: None, word }
    }
}

/// The rights on the whole and on columns that a statement names.
pub(super) fn wanted(target: OfObject<'_>, named: &[NamedRight]) -> Result<(Rights, OnColumns)> {
    let mut whole = Rights::NONE;
    let mut columns: OnColumns = Vec::new();
    for NamedRight { right, columns: names } in named {
        let possible = if names.is_empty() { Rights::all_of(target.object) } else { Rights::all_of_column() };
        let rights = match right {
            None => possible,
            Some(name) => {
                let right = Right::named(&name.value).ok_or_else(|| {
                    Error::new("42601", format!("unrecognized privilege type \"{}\"", name.value))
                })?;
                if !possible.contains(right) {
                    let what = if names.is_empty() { target.word } else { "column" };
                    let message = format!("invalid privilege type {} for {what}", right.name());
                    return Err(Error::new("0LP01", message));
                }
                Rights::of(right)
            }
        };
        if names.is_empty() {
            whole = whole.or(rights);
            continue;
        }
        let Some(table) = target.table else {
            return Err(Error::new("0LP01", "column privileges are only valid for relations"));
        };
        for name in names {
            let found = table.visible().find(|(_, column)| column.name == name.value);
            let Some((_, column)) = found else {
                let message =
                    format!("column \"{}\" of relation \"{}\" does not exist", name.value, table.name);
                return Err(Error::new("42703", message));
            };
            match columns.iter_mut().find(|(id, ..)| *id == column.id) {
                Some((_, known, all)) => {
                    *known = known.or(rights);
                    *all |= right.is_none();
                }
                None => columns.push((column.id, rights, right.is_none())),
            }
        }
    }
    Ok((whole, columns))
}
