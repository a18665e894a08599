//! Indexes: CREATE INDEX, REINDEX, and what their keys and predicates are made of.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use expr::volatility::Volatility;
use expr::{Expr, Type, TypeKind};

use super::check::apart;
use super::definition::{Bound, ddl, unplaced};
use super::label::label;
use super::level::{Clause, WithoutSystemColumns};
use super::new_names::NewNames;
use super::operator_class::{has_default_class, operator_class};
use super::row_expression::sparing_over_row;
use super::{Binder, system_column};
use crate::catalog::{
    CatalogSnapshot, Column, ColumnId, IndexColumn, IndexDescriptor, IndexExpression, IndexMethod,
    IndexOptions, IndexPart, Oid, RowExpression, SearchPath, TableDescriptor, TableKind,
};
use crate::error::{Error, Notice, Result};
use crate::parse;
use crate::parse::ast::{self, DefaultDefinition, KeyDefinition, Name, Reindexed};
use crate::plan::{CreateIndex, Ddl, NewIndex, NewIndexKind, Reindex, Target};

/// The most parts of a key, included columns counted.
const PARTS_MAX: usize = 32;

/// The clause that a part of a key stands in.
const KEY: Clause = Clause::without_queries("index expressions", "index expression")
    .without_system_columns(WithoutSystemColumns::Index);
/// The clause that a predicate stands in.
const PREDICATE: Clause = Clause::without_queries("index predicates", "index predicate")
    .without_system_columns(WithoutSystemColumns::Index);

/// Says of the indexes of a table what they are made of, over its columns as they are. What cannot be understood stays open:
/// whoever needs it finds that out.
pub(crate) fn settle_indexes(mut table: TableDescriptor, catalog: &CatalogSnapshot) -> TableDescriptor {
    if !table.has_index_expressions() {
        return table;
    }
    let (name, columns) = (table.name.clone(), table.columns.clone());
    for expression in table.indexes.iter_mut().flat_map(IndexDescriptor::expressions_mut) {
        let bound = apart(catalog, |binder| {
            let parsed = parse::parse_expression(&expression.kept.text)?;
            let (bound, _) = binder.over_row(&name, &columns, KEY, &parsed)?;
            binder.settle(bound, 0)
        });
        expression.bound = bound.ok().map(Arc::new);
    }
    table
}

/// How a part of an index's key is written, in parentheses where CREATE INDEX needs them; sparing if there is a search path.
pub(crate) fn key_part_text(
    table: &TableDescriptor,
    index: &IndexDescriptor,
    part: usize,
    catalog: &CatalogSnapshot,
    search_path: Option<&SearchPath>,
) -> Option<String> {
    match &index.columns.get(part)?.part {
        IndexPart::Column(id) => {
            let column = table.columns.get(table.column_by_id(*id)?)?;
            Some(expr::functions::quote::identifier(&column.name))
        }
        IndexPart::Expression(expression) => {
            let kept = &expression.kept.text;
            let text = match search_path {
                None => kept.clone(),
                Some(path) => {
                    sparing_index_expression(table, kept, catalog, path).unwrap_or_else(|| kept.clone())
                }
            };
            let parsed = parse::parse_expression(kept).ok()?;
            let is_call = matches!(parsed.kind, ast::ExprKind::Function(_));
            Some(if is_call { text } else { format!("({text})") })
        }
    }
}

/// An expression of an index, less parentheses that make no difference.
pub(crate) fn sparing_index_expression(
    table: &TableDescriptor,
    kept: &str,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
) -> Option<String> {
    sparing_over_row(table, kept, catalog, search_path, |binder, expression| {
        let (bound, _) = binder.over_row(&table.name, &table.columns, KEY, expression)?;
        binder.settle(bound, 0)
    })
}

/// The names of an index's columns, those of its key first.
pub(crate) fn index_column_names(table: &TableDescriptor, index: &IndexDescriptor) -> Vec<String> {
    let column = |id: ColumnId| {
        let column = table.column_by_id(id).and_then(|place| table.columns.get(place));
        column.map(|column| column.name.clone()).unwrap_or_default()
    };
    let keys = index.columns.iter().map(|key| match &key.part {
        IndexPart::Column(id) => column(*id),
        IndexPart::Expression(expression) => match parse::parse_expression(&expression.kept.text) {
            Ok(parsed) => expression_name(&parsed),
            Err(_) => "expr".to_owned(),
        },
    });
    distinct(keys.chain(index.options.included.iter().map(|id| column(*id))))
}

/// What a column of an index is called that is an expression.
fn expression_name(expression: &ast::Expr) -> String {
    let name = label(expression, &HashMap::new());
    if name == "?column?" { "expr".to_owned() } else { name }
}

/// The names, with numbers where one has come before.
fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut chosen: Vec<String> = Vec::new();
    for name in names {
        let is_taken = |candidate: &String| chosen.contains(candidate);
        let numbered = (1..).map(|number: u32| format!("{name}{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|candidate| !is_taken(candidate));
        chosen.push(free.unwrap_or(name));
    }
    chosen
}

impl Binder<'_> {
    /// CREATE INDEX.
    pub(super) fn create_index(&mut self, create: &ast::CreateIndex) -> Result<Bound> {
        let no_index = |table: &TableDescriptor| {
            let message = format!("cannot create index on relation \"{}\"", table.name);
            let detail = format!("This operation is not supported for {}s.", table.kind.word());
            Error::new("42809", message).detail(detail)
        };
        let table = self.indexed_table(&create.table, no_index)?;
        check_method(create)?;
        let at = create.table.name.at;
        let mut columns = Vec::with_capacity(create.columns.len());
        for part in &create.columns {
            columns.push(self.index_column(&table, part, create.method, at)?);
        }
        let options = IndexOptions {
            included: included(&table.columns, &create.included, "index")?,
            predicate: match &create.predicate {
                None => None,
                Some(written) => Some(self.index_predicate(&table, written)?),
            },
            nulls_not_distinct: create.nulls_not_distinct,
            method: create.method,
        };
        let own = create.columns.iter().map(|column| match &column.part {
            ast::IndexPart::Column(name) => name.value.clone(),
            ast::IndexPart::Expression(written) => expression_name(&written.expr),
        });
        let called = distinct(own.chain(create.included.iter().map(|name| name.value.clone())));
        let mut names = NewNames::new(self, &table.schema);
        let name = match &create.name {
            None => names.choose(&table.name, &called, "idx"),
            Some(name) if names.is_taken(&name.value) => {
                let message = format!("relation \"{}\" already exists", name.value);
                if !create.if_not_exists {
                    return Err(Error::new("42P07", message));
                }
                self.notices.push(Notice::notice("42P07", format!("{message}, skipping")));
                return ddl(Ddl::Nothing { tag: "CREATE INDEX" });
            }
            Some(name) => name.value.clone(),
        };
        let kind = if create.unique { NewIndexKind::Unique } else { NewIndexKind::Plain };
        let index = NewIndex { name, kind, columns, options };
        ddl(Ddl::CreateIndex(CreateIndex { table, index, concurrently: create.concurrently }))
    }

    /// A table or materialised view; `otherwise` is the error of others.
    fn indexed_table(
        &self,
        name: &ast::QualifiedName,
        otherwise: impl Fn(&TableDescriptor) -> Error,
    ) -> Result<Arc<TableDescriptor>> {
        match self.table(name) {
            Ok(table) if table.kind == TableKind::Materialised => Ok(table),
            _ => self.stored_table(name, otherwise).map_err(unplaced),
        }
    }

    /// A part of an index's key.
    fn index_column(
        &mut self,
        table: &TableDescriptor,
        column: &ast::IndexColumn,
        method: IndexMethod,
        at: usize,
    ) -> Result<IndexColumn> {
        let (part, ty) = match &column.part {
            ast::IndexPart::Column(name) => {
                let found = table.visible().find(|(_, own)| own.name == name.value);
                let Some((_, found)) = found else {
                    system_column::check_indexed(name, method)?;
                    let error = Error::new("42703", format!("column \"{}\" does not exist", name.value));
                    // A name in parentheses is looked up as an expression is, which tells the place.
                    return Err(if column.is_enclosed { error.at(name.at) } else { error });
                };
                (IndexPart::Column(found.id), found.ty)
            }
            ast::IndexPart::Expression(written) => {
                let expression = self.index_expression(table, written)?;
                let ty = expression.ty;
                (IndexPart::Expression(expression), ty)
            }
        };
        let class = match &column.class {
            None => None,
            Some(name) => operator_class(&name.name.value, ty.kind, method)?,
        };
        check_key(ty, method, self.catalog, at)?;
        Ok(IndexColumn {
            part,
            class,
            descending: column.descending,
            nulls_first: column.nulls_first.unwrap_or(column.descending),
        })
    }

    fn index_expression(
        &mut self,
        table: &TableDescriptor,
        written: &DefaultDefinition,
    ) -> Result<IndexExpression> {
        let bound = self.key_expression(&table.name, &table.columns, &written.expr)?;
        if bound.volatility() != Volatility::Immutable {
            let message = "functions in index expression must be marked IMMUTABLE";
            return Err(Error::new("42P17", message));
        }
        if bound.ty().kind == TypeKind::Record {
            let name = expression_name(&written.expr);
            return Err(Error::new("42P16", format!("column \"{name}\" has pseudo-type record")));
        }
        let kept = self.kept_key((&table.name, &table.columns, &table.columns), written)?;
        Ok(IndexExpression { kept, ty: bound.ty(), bound: None })
    }

    fn index_predicate(
        &mut self,
        table: &TableDescriptor,
        written: &DefaultDefinition,
    ) -> Result<IndexExpression> {
        let (bound, _) = self.over_row(&table.name, &table.columns, PREDICATE, &written.expr)?;
        let bound = self.condition(bound, "WHERE", written.expr.at)?;
        if bound.volatility() != Volatility::Immutable {
            return Err(Error::new("42P17", "functions in index predicate must be marked IMMUTABLE"));
        }
        let kept = self.kept_key((&table.name, &table.columns, &table.columns), written)?;
        Ok(IndexExpression { kept, ty: Type::plain(TypeKind::Bool), bound: None })
    }

    /// What a part of a key is, over a row.
    fn key_expression(&mut self, table: &str, columns: &[Column], expr: &ast::Expr) -> Result<Expr> {
        let (bound, _) = self.over_row(table, columns, KEY, expr)?;
        self.settle(bound, expr.at)
    }

    /// What is kept of an index's expression, once the columns are called as in the second list.
    fn kept_key(
        &mut self,
        (table, columns, renamed): (&str, &[Column], &[Column]),
        written: &DefaultDefinition,
    ) -> Result<RowExpression> {
        let what = "renaming a column that this index is made of";
        self.kept_over_row(columns, renamed, written, what, |binder, columns, expr| {
            binder.key_expression(table, columns, expr)
        })
    }

    /// The expressions of indexes name a renamed column by its new name.
    pub(super) fn rename_in_indexes(
        &mut self,
        table: &mut TableDescriptor,
        renamed: ColumnId,
        (before, after): (&[Column], &[Column]),
    ) -> Result<()> {
        let name = table.name.clone();
        for expression in table.indexes.iter_mut().flat_map(IndexDescriptor::expressions_mut) {
            if expression.kept.columns.contains(&renamed) {
                let expr = parse::parse_expression(&expression.kept.text)?;
                let written = DefaultDefinition { expr, text: expression.kept.text.clone() };
                expression.kept.text =
                    self.of_kept(|binder| binder.kept_key((&name, before, after), &written))?.text;
            }
        }
        Ok(())
    }

    /// The expressions of indexes make sense of a column's new type, which the table has already; whether any names it.
    pub(super) fn retype_indexes(&mut self, table: &mut TableDescriptor, changed: ColumnId) -> Result<bool> {
        let (name, columns) = (table.name.clone(), table.columns.clone());
        let kind = columns.iter().find(|column| column.id == changed).map(|column| column.ty.kind);
        let mut any = false;
        for index in &mut table.indexes {
            let method = index.options.method;
            let mut predicate = index.options.predicate.take();
            for expression in index.expressions_mut() {
                any |= self.retype_key((&name, &columns), expression, changed, "expression")?;
                check_key(expression.ty, method, self.catalog, 0).map_err(unplaced)?;
            }
            if let Some(predicate) = &mut predicate
                && self.retype_key((&name, &columns), predicate, changed, "predicate")?
            {
                any = true;
                if predicate.ty.kind != TypeKind::Bool {
                    let shown = predicate.ty.kind.display_name();
                    let message = format!("argument of WHERE must be type boolean, not type {shown}");
                    return Err(Error::new("42804", message));
                }
            }
            index.options.predicate = predicate;
            for key in index.columns.iter_mut().filter(|key| key.column() == Some(changed)) {
                if let (Some(class), Some(kind)) = (&key.class, kind) {
                    key.class = operator_class(class, kind, method)?;
                }
            }
        }
        Ok(any)
    }

    /// One expression of an index makes sense of a column's new type, if it names it; whether it does.
    fn retype_key(
        &mut self,
        (table, columns): (&str, &[Column]),
        expression: &mut IndexExpression,
        changed: ColumnId,
        word: &str,
    ) -> Result<bool> {
        if !expression.kept.columns.contains(&changed) {
            return Ok(false);
        }
        let expr = parse::parse_expression(&expression.kept.text)?;
        let bound = self.of_kept(|binder| binder.key_expression(table, columns, &expr)).map_err(unplaced)?;
        if bound.volatility() != Volatility::Immutable {
            let message = format!("functions in index {word} must be marked IMMUTABLE");
            return Err(Error::new("42P17", message));
        }
        let written = DefaultDefinition { expr, text: expression.kept.text.clone() };
        let kept = self.of_kept(|binder| binder.kept_key((table, columns, columns), &written))?;
        expression.kept.text = kept.text;
        expression.ty = bound.ty();
        expression.bound = None;
        Ok(true)
    }

    /// REINDEX.
    pub(super) fn reindex(&mut self, reindex: &ast::Reindex) -> Result<Bound> {
        let all = |table: &Arc<TableDescriptor>| {
            (table.clone(), table.indexes.iter().map(|index| index.oid).collect::<Vec<Oid>>())
        };
        let concurrently = reindex.concurrently.then_some("REINDEX CONCURRENTLY");
        let (indexes, apart) = match &reindex.what {
            Reindexed::Index(name) => match self.index_named(name) {
                Some(Target::Index { table, oid, .. }) => (vec![(table, vec![oid])], concurrently),
                _ => {
                    let relation = self.table(name).map_err(unplaced)?;
                    return Err(Error::new("42809", format!("\"{}\" is not an index", relation.name)));
                }
            },
            Reindexed::Table(name) => {
                let not_so = |table: &TableDescriptor| {
                    Error::new("42809", format!("\"{}\" is not a table or materialized view", table.name))
                };
                (vec![all(&self.indexed_table(name, not_so)?)], concurrently)
            }
            Reindexed::Schema(name) => {
                if self.catalog.objects().schema_oid(&name.value).is_none() {
                    return Err(Error::new("3F000", format!("schema \"{}\" does not exist", name.value)));
                }
                let tables = self.catalog.tables().filter(|table| table.schema == name.value);
                (tables.filter(|table| !table.indexes.is_empty()).map(all).collect(), Some("REINDEX SCHEMA"))
            }
            Reindexed::Database(name) => {
                if let Some(name) = name
                    && name.value != self.catalog.database_name()
                {
                    return Err(Error::new("0A000", "can only reindex the currently open database"));
                }
                let tables = self.catalog.tables().filter(|table| !table.indexes.is_empty());
                (tables.map(all).collect(), Some("REINDEX DATABASE"))
            }
        };
        ddl(Ddl::Reindex(Reindex { indexes, apart }))
    }
}

/// 0A000 for what an index of a method cannot be.
fn check_method(create: &ast::CreateIndex) -> Result<()> {
    if create.columns.len().saturating_add(create.included.len()) > PARTS_MAX {
        return Err(Error::new("54011", format!("cannot use more than {PARTS_MAX} columns in an index")));
    }
    if create.method == IndexMethod::Btree {
        return Ok(());
    }
    let refused = |what: &str| {
        let message = format!("access method \"{}\" does not support {what}", create.method.name());
        Err(Error::new("0A000", message))
    };
    match create.columns.as_slice() {
        _ if create.unique => refused("unique indexes"),
        _ if !create.included.is_empty() => refused("included columns"),
        [] | [_, _, ..] => refused("multicolumn indexes"),
        [only] if only.nulls_first.is_some() => refused("NULLS FIRST/LAST options"),
        [only] if only.is_ordered => refused("ASC/DESC options"),
        [_] => Ok(()),
    }
}

/// The columns of INCLUDE.
fn included(columns: &[Column], names: &[Name], of: &str) -> Result<Vec<ColumnId>> {
    let find = |name: &Name| {
        let found = columns.iter().find(|column| !column.hidden && column.name == name.value);
        found.map(|column| column.id).ok_or_else(|| match of {
            "key" => {
                let message = format!("column \"{}\" named in key does not exist", name.value);
                Error::new("42703", message).at(name.at)
            }
            _ => Error::new("42703", format!("column \"{}\" does not exist", name.value)),
        })
    };
    names.iter().map(find).collect()
}

/// Whether values of a type can stand in a key, with all that they are made of.
fn is_possible(kind: TypeKind, catalog: &CatalogSnapshot) -> bool {
    let mut seen = BTreeSet::new();
    let mut left = vec![kind];
    while let Some(kind) = left.pop() {
        if !expr::key::is_possible(kind) {
            return false;
        }
        let own = kind.element().unwrap_or(kind).base();
        if own.is_composite() && seen.insert(own.oid()) {
            let attributes = catalog.objects().attributes(own).unwrap_or_default();
            left.extend(attributes.types().iter().map(|ty| ty.kind));
        }
    }
    true
}

impl Binder<'_> {
    /// Whether values of a type can stand in a key, with all that they are made of.
    pub(super) fn can_be_key(&self, kind: TypeKind) -> bool {
        is_possible(kind, self.catalog)
    }
}

/// 0A000 of a column that cannot be part of a primary key: what is there is told from what is not by `IS NOT NULL`, which asks
/// about the fields of a composite value.
pub(super) fn check_primary(ty: Type, at: usize) -> Result<()> {
    if !ty.kind.is_record() {
        return Ok(());
    }
    let what = format!("a primary key over a column of type {}", ty.kind.display_name());
    Err(Error::unsupported(what).at(at))
}

/// Whether a column of the type may be part of an index.
pub(super) fn check_key(ty: Type, method: IndexMethod, catalog: &CatalogSnapshot, at: usize) -> Result<()> {
    let shown = ty.kind.display_name();
    if !has_default_class(ty.kind, method) {
        let method = method.name();
        let message =
            format!("data type {shown} has no default operator class for access method \"{method}\"");
        return Err(Error::new("42704", message)
            .hint("You must specify an operator class for the index or define a default operator class for the data type."));
    }
    if is_possible(ty.kind, catalog) {
        return Ok(());
    }
    Err(Error::unsupported(format!("an index over a column of type {shown}")).at(at))
}

impl NewNames<'_, '_> {
    /// The index of PRIMARY KEY or UNIQUE.
    pub(super) fn key_index(
        &mut self,
        table: &str,
        columns: &[Column],
        key: &KeyDefinition,
    ) -> Result<NewIndex> {
        let mut own: Vec<IndexColumn> = Vec::with_capacity(key.columns.len());
        for name in &key.columns {
            let column = key_column(columns, name, key.at)?;
            if own.iter().any(|other| other.column() == Some(column.id)) {
                let what = if key.primary { "primary key" } else { "unique" };
                let message = format!("column \"{}\" appears twice in {what} constraint", name.value);
                return Err(Error::new("42701", message).at(key.at));
            }
            check_key(column.ty, IndexMethod::Btree, self.binder.catalog, key.at)?;
            if key.primary {
                check_primary(column.ty, key.at)?;
            }
            own.push(IndexColumn::ascending(column.id));
        }
        let included = included(columns, &key.included, "key")?;
        let name = match &key.name {
            Some(name) if self.is_taken(&name.value) => {
                return Err(Error::new("42P07", format!("relation \"{}\" already exists", name.value)));
            }
            Some(name) => {
                self.chosen.push(name.value.clone());
                name.value.clone()
            }
            None if key.primary => self.choose_key(table, &[], "pkey"),
            None => {
                let all = key.columns.iter().chain(&key.included);
                let names: Vec<String> = all.map(|name| name.value.clone()).collect();
                self.choose_key(table, &names, "key")
            }
        };
        let kind = if key.primary { NewIndexKind::PrimaryKey } else { NewIndexKind::UniqueConstraint };
        let nulls_not_distinct = key.nulls_not_distinct;
        let options = IndexOptions { included, nulls_not_distinct, ..IndexOptions::default() };
        Ok(NewIndex { name, kind, columns: own, options })
    }
}

fn key_column<'c>(columns: &'c [Column], name: &Name, at: usize) -> Result<&'c Column> {
    columns.iter().find(|column| !column.hidden && column.name == name.value).ok_or_else(|| {
        let message = format!("column \"{}\" named in key does not exist", name.value);
        Error::new("42703", message).at(at)
    })
}
