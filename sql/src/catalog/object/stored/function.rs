//! The durable form of functions.
//!
//! ```text
//! FunctionRecord  parameters (name, mode, type, default)*, in order
//!                 returns, is_set, strict
//!                 volatility             0 immutable, 1 stable, 2 volatile
//!                 parallel               0 unsafe, 1 restricted, 2 safe
//!                 row_of                 the relation whose rows it returns
//!                 text                   of a body that is a string
//!                 query, is_return       of one that is kept as a view's query is
//! parameter mode  0 IN, 1 OUT, 2 INOUT, 3 a column of RETURNS TABLE
//! ```

use expr::functions::Volatility;
use prost::Message;

use super::super::{FunctionBody, FunctionDescriptor, Kinds, Parallel, Parameter, ParameterMode};
use super::view::{ViewRecord, view, view_record};

/// The volatilities by their numbers.
const VOLATILITIES: [Volatility; 3] = [Volatility::Immutable, Volatility::Stable, Volatility::Volatile];

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionRecord {
    #[prost(message, repeated, tag = "1")]
    parameters: Vec<ParameterRecord>,
    #[prost(uint32, tag = "2")]
    returns: u32,
    #[prost(bool, tag = "3")]
    is_set: bool,
    #[prost(bool, tag = "4")]
    strict: bool,
    #[prost(uint32, tag = "5")]
    volatility: u32,
    #[prost(uint32, tag = "6")]
    parallel: u32,
    #[prost(string, optional, tag = "7")]
    text: Option<String>,
    #[prost(message, optional, tag = "8")]
    query: Option<ViewRecord>,
    #[prost(bool, tag = "9")]
    is_return: bool,
    #[prost(uint32, optional, tag = "10")]
    row_of: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct ParameterRecord {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    mode: u32,
    #[prost(uint32, tag = "3")]
    type_oid: u32,
    #[prost(string, optional, tag = "4")]
    default: Option<String>,
}

/// The place of something in a list of all of its kind.
fn place<T: PartialEq>(all: impl IntoIterator<Item = T>, own: &T) -> u32 {
    (0..).zip(all).find(|(_, other)| other == own).map_or(0, |(place, _)| place)
}

/// What stands at a place.
fn at<T>(all: impl IntoIterator<Item = T>, place: u32) -> Option<T> {
    all.into_iter().nth(usize::try_from(place).ok()?)
}

pub(super) fn record(own: &FunctionDescriptor) -> FunctionRecord {
    let parameter = |own: &Parameter| ParameterRecord {
        name: own.name.clone(),
        mode: place(ParameterMode::ALL.map(|(mode, _)| mode), &own.mode),
        type_oid: own.ty.oid(),
        default: own.default.clone(),
    };
    let (text, query, is_return) = match &own.body {
        FunctionBody::Text(text) => (Some(text.clone()), None, false),
        FunctionBody::Query { query, is_return } => (None, Some(view_record(query)), *is_return),
    };
    FunctionRecord {
        parameters: own.parameters.iter().map(parameter).collect(),
        returns: own.returns.oid(),
        row_of: own.row_of,
        is_set: own.is_set,
        strict: own.strict,
        volatility: place(VOLATILITIES, &own.volatility),
        parallel: place(Parallel::ALL.map(|(own, ..)| own), &own.parallel),
        text,
        query,
        is_return,
    }
}

/// `None`: a type is unknown, or it has not one body.
pub(super) fn descriptor(record: FunctionRecord, kinds: &Kinds) -> Option<FunctionDescriptor> {
    let parameter = |record: ParameterRecord| {
        Some(Parameter {
            name: record.name,
            mode: at(ParameterMode::ALL.map(|(mode, _)| mode), record.mode)?,
            ty: kinds.find(record.type_oid)?,
            default: record.default,
        })
    };
    let body = match (record.text, record.query) {
        (Some(text), None) => FunctionBody::Text(text),
        (None, Some(query)) => {
            FunctionBody::Query { query: Box::new(view(query, kinds)?), is_return: record.is_return }
        }
        _ => return None,
    };
    Some(FunctionDescriptor {
        parameters: record.parameters.into_iter().map(parameter).collect::<Option<_>>()?,
        returns: kinds.find(record.returns)?,
        row_of: record.row_of,
        is_set: record.is_set,
        volatility: at(VOLATILITIES, record.volatility)?,
        strict: record.strict,
        parallel: at(Parallel::ALL.map(|(own, ..)| own), record.parallel)?,
        body,
    })
}
