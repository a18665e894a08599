//! Which functions there are, by subject; the rows are PostgreSQL 15's and the tests hold them against it.

mod aggregate;
mod array;
mod bit_string;
mod citext;
mod comparison;
mod enumerated;
mod extension;
mod extent;
mod hash;
mod json;
mod lsn;
mod money;
mod multirange;
mod network;
mod number;
mod ordered_set;
mod sent;
mod set;
mod statistics;
mod string;
mod system;
mod time;
mod time_of_day;
mod vector;
mod window;
mod xid;
mod zoned_time;

use super::{Body, Function, FunctionKind, Volatility};
use crate::types::TypeKind;

/// All tables.
pub(super) const TABLES: &[&[Function]] = &[
    aggregate::FUNCTIONS,
    array::FUNCTIONS,
    bit_string::FUNCTIONS,
    citext::FUNCTIONS,
    comparison::FUNCTIONS,
    enumerated::FUNCTIONS,
    extension::FUNCTIONS,
    extent::FUNCTIONS,
    hash::FUNCTIONS,
    hash::COMPOSED,
    json::FUNCTIONS,
    lsn::FUNCTIONS,
    money::FUNCTIONS,
    multirange::FUNCTIONS,
    network::FUNCTIONS,
    number::FUNCTIONS,
    ordered_set::FUNCTIONS,
    sent::FUNCTIONS,
    set::FUNCTIONS,
    statistics::FUNCTIONS,
    string::FUNCTIONS,
    system::FUNCTIONS,
    time::FUNCTIONS,
    time_of_day::FUNCTIONS,
    vector::FUNCTIONS,
    window::FUNCTIONS,
    xid::FUNCTIONS,
    zoned_time::FUNCTIONS,
];

/// An immutable, strict function.
const fn function(
    oid: u32,
    name: &'static str,
    args: &'static [TypeKind],
    result: TypeKind,
    body: Body,
) -> Function {
    let (kind, strict) = match body {
        Body::Aggregate(_) | Body::OrderedSet(_) => (FunctionKind::Aggregate, false),
        Body::Set | Body::Rows(_) | Body::SessionRows(_) | Body::Table(_) => (FunctionKind::Set, true),
        Body::Window(_) => (FunctionKind::Window, false),
        _ => (FunctionKind::Scalar, true),
    };
    let volatility = Volatility::Immutable;
    Function {
        oid,
        name,
        args,
        defaults: 0,
        variadic: false,
        result,
        output: None,
        columns: &[],
        kind,
        volatility,
        strict,
        extension: None,
        body,
    }
}

impl Function {
    const fn stable(mut self) -> Self {
        self.volatility = Volatility::Stable;
        self
    }

    const fn volatile(mut self) -> Self {
        self.volatility = Volatility::Volatile;
        self
    }

    /// It is called with NULLs.
    const fn lenient(mut self) -> Self {
        self.strict = false;
        self
    }

    /// The name of its only output.
    const fn naming(mut self, output: &'static str) -> Self {
        self.output = Some(output);
        self
    }

    /// It returns rows of these columns.
    const fn returning(mut self, columns: &'static [(&'static str, TypeKind)]) -> Self {
        self.kind = FunctionKind::Set;
        self.columns = columns;
        self
    }

    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    /// It comes with an extension.
    const fn of_extension(mut self, extension: &'static str) -> Self {
        self.extension = Some(extension);
        self
    }

    const fn with_defaults(mut self, defaults: usize) -> Self {
        self.defaults = defaults;
        self
    }
}
