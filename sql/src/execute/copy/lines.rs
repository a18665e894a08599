//! Cuts COPY's data into lines and lines into fields, whatever pieces it arrives in.
//!
//! Text: fields are separated by the delimiter, special bytes are escaped by a backslash, `\N` is NULL, a line `\.`
//! ends the data. CSV: fields may be quoted, and only quoted ones hold delimiters, quotes (escaped) and newlines; an
//! unquoted field that is the NULL string is NULL. Lines end in LF or CR LF.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::plan::{CopyFormat, CopyOptions};

/// A line that has no end after so many bytes is refused: the client is sending something else.
const LINE_BYTES_MAX: usize = 64 << 20;

/// How much room for lines is kept once a long one is done.
const ROOM_BYTES_KEPT: usize = 1 << 20;

/// Cuts data into lines.
#[derive(Debug)]
pub(super) struct Lines {
    options: CopyOptions,
    pending: Vec<u8>,
    /// How much of `pending` was looked at without finding the end of the line, and the state there.
    scanned: usize,
    state: ScanState,
    ended: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct ScanState {
    escaped: bool,
    quoted: bool,
}

/// One field: NULL or its bytes, those of the line where they stand there as they are meant.
pub(super) type Field<'a> = Option<Cow<'a, [u8]>>;

impl Lines {
    pub(super) fn new(options: CopyOptions) -> Self {
        Self { options, pending: Vec::new(), scanned: 0, state: ScanState::default(), ended: false }
    }

    /// Adds data. The lines that it completes are taken with [`Lines::next`].
    pub(super) fn push(&mut self, data: &[u8]) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        // What is pending has no end yet; of what comes now much may be whole lines.
        if self.pending.len() > LINE_BYTES_MAX {
            return Err(Error::new("54000", "a line of COPY data is too long"));
        }
        self.pending.extend_from_slice(data);
        Ok(())
    }

    /// The next complete line, without its end. The caller gives the space back with [`Lines::consume`].
    pub(super) fn next(&mut self, from: usize) -> Option<(usize, usize)> {
        let mut at = from.max(self.scanned);
        if at == from {
            self.state = ScanState::default();
        }
        let text = self.options.format == CopyFormat::Text;
        while let Some(byte) = self.pending.get(at) {
            if text && !self.state.escaped && !matches!(byte, b'\n' | b'\\') {
                // Most of a line's bytes say nothing of where it ends.
                let rest = self.pending.get(at..).unwrap_or_default();
                let plain = rest.iter().position(|byte| matches!(byte, b'\n' | b'\\'));
                at = at.saturating_add(plain.unwrap_or(rest.len()));
                continue;
            }
            match *byte {
                b'\n' if !self.state.escaped && !self.state.quoted => {
                    self.scanned = at.saturating_add(1);
                    self.state = ScanState::default();
                    return Some((at, self.scanned));
                }
                b'\\' if text => self.state.escaped = !self.state.escaped,
                byte if !text => self.scan_csv(byte),
                _ => self.state.escaped = false,
            }
            at = at.saturating_add(1);
        }
        self.scanned = at;
        None
    }

    fn scan_csv(&mut self, byte: u8) {
        if self.state.escaped {
            self.state.escaped = false;
        } else if self.state.quoted
            && byte == self.options.escape
            && self.options.escape != self.options.quote
        {
            self.state.escaped = true;
        } else if byte == self.options.quote {
            self.state.quoted = !self.state.quoted;
        }
    }

    /// The bytes of a line, without CR before its end.
    pub(super) fn line(&self, from: usize, end: usize) -> &[u8] {
        let line = self.pending.get(from..end).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// How many bytes are kept for the next lines.
    pub(super) fn held_bytes(&self) -> usize {
        self.pending.capacity()
    }

    /// Drops what was taken.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.pending.drain(..bytes.min(self.pending.len()));
        if self.pending.len() < ROOM_BYTES_KEPT && self.pending.capacity() > ROOM_BYTES_KEPT {
            self.pending.shrink_to(ROOM_BYTES_KEPT);
        }
        self.scanned = self.scanned.saturating_sub(bytes);
    }

    /// Whether the data has said that it ends.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Notes the end of the data: nothing after it counts.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// What is left after the last line's end: the last line, if it has none.
    pub(super) fn rest(&self) -> usize {
        self.pending.len()
    }

    /// Whether the line says that the data ends.
    pub(super) fn is_end_mark(line: &[u8]) -> bool {
        line == b"\\."
    }

    /// The fields of a line.
    pub(super) fn fields<'a>(&self, line: &'a [u8]) -> Result<Vec<Field<'a>>> {
        let special = match self.options.format {
            CopyFormat::Text | CopyFormat::Binary => b'\\',
            CopyFormat::Csv => self.options.quote,
        };
        if !line.contains(&special) {
            return Ok(plain_fields(line, &self.options));
        }
        match self.options.format {
            CopyFormat::Text | CopyFormat::Binary => Ok(text_fields(line, &self.options)),
            CopyFormat::Csv => csv_fields(line, &self.options),
        }
    }
}

/// The fields of a line without anything that has a meaning but delimiters.
fn plain_fields<'a>(line: &'a [u8], options: &CopyOptions) -> Vec<Field<'a>> {
    let fields = line.split(|byte| *byte == options.delimiter);
    fields.map(|field| (field != options.null.as_bytes()).then_some(Cow::Borrowed(field))).collect()
}

fn text_fields<'a>(line: &'a [u8], options: &CopyOptions) -> Vec<Field<'a>> {
    let mut fields = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if *byte == b'\\' {
            escaped = true;
        } else if *byte == options.delimiter {
            fields.push(text_field(line.get(start..at).unwrap_or_default(), options));
            start = at.saturating_add(1);
        }
    }
    fields.push(text_field(line.get(start..).unwrap_or_default(), options));
    fields
}

fn text_field<'a>(raw: &'a [u8], options: &CopyOptions) -> Field<'a> {
    if raw == options.null.as_bytes() {
        return None;
    }
    if !raw.contains(&b'\\') {
        return Some(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            None => out.push(b'\\'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'v') => out.push(11),
            Some(b'x') => match digits(&mut bytes, 16, 2) {
                Some(value) => out.push(value),
                None => out.push(b'x'),
            },
            Some(first @ b'0'..=b'7') => {
                let mut value = u32::from(first - b'0');
                for _ in 0..2 {
                    match bytes.peek() {
                        Some(next @ b'0'..=b'7') => {
                            value = value * 8 + u32::from(next - b'0');
                            bytes.next();
                        }
                        _ => break,
                    }
                }
                out.push((value & 0xff) as u8);
            }
            Some(other) => out.push(other),
        }
    }
    Some(Cow::Owned(out))
}

fn digits(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>, radix: u32, count: usize) -> Option<u8> {
    let mut value = None;
    for _ in 0..count {
        let Some(digit) = bytes.peek().and_then(|byte| char::from(*byte).to_digit(radix)) else { break };
        bytes.next();
        value = Some(value.unwrap_or(0) * radix + digit);
    }
    value.map(|value: u32| (value & 0xff) as u8)
}

fn csv_fields<'a>(line: &[u8], options: &CopyOptions) -> Result<Vec<Field<'a>>> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let mut was_quoted = false;
    let mut quoted = false;
    let mut bytes = line.iter().copied().peekable();
    let finish = |field: &mut Vec<u8>, was_quoted: &mut bool| {
        let bytes = std::mem::take(field);
        let is_null = !std::mem::take(was_quoted) && bytes == options.null.as_bytes();
        if is_null { None } else { Some(Cow::Owned(bytes)) }
    };
    while let Some(byte) = bytes.next() {
        if quoted {
            if byte == options.escape
                && bytes.peek().is_some_and(|next| *next == options.escape || *next == options.quote)
            {
                field.extend(bytes.next());
            } else if byte == options.quote {
                quoted = false;
            } else {
                field.push(byte);
            }
        } else if byte == options.quote {
            quoted = true;
            was_quoted = true;
        } else if byte == options.delimiter {
            fields.push(finish(&mut field, &mut was_quoted));
        } else {
            field.push(byte);
        }
    }
    if quoted {
        return Err(Error::new("22P04", "unterminated CSV quoted field"));
    }
    fields.push(finish(&mut field, &mut was_quoted));
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CopyColumns;

    fn options(format: CopyFormat) -> CopyOptions {
        let text = format == CopyFormat::Text;
        CopyOptions {
            format,
            delimiter: if text { b'\t' } else { b',' },
            null: if text { "\\N".to_owned() } else { String::new() },
            header: false,
            header_match: false,
            quote: b'"',
            escape: b'"',
            encoding: None,
            force_quote: CopyColumns::None,
            force_not_null: CopyColumns::None,
            force_null: CopyColumns::None,
        }
    }

    fn cut(format: CopyFormat, pieces: &[&str]) -> Vec<Vec<Option<String>>> {
        let mut lines = Lines::new(options(format));
        let mut rows = Vec::new();
        for piece in pieces {
            lines.push(piece.as_bytes()).unwrap();
            let mut from = 0;
            while let Some((end, next)) = lines.next(from) {
                let fields = lines.fields(lines.line(from, end)).unwrap();
                rows.push(
                    fields
                        .into_iter()
                        .map(|field| field.map(|bytes| String::from_utf8(bytes.into_owned()).unwrap()))
                        .collect(),
                );
                from = next;
            }
            lines.consume(from);
        }
        rows
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn text_fields_are_unescaped_and_null_is_what_was_not() {
        let rows = cut(CopyFormat::Text, &["1\t\\N\ta\\tb\\\\\n", "\\x41\\101\t\\\\N\t\n"]);
        assert_eq!(rows, [vec![some("1"), None, some("a\tb\\")], vec![some("AA"), some("\\N"), some("")]]);
    }

    #[test]
    fn lines_may_arrive_in_any_pieces() {
        let whole = "1\ta\\\nb\r\n2\tc\n";
        let expected = cut(CopyFormat::Text, &[whole]);
        assert_eq!(expected, [vec![some("1"), some("a\nb")], vec![some("2"), some("c")]]);
        for at in 1..whole.len() {
            assert_eq!(cut(CopyFormat::Text, &[&whole[..at], &whole[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn csv_quotes_hold_delimiters_quotes_and_newlines() {
        let whole = "1,\"a,\"\"b\nc\"\n2,\n3,\"\"\n";
        let expected = cut(CopyFormat::Csv, &[whole]);
        assert_eq!(
            expected,
            [vec![some("1"), some("a,\"b\nc")], vec![some("2"), None], vec![some("3"), some("")]]
        );
        for at in 1..whole.len() {
            assert_eq!(cut(CopyFormat::Csv, &[&whole[..at], &whole[at..]]), expected, "cut at {at}");
        }
    }

    #[test]
    fn lines_with_and_without_anything_special_have_the_same_fields() {
        let rows = cut(CopyFormat::Text, &["\t\n\\.x\t\n1\t\\N\na\tb\n\n"]);
        let empty = || some("");
        assert_eq!(
            rows,
            [
                vec![empty(), empty()],
                vec![some(".x"), empty()],
                vec![some("1"), None],
                vec![some("a"), some("b")],
                vec![empty()]
            ]
        );
        let rows = cut(CopyFormat::Csv, &["a,,b\n\"a\",,\"\"\n\n,\n"]);
        assert_eq!(
            rows,
            [vec![some("a"), None, some("b")], vec![some("a"), None, empty()], vec![None], vec![None, None]]
        );
    }
}
