//! CREATE INDEX, REINDEX, ALTER INDEX.

use super::super::ast::{
    Body, CreateIndex, DefaultDefinition, ExprKind, IndexColumn, IndexPart, Name, Reindex, Reindexed,
};
use super::super::cursor::Cursor;
use super::super::lexer::Kind;
use super::definition::{collation, parameters, tablespace};
use super::expression::{any_name, expression};
use super::primary::primary;
use super::query::direction;
use crate::catalog::IndexMethod;
use crate::error::{Error, Result};

/// Storage parameters of indexes that are accepted without effect.
pub(super) const INDEX_PARAMETERS: [&str; 2] = ["fillfactor", "deduplicate_items"];

/// After CREATE INDEX.
pub(super) fn create(cursor: &mut Cursor<'_>, unique: bool) -> Result<Body> {
    let concurrently = cursor.accept("concurrently");
    let if_not_exists = cursor.accept_all(&["if", "not", "exists"]);
    let name = if cursor.is("on") && !if_not_exists { None } else { Some(cursor.name()?) };
    cursor.expect("on")?;
    cursor.accept("only");
    let table = cursor.qualified_name()?;
    let method = if cursor.accept("using") { method(cursor)? } else { IndexMethod::default() };
    cursor.expect_symbol("(")?;
    let columns = cursor.list(part)?;
    cursor.expect_symbol(")")?;
    let included = included(cursor)?;
    let nulls_not_distinct = nulls_not_distinct(cursor);
    if cursor.accept("with") {
        parameters(cursor, &INDEX_PARAMETERS)?;
    }
    if cursor.is("tablespace") {
        tablespace(cursor)?;
    }
    let predicate = if cursor.accept("where") { Some(written(cursor)?) } else { None };
    Ok(Body::CreateIndex(Box::new(CreateIndex {
        name,
        table,
        unique,
        concurrently,
        if_not_exists,
        method,
        columns,
        included,
        nulls_not_distinct,
        predicate,
    })))
}

fn method(cursor: &mut Cursor<'_>) -> Result<IndexMethod> {
    let method = cursor.name()?;
    match method.value.as_str() {
        "btree" => Ok(IndexMethod::Btree),
        "hash" => Ok(IndexMethod::Hash),
        other @ ("gist" | "gin" | "spgist" | "brin" | "hnsw" | "ivfflat" | "bloom") => {
            Err(Error::unsupported(format!("an index USING {other}")).at(method.at))
        }
        other => Err(Error::new("42704", format!("access method \"{other}\" does not exist"))),
    }
}

/// An expression with its text.
fn written(cursor: &mut Cursor<'_>) -> Result<DefaultDefinition> {
    let start = cursor.start();
    let expr = expression(cursor)?;
    Ok(DefaultDefinition { expr, text: cursor.text_from(start).to_owned() })
}

/// `a DESC`, `lower(b) text_pattern_ops`, `(a + b)`
pub(super) fn part(cursor: &mut Cursor<'_>) -> Result<IndexColumn> {
    let is_enclosed = cursor.accept_symbol("(");
    let part = if is_enclosed {
        let written = written(cursor)?;
        cursor.expect_symbol(")")?;
        match &written.expr.kind {
            ExprKind::Column(names) => match names.as_slice() {
                [only] => IndexPart::Column(only.clone()),
                _ => IndexPart::Expression(written),
            },
            _ => IndexPart::Expression(written),
        }
    } else if cursor.peek_at(1).is_symbol("(") || cursor.peek_at(1).is_symbol(".") {
        let start = cursor.start();
        let expr = primary(cursor)?;
        if !matches!(expr.kind, ExprKind::Function(_) | ExprKind::Cast { .. }) {
            return Err(cursor.error());
        }
        IndexPart::Expression(DefaultDefinition { expr, text: cursor.text_from(start).to_owned() })
    } else {
        IndexPart::Column(cursor.name()?)
    };
    if cursor.is("collate") {
        collation(cursor)?;
    }
    let token = *cursor.peek();
    let ends = matches!(token.keyword, "asc" | "desc" | "nulls") || token.kind == Kind::Symbol;
    let names_class = !ends && matches!(token.kind, Kind::Word | Kind::Quoted);
    let class = if names_class { Some(any_name(cursor)?) } else { None };
    let is_ordered = matches!(cursor.keyword(), "asc" | "desc" | "nulls");
    let (descending, nulls_first) = direction(cursor)?;
    Ok(IndexColumn { part, class, descending, nulls_first, is_ordered, is_enclosed })
}

/// `INCLUDE (a, b)`
pub(super) fn included(cursor: &mut Cursor<'_>) -> Result<Vec<Name>> {
    if !cursor.accept("include") {
        return Ok(Vec::new());
    }
    cursor.expect_symbol("(")?;
    let names = cursor.list(|cursor| {
        let column = part(cursor)?;
        let refused = |message: &str| Err(Error::new("42P17", message.to_owned()));
        match column.part {
            IndexPart::Expression(_) => {
                Err(Error::new("0A000", "expressions are not supported in included columns"))
            }
            IndexPart::Column(_) if column.class.is_some() => {
                refused("including column does not support an operator class")
            }
            IndexPart::Column(_) if column.is_ordered && column.nulls_first.is_none() => {
                refused("including column does not support ASC/DESC options")
            }
            IndexPart::Column(_) if column.is_ordered => {
                refused("including column does not support NULLS FIRST/LAST options")
            }
            IndexPart::Column(name) => Ok(name),
        }
    })?;
    cursor.expect_symbol(")")?;
    Ok(names)
}

/// NULLS NOT DISTINCT (true), or NULLS DISTINCT.
pub(super) fn nulls_not_distinct(cursor: &mut Cursor<'_>) -> bool {
    cursor.accept_all(&["nulls", "not", "distinct"]) || {
        cursor.accept_all(&["nulls", "distinct"]);
        false
    }
}

/// REINDEX.
pub(in super::super) fn reindex(cursor: &mut Cursor<'_>) -> Result<Body> {
    cursor.advance();
    let mut concurrently = false;
    if cursor.accept_symbol("(") {
        cursor.list(|cursor| {
            let option = cursor.label()?;
            match option.value.as_str() {
                "verbose" => Ok(()),
                "concurrently" => {
                    concurrently = true;
                    Ok(())
                }
                "tablespace" => Err(Error::unsupported("REINDEX (TABLESPACE)").at(option.at)),
                other => {
                    let message = format!("unrecognized REINDEX option \"{other}\"");
                    Err(Error::new("42601", message).at(option.at))
                }
            }
        })?;
        cursor.expect_symbol(")")?;
    }
    let kind = cursor
        .accept_one_of(&["index", "table", "schema", "database", "system"])
        .ok_or_else(|| cursor.error())?;
    concurrently |= cursor.accept("concurrently");
    let what = match kind {
        "index" => Reindexed::Index(cursor.qualified_name()?),
        "table" => Reindexed::Table(cursor.qualified_name()?),
        "schema" => Reindexed::Schema(cursor.name()?),
        _ => Reindexed::Database(if cursor.is_at_end() { None } else { Some(cursor.name()?) }),
    };
    Ok(Body::Reindex(Reindex { what, concurrently }))
}
