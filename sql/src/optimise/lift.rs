//! What a subquery asks of the outer row, lifted out of it.

use expr::{Datum, Expr};

use crate::logical::walk::{columns_free, columns_read, expressions};
use crate::logical::{Apply, ColumnSet, Compute, DistinctKind, Filter, Join, Limit, Node};
use crate::plan::JoinKind;

/// What matters of the rows of a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Matters {
    /// Whether there are any.
    Existence,
    /// Which there are, not how often nor in which order.
    Values,
    /// All of it.
    Rows,
}

/// Lifts the conditions that read an outer row out of a tree. None of them is volatile.
pub(super) struct Lift<'a> {
    /// The columns of the outer row that the tree reads.
    pub(super) outer: &'a ColumnSet,
    pub(super) matters: Matters,
}

impl Lift<'_> {
    fn asks<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>) -> bool {
        columns_read(expressions).into_iter().any(|column| self.outer.contains(column))
    }

    fn is_free(&self, node: &Node) -> bool {
        columns_free(node).iter().all(|column| !self.outer.contains(column))
    }

    /// Whether only such conditions read the outer row as can be lifted.
    pub(super) fn can(&self, node: &Node) -> bool {
        if self.is_free(node) {
            return true;
        }
        match node {
            Node::Get(_) => true,
            Node::Filter(filter) => self.can(&filter.input),
            Node::Compute(compute) => {
                !self.asks(compute.computed.iter().map(|(_, expression)| expression))
                    && self.can(&compute.input)
            }
            Node::Join(join) if join.lateral => false,
            Node::Join(join) => match join.kind {
                JoinKind::Inner => self.can(&join.left) && self.can(&join.right),
                JoinKind::Left | JoinKind::Semi | JoinKind::Anti => {
                    !self.asks(&join.conditions) && self.is_free(&join.right) && self.can(&join.left)
                }
                _ => false,
            },
            Node::Apply(apply) => {
                let mut subqueries = apply.subqueries.iter();
                !self.asks(expressions(node))
                    && subqueries.all(|subquery| self.is_free(&subquery.rows.node))
                    && self.can(&apply.input)
            }
            Node::Distinct(distinct) if self.matters != Matters::Rows => {
                matches!(distinct.kind, DistinctKind::All(_)) && self.can(&distinct.input)
            }
            Node::Sort(sort) if self.matters != Matters::Rows => self.can(&sort.input),
            Node::Limit(limit) if self.matters == Matters::Existence && asks_for_some(limit) => {
                self.can(&limit.input)
            }
            _ => false,
        }
    }

    /// The tree without these conditions, which are added to others, where [`Lift::can`] says that they can be lifted.
    pub(super) fn lift(&self, node: Node, conditions: &mut Vec<Expr>) -> Node {
        if self.is_free(&node) {
            return node;
        }
        match node {
            Node::Get(mut get) => {
                get.filter = self.rest(get.filter, conditions);
                Node::Get(get)
            }
            Node::Filter(Filter { input, conditions: own, barrier }) => {
                let own = self.rest(own, conditions);
                self.lift(*input, conditions).refiltered(own, barrier)
            }
            Node::Compute(Compute { input, computed }) => {
                let input = Box::new(self.lift(*input, conditions));
                Node::Compute(Compute { input, computed })
            }
            Node::Join(join) => {
                let join = *join;
                let is_inner = join.kind == JoinKind::Inner;
                Node::Join(Box::new(Join {
                    conditions: self.rest(join.conditions, conditions),
                    left: self.lift(join.left, conditions),
                    right: if is_inner { self.lift(join.right, conditions) } else { join.right },
                    ..join
                }))
            }
            Node::Apply(Apply { input, subqueries }) => {
                let input = Box::new(self.lift(*input, conditions));
                Node::Apply(Apply { input, subqueries })
            }
            // Where it only counts whether there are rows, these change nothing.
            Node::Distinct(distinct) => self.lift(distinct.input, conditions),
            Node::Sort(sort) => self.lift(*sort.input, conditions),
            Node::Limit(limit) => self.lift(limit.input, conditions),
            node => node,
        }
    }

    /// The conditions that do not ask; the others are lifted.
    fn rest(&self, own: Vec<Expr>, lifted: &mut Vec<Expr>) -> Vec<Expr> {
        let (asking, rest): (Vec<_>, Vec<_>) = own.into_iter().partition(|condition| self.asks([condition]));
        lifted.extend(asking);
        rest
    }

    /// The conditions that would be lifted.
    pub(super) fn asking<'n>(&self, node: &'n Node, asking: &mut Vec<&'n Expr>) {
        let own: &[Expr] = match node {
            Node::Get(get) => &get.filter,
            Node::Filter(filter) => &filter.conditions,
            Node::Join(join) => &join.conditions,
            _ => &[],
        };
        asking.extend(own.iter().filter(|condition| self.asks([*condition])));
        match node {
            Node::Filter(filter) => self.asking(&filter.input, asking),
            Node::Compute(compute) => self.asking(&compute.input, asking),
            Node::Apply(apply) => self.asking(&apply.input, asking),
            Node::Distinct(distinct) => self.asking(&distinct.input, asking),
            Node::Sort(sort) => self.asking(&sort.input, asking),
            Node::Limit(limit) => self.asking(&limit.input, asking),
            Node::Join(join) => {
                self.asking(&join.left, asking);
                if join.kind == JoinKind::Inner {
                    self.asking(&join.right, asking);
                }
            }
            _ => {}
        }
    }
}

/// Whether a limit leaves a row if there is one.
fn asks_for_some(limit: &Limit) -> bool {
    let some = match &limit.limit {
        None | Some(Expr::Literal { value: Datum::Null, .. }) => true,
        Some(Expr::Literal { value: Datum::Int8(rows), .. }) => *rows > 0,
        Some(_) => false,
    };
    some && limit.offset.is_none()
}
