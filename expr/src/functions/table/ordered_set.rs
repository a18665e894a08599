//! Aggregates of rows in an order: first the arguments outside of WITHIN GROUP, then what is ordered by. Rows of
//! PostgreSQL 15's `pg_proc`, by its OIDs.

use super::function;
use crate::functions::Function;
use crate::functions::{Body, OrderedSet};
use crate::types::kinds::{Any, AnyArray, AnyElement, Float8, Float8Array, Int8, Interval, IntervalArray};

const CONTINUOUS: Body = Body::OrderedSet(OrderedSet::Continuous);
const DISCRETE: Body = Body::OrderedSet(OrderedSet::Discrete);

pub(super) const FUNCTIONS: &[Function] = &[
    function(3972, "percentile_disc", &[Float8, AnyElement], AnyElement, DISCRETE),
    function(3974, "percentile_cont", &[Float8, Float8], Float8, CONTINUOUS),
    function(3976, "percentile_cont", &[Float8, Interval], Interval, CONTINUOUS),
    function(3978, "percentile_disc", &[Float8Array, AnyElement], AnyArray, DISCRETE),
    function(3980, "percentile_cont", &[Float8Array, Float8], Float8Array, CONTINUOUS),
    function(3982, "percentile_cont", &[Float8Array, Interval], IntervalArray, CONTINUOUS),
    function(3984, "mode", &[AnyElement], AnyElement, Body::OrderedSet(OrderedSet::Mode)),
    function(3986, "rank", &[Any], Int8, Body::OrderedSet(OrderedSet::Rank)).variadic(),
    function(3988, "percent_rank", &[Any], Float8, Body::OrderedSet(OrderedSet::PercentRank)).variadic(),
    function(3990, "cume_dist", &[Any], Float8, Body::OrderedSet(OrderedSet::CumeDist)).variadic(),
    function(3992, "dense_rank", &[Any], Int8, Body::OrderedSet(OrderedSet::DenseRank)).variadic(),
];
