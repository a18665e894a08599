//! Arrays, and the vectors of the catalogs, as text.
//!
//! ```text
//! {1,NULL,3}                 {"a b","say \"x\"",""}        {{1,2},{3,4}}        [0:1]={1,2}        1 2 3 (a vector)
//! ```

use crate::datum::Datum;
use crate::datum::array::{self, Array, DIMENSIONS_MAX, Dimension};
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::types::{Type, TypeKind};
use crate::work;

/// Appends `{a,"b c",NULL}`, or `1 2 3` of a vector.
pub(super) fn write(array: &Array, kind: TypeKind, session: &SessionContext, out: &mut String) -> Result<()> {
    let element = kind.element().unwrap_or(TypeKind::Text);
    if kind.is_vector() {
        return write_vector(array, element, session, out);
    }
    if array.dimensions().any(|dimension| dimension.lower != 1) {
        write_bounds(array, out);
        out.push('=');
    }
    let dimensions: Vec<usize> = array.dimensions().map(|dimension| dimension.length as usize).collect();
    if dimensions.is_empty() {
        out.push_str("{}");
        return Ok(());
    }
    let mut text = String::new();
    for (place, item) in array.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        (0..turns(&dimensions, place)).for_each(|_| out.push('{'));
        write_item(item, element, session, &mut text, out)?;
        (0..turns(&dimensions, place + 1)).for_each(|_| out.push('}'));
    }
    Ok(())
}

/// How many levels begin with the element of this number, and end before it.
fn turns(lengths: &[usize], place: usize) -> usize {
    let mut rest = place;
    let mut turns = 0;
    for length in lengths.iter().rev().take_while(|length| **length > 0) {
        if !rest.is_multiple_of(*length) {
            break;
        }
        turns += 1;
        rest /= length;
    }
    turns
}

/// Appends `[1:2][0:1]`.
pub(crate) fn write_bounds(array: &Array, out: &mut String) {
    for dimension in array.dimensions() {
        out.push_str(&format!("[{}:{}]", dimension.lower, dimension.upper()));
    }
}

fn write_vector(array: &Array, element: TypeKind, session: &SessionContext, out: &mut String) -> Result<()> {
    for (place, item) in array.iter().enumerate() {
        if place > 0 {
            out.push(' ');
        }
        super::write(item, element, session, out)?;
    }
    Ok(())
}

fn write_item(
    item: &Datum,
    element: TypeKind,
    session: &SessionContext,
    text: &mut String,
    out: &mut String,
) -> Result<()> {
    if item.is_null() {
        return super::plain("NULL", out);
    }
    text.clear();
    super::write(item, element, session, text)?;
    match needs_quotes(text) {
        true => super::quote(text, Some('\\'), out),
        false => super::plain(text, out),
    }
}

/// What stands between the elements of an array and means nothing: blanks of ASCII, no others of Unicode.
fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case("null")
        || text.contains(|c: char| matches!(c, '{' | '}' | '"' | '\\' | ',') || is_blank(c))
}

/// Reads an array. 22P02 if malformed.
pub(super) fn parse(text: &str, ty: Type, session: &SessionContext) -> Result<Datum> {
    let element = ty.element().ok_or_else(|| super::refused(ty.kind))?;
    if ty.kind.is_vector() {
        let items: Result<Vec<_>> =
            text.split_ascii_whitespace().map(|word| super::input(word, element, session)).collect();
        return Ok(Datum::Array(Array::from_lower(items?, 0)));
    }
    let malformed = |detail: &str| {
        Error::new("22P02", format!("malformed array literal: \"{text}\"")).with_detail(detail.to_owned())
    };
    let mut body = text.trim_start_matches(is_blank);
    let mut bounds = Vec::new();
    while let Some(rest) = body.strip_prefix('[') {
        if bounds.len() == DIMENSIONS_MAX {
            return Err(array::too_many_dimensions(bounds.len() + 1));
        }
        let (dimension, rest) = take_bounds(rest, &malformed)?;
        bounds.push(dimension);
        body = rest.trim_start_matches(is_blank);
    }
    if !bounds.is_empty() {
        body = body.strip_prefix('=').ok_or_else(|| malformed("Missing \"=\" after array dimensions."))?;
        body = body.trim_start_matches(is_blank);
    }
    if !body.starts_with('{') {
        return Err(malformed(match bounds.is_empty() {
            true => "Array value must start with \"{\" or dimension information.",
            false => "Array contents must start with \"{\".",
        }));
    }
    let mut reader = Reader { levels: Vec::new(), lengths: Vec::new(), items: Vec::new(), bytes: 0 };
    reader.read(body, element, session, &malformed)?;
    let mut dimensions: Vec<Dimension> =
        reader.lengths.iter().map(|length| Dimension { length: length.unwrap_or(0), lower: 1 }).collect();
    if !bounds.is_empty() {
        let lengths = |dimensions: &[Dimension]| dimensions.iter().map(|one| one.length).collect::<Vec<_>>();
        if lengths(&dimensions) != lengths(&bounds) {
            return Err(malformed("Specified array dimensions do not match array contents."));
        }
        dimensions = bounds;
    }
    Array::shaped(reader.items, &dimensions).map(Datum::Array)
}

/// Reads `2:4]` or `3]`.
fn take_bounds<'a>(text: &'a str, malformed: &impl Fn(&str) -> Error) -> Result<(Dimension, &'a str)> {
    let missing = || malformed("\"[\" must introduce explicitly-specified array dimensions.");
    let (inside, rest) =
        text.split_once(']').ok_or_else(|| malformed("Missing \"]\" after array dimensions."))?;
    let number = |text: &str| text.trim_matches(is_blank).parse::<i32>().map_err(|_| missing());
    let (lower, upper) = match inside.split_once(':') {
        Some((lower, upper)) => (number(lower)?, number(upper)?),
        None => (1, number(inside)?),
    };
    if upper < lower {
        return Err(Error::new("2202E", "upper bound cannot be less than lower bound"));
    }
    let length =
        upper.checked_sub(lower).and_then(|length| length.checked_add(1)).ok_or_else(array::too_large)?;
    Ok((Dimension { length, lower }, rest))
}

/// What was read last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Opened,
    Closed,
    Item,
    /// A comma after an item.
    ItemComma,
    /// A comma after a level.
    LevelComma,
}

struct Reader {
    /// Of each level that is open: how many members it has so far.
    levels: Vec<i32>,
    /// Of each level: how many members it has wherever it was closed.
    lengths: Vec<Option<i32>>,
    items: Vec<Datum>,
    /// What those take: few characters may stand for many digits, or blanks.
    bytes: usize,
}

impl Reader {
    fn read(
        &mut self,
        body: &str,
        element: Type,
        session: &SessionContext,
        malformed: &impl Fn(&str) -> Error,
    ) -> Result<()> {
        let unexpected = |c: char| malformed(&format!("Unexpected \"{c}\" character."));
        let mut rest = body;
        let mut last = None;
        loop {
            rest = rest.trim_start_matches(is_blank);
            let Some(c) = rest.chars().next() else {
                return if self.levels.is_empty() {
                    Ok(())
                } else {
                    Err(malformed("Unexpected end of input."))
                };
            };
            if self.levels.is_empty() && last.is_some() {
                return Err(malformed("Junk after closing right brace."));
            }
            match c {
                '{' => {
                    if !matches!(last, None | Some(Last::Opened | Last::LevelComma)) {
                        return Err(unexpected(c));
                    }
                    if self.levels.len() == DIMENSIONS_MAX {
                        return Err(array::too_many_dimensions(DIMENSIONS_MAX + 1));
                    }
                    self.levels.push(0);
                    if self.lengths.len() < self.levels.len() {
                        if !self.items.is_empty() {
                            return Err(ragged(malformed));
                        }
                        self.lengths.push(None);
                    }
                    last = Some(Last::Opened);
                }
                '}' => {
                    let is_empty = last == Some(Last::Opened) && self.levels.len() == 1;
                    if !is_empty && !matches!(last, Some(Last::Item | Last::Closed)) {
                        return Err(unexpected(c));
                    }
                    self.close(malformed)?;
                    last = Some(Last::Closed);
                }
                ',' => {
                    last = Some(match last {
                        Some(Last::Item) => Last::ItemComma,
                        Some(Last::Closed) => Last::LevelComma,
                        _ => return Err(unexpected(c)),
                    });
                }
                _ => {
                    if !matches!(last, Some(Last::Opened | Last::ItemComma)) {
                        return Err(match c {
                            '\\' => unexpected(c),
                            _ => malformed("Unexpected array element."),
                        });
                    }
                    if self.levels.len() != self.lengths.len() {
                        return Err(ragged(malformed));
                    }
                    rest = self.item(rest, element, session, malformed)?;
                    last = Some(Last::Item);
                    continue;
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// Ends the innermost level.
    fn close(&mut self, malformed: &impl Fn(&str) -> Error) -> Result<()> {
        let members = self.levels.pop().unwrap_or(0);
        let known = self.lengths.get_mut(self.levels.len());
        if let Some(known) = known
            && *known.get_or_insert(members) != members
        {
            return Err(ragged(malformed));
        }
        if let Some(above) = self.levels.last_mut() {
            *above += 1;
        }
        Ok(())
    }

    /// Reads one element; answers what follows it.
    fn item<'a>(
        &mut self,
        text: &'a str,
        element: Type,
        session: &SessionContext,
        malformed: &impl Fn(&str) -> Error,
    ) -> Result<&'a str> {
        let (item, quoted, rest) = take_item(text, malformed)?;
        let item = match !quoted && item.eq_ignore_ascii_case("null") {
            true => super::judged(Datum::Null, element.kind, session)?,
            false => super::input(&item, element, session)?,
        };
        self.bytes = work::fits(self.bytes.saturating_add(item.size_bytes()))?;
        work::step(1)?;
        self.items.push(item);
        if let Some(members) = self.levels.last_mut() {
            *members += 1;
        }
        Ok(rest)
    }
}

fn ragged(malformed: &impl Fn(&str) -> Error) -> Error {
    malformed("Multidimensional arrays must have sub-arrays with matching dimensions.")
}

/// The item at the front, whether any of it was quoted or escaped (NULL then is a word), and what follows it.
fn take_item<'a>(input: &'a str, malformed: &impl Fn(&str) -> Error) -> Result<(String, bool, &'a str)> {
    let end = || malformed("Unexpected end of input.");
    let mut item = String::new();
    let quoted = input.starts_with('"');
    let body = if quoted { input.get(1..).unwrap_or_default() } else { input };
    // Blanks at the end do not count unless a backslash stands before them.
    let mut kept = 0;
    let mut escaped = false;
    let mut characters = body.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => {
                item.push(characters.next().ok_or_else(end)?.1);
                kept = item.len();
                escaped = true;
            }
            '"' if quoted => return Ok((item, true, body.get(at + 1..).unwrap_or_default())),
            '"' => return Err(malformed("Unexpected array element.")),
            '{' if !quoted => return Err(malformed("Unexpected \"{\" character.")),
            ',' | '}' if !quoted => {
                item.truncate(kept);
                return Ok((item, escaped, body.get(at..).unwrap_or_default()));
            }
            c => {
                item.push(c);
                if !is_blank(c) {
                    kept = item.len();
                }
            }
        }
    }
    Err(end())
}
