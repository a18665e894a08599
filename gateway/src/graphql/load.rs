//! Rows of the tables that an operation asks for, level by level: one statement for each field that leads to a table, however many rows
//! it is asked of.

use std::collections::HashMap;

use expr::{Datum, Row, SessionContext, TypeKind, numeric};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::cursor::{self, Ordered};
use super::given::Given;
use super::model::{Relation, Table};
use super::refusal::Refused;
use super::schema::{Choice, Function, Input, Meaning, Schema};
use super::select::Selected;
use super::statement::{self, Keys, Page, Rows, Statement, When};
use crate::door::{Room, Share, Work};

/// Rows that a page has unless it is said, and at most.
pub(super) const FIRST: usize = 25;
pub(super) const FIRST_MAX: usize = 1000;

/// Rows of one request take no more memory, and its answer no more bytes.
const LOADED_BYTES_MAX: usize = 16 << 20;
pub(super) const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Rows that are there at once.
const ROWS_AT_ONCE: usize = 256;

/// Rows of which changes are told at once to who follows a table.
pub(super) const FEED_ROWS_MAX: usize = 256;

/// Rows of a table, with all that is asked of them.
pub(super) struct Level<'q> {
    pub(super) table: usize,
    pub(super) rows: Vec<Row>,
    pub(super) kinds: Vec<TypeKind>,
    /// Where the columns of the table stand in the rows.
    pub(super) places: HashMap<usize, usize>,
    pub(super) children: Vec<Child<'q>>,
}

/// What a field of rows leads to.
pub(super) struct Child<'q> {
    pub(super) of: &'q Selected<'q>,
    pub(super) found: Found<'q>,
}

/// Rows of another table, or their totals, by the keys that they belong to.
pub(super) enum Found<'q> {
    Rows { level: Level<'q>, by_key: HashMap<String, Vec<usize>>, page: Option<Page> },
    Totals { totals: Totals, by_key: HashMap<String, usize> },
}

/// Counts, and what stands behind each.
pub(super) struct Totals {
    pub(super) rows: Vec<Row>,
    pub(super) kinds: Vec<TypeKind>,
    /// How many columns stand before the count.
    pub(super) skipped: usize,
    pub(super) wanted: Vec<(Function, usize)>,
}

/// The lists of fields that rows are asked for, and whether their cursors are.
pub(super) struct Wanted<'q> {
    pub(super) nodes: Vec<&'q [Selected<'q>]>,
    pub(super) cursors: bool,
}

impl<'q> Wanted<'q> {
    /// What a page of rows is asked for.
    pub(super) fn of_page(selections: &'q [Selected<'q>]) -> Self {
        let mut wanted = Self { nodes: Vec::new(), cursors: false };
        for selected in selections {
            match selected.field.meaning {
                Meaning::Nodes => wanted.nodes.push(&selected.selections),
                Meaning::PageInfo => {
                    let ends = |selected: &Selected<'_>| {
                        matches!(selected.field.meaning, Meaning::StartCursor | Meaning::EndCursor)
                    };
                    wanted.cursors |= selected.selections.iter().any(ends);
                }
                Meaning::Edges => {
                    for inner in &selected.selections {
                        match inner.field.meaning {
                            Meaning::Node => wanted.nodes.push(&inner.selections),
                            Meaning::Cursor => wanted.cursors = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        wanted
    }
}

/// What totals are asked for.
pub(super) fn totals_wanted(selections: &[Selected<'_>]) -> Vec<(Function, usize)> {
    let mut wanted = Vec::new();
    for selected in selections {
        let Meaning::Total(function) = selected.field.meaning else { continue };
        for column in &selected.selections {
            if let Meaning::Totalled(place) = column.field.meaning
                && !wanted.contains(&(function, place))
            {
                wanted.push((function, place));
            }
        }
    }
    wanted
}

/// The page that a field asks for.
pub(super) fn page_of(table: &Table, selected: &Selected<'_>) -> Result<Page, Refused> {
    let mut order: Vec<Ordered> = Vec::new();
    if let Some(Given::List(items)) = selected.argument(Input::OrderBy) {
        for item in items {
            if let Given::Choice(Choice::Order { column, is_descending }) = item
                && !order.iter().any(|(place, _)| place == column)
            {
                order.push((*column, *is_descending));
            }
        }
    }
    for place in &table.key {
        if !order.iter().any(|(ordered, _)| ordered == place) {
            order.push((*place, false));
        }
    }
    let first = first_of(selected)?;
    let after = selected.text(Input::After);
    let after = after.map(|after| cursor::decode(table, &order, after)).transpose();
    let after = after.map_err(|refused| refused.or_at(selected.place))?;
    Ok(Page { order, first, after })
}

/// How many rows a page has.
pub(super) fn first_of(selected: &Selected<'_>) -> Result<usize, Refused> {
    let Some(text) = selected.text(Input::First) else { return Ok(FIRST) };
    let first = text.parse().ok().filter(|first| *first <= FIRST_MAX);
    first.ok_or_else(|| Refused::at(selected.place, format!("first is a number from 0 to {FIRST_MAX}")))
}

/// What reads rows, within the transaction that its session has open.
pub(super) struct Loader<'w> {
    pub(super) work: &'w mut Work,
    pub(super) schema: &'w Schema,
    /// Bytes of rows that were read.
    pub(super) bytes: usize,
    /// The room that all requests share, and what this one has of it.
    pub(super) room: &'w Room,
    pub(super) share: Share,
    /// Whose share it is.
    pub(super) role: &'w str,
}

/// What a statement has answered.
pub(super) struct Answered {
    pub(super) rows: Vec<Row>,
    pub(super) kinds: Vec<TypeKind>,
    /// How many rows it tells of.
    pub(super) count: u64,
}

impl Loader<'_> {
    /// Runs a statement to its end.
    pub(super) async fn run(&mut self, statement: Statement) -> Result<Answered, Refused> {
        let Statement { text, kinds, values } = statement;
        let mut run = self.work.start_once(&text, &kinds, values).await?;
        let mut rows = Vec::new();
        while let Some(more) = self.work.next(&mut run, ROWS_AT_ONCE).await? {
            let bytes = more.iter().flatten().map(Datum::size_bytes).sum::<usize>();
            self.bytes = self.bytes.saturating_add(bytes);
            if self.bytes > LOADED_BYTES_MAX {
                self.work.leave(run).await?;
                let error = sql::Error::new("54000", "the rows that are asked for take too much memory");
                return Err(error.hint("Ask for fewer rows at once.").into());
            }
            rows.extend(more);
            if let Err(full) = self.take_room().await {
                self.work.leave(run).await?;
                return Err(full);
            }
        }
        let kinds = run.columns().iter().map(|column| column.ty.kind).collect();
        Ok(Answered { rows, kinds, count: run.count() })
    }

    /// Takes its share of the room as soon as what was read is large: as much as all of a request may take, so that nobody
    /// who has some waits for more.
    async fn take_room(&mut self) -> Result<(), Refused> {
        if self.share.is_some() || Room::is_small(self.bytes) {
            return Ok(());
        }
        self.work.rest();
        let bytes = LOADED_BYTES_MAX.saturating_add(ANSWER_BYTES_MAX);
        let share = self.room.share_of(self.role, bytes).await;
        self.work.go_on();
        self.share = share.map_err(|full| sql::Error::new("53200", full.to_string()))?;
        Ok(())
    }

    /// Rows of a table, and what is asked of them.
    pub(super) async fn rows<'q>(
        &mut self,
        place: usize,
        filter: Option<&Given>,
        page: Option<&Page>,
        wanted: &Wanted<'q>,
        when: When<'_>,
    ) -> Result<Level<'q>, Refused> {
        let table = table_at(self.schema, place)?;
        let columns = columns_wanted(table, wanted, page);
        let rows = Rows { table, filter, keys: None, when };
        let statement = statement::select(self.work.context(), rows, &columns, page)?;
        let answered = self.run(statement).await?;
        self.level(place, columns, answered, wanted, when).await
    }

    /// Rows that a statement has answered, and what is asked of them besides.
    pub(super) async fn level<'q>(
        &mut self,
        place: usize,
        columns: Vec<usize>,
        answered: Answered,
        wanted: &Wanted<'q>,
        when: When<'_>,
    ) -> Result<Level<'q>, Refused> {
        let places = columns.into_iter().enumerate().map(|(at, column)| (column, at)).collect();
        let Answered { rows, kinds, .. } = answered;
        let mut level = Level { table: place, rows, kinds, places, children: Vec::new() };
        for selected in wanted.nodes.iter().flat_map(|list| list.iter()) {
            if matches!(selected.field.meaning, Meaning::One(_) | Meaning::Many(_) | Meaning::ManyTotals(_)) {
                let found = self.related(&level, selected, when).await?;
                level.children.push(Child { of: selected, found });
            }
        }
        Ok(level)
    }

    /// What belongs to rows by a relation, as of then, or the moment that is said for it.
    fn related<'f, 'q: 'f>(
        &'f mut self,
        level: &'f Level<'q>,
        selected: &'q Selected<'q>,
        when: When<'f>,
    ) -> BoxFuture<'f, Result<Found<'q>, Refused>> {
        async move {
            let schema = self.schema;
            let relation = relation_of(schema, level.table, selected.field.meaning)?;
            let other = table_at(schema, relation.to)?;
            let keys = keys_of(schema, level, relation, self.work.context());
            let filter = selected.argument(Input::Where);
            let when = selected.text(Input::AsOf).map_or(when, When::Said);
            let rows = Rows { table: other, filter, keys: Some(&keys), when };
            let is_empty = keys.values.iter().all(Vec::is_empty);
            if let Meaning::ManyTotals(_) = selected.field.meaning {
                let wanted = totals_wanted(&selected.selections);
                let (mut answered, mut by_key) =
                    (Answered { rows: Vec::new(), kinds: Vec::new(), count: 0 }, HashMap::new());
                if !is_empty {
                    let statement = statement::totals(self.work.context(), rows, &wanted)?;
                    answered = self.run(statement).await?;
                    let places: Vec<usize> = (0..keys.columns.len()).collect();
                    for (at, row) in answered.rows.iter().enumerate() {
                        by_key.extend(
                            key_text(row, &places, &answered.kinds, self.work.context()).map(|key| (key, at)),
                        );
                    }
                }
                let (rows, kinds, skipped) = (answered.rows, answered.kinds, keys.columns.len());
                return Ok(Found::Totals { totals: Totals { rows, kinds, skipped, wanted }, by_key });
            }
            let (page, wanted) = match selected.field.meaning {
                Meaning::Many(_) => (Some(page_of(other, selected)?), Wanted::of_page(&selected.selections)),
                _ => (None, Wanted { nodes: vec![selected.selections.as_slice()], cursors: false }),
            };
            let mut columns = columns_wanted(other, &wanted, page.as_ref());
            for place in &relation.other {
                if !columns.contains(place) {
                    columns.push(*place);
                }
            }
            let links =
                relation.other.iter().filter_map(|place| columns.iter().position(|column| column == place));
            let links: Vec<usize> = links.collect();
            let answered = match is_empty {
                true => Answered { rows: Vec::new(), kinds: Vec::new(), count: 0 },
                false => {
                    let statement = statement::select(self.work.context(), rows, &columns, page.as_ref())?;
                    self.run(statement).await?
                }
            };
            let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
            for (at, row) in answered.rows.iter().enumerate() {
                if let Some(key) = key_text(row, &links, &answered.kinds, self.work.context()) {
                    by_key.entry(key).or_default().push(at);
                }
            }
            let level = self.level(relation.to, columns, answered, &wanted, when).await?;
            Ok(Found::Rows { level, by_key, page })
        }
        .boxed()
    }
}

pub(super) fn table_at(schema: &Schema, place: usize) -> Result<&Table, Refused> {
    schema
        .tables
        .get(place)
        .ok_or_else(|| sql::Error::internal("a table that the schema does not have").into())
}

/// The relation that a field of a table's rows is.
pub(super) fn relation_of(schema: &Schema, table: usize, meaning: Meaning) -> Result<&Relation, Refused> {
    let place = match meaning {
        Meaning::One(place) | Meaning::Many(place) | Meaning::ManyTotals(place) => Some(place),
        _ => None,
    };
    let relation = place.and_then(|place| schema.tables.get(table)?.relations.get(place));
    relation.ok_or_else(|| sql::Error::internal("a relation that the schema does not have").into())
}

/// The columns that are to be read for what is asked.
pub(super) fn columns_wanted(table: &Table, wanted: &Wanted<'_>, page: Option<&Page>) -> Vec<usize> {
    let mut columns: Vec<usize> = Vec::new();
    let mut add = |place: usize| {
        if !columns.contains(&place) {
            columns.push(place);
        }
    };
    for selected in wanted.nodes.iter().flat_map(|list| list.iter()) {
        match selected.field.meaning {
            Meaning::Column(place) => add(place),
            Meaning::One(place) | Meaning::Many(place) | Meaning::ManyTotals(place) => {
                let own = table.relations.get(place).map(|relation| relation.own.as_slice());
                own.unwrap_or_default().iter().for_each(|place| add(*place));
            }
            _ => {}
        }
    }
    if wanted.cursors {
        page.into_iter().flat_map(|page| &page.order).for_each(|(place, _)| add(*place));
    }
    if columns.is_empty() {
        columns.extend(table.columns.iter().position(|column| column.reads));
    }
    columns
}

/// The different keys by which rows belong to others; one with a NULL belongs to none.
fn keys_of(schema: &Schema, level: &Level<'_>, relation: &Relation, context: &SessionContext) -> Keys {
    let places: Vec<usize> =
        relation.own.iter().filter_map(|column| level.places.get(column).copied()).collect();
    let mut seen = std::collections::HashSet::new();
    let mut values: Vec<Vec<Datum>> = vec![Vec::new(); relation.other.len()];
    let other = schema.tables.get(relation.to).map(|table| table.columns.as_slice()).unwrap_or_default();
    for row in &level.rows {
        let Some(key) = key_text(row, &places, &level.kinds, context) else { continue };
        if !seen.insert(key) {
            continue;
        }
        let parts = places.iter().zip(&relation.other).map(|(place, column)| {
            let kind = other.get(*column)?.kind.base();
            as_kind(row.get(*place)?, kind)
        });
        // What is too large for the other column is not there.
        let Some(parts) = parts.collect::<Option<Vec<Datum>>>() else { continue };
        for (values, part) in values.iter_mut().zip(parts) {
            values.push(part);
        }
    }
    Keys { columns: relation.other.clone(), values }
}

/// An integer as one of another width; any other value as it is.
fn as_kind(value: &Datum, kind: TypeKind) -> Option<Datum> {
    let integer = match value {
        Datum::Int2(_) | Datum::Int4(_) | Datum::Int8(_) => value.as_i64(),
        _ => None,
    };
    match (integer, kind) {
        (Some(integer), TypeKind::Int2) => i16::try_from(integer).ok().map(Datum::Int2),
        (Some(integer), TypeKind::Int4) => i32::try_from(integer).ok().map(Datum::Int4),
        (Some(integer), TypeKind::Int8) => Some(Datum::Int8(integer)),
        _ => Some(value.clone()),
    }
}

/// Values of a row as one text that is the same for equal ones; none if one is NULL, or is not there.
pub(super) fn key_text(
    row: &[Datum],
    places: &[usize],
    kinds: &[TypeKind],
    context: &SessionContext,
) -> Option<String> {
    let mut key = String::new();
    for place in places {
        let (value, kind) = (row.get(*place)?, kinds.get(*place)?);
        let mut text = String::new();
        match value {
            Datum::Null => return None,
            Datum::Numeric(number) => numeric::write(&numeric::trim_scale(number).ok()?, &mut text),
            value => expr::codec::write(value, *kind, context, &mut text).ok()?,
        }
        let text = match kind.base() {
            TypeKind::Bpchar => text.trim_end_matches(' '),
            _ => text.as_str(),
        };
        key.push_str(&format!("{}:{text}", text.len()));
    }
    Some(key)
}
