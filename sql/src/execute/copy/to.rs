//! COPY TO STDOUT: rows as text or in their binary formats, one message each.

use std::collections::VecDeque;

use bytes::Bytes;
use expr::{Datum, Type};

use super::tuples;
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::operators::{BoxOperator, build};
use crate::plan::{CopyFormat, CopyOptions, CopyTo};

/// A COPY TO STDOUT under way.
pub(crate) struct CopyToExecution {
    source: BoxOperator,
    types: Vec<Type>,
    options: CopyOptions,
    names: Vec<String>,
    quoted: Vec<bool>,
    header_due: bool,
    /// Of the binary format: whether the mark of the end was sent.
    is_ended: bool,
    ready: VecDeque<Bytes>,
    count: u64,
}

impl CopyToExecution {
    pub(crate) fn new(copy: &CopyTo) -> Result<Self> {
        Ok(Self {
            source: build(&copy.source)?,
            types: copy.source.types(),
            header_due: copy.options.header || copy.options.format == CopyFormat::Binary,
            is_ended: false,
            options: copy.options.clone(),
            names: copy.names.clone(),
            quoted: copy.quoted.clone(),
            ready: VecDeque::new(),
            count: 0,
        })
    }

    /// How many columns the data has.
    pub(crate) fn columns(&self) -> usize {
        self.types.len()
    }

    /// How many rows were sent.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The next message, or `None` at the end.
    pub(crate) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Bytes>> {
        if self.options.format == CopyFormat::Binary {
            return self.next_tuple(cx).await;
        }
        if std::mem::take(&mut self.header_due) {
            let fields: Vec<Option<String>> = self.names.iter().cloned().map(Some).collect();
            return self.line(cx, &fields, &[]).map(Some);
        }
        if self.ready.is_empty()
            && let Some(rows) = self.source.next(cx).await?
        {
            for row in rows {
                cx.tick(1).await?;
                let fields: Vec<Option<String>> = row
                    .iter()
                    .zip(&self.types)
                    .map(|(value, ty)| match value {
                        Datum::Null => Ok(None),
                        value => expr::codec::output(value, *ty, cx.session).map(Some),
                    })
                    .collect::<expr::Result<_>>()?;
                let line = self.line(cx, &fields, &self.quoted)?;
                self.ready.push_back(line);
            }
        }
        let next = self.ready.pop_front();
        self.count = self.count.saturating_add(u64::from(next.is_some()));
        Ok(next)
    }

    /// The next message in binary format: header and mark of the end have none of their own where there is a row beside.
    async fn next_tuple(&mut self, cx: &mut Context<'_>) -> Result<Option<Bytes>> {
        if self.header_due && !cx.session.client_encoding.is_utf8() {
            return Err(Error::unsupported("COPY in binary format with another client_encoding than UTF8"));
        }
        if self.ready.is_empty()
            && let Some(rows) = self.source.next(cx).await?
        {
            for row in rows {
                cx.tick(1).await?;
                let tuple = self.tuple(cx, &row)?;
                self.ready.push_back(tuple);
            }
        }
        let next = self.ready.pop_front();
        self.count = self.count.saturating_add(u64::from(next.is_some()));
        if next.is_some() || std::mem::replace(&mut self.is_ended, true) {
            return Ok(next);
        }
        let mut end = self.begin();
        tuples::put_end(&mut end);
        Ok(Some(end.into()))
    }

    /// What the next message begins with.
    fn begin(&mut self) -> Vec<u8> {
        if std::mem::take(&mut self.header_due) { tuples::header() } else { Vec::new() }
    }

    fn tuple(&mut self, cx: &Context<'_>, row: &[Datum]) -> Result<Bytes> {
        let mut out = self.begin();
        tuples::put_count(self.types.len(), &mut out);
        let mut field = Vec::new();
        for (value, ty) in row.iter().zip(&self.types) {
            if matches!(value, Datum::Null) {
                tuples::put_field(None, &mut out)?;
                continue;
            }
            field.clear();
            expr::codec::send(value, *ty, cx.session, &mut field)?;
            tuples::put_field(Some(&field), &mut out)?;
        }
        Ok(out.into())
    }

    /// A line in the encoding of the data.
    fn line(&self, cx: &Context<'_>, fields: &[Option<String>], quoted: &[bool]) -> Result<Bytes> {
        let line = line(fields, quoted, &self.options);
        let encoding = self.options.encoding.unwrap_or(cx.session.client_encoding);
        if encoding.is_utf8() {
            return Ok(line);
        }
        // Delimiters and quotes are ASCII.
        let text = std::str::from_utf8(&line).map_err(|_| Error::internal("a line of COPY is no text"))?;
        Ok(Bytes::copy_from_slice(&encoding.of_utf8(text)?))
    }
}

fn line(fields: &[Option<String>], quoted: &[bool], options: &CopyOptions) -> Bytes {
    let mut out = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            out.push(options.delimiter);
        }
        match (field, options.format) {
            (None, _) => out.extend_from_slice(options.null.as_bytes()),
            (Some(text), CopyFormat::Text | CopyFormat::Binary) => put_text(text, options, &mut out),
            (Some(text), CopyFormat::Csv) => {
                let is_quoted = quoted.get(place).copied().unwrap_or_default();
                put_csv(text, is_quoted, fields.len() == 1, options, &mut out);
            }
        }
    }
    out.push(b'\n');
    out.into()
}

fn put_text(text: &str, options: &CopyOptions, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        let letter = match byte {
            b'\\' => b'\\',
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            byte if byte == options.delimiter => byte,
            byte => {
                out.push(byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

fn put_csv(text: &str, is_quoted: bool, alone: bool, options: &CopyOptions, out: &mut Vec<u8>) {
    let special =
        |byte: u8| byte == options.delimiter || byte == options.quote || matches!(byte, b'\n' | b'\r');
    let needs_quotes =
        is_quoted || text == options.null || text.bytes().any(special) || alone && text == "\\.";
    if !needs_quotes {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(options.quote);
    for byte in text.bytes() {
        if byte == options.quote || byte == options.escape {
            out.push(options.escape);
        }
        out.push(byte);
    }
    out.push(options.quote);
}
