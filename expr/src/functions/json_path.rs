//! Functions and operators of `jsonpath`. Those whose names end in `_tz` compare dates and times with and without zones, in the
//! session's.

use std::cell::RefCell;
use std::sync::Arc;

use super::arguments::{boolean, json, mismatch, text};
use super::json_moment::Zone;
use crate::datum::Datum;
use crate::datum::json::Json;
use crate::error::{Error, Result};
use crate::json::path::Path;
use crate::json::path::parse::parse;
use crate::json::path::run::{exists, find};
use crate::json::path::value::Value;
use crate::session::SessionContext;
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

/// What a function is called with.
struct Called<'c> {
    document: &'c Json,
    path: Arc<Path>,
    variables: &'c Json,
    /// Whether a document that does not fit is no error.
    silent: bool,
    zone: Zone<'c>,
}

const NO_VARIABLES: &Json = &Json::Object(Vec::new());

impl<'c> Called<'c> {
    fn new(args: &'c [Datum], zone: Zone<'c>) -> Result<Self> {
        let [document, along, rest @ ..] = args else { return Err(mismatch()) };
        let variables = rest.first().map(json).transpose()?.unwrap_or(NO_VARIABLES);
        let silent = rest.get(1).map(boolean).transpose()?.unwrap_or(false);
        if !matches!(variables, Json::Object(_)) {
            return Err(Error::new("22023", "\"vars\" argument is not an object").with_detail(
                "Jsonpath parameters should be encoded as key-value pairs of \"vars\" object.",
            ));
        }
        Ok(Self { document: json(document)?, path: path(along)?, variables, silent, zone })
    }

    fn of_operator(document: &'c Datum, along: &Datum) -> Result<Self> {
        let (document, path) = (json(document)?, path(along)?);
        Ok(Self { document, path, variables: NO_VARIABLES, silent: true, zone: Zone::None })
    }

    fn find(&self) -> Result<Option<Vec<Value<'_>>>> {
        find(&self.path, self.document, self.variables, &self.zone, self.silent)
    }

    fn exists(&self) -> Result<Datum> {
        let found = exists(&self.path, self.document, self.variables, &self.zone, self.silent)?;
        Ok(found.map_or(Datum::Null, Datum::Bool))
    }

    fn matched(&self) -> Result<Datum> {
        let Some(found) = self.find()? else { return Ok(Datum::Null) };
        if let [one] = found.as_slice() {
            match **one {
                Json::Bool(value) => return Ok(Datum::Bool(value)),
                Json::Null => return Ok(Datum::Null),
                _ => {}
            }
        }
        match self.silent {
            true => Ok(Datum::Null),
            false => Err(Error::new("22038", "single boolean result is expected")),
        }
    }

    fn rows(&self) -> Result<Vec<Datum>> {
        let found = self.find()?.unwrap_or_default();
        work::items(found.into_iter().map(|part| Datum::json(part.into_json())))
    }

    fn array(&self) -> Result<Datum> {
        let found = self.find()?.unwrap_or_default();
        Json::Array(found.into_iter().map(Value::into_json).collect()).checked().map(Datum::json)
    }

    fn first(&self) -> Result<Datum> {
        let found = self.find()?.unwrap_or_default();
        Ok(found.into_iter().next().map_or(Datum::Null, |part| Datum::json(part.into_json())))
    }
}

/// `jsonb_path_exists`
pub(super) fn path_exists(args: &[Datum]) -> Result<Datum> {
    Called::new(args, Zone::None)?.exists()
}

pub(super) fn path_exists_tz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    Called::new(args, Zone::Of(session))?.exists()
}

/// `@?`
pub(super) fn path_exists_operator(document: &Datum, along: &Datum) -> Result<Datum> {
    Called::of_operator(document, along)?.exists()
}

/// `jsonb_path_match`
pub(super) fn path_match(args: &[Datum]) -> Result<Datum> {
    Called::new(args, Zone::None)?.matched()
}

pub(super) fn path_match_tz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    Called::new(args, Zone::Of(session))?.matched()
}

/// `@@`
pub(super) fn path_match_operator(document: &Datum, along: &Datum) -> Result<Datum> {
    Called::of_operator(document, along)?.matched()
}

/// `jsonb_path_query`
pub(super) fn path_query(args: &[Datum]) -> Result<Vec<Datum>> {
    Called::new(args, Zone::None)?.rows()
}

pub(super) fn path_query_tz(args: &[Datum], session: &SessionContext) -> Result<Vec<Datum>> {
    Called::new(args, Zone::Of(session))?.rows()
}

/// `jsonb_path_query_array`
pub(super) fn path_query_array(args: &[Datum]) -> Result<Datum> {
    Called::new(args, Zone::None)?.array()
}

pub(super) fn path_query_array_tz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    Called::new(args, Zone::Of(session))?.array()
}

/// `jsonb_path_query_first`
pub(super) fn path_query_first(args: &[Datum]) -> Result<Datum> {
    Called::new(args, Zone::None)?.first()
}

pub(super) fn path_query_first_tz(args: &[Datum], session: &SessionContext) -> Result<Datum> {
    Called::new(args, Zone::Of(session))?.first()
}
