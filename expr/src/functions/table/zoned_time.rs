//! Times of day in a zone. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::zoned_time;
use super::function;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Ordered, Session, Two};
use crate::functions::Function;
use crate::types::kinds::{Bool, Date, Float8, Int4, Interval, Numeric, Text, Timestamptz, Timetz};

pub(super) const FUNCTIONS: &[Function] = &[
    function(1273, "date_part", &[Text, Timetz], Float8, Two(zoned_time::part)),
    function(1297, "datetimetz_pl", &[Date, Timetz], Timestamptz, Two(zoned_time::at_date)),
    function(1298, "timetzdate_pl", &[Timetz, Date], Timestamptz, Two(zoned_time::of_date)),
    function(1352, "timetz_eq", &[Timetz, Timetz], Bool, Ordered(Equal)),
    function(1353, "timetz_ne", &[Timetz, Timetz], Bool, Ordered(NotEqual)),
    function(1354, "timetz_lt", &[Timetz, Timetz], Bool, Ordered(Less)),
    function(1355, "timetz_le", &[Timetz, Timetz], Bool, Ordered(LessOrEqual)),
    function(1356, "timetz_ge", &[Timetz, Timetz], Bool, Ordered(GreaterOrEqual)),
    function(1357, "timetz_gt", &[Timetz, Timetz], Bool, Ordered(Greater)),
    function(1359, "timestamptz", &[Date, Timetz], Timestamptz, Two(zoned_time::at_date)),
    function(1749, "timetz_pl_interval", &[Timetz, Interval], Timetz, Two(zoned_time::plus)),
    function(1750, "timetz_mi_interval", &[Timetz, Interval], Timetz, Two(zoned_time::minus)),
    function(1969, "timetz", &[Timetz, Int4], Timetz, Two(zoned_time::rounded)),
    function(2037, "timezone", &[Text, Timetz], Timetz, Session(zoned_time::in_zone)).stable(),
    function(2038, "timezone", &[Interval, Timetz], Timetz, Two(zoned_time::at_offset)),
    function(2547, "interval_pl_timetz", &[Interval, Timetz], Timetz, Two(zoned_time::plus_to)),
    function(6201, "extract", &[Text, Timetz], Numeric, Two(zoned_time::extract)),
];
