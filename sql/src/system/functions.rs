//! Functions that answer from the catalog, and the names behind regclass and its like.

use std::sync::Arc;

use expr::session::CatalogFunctions;
use expr::{Datum, Record, SessionContext, Shape, Type, TypeKind};

use super::domains::Judges;
use super::made::{self, Made};
use super::privileges::Asked;
use super::sequences::Called;
use super::sizes::Sizes;
use super::sleep;
use super::{advisory, built_in, cluster, constraints, create, deparse, notifications, regproc, updatable};
use crate::activity::ask;
use crate::bind;
use crate::catalog::access::{Object, Right, Rights};
use crate::catalog::comment::Commented;
use crate::catalog::object::TypeDescriptor;
use crate::catalog::{CatalogSnapshot, Column, SearchPath, TableDescriptor, named, schema, spelled};
use crate::notify::Pending;
use crate::questions::{Question, Questions};
use crate::sequence::SessionSequences;
use crate::settings::{Request, Scope, SharedSettings};

/// The catalog as one session sees it.
#[derive(Debug)]
pub(crate) struct SessionCatalog {
    catalog: Arc<CatalogSnapshot>,
    path: SearchPath,
    user: Arc<str>,
    settings: Arc<SharedSettings>,
    beside: Beside,
    judges: Judges,
}

/// What functions reach beside the catalog and the settings.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) sizes: Arc<Sizes>,
    pub(crate) sequences: Arc<SessionSequences>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) pending: Arc<Pending>,
}

impl SessionCatalog {
    pub(crate) fn new(
        catalog: Arc<CatalogSnapshot>,
        path: SearchPath,
        user: Arc<str>,
        settings: Arc<SharedSettings>,
        beside: Beside,
    ) -> Self {
        Self { catalog, path, user, settings, beside, judges: Judges::default() }
    }

    /// How much room the table or index takes; `None`: there is none such, or it is not known.
    fn relation_size(&self, oid: u32) -> Option<u64> {
        if let Some(table) = self.catalog.table_by_oid(oid) {
            return self.beside.sizes.table(table);
        }
        let (_, index) = self.catalog.index_by_oid(oid)?;
        // That of the primary key is the table.
        if index.primary { Some(0) } else { self.beside.sizes.index(index.id) }
    }

    fn indexes_size(&self, oid: u32) -> Option<u64> {
        match self.catalog.table_by_oid(oid) {
            Some(table) => self.beside.sizes.indexes(table),
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

    /// What a database takes; of others than the one that is connected to nothing is known.
    fn size_of(&self, database: u32) -> Option<u64> {
        if database == self.catalog.database_oid() { self.beside.sizes.database() } else { None }
    }

    fn database_size(&self, which: Option<&Datum>) -> expr::Result<Option<u64>> {
        match which {
            Some(Datum::Text(name)) => match self.catalog.databases().named(name) {
                Some(database) => Ok(self.size_of(database.oid)),
                None => Err(expr::Error::new("3D000", format!("database \"{name}\" does not exist"))),
            },
            Some(Datum::Oid(oid)) => Ok(self.size_of(*oid)),
            _ => Ok(None),
        }
    }

    fn tablespace_size(&self, which: Option<&Datum>) -> expr::Result<Option<u64>> {
        match which {
            Some(Datum::Text(name)) => match &**name {
                "pg_default" => Ok(self.beside.sizes.database()),
                "pg_global" => Ok(Some(0)),
                _ => Err(expr::Error::new("42704", format!("tablespace \"{name}\" does not exist"))),
            },
            Some(Datum::Oid(cluster::TABLESPACE_DEFAULT_OID)) => Ok(self.beside.sizes.database()),
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

    /// Whether the relation, or the composite type, is what its bare name means.
    fn is_visible(&self, oid: u32) -> Option<bool> {
        let Some((_, name)) = self.relation(oid) else {
            let (object, _) =
                self.catalog.objects().types().find(
                    |(_, made)| matches!(made, TypeDescriptor::Composite(own) if own.relation == oid),
                )?;
            return self.type_visible(object.oid);
        };
        Some(self.catalog.relation_oid(&self.path, None, name) == Some(oid))
    }

    /// The type that a text names.
    fn type_called(&self, text: &str) -> expr::Result<Option<TypeKind>> {
        let (name, is_array) = match text.trim().strip_suffix("[]") {
            Some(name) => (name, true),
            None => (text.trim(), false),
        };
        let objects = self.catalog.objects();
        let found = match named::parts(name).as_slice() {
            [own] => TypeKind::from_name(name).filter(|_| !name.contains('"')).or_else(|| {
                self.path.lookup(objects).find_map(|schema| match schema {
                    schema::PG_CATALOG => TypeKind::from_name(own),
                    schema => objects.type_named(schema, own),
                })
            }),
            [schema, own] if schema == schema::PG_CATALOG => TypeKind::from_name(own),
            [schema, own] => {
                named::check_schema(&self.catalog, name)?;
                objects.type_named(schema, own)
            }
            _ => None,
        };
        Ok(if is_array { found.and_then(TypeKind::array) } else { found })
    }

    /// Whether a type is what its bare name means.
    fn type_visible(&self, oid: u32) -> Option<bool> {
        let kind = self.catalog.objects().kind(oid)?;
        let Some(made) = kind.made_oid() else { return Some(self.is_in_sight(kind)) };
        let object = self.catalog.objects().get(made)?;
        let found = self.path.lookup(self.catalog.objects()).find_map(|schema| match schema {
            schema::PG_CATALOG => TypeKind::from_name(&object.name),
            schema => self.catalog.objects().type_named(schema, &object.name),
        });
        Some(found.and_then(TypeKind::made_oid) == Some(made))
    }

    /// Whether a built-in type is what its bare name means: those that extensions bring stand in schemas.
    fn is_in_sight(&self, kind: TypeKind) -> bool {
        let objects = self.catalog.objects();
        kind.extension().is_none()
            || objects
                .bringer(kind)
                .is_some_and(|own| self.path.lookup(objects).any(|schema| schema == own.schema))
    }

    /// What a built-in type is called, behind its schema where it is not in sight.
    fn within_schema(&self, kind: TypeKind, name: &str) -> String {
        match self.catalog.objects().bringer(kind).filter(|_| !self.is_in_sight(kind)) {
            Some(own) => format!("{}.{name}", deparse::quote_name(&own.schema)),
            None => name.to_owned(),
        }
    }

    /// What a type is called along the search path.
    fn type_shown(&self, kind: TypeKind) -> String {
        let Some(object) = kind.made_oid().and_then(|oid| self.catalog.objects().get(oid)) else {
            return self.within_schema(kind, kind.display_name());
        };
        let array = if kind.element().is_some() && !kind.is_domain() { "[]" } else { "" };
        let name = deparse::quote_name(&object.name);
        match self.type_visible(object.oid) {
            Some(true) => format!("{name}{array}"),
            _ => format!("{}.{name}{array}", deparse::quote_name(&object.schema)),
        }
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
        let found =
            self.catalog.tables().find_map(|table| constraints::definition(table, oid, pretty, &parent));
        let found = found.or_else(|| {
            constraints::domain_definition(&self.catalog, oid, |own, kept| match pretty.is_some() {
                true => bind::sparing_domain_condition(own, kept, &self.catalog, &self.path),
                false => None,
            })
        });
        found.map(|definition| self.by_name(&definition))
    }

    fn index(&self, oid: u32, column: i64, pretty: bool) -> Option<String> {
        let (table, index) = self.catalog.index_by_oid(oid)?;
        let sparing = pretty.then_some(&self.path);
        let text = deparse::KeyText { table, catalog: &self.catalog, sparing };
        if column == 0 {
            let is_visible = pretty && self.is_visible(table.oid).unwrap_or(false);
            return Some(self.by_name(&deparse::index(table, index, is_visible, &text)));
        }
        let part = usize::try_from(column).ok();
        // A column that the index does not have has an empty definition.
        let part = part.and_then(|number| deparse::index_column(table, index, number, &text));
        Some(part.map(|definition| self.by_name(&definition)).unwrap_or_default())
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
        if let Some(table) = table
            && table.indexes.iter().any(|index| {
                let predicate = index.options.predicate.as_ref();
                index.expressions().chain(predicate).any(|own| own.kept.text == kept)
            })
            && let Some(text) = bind::sparing_index_expression(table, kept, &self.catalog, &self.path)
        {
            return text;
        }
        let is_generated = |own: &&Column| own.generated.as_ref().is_some_and(|own| own.text == kept);
        if let Some(table) = table
            && let Some(column) = table.columns.iter().find(is_generated)
            && let Some(text) = bind::sparing_generation(table, column, kept, &self.catalog, &self.path)
        {
            return text;
        }
        let column = table
            .and_then(|table| table.columns.iter().find(|column| column.default.as_deref() == Some(kept)));
        let ty = column.map(|column| column.ty);
        bind::sparing(kept, ty, &self.catalog, &self.path).unwrap_or_else(|| kept.to_owned())
    }

    /// The relation that a text names. A schema that is named must be one that the acting role may use: 42501.
    fn relation_named(&self, text: &str) -> expr::Result<Option<u32>> {
        if let [schema, _] = named::parts(text).as_slice()
            && let Some(oid) = self.catalog.objects().schema_oid(schema)
        {
            let (access, usage) = (self.catalog.access(), Rights::of(Right::Usage));
            let may = access.role_named(&self.user).is_some_and(|role| {
                !access.granted(&access.powers(role.oid), Object::Schema(oid), None, usage).is_empty()
            });
            if !may {
                return Err(expr::Error::new("42501", format!("permission denied for schema {schema}")));
            }
        }
        Ok(named::find(&self.catalog, &self.path, text))
    }

    /// The text of a default, with names for the oids of relations.
    fn by_name(&self, kept: &str) -> String {
        let text = named::shown(kept, |oid| self.reg_name(TypeKind::Regclass, oid));
        spelled::by_name(&self.catalog, &self.path, &text)
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
            Some("pg_type") => &[Commented::TYPE],
            Some("pg_extension") => &[Commented::EXTENSION],
            Some("pg_proc") => &[Commented::FUNCTION],
            Some(_) => &[],
            None => &[Commented::RELATION, Commented::SCHEMA, Commented::CONSTRAINT, Commented::TYPE],
        };
        let found =
            classes.iter().find_map(|class| self.comment(Commented { class: *class, oid, column: 0 }));
        found.map_or(Datum::Null, Datum::text)
    }

    fn view_definition(&self, arguments: &[Datum]) -> expr::Result<Datum> {
        let which = arguments.first();
        let sparing = arguments.get(1).is_some_and(|pretty| !matches!(pretty, Datum::Bool(false)));
        let oid = match which.and_then(Datum::as_str) {
            Some(name) => self.relation_named(name)?.ok_or_else(|| missing(name))?,
            None => oid_of(which),
        };
        let stored = self.catalog.table_by_oid(oid).and_then(|table| table.materialised.as_ref());
        let plain = self.catalog.objects().get(oid).and_then(|object| object.view());
        let view = plain.or(stored.map(|stored| &stored.view));
        Ok(optional_text(view.map(|view| deparse::view(view, &self.catalog, &self.path, sparing))))
    }

    fn serial_sequence(&self, arguments: &[Datum]) -> expr::Result<Datum> {
        let text = |place: usize| arguments.get(place).and_then(Datum::as_str).unwrap_or_default();
        let oid = self.relation_named(text(0))?;
        let table = oid.and_then(|oid| self.catalog.table_by_oid(oid)).ok_or_else(|| missing(text(0)))?;
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
        let objects = self.catalog.objects();
        let is_there = |name: &&str| objects.schema_oid(name).is_some();
        let shown = |name: &str| Datum::text(objects.shown_schema(name));
        let names: Vec<Datum> = if implicit {
            self.path.lookup(objects).filter(is_there).map(shown).collect()
        } else {
            self.path.explicit().filter(is_there).map(shown).collect()
        };
        Datum::Array(names.into())
    }
}

fn missing(relation: &str) -> expr::Error {
    expr::Error::new("42P01", format!("relation \"{relation}\" does not exist"))
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

/// What a function asks of other sessions; `None`: nothing.
fn question(name: &str, arguments: &[Datum]) -> Option<ask::Question> {
    let number = |place: usize| arguments.get(place).and_then(Datum::as_i64);
    let pid = || number(0).and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    Some(match name {
        "pg_cancel_backend" => ask::Question::Cancel(pid()),
        "pg_terminate_backend" => ask::Question::Terminate(pid(), number(1).unwrap_or(0)),
        "pg_blocking_pids" => ask::Question::BlockingPids(pid()),
        "pg_stat_statements_reset" => ask::Question::ResetStatements,
        "pg_stat_reset" => ask::Question::ResetUsage(None),
        "pg_stat_reset_single_table_counters" => ask::Question::ResetUsage(Some(oid_of(arguments.first()))),
        _ => return None,
    })
}

impl CatalogFunctions for SessionCatalog {
    fn call(&self, name: &str, arguments: &[Datum]) -> expr::Result<Datum> {
        let relation = |name: &str| self.relation_named(name);
        let function = |text: &str| self.reg_oid(TypeKind::Regprocedure, text);
        let asked =
            Asked { catalog: &self.catalog, user: &self.user, relation: &relation, function: &function };
        if let Some(answer) = asked.answer(name, arguments) {
            return answer;
        }
        let made = Made {
            catalog: &self.catalog,
            path: &self.path,
            shown: &|kind| self.type_shown(kind),
            expression: &|kept| self.by_name(kept),
        };
        let changed = || updatable::answer(name, arguments, &self.catalog);
        if let Some(answer) = made.answer(name, arguments).or_else(changed) {
            return Ok(answer);
        }
        let read_only = || self.settings.get("transaction_read_only").is_some_and(|value| &*value == "on");
        let sequences = Called {
            catalog: &self.catalog,
            user: &self.user,
            read_only: matches!(name, "nextval" | "setval") && read_only(),
            sequences: &self.beside.sequences,
            questions: &self.beside.questions,
        };
        if let Some(answer) = sequences.answer(name, arguments) {
            return answer;
        }
        if let Some(question) = question(name, arguments) {
            return self.beside.questions.ask(name, Question::Sessions(question, self.user.clone()));
        }
        if let Some(answer) = sleep::answer(name, arguments, &self.beside.questions) {
            return answer;
        }
        if let Some(answer) = advisory::answer(name, arguments, &self.beside.questions) {
            return answer;
        }
        if let Some(answer) =
            notifications::answer(name, arguments, &self.beside.pending, &self.beside.questions)
        {
            return answer;
        }
        let first = arguments.first();
        let number = |place: usize| arguments.get(place).and_then(Datum::as_i64);
        let flag = |place: usize| matches!(arguments.get(place), Some(Datum::Bool(true)));
        Ok(match name {
            "pg_table_is_visible" => self.is_visible(oid_of(first)).map_or(Datum::Null, Datum::Bool),
            "pg_type_is_visible" => self.type_visible(oid_of(first)).map_or(Datum::Null, Datum::Bool),
            "pg_function_is_visible"
            | "pg_operator_is_visible"
            | "pg_collation_is_visible"
            | "pg_opclass_is_visible"
            | "pg_opfamily_is_visible" => Datum::Bool(true),
            // There are none.
            "pg_conversion_is_visible"
            | "pg_ts_config_is_visible"
            | "pg_ts_dict_is_visible"
            | "pg_ts_parser_is_visible"
            | "pg_ts_template_is_visible" => Datum::Null,
            "pg_get_userbyid" => match self.catalog.access().role(oid_of(first)) {
                Some(role) => Datum::text(role.name.clone()),
                None => Datum::text(format!("unknown (OID={})", oid_of(first))),
            },
            "format_type" => match first {
                None | Some(Datum::Null) => Datum::Null,
                Some(_) => {
                    // Without a modifier it is the type's own name; -1 says of a type that it has none.
                    let modifier = number(1).and_then(|modifier| i32::try_from(modifier).ok());
                    Datum::text(match (oid_of(first), self.catalog.objects().kind(oid_of(first)), modifier) {
                        (0, _, _) => "-".to_owned(),
                        (_, Some(kind), _) if !kind.is_built_in() => self.type_shown(kind),
                        (_, Some(kind), None) => self.within_schema(kind, kind.display_name()),
                        (_, Some(kind), Some(modifier)) => {
                            self.within_schema(kind, &Type { kind, modifier }.display_name())
                        }
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
            "pg_get_viewdef" => self.view_definition(arguments)?,
            "pg_get_tabledef" => optional_text(create::statements(&self.catalog, oid_of(first))),
            "pg_get_serial_sequence" => self.serial_sequence(arguments)?,
            "pg_get_indexdef" => optional_text(self.index(oid_of(first), number(1).unwrap_or(0), flag(2))),
            "pg_get_constraintdef" => optional_text(self.constraint(oid_of(first), flag(1))),
            "pg_encoding_to_char" => match number(0) {
                Some(code) if code == i64::from(cluster::ENCODING_UTF8) => Datum::text("UTF8"),
                Some(0) => Datum::text("SQL_ASCII"),
                _ => Datum::text(""),
            },
            "current_setting" => {
                self.current_setting(first.and_then(Datum::as_str).unwrap_or(""), flag(1))?
            }
            // Set once, even where all of its expression is computed again for what another function in it asks.
            "set_config" => match self.beside.questions.repeat() {
                Some(shown) => shown,
                None => {
                    let shown = self.set_config(arguments)?;
                    self.beside.questions.tell(shown.clone());
                    shown
                }
            },
            "current_schemas" => self.current_schemas(flag(0)),
            "pg_get_keywords" => keywords()?,
            "to_regclass" => match first.and_then(Datum::as_str) {
                Some(text) => self.relation_named(text)?.map_or(Datum::Null, Datum::Oid),
                None => Datum::Null,
            },
            "to_regnamespace" | "to_regrole" => {
                let kind = if name == "to_regrole" { TypeKind::Regrole } else { TypeKind::Regnamespace };
                let found = first.and_then(Datum::as_str).map(|text| self.reg_oid(kind, text));
                found.and_then(Result::ok).map_or(Datum::Null, Datum::Oid)
            }
            "pg_tablespace_location" => Datum::text(""),
            // Those of other sessions are not in the catalog.
            "pg_is_in_recovery" | "pg_is_other_temp_schema" => Datum::Bool(false),
            "pg_my_temp_schema" => {
                Datum::Oid(self.catalog.objects().temporary_schema().map_or(0, |schema| schema.oid))
            }
            // Rights on what everybody may use: functions, languages, types and the like.
            name if name.starts_with("has_") && name.ends_with("_privilege") => Datum::Bool(true),
            "pg_relation_size" => {
                let fork = arguments.get(1).and_then(Datum::as_str);
                optional_bytes(self.fork_size(oid_of(first), fork)?)
            }
            "pg_table_size" => optional_bytes(self.relation_size(oid_of(first))),
            "pg_history_size" => {
                let table = self.catalog.table_by_oid(oid_of(first));
                optional_bytes(table.and_then(|table| self.beside.sizes.history(table)))
            }
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
            | "pg_get_functiondef" => Datum::Null,
            "pg_get_function_result" | "pg_get_function_arguments" | "pg_get_function_identity_arguments" => {
                built_in::answer(name, oid_of(first))
            }
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
            TypeKind::Regtype => self.catalog.objects().kind(oid).map(|kind| self.type_shown(kind)),
            TypeKind::Regnamespace => self.catalog.objects().schema_name(oid).map(deparse::quote_name),
            TypeKind::Regrole => self.catalog.access().role(oid).map(|role| deparse::quote_name(&role.name)),
            TypeKind::Regproc => regproc::text(oid).or_else(|| made::name(&self.catalog, &self.path, oid)),
            TypeKind::Regprocedure => {
                regproc::signature(oid).or_else(|| made::signature(&self.catalog, &self.path, oid))
            }
            _ => None,
        }
    }

    fn reg_oid(&self, kind: TypeKind, name: &str) -> expr::Result<u32> {
        if matches!(kind, TypeKind::Regclass | TypeKind::Regproc | TypeKind::Regprocedure) {
            named::check_schema(&self.catalog, name)?;
        }
        let (found, sqlstate, what) = match kind {
            TypeKind::Regclass => (self.relation_named(name)?, "42P01", "relation"),
            TypeKind::Regtype => (self.type_called(name)?.map(TypeKind::oid), "42704", "type"),
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
            TypeKind::Regproc => {
                let found = made::of_name(&self.catalog, &self.path, &named::parts(name));
                return regproc::oid(name, &found);
            }
            TypeKind::Regprocedure => {
                let made = |name: &str, types: &[TypeKind]| {
                    made::of_signature(&self.catalog, &self.path, name, types)
                };
                return regproc::oid_of_signature(name, |ty| self.type_called(ty), made);
            }
            _ => (None, "42883", "function"),
        };
        found.ok_or_else(|| expr::Error::new(sqlstate, format!("{what} \"{name}\" does not exist")))
    }

    fn enum_value(&self, kind: TypeKind, label: &str) -> expr::Result<Datum> {
        self.catalog.objects().enum_value(kind, label, || self.type_shown(kind))
    }

    fn enum_label(&self, kind: TypeKind, key: &[u8]) -> Option<Arc<str>> {
        self.catalog.objects().enum_label(kind, key)
    }

    fn enum_values(&self, kind: TypeKind) -> expr::Result<Vec<Datum>> {
        self.catalog.objects().enum_values(kind, || self.type_shown(kind))
    }

    fn attributes(&self, kind: TypeKind) -> Option<Arc<Shape>> {
        self.catalog.objects().attributes(kind)
    }

    fn over(&self, domain: TypeKind) -> Option<Type> {
        self.catalog.objects().over(domain)
    }

    fn judge(&self, domain: TypeKind, value: &Datum, session: &SessionContext) -> expr::Result<()> {
        self.judges.judge(&self.catalog, domain, value, session)
    }

    fn type_of_oid(&self, oid: u32) -> Option<TypeKind> {
        self.catalog.objects().kind(oid)
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
