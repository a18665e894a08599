//! parse_ident: the parts of a qualified name.

use super::arguments::text;
use crate::datum::Datum;
use crate::error::{Error, Result};

/// parse_ident(name [, strict])
pub(super) fn parse_ident(args: &[Datum]) -> Result<Datum> {
    let whole = text(args.first().unwrap_or(&Datum::Null))?;
    let is_strict = args.get(1).is_none_or(Datum::is_true);
    let invalid = || Error::new("22023", format!("string is not a valid identifier: \"{whole}\""));
    let mut rest = trimmed(whole);
    let mut parts = Vec::new();
    let mut is_after_dot = false;
    loop {
        let part = if let Some(quoted) = rest.strip_prefix('"') {
            let (part, behind) = quoted_part(quoted)
                .ok_or_else(|| invalid().with_detail("String has unclosed double quotes."))?;
            if part.is_empty() {
                return Err(invalid().with_detail("Quoted identifier must not be empty."));
            }
            rest = behind;
            part
        } else {
            let begins = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
            if !rest.starts_with(begins) {
                let error = invalid();
                return Err(match (rest.starts_with('.'), is_after_dot) {
                    (true, _) => error.with_detail("No valid identifier before \".\"."),
                    (false, true) => error.with_detail("No valid identifier after \".\"."),
                    (false, false) => error,
                });
            }
            let goes_on = |c: char| begins(c) || c.is_ascii_digit() || c == '$';
            let length = rest.find(|c| !goes_on(c)).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(length);
            rest = behind;
            part.to_ascii_lowercase()
        };
        parts.push(Datum::from(part));
        rest = trimmed(rest);
        match rest.strip_prefix('.') {
            Some(behind) => {
                is_after_dot = true;
                rest = trimmed(behind);
            }
            None if rest.is_empty() || !is_strict => return Ok(Datum::Array(parts.into_iter().collect())),
            None => return Err(invalid()),
        }
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c'])
}

/// What stands before the closing quote, and what stands behind it.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once('"')?;
        part.push_str(before);
        match behind.strip_prefix('"') {
            Some(behind) => {
                part.push('"');
                rest = behind;
            }
            None => return Some((part, behind)),
        }
    }
}
