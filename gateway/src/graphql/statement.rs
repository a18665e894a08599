//! Statements of SQL for what is asked of tables.
//!
//! A statement is made of names that the catalog has, quoted, and of words that stand here; every value is a parameter. Rows that belong
//! to those of another table are asked for by one statement for all of them: by the keys of those rows, and where there may be many to
//! each, numbered within each key, so that each has a page of its own.

mod filter;

use std::fmt::Write as _;

use expr::{Datum, SessionContext, TypeKind};

use super::cursor::Ordered;
use super::given::Given;
use super::model::{Column, Table};
use super::refusal::Refused;
use super::scalar;
use super::schema::{Function, Input};

/// A statement has at most so many parameters.
const PARAMETERS_MAX: usize = 30_000;

/// A statement, and the values of its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) kinds: Vec<TypeKind>,
    pub(super) values: Vec<Datum>,
}

/// A page of rows.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// Never empty, unless the table has no key.
    pub(super) order: Vec<Ordered>,
    pub(super) first: usize,
    /// The values of the row that it begins behind.
    pub(super) after: Option<Vec<Option<String>>>,
}

/// Keys of rows, which those that are asked for belong to.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// The columns, by their places.
    pub(super) columns: Vec<usize>,
    /// The values of each column.
    pub(super) values: Vec<Vec<Datum>>,
}

/// Which rows of a table are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) table: &'a Table,
    pub(super) filter: Option<&'a Given>,
    pub(super) keys: Option<&'a Keys>,
    pub(super) when: When<'a>,
}

/// Of which moment rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When<'a> {
    Now,
    /// As a client has said it.
    Said(&'a str),
    /// A system timestamp.
    At(u64),
    /// All versions that were current at some moment from one system timestamp on up to another.
    Between(u64, u64),
}

impl<'a> When<'a> {
    pub(super) fn said(moment: Option<&'a str>) -> Self {
        moment.map_or(Self::Now, Self::Said)
    }

    fn is_between(self) -> bool {
        matches!(self, Self::Between(..))
    }
}

/// What stands behind the columns of versions: from when until when each was current.
pub(super) const LIFETIME: [&str; 2] = ["system_start", "system_end"];

/// Rows with these columns, of all or a page, or a page for each key.
pub(super) fn select(
    context: &SessionContext,
    rows: Rows<'_>,
    columns: &[usize],
    page: Option<&Page>,
) -> Result<Statement, Refused> {
    let mut sql = Sql::new(context);
    let within_keys = rows.keys.filter(|_| page.is_some());
    if within_keys.is_some() {
        sql.text.push_str("SELECT ");
        sql.list(columns.len(), |sql, number| {
            let _ = write!(sql.text, "c{number}");
        });
        sql.text.push_str(" FROM (");
    }
    sql.text.push_str("SELECT ");
    sql.list(columns.len(), |sql, number| {
        sql.column(rows.table, columns.get(number).copied());
        let _ = write!(sql.text, " AS c{number}");
    });
    if let (Some(keys), Some(page)) = (within_keys, page) {
        sql.text.push_str(", row_number() OVER (PARTITION BY ");
        sql.list(keys.columns.len(), |sql, number| sql.column(rows.table, keys.columns.get(number).copied()));
        sql.order(rows.table, &page.order);
        sql.text.push_str(") AS n");
    }
    sql.from(rows)?;
    sql.conditions(rows, page)?;
    match (within_keys, page) {
        (_, None) => {}
        (None, Some(page)) => {
            sql.order(rows.table, &page.order);
            sql.text.push_str(" LIMIT ");
            sql.bind(limit(page), TypeKind::Int8)?;
        }
        (Some(_), Some(page)) => {
            sql.text.push_str(") AS r WHERE n <= ");
            sql.bind(limit(page), TypeKind::Int8)?;
            sql.text.push_str(" ORDER BY n");
        }
    }
    Ok(sql.done())
}

/// Versions of rows, with these columns, and from when until when each was current.
pub(super) fn versions(
    context: &SessionContext,
    rows: Rows<'_>,
    columns: &[usize],
) -> Result<Statement, Refused> {
    let mut sql = Sql::new(context);
    sql.text.push_str("SELECT ");
    for (number, place) in columns.iter().enumerate() {
        sql.column(rows.table, Some(*place));
        let _ = write!(sql.text, " AS c{number}, ");
    }
    let [start, end] = LIFETIME;
    let _ = write!(sql.text, "r.{start}::bigint, r.{end}::bigint");
    sql.from(rows)?;
    sql.conditions(rows, None)?;
    Ok(sql.done())
}

/// One row more than a page has: it tells that there are more.
fn limit(page: &Page) -> Datum {
    Datum::Int8(i64::try_from(page.first).unwrap_or(i64::MAX).saturating_add(1))
}

/// How many rows there are, and what they come to; of each key by itself, which then stands before that.
pub(super) fn totals(
    context: &SessionContext,
    rows: Rows<'_>,
    wanted: &[(Function, usize)],
) -> Result<Statement, Refused> {
    let mut sql = Sql::new(context);
    sql.text.push_str("SELECT ");
    let by = rows.keys.map_or(&[][..], |keys| keys.columns.as_slice());
    for place in by {
        sql.column(rows.table, Some(*place));
        sql.text.push_str(", ");
    }
    sql.text.push_str("count(*)");
    for (function, place) in wanted {
        sql.text.push_str(match function {
            Function::Min => ", min(",
            Function::Max => ", max(",
            Function::Sum => ", sum(",
            Function::Avg => ", avg(",
        });
        sql.column(rows.table, Some(*place));
        sql.text.push(')');
    }
    sql.from(rows)?;
    sql.conditions(rows, None)?;
    if !by.is_empty() {
        sql.text.push_str(" GROUP BY ");
        sql.list(by.len(), |sql, number| sql.column(rows.table, by.get(number).copied()));
    }
    Ok(sql.done())
}

/// Adds rows. What is not given has its default.
pub(super) fn insert(
    context: &SessionContext,
    table: &Table,
    rows: &[Given],
    returning: &[usize],
) -> Result<Statement, Refused> {
    let members = |row: &Given| match row {
        Given::Object(members) => members.clone(),
        _ => Vec::new(),
    };
    let rows: Vec<_> = rows.iter().map(members).collect();
    let given = |place: usize| rows.iter().flatten().any(|(input, _)| *input == Input::Column(place));
    let columns: Vec<usize> = (0..table.columns.len()).filter(|place| given(*place)).collect();
    let mut sql = Sql::new(context);
    let _ = write!(sql.text, "INSERT INTO {} AS r", table.from);
    if columns.is_empty() {
        if rows.len() != 1 {
            return Err(Refused::new("rows without any value are added one at a time"));
        }
        sql.text.push_str(" DEFAULT VALUES");
    } else {
        sql.text.push_str(" (");
        sql.list(columns.len(), |sql, number| sql.name(table, columns.get(number).copied()));
        sql.text.push_str(") VALUES ");
        for (number, row) in rows.iter().enumerate() {
            sql.text.push_str(if number == 0 { "(" } else { ", (" });
            for (number, place) in columns.iter().enumerate() {
                if number > 0 {
                    sql.text.push_str(", ");
                }
                match row.iter().find(|(input, _)| *input == Input::Column(*place)) {
                    Some((_, value)) => sql.value(table, *place, value)?,
                    None => sql.text.push_str("DEFAULT"),
                }
            }
            sql.text.push(')');
        }
    }
    sql.returning(table, returning);
    Ok(sql.done())
}

/// Changes rows.
pub(super) fn update(
    context: &SessionContext,
    table: &Table,
    filter: Option<&Given>,
    set: &Given,
    returning: &[usize],
) -> Result<Statement, Refused> {
    let mut sql = Sql::new(context);
    let _ = write!(sql.text, "UPDATE {} AS r SET ", table.from);
    let Given::Object(members) = set else { return Err(Refused::new("set is an object")) };
    if members.is_empty() {
        return Err(Refused::new("set has no values"));
    }
    for (number, (input, value)) in members.iter().enumerate() {
        let Input::Column(place) = input else { continue };
        if number > 0 {
            sql.text.push_str(", ");
        }
        sql.name(table, Some(*place));
        sql.text.push_str(" = ");
        sql.value(table, *place, value)?;
    }
    sql.conditions(Rows { table, filter, keys: None, when: When::Now }, None)?;
    sql.returning(table, returning);
    Ok(sql.done())
}

/// Deletes rows.
pub(super) fn delete(
    context: &SessionContext,
    table: &Table,
    filter: Option<&Given>,
    returning: &[usize],
) -> Result<Statement, Refused> {
    let mut sql = Sql::new(context);
    let _ = write!(sql.text, "DELETE FROM {} AS r", table.from);
    sql.conditions(Rows { table, filter, keys: None, when: When::Now }, None)?;
    sql.returning(table, returning);
    Ok(sql.done())
}

/// A statement under way. The rows of its table are called `r`.
struct Sql<'c> {
    text: String,
    kinds: Vec<TypeKind>,
    values: Vec<Datum>,
    context: &'c SessionContext,
}

impl<'c> Sql<'c> {
    fn new(context: &'c SessionContext) -> Self {
        Self { text: String::new(), kinds: Vec::new(), values: Vec::new(), context }
    }

    fn done(self) -> Statement {
        Statement { text: self.text, kinds: self.kinds, values: self.values }
    }

    /// So many parts with commas between them.
    fn list(&mut self, count: usize, mut part: impl FnMut(&mut Self, usize)) {
        for number in 0..count {
            if number > 0 {
                self.text.push_str(", ");
            }
            part(self, number);
        }
    }

    /// A column of the table, by its own name.
    fn name(&mut self, table: &Table, place: Option<usize>) {
        let quoted = place.and_then(|place| table.columns.get(place)).map(|column| column.quoted.as_str());
        self.text.push_str(quoted.unwrap_or("NULL"));
    }

    /// The same of its rows.
    fn column(&mut self, table: &Table, place: Option<usize>) {
        self.text.push_str("r.");
        self.name(table, place);
    }

    /// A parameter.
    fn bind(&mut self, value: Datum, kind: TypeKind) -> Result<(), Refused> {
        if self.values.len() >= PARAMETERS_MAX {
            let message = format!("a statement would have more than {PARAMETERS_MAX} parameters");
            return Err(sql::Error::new("54000", message).into());
        }
        self.values.push(value);
        self.kinds.push(kind);
        let _ = write!(self.text, "${}", self.values.len());
        Ok(())
    }

    /// A value of a column as a parameter.
    fn value(&mut self, table: &Table, place: usize, value: &Given) -> Result<(), Refused> {
        let column = table.columns.get(place).ok_or_else(no_column)?;
        let kind = column.kind.base();
        let value = match value {
            Given::Text(text) => {
                scalar::read(text, kind, self.context).map_err(|refused| refused.about(&column.field))?
            }
            _ => Datum::Null,
        };
        self.bind(value, kind)
    }

    fn from(&mut self, rows: Rows<'_>) -> Result<(), Refused> {
        self.text.push_str(" FROM ");
        // Versions are found by what each column of the key is one of, which makes spans; who asks tells the keys apart.
        let composite = rows.keys.filter(|keys| keys.columns.len() > 1 && !rows.when.is_between());
        if let Some(keys) = composite {
            self.text.push_str("unnest(");
            for (number, (place, values)) in keys.columns.iter().zip(&keys.values).enumerate() {
                if number > 0 {
                    self.text.push_str(", ");
                }
                self.array(rows.table, *place, values)?;
            }
            self.text.push_str(") AS k (");
            self.list(keys.columns.len(), |sql, number| {
                let _ = write!(sql.text, "k{number}");
            });
            self.text.push_str(") JOIN ");
        }
        self.text.push_str(&rows.table.from);
        match rows.when {
            When::Now => {}
            When::Said(moment) => {
                self.text.push_str(" FOR SYSTEM_TIME AS OF ");
                self.bind(Datum::text(moment), TypeKind::Text)?;
            }
            When::At(moment) => {
                self.text.push_str(" FOR SYSTEM_TIME AS OF ");
                self.bind(timestamp(moment)?, TypeKind::Int8)?;
            }
            When::Between(from, to) => {
                self.text.push_str(" FOR SYSTEM_TIME BETWEEN ");
                self.bind(timestamp(from)?, TypeKind::Int8)?;
                self.text.push_str(" AND ");
                self.bind(timestamp(to)?, TypeKind::Int8)?;
            }
        }
        self.text.push_str(" AS r");
        if let Some(keys) = composite {
            self.text.push_str(" ON ");
            for (number, place) in keys.columns.iter().enumerate() {
                if number > 0 {
                    self.text.push_str(" AND ");
                }
                self.column(rows.table, Some(*place));
                let _ = write!(self.text, " = k.k{number}");
            }
        }
        Ok(())
    }

    /// Values of a column as one parameter.
    fn array(&mut self, table: &Table, place: usize, values: &[Datum]) -> Result<(), Refused> {
        let kind = table.columns.get(place).map(|column| column.kind.base()).ok_or_else(no_column)?;
        let array = kind.array().ok_or_else(|| {
            let message = format!("keys of type {} cannot be looked up together", kind.display_name());
            Refused::from(sql::Error::unsupported_as(message))
        })?;
        self.bind(Datum::Array(values.iter().cloned().collect()), array)
    }

    /// Values of a column as a parameter each; NULL if there are none, which nothing is equal to.
    fn each(&mut self, table: &Table, place: usize, values: &[Datum]) -> Result<(), Refused> {
        let kind = table.columns.get(place).map(|column| column.kind.base()).ok_or_else(no_column)?;
        if values.is_empty() {
            return self.bind(Datum::Null, kind);
        }
        for (number, value) in values.iter().enumerate() {
            if number > 0 {
                self.text.push_str(", ");
            }
            self.bind(value.clone(), kind)?;
        }
        Ok(())
    }

    /// WHERE, and all that stands behind it.
    fn conditions(&mut self, rows: Rows<'_>, page: Option<&Page>) -> Result<(), Refused> {
        let mut word = " WHERE ";
        if let Some(keys) = rows.keys {
            for (place, values) in keys.columns.iter().zip(&keys.values) {
                let is_alone = keys.columns.len() == 1;
                if !is_alone && !rows.when.is_between() {
                    break;
                }
                self.text.push_str(word);
                word = " AND ";
                self.column(rows.table, Some(*place));
                self.text.push_str(if is_alone { " = ANY (" } else { " IN (" });
                match is_alone {
                    true => self.array(rows.table, *place, values)?,
                    false => self.each(rows.table, *place, values)?,
                }
                self.text.push(')');
            }
        }
        if let Some(filter) = rows.filter {
            self.text.push_str(word);
            word = " AND ";
            self.filter(rows.table, filter)?;
        }
        if let Some(page) = page
            && let Some(after) = &page.after
        {
            self.text.push_str(word);
            self.behind(rows.table, &page.order, after)?;
        }
        Ok(())
    }

    fn order(&mut self, table: &Table, order: &[Ordered]) {
        if order.is_empty() {
            return;
        }
        self.text.push_str(" ORDER BY ");
        self.list(order.len(), |sql, number| {
            let Some((place, is_descending)) = order.get(number) else { return };
            sql.column(table, Some(*place));
            sql.text.push_str(if *is_descending { " DESC" } else { "" });
        });
    }

    /// What holds for the rows behind one in an order.
    fn behind(&mut self, table: &Table, order: &[Ordered], values: &[Option<String>]) -> Result<(), Refused> {
        let column = |place: usize| table.columns.get(place).ok_or_else(no_column);
        let is_plain = |(place, is_descending): &Ordered| {
            *is_descending == order.first().is_some_and(|first| first.1)
                && table.columns.get(*place).is_some_and(|column| !column.is_nullable)
        };
        if order.iter().all(is_plain) {
            self.text.push('(');
            self.list(order.len(), |sql, number| {
                sql.column(table, order.get(number).map(|ordered| ordered.0))
            });
            let is_descending = order.first().is_some_and(|first| first.1);
            self.text.push_str(if is_descending { ") < (" } else { ") > (" });
            for (number, ((place, _), value)) in order.iter().zip(values).enumerate() {
                if number > 0 {
                    self.text.push_str(", ");
                }
                self.text_value(column(*place)?, value.as_deref())?;
            }
            self.text.push(')');
            return Ok(());
        }
        // (a behind a0 or a = a0 and (b behind b0 or b = b0 and (…)))
        let mut open = 0;
        for (number, ((place, is_descending), value)) in order.iter().zip(values).enumerate() {
            let (own, is_last) = (column(*place)?, number + 1 == order.len());
            self.text.push('(');
            self.is_behind(table, (*place, *is_descending), value.as_deref())?;
            if is_last {
                self.text.push(')');
                break;
            }
            self.text.push_str(" OR ");
            self.column(table, Some(*place));
            match value {
                Some(value) => {
                    self.text.push_str(" = ");
                    self.text_value(own, Some(value))?;
                }
                None => self.text.push_str(" IS NULL"),
            }
            self.text.push_str(" AND ");
            open += 1;
        }
        self.text.push_str(&")".repeat(open));
        Ok(())
    }

    /// What holds for values behind one: NULL stands behind all others, and before them where the order is descending.
    fn is_behind(
        &mut self,
        table: &Table,
        (place, is_descending): Ordered,
        value: Option<&str>,
    ) -> Result<(), Refused> {
        let column = table.columns.get(place).ok_or_else(no_column)?;
        match (value, is_descending) {
            (None, false) => self.text.push_str("false"),
            (None, true) => {
                self.column(table, Some(place));
                self.text.push_str(" IS NOT NULL");
            }
            (Some(_), _) => {
                self.text.push('(');
                self.column(table, Some(place));
                self.text.push_str(if is_descending { " < " } else { " > " });
                self.text_value(column, value)?;
                if !is_descending && column.is_nullable {
                    self.text.push_str(" OR ");
                    self.column(table, Some(place));
                    self.text.push_str(" IS NULL");
                }
                self.text.push(')');
            }
        }
        Ok(())
    }

    /// A value that a cursor holds.
    fn text_value(&mut self, column: &Column, text: Option<&str>) -> Result<(), Refused> {
        let kind = column.kind.base();
        let value = match text {
            Some(text) => scalar::read(text, kind, self.context)?,
            None => Datum::Null,
        };
        self.bind(value, kind)
    }

    fn returning(&mut self, table: &Table, columns: &[usize]) {
        if columns.is_empty() {
            return;
        }
        self.text.push_str(" RETURNING ");
        self.list(columns.len(), |sql, number| sql.column(table, columns.get(number).copied()));
    }
}

/// A system timestamp as a value.
fn timestamp(moment: u64) -> Result<Datum, Refused> {
    let number = i64::try_from(moment).ok().filter(|number| *number > 0);
    let wrong = || sql::Error::new("22023", format!("{moment} is no system timestamp"));
    Ok(Datum::Int8(number.ok_or_else(wrong)?))
}

fn no_column() -> Refused {
    sql::Error::internal("a column that the table does not have").into()
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::library;
    use super::super::schema::Comparison;
    use super::*;

    fn text(value: &str) -> Given {
        Given::Text(value.to_owned())
    }

    fn compare(place: usize, comparison: Comparison, value: Given) -> (Input, Given) {
        (Input::Column(place), Given::Object(vec![(Input::Compare(comparison), value)]))
    }

    fn rows<'a>(table: &'a Table, filter: Option<&'a Given>) -> Rows<'a> {
        Rows { table, filter, keys: None, when: When::Now }
    }

    #[test]
    fn a_page_is_ordered_and_begins_behind_its_cursor() {
        let (tables, context) = (library(), SessionContext::default());
        let mut page = Page { order: vec![(0, false)], first: 10, after: Some(vec![Some("7".to_owned())]) };
        let made = select(&context, rows(&tables[1], None), &[2, 0], Some(&page)).unwrap();
        let expected = "SELECT r.title AS c0, r.id AS c1 FROM public.book AS r WHERE (r.id) > ($1) ORDER BY r.id LIMIT $2";
        assert_eq!(made.text, expected);
        assert_eq!(made.kinds, [TypeKind::Int8, TypeKind::Int8]);
        page.order = vec![(2, true), (0, false)];
        page.after = Some(vec![Some("x".to_owned()), Some("7".to_owned())]);
        let made = select(&context, rows(&tables[1], None), &[0], Some(&page)).unwrap();
        let expected = "SELECT r.id AS c0 FROM public.book AS r WHERE ((r.title < $1) OR r.title = $2 AND ((r.id > $3))) \
                        ORDER BY r.title DESC, r.id LIMIT $4";
        assert_eq!(made.text, expected);
        page.order = vec![(3, false), (0, false)];
        page.after = Some(vec![None, Some("7".to_owned())]);
        let made = select(&context, rows(&tables[1], None), &[0], Some(&page)).unwrap();
        let expected = "SELECT r.id AS c0 FROM public.book AS r WHERE (false OR r.price IS NULL AND ((r.id > $1))) \
                        ORDER BY r.price, r.id LIMIT $2";
        assert_eq!(made.text, expected);
    }

    #[test]
    fn rows_that_belong_to_others_come_by_one_statement() {
        let (tables, context) = (library(), SessionContext::default());
        let keys = Keys { columns: vec![1], values: vec![vec![Datum::Int4(1), Datum::Int4(2)]] };
        let page = Page { order: vec![(0, true)], first: 2, after: None };
        let asked = Rows { table: &tables[1], filter: None, keys: Some(&keys), when: When::Said("-1h") };
        let made = select(&context, asked, &[1, 2], Some(&page)).unwrap();
        let expected = "SELECT c0, c1 FROM (SELECT r.author_id AS c0, r.title AS c1, \
                        row_number() OVER (PARTITION BY r.author_id ORDER BY r.id DESC) AS n \
                        FROM public.book FOR SYSTEM_TIME AS OF $1 AS r WHERE r.author_id = ANY ($2)) AS r WHERE n <= $3 ORDER BY n";
        assert_eq!(made.text, expected);
        assert_eq!(made.kinds, [TypeKind::Text, TypeKind::Int4Array, TypeKind::Int8]);
        let keys = Keys { columns: vec![0, 1], values: vec![vec![Datum::Int4(1)], vec![Datum::text("x")]] };
        let asked = Rows { table: &tables[2], filter: None, keys: Some(&keys), when: When::Now };
        let made = select(&context, asked, &[2], None).unwrap();
        let expected = "SELECT r.\"and\" AS c0 FROM unnest($1, $2) AS k (k0, k1) JOIN shop.\"Stock Items\" AS r ON r.a = k.k0 AND r.b = k.k1";
        assert_eq!(made.text, expected);
        let made = totals(&context, asked, &[(Function::Max, 0)]).unwrap();
        let expected = "SELECT r.a, r.b, count(*), max(r.a) FROM unnest($1, $2) AS k (k0, k1) \
                        JOIN shop.\"Stock Items\" AS r ON r.a = k.k0 AND r.b = k.k1 GROUP BY r.a, r.b";
        assert_eq!(made.text, expected);
        let filter = Given::Object(vec![compare(2, Comparison::Eq, text("true"))]);
        let asked = Rows { filter: Some(&filter), when: When::Between(5, 7), ..asked };
        let made = versions(&context, asked, &[2, 0]).unwrap();
        let expected = "SELECT r.\"and\" AS c0, r.a AS c1, r.system_start::bigint, r.system_end::bigint \
                        FROM shop.\"Stock Items\" FOR SYSTEM_TIME BETWEEN $1 AND $2 AS r \
                        WHERE r.a IN ($3) AND r.b IN ($4) AND (r.\"and\" = $5)";
        assert_eq!(made.text, expected);
    }

    #[test]
    fn conditions_are_of_parameters_alone() {
        let (tables, context) = (library(), SessionContext::default());
        let evil = "'; drop table book; --";
        let filter = Given::Object(vec![
            compare(2, Comparison::Eq, text(evil)),
            compare(2, Comparison::Like, text("a%")),
            compare(0, Comparison::In, Given::List(vec![text("1"), text("2")])),
            compare(3, Comparison::IsNull, text("false")),
            (
                Input::Or,
                Given::List(vec![
                    Given::Object(vec![compare(1, Comparison::Ge, text("3"))]),
                    Given::Object(Vec::new()),
                ]),
            ),
            (Input::Not, Given::Object(vec![compare(1, Comparison::Ne, text("4"))])),
            (Input::And, Given::List(Vec::new())),
        ]);
        let made = select(&context, rows(&tables[1], Some(&filter)), &[0], None).unwrap();
        let expected = "SELECT r.id AS c0 FROM public.book AS r WHERE (r.title = $1 AND r.title LIKE $2 AND r.id = ANY ($3) AND \
                        r.price IS NOT NULL AND ((r.author_id >= $4) OR true) AND NOT (r.author_id <> $5) AND true)";
        assert_eq!(made.text, expected);
        assert!(matches!(&made.values[0], Datum::Text(text) if **text == *evil));
        let null = Given::Object(vec![compare(0, Comparison::Eq, Given::Null)]);
        assert!(select(&context, rows(&tables[1], Some(&null)), &[0], None).is_err());
        let wrong = Given::Object(vec![compare(0, Comparison::Eq, text("x"))]);
        assert!(select(&context, rows(&tables[1], Some(&wrong)), &[0], None).is_err());
    }

    #[test]
    fn changes_name_what_is_given() {
        let (tables, context) = (library(), SessionContext::default());
        let given = [
            Given::Object(vec![(Input::Column(0), text("1")), (Input::Column(2), Given::Null)]),
            Given::Object(vec![(Input::Column(1), text("7"))]),
        ];
        let made = insert(&context, &tables[1], &given, &[0]).unwrap();
        let expected = "INSERT INTO public.book AS r (id, author_id, title) VALUES ($1, DEFAULT, $2), (DEFAULT, $3, DEFAULT) RETURNING r.id";
        assert_eq!(made.text, expected);
        let made = insert(&context, &tables[0], &[Given::Object(Vec::new())], &[]).unwrap();
        assert_eq!(made.text, "INSERT INTO public.author AS r DEFAULT VALUES");
        let filter = Given::Object(vec![compare(0, Comparison::Eq, text("1"))]);
        let set = Given::Object(vec![(Input::Column(2), text("new"))]);
        let made = update(&context, &tables[1], Some(&filter), &set, &[]).unwrap();
        assert_eq!(made.text, "UPDATE public.book AS r SET title = $1 WHERE (r.id = $2)");
        assert!(update(&context, &tables[1], Some(&filter), &Given::Object(Vec::new()), &[]).is_err());
        let made = delete(&context, &tables[1], Some(&filter), &[0, 2]).unwrap();
        assert_eq!(made.text, "DELETE FROM public.book AS r WHERE (r.id = $1) RETURNING r.id, r.title");
    }
}
