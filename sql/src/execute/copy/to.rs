//! COPY TO STDOUT: rows as text, one message each.

use std::collections::VecDeque;

use bytes::Bytes;
use expr::{Datum, Type};

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
    header_due: bool,
    ready: VecDeque<Bytes>,
    count: u64,
}

impl CopyToExecution {
    pub(crate) fn new(copy: &CopyTo) -> Result<Self> {
        Ok(Self {
            source: build(&copy.source)?,
            types: copy.source.types(),
            header_due: copy.options.header,
            options: copy.options.clone(),
            names: copy.names.clone(),
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
        if std::mem::take(&mut self.header_due) {
            let fields: Vec<Option<String>> = self.names.iter().cloned().map(Some).collect();
            return self.line(cx, &fields).map(Some);
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
                let line = self.line(cx, &fields)?;
                self.ready.push_back(line);
            }
        }
        let next = self.ready.pop_front();
        self.count = self.count.saturating_add(u64::from(next.is_some()));
        Ok(next)
    }

    /// A line in the encoding of the data.
    fn line(&self, cx: &Context<'_>, fields: &[Option<String>]) -> Result<Bytes> {
        let line = line(fields, &self.options);
        let encoding = self.options.encoding.unwrap_or(cx.session.client_encoding);
        if encoding.is_utf8() {
            return Ok(line);
        }
        // Delimiters and quotes are ASCII.
        let text = std::str::from_utf8(&line).map_err(|_| Error::internal("a line of COPY is no text"))?;
        Ok(Bytes::copy_from_slice(&encoding.of_utf8(text)?))
    }
}

fn line(fields: &[Option<String>], options: &CopyOptions) -> Bytes {
    let mut out = Vec::new();
    for (place, field) in fields.iter().enumerate() {
        if place > 0 {
            out.push(options.delimiter);
        }
        match (field, options.format) {
            (None, _) => out.extend_from_slice(options.null.as_bytes()),
            (Some(text), CopyFormat::Text) => put_text(text, options, &mut out),
            (Some(text), CopyFormat::Csv) => put_csv(text, fields.len() == 1, options, &mut out),
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

fn put_csv(text: &str, alone: bool, options: &CopyOptions, out: &mut Vec<u8>) {
    let special =
        |byte: u8| byte == options.delimiter || byte == options.quote || matches!(byte, b'\n' | b'\r');
    let needs_quotes = text == options.null || text.bytes().any(special) || alone && text == "\\.";
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
