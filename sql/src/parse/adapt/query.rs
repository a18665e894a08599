//! Queries.

use sqlparser::ast as sp;

use super::super::ast::{
    Body, CommonTable, Distinct, Expr, ExprKind, LockStrength, LockWait, Locking, OrderBy, Query, QueryBody,
    Select, SelectItem, SetOperationKind,
};
use super::{Adapter, refuse, refuse_if};
use crate::error::Result;

impl Adapter<'_, '_> {
    /// A statement that `sqlparser` calls a query: also INSERT, UPDATE and DELETE after WITH.
    pub(super) fn query_statement(&self, query: sp::Query) -> Result<Body> {
        match *query.body {
            sp::SetExpr::Insert(_) | sp::SetExpr::Update(_) | sp::SetExpr::Delete(_) => self.modifying(query),
            _ => self.query(query).map(|query| Body::Query(Box::new(query))),
        }
    }

    fn modifying(&self, query: sp::Query) -> Result<Body> {
        let sp::Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        let more = order_by.is_some() || limit_clause.is_some() || fetch.is_some() || !locks.is_empty();
        let more = more || for_clause.is_some() || settings.is_some() || format_clause.is_some();
        refuse_if(more || !pipe_operators.is_empty(), "a clause of SELECT after a modifying statement")?;
        let with = self.with(with)?;
        match *body {
            sp::SetExpr::Insert(sp::Statement::Insert(insert)) => {
                self.insert(insert, with).map(|insert| Body::Insert(Box::new(insert)))
            }
            sp::SetExpr::Update(sp::Statement::Update(update)) => {
                self.update(update, with).map(|update| Body::Update(Box::new(update)))
            }
            sp::SetExpr::Delete(sp::Statement::Delete(delete)) => {
                self.delete(delete, with).map(|delete| Body::Delete(Box::new(delete)))
            }
            _ => refuse("this statement after WITH"),
        }
    }

    /// A query.
    pub(super) fn query(&self, query: sp::Query) -> Result<Query> {
        self.deeper(|| {
            let sp::Query {
                with,
                body,
                order_by,
                limit_clause,
                fetch,
                locks,
                for_clause,
                settings,
                format_clause,
                pipe_operators,
            } = query;
            refuse_if(for_clause.is_some(), "FOR XML, FOR JSON or FOR BROWSE")?;
            refuse_if(settings.is_some(), "SETTINGS")?;
            refuse_if(format_clause.is_some(), "FORMAT")?;
            refuse_if(!pipe_operators.is_empty(), "a pipe operator")?;
            let with = self.with(with)?;
            let (body, at) = self.query_body(*body)?;
            let order_by = self.query_order(order_by)?;
            let (mut limit, offset) = self.limit(limit_clause)?;
            if let Some(sp::Fetch { with_ties, percent, quantity }) = fetch {
                refuse_if(with_ties, "FETCH … WITH TIES")?;
                refuse_if(percent, "FETCH … PERCENT")?;
                limit = Some(match quantity {
                    Some(quantity) => self.expr(quantity)?,
                    None => Expr { kind: ExprKind::Number("1".into()), at },
                });
            }
            let locks = locks.into_iter().map(|lock| self.lock(lock)).collect::<Result<_>>()?;
            Ok(Query { with, body, order_by, limit, offset, locks, at })
        })
    }

    pub(super) fn with(&self, with: Option<sp::With>) -> Result<Vec<CommonTable>> {
        let Some(sp::With { with_token: _, recursive, cte_tables }) = with else { return Ok(Vec::new()) };
        refuse_if(recursive, "WITH RECURSIVE")?;
        cte_tables.into_iter().map(|cte| self.common_table(cte)).collect()
    }

    fn common_table(&self, cte: sp::Cte) -> Result<CommonTable> {
        let sp::Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
        refuse_if(from.is_some(), "WITH … FROM")?;
        // Either way the answer is the same; how it is computed is the planner's business.
        let _ = materialized;
        let alias = self.alias(alias)?;
        if !matches!(*query.body, sp::SetExpr::Select(_) | sp::SetExpr::Query(_) | sp::SetExpr::Values(_))
            && !matches!(*query.body, sp::SetExpr::SetOperation { .. } | sp::SetExpr::Table(_))
        {
            return refuse("a data-modifying statement in WITH");
        }
        Ok(CommonTable { name: alias.name, columns: alias.columns, query: self.query(*query)? })
    }

    /// The body of a query and where it begins.
    fn query_body(&self, body: sp::SetExpr) -> Result<(QueryBody, usize)> {
        self.deeper(|| match body {
            sp::SetExpr::Select(select) => {
                let at = self.source.at(select.select_token.0.span.start);
                Ok((QueryBody::Select(Box::new(self.select(*select)?)), at))
            }
            sp::SetExpr::Query(query) => {
                let query = self.query(*query)?;
                let at = query.at;
                Ok((QueryBody::Query(Box::new(query)), at))
            }
            sp::SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let kind = match op {
                    sp::SetOperator::Union => SetOperationKind::Union,
                    sp::SetOperator::Intersect => SetOperationKind::Intersect,
                    sp::SetOperator::Except => SetOperationKind::Except,
                    sp::SetOperator::Minus => return refuse("MINUS"),
                };
                let all = match set_quantifier {
                    sp::SetQuantifier::All => true,
                    sp::SetQuantifier::None | sp::SetQuantifier::Distinct => false,
                    sp::SetQuantifier::ByName
                    | sp::SetQuantifier::AllByName
                    | sp::SetQuantifier::DistinctByName => return refuse("BY NAME"),
                };
                let (left, at) = self.query_body(*left)?;
                let (right, _) = self.query_body(*right)?;
                Ok((QueryBody::SetOperation { kind, all, left: Box::new(left), right: Box::new(right) }, at))
            }
            sp::SetExpr::Values(sp::Values { explicit_row, value_keyword, rows }) => {
                refuse_if(explicit_row, "VALUES with ROW")?;
                refuse_if(value_keyword, "VALUE")?;
                let at = rows.first().map_or(0, |row| self.source.at(row.opening_token.0.span.start));
                let rows = rows.into_iter().map(|row| self.exprs(row.content)).collect::<Result<_>>()?;
                Ok((QueryBody::Values(rows), at))
            }
            sp::SetExpr::Table(table) => {
                let sp::Table { table_name, schema_name } = *table;
                self.table_command(table_name, schema_name)
            }
            sp::SetExpr::Insert(_)
            | sp::SetExpr::Update(_)
            | sp::SetExpr::Delete(_)
            | sp::SetExpr::Merge(_) => refuse("a data-modifying statement as a query"),
        })
    }

    /// `TABLE t` is `SELECT * FROM t`.
    fn table_command(&self, table: Option<String>, schema: Option<String>) -> Result<(QueryBody, usize)> {
        use super::super::ast::{Name, QualifiedName, TableExpr};
        use super::super::cursor::fold;
        let at = self.source.tokens.first().map_or(1, |token| token.at);
        let name = |value: String| Name { value: fold(&value, false), at };
        let Some(table) = table else { return refuse("TABLE without a name") };
        let name = QualifiedName { schema: schema.map(name), name: name(table) };
        let select = Select {
            distinct: Distinct::No,
            items: vec![SelectItem::Wildcard { at }],
            from: vec![TableExpr::Table { name, alias: None }],
            filter: None,
            group_by: None,
            having: None,
        };
        Ok((QueryBody::Select(Box::new(select)), at))
    }

    fn select(&self, select: sp::Select) -> Result<Select> {
        let sp::Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct,
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify,
            value_table_mode,
            flavor,
        } = select;
        // Hints are comments to PostgreSQL.
        let _ = optimizer_hints;
        refuse_if(select_modifiers.is_some(), "a modifier of SELECT")?;
        refuse_if(top.is_some() || top_before_distinct, "TOP")?;
        refuse_if(exclude.is_some(), "EXCLUDE")?;
        refuse_if(into.is_some(), "SELECT INTO")?;
        refuse_if(!lateral_views.is_empty(), "LATERAL VIEW")?;
        refuse_if(prewhere.is_some(), "PREWHERE")?;
        refuse_if(!connect_by.is_empty(), "CONNECT BY")?;
        refuse_if(!cluster_by.is_empty(), "CLUSTER BY")?;
        refuse_if(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
        refuse_if(!sort_by.is_empty(), "SORT BY")?;
        refuse_if(!named_window.is_empty() || window_before_qualify, "WINDOW")?;
        refuse_if(qualify.is_some(), "QUALIFY")?;
        refuse_if(value_table_mode.is_some(), "SELECT AS")?;
        refuse_if(flavor != sp::SelectFlavor::Standard, "FROM before SELECT")?;
        let distinct = match distinct {
            None | Some(sp::Distinct::All) => Distinct::No,
            Some(sp::Distinct::Distinct) => Distinct::All,
            Some(sp::Distinct::On(columns)) => Distinct::On(self.exprs(columns)?),
        };
        Ok(Select {
            distinct,
            items: self.select_items(projection)?,
            from: from.into_iter().map(|table| self.table_with_joins(table)).collect::<Result<_>>()?,
            filter: selection.map(|expr| self.expr(expr)).transpose()?,
            group_by: self.group_by(group_by)?,
            having: having.map(|expr| self.expr(expr)).transpose()?,
        })
    }

    fn group_by(&self, group_by: sp::GroupByExpr) -> Result<Option<Vec<Expr>>> {
        let sp::GroupByExpr::Expressions(expressions, modifiers) = group_by else {
            return refuse("GROUP BY ALL");
        };
        refuse_if(!modifiers.is_empty(), "a modifier of GROUP BY")?;
        match expressions.as_slice() {
            [] => Ok(None),
            [sp::Expr::Tuple(empty)] if empty.is_empty() => Ok(Some(Vec::new())),
            _ => self.exprs(expressions).map(Some),
        }
    }

    pub(super) fn select_items(&self, items: Vec<sp::SelectItem>) -> Result<Vec<SelectItem>> {
        items.into_iter().map(|item| self.select_item(item)).collect()
    }

    fn select_item(&self, item: sp::SelectItem) -> Result<SelectItem> {
        match item {
            sp::SelectItem::UnnamedExpr(expr) => Ok(SelectItem::Expr { expr: self.expr(expr)?, alias: None }),
            sp::SelectItem::ExprWithAlias { expr, alias } => {
                Ok(SelectItem::Expr { expr: self.expr(expr)?, alias: Some(self.name(alias)) })
            }
            sp::SelectItem::ExprWithAliases { .. } => refuse("several aliases of one expression"),
            sp::SelectItem::QualifiedWildcard(kind, options) => {
                self.wildcard_options(options)?;
                match kind {
                    sp::SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        self.qualified(name).map(SelectItem::TableWildcard)
                    }
                    sp::SelectItemQualifiedWildcardKind::Expr(_) => refuse("(expression).*"),
                }
            }
            sp::SelectItem::Wildcard(options) => {
                Ok(SelectItem::Wildcard { at: self.wildcard_options(options)? })
            }
        }
    }

    fn wildcard_options(&self, options: sp::WildcardAdditionalOptions) -> Result<usize> {
        let sp::WildcardAdditionalOptions {
            wildcard_token,
            opt_ilike,
            opt_exclude,
            opt_except,
            opt_replace,
            opt_rename,
            opt_alias,
        } = options;
        let more = opt_ilike.is_some() || opt_exclude.is_some() || opt_except.is_some();
        let more = more || opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some();
        refuse_if(more, "an option of *")?;
        Ok(self.source.at(wildcard_token.0.span.start))
    }

    fn query_order(&self, order_by: Option<sp::OrderBy>) -> Result<Vec<OrderBy>> {
        let Some(sp::OrderBy { kind, interpolate }) = order_by else { return Ok(Vec::new()) };
        refuse_if(interpolate.is_some(), "INTERPOLATE")?;
        match kind {
            sp::OrderByKind::Expressions(expressions) => self.order_by(expressions),
            sp::OrderByKind::All(_) => refuse("ORDER BY ALL"),
        }
    }

    pub(super) fn order_by(&self, expressions: Vec<sp::OrderByExpr>) -> Result<Vec<OrderBy>> {
        expressions.into_iter().map(|expression| self.order_by_one(expression)).collect()
    }

    pub(super) fn order_by_one(&self, expression: sp::OrderByExpr) -> Result<OrderBy> {
        let sp::OrderByExpr { expr, options: sp::OrderByOptions { sort, nulls_first }, with_fill } =
            expression;
        refuse_if(with_fill.is_some(), "WITH FILL")?;
        let descending = match sort {
            None | Some(sp::OrderBySort::Asc) => false,
            Some(sp::OrderBySort::Desc) => true,
            Some(sp::OrderBySort::Using(_)) => return refuse("ORDER BY … USING"),
        };
        Ok(OrderBy { expr: self.expr(expr)?, descending, nulls_first })
    }

    fn limit(&self, clause: Option<sp::LimitClause>) -> Result<(Option<Expr>, Option<Expr>)> {
        match clause {
            None => Ok((None, None)),
            Some(sp::LimitClause::LimitOffset { limit, offset, limit_by }) => {
                refuse_if(!limit_by.is_empty(), "LIMIT … BY")?;
                let limit = limit.map(|expr| self.expr(expr)).transpose()?;
                let offset = offset.map(|sp::Offset { value, rows: _ }| self.expr(value)).transpose()?;
                Ok((limit, offset))
            }
            Some(sp::LimitClause::OffsetCommaLimit { .. }) => refuse("LIMIT offset, count"),
        }
    }

    fn lock(&self, lock: sp::LockClause) -> Result<Locking> {
        let sp::LockClause { lock_type, of, nonblock } = lock;
        Ok(Locking {
            strength: match lock_type {
                sp::LockType::Share => LockStrength::Shared,
                sp::LockType::Update => LockStrength::Exclusive,
            },
            of: of.map(|name| self.simple(name, "the table of FOR UPDATE OF")).transpose()?,
            wait: match nonblock {
                None => LockWait::Block,
                Some(sp::NonBlock::Nowait) => LockWait::Error,
                Some(sp::NonBlock::SkipLocked) => LockWait::Skip,
            },
        })
    }
}
