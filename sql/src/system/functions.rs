//! Functions that answer from the catalog, and the names behind regclass and its like.

use std::sync::Arc;

use expr::session::CatalogFunctions;
use expr::{Datum, Record, Shape, Type, TypeKind};

use super::privileges::Asked;
use super::sequences::Called;
use super::sizes::Sizes;
use super::{DATABASE_OID, cluster, constraints, deparse};
use crate::bind;
use crate::catalog::comment::Commented;
use crate::catalog::{CatalogSnapshot, DATABASE_NAMES, SearchPath, TableDescriptor, named};
use crate::sequence::SessionSequences;
use crate::settings::{Request, Scope, SharedSettings};

/// The catalog as one session sees it.
#[derive(Debug)]
pub(crate) struct SessionCatalog {
    catalog: Arc<CatalogSnapshot>,
    path: SearchPath,
    user: Arc<str>,
    settings: Arc<SharedSettings>,
    sizes: Arc<Sizes>,
    sequences: Arc<SessionSequences>,
}

impl SessionCatalog {
    pub(crate) fn new(
        catalog: Arc<CatalogSnapshot>,
        path: SearchPath,
        user: Arc<str>,
        settings: Arc<SharedSettings>,
        sizes: Arc<Sizes>,
        sequences: Arc<SessionSequences>,
    ) -> Self {
        Self { catalog, path, user, settings, sizes, sequences }
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

    fn constraint(&self, oid: u32, pretty: bool) -> Option<String> {
        let sparing = |table: &TableDescriptor, kept: &str| {
            bind::sparing_condition(table, kept, &self.catalog, &self.path)
        };
        let pretty: Option<&constraints::Pretty<'_>> = if pretty { Some(&sparing) } else { None };
        let parent = |oid: u32| {
            let table = self.catalog.table_by_oid(oid)?;
            Some((table.as_ref(), self.is_visible(oid).unwrap_or(false)))
        };
        self.catalog.tables().find_map(|table| constraints::definition(table, oid, pretty, &parent))
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

    /// A default of the table, or a check's condition, as it is kept, without parentheses that make no difference.
    fn sparing(&self, table: u32, kept: &str) -> String {
        let table = self.catalog.table_by_oid(table);
        if let Some(table) = table
            && table.constraints.checks.iter().any(|check| check.expression == kept)
            && let Some(condition) = bind::sparing_condition(table, kept, &self.catalog, &self.path)
        {
            return condition;
        }
        let column = table
            .and_then(|table| table.columns.iter().find(|column| column.default.as_deref() == Some(kept)));
        let ty = column.map(|column| column.ty);
        bind::sparing(kept, ty, &self.catalog, &self.path).unwrap_or_else(|| kept.to_owned())
    }

    fn relation_named(&self, text: &str) -> Option<u32> {
        named::find(&self.catalog, &self.path, text)
    }

    /// The text of a default, with names for the oids of relations.
    fn by_name(&self, kept: &str) -> String {
        named::shown(kept, |oid| self.reg_name(TypeKind::Regclass, oid))
    }

    fn comment(&self, on: Commented) -> Option<&str> {
        self.catalog.comments().get(on).map(|text| &**text)
    }

    /// The comment on an object of this catalog, or of any.
    fn description(&self, oid: u32, catalog: Option<&str>) -> Datum {
        let classes: &[u32] = match catalog {
            Some("pg_class") => &[Commented::RELATION],
            Some("pg_namespace") => &[Commented::SCHEMA],
            Some("pg_database") => &[Commented::DATABASE],
            Some("pg_constraint") => &[Commented::CONSTRAINT],
            Some(_) => &[],
            None => &[Commented::RELATION, Commented::SCHEMA, Commented::CONSTRAINT],
        };
        let found =
            classes.iter().find_map(|class| self.comment(Commented { class: *class, oid, column: 0 }));
        found.map_or(Datum::Null, Datum::text)
    }

    fn view_definition(&self, which: Option<&Datum>) -> Option<String> {
        let oid = match which?.as_str() {
            Some(name) => self.relation_named(name)?,
            None => oid_of(which),
        };
        self.catalog.objects().get(oid)?.view().map(deparse::view)
    }

    fn serial_sequence(&self, arguments: &[Datum]) -> expr::Result<Datum> {
        let text = |place: usize| arguments.get(place).and_then(Datum::as_str).unwrap_or_default();
        let oid = self.relation_named(text(0));
        let table = oid
            .and_then(|oid| self.catalog.table_by_oid(oid))
            .ok_or_else(|| expr::Error::new("42P01", format!("relation \"{}\" does not exist", text(0))))?;
        let found = table.visible().find(|(_, own)| own.name == text(1));
        let Some((_, column)) = found else {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", text(1), table.name);
            return Err(expr::Error::new("42703", message));
        };
        let sequence = self.catalog.objects().owned_by(table.oid, Some(column.id)).next();
        Ok(sequence.map_or(Datum::Null, |sequence| {
            let (schema, name) = (deparse::quote_name(&sequence.schema), deparse::quote_name(&sequence.name));
            Datum::text(format!("{schema}.{name}"))
        }))
    }

    fn current_schemas(&self, implicit: bool) -> Datum {
        let is_there = |name: &str| self.catalog.objects().schema_oid(name).is_some();
        let names: Vec<Datum> = if implicit {
            self.path.lookup().filter(|name| is_there(name)).map(Datum::text).collect()
        } else {
            self.path.explicit().filter(|name| is_there(name)).map(Datum::text).collect()
        };
        Datum::Array(names.into())
    }
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
        let read_only = || self.settings.get("transaction_read_only").is_some_and(|value| &*value == "on");
        let sequences = Called {
            catalog: &self.catalog,
            user: &self.user,
            read_only: matches!(name, "nextval" | "setval") && read_only(),
            sequences: &self.sequences,
        };
        if let Some(answer) = sequences.answer(name, arguments) {
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
                Some(kept) if flag(2) => {
                    Datum::text(self.by_name(&self.sparing(oid_of(arguments.get(1)), kept)))
                }
                Some(kept) => Datum::text(self.by_name(kept)),
                None => Datum::Null,
            },
            "pg_get_viewdef" => optional_text(self.view_definition(first)),
            "pg_get_serial_sequence" => self.serial_sequence(arguments)?,
            "pg_get_indexdef" => optional_text(self.index(oid_of(first), number(1).unwrap_or(0), flag(2))),
            "pg_get_constraintdef" => optional_text(self.constraint(oid_of(first), flag(1))),
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
            "pg_get_keywords" => keywords()?,
            "to_regclass" => first
                .and_then(Datum::as_str)
                .and_then(|text| self.relation_named(text))
                .map_or(Datum::Null, Datum::Oid),
            "to_regnamespace" | "to_regrole" => {
                let kind = if name == "to_regrole" { TypeKind::Regrole } else { TypeKind::Regnamespace };
                let found = first.and_then(Datum::as_str).map(|text| self.reg_oid(kind, text));
                found.and_then(Result::ok).map_or(Datum::Null, Datum::Oid)
            }
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
            "obj_description" | "shobj_description" => {
                self.description(oid_of(first), arguments.get(1).and_then(Datum::as_str))
            }
            "col_description" => {
                let column = number(1).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
                let on = Commented { class: Commented::RELATION, oid: oid_of(first), column };
                self.comment(on).map_or(Datum::Null, Datum::text)
            }
            // What these would describe does not exist.
            "pg_get_statisticsobjdef_columns"
            | "pg_get_ruledef"
            | "pg_get_triggerdef"
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
            TypeKind::Regnamespace => self.catalog.objects().schema_name(oid).map(deparse::quote_name),
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
                let found = match named::parts(name).as_slice() {
                    [name] => self.catalog.objects().schema_oid(name),
                    _ => None,
                };
                (found, "3F000", "schema")
            }
            TypeKind::Regrole => {
                let found = match named::parts(name).as_slice() {
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

/// Rows of `pg_get_keywords()`.
fn keywords() -> expr::Result<Datum> {
    let rows = crate::parse::keywords().map(|(word, code, description, is_bare)| {
        let bare = if is_bare { "can be bare label" } else { "requires AS" };
        let fields = vec![
            Datum::from(word),
            Datum::from(code),
            Datum::Bool(is_bare),
            Datum::from(description),
            Datum::from(bare),
        ];
        let shape = Arc::new(Shape::new(fields.iter().map(|_| (String::new(), TypeKind::Text.into()))));
        Ok(Datum::Record(Arc::new(Record::new(shape, fields)?)))
    });
    Ok(Datum::Array(rows.collect::<expr::Result<Vec<_>>>()?.into()))
}
