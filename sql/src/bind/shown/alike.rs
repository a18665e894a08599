//! Whether two queries mean the same: whether their plans are alike but for what says the same in other words.

use std::fmt::{self, Write as _};

use expr::{Expr, FunctionId, TypeKind, resolve};

use crate::plan::{Node, Values, walk};

/// A plan that takes more room than this, in bytes of its parts' names and values, is compared with no other.
const PLAN_BYTES_MAX: usize = 64 << 20;

/// Whether two plans as they come from the binder are alike: however their tables are called, lists are written, and conditions
/// nested.
pub(super) fn alike(mut one: Node, mut other: Node) -> bool {
    for node in [&mut one, &mut other] {
        walk::nodes_mut(node, &mut plain);
    }
    let mut text = Text(String::new());
    if write!(text, "{one:?}").is_err() {
        return false;
    }
    let mut rest = Rest(&text.0);
    write!(rest, "{other:?}").is_ok() && rest.0.is_empty()
}

/// A text that has an end.
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len().saturating_add(text.len()) > PLAN_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What is still to come of a text: whatever is written has to be that.
struct Rest<'t>(&'t str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// A node in the words that all have in common.
fn plain(node: &mut Node) {
    for expression in walk::node_expressions(node) {
        expression.rewrite(&mut plain_expression);
    }
    match node {
        Node::Scan(scan) => scan.alias.clear(),
        Node::Past(past) => past.scan.alias.clear(),
        Node::VirtualScan(scan) => scan.alias.clear(),
        Node::Project(project) => {
            let is = |at: usize, own: &Expr| matches!(own, Expr::Column { index, .. } if *index == at);
            let is_as_wide = project.expressions.len() == project.input.width();
            if is_as_wide && project.expressions.iter().enumerate().all(|(at, own)| is(at, own)) {
                *node = std::mem::replace(project.input.as_mut(), Node::Values(Values::one_row()));
            }
        }
        _ => {}
    }
}

fn plain_expression(expression: &mut Expr) {
    let plain = match expression {
        Expr::In { operand, items, equals, negated } => {
            let function = if *negated { other_than(*equals) } else { Some(*equals) };
            function.map(|function| compared(operand, items, function, *negated))
        }
        Expr::AnyAll { operand, array, operator, all } => match array.as_ref() {
            Expr::Array { items, .. } if !items.is_empty() => Some(compared(operand, items, *operator, *all)),
            _ => None,
        },
        Expr::And(items) => Some(Expr::And(flat(items, |item| match item {
            Expr::And(inner) => Some(std::mem::take(inner)),
            _ => None,
        }))),
        Expr::Or(items) => Some(Expr::Or(flat(items, |item| match item {
            Expr::Or(inner) => Some(std::mem::take(inner)),
            _ => None,
        }))),
        Expr::Case { otherwise, ty, .. } if otherwise.is_none() => {
            *otherwise = Some(Box::new(Expr::null(*ty)));
            None
        }
        Expr::Not(inner) => match inner.as_mut() {
            Expr::IsDistinct { negated, .. } => {
                *negated = !*negated;
                Some(std::mem::replace(inner.as_mut(), Expr::null(TypeKind::Bool)))
            }
            _ => None,
        },
        Expr::Cast { to, explicit, .. } => {
            // Whoever says it, it cuts nothing off.
            *explicit &= to.modifier >= 0;
            None
        }
        _ => None,
    };
    if let Some(plain) = plain {
        *expression = plain;
    }
}

/// Comparisons one by one, of which all have to be true, or any.
fn compared(operand: &Expr, items: &[Expr], function: FunctionId, all: bool) -> Expr {
    let one = |item: &Expr| Expr::Call {
        function,
        args: vec![operand.clone(), item.clone()],
        ty: TypeKind::Bool.into(),
    };
    match items {
        [only] => one(only),
        _ if all => Expr::And(items.iter().map(one).collect()),
        _ => Expr::Or(items.iter().map(one).collect()),
    }
}

/// The function of `<>` where that of `=` is known.
fn other_than(equals: FunctionId) -> Option<FunctionId> {
    let [left, right] = equals.args else { return None };
    resolve::operator("<>", Some(*left), *right).ok().map(|(_, resolved)| resolved.function)
}

/// The items, and those of items that are of the same kind in their place.
fn flat(items: &mut Vec<Expr>, inner: impl Fn(&mut Expr) -> Option<Vec<Expr>>) -> Vec<Expr> {
    let mut flat = Vec::with_capacity(items.len());
    for mut item in std::mem::take(items) {
        match inner(&mut item) {
            Some(inner) => flat.extend(inner),
            None => flat.push(item),
        }
    }
    flat
}
