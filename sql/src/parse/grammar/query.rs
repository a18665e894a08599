//! Queries.

use super::super::ast::{
    Body, CommonTable, Cycle, Distinct, Expr, ExprKind, LockStrength, LockWait, Locking, OrderBy, Query,
    QueryBody, Search, Select, SelectItem, SetBranch, SetOperationKind, TableExpr,
};
use super::super::cursor::{Cursor, Destination};
use super::super::keyword::{Category, is_bare_label};
use super::super::lexer::{Kind, Token};
use super::expression::{expression, expressions};
use super::from::table_expr;
use super::group::group_by;
use super::past::as_of;
use super::persistence::persistence;
use super::primary::{Parenthesised, is_query_between, parenthesised, primary};
use super::window::windows;
use super::{merge, modify};
use crate::error::{Error, Result};

/// Whether a query begins with this token.
pub(super) fn starts_query(token: &Token<'_>) -> bool {
    matches!(token.keyword, "select" | "values" | "table" | "with")
}

/// Whether a query is next, perhaps between parentheses.
pub(in super::super) fn is_query(cursor: &Cursor<'_>) -> bool {
    starts_query(cursor.peek()) || cursor.is_symbol("(")
}

/// A statement that begins with WITH: a query, INSERT, UPDATE or DELETE.
pub(in super::super) fn statement_with(cursor: &mut Cursor<'_>, takes_into: bool) -> Result<Body> {
    let at = cursor.at();
    let with = with(cursor)?;
    if takes_into && cursor.is("select") {
        cursor.into = Destination::Allowed;
    }
    match cursor.keyword() {
        "insert" => modify::insert_after(cursor, with),
        "update" => modify::update_after(cursor, with),
        "delete" => modify::delete_after(cursor, with),
        "merge" => merge::merge_after(cursor, with),
        _ => {
            let query = query_after(cursor, with, at)?;
            Ok(Body::Query(Box::new(query)))
        }
    }
}

/// A query.
pub(in super::super) fn query(cursor: &mut Cursor<'_>) -> Result<Query> {
    let at = cursor.at();
    let with = with(cursor)?;
    query_after(cursor, with, at)
}

fn query_after(cursor: &mut Cursor<'_>, with: Vec<CommonTable>, at: usize) -> Result<Query> {
    cursor.level(|cursor| {
        let body = set_operations(cursor, None)?;
        let mut query = plain(body, at);
        query.with = with;
        tail(cursor, &mut query)?;
        Ok(query)
    })
}

pub(super) fn plain(body: QueryBody, at: usize) -> Query {
    Query {
        with: Vec::new(),
        body,
        order_by: Vec::new(),
        limit: None,
        ties: false,
        offset: None,
        locks: Vec::new(),
        at,
    }
}

/// What a query between parentheses turned out to be.
#[expect(clippy::large_enum_variant, reason = "it lives for a moment, once for each pair of parentheses")]
pub(super) enum Opened {
    /// The first operand of this one.
    More(Query),
    /// All there is.
    Same(Box<Query>),
}

/// Goes on with a query whose first operand, between parentheses, is read.
pub(super) fn continued_query(cursor: &mut Cursor<'_>, first: Box<Query>) -> Result<Opened> {
    let goes_on = matches!(
        cursor.keyword(),
        "union" | "intersect" | "except" | "order" | "limit" | "offset" | "fetch" | "for"
    );
    if !goes_on {
        return Ok(Opened::Same(first));
    }
    let at = first.at;
    let body = set_operations(cursor, Some(QueryBody::Query(first)))?;
    let mut query = plain(body, at);
    tail(cursor, &mut query)?;
    Ok(Opened::More(query))
}

/// WITH, or nothing.
pub(super) fn with(cursor: &mut Cursor<'_>) -> Result<Vec<CommonTable>> {
    if !cursor.is("with") {
        return Ok(Vec::new());
    }
    cursor.advance();
    let recursive = cursor.accept("recursive");
    cursor.list(|cursor| common_table(cursor, recursive))
}

fn common_table(cursor: &mut Cursor<'_>, recursive: bool) -> Result<CommonTable> {
    let name = cursor.name()?;
    let columns = if cursor.is_symbol("(") { cursor.name_list()? } else { Vec::new() };
    cursor.expect("as")?;
    let materialized = if cursor.accept_all(&["not", "materialized"]) {
        Some(false)
    } else {
        cursor.accept("materialized").then_some(true)
    };
    if !cursor.is_symbol("(") {
        return Err(cursor.error());
    }
    let token = *cursor.peek_at(1);
    let query = if token.is_symbol("(") {
        match parenthesised(cursor)? {
            Parenthesised::Query(query) => *query,
            Parenthesised::Items(_) => return Err(cursor.error_at(&token)),
        }
    } else {
        common_query(cursor, name.at)?
    };
    let search = if cursor.is("search") { Some(search(cursor)?) } else { None };
    let cycle = if cursor.is("cycle") { Some(cycle(cursor)?) } else { None };
    Ok(CommonTable { name, columns, materialized, query, recursive, search, cycle })
}

/// `SEARCH DEPTH FIRST BY a, b SET s`
fn search(cursor: &mut Cursor<'_>) -> Result<Search> {
    let at = cursor.at();
    cursor.expect("search")?;
    let breadth_first = cursor.accept("breadth");
    if !breadth_first {
        cursor.expect("depth")?;
    }
    cursor.expect("first")?;
    cursor.expect("by")?;
    let by = cursor.list(|cursor| cursor.name())?;
    cursor.expect("set")?;
    Ok(Search { at, breadth_first, by, sequence: cursor.name()? })
}

/// `CYCLE a, b SET m TO 'Y' DEFAULT 'N' USING p`
fn cycle(cursor: &mut Cursor<'_>) -> Result<Cycle> {
    let at = cursor.at();
    cursor.expect("cycle")?;
    let by = cursor.list(|cursor| cursor.name())?;
    cursor.expect("set")?;
    let mark = cursor.name()?;
    let values = match cursor.accept("to") {
        true => {
            let repeated = constant(cursor)?;
            cursor.expect("default")?;
            Some((repeated, constant(cursor)?))
        }
        false => None,
    };
    cursor.expect("using")?;
    Ok(Cycle { at, by, mark, values, path: cursor.name()? })
}

/// A literal, of whatever type.
fn constant(cursor: &mut Cursor<'_>) -> Result<Expr> {
    let token = *cursor.peek();
    let constant = primary(cursor)?;
    let is_literal = |kind: &ExprKind| {
        matches!(
            kind,
            ExprKind::Number(_)
                | ExprKind::String(_)
                | ExprKind::Bits(_)
                | ExprKind::Bool(_)
                | ExprKind::Null
        )
    };
    match &constant.kind {
        ExprKind::Cast { operand, .. } if is_literal(&operand.kind) => Ok(constant),
        kind if is_literal(kind) => Ok(constant),
        _ => Err(cursor.error_at(&token)),
    }
}

/// `(query)`, or `(INSERT …)` and its like, behind AS: only what follows its own WITH tells which.
fn common_query(cursor: &mut Cursor<'_>, name_at: usize) -> Result<Query> {
    cursor.level(|cursor| {
        cursor.expect_symbol("(")?;
        let at = cursor.at();
        let with = with(cursor)?;
        let query = match cursor.keyword() {
            "merge" => return Err(Error::new("0A000", "MERGE not supported in WITH query").at(name_at)),
            "insert" | "update" | "delete" => changing_query(cursor, with, at)?,
            _ => query_after(cursor, with, at)?,
        };
        cursor.expect_symbol(")")?;
        Ok(query)
    })
}

/// INSERT, UPDATE or DELETE as a query of WITH, behind a WITH of its own.
fn changing_query(cursor: &mut Cursor<'_>, with: Vec<CommonTable>, at: usize) -> Result<Query> {
    let body = match cursor.keyword() {
        "insert" => modify::insert_after(cursor, with)?,
        "update" => modify::update_after(cursor, with)?,
        _ => modify::delete_after(cursor, with)?,
    };
    Ok(plain(QueryBody::Modify(Box::new(body)), at))
}

/// UNION and EXCEPT, and between them INTERSECT, which binds more tightly.
fn set_operations(cursor: &mut Cursor<'_>, first: Option<QueryBody>) -> Result<QueryBody> {
    chain(cursor, first, &["union", "except"], |cursor, first| {
        chain(cursor, first, &["intersect"], |cursor, first| match first {
            Some(first) => Ok(first),
            None => simple(cursor),
        })
    })
}

/// Operands between operators of one level; one list, however long.
fn chain(
    cursor: &mut Cursor<'_>,
    first: Option<QueryBody>,
    keywords: &[&str],
    operand: impl Fn(&mut Cursor<'_>, Option<QueryBody>) -> Result<QueryBody>,
) -> Result<QueryBody> {
    let first = operand(cursor, first)?;
    let mut rest = Vec::new();
    while let Some(keyword) = cursor.accept_one_of(keywords) {
        let kind = match keyword {
            "union" => SetOperationKind::Union,
            "intersect" => SetOperationKind::Intersect,
            _ => SetOperationKind::Except,
        };
        let all = cursor.accept("all");
        if !all {
            cursor.accept("distinct");
        }
        rest.push(SetBranch { kind, all, body: operand(cursor, None)? });
    }
    if rest.is_empty() {
        return Ok(first);
    }
    cursor.higher()?;
    Ok(QueryBody::SetOperation { first: Box::new(first), rest })
}

/// SELECT, VALUES, TABLE, or a query between parentheses.
fn simple(cursor: &mut Cursor<'_>) -> Result<QueryBody> {
    let token = *cursor.peek();
    match token.keyword {
        "select" => cursor.level(select).map(|select| QueryBody::Select(Box::new(select))),
        "values" => {
            cursor.advance();
            cursor.list(value_row).map(QueryBody::Values)
        }
        "table" => {
            cursor.advance();
            let only = cursor.accept("only");
            let name = cursor.qualified_name()?;
            if !only {
                cursor.accept_symbol("*");
            }
            let items = vec![SelectItem::Wildcard { at: token.at }];
            let from = vec![TableExpr::Table { name, system_time: None, alias: None, sample: None }];
            Ok(QueryBody::Select(Box::new(Select {
                distinct: Distinct::No,
                items,
                from,
                as_of: None,
                filter: None,
                group_by: None,
                having: None,
                windows: Vec::new(),
            })))
        }
        _ if is_query_between(cursor) || cursor.is_symbol("(") => {
            let token = *cursor.peek_at(1);
            match parenthesised(cursor)? {
                Parenthesised::Query(query) => Ok(QueryBody::Query(query)),
                Parenthesised::Items(_) => Err(cursor.error_at(&token)),
            }
        }
        _ => Err(cursor.error()),
    }
}

fn value_row(cursor: &mut Cursor<'_>) -> Result<Vec<Expr>> {
    cursor.expect_symbol("(")?;
    let row = expressions(cursor)?;
    cursor.expect_symbol(")")?;
    Ok(row)
}

fn select(cursor: &mut Cursor<'_>) -> Result<Select> {
    // Queries within it may have none.
    let takes_into = cursor.into == Destination::Allowed;
    if takes_into {
        cursor.into = Destination::Refused;
    }
    cursor.advance();
    let mut distinct = Distinct::No;
    if cursor.accept("distinct") {
        distinct = Distinct::All;
        if cursor.accept("on") {
            cursor.expect_symbol("(")?;
            distinct = Distinct::On(expressions(cursor)?);
            cursor.expect_symbol(")")?;
        }
    } else {
        cursor.accept("all");
    }
    let items = if matches!(distinct, Distinct::No) && ends_targets(cursor) {
        Vec::new()
    } else {
        select_items(cursor)?
    };
    let mut into = Destination::Refused;
    if cursor.accept("into") {
        let persistence = persistence(cursor)?;
        cursor.accept("table");
        let at = cursor.at();
        into = Destination::Table(cursor.qualified_name()?, persistence);
        if !takes_into {
            return Err(Error::new("42601", "SELECT ... INTO is not allowed here").at(at));
        }
    }
    let from = if cursor.accept("from") { cursor.list(table_expr)? } else { Vec::new() };
    let as_of = if from.is_empty() { None } else { as_of(cursor)? };
    let filter = condition(cursor)?;
    let group_by = group_by(cursor)?;
    let having = if cursor.accept("having") { Some(expression(cursor)?) } else { None };
    let windows = windows(cursor)?;
    if into != Destination::Refused {
        cursor.into = into;
    }
    Ok(Select { distinct, items, from, as_of, filter, group_by, having, windows })
}

/// Whether what is next ends a list of columns that has none.
fn ends_targets(cursor: &Cursor<'_>) -> bool {
    cursor.is_at_end()
        || cursor.is_symbol(")")
        || matches!(
            cursor.keyword(),
            "into"
                | "from"
                | "where"
                | "group"
                | "having"
                | "window"
                | "union"
                | "intersect"
                | "except"
                | "order"
                | "limit"
                | "offset"
                | "fetch"
                | "for"
        )
}

/// WHERE, or nothing.
pub(super) fn condition(cursor: &mut Cursor<'_>) -> Result<Option<Expr>> {
    if !cursor.accept("where") {
        return Ok(None);
    }
    if cursor.are(&["current", "of"]) {
        return Err(cursor.unsupported("WHERE CURRENT OF"));
    }
    expression(cursor).map(Some)
}

/// The columns of SELECT or RETURNING.
pub(super) fn select_items(cursor: &mut Cursor<'_>) -> Result<Vec<SelectItem>> {
    cursor.list(select_item)
}

fn select_item(cursor: &mut Cursor<'_>) -> Result<SelectItem> {
    if cursor.is_symbol("*") {
        return Ok(SelectItem::Wildcard { at: cursor.advance().at });
    }
    let expr = expression(cursor)?;
    let token = *cursor.peek();
    let is_alias = match token.kind {
        Kind::Quoted => true,
        Kind::Word => token.keyword.is_empty() || is_bare_label(token.keyword),
        _ => false,
    };
    let alias = if cursor.accept("as") || is_alias { Some(cursor.label()?) } else { None };
    Ok(match (expr.kind, alias) {
        (ExprKind::TableWildcard(table), None) => SelectItem::TableWildcard(*table),
        (kind, alias) => SelectItem::Expr { expr: Expr { kind, at: expr.at }, alias },
    })
}

/// What may follow the body of a query.
fn tail(cursor: &mut Cursor<'_>, query: &mut Query) -> Result<()> {
    if cursor.is("order") {
        query.order_by = order_by(cursor)?;
    }
    locks(cursor, query)?;
    let before_limit = !query.locks.is_empty();
    let mut limited = false;
    loop {
        match cursor.keyword() {
            "limit" | "fetch" if !limited => {
                limited = true;
                query.limit = limit(cursor, &mut query.ties)?;
            }
            "offset" if query.offset.is_none() => {
                cursor.advance();
                query.offset = Some(expression(cursor)?);
                let _ = cursor.accept("row") || cursor.accept("rows");
            }
            _ => break,
        }
    }
    if !before_limit {
        locks(cursor, query)?;
    }
    if query.ties && query.order_by.is_empty() {
        return Err(Error::new("42601", "WITH TIES cannot be specified without ORDER BY clause"));
    }
    if query.ties && query.locks.iter().any(|lock| lock.wait == LockWait::Skip) {
        return Err(Error::new("42601", "SKIP LOCKED and WITH TIES options cannot be used together"));
    }
    Ok(())
}

/// ORDER BY
pub(super) fn order_by(cursor: &mut Cursor<'_>) -> Result<Vec<OrderBy>> {
    cursor.expect("order")?;
    cursor.expect("by")?;
    cursor.list(|cursor| {
        let expr = expression(cursor)?;
        let using = ordering_operator(cursor)?;
        let (descending, nulls_first) = direction(cursor)?;
        let descending = descending || using;
        Ok(OrderBy { expr, descending, nulls_first })
    })
}

/// `USING <` and `USING >`: whether the greatest comes first.
fn ordering_operator(cursor: &mut Cursor<'_>) -> Result<bool> {
    if !cursor.accept("using") {
        return Ok(false);
    }
    let token = *cursor.peek();
    if !matches!(token.kind, Kind::Operator) {
        return Err(cursor.error());
    }
    cursor.advance();
    match token.text {
        "<" => Ok(false),
        ">" => Ok(true),
        other => Err(Error::new("42809", format!("operator {other} is not a valid ordering operator"))
            .hint("Ordering operators must be \"<\" or \">\" members of btree operator families.")
            .at(token.at)),
    }
}

/// DESC, NULLS FIRST
pub(super) fn direction(cursor: &mut Cursor<'_>) -> Result<(bool, Option<bool>)> {
    let descending = cursor.accept("desc");
    if !descending {
        cursor.accept("asc");
    }
    if !cursor.accept("nulls") {
        return Ok((descending, None));
    }
    match cursor.accept_one_of(&["first", "last"]) {
        Some(word) => Ok((descending, Some(word == "first"))),
        None => Err(cursor.error()),
    }
}

/// `LIMIT n`, `LIMIT ALL`, `FETCH FIRST n ROWS ONLY`, `… WITH TIES`
fn limit(cursor: &mut Cursor<'_>, ties: &mut bool) -> Result<Option<Expr>> {
    if cursor.accept("limit") {
        if cursor.accept("all") {
            return Ok(None);
        }
        let limit = expression(cursor)?;
        if cursor.is_symbol(",") {
            return Err(Error::new("42601", "LIMIT #,# syntax is not supported")
                .hint("Use separate LIMIT and OFFSET clauses.")
                .at(cursor.at()));
        }
        return Ok(Some(limit));
    }
    cursor.advance();
    if cursor.accept_one_of(&["first", "next"]).is_none() {
        return Err(cursor.error());
    }
    let at = cursor.at();
    let count = match cursor.accept_one_of(&["row", "rows"]) {
        Some(_) => ExprKind::Number("1".into()).at(at),
        None => {
            let count = match signed_number(cursor)? {
                Some(number) => number.at(at),
                None => primary(cursor)?,
            };
            if cursor.accept_one_of(&["row", "rows"]).is_none() {
                return Err(cursor.error());
            }
            count
        }
    };
    *ties = cursor.accept_all(&["with", "ties"]);
    if !*ties {
        cursor.expect("only")?;
    }
    Ok(Some(count))
}

/// `+1`, `-1`, or nothing.
fn signed_number(cursor: &mut Cursor<'_>) -> Result<Option<ExprKind>> {
    let sign = if cursor.accept_symbol("-") {
        "-"
    } else if cursor.accept_symbol("+") {
        ""
    } else {
        return Ok(None);
    };
    if cursor.peek().kind != Kind::Number {
        return Err(cursor.error());
    }
    let number = format!("{sign}{}", cursor.advance().text);
    Ok(Some(ExprKind::Number(number.into())))
}

/// FOR UPDATE and its like, as many as there are.
fn locks(cursor: &mut Cursor<'_>, query: &mut Query) -> Result<()> {
    while cursor.is("for") {
        if cursor.accept_all(&["for", "read", "only"]) {
            return Ok(());
        }
        cursor.advance();
        // Locks have two strengths; the weaker forms of each are taken for the stronger.
        let strength = if cursor.accept_all(&["no", "key", "update"]) || cursor.accept("update") {
            LockStrength::Exclusive
        } else if cursor.accept_all(&["key", "share"]) || cursor.accept("share") {
            LockStrength::Shared
        } else {
            return Err(cursor.error());
        };
        let tables =
            if cursor.accept("of") { cursor.list(|cursor| cursor.qualified_name())? } else { Vec::new() };
        let wait = if cursor.accept("nowait") {
            LockWait::Error
        } else if cursor.accept_all(&["skip", "locked"]) {
            LockWait::Skip
        } else {
            LockWait::Block
        };
        if tables.is_empty() {
            query.locks.push(Locking { strength, of: None, wait });
        }
        for table in tables {
            if let Some(schema) = table.schema {
                let message = "must specify unqualified relation names";
                return Err(Error::new("42601", message).at(schema.at));
            }
            query.locks.push(Locking { strength, of: Some(table.name), wait });
        }
    }
    Ok(())
}

/// Whether a name without AS may follow an item of FROM.
pub(super) fn is_alias(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Quoted => true,
        Kind::Word => matches!(token.category, Category::Unreserved | Category::ColumnName),
        _ => false,
    }
}
