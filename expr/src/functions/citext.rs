//! Functions of texts that are equal whatever their case: what looks for a text within another does so whatever its case, too.

use super::arguments::{exactly, integer, mismatch, text};
use super::{pattern, string};
use crate::citext;
use crate::datum::Datum;
use crate::error::Result;

/// Arguments of regular expressions: the texts as they are, and flags that ask for no case, unless they ask for it.
fn folded(args: &[Datum], plain: usize) -> Result<Vec<Datum>> {
    let (texts, flags) = args.split_at_checked(plain).ok_or_else(mismatch)?;
    let flags = match flags {
        [] => "i".to_owned(),
        [flags] if text(flags)?.contains('c') => text(flags)?.to_owned(),
        [flags] => format!("{}i", text(flags)?),
        _ => return Err(mismatch()),
    };
    let mut made = texts.iter().map(|value| Ok(Datum::text(text(value)?))).collect::<Result<Vec<_>>>()?;
    made.push(Datum::from(flags));
    Ok(made)
}

pub(super) fn regexp_match(args: &[Datum]) -> Result<Datum> {
    pattern::regexp_match(&folded(args, 2)?)
}

pub(super) fn regexp_matches(args: &[Datum]) -> Result<Vec<Datum>> {
    pattern::regexp_matches(&folded(args, 2)?)
}

pub(super) fn regexp_replace(args: &[Datum]) -> Result<Datum> {
    pattern::regexp_replace(&folded(args, 3)?)
}

pub(super) fn regexp_split_to_array(args: &[Datum]) -> Result<Datum> {
    pattern::regexp_split_to_array(&folded(args, 2)?)
}

pub(super) fn regexp_split_to_table(args: &[Datum]) -> Result<Vec<Datum>> {
    pattern::regexp_split_to_table(&folded(args, 2)?)
}

/// A text as a regular expression that matches it alone.
fn quoted(value: &Datum) -> Result<Datum> {
    let mut quoted = String::new();
    for c in text(value)?.chars() {
        // What is not ASCII has no other meaning.
        if c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    Ok(Datum::from(quoted))
}

pub(super) fn replace(args: &[Datum]) -> Result<Datum> {
    let [value, part, replacement] = exactly(args)?;
    let (value, replacement) = (Datum::text(text(value)?), Datum::text(text(replacement)?));
    pattern::regexp_replace(&[value, quoted(part)?, replacement, Datum::from("gi")])
}

/// NULL beyond the last part, and before the first.
pub(super) fn split_part(args: &[Datum]) -> Result<Datum> {
    let [value, delimiter, place] = exactly(args)?;
    let value = Datum::text(text(value)?);
    let parts = pattern::regexp_split_to_array(&[value, quoted(delimiter)?, Datum::from("i")])?;
    let (Datum::Array(parts), Ok(place)) = (parts, i32::try_from(integer(place)?)) else {
        return Err(mismatch());
    };
    Ok(parts.get_at(&[place]).cloned().unwrap_or(Datum::Null))
}

pub(super) fn strpos(value: &Datum, part: &Datum) -> Result<Datum> {
    string::position(&string::lower(value)?, &string::lower(part)?)
}

pub(super) fn translate(args: &[Datum]) -> Result<Datum> {
    let [value, from, to] = exactly(args)?;
    let once = string::translate(&[value.clone(), string::lower(from)?, to.clone()])?;
    string::translate(&[once, string::upper(from)?, to.clone()])
}

pub(super) fn compare(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(Datum::Int4(crate::compare::compare(left, right) as i32))
}

/// Of two that are equal the second.
pub(super) fn smaller(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(if crate::compare::compare(left, right).is_lt() { left } else { right }.clone())
}

/// Of two that are equal the second.
pub(super) fn larger(left: &Datum, right: &Datum) -> Result<Datum> {
    Ok(if crate::compare::compare(left, right).is_gt() { left } else { right }.clone())
}

pub(super) fn of_padded(value: &Datum) -> Result<Datum> {
    Ok(citext::of_text(text(value)?.trim_end_matches(' ')))
}

pub(super) fn of_bool(value: &Datum) -> Result<Datum> {
    match value {
        Datum::Bool(truth) => Ok(citext::of_text(if *truth { "true" } else { "false" })),
        _ => Err(mismatch()),
    }
}

pub(super) fn of_network(value: &Datum) -> Result<Datum> {
    let mut shown = String::new();
    crate::network::Network::of(value)?.write_cidr(&mut shown);
    Ok(citext::of_text(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Result<Datum>) -> String {
        match value.unwrap() {
            Datum::Null => "NULL".to_owned(),
            value => value.as_str().map_or_else(|| format!("{value:?}"), str::to_owned),
        }
    }

    #[test]
    fn texts_are_found_whatever_their_case() {
        let [value, part, to] = ["xABaab.A", "aB", "<>"].map(citext::of_text);
        assert_eq!(strpos(&value, &part).unwrap().as_i64(), Some(2));
        assert_eq!(shown(replace(&[value.clone(), part.clone(), to.clone()])), "x<>a<>.A");
        assert_eq!(shown(replace(&[value.clone(), citext::of_text(".a"), to])), "xABaab<>");
        let split = |place| shown(split_part(&[value.clone(), part.clone(), Datum::Int4(place)]));
        assert_eq!([split(1), split(2), split(3), split(4), split(0)], ["x", "a", ".A", "NULL", "NULL"]);
        assert_eq!(shown(translate(&[value.clone(), part.clone(), Datum::from("12")])), "x12112.1");
        assert_eq!(shown(regexp_replace(&[value.clone(), part.clone(), Datum::from("-")])), "x-aab.A");
        let minding = [value, part, Datum::from("-"), Datum::from("c")];
        assert_eq!(shown(regexp_replace(&minding)), "xABaab.A");
    }
}
