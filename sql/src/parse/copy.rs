//! COPY, in its newer form with options between parentheses and in the older one without.

use expr::encoding::Encoding;

use super::ast::{Body, Copy, CopyColumns, CopyFormat, CopyOptions};
use super::cursor::Cursor;
use super::grammar;
use super::lexer::Kind;
use super::option::{boolean, option_value};
use crate::error::{Error, Result};

/// After COPY.
pub(super) fn copy(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.is_symbol("(") {
        if matches!(cursor.peek_at(1).keyword, "insert" | "update" | "delete") {
            return Err(cursor.unsupported("COPY of a statement that is no query"));
        }
        cursor.advance();
        let at = cursor.at();
        let query = match grammar::preparable(cursor)? {
            Body::Query(query) => query,
            _ => return Err(Error::unsupported("COPY of a statement that is no query").at(at)),
        };
        cursor.expect_symbol(")")?;
        cursor.expect("to")?;
        stream(cursor, "stdout")?;
        let options = options(cursor, false, None)?;
        return Ok(Body::Copy(Box::new(Copy::QueryTo { query, options })));
    }
    // `COPY BINARY t …`, the oldest spelling of all.
    let binary = cursor.is("binary") && !matches!(cursor.peek_at(1).keyword, "from" | "to");
    if binary {
        cursor.advance();
    }
    let binary = binary.then_some(CopyFormat::Binary);
    let table = cursor.qualified_name()?;
    let columns = if cursor.is_symbol("(") { Some(cursor.name_list()?) } else { None };
    if cursor.accept("from") {
        stream(cursor, "stdin")?;
        let options = options(cursor, true, Some(binary))?;
        if cursor.is("where") {
            return Err(Error::unsupported("COPY FROM with WHERE").at(cursor.at()));
        }
        return Ok(Body::Copy(Box::new(Copy::From { table, columns, options })));
    }
    cursor.expect("to")?;
    stream(cursor, "stdout")?;
    let options = options(cursor, false, Some(binary))?;
    Ok(Body::Copy(Box::new(Copy::TableTo { table, columns, options })))
}

fn stream(cursor: &mut Cursor<'_>, expected: &str) -> Result<()> {
    match cursor.word().as_deref() {
        Some("stdin" | "stdout") => {
            if cursor.word().as_deref() != Some(expected) {
                return Err(cursor.error());
            }
            cursor.advance();
            Ok(())
        }
        Some("program") => Err(Error::unsupported("COPY with PROGRAM").at(cursor.at())),
        _ if cursor.peek().kind == Kind::String => {
            Err(Error::unsupported("COPY with a file on the server").at(cursor.at()))
        }
        _ => Err(cursor.error()),
    }
}

/// What the options said, before defaults are filled in.
#[derive(Default)]
struct Given {
    /// The options that there were, by the names that the newer form has for them.
    names: Vec<&'static str>,
    format: Option<CopyFormat>,
    delimiter: Option<String>,
    null: Option<String>,
    header: bool,
    header_match: bool,
    quote: Option<String>,
    escape: Option<String>,
    encoding: Option<Encoding>,
    force_quote: CopyColumns,
    force_not_null: CopyColumns,
    force_null: CopyColumns,
}

impl Given {
    /// Notes an option; each may be given once.
    fn once(&mut self, name: &'static str, at: usize) -> Result<()> {
        if self.names.contains(&name) {
            return Err(Error::new("42601", "conflicting or redundant options").at(at));
        }
        self.names.push(name);
        Ok(())
    }
}

/// What may follow the name of the stream; `of_table`: a table is copied, not a query, and that was said before its name.
fn options(cursor: &mut Cursor<'_>, from: bool, of_table: Option<Option<CopyFormat>>) -> Result<CopyOptions> {
    let mut given = Given::default();
    let at = cursor.at();
    if let Some(Some(format)) = of_table {
        given.once("format", at)?;
        given.format = Some(format);
    }
    if of_table.is_some() && (cursor.accept("using") || cursor.is("delimiters")) {
        let at = cursor.at();
        cursor.expect("delimiters")?;
        given.once("delimiter", at)?;
        given.delimiter = Some(text(cursor)?);
    }
    cursor.accept("with");
    if cursor.accept_symbol("(") {
        loop {
            option(cursor, &mut given, from)?;
            if !cursor.accept_symbol(",") {
                break;
            }
        }
        cursor.expect_symbol(")")?;
    } else {
        while !cursor.is_at_end() && !cursor.is("where") {
            old_option(cursor, &mut given)?;
        }
    }
    finish(given, from).map_err(|error| error.at(at))
}

fn option(cursor: &mut Cursor<'_>, given: &mut Given, from: bool) -> Result<()> {
    let name = cursor.label()?;
    let at = name.at;
    match name.value.as_str() {
        "format" => {
            given.once("format", at)?;
            match option_value(cursor)?.as_deref() {
                Some("text") => given.format = Some(CopyFormat::Text),
                Some("csv") => given.format = Some(CopyFormat::Csv),
                Some("binary") => given.format = Some(CopyFormat::Binary),
                Some(other) => {
                    return Err(Error::new("22023", format!("COPY format \"{other}\" not recognized")).at(at));
                }
                None => return Err(cursor.error()),
            }
        }
        "freeze" => {
            given.once("freeze", at)?;
            boolean("freeze", option_value(cursor)?.as_deref())?;
        }
        "header" => {
            given.once("header", at)?;
            header(option_value(cursor)?, given, from, at)?;
        }
        "delimiter" => {
            given.once("delimiter", at)?;
            given.delimiter = Some(text(cursor)?);
        }
        "null" => {
            given.once("null", at)?;
            given.null = Some(text(cursor)?);
        }
        "quote" => {
            given.once("quote", at)?;
            given.quote = Some(text(cursor)?);
        }
        "escape" => {
            given.once("escape", at)?;
            given.escape = Some(text(cursor)?);
        }
        "encoding" => {
            given.once("encoding", at)?;
            given.encoding = Some(encoding(&text(cursor)?, at)?);
        }
        "force_quote" => {
            given.once("force_quote", at)?;
            let all = cursor.accept_symbol("*");
            given.force_quote = if all { CopyColumns::All } else { columns(cursor, "force_quote", at)? };
        }
        "force_not_null" => {
            given.once("force_not_null", at)?;
            given.force_not_null = columns(cursor, "force_not_null", at)?;
        }
        "force_null" => {
            given.once("force_null", at)?;
            given.force_null = columns(cursor, "force_null", at)?;
        }
        "default" | "on_error" => {
            return Err(Error::unsupported(format!("COPY with {}", name.value.to_uppercase())).at(at));
        }
        other => return Err(Error::new("42601", format!("option \"{other}\" not recognized")).at(at)),
    }
    Ok(())
}

fn header(value: Option<String>, given: &mut Given, from: bool, at: usize) -> Result<()> {
    if value.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("match")) {
        if !from {
            return Err(Error::new("0A000", "cannot use \"match\" with HEADER in COPY TO").at(at));
        }
        given.header = true;
        given.header_match = true;
        return Ok(());
    }
    given.header = boolean("header", value.as_deref())
        .map_err(|_| Error::new("42601", "header requires a Boolean value or \"match\""))?;
    Ok(())
}

/// `DELIMITER AS '|' NULL AS '' CSV HEADER …`
fn old_option(cursor: &mut Cursor<'_>, given: &mut Given) -> Result<()> {
    let at = cursor.at();
    let Some(word) = cursor.word() else { return Err(cursor.error()) };
    let token = cursor.advance();
    let mut argument = || {
        cursor.accept("as");
        text(cursor)
    };
    match word.as_str() {
        "binary" => {
            given.once("format", at)?;
            given.format = Some(CopyFormat::Binary);
        }
        "freeze" => given.once("freeze", at)?,
        "csv" => {
            given.once("format", at)?;
            given.format = Some(CopyFormat::Csv);
        }
        "header" => {
            given.once("header", at)?;
            given.header = true;
        }
        "delimiter" => {
            given.once("delimiter", at)?;
            given.delimiter = Some(argument()?);
        }
        "null" => {
            given.once("null", at)?;
            given.null = Some(argument()?);
        }
        "quote" => {
            given.once("quote", at)?;
            given.quote = Some(argument()?);
        }
        "escape" => {
            given.once("escape", at)?;
            given.escape = Some(argument()?);
        }
        "encoding" => {
            given.once("encoding", at)?;
            given.encoding = Some(encoding(&argument()?, at)?);
        }
        "force" => force(cursor, given, at)?,
        _ => return Err(cursor.error_at(&token)),
    }
    Ok(())
}

/// `FORCE QUOTE a, b`, `FORCE QUOTE *`, `FORCE NOT NULL a`, `FORCE NULL a`
fn force(cursor: &mut Cursor<'_>, given: &mut Given, at: usize) -> Result<()> {
    if cursor.accept("quote") {
        given.once("force_quote", at)?;
        given.force_quote = match cursor.accept_symbol("*") {
            true => CopyColumns::All,
            false => CopyColumns::These(cursor.list(|cursor| cursor.name())?),
        };
    } else if cursor.accept_all(&["not", "null"]) {
        given.once("force_not_null", at)?;
        given.force_not_null = CopyColumns::These(cursor.list(|cursor| cursor.name())?);
    } else if cursor.accept("null") {
        given.once("force_null", at)?;
        given.force_null = CopyColumns::These(cursor.list(|cursor| cursor.name())?);
    } else {
        return Err(cursor.error());
    }
    Ok(())
}

/// `(a, b)`
fn columns(cursor: &mut Cursor<'_>, option: &str, at: usize) -> Result<CopyColumns> {
    match cursor.is_symbol("(") {
        true => Ok(CopyColumns::These(cursor.name_list()?)),
        false => {
            let message = format!("argument to option \"{option}\" must be a list of column names");
            Err(Error::new("22023", message).at(at))
        }
    }
}

fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    cursor.string()?.ok_or_else(|| cursor.error())
}

fn encoding(name: &str, at: usize) -> Result<Encoding> {
    let invalid = "argument to option \"encoding\" must be a valid encoding name";
    let encoding = Encoding::find(name).ok_or_else(|| Error::new("22023", invalid).at(at))?;
    match encoding.is_supported() {
        true => Ok(encoding),
        false => Err(Error::unsupported(format!("COPY in encoding \"{name}\"")).at(at)),
    }
}

fn finish(given: Given, from: bool) -> Result<CopyOptions> {
    let invalid = |message: &str| Err(Error::new("0A000", message));
    let format = given.format.unwrap_or(CopyFormat::Text);
    let csv = format == CopyFormat::Csv;
    if format == CopyFormat::Binary {
        if given.delimiter.is_some() {
            return Err(Error::new("42601", "cannot specify DELIMITER in BINARY mode"));
        }
        if given.null.is_some() {
            return Err(Error::new("42601", "cannot specify NULL in BINARY mode"));
        }
        if given.header {
            return invalid("cannot specify HEADER in BINARY mode");
        }
    }
    if !csv && given.quote.is_some() {
        return invalid("COPY quote available only in CSV mode");
    }
    if !csv && given.escape.is_some() {
        return invalid("COPY escape available only in CSV mode");
    }
    for (columns, name, is_of_from, way) in [
        (&given.force_quote, "force quote", false, "TO"),
        (&given.force_not_null, "force not null", true, "FROM"),
        (&given.force_null, "force null", true, "FROM"),
    ] {
        if *columns == CopyColumns::None {
            continue;
        }
        if !csv {
            return invalid(&format!("COPY {name} available only in CSV mode"));
        }
        if is_of_from != from {
            return invalid(&format!("COPY {name} only available using COPY {way}"));
        }
    }
    let delimiter = match &given.delimiter {
        Some(delimiter) => one_byte(delimiter, "delimiter")?,
        None if csv => b',',
        None => b'\t',
    };
    let null = given.null.unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
    let quote = given.quote.as_deref().map_or(Ok(b'"'), |quote| one_byte(quote, "quote"))?;
    let escape = given.escape.as_deref().map_or(Ok(quote), |escape| one_byte(escape, "escape"))?;
    if delimiter == b'\n' || delimiter == b'\r' {
        return Err(Error::new("22023", "COPY delimiter cannot be newline or carriage return"));
    }
    if null.contains(['\r', '\n']) {
        return Err(Error::new("22023", "COPY null representation cannot use newline or carriage return"));
    }
    if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
        let shown = char::from(delimiter);
        return Err(Error::new("22023", format!("COPY delimiter cannot be \"{shown}\"")));
    }
    if csv && delimiter == quote {
        return Err(Error::new("22023", "COPY delimiter and quote must be different"));
    }
    if null.as_bytes().contains(&delimiter) {
        return invalid("COPY delimiter must not appear in the NULL specification");
    }
    if csv && null.as_bytes().contains(&quote) {
        return invalid("CSV quote character must not appear in the NULL specification");
    }
    Ok(CopyOptions {
        format,
        delimiter,
        null,
        header: given.header,
        header_match: given.header_match,
        quote,
        escape,
        encoding: given.encoding,
        force_quote: given.force_quote,
        force_not_null: given.force_not_null,
        force_null: given.force_null,
    })
}

fn one_byte(text: &str, option: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(Error::new("0A000", format!("COPY {option} must be a single one-byte character"))),
    }
}
