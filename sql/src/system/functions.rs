//! Functions that answer from the catalog, and the names behind regclass and its like.

use std::sync::Arc;

use expr::session::CatalogFunctions;
use expr::{Datum, Type, TypeKind};

use super::privileges::Asked;
use super::sizes::Sizes;
use super::{DATABASE_OID, cluster, deparse};
use crate::bind;
use crate::catalog::{CatalogSnapshot, DATABASE_NAMES, SearchPath, schema};
use crate::settings::{Request, Scope, SharedSettings};

/// The catalog as one session sees it.
#[derive(Debug)]
pub(crate) struct SessionCatalog {
    catalog: Arc<CatalogSnapshot>,
    path: SearchPath,
    user: Arc<str>,
    settings: Arc<SharedSettings>,
    sizes: Arc<Sizes>,
}

impl SessionCatalog {
    pub(crate) fn new(
        catalog: Arc<CatalogSnapshot>,
        path: SearchPath,
        user: Arc<str>,
        settings: Arc<SharedSettings>,
        sizes: Arc<Sizes>,
    ) -> Self {
        Self { catalog, path, user, settings, sizes }
    }

    /// How much room the table or index takes; `None`: there is none such, or it is not known.
    fn relation_size(&self, oid: u32) -> Option<u64> {
        if let Some(table) = self.catalog.table_by_oid(oid) {
            return self.sizes.table(table);
        }
        let (_, index) = self.catalog.index_by_oid(oid)?;
        // That of the primary key is the table.
        if index.primary { Some(0) } else { self.sizes.index(index.id) }
    }

    fn indexes_size(&self, oid: u32) -> Option<u64> {
        match self.catalog.table_by_oid(oid) {
            Some(table) => self.sizes.indexes(table),
            None => self.catalog.index_by_oid(oid).map(|_| 0),
        }
    }

    fn fork_size(&self, oid: u32, fork: Option<&str>) -> expr::Result<Option<u64>> {
        match fork {
            None | Some("main") => Ok(self.relation_size(oid)),
            Some("fsm" | "vm" | "init") => Ok(self.relation_size(oid).map(|_| 0)),
            Some(_) => Err(expr::Error::new("22023", "invalid fork name")
                .with_hint("Valid fork names are \"main\", \"fsm\", \"vm\", and \"init\".")),
        }
    }

    fn database_size(&self, which: Option<&Datum>) -> expr::Result<Option<u64>> {
        match which {
            Some(Datum::Text(name)) if !DATABASE_NAMES.contains(&&**name) => {
                Err(expr::Error::new("3D000", format!("database \"{name}\" does not exist")))
            }
            Some(Datum::Oid(oid)) if *oid != DATABASE_OID => Ok(None),
            _ => Ok(self.sizes.database()),
        }
    }

    fn tablespace_size(&self, which: Option<&Datum>) -> expr::Result<Option<u64>> {
        match which {
            Some(Datum::Text(name)) => match &**name {
                "pg_default" => Ok(self.sizes.database()),
                "pg_global" => Ok(Some(0)),
                _ => Err(expr::Error::new("42704", format!("tablespace \"{name}\" does not exist"))),
            },
            Some(Datum::Oid(cluster::TABLESPACE_DEFAULT_OID)) => Ok(self.sizes.database()),
            Some(Datum::Oid(cluster::TABLESPACE_GLOBAL_OID)) => Ok(Some(0)),
            _ => Ok(None),
        }
    }

    fn current_setting(&self, name: &str, missing_ok: bool) -> expr::Result<Datum> {
        match self.settings.get(name) {
            Some(value) => Ok(Datum::Text(value)),
            None if missing_ok => Ok(Datum::Null),
            None => {
                Err(expr::Error::new("42704", format!("unrecognized configuration parameter \"{name}\"")))
            }
        }
    }

    fn set_config(&self, arguments: &[Datum]) -> expr::Result<Datum> {
        let Some(name) = arguments.first().and_then(Datum::as_str) else {
            return Err(expr::Error::new("22004", "SET requires parameter name"));
        };
        let scope =
            if matches!(arguments.get(2), Some(Datum::Bool(true))) { Scope::Local } else { Scope::Session };
        let value = arguments.get(1).and_then(Datum::as_str).map(str::to_owned);
        let request = Request { name: name.to_owned(), value, scope };
        let shown = self.settings.request(request);
        shown.map(Datum::Text).map_err(|error| expr::Error::new(error.sqlstate, error.message.clone()))
    }

    /// Schema and name of a table or an index.
    fn relation(&self, oid: u32) -> Option<(&str, &str)> {
        if let Some(table) = self.catalog.table_by_oid(oid) {
            return Some((&table.schema, &table.name));
        }
        let (table, index) = self.catalog.index_by_oid(oid)?;
        Some((&table.schema, &index.name))
    }

    /// Whether the relation is what its bare name means.
    fn is_visible(&self, oid: u32) -> Option<bool> {
        let (_, name) = self.relation(oid)?;
        Some(self.catalog.relation_oid(&self.path, None, name) == Some(oid))
    }

    fn constraint(&self, oid: u32) -> Option<String> {
        self.catalog.tables().find_map(|table| {
            let index = table
                .indexes
                .iter()
                .find(|index| index.constraint.is_some_and(|constraint| constraint.oid == oid))?;
            deparse::constraint(table, index)
        })
    }

    fn index(&self, oid: u32, column: i64, pretty: bool) -> Option<String> {
        let (table, index) = self.catalog.index_by_oid(oid)?;
        match usize::try_from(column) {
            Ok(0) | Err(_) => {
                let is_visible = pretty && self.is_visible(table.oid).unwrap_or(false);
                Some(deparse::index(table, index, is_visible))
            }
            Ok(number) => deparse::index_column(table, index, number),
        }
    }

    /// A default of the table, as it is kept, without parentheses that make no difference.
    fn sparing_default(&self, table: u32, kept: &str) -> String {
        let table = self.catalog.table_by_oid(table);
        let column = table
            .and_then(|table| table.columns.iter().find(|column| column.default.as_deref() == Some(kept)));
        let ty = column.map(|column| column.ty);
        bind::sparing(kept, ty, &self.catalog, &self.path).unwrap_or_else(|| kept.to_owned())
    }

    fn relation_named(&self, text: &str) -> Option<u32> {
        let (schema, name) = match split_name(text).as_slice() {
            [name] => (None, name.clone()),
            [schema, name] => (Some(schema.clone()), name.clone()),
            _ => return None,
        };
        self.catalog.relation_oid(&self.path, schema.as_deref(), &name)
    }

    fn current_schemas(&self, implicit: bool) -> Datum {
        let names: Vec<Datum> = if implicit {
            self.path.lookup().filter(|name| schema::oid(name).is_some()).map(Datum::text).collect()
        } else {
            self.path.explicit().filter(|name| schema::oid(name).is_some()).map(Datum::text).collect()
        };
        Datum::Array(names.into())
    }
}

/// The parts of a name that dots separate; folded unless quoted.
fn split_name(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            c if quoted => part.push(c),
            c => part.extend(c.to_lowercase()),
        }
    }
    parts.push(part);
    parts
}

fn optional_bytes(bytes: Option<u64>) -> Datum {
    bytes.and_then(|bytes| i64::try_from(bytes).ok()).map_or(Datum::Null, Datum::Int8)
}

fn optional_text(text: Option<String>) -> Datum {
    text.map_or(Datum::Null, Datum::text)
}

fn oid_of(argument: Option<&Datum>) -> u32 {
    argument.and_then(Datum::as_i64).and_then(|oid| u32::try_from(oid).ok()).unwrap_or(0)
}

impl CatalogFunctions for SessionCatalog {
    fn call(&self, name: &str, arguments: &[Datum]) -> expr::Result<Datum> {
        let relation = |name: &str| self.relation_named(name);
        let asked = Asked { catalog: &self.catalog, user: &self.user, relation: &relation };
        if let Some(answer) = asked.answer(name, arguments) {
            return answer;
        }
        let first = arguments.first();
        let number = |place: usize| arguments.get(place).and_then(Datum::as_i64);
        let flag = |place: usize| matches!(arguments.get(place), Some(Datum::Bool(true)));
        Ok(match name {
            "pg_table_is_visible" => self.is_visible(oid_of(first)).map_or(Datum::Null, Datum::Bool),
            "pg_type_is_visible" => {
                TypeKind::from_oid(oid_of(first)).map_or(Datum::Null, |_| Datum::Bool(true))
            }
            "pg_function_is_visible" | "pg_operator_is_visible" | "pg_collation_is_visible" => {
                Datum::Bool(true)
            }
            "pg_get_userbyid" => match self.catalog.access().role(oid_of(first)) {
                Some(role) => Datum::text(role.name.clone()),
                None => Datum::text(format!("unknown (OID={})", oid_of(first))),
            },
            "format_type" => match first {
                None | Some(Datum::Null) => Datum::Null,
                Some(_) => {
                    // Without a modifier it is the type's own name; -1 says of a type that it has none.
                    let modifier = number(1).and_then(|modifier| i32::try_from(modifier).ok());
                    Datum::text(match (oid_of(first), TypeKind::from_oid(oid_of(first)), modifier) {
                        (0, _, _) => "-".to_owned(),
                        (_, Some(kind), None) => kind.display_name().to_owned(),
                        (_, Some(kind), Some(modifier)) => Type { kind, modifier }.display_name(),
                        (_, None, _) => "???".to_owned(),
                    })
                }
            },
            "pg_get_expr" => match first.and_then(Datum::as_str) {
                Some(kept) if flag(2) => Datum::text(self.sparing_default(oid_of(arguments.get(1)), kept)),
                _ => first.cloned().unwrap_or_default(),
            },
            "pg_get_indexdef" => optional_text(self.index(oid_of(first), number(1).unwrap_or(0), flag(2))),
            "pg_get_constraintdef" => optional_text(self.constraint(oid_of(first))),
            "pg_encoding_to_char" => match number(0) {
                Some(code) if code == i64::from(cluster::ENCODING_UTF8) => Datum::text("UTF8"),
                Some(0) => Datum::text("SQL_ASCII"),
                _ => Datum::text(""),
            },
            "pg_relation_is_publishable" => {
                Datum::Bool(self.catalog.table_by_oid(oid_of(first)).is_some_and(super::is_base))
            }
            "current_setting" => {
                self.current_setting(first.and_then(Datum::as_str).unwrap_or(""), flag(1))?
            }
            "set_config" => self.set_config(arguments)?,
            "current_schemas" => self.current_schemas(flag(0)),
            "to_regclass" => first
                .and_then(Datum::as_str)
                .and_then(|text| self.relation_named(text))
                .map_or(Datum::Null, Datum::Oid),
            // No session holds an advisory lock: they are refused.
            "pg_tablespace_location" | "pg_advisory_unlock_all" => Datum::text(""),
            "pg_is_in_recovery" | "pg_is_other_temp_schema" => Datum::Bool(false),
            "pg_my_temp_schema" => Datum::Oid(0),
            // Rights on what everybody may use: functions, languages, types and the like.
            name if name.starts_with("has_") && name.ends_with("_privilege") => Datum::Bool(true),
            "pg_relation_size" => {
                let fork = arguments.get(1).and_then(Datum::as_str);
                optional_bytes(self.fork_size(oid_of(first), fork)?)
            }
            "pg_table_size" => optional_bytes(self.relation_size(oid_of(first))),
            "pg_indexes_size" => optional_bytes(self.indexes_size(oid_of(first))),
            "pg_total_relation_size" => {
                let (table, indexes) = (self.relation_size(oid_of(first)), self.indexes_size(oid_of(first)));
                optional_bytes(table.zip(indexes).map(|(table, indexes)| table.saturating_add(indexes)))
            }
            "pg_database_size" => optional_bytes(self.database_size(first)?),
            "pg_tablespace_size" => optional_bytes(self.tablespace_size(first)?),
            // Nothing is commented on; what these would describe does not exist.
            "obj_description"
            | "col_description"
            | "shobj_description"
            | "pg_get_statisticsobjdef_columns"
            | "pg_get_viewdef"
            | "pg_get_ruledef"
            | "pg_get_triggerdef"
            | "pg_get_serial_sequence"
            | "pg_get_partkeydef"
            | "pg_get_functiondef"
            | "pg_get_function_result"
            | "pg_get_function_arguments"
            | "pg_get_function_identity_arguments" => Datum::Null,
            other => return Err(expr::Error::new("0A000", format!("function {other} is not supported"))),
        })
    }

    fn reg_name(&self, kind: TypeKind, oid: u32) -> Option<String> {
        match kind {
            TypeKind::Regclass => {
                let (schema, name) = self.relation(oid)?;
                let name = deparse::quote_name(name);
                Some(if self.is_visible(oid)? {
                    name
                } else {
                    format!("{}.{name}", deparse::quote_name(schema))
                })
            }
            TypeKind::Regtype => TypeKind::from_oid(oid).map(|kind| kind.display_name().to_owned()),
            TypeKind::Regnamespace => [schema::PG_CATALOG, schema::PUBLIC, schema::INFORMATION_SCHEMA]
                .into_iter()
                .find(|name| schema::oid(name) == Some(oid))
                .map(str::to_owned),
            TypeKind::Regrole => self.catalog.access().role(oid).map(|role| deparse::quote_name(&role.name)),
            _ => None,
        }
    }

    fn reg_oid(&self, kind: TypeKind, name: &str) -> expr::Result<u32> {
        let (found, sqlstate, what) = match kind {
            TypeKind::Regclass => (self.relation_named(name), "42P01", "relation"),
            TypeKind::Regtype => {
                let bare = name.trim().strip_prefix("pg_catalog.").unwrap_or(name.trim());
                (TypeKind::from_name(bare).map(TypeKind::oid), "42704", "type")
            }
            TypeKind::Regnamespace => {
                let found = match split_name(name).as_slice() {
                    [name] => schema::oid(name),
                    _ => None,
                };
                (found, "3F000", "schema")
            }
            TypeKind::Regrole => {
                let found = match split_name(name).as_slice() {
                    [name] => self.catalog.access().role_named(name).map(|role| role.oid),
                    _ => None,
                };
                (found, "42704", "role")
            }
            _ => (None, "42883", "function"),
        };
        found.ok_or_else(|| expr::Error::new(sqlstate, format!("{what} \"{name}\" does not exist")))
    }
}
