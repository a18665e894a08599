//! JSON documents as values: what `jsonb` holds. How they are read, written and compared, says [`crate::json`].
//!
//! An object's keys are distinct, the last of equal ones having won, and stand by length and then by their bytes, as
//! PostgreSQL keeps them. Numbers are numerics: they keep the zeros at their end and nothing else of how they were
//! written.

use std::cmp::Ordering;

use super::Numeric;
use crate::error::{Error, Result};

/// How deep documents nest at most.
pub(crate) const DEPTH_MAX: usize = 1000;

/// A document, or a part of one.
///
/// # Invariants
/// - Numbers are finite. The members of an object stand by [`key_order`], no two of them with one key.
/// - It nests at most [`DEPTH_MAX`] deep.
#[derive(Debug, Clone)]
pub enum Json {
    /// null
    Null,
    /// true, false
    Bool(bool),
    /// A number.
    Number(Numeric),
    /// A string.
    String(Box<str>),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(Box<str>, Json)>),
}

/// The order of an object's keys.
pub(crate) fn key_order(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

pub(crate) fn too_deep() -> Error {
    Error::new("54001", "stack depth limit exceeded")
        .with_detail(format!("A JSON document nests at most {DEPTH_MAX} deep."))
}

impl Json {
    /// An object of members in any order, of which the last of equal keys wins.
    pub fn object(mut members: Vec<(Box<str>, Json)>) -> Self {
        // Stable, so that of equal keys the last one stands last.
        members.sort_by(|(left, _), (right, _)| key_order(left, right));
        let mut kept: Vec<(Box<str>, Json)> = Vec::with_capacity(members.len());
        for member in members {
            match kept.last_mut() {
                Some(last) if last.0 == member.0 => *last = member,
                _ => kept.push(member),
            }
        }
        Json::Object(kept)
    }

    /// `jsonb_typeof`
    pub fn type_name(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "boolean",
            Json::Number(_) => "number",
            Json::String(_) => "string",
            Json::Array(_) => "array",
            Json::Object(_) => "object",
        }
    }

    /// The value of an object's key.
    pub fn field(&self, key: &str) -> Option<&Json> {
        let Json::Object(members) = self else { return None };
        let at = members.binary_search_by(|(known, _)| key_order(known, key)).ok()?;
        members.get(at).map(|(_, value)| value)
    }

    /// The element of an array; negative numbers count from its end.
    pub fn element(&self, index: i64) -> Option<&Json> {
        let Json::Array(items) = self else { return None };
        place(index, items.len()).and_then(|at| items.get(at))
    }

    /// The part that a step of a path leads to: a key, or the number of an element.
    pub fn step(&self, step: &str) -> Option<&Json> {
        match self {
            Json::Object(_) => self.field(step),
            Json::Array(_) => step.trim_start().parse::<i64>().ok().and_then(|index| self.element(index)),
            _ => None,
        }
    }

    /// Whether a key, or an element that is this string, stands at the top.
    pub fn has(&self, key: &str) -> bool {
        let is = |value: &Json| matches!(value, Json::String(text) if &**text == key);
        match self {
            Json::Object(_) => self.field(key).is_some(),
            Json::Array(items) => items.iter().any(is),
            other => is(other),
        }
    }

    /// About how many bytes its text takes, without escapes and line breaks.
    pub(crate) fn text_bytes(&self) -> usize {
        let add = |sum: usize, bytes: usize| sum.saturating_add(bytes).saturating_add(4);
        match self {
            Json::Null | Json::Bool(_) => 5,
            Json::Number(number) => super::number_bytes(number),
            Json::String(text) => text.len() + 2,
            Json::Array(items) => items.iter().fold(2, |sum, item| add(sum, item.text_bytes())),
            Json::Object(members) => {
                members.iter().fold(2, |sum, (key, value)| add(sum, key.len() + value.text_bytes()))
            }
        }
    }

    /// About how many bytes of memory it holds.
    pub fn size_bytes(&self) -> usize {
        let below = match self {
            Json::Null | Json::Bool(_) => 0,
            Json::Number(number) => 48 + (number.bits() / 8) as usize,
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(Json::size_bytes).sum(),
            Json::Object(members) => {
                members.iter().map(|(key, value)| key.len() + 16 + value.size_bytes()).sum()
            }
        };
        size_of::<Json>() + below
    }

    /// How deep it nests.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Json::Array(items) => 1 + items.iter().map(Json::depth).max().unwrap_or(0),
            Json::Object(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// The document. 54001 if it nests too deep.
    pub(crate) fn checked(self) -> Result<Self> {
        if self.depth() <= DEPTH_MAX { Ok(self) } else { Err(too_deep()) }
    }
}

/// Where an index leads that counts from the end if it is negative.
pub(crate) fn place(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if index < 0 { index.checked_add(length)? } else { index };
    usize::try_from(at).ok().filter(|_| at < length)
}
