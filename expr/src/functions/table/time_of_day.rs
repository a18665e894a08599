//! Times of day. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::time_of_day;
use super::function;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Many, Ordered, Two};
use crate::functions::Function;
use crate::types::kinds::{Bool, Date, Float8, Int4, Interval, Numeric, Text, Time, Timestamp};

pub(super) const FUNCTIONS: &[Function] = &[
    function(1102, "time_lt", &[Time, Time], Bool, Ordered(Less)),
    function(1103, "time_le", &[Time, Time], Bool, Ordered(LessOrEqual)),
    function(1104, "time_gt", &[Time, Time], Bool, Ordered(Greater)),
    function(1105, "time_ge", &[Time, Time], Bool, Ordered(GreaterOrEqual)),
    function(1106, "time_ne", &[Time, Time], Bool, Ordered(NotEqual)),
    function(1145, "time_eq", &[Time, Time], Bool, Ordered(Equal)),
    function(1272, "datetime_pl", &[Date, Time], Timestamp, Two(time_of_day::at_date)),
    function(1296, "timedate_pl", &[Time, Date], Timestamp, Two(time_of_day::of_date)),
    function(1385, "date_part", &[Text, Time], Float8, Two(time_of_day::part)),
    function(1690, "time_mi_time", &[Time, Time], Interval, Two(time_of_day::between)),
    function(1747, "time_pl_interval", &[Time, Interval], Time, Two(time_of_day::plus)),
    function(1748, "time_mi_interval", &[Time, Interval], Time, Two(time_of_day::minus)),
    function(1848, "interval_pl_time", &[Interval, Time], Time, Two(time_of_day::plus_to)),
    function(3847, "make_time", &[Int4, Int4, Float8], Time, Many(time_of_day::make)),
    function(6200, "extract", &[Text, Time], Numeric, Two(time_of_day::extract)),
];
