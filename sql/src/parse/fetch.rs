//! Cursors: DECLARE, FETCH, MOVE, CLOSE.

use std::sync::Arc;

use super::ast::{Body, CursorOptions, Declare, Fetch, Motion, Statement};
use super::cursor::Cursor;
use super::grammar;
use super::lexer::Kind;
use crate::error::{Error, Result};

/// After DECLARE.
pub(super) fn declare(cursor: &mut Cursor<'_>) -> Result<Body> {
    let at = cursor.at();
    let name = cursor.name()?.value;
    let mut options = CursorOptions::default();
    let mut asensitive = false;
    loop {
        let clash = if cursor.accept("binary") {
            options.binary = true;
            None
        } else if cursor.accept("insensitive") {
            options.insensitive = true;
            asensitive.then_some("cannot specify both ASENSITIVE and INSENSITIVE")
        } else if cursor.accept("asensitive") {
            asensitive = true;
            options.insensitive.then_some("cannot specify both ASENSITIVE and INSENSITIVE")
        } else if cursor.accept("scroll") {
            (options.scroll.replace(true) == Some(false))
                .then_some("cannot specify both SCROLL and NO SCROLL")
        } else if cursor.accept_all(&["no", "scroll"]) {
            (options.scroll.replace(false) == Some(true))
                .then_some("cannot specify both SCROLL and NO SCROLL")
        } else {
            break;
        };
        if let Some(message) = clash {
            return Err(Error::new("42P11", message));
        }
    }
    cursor.expect("cursor")?;
    if cursor.accept_all(&["with", "hold"]) {
        options.hold = true;
    } else {
        cursor.accept_all(&["without", "hold"]);
    }
    cursor.expect("for")?;
    let start = cursor.start();
    if !cursor.is("with") && matches!(cursor.keyword(), "insert" | "update" | "delete") {
        return Err(cursor.error());
    }
    let body = match grammar::preparable(cursor)? {
        Body::Query(query) => Body::Query(query),
        _ => {
            let message = "DECLARE CURSOR must not contain data-modifying statements in WITH";
            return Err(Error::new("0A000", message).at(at));
        }
    };
    let text = Arc::from(cursor.text_from(start));
    let query = Box::new(Statement { body, text });
    Ok(Body::Declare(Box::new(Declare { name, options, query })))
}

/// After FETCH.
pub(super) fn fetch(cursor: &mut Cursor<'_>) -> Result<Body> {
    moved(cursor, false)
}

/// After MOVE.
pub(super) fn move_(cursor: &mut Cursor<'_>) -> Result<Body> {
    moved(cursor, true)
}

fn moved(cursor: &mut Cursor<'_>, is_move: bool) -> Result<Body> {
    let motion = if is_name_alone(cursor) { Motion::Forward(Some(1)) } else { motion(cursor)? };
    if !cursor.accept("from") {
        cursor.accept("in");
    }
    let name = cursor.name()?.value;
    Ok(Body::Fetch(Fetch { name, motion, is_move }))
}

/// Whether what follows is the cursor's name and nothing else, though it may be a word of directions.
fn is_name_alone(cursor: &Cursor<'_>) -> bool {
    let next = cursor.peek_at(1);
    matches!(cursor.peek().kind, Kind::Word | Kind::Quoted) && (next.kind == Kind::End || next.is_symbol(";"))
}

fn motion(cursor: &mut Cursor<'_>) -> Result<Motion> {
    if let Some(word) = cursor.accept_one_of(&["next", "prior", "first", "last", "all"]) {
        return Ok(match word {
            "next" => Motion::Forward(Some(1)),
            "prior" => Motion::Backward(Some(1)),
            "first" => Motion::Absolute(1),
            "last" => Motion::Absolute(-1),
            _ => Motion::Forward(None),
        });
    }
    if let Some(word) = cursor.accept_one_of(&["absolute", "relative"]) {
        let number = number(cursor)?;
        return Ok(if word == "absolute" { Motion::Absolute(number) } else { Motion::Relative(number) });
    }
    if let Some(word) = cursor.accept_one_of(&["forward", "backward"]) {
        let count = if cursor.accept("all") {
            None
        } else if is_number(cursor) {
            Some(number(cursor)?)
        } else {
            Some(1)
        };
        return Ok(if word == "forward" { Motion::Forward(count) } else { Motion::Backward(count) });
    }
    if is_number(cursor) {
        return Ok(Motion::Forward(Some(number(cursor)?)));
    }
    Ok(Motion::Forward(Some(1)))
}

fn is_number(cursor: &Cursor<'_>) -> bool {
    let token = cursor.peek();
    token.kind == Kind::Number || token.kind == Kind::Operator && matches!(token.text, "-" | "+")
}

/// A number with or without a sign.
fn number(cursor: &mut Cursor<'_>) -> Result<i64> {
    let mut negative = false;
    if cursor.peek().kind == Kind::Operator && matches!(cursor.peek().text, "-" | "+") {
        negative = cursor.advance().text == "-";
    }
    let token = *cursor.peek();
    let number = (token.kind == Kind::Number).then(|| token.text.parse::<i32>().ok()).flatten();
    let Some(number) = number else { return Err(cursor.error()) };
    cursor.advance();
    let number = i64::from(number);
    Ok(if negative { number.saturating_neg() } else { number })
}

/// After CLOSE.
pub(super) fn close(cursor: &mut Cursor<'_>) -> Result<Body> {
    if cursor.accept("all") {
        return Ok(Body::Close(None));
    }
    Ok(Body::Close(Some(cursor.name()?.value)))
}
