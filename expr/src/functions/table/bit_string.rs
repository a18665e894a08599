//! Strings of bits. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::bit_string;
use super::function;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Many, One, Ordered, Two};
use crate::functions::Function;
use crate::types::kinds::{Bit, Bool, Int4, Int8, Varbit};

pub(super) const FUNCTIONS: &[Function] = &[
    function(1581, "biteq", &[Bit, Bit], Bool, Ordered(Equal)),
    function(1582, "bitne", &[Bit, Bit], Bool, Ordered(NotEqual)),
    function(1592, "bitge", &[Bit, Bit], Bool, Ordered(GreaterOrEqual)),
    function(1593, "bitgt", &[Bit, Bit], Bool, Ordered(Greater)),
    function(1594, "bitle", &[Bit, Bit], Bool, Ordered(LessOrEqual)),
    function(1595, "bitlt", &[Bit, Bit], Bool, Ordered(Less)),
    function(1666, "varbiteq", &[Varbit, Varbit], Bool, Ordered(Equal)),
    function(1667, "varbitne", &[Varbit, Varbit], Bool, Ordered(NotEqual)),
    function(1668, "varbitge", &[Varbit, Varbit], Bool, Ordered(GreaterOrEqual)),
    function(1669, "varbitgt", &[Varbit, Varbit], Bool, Ordered(Greater)),
    function(1670, "varbitle", &[Varbit, Varbit], Bool, Ordered(LessOrEqual)),
    function(1671, "varbitlt", &[Varbit, Varbit], Bool, Ordered(Less)),
    function(1673, "bitand", &[Bit, Bit], Bit, Two(bit_string::and)),
    function(1674, "bitor", &[Bit, Bit], Bit, Two(bit_string::or)),
    function(1675, "bitxor", &[Bit, Bit], Bit, Two(bit_string::xor)),
    function(1676, "bitnot", &[Bit], Bit, One(bit_string::not)),
    function(1677, "bitshiftleft", &[Bit, Int4], Bit, Two(bit_string::shift_left)),
    function(1678, "bitshiftright", &[Bit, Int4], Bit, Two(bit_string::shift_right)),
    function(1679, "bitcat", &[Varbit, Varbit], Varbit, Two(bit_string::concatenate)),
    function(1680, "substring", &[Bit, Int4, Int4], Bit, Many(bit_string::substring)),
    function(1681, "length", &[Bit], Int4, One(bit_string::bit_length)),
    function(1682, "octet_length", &[Bit], Int4, One(bit_string::octet_length)),
    function(1683, "bit", &[Int4, Int4], Bit, Two(bit_string::of_integer)),
    function(1685, "bit", &[Bit, Int4, Bool], Bit, Many(bit_string::fit_bit)),
    function(1687, "varbit", &[Varbit, Int4, Bool], Varbit, Many(bit_string::fit_varbit)),
    function(1698, "position", &[Bit, Bit], Int4, Two(bit_string::position)),
    function(1699, "substring", &[Bit, Int4], Bit, Many(bit_string::substring)),
    function(1812, "bit_length", &[Bit], Int4, One(bit_string::bit_length)),
    function(2075, "bit", &[Int8, Int4], Bit, Two(bit_string::of_integer)),
    function(3030, "overlay", &[Bit, Bit, Int4, Int4], Bit, Many(bit_string::overlay)),
    function(3031, "overlay", &[Bit, Bit, Int4], Bit, Many(bit_string::overlay)),
    function(3032, "get_bit", &[Bit, Int4], Int4, Two(bit_string::get_bit)),
    function(3033, "set_bit", &[Bit, Int4, Int4], Bit, Many(bit_string::set_bit)),
    function(6162, "bit_count", &[Bit], Int8, One(bit_string::ones)),
];
