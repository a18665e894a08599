//! Functions that were made, where they are called: the body stands in the place of the call.
//!
//! 1. [`chosen`] tells which function a call means, and what of its parameters each argument is.
//! 2. A body that is nothing but an expression is bound over the caller's row, with the arguments in the places of the
//!    parameters ([`scalar`]). Every other body is a subquery of the call: of an expression ([`scalar`]), or of FROM
//!    ([`rows`]). What it reads of the caller's row it reads through slots.
//! 3. Within a body only its own FROM is in sight, and behind that the parameters ([`frame`]). [`body`] binds it and makes
//!    its columns be what the function returns.
//!
//! What PostgreSQL promises of a call holds: each argument is computed once if it is volatile; a STRICT function is not asked
//! for NULL; whoever runs the statement needs the rights on what the body reads; names in a body that is a string mean what they
//! mean to him. What a function that is called for itself would do and its body in its place would not is refused: to call
//! itself, and to answer anew for rows of which it is given nothing.

mod body;
mod chosen;
mod frame;
mod rows;
mod scalar;

pub(super) use body::{FunctionQuery, ends_without_query};
pub(super) use frame::{Argument, Frame};
pub(super) use scalar::{MadeCall, refuse_words_of_aggregates};
