//! FLASHBACK TABLE, DIFF TABLE, SHOW CHANGES: each is another statement over FOR SYSTEM_TIME, made as text.
//!
//! ```text
//! FLASHBACK   MERGE INTO t USING (t FULL JOIN t FOR SYSTEM_TIME AS OF m, what differs)   of a table without primary key:
//!             WITH (DELETE FROM t) INSERT INTO t SELECT FROM t FOR SYSTEM_TIME AS OF m
//! DIFF        t FOR SYSTEM_TIME AS OF a FULL JOIN t FOR SYSTEM_TIME AS OF b, what differs
//! CHANGES     t FOR SYSTEM_TIME ALL, of one row
//! ```
//!
//! Each row carries a mark that it is there: the key of now may have been NULL in rows of then, or no column at all.
//!
//! Rows differ if what their columns print as does: `1.0` is another value than `1.00`, though the two are equal. Where
//! settings have numbers printed shorter than they are, they are compared as well.
//!
//! UNDROP TABLE and CREATE TABLE … CLONE are changes of the catalog, and so may FLASHBACK TABLE be, where the session finds that it can
//! ([`WayBack`]): which rights it takes is what the rows say that it would write.

use std::sync::Arc;

use expr::TypeKind;
use expr::functions::quote::identifier;

use super::{Binder, Plan};
use crate::catalog::object::Identity;
use crate::catalog::{Action, Column, ForeignKey, TableDescriptor, TableKind, schema};
use crate::error::{Error, Notice, Result};
use crate::parse;
use crate::parse::ast::{self, HistoryStatement, Persistence, QualifiedName};
use crate::plan::{Ddl, ObjectChange, OutputColumn, WayBack};

/// A table by what its rows are told apart by.
struct Keyed {
    table: Arc<TableDescriptor>,
    /// Its name with that of its schema.
    name: String,
    /// The columns of its primary key; none: it has no such key.
    key: Vec<Column>,
    /// Its other columns.
    others: Vec<Column>,
    /// What is called so is true of each of its rows; no column is.
    there: String,
}

impl Keyed {
    /// Conditions, with AND between them, that two rows have the same key.
    fn same(&self, left: &str, right: &str) -> String {
        joined(&self.key, " AND ", |column| format!("{left}.{column} = {right}.{column}"))
    }

    /// Its rows, of the moment that FOR SYSTEM_TIME says or of now, each with its mark.
    fn rows(&self, system_time: &str) -> String {
        let Self { name, there, .. } = self;
        format!("(SELECT x.*, true AS {there} FROM {name}{system_time} AS x)")
    }

    /// The condition that one of two rows with the same key is not there, or not like the other.
    fn differs(&self, left: &str, right: &str) -> String {
        let there = &self.there;
        let missing = format!("{left}.{there} IS NULL OR {right}.{there} IS NULL");
        if self.others.is_empty() {
            return missing;
        }
        format!("{missing} OR ROW({}) IS DISTINCT FROM ROW({})", self.shown(left), self.shown(right))
    }

    /// What tells apart rows with the same key.
    fn shown(&self, of: &str) -> String {
        joined(&self.others, ", ", |column| format!("{of}.{column}::text"))
            + &joined(self.others.iter().filter(|column| is_shortened(column)), "", |column| {
                format!(", {of}.{column}")
            })
    }
}

impl Binder<'_> {
    /// Statements about history that are others; the rest is for the session.
    pub(super) fn history_statement(
        &mut self,
        statement: &HistoryStatement,
    ) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let text = match statement {
            HistoryStatement::Flashback { table, to } => self.flashback(table, to)?,
            HistoryStatement::Diff { table, between: [from, to] } => {
                diff(&self.keyed(table, "DIFF TABLE")?, from, to)
            }
            HistoryStatement::Changes { table, key, at } => self.changes(table, key, *at)?,
            HistoryStatement::Undrop(name) => return self.undrop(name),
            HistoryStatement::Clone { name, if_not_exists, of, moment } => {
                return self.clone_table(name, *if_not_exists, of, moment.as_ref());
            }
            HistoryStatement::Keep { .. }
            | HistoryStatement::Erase(_)
            | HistoryStatement::Show
            | HistoryStatement::Clones => {
                return Err(Error::internal("a statement about history that is no other"));
            }
        };
        let made = parse::parse(&text)?.pop().ok_or_else(|| Error::internal("a statement that is none"))?;
        // Where something stands in that text tells the client nothing.
        self.is_made = true;
        let nowhere = |mut error: Error| {
            error.position = None;
            error
        };
        let bound = self.statement(&made.body).map_err(nowhere)?;
        if let HistoryStatement::Flashback { table, to } = statement {
            let (table, moment) = (self.table(table)?, parse::parse_expression(to)?);
            let moment = self.moment(&moment).map_err(nowhere)?;
            self.way_back = Some(Box::new(WayBack { table, moment }));
        }
        Ok(bound)
    }

    fn undrop(&mut self, name: &QualifiedName) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let schema = self.creation_schema(name, Persistence::Permanent)?;
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        if schema == schema::TEMPORARY {
            return Err(Error::unsupported("UNDROP TABLE of a temporary table").at(at));
        }
        let name = name.name.value.clone();
        if self.catalog.is_taken(&schema, &name) {
            return Err(Error::new("42P07", format!("relation \"{name}\" already exists")));
        }
        self.check_row_type_name(&schema, &name)?;
        Ok((Plan::Ddl(Box::new(Ddl::Object(ObjectChange::Undrop { schema, name }))), None))
    }

    fn clone_table(
        &mut self,
        name: &QualifiedName,
        if_not_exists: bool,
        of: &QualifiedName,
        moment: Option<&ast::Expr>,
    ) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let schema = self.creation_schema(name, Persistence::Permanent)?;
        if schema == schema::TEMPORARY {
            let at = name.schema.as_ref().unwrap_or(&name.name).at;
            return Err(Error::unsupported("CLONE of a table as a temporary one").at(at));
        }
        let name = name.name.value.clone();
        if self.catalog.is_taken(&schema, &name) {
            let message = format!("relation \"{name}\" already exists");
            if !if_not_exists {
                return Err(Error::new("42P07", message));
            }
            self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
            return Ok((Plan::Ddl(Box::new(Ddl::Nothing { tag: "CREATE TABLE" })), None));
        }
        self.check_row_type_name(&schema, &name)?;
        let at = of.schema.as_ref().unwrap_or(&of.name).at;
        let of = self.table(of)?;
        if of.is_temporary() {
            return Err(Error::unsupported("CLONE of a temporary table").at(at));
        }
        if of.kind != TableKind::Base {
            return Err(Error::new("42809", format!("\"{}\" is not a table", of.name)).at(at));
        }
        let places: Vec<usize> = of.visible().map(|(place, _)| place).collect();
        self.needs.read_places(&of, &places);
        let moment = moment.map(|own| self.without_parameters(|binder| binder.moment(own))).transpose()?;
        let change = ObjectChange::Clone { schema, name, of, moment: moment.map(Box::new) };
        Ok((Plan::Ddl(Box::new(Ddl::Object(change))), None))
    }

    /// The table, if there is a past of its rows.
    fn keyed(&self, name: &QualifiedName, statement: &str) -> Result<Keyed> {
        let table = self.table(name)?;
        let at = name.schema.as_ref().unwrap_or(&name.name).at;
        if table.is_temporary() {
            return Err(Error::unsupported(format!("{statement} of a temporary table")).at(at));
        }
        if table.kind != TableKind::Base {
            return Err(Error::new("42809", format!("\"{}\" is not a table", table.name)).at(at));
        }
        let keys = table.primary_key().map_or(&[][..], |key| key.columns.as_slice());
        let ids: Vec<_> = keys.iter().filter_map(|column| column.column()).collect();
        let key = ids.iter().filter_map(|id| table.columns.iter().find(|column| column.id == *id));
        let others = table.visible().map(|(_, column)| column).filter(|column| !ids.contains(&column.id));
        let mut there = "there".to_owned();
        while table.columns.iter().any(|column| column.name == there) {
            there.push('_');
        }
        Ok(Keyed {
            there,
            name: format!("{}.{}", identifier(&table.schema), identifier(&table.name)),
            key: key.cloned().collect(),
            others: others.cloned().collect(),
            table,
        })
    }

    fn flashback(&self, name: &QualifiedName, to: &str) -> Result<String> {
        let keyed = self.keyed(name, "FLASHBACK TABLE")?;
        let table = &keyed.name;
        let stored: Vec<&Column> = keyed.others.iter().filter(|column| column.generated.is_none()).collect();
        if keyed.key.is_empty() {
            self.check_followed(&keyed.table)?;
            let columns = joined(stored.iter().copied(), ", ", str::to_owned);
            return Ok(match columns.as_str() {
                "" => return Err(Error::unsupported("FLASHBACK TABLE of a table without columns")),
                columns => format!(
                    "WITH gone AS (DELETE FROM {table}) INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE \
                    SELECT {columns} FROM {table} FOR SYSTEM_TIME AS OF ({to})"
                ),
            });
        }
        if keyed.key.iter().any(|column| column.generated.is_some()) {
            return Err(Error::unsupported("FLASHBACK TABLE of a table whose primary key is generated"));
        }
        let objects = self.catalog.objects();
        let fixed = stored.iter().find(|column| {
            let identity = objects.identity(keyed.table.oid, column.id);
            identity.is_some_and(|(identity, _)| identity == Identity::Always)
        });
        if let Some(fixed) = fixed {
            let what = format!(
                "FLASHBACK TABLE of a table with \"{}\", GENERATED ALWAYS and not in its primary key",
                fixed.name
            );
            return Err(Error::unsupported(what));
        }
        let all = || keyed.key.iter().chain(stored.iter().copied());
        let places = || (0..keyed.key.len() + stored.len()).map(|place| format!("c{place}"));
        let was = keyed.key.iter().map(|column| {
            let column = identifier(&column.name);
            format!("coalesce(o.{column}, n.{column})")
        });
        let was = was.chain(stored.iter().map(|column| format!("o.{}", identifier(&column.name))));
        let was: Vec<String> =
            was.zip(places()).map(|(value, place)| format!("{value} AS {place}")).collect();
        let key: Vec<String> = keyed
            .key
            .iter()
            .zip(places())
            .map(|(column, place)| format!("t.{} = s.{place}", identifier(&column.name)))
            .collect();
        let set: Vec<String> = stored
            .iter()
            .zip(places().skip(keyed.key.len()))
            .map(|(column, place)| format!("{} = s.{place}", identifier(&column.name)))
            .collect();
        let update = match set.is_empty() {
            true => String::new(),
            false => format!(" WHEN MATCHED THEN UPDATE SET {}", set.join(", ")),
        };
        let values: Vec<String> = places().map(|place| format!("s.{place}")).collect();
        // Rows that go come first: what takes their place in a unique index comes behind.
        Ok(format!(
            "MERGE INTO {table} AS t USING (SELECT {was}, o.{there} IS NOT NULL AS was FROM {now} AS n \
            FULL JOIN {then} AS o ON {same} WHERE {differs} ORDER BY was) AS s \
            ON {key} WHEN MATCHED AND NOT s.was THEN DELETE{update} WHEN NOT MATCHED AND s.was THEN \
            INSERT ({columns}) OVERRIDING SYSTEM VALUE VALUES ({values})",
            was = was.join(", "),
            there = keyed.there,
            now = keyed.rows(""),
            then = keyed.rows(&format!(" FOR SYSTEM_TIME AS OF ({to})")),
            same = keyed.same("n", "o"),
            differs = keyed.differs("n", "o"),
            key = key.join(" AND "),
            columns = joined(all(), ", ", str::to_owned),
            values = values.join(", "),
        ))
    }

    /// 0A000 if rows of other tables would go, or change, with rows that are deleted to be inserted again.
    fn check_followed(&self, table: &TableDescriptor) -> Result<()> {
        let follows = |key: &ForeignKey| {
            matches!(key.on_delete, Action::Cascade | Action::SetNull | Action::SetDefault)
        };
        match self.catalog.references_to(table.oid).find(|(_, key)| follows(key)) {
            None => Ok(()),
            Some((_, key)) => Err(Error::unsupported(format!(
                "FLASHBACK TABLE of a table without primary key whose rows foreign key \"{}\" follows",
                key.name
            ))),
        }
    }

    fn changes(&self, name: &QualifiedName, key: &[String], at: usize) -> Result<String> {
        let keyed = self.keyed(name, "SHOW CHANGES")?;
        if keyed.key.is_empty() {
            return Err(Error::unsupported("SHOW CHANGES of a table without a primary key").at(at));
        }
        if key.len() != keyed.key.len() {
            let (name, count) = (&keyed.table.name, keyed.key.len());
            let message = format!("the primary key of \"{name}\" has {count} columns");
            return Err(Error::new("42601", message).at(at));
        }
        let columns = keyed.key.iter().zip(key);
        let is_it: Vec<String> =
            columns.map(|(column, value)| format!("x.{} = ({value})", identifier(&column.name))).collect();
        Ok(format!(
            "WITH v AS (SELECT x.system_time_start AS came, x.system_time_end AS went, x.system_txn AS txn, \
            x.system_start AS since, x.system_end AS until, to_jsonb(x.*) AS content, \
            lag(x.system_end) OVER w AS before, lead(x.system_start) OVER w AS next \
            FROM {} FOR SYSTEM_TIME ALL AS x WHERE {} WINDOW w AS (ORDER BY x.system_start)) \
            SELECT CASE WHEN v.before = v.since THEN 'update' ELSE 'insert' END AS change, \
            v.came AS system_time, v.since AS system_timestamp, v.txn AS system_txn, v.content FROM v \
            UNION ALL SELECT 'delete', v.went, v.until, NULL, NULL FROM v \
            WHERE v.until IS NOT NULL AND v.next IS DISTINCT FROM v.until ORDER BY 3",
            keyed.name,
            is_it.join(" AND ")
        ))
    }
}

fn diff(keyed: &Keyed, from: &str, to: &str) -> String {
    let table = &keyed.name;
    if keyed.key.is_empty() {
        // What is not told apart goes and comes.
        let without = |these: &str, those: &str| {
            format!(
                "SELECT to_jsonb(x.*) AS content FROM {table} FOR SYSTEM_TIME AS OF ({these}) AS x EXCEPT ALL \
                SELECT to_jsonb(x.*) FROM {table} FOR SYSTEM_TIME AS OF ({those}) AS x"
            )
        };
        return format!(
            "SELECT 'delete' AS change, g.content AS before, NULL::jsonb AS after FROM ({}) AS g UNION ALL \
            SELECT 'insert', NULL, c.content FROM ({}) AS c ORDER BY 1, 2, 3",
            without(from, to),
            without(to, from)
        );
    }
    let content = |of: &str| format!("jsonb_delete(to_jsonb({of}.*), '{}'::text)", keyed.there);
    let rows = |moment: &str| keyed.rows(&format!(" FOR SYSTEM_TIME AS OF ({moment})"));
    format!(
        "SELECT CASE WHEN a.{there} IS NULL THEN 'insert' WHEN b.{there} IS NULL THEN 'delete' ELSE 'update' END \
        AS change, CASE WHEN a.{there} THEN {before} END AS before, CASE WHEN b.{there} THEN {after} END AS after \
        FROM {} AS a FULL JOIN {} AS b ON {} WHERE {} ORDER BY {}",
        rows(from),
        rows(to),
        keyed.same("a", "b"),
        keyed.differs("a", "b"),
        joined(&keyed.key, ", ", |column| format!("coalesce(a.{column}, b.{column})")),
        there = keyed.there,
        before = content("a"),
        after = content("b"),
    )
}

/// What is said of each column, by its name as it is written.
fn joined<'c>(
    columns: impl IntoIterator<Item = &'c Column>,
    between: &str,
    say: impl Fn(&str) -> String,
) -> String {
    let said: Vec<String> = columns.into_iter().map(|column| say(&identifier(&column.name))).collect();
    said.join(between)
}

/// Whether values may be printed shorter than they are.
fn is_shortened(column: &Column) -> bool {
    let kind = column.ty.kind.base();
    let kind = kind.element().unwrap_or(kind);
    matches!(kind.base(), TypeKind::Float4 | TypeKind::Float8)
}
