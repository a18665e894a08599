//! A view's query as PostgreSQL shows it (`ruleutils.c`): columns with their tables, one a line, all parentheses or those that make
//! a difference.
//!
//! The syntax tree says what stands where; what an expression means, and so which casts show in it, the binder says, to which
//! everything that is no expression over one row is a word ([`super::written`]): subqueries, aggregates, window functions. What
//! comes out is shown only if it is bound to the very plan that the query is bound to ([`alike`]), and with the view's own names;
//! anything else stays as it was written.
//!
//! ```text
//! query       WITH, ORDER BY, LIMIT, locks around
//!   select    the select list and its clauses     keys      GROUP BY, ORDER BY, DISTINCT ON
//!   sets      UNION and its like                  values    VALUES
//!   from      items of FROM                       names     what relations and columns are called
//! words       what belongs to a query in an expression
//! layout      lines, and how far they are set in
//! ```

mod alike;
mod from;
mod keys;
mod layout;
mod names;
mod query;
mod select;
mod sets;
mod values;
mod windows;
mod words;

use expr::print::Style;

use self::layout::Place;
use self::names::Called;
use super::{Binder, SessionSettings};
use crate::catalog::object::ViewDescriptor;
use crate::catalog::{CatalogSnapshot, SearchPath, spelled};
use crate::parse;
use crate::parse::ast;

/// The names that PostgreSQL gives to the rows of a view's rule, which no other relation of its query has then.
const TAKEN: [&str; 2] = ["old", "new"];

/// A view's query, of which `text` is what has to be written to make it again; `None`: it is of another form.
pub(super) fn shown(
    text: &str,
    view: &ViewDescriptor,
    catalog: &CatalogSnapshot,
    search_path: &SearchPath,
    style: Style,
) -> Option<String> {
    let context = catalog.plain_session();
    let settings = SessionSettings {
        search_path,
        context: &context,
        row_security: true,
        as_of: None,
        tables_then: None,
    };
    let query = parse::parse_query(text).ok()?;
    let names: Vec<String> = view.columns.iter().map(|column| column.name.clone()).collect();
    let mut binder = Binder::new(catalog, &settings);
    binder.naming.extend(TAKEN.map(str::to_owned));
    let columns = Called { given: Some(&names), seen: true };
    let shown = binder.query_text(&query, Place { style, start: 0 }, columns, false).ok()?;
    let shown = spelled::by_name(catalog, search_path, &shown);
    let again = parse::parse_query(&shown).ok()?;
    let bound = |query: &ast::Query| Binder::new(catalog, &settings).new_view_rows(query).ok();
    let (one, other) = (bound(&query)?, bound(&again)?);
    let is_same =
        other.columns.iter().map(|column| &column.name).eq(&names) && alike::alike(one.node, other.node);
    is_same.then_some(shown)
}
