//! Functions and operators of `jsonpath`.

use std::cell::RefCell;
use std::sync::Arc;

use super::arguments::{boolean, json, mismatch, text};
use crate::datum::Datum;
use crate::datum::json::Json;
use crate::error::{Error, Result};
use crate::json::path::Path;
use crate::json::path::parse::parse;
use crate::json::path::run::{exists, find};
use crate::work;

thread_local! {
    /// The path that was read last: mostly it is the same for all rows.
    static LAST: RefCell<Option<(String, Arc<Path>)>> = const { RefCell::new(None) };
}

fn path(value: &Datum) -> Result<Arc<Path>> {
    let text = text(value)?;
    LAST.with_borrow_mut(|last| match last {
        Some((known, path)) if known == text => Ok(path.clone()),
        _ => {
            let path = Arc::new(parse(text)?);
            *last = Some((text.to_owned(), path.clone()));
            Ok(path)
        }
    })
}

/// The document, the path, the variables, and whether a document that does not fit is no error.
fn called(args: &[Datum]) -> Result<(&Json, Arc<Path>, &Json, bool)> {
    let [document, along, rest @ ..] = args else { return Err(mismatch()) };
    let variables = rest.first().map(json).transpose()?.unwrap_or(NO_VARIABLES);
    let silent = rest.get(1).map(boolean).transpose()?.unwrap_or(false);
    if !matches!(variables, Json::Object(_)) {
        return Err(Error::new("22023", "\"vars\" argument is not an object")
            .with_detail("Jsonpath parameters should be encoded as key-value pairs of \"vars\" object."));
    }
    Ok((json(document)?, path(along)?, variables, silent))
}

const NO_VARIABLES: &Json = &Json::Object(Vec::new());

/// `jsonb_path_exists`
pub(super) fn path_exists(args: &[Datum]) -> Result<Datum> {
    let (document, path, variables, silent) = called(args)?;
    Ok(exists(&path, document, variables, silent)?.map_or(Datum::Null, Datum::Bool))
}

/// `@?`
pub(super) fn path_exists_operator(document: &Datum, along: &Datum) -> Result<Datum> {
    Ok(exists(&*path(along)?, json(document)?, NO_VARIABLES, true)?.map_or(Datum::Null, Datum::Bool))
}

fn matched(document: &Json, path: &Path, variables: &Json, silent: bool) -> Result<Datum> {
    let Some(found) = find(path, document, variables, silent)? else { return Ok(Datum::Null) };
    if let [one] = found.as_slice() {
        match **one {
            Json::Bool(value) => return Ok(Datum::Bool(value)),
            Json::Null => return Ok(Datum::Null),
            _ => {}
        }
    }
    if silent { Ok(Datum::Null) } else { Err(Error::new("22038", "single boolean result is expected")) }
}

/// `jsonb_path_match`
pub(super) fn path_match(args: &[Datum]) -> Result<Datum> {
    let (document, path, variables, silent) = called(args)?;
    matched(document, &path, variables, silent)
}

/// `@@`
pub(super) fn path_match_operator(document: &Datum, along: &Datum) -> Result<Datum> {
    matched(json(document)?, &*path(along)?, NO_VARIABLES, true)
}

/// `jsonb_path_query`
pub(super) fn path_query(args: &[Datum]) -> Result<Vec<Datum>> {
    let (document, path, variables, silent) = called(args)?;
    let found = find(&path, document, variables, silent)?.unwrap_or_default();
    work::items(found.into_iter().map(|part| Datum::json(part.into_owned())))
}

/// `jsonb_path_query_array`
pub(super) fn path_query_array(args: &[Datum]) -> Result<Datum> {
    let (document, path, variables, silent) = called(args)?;
    let found = find(&path, document, variables, silent)?.unwrap_or_default();
    Json::Array(found.into_iter().map(std::borrow::Cow::into_owned).collect()).checked().map(Datum::json)
}

/// `jsonb_path_query_first`
pub(super) fn path_query_first(args: &[Datum]) -> Result<Datum> {
    let (document, path, variables, silent) = called(args)?;
    let found = find(&path, document, variables, silent)?.unwrap_or_default();
    Ok(found.into_iter().next().map_or(Datum::Null, |part| Datum::json(part.into_owned())))
}
