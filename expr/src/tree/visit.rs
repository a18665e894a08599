//! Walking and rewriting expressions.

use super::{Expr, Subscript};
use crate::functions::{FunctionId, Volatility};
use crate::types::TypeKind;

/// `textanycat`
const TEXT_ANY_CONCAT: u32 = 2003;

/// `anytextcat`
const ANY_TEXT_CONCAT: u32 = 2004;

impl Expr {
    /// The direct operands.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Literal { .. }
            | Expr::Column { .. }
            | Expr::Parameter { .. }
            | Expr::CaseOperand { .. } => Vec::new(),
            Expr::Call { args, .. } | Expr::Coalesce { args, .. } | Expr::Extreme { args, .. } => {
                args.iter().collect()
            }
            Expr::And(items)
            | Expr::Or(items)
            | Expr::Array { items, .. }
            | Expr::Row { fields: items, .. } => items.iter().collect(),
            Expr::Not(operand)
            | Expr::IsNull { operand, .. }
            | Expr::IsBool { operand, .. }
            | Expr::Field { record: operand, .. }
            | Expr::Checked { operand, .. }
            | Expr::Cast { operand, .. } => vec![operand],
            Expr::IsDistinct { left, right, .. } | Expr::NullIf { left, right, .. } => vec![left, right],
            Expr::Case { operand, branches, otherwise, .. } => operand
                .iter()
                .map(AsRef::as_ref)
                .chain(branches.iter().flat_map(|(condition, result)| [condition, result]))
                .chain(otherwise.iter().map(AsRef::as_ref))
                .collect(),
            Expr::In { operand, items, .. } => std::iter::once(operand.as_ref()).chain(items).collect(),
            Expr::AnyAll { operand, array, .. } => vec![operand, array],
            Expr::Subscript { array, subscripts, .. } => {
                std::iter::once(array.as_ref()).chain(subscripts.iter().flat_map(Subscript::bounds)).collect()
            }
        }
    }

    /// The direct operands, to be changed in place.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Expr::Literal { .. }
            | Expr::Column { .. }
            | Expr::Parameter { .. }
            | Expr::CaseOperand { .. } => Vec::new(),
            Expr::Call { args, .. } | Expr::Coalesce { args, .. } | Expr::Extreme { args, .. } => {
                args.iter_mut().collect()
            }
            Expr::And(items)
            | Expr::Or(items)
            | Expr::Array { items, .. }
            | Expr::Row { fields: items, .. } => items.iter_mut().collect(),
            Expr::Not(operand)
            | Expr::IsNull { operand, .. }
            | Expr::IsBool { operand, .. }
            | Expr::Field { record: operand, .. }
            | Expr::Checked { operand, .. }
            | Expr::Cast { operand, .. } => vec![operand],
            Expr::IsDistinct { left, right, .. } | Expr::NullIf { left, right, .. } => vec![left, right],
            Expr::Case { operand, branches, otherwise, .. } => operand
                .iter_mut()
                .map(AsMut::as_mut)
                .chain(branches.iter_mut().flat_map(|(condition, result)| [condition, result]))
                .chain(otherwise.iter_mut().map(AsMut::as_mut))
                .collect(),
            Expr::In { operand, items, .. } => std::iter::once(operand.as_mut()).chain(items).collect(),
            Expr::AnyAll { operand, array, .. } => vec![operand, array],
            Expr::Subscript { array, subscripts, .. } => std::iter::once(array.as_mut())
                .chain(subscripts.iter_mut().flat_map(Subscript::bounds_mut))
                .collect(),
        }
    }

    /// Calls `visit` on this and everything below, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// Calls `change` on everything below and then on this.
    pub fn rewrite(&mut self, change: &mut impl FnMut(&mut Expr)) {
        for child in self.children_mut() {
            child.rewrite(change);
        }
        change(self);
    }

    /// Renumbers the columns that it reads.
    #[must_use]
    pub fn map_columns(mut self, map: &impl Fn(usize) -> usize) -> Self {
        self.rewrite(&mut |expr| {
            if let Expr::Column { index, .. } = expr {
                *index = map(*index);
            }
        });
        self
    }

    /// The columns that it reads, ascending, each once.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        self.walk(&mut |expr| {
            if let Expr::Column { index, .. } = expr {
                columns.push(*index);
            }
        });
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The most volatile thing in it.
    pub fn volatility(&self) -> Volatility {
        let mut most = Volatility::Immutable;
        self.walk(&mut |expr| {
            most = most.max(match expr {
                Expr::Call { function, args, .. } => call_volatility(*function, args),
                Expr::Cast { operand, to, .. } => crate::casts::volatility(operand.ty().kind, to.kind),
                Expr::Checked { domain, .. } => {
                    let conditions = domain.checks.iter().map(|(_, condition)| condition.volatility());
                    conditions.max().unwrap_or(Volatility::Immutable)
                }
                _ => Volatility::Immutable,
            });
        });
        most
    }

    /// Whether it reads neither columns nor parameters and always answers the same: it may be computed while planning.
    pub fn is_constant(&self) -> bool {
        let mut free = false;
        self.walk(&mut |expr| {
            free |= matches!(expr, Expr::Column { .. } | Expr::Parameter { .. } | Expr::CaseOperand { .. });
        });
        !free && self.volatility() == Volatility::Immutable
    }
}

/// How volatile a call is itself. What joins a string and a value of any type writes the value as text, as the SQL that
/// PostgreSQL puts in its place does: it is as volatile as that.
fn call_volatility(function: FunctionId, args: &[Expr]) -> Volatility {
    let value = match function.oid() {
        TEXT_ANY_CONCAT => args.get(1),
        ANY_TEXT_CONCAT => args.first(),
        _ => None,
    };
    match value {
        Some(value) => crate::casts::volatility(value.ty().kind.base(), TypeKind::Text),
        None => function.volatility,
    }
}
