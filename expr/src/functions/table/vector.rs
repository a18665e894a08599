//! Functions of the extension `vector`, by OIDs of our own.

use super::super::vector;
use super::function;
use crate::accumulate;
use crate::compare::Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
use crate::functions::Body::{Aggregate, Many, One, Ordered, Two};
use crate::functions::{Body, Function};
use crate::types::TypeKind;
use crate::types::kinds::{
    Bit, Bool, Float4Array, Float8, Float8Array, Int4, Int4Array, NumericArray, Vector,
};

const fn row(
    oid: u32,
    name: &'static str,
    args: &'static [TypeKind],
    result: TypeKind,
    body: Body,
) -> Function {
    function(oid, name, args, result, body).of_extension("vector")
}

pub(super) const FUNCTIONS: &[Function] = &[
    row(9801, "l2_distance", &[Vector, Vector], Float8, Two(vector::l2_distance)),
    row(9802, "inner_product", &[Vector, Vector], Float8, Two(vector::inner_product)),
    row(9803, "cosine_distance", &[Vector, Vector], Float8, Two(vector::cosine_distance)),
    row(9804, "l1_distance", &[Vector, Vector], Float8, Two(vector::l1_distance)),
    row(9805, "vector_dims", &[Vector], Int4, One(vector::dimensions)),
    row(9806, "vector_norm", &[Vector], Float8, One(vector::norm)),
    row(9807, "l2_normalize", &[Vector], Vector, One(vector::l2_normalize)),
    row(9808, "binary_quantize", &[Vector], Bit, One(vector::binary_quantize)),
    row(9809, "subvector", &[Vector, Int4, Int4], Vector, Many(vector::part)),
    row(9810, "vector_add", &[Vector, Vector], Vector, Two(vector::add)),
    row(9811, "vector_sub", &[Vector, Vector], Vector, Two(vector::subtract)),
    row(9812, "vector_mul", &[Vector, Vector], Vector, Two(vector::multiply)),
    row(9813, "vector_concat", &[Vector, Vector], Vector, Two(vector::concatenate)),
    row(9814, "vector_lt", &[Vector, Vector], Bool, Ordered(Less)),
    row(9815, "vector_le", &[Vector, Vector], Bool, Ordered(LessOrEqual)),
    row(9816, "vector_eq", &[Vector, Vector], Bool, Ordered(Equal)),
    row(9817, "vector_ne", &[Vector, Vector], Bool, Ordered(NotEqual)),
    row(9818, "vector_ge", &[Vector, Vector], Bool, Ordered(GreaterOrEqual)),
    row(9819, "vector_gt", &[Vector, Vector], Bool, Ordered(Greater)),
    row(9820, "vector_cmp", &[Vector, Vector], Int4, Two(vector::compare)),
    row(9821, "vector_l2_squared_distance", &[Vector, Vector], Float8, Two(vector::l2_squared_distance)),
    row(
        9822,
        "vector_negative_inner_product",
        &[Vector, Vector],
        Float8,
        Two(vector::negative_inner_product),
    ),
    row(9823, "vector_spherical_distance", &[Vector, Vector], Float8, Two(vector::spherical_distance)),
    row(9824, "vector", &[Vector, Int4, Bool], Vector, Many(vector::to_vector)),
    row(9825, "array_to_vector", &[Int4Array, Int4, Bool], Vector, Many(vector::array_to_vector)),
    row(9826, "array_to_vector", &[Float4Array, Int4, Bool], Vector, Many(vector::array_to_vector)),
    row(9827, "array_to_vector", &[Float8Array, Int4, Bool], Vector, Many(vector::array_to_vector)),
    row(9828, "array_to_vector", &[NumericArray, Int4, Bool], Vector, Many(vector::array_to_vector)),
    row(9829, "vector_to_float4", &[Vector, Int4, Bool], Float4Array, Many(vector::vector_to_array)),
    row(9830, "avg", &[Vector], Vector, Aggregate(&accumulate::vectors::AVERAGE)),
    row(9831, "sum", &[Vector], Vector, Aggregate(&accumulate::vectors::SUM)),
];
