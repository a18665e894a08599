//! COPY FROM STDIN: data in, rows written batch by batch.

use std::sync::Arc;

use expr::encoding::Encoding;
use expr::tree::Domain;
use expr::{Datum, Row, Type};

use super::lines::{Field, Lines};
use super::tuples::{Piece, Tuples};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::execute::operators::BATCH_BYTES;
use crate::execute::rows::TableFormat;
use crate::execute::write::{InsertSink, Outcome, WRITE_BATCH_ROWS};
use crate::plan::{Assignment, CopyFormat, CopyFrom};

/// A COPY FROM STDIN under way.
pub(crate) struct CopyFromExecution {
    lines: Lines,
    /// Of the binary format, in the place of the lines.
    tuples: Option<Tuples>,
    /// What the data is in, unless it is what the client speaks.
    encoding: Option<Encoding>,
    /// What of the data that waits is accounted for.
    held_bytes: usize,
    sink: InsertSink,
    columns: Vec<usize>,
    types: Vec<(Type, Vec<Arc<Domain>>)>,
    /// For each of them whether the NULL string is no NULL, and whether it is one quoted, too.
    forced: Vec<(bool, bool)>,
    null: String,
    names: Vec<String>,
    defaults: Vec<Assignment>,
    header: bool,
    header_match: bool,
    line: u64,
    rows: Vec<Row>,
    rows_bytes: usize,
    outcome: Outcome,
    /// Whether any row was written.
    has_begun: bool,
}

impl CopyFromExecution {
    pub(crate) fn new(copy: &CopyFrom) -> Result<Self> {
        let column = |place: &usize| copy.table.columns.get(*place);
        Ok(Self {
            lines: Lines::new(copy.options.clone()),
            tuples: (copy.options.format == CopyFormat::Binary).then(Tuples::default),
            encoding: copy.options.encoding,
            held_bytes: 0,
            sink: InsertSink::plain(TableFormat::new(&copy.table)?, copy.rules.clone()),
            types: copy.types.clone(),
            forced: copy.forced.clone(),
            null: copy.options.null.clone(),
            names: copy.columns.iter().filter_map(column).map(|column| column.name.clone()).collect(),
            columns: copy.columns.clone(),
            defaults: copy.defaults.clone(),
            header: copy.options.header,
            header_match: copy.options.header_match,
            line: 0,
            rows: Vec::new(),
            rows_bytes: 0,
            outcome: Outcome::default(),
            has_begun: false,
        })
    }

    /// How many columns the data has.
    pub(crate) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Takes data, and writes the rows that are complete.
    pub(crate) async fn data(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Result<()> {
        if self.tuples.is_some() {
            return self.binary_data(cx, data).await;
        }
        self.lines.push(&self.encoding.unwrap_or(cx.session.client_encoding).to_utf8(data)?)?;
        self.account(cx)?;
        let mut from = 0;
        while !self.lines.is_ended()
            && let Some((end, next)) = self.lines.next(from)
        {
            self.take_line(cx, from, end).await?;
            from = next;
            self.flush_if_many(cx).await?;
            cx.tick(1).await?;
        }
        self.lines.consume(from);
        self.account(cx)
    }

    /// Takes data in binary format, and writes the rows that are complete.
    async fn binary_data(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Result<()> {
        if !cx.session.client_encoding.is_utf8() {
            return Err(Error::unsupported("COPY in binary format with another client_encoding than UTF8"));
        }
        let Some(tuples) = &mut self.tuples else { return Ok(()) };
        tuples.push(data)?;
        let has_header = tuples.take_header()?;
        self.account(cx)?;
        let mut from = 0;
        let mut is_end = false;
        while has_header && let Some(tuples) = &self.tuples {
            let line = self.line.saturating_add(1);
            let piece = tuples.next(from, self.columns.len());
            let (fields, next) = match piece.map_err(|error| error.context(self.place(line)))? {
                Piece::Tuple(fields, next) => (fields, next),
                Piece::Part => break,
                Piece::End => {
                    is_end = true;
                    break;
                }
            };
            self.line = line;
            let row = self.tuple_row(cx, &fields)?;
            drop(fields);
            self.keep(cx, row).await?;
            from = next;
            self.flush_if_many(cx).await?;
            cx.tick(1).await?;
        }
        let place = self.place(self.line.saturating_add(1));
        if let Some(tuples) = &mut self.tuples {
            match is_end {
                true => tuples.end(from).map_err(|error| error.context(place))?,
                false => tuples.consume(from),
            }
        }
        self.account(cx)
    }

    /// Accounts for the data of rows that have no end yet.
    fn account(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let held = self.tuples.as_ref().map_or_else(|| self.lines.held_bytes(), Tuples::held_bytes);
        if held > self.held_bytes {
            cx.memory.reserve(held.saturating_sub(self.held_bytes))?;
        } else {
            cx.memory.release(self.held_bytes.saturating_sub(held));
        }
        self.held_bytes = held;
        Ok(())
    }

    /// The data has ended: writes what is left and answers how many rows there were.
    pub(crate) async fn done(&mut self, cx: &mut Context<'_>) -> Result<u64> {
        if let Some(tuples) = &self.tuples {
            tuples.finish().map_err(|error| error.context(self.place(self.line.saturating_add(1))))?;
        }
        let rest = self.lines.rest();
        if rest > 0 && !self.lines.is_ended() {
            self.take_line(cx, 0, rest).await?;
        }
        self.flush(cx).await?;
        self.sink.settle(cx).await?;
        Ok(self.outcome.count)
    }

    async fn flush_if_many(&mut self, cx: &mut Context<'_>) -> Result<()> {
        match self.rows.len() >= WRITE_BATCH_ROWS || self.rows_bytes >= BATCH_BYTES {
            true => self.flush(cx).await,
            false => Ok(()),
        }
    }

    async fn flush(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if !self.has_begun {
            self.sink.begin(cx)?;
            self.has_begun = true;
        }
        let rows = std::mem::take(&mut self.rows);
        self.rows_bytes = 0;
        let count = rows.len() as u64;
        let first = self.line.saturating_sub(count).saturating_add(1);
        let context = format!("COPY {}, lines {first} to {}", self.sink.format.table.name, self.line);
        self.sink
            .write(cx, rows, &mut self.outcome)
            .await
            .map_err(|error| if error.context.is_none() { error.context(context) } else { error })
    }

    async fn take_line(&mut self, cx: &mut Context<'_>, from: usize, end: usize) -> Result<()> {
        self.line = self.line.saturating_add(1);
        let line = self.lines.line(from, end);
        if Lines::is_end_mark(line) {
            self.lines.end();
            return Ok(());
        }
        if self.line == 1 && self.header {
            return if self.header_match { self.check_header(line) } else { Ok(()) };
        }
        let fields = self.lines.fields(line).map_err(|error| self.at_line(error, line))?;
        let row = self.row(cx, fields, line)?;
        self.keep(cx, row).await
    }

    /// Keeps a row to be written, with the defaults of columns that the data has not.
    async fn keep(&mut self, cx: &mut Context<'_>, mut row: Row) -> Result<()> {
        for default in &self.defaults {
            let value = cx.settled(|cx| cx.evaluate(&default.value, &[])).await?;
            if let Some(slot) = row.get_mut(default.column) {
                *slot = value;
            }
        }
        self.rows_bytes = self.rows_bytes.saturating_add(row_bytes(&row));
        self.rows.push(row);
        Ok(())
    }

    fn row(&self, cx: &Context<'_>, fields: Vec<Field<'_>>, line: &[u8]) -> Result<Row> {
        let mut row = vec![Datum::Null; self.sink.format.table.columns.len()];
        if fields.len() > self.columns.len() {
            return Err(self.at_line(Error::new("22P04", "extra data after last expected column"), line));
        }
        if let Some(missing) = self.names.get(fields.len()) {
            let error = Error::new("22P04", format!("missing data for column \"{missing}\""));
            return Err(self.at_line(error, line));
        }
        for (place, (field, (ty, domains))) in fields.iter().zip(&self.types).enumerate() {
            let value = match self.meant(place, field.as_deref()) {
                None => Datum::Null,
                Some(bytes) => self.value(cx, place, bytes, *ty)?,
            };
            self.put(cx, place, value, domains, &mut row)?;
        }
        Ok(row)
    }

    /// A field as FORCE_NOT_NULL and FORCE_NULL would have it.
    fn meant<'f>(&'f self, place: usize, field: Option<&'f [u8]>) -> Option<&'f [u8]> {
        let (not_null, null) = self.forced.get(place).copied().unwrap_or_default();
        let null_string = self.null.as_bytes();
        match field {
            None if not_null => Some(null_string),
            Some(bytes) if null && bytes == null_string => None,
            field => field,
        }
    }

    fn tuple_row(&self, cx: &Context<'_>, fields: &[Option<&[u8]>]) -> Result<Row> {
        let mut row = vec![Datum::Null; self.sink.format.table.columns.len()];
        for (place, (field, (ty, domains))) in fields.iter().zip(&self.types).enumerate() {
            let value = match field {
                None => Datum::Null,
                Some(bytes) => expr::codec::receive(bytes, *ty, cx.session)
                    .map_err(|error| Error::from(error).context(self.column_place(place)))?,
            };
            self.put(cx, place, value, domains, &mut row)?;
        }
        Ok(row)
    }

    /// Puts the value of the data's column at `place` into its row.
    fn put(
        &self,
        cx: &Context<'_>,
        place: usize,
        value: Datum,
        domains: &[Arc<Domain>],
        row: &mut Row,
    ) -> Result<()> {
        for domain in domains {
            domain
                .judge(&value, cx.session)
                .map_err(|error| Error::from(error).context(self.column_place(place)))?;
        }
        if let Some(slot) = self.columns.get(place).and_then(|column| row.get_mut(*column)) {
            *slot = value;
        }
        Ok(())
    }

    fn place(&self, line: u64) -> String {
        format!("COPY {}, line {line}", self.sink.format.table.name)
    }

    fn column_place(&self, place: usize) -> String {
        let name = self.names.get(place).map_or("", String::as_str);
        format!("{}, column {name}", self.place(self.line))
    }

    fn value(&self, cx: &Context<'_>, place: usize, bytes: &[u8], ty: Type) -> Result<Datum> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let bytes: Vec<String> =
                bytes.iter().skip(at).take(1).map(|byte| format!("0x{byte:02x}")).collect();
            Error::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" ")))
                .context(format!("COPY {}, line {}", self.sink.format.table.name, self.line))
        })?;
        if text.contains('\0') {
            return Err(Error::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")
                .context(format!("COPY {}, line {}", self.sink.format.table.name, self.line)));
        }
        expr::codec::input(text, ty, cx.session).map_err(|error| {
            let name = self.names.get(place).map_or("", String::as_str);
            Error::from(error).context(format!(
                "COPY {}, line {}, column {name}: \"{text}\"",
                self.sink.format.table.name, self.line
            ))
        })
    }

    fn check_header(&self, line: &[u8]) -> Result<()> {
        let fields = self.lines.fields(line).map_err(|error| self.at_line(error, line))?;
        if fields.len() != self.names.len() {
            let error = Error::new(
                "22P04",
                format!(
                    "wrong number of fields in header line: got {}, expected {}",
                    fields.len(),
                    self.names.len()
                ),
            );
            return Err(self.at_line(error, line));
        }
        for (place, (field, name)) in fields.iter().zip(&self.names).enumerate() {
            let got = field.as_deref().map(String::from_utf8_lossy);
            if got.as_deref() == Some(name) {
                continue;
            }
            let number = place.saturating_add(1);
            let got = got.map_or_else(|| "null value".to_owned(), |got| format!("\"{got}\""));
            let error = Error::new(
                "22P04",
                format!("column name mismatch in header line field {number}: got {got}, expected \"{name}\""),
            );
            return Err(self.at_line(error, line));
        }
        Ok(())
    }

    fn at_line(&self, error: Error, line: &[u8]) -> Error {
        let mut text = String::from_utf8_lossy(line).into_owned();
        /// As in PostgreSQL, so that a huge line does not flood the log.
        const LINE_CHARS_MAX: usize = 100;
        if let Some((cut, _)) = text.char_indices().nth(LINE_CHARS_MAX) {
            text.truncate(cut);
            text.push_str("...");
        }
        error.context(format!("COPY {}, line {}: \"{text}\"", self.sink.format.table.name, self.line))
    }
}
