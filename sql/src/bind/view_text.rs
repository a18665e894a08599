//! A view's query as text: what is kept of it, and what has to be written to make the same view again.
//!
//! What is kept is what was written, but that relations in literals of regclass stand there by oid. Names of tables and
//! columns mean what they meant then; whoever writes the query anew needs those of now: each relation gets its name of now,
//! with its schema where it is not found without; one whose columns are called otherwise, or are more, gets the names that
//! the query knows. Everything else stays as it was written.

use std::sync::Arc;

use expr::functions::quote::identifier;
use expr::print::Style;
use expr::{Datum, Expr, TypeKind};

use super::object::WithinView;
use super::{Binder, SessionSettings, shown};
use crate::catalog::object::{ObjectBody, ObjectDescriptor, ViewDescriptor, ViewRelation};
use crate::catalog::{CatalogSnapshot, ColumnId, Oid, SearchPath, TableDescriptor, called, spelled};
use crate::error::Result;
use crate::parse::ast::{Alias, Name, QualifiedName};
use crate::parse::{self, Edit, Instead};
use crate::plan::Acting;

/// A view's query as it has to be written under a search path. One that cannot be bound any more, or said with the names of
/// now, is as it was written.
fn view_text(view: &ViewDescriptor, catalog: &CatalogSnapshot, search_path: &SearchPath) -> String {
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let mut binder = Binder { edits: Some(Vec::new()), ..Binder::new(catalog, &settings) };
    let edits = binder.view_edits(view).unwrap_or_default();
    let edited = parse::edited(&view.query, edits);
    let text = if parse::parse_query(&edited).is_ok() { &edited } else { &view.query };
    let text = parse::with_names(text, |oid| binder.name_of(oid));
    called::by_name(catalog, search_path, &text)
}

/// A view's query as PostgreSQL shows it, with the space that it begins with, where it is of a form that is shown so, else as
/// [`view_text`].
pub(crate) fn shown_view(
    view: &ViewDescriptor,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
    sparing: bool,
) -> String {
    let style = if sparing { Style::Sparing } else { Style::Full };
    let text = view_text(view, catalog, search_path);
    shown::shown(&text, view, catalog, search_path, style).unwrap_or_else(|| format!(" {text}"))
}

/// What became of the columns that a view's query knows.
enum Columns {
    /// They are all there are, and called as they were.
    Same,
    /// They are all there are: each one's name of now and of then.
    Renamed(Vec<(String, String)>),
    /// There are others.
    Among(Vec<(String, String)>),
}

impl Columns {
    fn of(known: &ViewRelation, now: &TableDescriptor) -> Self {
        let visible: Vec<(ColumnId, &str)> =
            now.visible().map(|(_, column)| (column.id, column.name.as_str())).collect();
        let then = |id: ColumnId| known.columns.iter().find(|(own, _)| *own == id).map(|(_, name)| name);
        let kept: Vec<(&str, &String)> =
            visible.iter().filter_map(|(id, name)| Some((*name, then(*id)?))).collect();
        let names = || kept.iter().map(|(now, then)| (identifier(now), identifier(then))).collect();
        if kept.len() < visible.len() {
            return Self::Among(names());
        }
        if kept.iter().all(|(now, then)| now == then) { Self::Same } else { Self::Renamed(names()) }
    }
}

impl Binder<'_> {
    /// The query of a new view as it is kept.
    pub(super) fn kept_query(&self, query: &str) -> String {
        let Ok(parsed) = parse::parse_query(query) else { return query.to_owned() };
        let mut binder = Binder { edits: Some(Vec::new()), ..Binder::new(self.catalog, self.settings) };
        match binder.new_view_rows(&parsed) {
            Ok(_) => parse::edited(query, binder.taken_edits()),
            Err(_) => query.to_owned(),
        }
    }

    /// What of a view's text changes.
    fn view_edits(&mut self, view: &ViewDescriptor) -> Result<Vec<Edit>> {
        let query = parse::parse_query(&view.query)?;
        let body = ObjectBody::View(view.clone());
        let object = ObjectDescriptor { oid: 0, schema: String::new(), name: String::new(), body };
        let acting = Acting { owner: None, within_view: true };
        self.apart(WithinView::Known(Arc::new(object)), acting, &query)?;
        Ok(self.taken_edits())
    }

    /// What of the text at hand changes.
    pub(super) fn taken_edits(&mut self) -> Vec<Edit> {
        let mut edits = self.edits.take().unwrap_or_default();
        edits.append(self.types_unseen.get_mut());
        edits
    }

    /// The list of changes of the query at hand, if it is a view's own that is to be written, and not what is kept elsewhere and
    /// stands in its place: a parameter's default.
    fn edits(&mut self) -> Option<&mut Vec<Edit>> {
        if self.views_deep == 1 && !self.calls_kept { self.edits.as_mut() } else { None }
    }

    /// Notes what a literal of a new view means in the session and at the time that it is written in.
    pub(super) fn note_pinned(&mut self, bound: &Expr, at: usize) {
        let is_new = matches!(self.within_view, Some(WithinView::New(_)));
        let Expr::Literal { value, ty } = bound else { return };
        let text = match value {
            _ if !is_new || self.edits.is_none() => return,
            Datum::Null => return,
            Datum::Oid(oid) => oid.to_string(),
            value => {
                // What an array names stays what it is, whatever it is called.
                let names = ty.kind.element().is_some_and(TypeKind::is_reg);
                let ty = if names { TypeKind::OidArray.into() } else { *ty };
                expr::codec::shown(value, ty, &self.catalog.plain_session())
            }
        };
        let instead = Instead::String(ty.kind.display_name());
        self.edits()
            .into_iter()
            .for_each(|edits| edits.push(Edit { at, instead, text: format!("'{text}'") }));
    }

    /// Notes how an item of FROM has to be written.
    pub(super) fn note_item(&mut self, name: &QualifiedName, alias: Option<&Alias>) {
        let Some((known, now)) = self.known_relation(name) else { return };
        let then = identifier(&known.name);
        let mut text = self.shown_name(&now);
        let listed = |columns: &[(String, String)]| {
            columns.iter().map(|(_, then)| then.as_str()).collect::<Vec<_>>().join(", ")
        };
        let mut called =
            if alias.is_none() && known.name != now.name { format!(" AS {then}") } else { String::new() };
        match (Columns::of(&known, &now), alias) {
            (Columns::Same, _) => {}
            // A list of names keeps what GROUP BY knows of the table's key.
            (Columns::Renamed(columns), None) => called = format!(" AS {then}({})", listed(&columns)),
            (Columns::Renamed(columns), Some(alias)) if alias.columns.is_empty() => {
                let text = format!("{}({})", identifier(&alias.name.value), listed(&columns));
                self.note_edit(alias.name.at, 1, text);
            }
            (Columns::Renamed(columns), Some(alias)) if alias.columns.len() == columns.len() => {}
            (Columns::Renamed(columns) | Columns::Among(columns), alias) => {
                let columns: Vec<String> =
                    columns.into_iter().map(|(now, then)| format!("{now} AS {then}")).collect();
                text = format!("(SELECT {} FROM {text})", columns.join(", "));
                called = if alias.is_none() { format!(" AS {then}") } else { String::new() };
            }
        }
        text.push_str(&called);
        let first = name.schema.as_ref().unwrap_or(&name.name);
        self.note_edit(first.at, if name.schema.is_some() { 3 } else { 1 }, text);
    }

    /// Notes how the schema has to be written that stands before a table's name; what stands before is `parts` names, of
    /// which the first is `first`.
    pub(super) fn note_qualifier(&mut self, first: &Name, parts: usize, schema: &Name, table: &Name) {
        let named = QualifiedName { schema: Some(schema.clone()), name: table.clone() };
        // What FROM names without its schema may go by it all the same.
        let bare = QualifiedName { schema: None, name: table.clone() };
        let found = match self.known_relation(&named) {
            None => self.known_relation(&bare),
            found => found,
        };
        let Some((known, now)) = found else { return };
        let keeps = known.name == now.name && matches!(Columns::of(&known, &now), Columns::Same);
        let text = if keeps { format!("{}.", identifier(&now.schema)) } else { String::new() };
        self.note_edit(first.at, parts.saturating_mul(2), text);
    }

    /// Notes how a type has to be written that is named without its schema where it is not found so: along the path at hand, or,
    /// in what is kept of a new view, along that of one who has not changed it; or by a schema that is called otherwise now.
    pub(super) fn note_type(&self, schema: Option<&str>, (name, at): (&str, usize), kind: TypeKind) {
        if self.edits.is_none() || self.views_deep != 1 || self.calls_kept {
            return;
        }
        let usual = SearchPath::default();
        let path = match &self.within_view {
            Some(WithinView::Known(_)) => self.settings.search_path,
            Some(WithinView::New(_)) => &usual,
            None => return,
        };
        let Some(object) = kind.made_oid().and_then(|oid| self.catalog.objects().get(oid)) else { return };
        let (stays, tokens) = match schema {
            Some(schema) => (object.schema == schema, 3),
            None => (spelled::is_found(self.catalog, path, name, kind), 1),
        };
        if !stays {
            let text = format!("{}.{}", identifier(&object.schema), identifier(name));
            self.types_unseen.borrow_mut().push(Edit { at, instead: Instead::Tokens(tokens), text });
        }
    }

    /// Notes which function a call in a query means that is to be kept.
    pub(super) fn note_call(&mut self, name: &QualifiedName, function: &ObjectDescriptor) {
        if matches!(self.within_view, Some(WithinView::New(_))) {
            let first = name.schema.as_ref().unwrap_or(&name.name);
            let tokens = if name.schema.is_some() { 3 } else { 1 };
            self.note_edit(first.at, tokens, called::kept(function.oid, &function.name));
        }
    }

    fn note_edit(&mut self, at: usize, tokens: usize, text: String) {
        if let Some(edits) = self.edits() {
            edits.push(Edit { at, instead: Instead::Tokens(tokens), text });
        }
    }

    /// A relation that a view which is to be written names, and what it is now.
    fn known_relation(&mut self, name: &QualifiedName) -> Option<(ViewRelation, TableDescriptor)> {
        self.edits()?;
        let Some(WithinView::Known(object)) = &self.within_view else { return None };
        let schema = name.schema.as_ref().map(|schema| schema.value.as_str());
        let known = object.kept_query()?.relation(schema, &name.name.value)?;
        let now = self.catalog.table_by_oid(known.oid)?;
        Some((known.clone(), now.as_ref().clone()))
    }

    /// A relation's name, with its schema where it is not found without.
    pub(super) fn shown_name(&self, table: &TableDescriptor) -> String {
        let name = identifier(&table.name);
        match self.catalog.relation_oid(self.settings.search_path, None, &table.name) == Some(table.oid) {
            true => name,
            false => format!("{}.{name}", identifier(&table.schema)),
        }
    }

    /// What a relation or an index is called under the search path.
    pub(super) fn name_of(&self, oid: Oid) -> Option<String> {
        if let Some(table) = self.catalog.table_by_oid(oid) {
            return Some(self.shown_name(table));
        }
        let (table, index) = self.catalog.index_by_oid(oid)?;
        let name = identifier(&index.name);
        match self.catalog.relation_oid(self.settings.search_path, None, &index.name) == Some(oid) {
            true => Some(name),
            false => Some(format!("{}.{name}", identifier(&table.schema))),
        }
    }
}
