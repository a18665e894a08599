//! DriftQL: each statement is another over three ordinary tables, made as text in which `$n` stands for its values.
//!
//! ```text
//! t                  c text primary key, document jsonb, deleted boolean             the documents of now, and those that are hidden
//! t_drift            seq bigint primary key, event, key, time, content, document     what was done to them, one row for each change
//! t_drift_snapshots  (seq, key) primary key, document                                the documents as they were after seq changes
//! ```
//!
//! The row of `t_drift` whose seq is 0 counts: `counted` is the number of changes that there are, `time` that of the last, and
//! `document` what `ADD COLUMN … DEFAULT` gives to documents that come. A statement that changes documents takes its number
//! there first, and holds that row until its transaction ends.
//!
//! # Invariants
//! - Sequence numbers of a table are 1, 2, 3 … without a gap, in the order of the commits; `time` never falls with them.
//! - The last event of a key has the document that stands in `t`, or none where that is hidden.

mod kept;
mod numbered;

use expr::datum::json::Json;
use expr::functions::quote::{identifier, literal};
use expr::{Datum, Expr, TypeKind, codec, numeric};

use super::Binder;
use super::definition::Bound;
use crate::catalog::{TableDescriptor, TableKind, schema};
use crate::error::{Error, Notice, Result};
use crate::parse;
use crate::parse::ast::{
    BackupCommand, BackupOf, BackupStatement, Body, DriftMoment, DriftStatement, DriftValue, Name,
    Persistence, QualifiedName,
};
use crate::plan::{Command, Ddl, Modify, OutputColumn, Plan, SessionCommand};
use kept::{COLUMNS, EVENTS, KEY_BYTES_MAX, Kept, NAME_BYTES_MAX, SNAPSHOTS};

/// So far ahead of the gateway's clock a moment may be that another clock has shown, in microseconds.
const AHEAD_MICROS_MAX: i64 = 500_000;

/// The values of a statement that is made, `$1` first.
#[derive(Default)]
struct Given(Vec<Expr>);

impl Given {
    /// Takes a value; what stands for it.
    fn put(&mut self, value: Datum, kind: TypeKind) -> String {
        self.0.push(Expr::Literal { value, ty: kind.into() });
        format!("${}", self.0.len())
    }

    fn text(&mut self, text: &str) -> String {
        self.put(Datum::text(text), TypeKind::Text)
    }

    fn json(&mut self, json: Json) -> String {
        self.put(Datum::json(json), TypeKind::Jsonb)
    }
}

impl Binder<'_> {
    /// A statement of DriftQL.
    pub(super) fn drift(&mut self, statement: &DriftStatement) -> Result<Bound> {
        let mut given = Given::default();
        match statement {
            DriftStatement::CreateTable { table, if_not_exists, key, indexed } => {
                self.create_kept(table, *if_not_exists, key, indexed)
            }
            DriftStatement::DropTable { table, if_exists, cascade } => {
                let names = match self.table(table) {
                    // That there is none is said as SQL says it.
                    Err(error) if *if_exists && error.sqlstate == "42P01" => table.written(),
                    found => {
                        let found = found?;
                        let plain = || format!("{}.{}", identifier(&found.schema), identifier(&found.name));
                        let kept = self.kept_of(&found);
                        kept.map_or_else(plain, |Kept { rows, events, snapshots, .. }| {
                            format!("{rows}, {events}, {snapshots}")
                        })
                    }
                };
                let if_exists = if *if_exists { "IF EXISTS " } else { "" };
                let cascade = if *cascade { " CASCADE" } else { "" };
                self.made(&format!("DROP TABLE {if_exists}{names}{cascade}"), given)
            }
            DriftStatement::CreateIndex { table, fields } => {
                let text = self.kept(table)?.index(fields);
                self.made(&text, given)
            }
            DriftStatement::Insert { table, document } => {
                let kept = self.kept(table)?;
                let json = object(document)?;
                let missing = || {
                    let message = format!(
                        "the document has no \"{}\", which is the key of \"{}\"",
                        kept.key, kept.name
                    );
                    Error::new("23502", message).at(document.at)
                };
                let key = self.key_of(json.field(&kept.key).ok_or_else(missing)?, document.at)?;
                let message = format!("\"{}\" has a document with the key \"{key}\" already", kept.name);
                self.expects = Some(Box::new(Error::new("23505", message)));
                let (key, document) = (given.text(&key), given.json(json));
                let bound = self.made(&kept.insert(&key, &document), given)?;
                Ok(tagged(bound, Command::Insert))
            }
            DriftStatement::Patch { table, key, patch } => {
                let kept = self.kept(table)?;
                let json = object(patch)?;
                let known = self.key(key)?;
                if let Some(other) = json.field(&kept.key)
                    && !self.key_of(other, patch.at).is_ok_and(|other| other == known)
                {
                    let what = format!("PATCH of \"{}\", which is the key of \"{}\",", kept.key, kept.name);
                    return Err(Error::unsupported(what).at(patch.at));
                }
                self.expects = Some(Box::new(kept.missing(&known)));
                let (key, patch) = (given.text(&known), given.json(json));
                let set = format!("document = jsonb_merge_patch(x.document, {patch})");
                let text = kept.change("PATCH", &key, &set, &patch, "r.document");
                Ok(tagged(self.made(&text, given)?, Command::Update))
            }
            DriftStatement::SoftDelete { table, key } => {
                let kept = self.kept(table)?;
                let known = self.key(key)?;
                self.expects = Some(Box::new(kept.missing(&known)));
                let key = given.text(&known);
                let text = kept.change("SOFT_DELETE", &key, "deleted = true", "NULL::jsonb", "NULL::jsonb");
                Ok(tagged(self.made(&text, given)?, Command::Update))
            }
            DriftStatement::Select { table, conditions, as_of, limit } => {
                self.documents(table, conditions, as_of, *limit)
            }
            DriftStatement::Show { table, key } => {
                let kept = self.kept(table)?;
                let key = given.text(&self.key(key)?);
                self.made(&kept.history(&key), given)
            }
            DriftStatement::Snapshot(table) => {
                let text = self.kept(table)?.snapshot();
                self.made(&text, given)
            }
            DriftStatement::Compact(table) => {
                let text = self.kept(table)?.compact();
                Ok(tagged(self.made(&text, given)?, Command::Insert))
            }
            DriftStatement::AddColumn { table, field, default } => {
                let kept = self.kept(table)?;
                let default = default.as_ref().map(json).transpose()?;
                let Some(default) = default.filter(|default| !matches!(default, Json::Null)) else {
                    // Any document may have any field.
                    let nothing = SessionCommand::NoEffect { tag: "ALTER TABLE" };
                    return Ok((Plan::Session(Box::new(nothing)), None));
                };
                if field.value == kept.key {
                    let message = format!("every document of \"{}\" has \"{}\"", kept.name, kept.key);
                    return Err(Error::new("42701", message).at(field.at));
                }
                let (name, patch) = self.written(&field.value, default)?;
                let texts = kept.change_all(
                    &format!("NOT jsonb_exists(x.document, {name})"),
                    &format!("x.document || {patch}"),
                    &format!("coalesce(e.document, '{{}}'::jsonb) || {patch}"),
                    &patch,
                );
                steps(&texts, "ALTER TABLE")
            }
            DriftStatement::DropColumn { table, field } => {
                let kept = self.kept(table)?;
                if field.value == kept.key {
                    let what =
                        format!("DROP COLUMN of \"{}\", which is the key of \"{}\",", kept.key, kept.name);
                    return Err(Error::unsupported(what).at(field.at));
                }
                let (name, patch) = self.written(&field.value, Json::Null)?;
                let texts = kept.change_all(
                    &format!("jsonb_exists(x.document, {name})"),
                    &format!("jsonb_delete(x.document, {name})"),
                    &format!("jsonb_delete(e.document, {name})"),
                    &patch,
                );
                steps(&texts, "ALTER TABLE")
            }
            DriftStatement::Backup(place) => self.backup_to(place),
            DriftStatement::Analyze(name) => {
                let table = self.table(name)?;
                let text = match self.kept_of(&table) {
                    None => format!("ANALYZE {}.{}", identifier(&table.schema), identifier(&table.name)),
                    Some(kept) => format!("ANALYZE {}, {}", kept.rows, kept.events),
                };
                self.made(&text, given)
            }
        }
    }

    /// `SELECT * FROM t`: one column with the documents.
    fn documents(
        &mut self,
        table: &QualifiedName,
        conditions: &[(Name, DriftValue)],
        as_of: &DriftMoment,
        limit: Option<i64>,
    ) -> Result<Bound> {
        let found = self.table(table)?;
        let Some(kept) = self.kept_of(&found) else {
            return Err(match as_of {
                DriftMoment::Sequence(_, at) => {
                    let what = format!("AS OF @seq of \"{}\", which counts no changes,", found.name);
                    Error::unsupported(what).at(*at)
                }
                _ => not_kept(table),
            });
        };
        self.check_policies(&found)?;
        let mut given = Given::default();
        let (mut key, mut met) = (None, Vec::new());
        for (field, wanted) in conditions {
            match field.value == kept.key && key.is_none() {
                true => key = Some(given.text(&self.key(wanted)?)),
                false => {
                    let wanted = given.json(json(wanted)?);
                    met.push((literal(&field.value), wanted));
                }
            }
        }
        let key = key.as_deref();
        let mut text = match as_of {
            DriftMoment::Now => kept.now(&met, key),
            DriftMoment::Sequence(number, _) => {
                let upto = given.put(Datum::Int8(*number), TypeKind::Int8);
                kept.then(&upto, &met, key)
            }
            DriftMoment::Time(time, at) => {
                let moment = self.time_of(time, *at)?;
                let moment = given.put(Datum::Timestamptz(moment), TypeKind::Timestamptz);
                kept.then(&kept.upto(&moment), &met, key)
            }
        };
        if let Some(limit) = limit {
            let limit = given.put(Datum::Int8(limit), TypeKind::Int8);
            text.push_str(" LIMIT ");
            text.push_str(&limit);
        }
        self.made(&text, given)
    }

    fn create_kept(
        &mut self,
        table: &QualifiedName,
        if_not_exists: bool,
        key: &Name,
        indexed: &[Name],
    ) -> Result<Bound> {
        let schema = self.creation_schema(table, Persistence::Permanent)?;
        let name = &table.name;
        if if_not_exists && self.catalog.is_taken(&schema, &name.value) {
            let message = format!("relation \"{}\" already exists, skipping", name.value);
            self.notices.push(Notice::notice("42P07", message));
            return Ok((Plan::Ddl(Box::new(Ddl::Nothing { tag: "CREATE TABLE" })), None));
        }
        if COLUMNS.contains(&key.value.as_str()) {
            let what = format!("a key that is called \"{}\", as another column is,", key.value);
            return Err(Error::unsupported(what).at(key.at));
        }
        if schema == schema::TEMPORARY {
            return Err(Error::unsupported("a temporary table of DriftQL").at(name.at));
        }
        if name.value.len() > NAME_BYTES_MAX {
            let message = format!("the name of a table of DriftQL has at most {NAME_BYTES_MAX} bytes");
            return Err(Error::new("42622", message).at(name.at));
        }
        if key.value.len() > KEY_BYTES_MAX {
            let message = format!("the name of the key of a table has at most {KEY_BYTES_MAX} bytes");
            return Err(Error::new("42622", message).at(key.at));
        }
        let kept = Kept::of(&schema, &name.value, &key.value);
        steps(&kept.definitions(indexed), "CREATE TABLE")
    }

    /// The name of a field, and the patch that makes it this value, as SQL writes them: steps have no values beside their texts.
    fn written(&self, field: &str, value: Json) -> Result<(String, String)> {
        let patch = Datum::json(Json::object(vec![(field.into(), value)]));
        let patch = codec::output(&patch, TypeKind::Jsonb.into(), self.settings.context)?;
        Ok((format!("{}::text", literal(field)), format!("{}::jsonb", literal(&patch))))
    }

    /// All of the database, into a directory of the machine that the nodes share, or wherever a URL says; a path that does not begin at
    /// the root begins where backups may lie.
    fn backup_to(&mut self, place: &str) -> Result<Bound> {
        let url = match place {
            url if url.contains("://") => url.to_owned(),
            path if path.starts_with('/') => format!("file://{path}"),
            "" => return Err(Error::new("22023", "\"\" is no place of backups")),
            path => format!("./{}", path.trim_start_matches("./")),
        };
        let of = BackupOf::Database(Name { value: self.catalog.database_name().to_owned(), at: 0 });
        let command = BackupCommand::Take { of, incremental: false, resume: false };
        let statement = BackupStatement { command, url, as_of: None, options: Vec::new() };
        self.statement(&Body::Backup(Box::new(statement)))
    }

    /// Binds what a statement stands for, with its values.
    fn made(&mut self, text: &str, given: Given) -> Result<Bound> {
        let made = parse::parse(text)?.pop().ok_or_else(|| Error::internal("a statement that is none"))?;
        self.is_made = true;
        self.given = given.0;
        // Where something stands in that text tells the client nothing.
        self.statement(&made.body).map_err(|mut error| {
            error.position = None;
            error
        })
    }

    /// The table of documents of this name.
    fn kept(&self, name: &QualifiedName) -> Result<Kept> {
        let table = self.table(name)?;
        let kept = self.kept_of(&table).ok_or_else(|| not_kept(name))?;
        self.check_policies(&table)?;
        Ok(kept)
    }

    /// 0A000 if policies hide documents, but not what is known of them beside: whoever may not see them would read them there.
    fn check_policies(&self, table: &TableDescriptor) -> Result<()> {
        let is_open = |ending: &&str| {
            let beside = self.catalog.table(&table.schema, &format!("{}{ending}", table.name));
            beside.is_some_and(|beside| !beside.row_security.enabled)
        };
        match [EVENTS, SNAPSHOTS].iter().find(|ending| table.row_security.enabled && is_open(ending)) {
            None => Ok(()),
            Some(ending) => {
                let name = &table.name;
                let what = format!("row security of \"{name}\" without that of \"{name}{ending}\"");
                let hint = "ALTER TABLE … ENABLE ROW LEVEL SECURITY, and a policy by which a row is seen whose document is.";
                Err(Error::unsupported(what).hint(hint))
            }
        }
    }

    /// Whether a table holds documents of DriftQL.
    pub(super) fn is_of_documents(&self, table: &TableDescriptor) -> bool {
        self.kept_of(table).is_some()
    }

    /// What keeps the documents of a table; `None`: it has none.
    fn kept_of(&self, table: &TableDescriptor) -> Option<Kept> {
        let events = self.catalog.table(&table.schema, &format!("{}{EVENTS}", table.name))?;
        let has = |table: &TableDescriptor, columns: &[&str]| {
            columns.iter().all(|column| table.column_by_name(column).is_some())
        };
        let is_kept = table.kind == TableKind::Base
            && has(table, &COLUMNS)
            && has(events, &["seq", "event", "key", "time", "content", "document", "counted"]);
        let [key] = table.primary_key().filter(|_| is_kept)?.columns.as_slice() else { return None };
        let key = table.columns.get(table.column_by_id(key.column()?)?)?;
        Some(Kept::of(&table.schema, &table.name, &key.name))
    }

    /// A key as it is written.
    fn key(&self, value: &DriftValue) -> Result<String> {
        self.key_of(&json(value)?, value.at)
    }

    /// The text that a key is stored as: of a number without zeros at its end, so that equal numbers are one key.
    fn key_of(&self, value: &Json, at: usize) -> Result<String> {
        match value {
            Json::String(text) => Ok(text.to_string()),
            Json::Bool(value) => Ok(value.to_string()),
            Json::Number(number) => {
                let number = Datum::Numeric(numeric::trim_scale(number)?);
                Ok(codec::output(&number, TypeKind::Numeric.into(), self.settings.context)?)
            }
            Json::Null | Json::Array(_) | Json::Object(_) => {
                let message = format!("a key is a text, a number or a boolean, and no {}", value.type_name());
                Err(Error::new("22023", message).at(at))
            }
        }
    }

    /// A time as RFC 3339 writes it.
    fn time_of(&self, text: &str, at: usize) -> Result<i64> {
        let wrong = || {
            Error::new("22007", format!("invalid time: \"{text}\""))
                .hint("It is written as \"2026-05-01T12:00:00Z\", or \"2026-05-01T14:00:00.5+02:00\".")
                .at(at)
        };
        if !is_rfc3339(text) {
            return Err(wrong());
        }
        let read = codec::input(text, TypeKind::Timestamptz.into(), self.settings.context);
        let Ok(Datum::Timestamptz(moment)) = read else { return Err(wrong()) };
        if moment > self.settings.context.statement_timestamp.saturating_add(AHEAD_MICROS_MAX) {
            return Err(Error::new("22023", format!("\"{text}\" is in the future")).at(at));
        }
        Ok(moment)
    }
}

/// `date T time zone`, a space or a small letter instead of T and Z; also with the hours of a zone alone, as times are shown.
fn is_rfc3339(text: &str) -> bool {
    let shape = |part: &str, shape: &str| {
        part.len() == shape.len()
            && part.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let (Some(date), Some(mark), Some(time), Some(rest)) =
        (text.get(..10), text.get(10..11), text.get(11..19), text.get(19..))
    else {
        return false;
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    shape(date, "0000-00-00")
        && matches!(mark, "T" | "t" | " ")
        && shape(time, "00:00:00")
        && (matches!(zone, "Z" | "z")
            || ["+00:00", "-00:00", "+00", "-00"].iter().any(|form| shape(zone, form)))
}

/// The document that a value is.
fn json(value: &DriftValue) -> Result<Json> {
    expr::json::parse(&value.json).map_err(|error| Error::from(error).at(value.at))
}

/// The same, which is to be an object.
fn object(value: &DriftValue) -> Result<Json> {
    match json(value)? {
        object @ Json::Object(_) => Ok(object),
        other => {
            let message = format!("a document is an object, and no {}", other.type_name());
            Err(Error::new("22023", message).at(value.at))
        }
    }
}

/// Statements one after the other, answered as this command.
fn steps(texts: &[String], tag: &'static str) -> Result<Bound> {
    let mut statements = Vec::with_capacity(texts.len());
    for text in texts {
        statements.extend(parse::parse(text)?);
    }
    Ok((Plan::Session(Box::new(SessionCommand::Steps { statements, tag })), None))
}

/// The same statement, answered as this command.
fn tagged((mut plan, columns): (Plan, Option<Vec<OutputColumn>>), command: Command) -> Bound {
    if let Plan::Modify(modify) = &mut plan
        && let Modify::Compound(compound) = modify.as_mut()
    {
        compound.command = command;
    }
    (plan, columns)
}

fn not_kept(name: &QualifiedName) -> Error {
    let at = name.schema.as_ref().unwrap_or(&name.name).at;
    Error::new("42809", format!("\"{}\" is not a table of DriftQL", name.name.value))
        .hint("SET dialect = sql reads and writes it.")
        .at(at)
}

#[cfg(test)]
mod tests {
    use super::is_rfc3339;

    #[test]
    fn times_are_those_of_rfc_3339() {
        for time in [
            "2026-05-01T12:00:00Z",
            "2026-05-01 12:00:00.123456z",
            "2026-05-01t12:00:00-07:30",
            "2026-05-01 12:00:00+00",
        ] {
            assert!(is_rfc3339(time), "{time}");
        }
        for time in [
            "",
            "now",
            "infinity",
            "yesterday",
            "2026-05-01",
            "2026-05-01T12:00:00",
            "2026-05-01T12:00:00.Z",
            "2026-05-01T12:00Z",
            "zweitausendsechsundzwanzig",
            "2026-05-01T12:00:00Zé",
            "é026-05-01T12:00:00Z",
        ] {
            assert!(!is_rfc3339(time), "{time}");
        }
    }
}
