//! OVER and WINDOW.

use super::super::ast::{Exclude, Frame, FrameBound, FrameMode, NamedWindow, Over, Window};
use super::super::cursor::Cursor;
use super::super::keyword::Category;
use super::super::lexer::Kind;
use super::expression::{expression, expressions};
use super::query::order_by;
use crate::error::{Error, Result};

/// OVER, or nothing.
pub(super) fn over(cursor: &mut Cursor<'_>) -> Result<Option<Over>> {
    if !cursor.accept("over") {
        return Ok(None);
    }
    if cursor.is_symbol("(") {
        return window(cursor).map(Over::Definition).map(Some);
    }
    cursor.name().map(Over::Name).map(Some)
}

/// WINDOW, or nothing.
pub(super) fn windows(cursor: &mut Cursor<'_>) -> Result<Vec<NamedWindow>> {
    if !cursor.accept("window") {
        return Ok(Vec::new());
    }
    cursor.list(|cursor| {
        let name = cursor.name()?;
        cursor.expect("as")?;
        Ok(NamedWindow { name, window: window(cursor)? })
    })
}

/// `(w PARTITION BY … ORDER BY … ROWS …)`
fn window(cursor: &mut Cursor<'_>) -> Result<Window> {
    cursor.level(|cursor| {
        let at = cursor.at();
        cursor.expect_symbol("(")?;
        let base = if names_window(cursor) { Some(cursor.name()?) } else { None };
        let partition_by = if cursor.accept("partition") {
            cursor.expect("by")?;
            expressions(cursor)?
        } else {
            Vec::new()
        };
        let order_by = if cursor.is("order") { order_by(cursor)? } else { Vec::new() };
        let frame = frame(cursor)?;
        cursor.expect_symbol(")")?;
        Ok(Window { base, partition_by, order_by, frame, at })
    })
}

/// Whether the name of another window comes first.
fn names_window(cursor: &Cursor<'_>) -> bool {
    let token = cursor.peek();
    match token.kind {
        Kind::Quoted => true,
        Kind::Word => {
            matches!(token.category, Category::Unreserved | Category::ColumnName)
                && !matches!(token.keyword, "partition" | "rows" | "range" | "groups")
        }
        _ => false,
    }
}

fn frame(cursor: &mut Cursor<'_>) -> Result<Option<Frame>> {
    let at = cursor.at();
    let mode = match cursor.accept_one_of(&["rows", "range", "groups"]) {
        None => return Ok(None),
        Some("rows") => FrameMode::Rows,
        Some("range") => FrameMode::Range,
        Some(_) => FrameMode::Groups,
    };
    let refuse = |at: usize, message: &str| Err(Error::new("42P20", message.to_owned()).at(at));
    let between = cursor.accept("between");
    let (start, end) = if between {
        let start_at = cursor.at();
        let start = bound(cursor)?;
        cursor.expect("and")?;
        let end_at = cursor.at();
        let end = bound(cursor)?;
        match (&start, &end) {
            (FrameBound::Last, _) => return refuse(start_at, "frame start cannot be UNBOUNDED FOLLOWING"),
            (_, FrameBound::First) => return refuse(end_at, "frame end cannot be UNBOUNDED PRECEDING"),
            (FrameBound::Current, FrameBound::Before(_)) => {
                return refuse(end_at, "frame starting from current row cannot have preceding rows");
            }
            (FrameBound::After(_), FrameBound::Before(_) | FrameBound::Current) => {
                return refuse(end_at, "frame starting from following row cannot have preceding rows");
            }
            _ => {}
        }
        (start, end)
    } else {
        let start_at = cursor.at();
        let start = bound(cursor)?;
        match &start {
            FrameBound::Last => return refuse(start_at, "frame start cannot be UNBOUNDED FOLLOWING"),
            FrameBound::After(_) => {
                return refuse(start_at, "frame starting from following row cannot end with current row");
            }
            _ => {}
        }
        (start, FrameBound::Current)
    };
    let exclude = exclude(cursor)?;
    Ok(Some(Frame { mode, start, end, between, exclude, at }))
}

fn exclude(cursor: &mut Cursor<'_>) -> Result<Exclude> {
    if !cursor.accept("exclude") {
        return Ok(Exclude::Nothing);
    }
    if cursor.accept_all(&["current", "row"]) {
        return Ok(Exclude::Row);
    }
    if cursor.accept_all(&["no", "others"]) {
        return Ok(Exclude::Nothing);
    }
    match cursor.accept_one_of(&["group", "ties"]) {
        Some("group") => Ok(Exclude::Group),
        Some(_) => Ok(Exclude::Ties),
        None => Err(cursor.error()),
    }
}

fn bound(cursor: &mut Cursor<'_>) -> Result<FrameBound> {
    if cursor.accept_all(&["unbounded", "preceding"]) {
        return Ok(FrameBound::First);
    }
    if cursor.accept_all(&["unbounded", "following"]) {
        return Ok(FrameBound::Last);
    }
    if cursor.accept_all(&["current", "row"]) {
        return Ok(FrameBound::Current);
    }
    let offset = Box::new(expression(cursor)?);
    match cursor.accept_one_of(&["preceding", "following"]) {
        Some("preceding") => Ok(FrameBound::Before(offset)),
        Some(_) => Ok(FrameBound::After(offset)),
        None => Err(cursor.error()),
    }
}
