//! `f(a, VARIADIC array)`: functions of any number of arguments that are given the last of them in an array. Each stands beside
//! the one that it calls, with an OID of our own.

use super::arguments::mismatch;
use super::multirange::check_list;
use super::{Body, Function, FunctionId, FunctionKind};
use crate::datum::Datum;
use crate::error::Result;
use crate::session::SessionContext;
use crate::types::kinds::{
    Any, Datemultirange, DaterangeArray, Int4, Int4Multirange, Int4RangeArray, Int8Multirange,
    Int8RangeArray, Json, Jsonb, Nummultirange, NumrangeArray, Text, TextArray, Tsmultirange, TsrangeArray,
    Tstzmultirange, TstzrangeArray,
};
use crate::types::{Type, TypeKind};
use crate::volatility::Volatility::{self, Immutable, Stable};
use crate::work;

static SPREADERS: [Function; 19] = [
    spreader::<438>(9010, "num_nulls", &[Any], Int4, Immutable),
    spreader::<440>(9011, "num_nonnulls", &[Any], Int4, Immutable),
    spreader::<3058>(9012, "concat", &[Any], Text, Stable),
    spreader::<3059>(9013, "concat_ws", &[Text, Any], Text, Stable),
    spreader::<3539>(9014, "format", &[Text, Any], Text, Stable),
    spreader::<3198>(9015, "json_build_array", &[Any], Json, Stable),
    spreader::<3200>(9016, "json_build_object", &[Any], Json, Stable),
    spreader::<3271>(9017, "jsonb_build_array", &[Any], Jsonb, Stable),
    spreader::<3273>(9018, "jsonb_build_object", &[Any], Jsonb, Stable),
    spreader::<3951>(9019, "json_extract_path", &[Json, TextArray], Json, Immutable),
    spreader::<3953>(9020, "json_extract_path_text", &[Json, TextArray], Text, Immutable),
    spreader::<3217>(9021, "jsonb_extract_path", &[Jsonb, TextArray], Jsonb, Immutable),
    spreader::<3940>(9022, "jsonb_extract_path_text", &[Jsonb, TextArray], Text, Immutable),
    spreader::<4282>(9023, "int4multirange", &[Int4RangeArray], Int4Multirange, Immutable),
    spreader::<4285>(9024, "nummultirange", &[NumrangeArray], Nummultirange, Immutable),
    spreader::<4288>(9025, "tsmultirange", &[TsrangeArray], Tsmultirange, Immutable),
    spreader::<4291>(9026, "tstzmultirange", &[TstzrangeArray], Tstzmultirange, Immutable),
    spreader::<4294>(9027, "datemultirange", &[DaterangeArray], Datemultirange, Immutable),
    spreader::<4297>(9028, "int8multirange", &[Int8RangeArray], Int8Multirange, Immutable),
];

const fn spreader<const OID: u32>(
    oid: u32,
    name: &'static str,
    args: &'static [TypeKind],
    result: TypeKind,
    volatility: Volatility,
) -> Function {
    Function {
        oid,
        name,
        args,
        defaults: 0,
        variadic: false,
        result,
        output: None,
        columns: &[],
        kind: FunctionKind::Scalar,
        volatility,
        strict: false,
        extension: None,
        body: Body::Typed(spread::<OID>),
    }
}

/// The function of this OID, called with the elements of the last argument.
fn spread<const OID: u32>(args: &[Datum], types: &[Type], session: &SessionContext) -> Result<Datum> {
    let function = FunctionId::from_oid(OID).ok_or_else(mismatch)?;
    let (last, first) = args.split_last().ok_or_else(mismatch)?;
    let (array, before) = types.split_last().ok_or_else(mismatch)?;
    if let (Datum::Array(ranges), Some(_)) = (last, function.result.ranges()) {
        check_list(ranges)?;
    }
    let items: &[Datum] = match last {
        Datum::Array(items) => items,
        // A format with nothing to be put in.
        Datum::Null if function.name == "format" => &[],
        Datum::Null => return Ok(Datum::Null),
        _ => return Err(mismatch()),
    };
    work::spend(items.len().saturating_mul(size_of::<Datum>()))?;
    let element = Type::plain(array.kind.base().element().unwrap_or(TypeKind::Text));
    let values: Vec<Datum> = first.iter().chain(items).cloned().collect();
    let types: Vec<Type> = before.iter().copied().chain(items.iter().map(|_| element)).collect();
    function.call(&values, &types, session)
}

/// The function of this name that is given the last arguments in an array.
pub fn by_name(name: &str) -> Option<FunctionId> {
    SPREADERS.iter().find(|function| function.name == name).map(FunctionId)
}

/// Whether a function is one of these.
pub fn is_spread(function: FunctionId) -> bool {
    by_name(function.name) == Some(function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datum::array::{Array, Dimension};
    use crate::functions;

    #[test]
    fn multiranges_are_made_of_lists_of_ranges_alone() {
        let session = SessionContext::default();
        let range = crate::codec::input("[1,2)", TypeKind::Int4Range.into(), &session).unwrap();
        let made = |ranges: Array| {
            let types = [Type::plain(TypeKind::Int4RangeArray)];
            by_name("int4multirange").unwrap().call(&[Datum::Array(ranges)], &types, &session)
        };
        assert!(!made(vec![range.clone()].into()).unwrap().is_null());
        assert_eq!(made(vec![Datum::Null].into()).unwrap_err().sqlstate, "22004");
        let shape = [Dimension { length: 1, lower: 1 }, Dimension { length: 1, lower: 1 }];
        let nested = Array::shaped(vec![range], &shape).unwrap();
        assert_eq!(made(nested).unwrap_err().sqlstate, "21000");
    }

    #[test]
    fn each_function_of_any_number_has_one() {
        for function in functions::all() {
            // Those of aggregates take no array; the last is not for people.
            let is_called = function.variadic && function.kind == FunctionKind::Scalar;
            if !is_called || function.name == "tablesample_keeps" {
                continue;
            }
            let spread = by_name(function.name).unwrap();
            assert_eq!(spread.result, function.result);
            assert_eq!(spread.volatility, function.volatility);
            assert_eq!(spread.args.len(), function.args.len());
            assert!(FunctionId::from_oid(spread.oid()).is_none());
            assert!(is_spread(spread) && !is_spread(function));
        }
    }
}
