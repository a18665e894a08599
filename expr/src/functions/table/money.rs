//! Money. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::money;
use super::function;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{One, Ordered, Two};
use crate::functions::Function;
use crate::types::kinds::{Bool, Float4, Float8, Int2, Int4, Int8, Money, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    function(846, "cash_mul_flt4", &[Money, Float4], Money, Two(money::times_float)),
    function(847, "cash_div_flt4", &[Money, Float4], Money, Two(money::divided_by_float)),
    function(848, "flt4_mul_cash", &[Float4, Money], Money, Two(money::float_times)),
    function(862, "int4_mul_cash", &[Int4, Money], Money, Two(money::times_integer)),
    function(863, "int2_mul_cash", &[Int2, Money], Money, Two(money::times_integer)),
    function(864, "cash_mul_int4", &[Money, Int4], Money, Two(money::times_integer)),
    function(865, "cash_div_int4", &[Money, Int4], Money, Two(money::divided_by_integer)),
    function(866, "cash_mul_int2", &[Money, Int2], Money, Two(money::times_integer)),
    function(867, "cash_div_int2", &[Money, Int2], Money, Two(money::divided_by_integer)),
    function(888, "cash_eq", &[Money, Money], Bool, Ordered(Equal)),
    function(889, "cash_ne", &[Money, Money], Bool, Ordered(NotEqual)),
    function(890, "cash_lt", &[Money, Money], Bool, Ordered(Less)),
    function(891, "cash_le", &[Money, Money], Bool, Ordered(LessOrEqual)),
    function(892, "cash_gt", &[Money, Money], Bool, Ordered(Greater)),
    function(893, "cash_ge", &[Money, Money], Bool, Ordered(GreaterOrEqual)),
    function(894, "cash_pl", &[Money, Money], Money, Two(money::plus)),
    function(895, "cash_mi", &[Money, Money], Money, Two(money::minus)),
    function(896, "cash_mul_flt8", &[Money, Float8], Money, Two(money::times_float)),
    function(897, "cash_div_flt8", &[Money, Float8], Money, Two(money::divided_by_float)),
    function(919, "flt8_mul_cash", &[Float8, Money], Money, Two(money::float_times)),
    function(935, "cash_words", &[Money], Text, One(money::in_words)),
    function(3344, "cash_mul_int8", &[Money, Int8], Money, Two(money::times_integer)),
    function(3345, "cash_div_int8", &[Money, Int8], Money, Two(money::divided_by_integer)),
    function(3399, "int8_mul_cash", &[Int8, Money], Money, Two(money::times_integer)),
    function(3822, "cash_div_cash", &[Money, Money], Float8, Two(money::ratio)),
];
