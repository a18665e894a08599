//! What was loaded, as the answer that was asked for.

use expr::{Datum, SessionContext, TypeKind};

use super::answer::{Sink, write_object};
use super::cursor;
use super::load::{Child, Found, Level, Totals, key_text, relation_of, table_at};
use super::refusal::Refused;
use super::scalar;
use super::schema::{Meaning, Schema};
use super::select::Selected;
use super::statement::Page;

/// What answers are told with.
#[derive(Clone, Copy)]
pub(super) struct Teller<'t> {
    pub(super) schema: &'t Schema,
    pub(super) context: &'t SessionContext,
}

impl Teller<'_> {
    /// A page of the rows of a level that stand at these places.
    pub(super) fn page(
        self,
        level: &Level<'_>,
        rows: &[usize],
        page: &Page,
        selections: &[Selected<'_>],
        out: &mut Sink,
    ) -> Result<(), Refused> {
        let shown = rows.get(..page.first.min(rows.len())).unwrap_or_default();
        write_object(self.schema, selections, out, |selected, out| match selected.field.meaning {
            Meaning::Nodes => {
                self.list(shown, out, |row, out| self.row(level, row, &selected.selections, out))
            }
            Meaning::Edges => self.list(shown, out, |row, out| {
                write_object(self.schema, &selected.selections, out, |inner, out| match inner.field.meaning {
                    Meaning::Node => self.row(level, row, &inner.selections, out),
                    Meaning::Cursor => out.text_or_null(self.cursor(level, row, page)?.as_deref()),
                    _ => out.push("null"),
                })
            }),
            Meaning::PageInfo => {
                write_object(self.schema, &selected.selections, out, |inner, out| match inner.field.meaning {
                    Meaning::HasNextPage => out.push(if rows.len() > shown.len() { "true" } else { "false" }),
                    Meaning::HasPreviousPage => out.push(if page.after.is_some() { "true" } else { "false" }),
                    Meaning::StartCursor => self.end(shown.first(), level, page, out),
                    Meaning::EndCursor => self.end(shown.last(), level, page, out),
                    _ => out.push("null"),
                })
            }
            _ => out.push("null"),
        })
    }

    /// Where the first or the last row of a page stands.
    fn end(self, row: Option<&usize>, level: &Level<'_>, page: &Page, out: &mut Sink) -> Result<(), Refused> {
        let cursor = row.map(|row| self.cursor(level, *row, page)).transpose()?;
        out.text_or_null(cursor.flatten().as_deref())
    }

    fn list(
        self,
        rows: &[usize],
        out: &mut Sink,
        mut item: impl FnMut(usize, &mut Sink) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        out.push("[")?;
        for (number, row) in rows.iter().enumerate() {
            if number > 0 {
                out.push(",")?;
            }
            item(*row, out)?;
        }
        out.push("]")
    }

    /// Where a row stands; none if its table has no key.
    fn cursor(self, level: &Level<'_>, row: usize, page: &Page) -> Result<Option<String>, Refused> {
        let table = table_at(self.schema, level.table)?;
        if table.key.is_empty() {
            return Ok(None);
        }
        let mut values = Vec::with_capacity(page.order.len());
        for (column, _) in &page.order {
            let (value, kind) = value_of(level, row, *column);
            let text = match value {
                Datum::Null => None,
                value => Some(expr::codec::output(value, kind.into(), self.context)?),
            };
            values.push(text);
        }
        Ok(Some(cursor::encode(table, &page.order, &values)))
    }

    /// All rows of a level.
    pub(super) fn rows(
        self,
        level: &Level<'_>,
        selections: &[Selected<'_>],
        out: &mut Sink,
    ) -> Result<(), Refused> {
        let all: Vec<usize> = (0..level.rows.len()).collect();
        self.list(&all, out, |row, out| self.row(level, row, selections, out))
    }

    /// A row.
    pub(super) fn row(
        self,
        level: &Level<'_>,
        row: usize,
        selections: &[Selected<'_>],
        out: &mut Sink,
    ) -> Result<(), Refused> {
        write_object(self.schema, selections, out, |selected, out| match selected.field.meaning {
            Meaning::Column(column) => {
                let (value, kind) = value_of(level, row, column);
                self.value(value, kind, out)
            }
            Meaning::One(_) | Meaning::Many(_) | Meaning::ManyTotals(_) => {
                self.related(level, row, selected, out)
            }
            _ => out.push("null"),
        })
    }

    fn related(
        self,
        level: &Level<'_>,
        row: usize,
        selected: &Selected<'_>,
        out: &mut Sink,
    ) -> Result<(), Refused> {
        let relation = relation_of(self.schema, level.table, selected.field.meaning)?;
        let places: Option<Vec<usize>> =
            relation.own.iter().map(|column| level.places.get(column).copied()).collect();
        let key = places.zip(level.rows.get(row));
        let key = key.and_then(|(places, row)| key_text(row, &places, &level.kinds, self.context));
        let found = level.children.iter().find(|child| is_same(child, selected)).map(|child| &child.found);
        match found {
            Some(Found::Totals { totals, by_key }) => {
                let row = key
                    .and_then(|key| by_key.get(&key))
                    .and_then(|at| totals.rows.get(*at))
                    .map(Vec::as_slice);
                self.totals(totals, row, &selected.selections, out)
            }
            Some(Found::Rows { level, by_key, page }) => {
                let rows = key.and_then(|key| by_key.get(&key)).map(Vec::as_slice).unwrap_or_default();
                match (page, rows.first()) {
                    (Some(page), _) => self.page(level, rows, page, &selected.selections, out),
                    (None, Some(row)) => self.row(level, *row, &selected.selections, out),
                    (None, None) => out.push("null"),
                }
            }
            None => Err(sql::Error::internal("a relation that was not loaded").into()),
        }
    }

    /// What rows come to; of no rows, if there is no `row`.
    pub(super) fn totals(
        self,
        totals: &Totals,
        row: Option<&[Datum]>,
        selections: &[Selected<'_>],
        out: &mut Sink,
    ) -> Result<(), Refused> {
        let value = |place: usize| {
            let value = row.and_then(|row| row.get(place)).unwrap_or(&Datum::Null);
            (value, totals.kinds.get(place).copied().unwrap_or(TypeKind::Text))
        };
        write_object(self.schema, selections, out, |selected, out| match selected.field.meaning {
            Meaning::Count => match value(totals.skipped) {
                (Datum::Null, _) => out.push("\"0\""),
                (count, kind) => self.value(count, kind, out),
            },
            Meaning::Total(function) => write_object(self.schema, &selected.selections, out, |inner, out| {
                let Meaning::Totalled(column) = inner.field.meaning else { return out.push("null") };
                let place = totals.wanted.iter().position(|wanted| *wanted == (function, column));
                match place.map(|place| value(totals.skipped.saturating_add(1).saturating_add(place))) {
                    Some((value, kind)) => self.value(value, kind, out),
                    None => out.push("null"),
                }
            }),
            _ => out.push("null"),
        })
    }

    fn value(self, value: &Datum, kind: TypeKind, out: &mut Sink) -> Result<(), Refused> {
        let mut text = String::new();
        scalar::write(value, kind, self.context, &mut text)?;
        out.push(&text)
    }
}

/// Whether a child is what this field was loaded as.
fn is_same(child: &Child<'_>, selected: &Selected<'_>) -> bool {
    std::ptr::eq(child.of, selected)
}

/// The value of a column of a row.
fn value_of<'l>(level: &'l Level<'_>, row: usize, column: usize) -> (&'l Datum, TypeKind) {
    let place = level.places.get(&column).copied();
    let value = place.and_then(|place| level.rows.get(row)?.get(place)).unwrap_or(&Datum::Null);
    let kind = place.and_then(|place| level.kinds.get(place).copied());
    (value, kind.unwrap_or(TypeKind::Text))
}
