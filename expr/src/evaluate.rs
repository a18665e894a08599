//! The value of an expression for a row.

use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::session::SessionContext;
use crate::tree::Expr;

/// What an expression is evaluated against.
#[derive(Debug, Clone, Copy)]
pub struct EvalContext<'a> {
    /// What [`Expr::Column`] reads.
    pub row: &'a [Datum],
    /// What [`Expr::Parameter`] reads.
    pub params: &'a [Datum],
    /// What functions may depend on.
    pub session: &'a SessionContext,
    /// What [`Expr::CaseOperand`] reads.
    case_operand: Option<&'a Datum>,
}

impl<'a> EvalContext<'a> {
    /// For one row.
    pub fn new(row: &'a [Datum], params: &'a [Datum], session: &'a SessionContext) -> Self {
        Self { row, params, session, case_operand: None }
    }
}

impl Expr {
    /// The value for the context's row.
    pub fn evaluate(&self, context: &EvalContext<'_>) -> Result<Datum> {
        let _ = (context, context.case_operand);
        Err(Error::unsupported("evaluation"))
    }

    /// Whether a condition holds: NULL counts as false.
    pub fn evaluate_condition(&self, context: &EvalContext<'_>) -> Result<bool> {
        Ok(self.evaluate(context)?.is_true())
    }
}
