//! Views: their queries bound as parts of others, and CREATE VIEW.

use std::sync::Arc;

use super::{Bound, change, nothing, unplaced};
use crate::bind::Binder;
use crate::bind::definition::not_temporary;
use crate::bind::query::BoundQuery;
use crate::catalog::object::{
    ObjectBody, ObjectDescriptor, ViewColumn, ViewDescriptor, ViewOptions, ViewRelation,
};
use crate::catalog::{TableDescriptor, TableKind, schema};
use crate::error::{Error, Notice, Result};
use crate::parse;
use crate::parse::ast::{self, QualifiedName, ViewOption};
use crate::plan::{Acting, Filter, Join, JoinKind, JoinStrategy, Node, ObjectChange, Values, walk};

/// How deep views may stand in views.
const VIEWS_DEEP_MAX: usize = 64;

/// What names mean within a view's query.
#[derive(Debug)]
pub(in crate::bind) enum WithinView {
    /// A query that is there: as it says.
    Known(Arc<ObjectDescriptor>),
    /// A query that is to be: as everywhere, and it is noted.
    New(Vec<ViewRelation>),
}

impl Binder<'_> {
    /// The rows of a view.
    pub(in crate::bind) fn view_rows(&mut self, relation: &TableDescriptor) -> Result<BoundQuery> {
        let (object, acting) = self.viewing(relation)?;
        let ObjectBody::View(view) = &object.body else {
            return Err(Error::internal("a view that is none"));
        };
        if self.views.contains(&relation.oid) {
            let message = format!("infinite recursion detected in rules for relation \"{}\"", relation.name);
            return Err(Error::new("42P17", message));
        }
        if self.views_deep >= VIEWS_DEEP_MAX {
            let message = format!("views stand more than {VIEWS_DEEP_MAX} deep in each other");
            return Err(Error::new("54001", message));
        }
        let (query, height) = parse::parse_measured_query(&view.query)?;
        self.views.push(relation.oid);
        let within = WithinView::Known(object.clone());
        let bound = self.within_text(height, |binder| binder.apart(within, acting, &query));
        self.views.pop();
        let mut bound = bound?;
        if view.options.barrier {
            hide(&mut bound.node);
        }
        // A view that reads it may know its columns by other names.
        for (number, (column, own)) in (1_i16..).zip(bound.columns.iter_mut().zip(&relation.columns)) {
            column.name.clone_from(&own.name);
            column.origin = Some((relation.oid, number));
        }
        Ok(bound)
    }

    /// The rows of the query of a view that is to be.
    pub(in crate::bind) fn new_view_rows(&mut self, query: &ast::Query) -> Result<BoundQuery> {
        let acting = self.needs.acting();
        self.apart(WithinView::New(Vec::new()), acting, query)
    }

    /// A view's descriptor, and who acts in its query.
    pub(in crate::bind) fn viewing(
        &self,
        relation: &TableDescriptor,
    ) -> Result<(Arc<ObjectDescriptor>, Acting)> {
        let object = self.catalog.objects().get(relation.oid).cloned();
        let object = object.ok_or_else(|| Error::internal("a view without a descriptor"))?;
        let owner = self.catalog.access().object(crate::catalog::access::Object::of(relation)).owner;
        // Whoever asks is asked for rights, through whatever views the query comes.
        let is_invoker = object.view().is_some_and(|view| view.options.invoker);
        let owner = if is_invoker { self.runs_as } else { Some(owner) };
        Ok((object, Acting { owner, within_view: true }))
    }

    /// A query that sees nothing of what stands around it; its errors have no place in this statement.
    pub(in crate::bind) fn apart(
        &mut self,
        within: WithinView,
        acting: Acting,
        query: &ast::Query,
    ) -> Result<BoundQuery> {
        let levels = std::mem::take(&mut self.levels);
        let frames = std::mem::take(&mut self.frames);
        let common = std::mem::take(&mut self.common_tables);
        let unready = std::mem::take(&mut self.unready);
        let barriers = std::mem::take(&mut self.barriers);
        let as_of_at = self.as_of_at.take();
        let target = self.target.take();
        let outer = self.within_view.replace(within);
        let before = self.needs.act(acting);
        self.views_deep = self.views_deep.saturating_add(1);
        let bound = self.without_parameters(|binder| {
            let bound = binder.query_in(query, false)?;
            binder.settle_outputs(bound)
        });
        self.views_deep = self.views_deep.saturating_sub(1);
        self.needs.act(before);
        let within = std::mem::replace(&mut self.within_view, outer);
        self.viewed = match within {
            Some(WithinView::New(relations)) => relations,
            _ => Vec::new(),
        };
        self.target = target;
        self.as_of_at = as_of_at;
        self.barriers = barriers;
        self.unready = unready;
        self.common_tables = common;
        self.frames = frames;
        self.levels = levels;
        bound
    }

    /// Has names mean what they do in the body of a function; what they meant before.
    pub(in crate::bind) fn enter_names(&mut self, function: &Arc<ObjectDescriptor>) -> Option<WithinView> {
        let within = function.kept_query().is_some().then(|| WithinView::Known(function.clone()));
        std::mem::replace(&mut self.within_view, within)
    }

    /// CREATE VIEW.
    pub(super) fn create_view(&mut self, create: &ast::CreateView) -> Result<Bound> {
        let mut schema = self.creation_schema(&create.name, create.persistence).map_err(unplaced)?;
        let name = &create.name.name.value;
        self.only_keeps = true;
        self.types_named.borrow_mut().clear();
        // The names of relations and columns are to be found again: errors have their places as ever.
        let bound = self.new_view_rows(&create.query)?;
        let mut relations = std::mem::take(&mut self.viewed);
        let is_own = |oid| self.catalog.table_by_oid(oid).is_some_and(|table| table.is_temporary());
        if schema != schema::TEMPORARY && relations.iter().any(|relation| is_own(relation.oid)) {
            let message = format!("view \"{name}\" will be a temporary view");
            self.notices.push(Notice::notice("00000", message));
            if create.name.schema.is_some() {
                return Err(not_temporary());
            }
            schema::TEMPORARY.clone_into(&mut schema);
        }
        let known = self.catalog.table(&schema, name).cloned();
        if self.catalog.is_taken(&schema, name) && !(create.replace && known.is_some()) {
            return Err(Error::new("42P07", format!("relation \"{name}\" already exists")));
        }
        if known.is_none() {
            self.check_row_type_name(&schema, name)?;
        }
        if let Some(known) = known.as_ref().filter(|known| known.kind != TableKind::View) {
            return Err(Error::new("42809", format!("\"{}\" is not a view", known.name)));
        }
        for relation in &mut relations {
            relation.read = self.needs.columns_read(relation.oid);
        }
        let options = with_options(ViewOptions::default(), &create.options);
        if options.check.is_some() {
            let why = self.why_not_simple(&create.query)?;
            check_options(why)?;
        }
        // Whoever makes a view need not be allowed to read what it reads, only to name it.
        self.needs.only_names();
        if create.columns.len() > bound.columns.len() {
            return Err(Error::new("42601", "CREATE VIEW specifies more column names than columns"));
        }
        let mut columns: Vec<ViewColumn> = Vec::with_capacity(bound.columns.len());
        for (place, (column, ty)) in bound.columns.iter().zip(bound.node.types()).enumerate() {
            let name = create.columns.get(place).map_or(&column.name, |name| &name.value);
            if columns.iter().any(|other| other.name == *name) {
                return Err(Error::new("42701", format!("column \"{name}\" specified more than once")));
            }
            if !ty.kind.is_storable() {
                let message = format!("column \"{name}\" has pseudo-type {}", ty.display_name());
                return Err(Error::new("42P16", message));
            }
            columns.push(ViewColumn { name: name.clone(), ty, default: None });
        }
        if let Some(known) = &known {
            check_replaced(known, &columns)?;
            for (column, own) in columns.iter_mut().zip(&known.columns) {
                column.default.clone_from(&own.default);
            }
        }
        let types = std::mem::take(&mut *self.types_named.borrow_mut()).into_iter().collect();
        let query = self.kept_query(&create.text);
        let view = ViewDescriptor {
            columns,
            pinned: parse::relations_in(&query),
            query,
            relations,
            grouped_by: std::mem::take(&mut self.grouped_by),
            options,
            types,
        };
        let oid = known.map(|known| known.oid);
        change(ObjectChange::CreateView { oid, schema, name: name.clone(), view: Box::new(view) })
    }

    /// ALTER VIEW … RENAME COLUMN. Views that read it know it by its old name, as everything.
    pub(super) fn rename_view_column(
        &mut self,
        object: &ast::ObjectName,
        from: &ast::Name,
        to: &ast::Name,
    ) -> Result<Bound> {
        let Some((relation, mut view)) = self.altered_view(object)? else { return nothing("ALTER VIEW") };
        if !view.columns.iter().any(|column| column.name == from.value) {
            return Err(Error::new("42703", format!("column \"{}\" does not exist", from.value)));
        }
        if view.columns.iter().any(|column| column.name == to.value) {
            let message = format!("column \"{}\" of relation \"{}\" already exists", to.value, relation.name);
            return Err(Error::new("42701", message));
        }
        for column in view.columns.iter_mut().filter(|column| column.name == from.value) {
            column.name.clone_from(&to.value);
        }
        change(ObjectChange::AlterView { relation, view: Box::new(view), tag: "ALTER VIEW" })
    }

    /// ALTER VIEW … SET (…), RESET (…).
    pub(super) fn set_view_options(
        &mut self,
        object: &ast::ObjectName,
        options: &[ViewOption],
    ) -> Result<Bound> {
        let Some((relation, mut view)) = self.altered_view(object)? else { return nothing("ALTER VIEW") };
        view.options = with_options(view.options, options);
        if options.iter().any(|option| matches!(option, ViewOption::Check(Some(_)))) {
            self.only_keeps = true;
            let (object, _) = self.viewing(&relation)?;
            let query = parse::parse_query(&view.query)?;
            // Who alters it need not be allowed to read what it reads.
            let needs = std::mem::take(&mut self.needs);
            let outer = self.within_view.replace(WithinView::Known(object));
            let why = self.why_not_simple(&query);
            self.within_view = outer;
            self.needs = needs;
            check_options(why.map_err(unplaced)?)?;
        }
        change(ObjectChange::AlterView { relation, view: Box::new(view), tag: "ALTER VIEW" })
    }

    /// ALTER VIEW … ALTER COLUMN … SET DEFAULT, DROP DEFAULT.
    pub(in crate::bind) fn set_view_default(
        &mut self,
        object: &ast::ObjectName,
        column: &ast::Name,
        default: Option<&ast::DefaultDefinition>,
        tag: &'static str,
    ) -> Result<Bound> {
        let Some((relation, mut view)) = self.altered_view(object)? else { return nothing(tag) };
        let Some(own) = view.columns.iter_mut().find(|own| own.name == column.value) else {
            let message =
                format!("column \"{}\" of relation \"{}\" does not exist", column.value, relation.name);
            return Err(Error::new("42703", message));
        };
        own.default = match default {
            None => None,
            Some(default) => {
                self.default_expression(&default.expr, own.ty, &own.name).map_err(unplaced)?;
                self.kept_default(default, own.ty, &own.name)?
            }
        };
        change(ObjectChange::AlterView { relation, view: Box::new(view), tag })
    }

    fn altered_view(
        &mut self,
        object: &ast::ObjectName,
    ) -> Result<Option<(Arc<TableDescriptor>, ViewDescriptor)>> {
        let Some(relation) = self.altered(object)? else { return Ok(None) };
        let view = self.catalog.objects().get(relation.oid).and_then(|object| object.view()).cloned();
        let view = view.ok_or_else(|| Error::internal("a view without a descriptor"))?;
        Ok(Some((relation, view)))
    }

    /// Whether the query at hand is one that is kept.
    pub(in crate::bind) fn is_within_known(&self) -> bool {
        matches!(self.within_view, Some(WithinView::Known(_)))
    }

    /// The made types that the query of the view at hand names.
    pub(in crate::bind) fn viewed_types(&self) -> &[crate::catalog::Oid] {
        match &self.within_view {
            Some(WithinView::Known(object)) => object.kept_query().map_or(&[], |view| &view.types),
            _ => &[],
        }
    }

    /// Notes what the query of a new view names.
    pub(in crate::bind) fn note_viewed(&mut self, name: &QualifiedName, table: &TableDescriptor) {
        let Some(WithinView::New(relations)) = &mut self.within_view else { return };
        let schema = name.schema.as_ref().map(|schema| schema.value.clone());
        if relations.iter().any(|known| known.schema == schema && known.name == name.name.value) {
            return;
        }
        let columns = table.visible().map(|(_, column)| (column.id, column.name.clone())).collect();
        let name = name.name.value.clone();
        relations.push(ViewRelation { schema, name, oid: table.oid, columns, read: Vec::new() });
    }

    /// The places of a table's columns that a query sees: within a view's those that there were then.
    pub(in crate::bind) fn seen_places(&self, name: &QualifiedName, table: &TableDescriptor) -> Vec<usize> {
        let known = match &self.within_view {
            Some(WithinView::Known(object)) => object.kept_query().and_then(|view| {
                view.relation(name.schema.as_ref().map(|schema| schema.value.as_str()), &name.name.value)
            }),
            _ => None,
        };
        let is_seen = |id| known.is_none_or(|known| known.columns.iter().any(|(known, _)| *known == id));
        table.visible().filter(|(_, column)| is_seen(column.id)).map(|(place, _)| place).collect()
    }

    /// The table that a name within a view's query means; `None`: names mean what they mean everywhere.
    pub(in crate::bind) fn table_of_view(
        &self,
        name: &QualifiedName,
    ) -> Option<Result<Arc<TableDescriptor>>> {
        let Some(WithinView::Known(object)) = &self.within_view else { return None };
        let view = object.kept_query()?;
        let schema = name.schema.as_ref().map(|schema| schema.value.as_str());
        let known = view.relation(schema, &name.name.value);
        let found = known.and_then(|known| {
            let table = self.catalog.table_by_oid(known.oid)?;
            let mut table = TableDescriptor::clone(table);
            table.name.clone_from(&known.name);
            if let Some(schema) = &known.schema {
                table.schema.clone_from(schema);
            }
            let places = table.columns.iter_mut();
            for column in places {
                if let Some((_, name)) = known.columns.iter().find(|(id, _)| *id == column.id) {
                    column.name.clone_from(name);
                }
            }
            Some(Arc::new(table))
        });
        Some(found.ok_or_else(|| {
            Error::new("42P01", format!("relation \"{}\" of a view does not exist", name.name.value))
        }))
    }
}

/// The options, some of which become others.
fn with_options(mut options: ViewOptions, changes: &[ViewOption]) -> ViewOptions {
    for change in changes {
        match *change {
            ViewOption::Invoker(invoker) => options.invoker = invoker,
            ViewOption::Barrier(barrier) => options.barrier = barrier,
            ViewOption::Check(check) => options.check = check,
        }
    }
    options
}

/// 0A000 if rows cannot be changed through a view that is to check them.
fn check_options(why: Option<&'static str>) -> Result<()> {
    let message = "WITH CHECK OPTION is supported only on automatically updatable views";
    why.map_or(Ok(()), |why| Err(Error::new("0A000", message).hint(why)))
}

/// Whatever hides rows in a query comes before what is asked of its rows from outside.
fn hide(node: &mut Node) {
    match node {
        Node::Filter(filter) => filter.barrier = true,
        Node::Join(Join {
            kind: JoinKind::Inner,
            strategy: JoinStrategy::NestedLoop,
            condition: condition @ Some(_),
            ..
        }) => {
            if let Some(predicate) = condition.take() {
                let input = Box::new(std::mem::replace(node, Node::Values(Values::one_row())));
                *node = Node::Filter(Filter { input, predicate, barrier: true });
            }
        }
        // What it reads of queries of WITH is theirs.
        Node::Common(_) | Node::Recursive(_) | Node::Working(_) => return,
        // What a subquery of an expression reads is not what the query answers.
        Node::Apply(apply) => return hide(&mut apply.input),
        _ => {}
    }
    for child in walk::children_mut(node) {
        hide(child);
    }
}

/// That a view can be put in the place of another: what others know of that one stays.
fn check_replaced(known: &TableDescriptor, columns: &[ViewColumn]) -> Result<()> {
    if columns.len() < known.columns.len() {
        return Err(Error::new("42P16", "cannot drop columns from view"));
    }
    for (old, new) in known.columns.iter().zip(columns) {
        if old.name != new.name {
            let message = format!("cannot change name of view column \"{}\" to \"{}\"", old.name, new.name);
            return Err(Error::new("42P16", message)
                .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if old.ty != new.ty {
            let message = format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name,
                old.ty.display_name(),
                new.ty.display_name()
            );
            return Err(Error::new("42P16", message));
        }
    }
    Ok(())
}
