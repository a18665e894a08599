//! `has_table_privilege` and its like, `pg_has_role`, `row_security_active`.
//!
//! Each is called with or without the role first, which is its name, its oid or `public`; objects go by name or oid. An
//! oid that nothing has answers NULL, a name an error. Of several rights with commas one suffices.

use std::sync::Arc;

use expr::{Datum, Error, Result};

use crate::catalog::access::{Acl, Object, PUBLIC_ROLE, Powers, Right, Rights};
use crate::catalog::{CatalogSnapshot, Oid, TableDescriptor, TableKind};

/// Where a question is asked.
pub(super) struct Asked<'a> {
    pub(super) catalog: &'a CatalogSnapshot,
    /// The acting role.
    pub(super) user: &'a str,
    /// What a name of a relation means.
    pub(super) relation: &'a dyn Fn(&str) -> Result<Option<Oid>>,
    /// What a name of a function with the types of its arguments means.
    pub(super) function: &'a dyn Fn(&str) -> Result<Oid>,
}

/// A right that is asked for, and whether it is to be granted on.
pub(super) struct Wanted {
    right: Right,
    grantable: bool,
}

impl Asked<'_> {
    /// Answers a function; `None`: it is none of these.
    pub(super) fn answer(&self, name: &str, arguments: &[Datum]) -> Option<Result<Datum>> {
        Some(match name {
            "has_table_privilege" => self.on_table(arguments, false),
            "has_any_column_privilege" => self.on_table(arguments, true),
            "has_column_privilege" => self.on_column(arguments),
            "has_sequence_privilege" => self.on_sequence(arguments),
            "has_schema_privilege" => self.on_schema(arguments),
            "has_database_privilege" => self.on_database(arguments),
            "has_function_privilege" => self.on_function(arguments),
            "pg_has_role" => self.has_role(arguments),
            "row_security_active" => self.heeds_policies(arguments),
            _ => return None,
        })
    }

    /// What the role may that stands before `rest` others, or the acting one.
    pub(super) fn powers<'d>(&self, arguments: &'d [Datum], rest: usize) -> Result<(Powers, &'d [Datum])> {
        match arguments.split_first() {
            Some((role, others)) if others.len() == rest => Ok((self.powers_of(role)?, others)),
            _ => Ok((self.powers_of(&Datum::text(self.user))?, arguments)),
        }
    }

    fn powers_of(&self, role: &Datum) -> Result<Powers> {
        if role.as_str() == Some("public") {
            return Ok(self.catalog.access().powers(PUBLIC_ROLE));
        }
        let oid = match self.role(role)? {
            Some(oid) => oid,
            None => role.as_i64().and_then(|oid| u32::try_from(oid).ok()).unwrap_or(PUBLIC_ROLE),
        };
        Ok(self.catalog.access().powers(oid))
    }

    /// A role by its name, which there must be, or by its oid.
    fn role(&self, role: &Datum) -> Result<Option<Oid>> {
        let access = self.catalog.access();
        match role.as_str() {
            Some(name) => match access.role_named(name) {
                Some(role) => Ok(Some(role.oid)),
                None => Err(Error::new("42704", format!("role \"{name}\" does not exist"))),
            },
            None => {
                let oid = role.as_i64().and_then(|oid| u32::try_from(oid).ok());
                Ok(oid.filter(|oid| access.role(*oid).is_some()))
            }
        }
    }

    fn table(&self, which: Option<&Datum>) -> Result<Option<Arc<TableDescriptor>>> {
        let oid = match which.and_then(Datum::as_str) {
            Some(name) => {
                let missing = || Error::new("42P01", format!("relation \"{name}\" does not exist"));
                Some((self.relation)(name)?.ok_or_else(missing)?)
            }
            None => which.and_then(Datum::as_i64).and_then(|oid| u32::try_from(oid).ok()),
        };
        Ok(oid.and_then(|oid| self.catalog.table_by_oid(oid)).cloned())
    }

    /// Whether the policies of a table bind the acting role.
    fn heeds_policies(&self, arguments: &[Datum]) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 1)?;
        let table = self.table(rest.first())?;
        let heeds = table.is_some_and(|table| self.catalog.access().heeds_policies(&powers, &table));
        Ok(Datum::Bool(heeds))
    }

    fn on_table(&self, arguments: &[Datum], any_column: bool) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 2)?;
        let wanted = rights(rest.get(1), Object::Table(0))?;
        let Some(table) = self.table(rest.first())? else { return Ok(Datum::Null) };
        let mut holds = self.holds(&powers, Object::of(&table), Some(table.as_ref()), &wanted);
        if any_column && !holds {
            holds =
                table.visible().any(|(_, column)| self.holds_on_column(&powers, &table, column.id, &wanted));
        }
        Ok(Datum::Bool(holds))
    }

    fn on_column(&self, arguments: &[Datum]) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 3)?;
        let wanted = rights(rest.get(2), Object::Table(0))?;
        let Some(table) = self.table(rest.first())? else { return Ok(Datum::Null) };
        let column = match rest.get(1).and_then(Datum::as_str) {
            Some(name) => match table.column_by_name(name).and_then(|place| table.columns.get(place)) {
                Some(column) => column.id,
                None => {
                    let message = format!("column \"{name}\" of relation \"{}\" does not exist", table.name);
                    return Err(Error::new("42703", message));
                }
            },
            None => {
                let number =
                    rest.get(1).and_then(Datum::as_i64).and_then(|number| u32::try_from(number).ok());
                match number.filter(|number| table.visible().any(|(_, column)| column.id == *number)) {
                    Some(number) => number,
                    None => return Ok(Datum::Null),
                }
            }
        };
        let whole = self.holds(&powers, Object::of(&table), Some(table.as_ref()), &wanted);
        Ok(Datum::Bool(whole || self.holds_on_column(&powers, &table, column, &wanted)))
    }

    fn on_sequence(&self, arguments: &[Datum]) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 2)?;
        let wanted = rights(rest.get(1), Object::Sequence(0))?;
        let Some(sequence) = self.table(rest.first())? else { return Ok(Datum::Null) };
        if sequence.kind != TableKind::Sequence {
            let shown = rest.first().and_then(Datum::as_str).unwrap_or(&sequence.name);
            return Err(Error::new("42809", format!("\"{shown}\" is not a sequence")));
        }
        Ok(Datum::Bool(self.holds(&powers, Object::Sequence(sequence.oid), Some(sequence.as_ref()), &wanted)))
    }

    fn on_schema(&self, arguments: &[Datum]) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 2)?;
        let wanted = rights(rest.get(1), Object::Schema(0))?;
        let oid = match rest.first().and_then(Datum::as_str) {
            Some(name) => {
                let missing = || Error::new("3F000", format!("schema \"{name}\" does not exist"));
                self.catalog.objects().schema_oid(name).ok_or_else(missing)?
            }
            None => match rest.first().and_then(Datum::as_i64).and_then(|oid| u32::try_from(oid).ok()) {
                Some(oid) if self.catalog.objects().schema_name(oid).is_some() => oid,
                _ => return Ok(Datum::Null),
            },
        };
        Ok(Datum::Bool(self.holds(&powers, Object::Schema(oid), None, &wanted)))
    }

    fn on_database(&self, arguments: &[Datum]) -> Result<Datum> {
        let (powers, rest) = self.powers(arguments, 2)?;
        let wanted = rights(rest.get(1), Object::Database(0))?;
        let databases = self.catalog.databases();
        let database = match rest.first().and_then(Datum::as_str) {
            Some(name) => {
                let missing = || Error::new("3D000", format!("database \"{name}\" does not exist"));
                databases.named(name).ok_or_else(missing)?
            }
            None => match rest.first().and_then(Datum::as_i64).and_then(|oid| Oid::try_from(oid).ok()) {
                Some(oid) => match databases.get(oid) {
                    Some(database) => database,
                    None => return Ok(Datum::Null),
                },
                None => return Ok(Datum::Null),
            },
        };
        Ok(Datum::Bool(self.holds(&powers, Object::Database(database.oid), None, &wanted)))
    }

    fn has_role(&self, arguments: &[Datum]) -> Result<Datum> {
        let access = self.catalog.access();
        let (member, rest) = match arguments {
            [member, rest @ ..] if rest.len() == 2 => (self.role(member)?, rest),
            rest => (self.role(&Datum::text(self.user))?, rest),
        };
        let role = rest.first().map_or(Ok(None), |role| self.role(role))?;
        let (Some(member), Some(role)) = (member, role) else { return Ok(Datum::Bool(false)) };
        let text = rest.get(1).and_then(Datum::as_str).unwrap_or_default();
        let mut holds = false;
        for part in text.split(',').map(|part| part.trim().to_ascii_uppercase()) {
            holds |= match part.as_str() {
                "USAGE" => access.powers(member).has(role),
                "MEMBER" => access.is_member(member, role),
                "USAGE WITH GRANT OPTION"
                | "USAGE WITH ADMIN OPTION"
                | "MEMBER WITH GRANT OPTION"
                | "MEMBER WITH ADMIN OPTION" => access.is_admin(member, role),
                _ => return Err(unrecognised(part.as_str())),
            };
        }
        Ok(Datum::Bool(holds))
    }

    pub(super) fn holds(
        &self,
        powers: &Powers,
        object: Object,
        table: Option<&TableDescriptor>,
        wanted: &[Wanted],
    ) -> bool {
        let access = self.catalog.access();
        let kind = table.map(|table| table.kind);
        wanted.iter().any(|wanted| {
            let right = Rights::of(wanted.right);
            if !wanted.grantable {
                return !access.granted(powers, object, kind, right).is_empty();
            }
            powers.is_superuser
                || access.owns(powers, object)
                || grantable(&access.acl(object, kind), powers, right)
        })
    }

    fn holds_on_column(
        &self,
        powers: &Powers,
        table: &TableDescriptor,
        column: u32,
        wanted: &[Wanted],
    ) -> bool {
        let access = self.catalog.access();
        wanted.iter().any(|wanted| {
            let right = Rights::of(wanted.right);
            if !wanted.grantable {
                return !access.granted_on_column(powers, table.oid, column, right).is_empty();
            }
            let rights = access.object(Object::Table(table.oid));
            rights.columns.get(&column).is_some_and(|acl| grantable(acl, powers, right))
        })
    }
}

fn grantable(acl: &Acl, powers: &Powers, right: Rights) -> bool {
    acl.items().iter().any(|item| powers.has(item.grantee) && !item.grantable.and(right).is_empty())
}

fn unrecognised(text: &str) -> Error {
    Error::new("22023", format!("unrecognized privilege type: \"{text}\""))
}

/// The rights that a text lists, of those that there are on such an object.
pub(super) fn rights(text: Option<&Datum>, object: Object) -> Result<Vec<Wanted>> {
    let text = text.and_then(Datum::as_str).unwrap_or_default();
    let mut wanted = Vec::new();
    for part in text.split(',').map(str::trim) {
        let upper = part.to_ascii_uppercase();
        let (name, grantable) = match upper.strip_suffix(" WITH GRANT OPTION") {
            Some(name) => (name, true),
            None => (upper.as_str(), false),
        };
        let right = Right::named(name).filter(|right| Rights::all_of(object).contains(*right));
        wanted.push(Wanted { right: right.ok_or_else(|| unrecognised(part))?, grantable });
    }
    Ok(wanted)
}
