//! COPY FROM STDIN: data in, rows written batch by batch.

use std::sync::Arc;

use expr::encoding::Encoding;
use expr::tree::Domain;
use expr::{Datum, Row, Type};

use super::lines::{Field, Lines};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::memory::row_bytes;
use crate::execute::operators::BATCH_BYTES;
use crate::execute::rows::TableFormat;
use crate::execute::write::{InsertSink, Outcome, WRITE_BATCH_ROWS};
use crate::plan::{Assignment, CopyFrom};

/// A COPY FROM STDIN under way.
pub(crate) struct CopyFromExecution {
    lines: Lines,
    /// What the data is in, unless it is what the client speaks.
    encoding: Option<Encoding>,
    /// What of them is accounted for.
    lines_bytes: usize,
    sink: InsertSink,
    columns: Vec<usize>,
    types: Vec<(Type, Vec<Arc<Domain>>)>,
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
            encoding: copy.options.encoding,
            lines_bytes: 0,
            sink: InsertSink::plain(TableFormat::new(&copy.table)?, copy.rules.clone()),
            types: copy.types.clone(),
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
        self.lines.push(&self.encoding.unwrap_or(cx.session.client_encoding).to_utf8(data)?)?;
        self.account_lines(cx)?;
        let mut from = 0;
        while !self.lines.is_ended()
            && let Some((end, next)) = self.lines.next(from)
        {
            self.take_line(cx, from, end).await?;
            from = next;
            if self.rows.len() >= WRITE_BATCH_ROWS || self.rows_bytes >= BATCH_BYTES {
                self.flush(cx).await?;
            }
            cx.tick(1).await?;
        }
        self.lines.consume(from);
        self.account_lines(cx)
    }

    /// Accounts for the data of lines that have no end yet.
    fn account_lines(&mut self, cx: &mut Context<'_>) -> Result<()> {
        let held = self.lines.held_bytes();
        if held > self.lines_bytes {
            cx.memory.reserve(held.saturating_sub(self.lines_bytes))?;
        } else {
            cx.memory.release(self.lines_bytes.saturating_sub(held));
        }
        self.lines_bytes = held;
        Ok(())
    }

    /// The data has ended: writes what is left and answers how many rows there were.
    pub(crate) async fn done(&mut self, cx: &mut Context<'_>) -> Result<u64> {
        let rest = self.lines.rest();
        if rest > 0 && !self.lines.is_ended() {
            self.take_line(cx, 0, rest).await?;
        }
        self.flush(cx).await?;
        self.sink.settle(cx).await?;
        Ok(self.outcome.count)
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
        let mut row = self.row(cx, fields, line)?;
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

    fn row(&self, cx: &Context<'_>, fields: Vec<Field>, line: &[u8]) -> Result<Row> {
        let mut row = vec![Datum::Null; self.sink.format.table.columns.len()];
        if fields.len() > self.columns.len() {
            return Err(self.at_line(Error::new("22P04", "extra data after last expected column"), line));
        }
        if let Some(missing) = self.names.get(fields.len()) {
            let error = Error::new("22P04", format!("missing data for column \"{missing}\""));
            return Err(self.at_line(error, line));
        }
        for (place, (field, (ty, domains))) in fields.into_iter().zip(&self.types).enumerate() {
            let value = match field {
                None => Datum::Null,
                Some(bytes) => self.value(cx, place, bytes, *ty)?,
            };
            for domain in domains {
                domain.judge(&value, cx.session).map_err(|error| {
                    let name = self.names.get(place).map_or("", String::as_str);
                    let line = format!("COPY {}, line {}", self.sink.format.table.name, self.line);
                    Error::from(error).context(format!("{line}, column {name}"))
                })?;
            }
            if let Some(slot) = self.columns.get(place).and_then(|column| row.get_mut(*column)) {
                *slot = value;
            }
        }
        Ok(row)
    }

    fn value(&self, cx: &Context<'_>, place: usize, bytes: Vec<u8>, ty: Type) -> Result<Datum> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let bytes: Vec<String> =
                error.as_bytes().iter().skip(at).take(1).map(|byte| format!("0x{byte:02x}")).collect();
            Error::new("22021", format!("invalid byte sequence for encoding \"UTF8\": {}", bytes.join(" ")))
                .context(format!("COPY {}, line {}", self.sink.format.table.name, self.line))
        })?;
        if text.contains('\0') {
            return Err(Error::new("22021", "invalid byte sequence for encoding \"UTF8\": 0x00")
                .context(format!("COPY {}, line {}", self.sink.format.table.name, self.line)));
        }
        expr::codec::input(&text, ty, cx.session).map_err(|error| {
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
