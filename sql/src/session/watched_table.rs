//! A table as who watches it sees it: where its rows lie, and whose key is whose.
//!
//! Who watches keys of the cluster learns from there which rows have changed, and asks for what they are by a statement: so rights,
//! policies and changes of the table are heeded as they are by every other statement, and nothing of rows leaves the cluster beside those.

use client::{CommitTimestamp, Span};
use env::task::boxed;
use expr::{Datum, TypeKind};
use keys::sql::{SUFFIX_ROW, TENANT_DEFAULT, index_span};

use super::Session;
use super::run::guard;
use crate::catalog::{Oid, stored};
use crate::error::{Error, Result};
use crate::execute::{IndexFormat, KeyColumn};
use crate::moment;

/// Where the rows of a table lie that has a primary key.
#[derive(Debug, Clone)]
pub struct WatchedTable {
    /// What statements call it, its schema first: who watches asks for its rows by these.
    name: (String, String),
    table: Oid,
    primary: IndexFormat,
}

impl WatchedTable {
    /// The keys of all rows.
    pub fn everything(&self) -> Span {
        index_span(TENANT_DEFAULT, self.primary.id)
    }

    /// Whether a row stands under one of these keys, and not what others reference.
    pub fn is_row(key: &[u8]) -> bool {
        key.last() == Some(&SUFFIX_ROW)
    }

    /// The keys of rows from one value on up to another, without it; up to the end of the table if there is none. Of a table whose
    /// primary key is one column that ascends.
    pub fn span(&self, from: &Datum, to: Option<&Datum>) -> Result<Span> {
        let start = self.primary.first_key(std::slice::from_ref(from))?;
        let end = match to {
            Some(to) => self.primary.first_key(std::slice::from_ref(to))?,
            None => self.everything().end,
        };
        Ok(Span { start, end })
    }

    /// The value of the primary key of the row under a key, where that is one column.
    pub fn value(&self, key: &[u8]) -> Result<Datum> {
        self.values(key)?.into_iter().next().ok_or_else(|| Error::internal("a primary key of nothing"))
    }

    /// The values of the primary key of the row under a key, in the order of its columns.
    pub fn values(&self, key: &[u8]) -> Result<Vec<Datum>> {
        let mut rest = self.primary.columns_of(key)?;
        let columns = self.primary.columns.iter();
        columns.map(|column| Ok(expr::key::decode_datum(&mut rest, column.ty, column.direction)?)).collect()
    }
}

impl Session {
    /// Where the rows of a table lie, and lay at a timestamp, whose primary key is one column of this type that ascends.
    ///
    /// # Errors
    /// Those of [`Session::watched_rows`]. 42804: the primary key is another.
    #[boxed]
    pub async fn watched(
        &mut self,
        (schema, name): (&str, &str),
        key: TypeKind,
        since: CommitTimestamp,
    ) -> Result<WatchedTable> {
        let suits = |columns: &[KeyColumn]| match columns {
            [column] if column.ty.kind == key && !column.direction.is_descending() => Ok(()),
            _ => {
                let key = key.display_name();
                let message = format!("the primary key of {schema}.{name} is not one column of type {key}");
                Err(Error::new("42804", message))
            }
        };
        self.watched_if((schema, name), since, suits).await
    }

    /// Where the rows of a table lie, and lay at a timestamp, whatever its primary key is.
    ///
    /// # Errors
    /// 22023: the timestamp is still to come. 42P01: there is no such table. 42804: it has no primary key. 0A000: its
    /// primary key has a column of which a key of the cluster does not tell the value. 55000: its rows lay somewhere else then.
    #[boxed]
    pub async fn watched_rows(
        &mut self,
        (schema, name): (&str, &str),
        since: CommitTimestamp,
    ) -> Result<WatchedTable> {
        let suits = |columns: &[KeyColumn]| {
            let stand_in = columns.iter().find(|column| column.ty.kind.base() == TypeKind::Interval);
            match stand_in {
                None => Ok(()),
                Some(_) => {
                    let message =
                        format!("{schema}.{name}, whose primary key has intervals, cannot be watched");
                    Err(Error::unsupported_as(message))
                }
            }
        };
        self.watched_if((schema, name), since, suits).await
    }

    async fn watched_if(
        &mut self,
        (schema, name): (&str, &str),
        since: CommitTimestamp,
        suits: impl Fn(&[KeyColumn]) -> Result<()> + Send,
    ) -> Result<WatchedTable> {
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        // The ranges take a timestamp for one that was handed out.
        guard(&cancel, deadline, moment::reached(self.engine.client(), since)).await?;
        let newest = self.engine.refresh_catalog(self.database);
        let catalog = guard(&cancel, deadline, newest).await?;
        let missing = || Error::new("42P01", format!("relation \"{schema}.{name}\" does not exist"));
        let table = catalog.table(schema, name).ok_or_else(missing)?;
        // A row id is none that its rows are known by.
        let key = table
            .primary_key()
            .ok_or_else(|| Error::new("42804", format!("{schema}.{name} has no primary key")))?;
        let primary = IndexFormat::new(table, key)?;
        suits(&primary.columns)?;
        let mut past = self.engine.client().past(since);
        let row = past.get(stored::table_key(catalog.home(), table.oid));
        let row = guard(&cancel, deadline, async { Ok(row.await?) }).await;
        past.rollback().await;
        let then = row?.and_then(|row| stored::decode_table(&row, catalog.objects().kinds()).ok());
        if then.as_ref().and_then(|then| then.primary()).map(|index| index.id) != Some(primary.id) {
            return Err(moved());
        }
        Ok(WatchedTable { name: (schema.to_owned(), name.to_owned()), table: table.oid, primary })
    }

    /// Makes sure that the rows of a table lie where they did, and that it is called what it was.
    ///
    /// # Errors
    /// 55000: they do not.
    #[boxed]
    pub async fn watch_on(&mut self, watched: &WatchedTable) -> Result<()> {
        let (cancel, deadline) = (self.cancel.clone(), self.statement_deadline());
        let newest = self.engine.refresh_catalog(self.database);
        let catalog = guard(&cancel, deadline, newest).await?;
        let (schema, name) = &watched.name;
        let table = catalog.table(schema, name).filter(|table| table.oid == watched.table);
        let primary = table.and_then(|table| table.primary());
        let lies_there = primary.is_some_and(|primary| primary.id == watched.primary.id);
        if lies_there { Ok(()) } else { Err(moved()) }
    }
}

fn moved() -> Error {
    Error::new("55000", "the table was emptied, renamed or made anew")
        .detail("What it held before is gone without a change of each row.")
        .hint("Read the table, and watch it from then on.")
}
