//! Columns that equal each other by the conditions of joins beside each other: PostgreSQL's equivalence classes.
//!
//! ```text
//! a.x = b.x AND b.x = c.x      also: a.x = c.x, so that a and c may be joined first
//! a.x = b.x AND a.x = 5        also: b.x = 5, so that b is read by it
//! ```

use std::collections::HashMap;

use expr::functions::FunctionId;
use expr::operators::{Comparison, comparison};
use expr::{Expr, Type};

use super::condition::may_move;
use super::pushdown::push_into;
use crate::logical::walk::{children_mut, columns_made};
use crate::logical::{ColumnId, ColumnSet, Join, Node};
use crate::plan::JoinKind;

/// A class of more columns than this is none: each of them may be compared with each.
const MEMBERS_MAX: usize = 8;

/// Joins with more equalities than this are left as they are.
const LINKS_MAX: usize = 500;

/// `column = column`, both of one type.
struct Link<'e> {
    sides: [(ColumnId, &'e Expr); 2],
    equals: FunctionId,
    /// Of the comparison.
    ty: Type,
}

impl<'e> Link<'e> {
    fn of(condition: &'e Expr) -> Option<Self> {
        let Expr::Call { function, args, ty } = condition else { return None };
        let [left, right] = args.as_slice() else { return None };
        let (Expr::Column { index: one, ty: left_type }, Expr::Column { index: other, ty: right_type }) =
            (left, right)
        else {
            return None;
        };
        let is_equality = comparison(*function) == Some(Comparison::Equal);
        (is_equality && left_type.kind == right_type.kind).then_some(Self {
            sides: [(*one, left), (*other, right)],
            equals: *function,
            ty: *ty,
        })
    }
}

fn equality(equals: FunctionId, ty: Type, left: &Expr, right: &Expr) -> Expr {
    Expr::Call { function: equals, args: vec![left.clone(), right.clone()], ty }
}

/// Columns of different inputs of joins, all of which are equal.
struct Class {
    equals: FunctionId,
    ty: Type,
    /// The column of each input, as an expression.
    members: Vec<(usize, ColumnId, Expr)>,
}

/// The classes of a group of inner joins.
#[derive(Default)]
pub(super) struct Classes(Vec<Class>);

impl Classes {
    /// The classes that conditions make of the inputs' columns. No class has two columns of one input: that these are equal
    /// is nothing that a join could ask.
    pub(super) fn new(conditions: &[Expr], made: &[ColumnSet]) -> Self {
        let mut classes: Vec<Class> = Vec::new();
        let input_of = |column: ColumnId| made.iter().position(|made| made.contains(column));
        for condition in conditions {
            let Some(Link { sides: [(one, left), (other, right)], equals, ty }) = Link::of(condition) else {
                continue;
            };
            let (Some(first), Some(second)) = (input_of(one), input_of(other)) else { continue };
            let mut members = Vec::new();
            let mut parts = Vec::new();
            for (input, column, expression) in [(first, one, left), (second, other, right)] {
                match classes.iter().position(|class| class.has(column)) {
                    Some(place) if parts.contains(&place) => {}
                    Some(place) => {
                        parts.push(place);
                        members
                            .extend(classes.get(place).into_iter().flat_map(|class| class.members.clone()));
                    }
                    None => members.push((input, column, expression.clone())),
                }
            }
            let mut inputs: Vec<usize> = members.iter().map(|(input, ..)| *input).collect();
            inputs.sort_unstable();
            inputs.dedup();
            if inputs.len() < members.len() {
                continue;
            }
            let mut place = 0;
            classes.retain(|_| {
                place += 1;
                !parts.contains(&(place - 1))
            });
            classes.push(Class { equals, ty, members });
        }
        classes.retain(|class| class.members.len() <= MEMBERS_MAX);
        Self(classes)
    }

    /// The class whose columns a condition compares.
    pub(super) fn of(&self, condition: &Expr) -> Option<usize> {
        let [(one, _), (other, _)] = Link::of(condition)?.sides;
        self.0.iter().position(|class| class.has(one) && class.has(other))
    }

    /// What else is true: the equalities of columns of a class that no condition compares.
    pub(super) fn implied(&self, conditions: &[Expr]) -> Vec<Expr> {
        let mut compared: Vec<[ColumnId; 2]> = Vec::new();
        for condition in conditions {
            compared.extend(Link::of(condition).map(|link| link.sides.map(|(column, _)| column)));
        }
        let mut implied = Vec::new();
        for Class { equals, ty, members } in &self.0 {
            for (place, (_, one, left)) in members.iter().enumerate() {
                for (_, other, right) in members.iter().skip(place.saturating_add(1)) {
                    if !compared.contains(&[*one, *other]) && !compared.contains(&[*other, *one]) {
                        implied.push(equality(*equals, *ty, left, right));
                    }
                }
            }
        }
        implied
    }
}

impl Class {
    fn has(&self, column: ColumnId) -> bool {
        self.members.iter().any(|(_, member, _)| *member == column)
    }
}

/// Lets inputs of joins be read by the constants that columns of other inputs equal.
pub(super) fn spread_constants(node: &mut Node) {
    if matches!(node, Node::Join(join) if is_open(join)) {
        let mut found = Found::default();
        found.gather(node);
        let conditions = found.spread();
        if !conditions.is_empty() {
            push(node, &conditions);
        }
        return leaves_mut(node).into_iter().for_each(spread_constants);
    }
    children_mut(node).into_iter().for_each(spread_constants);
}

/// A column whose value another has in every pair of rows that is met.
struct Arrow {
    from: ColumnId,
    to: (ColumnId, Expr),
    equals: FunctionId,
    ty: Type,
}

/// What joins beside each other say of columns.
#[derive(Default)]
struct Found {
    arrows: Vec<Arrow>,
    /// What a column of an input equals.
    constants: HashMap<ColumnId, Expr>,
}

impl Found {
    fn gather(&mut self, node: &Node) {
        match node {
            Node::Join(join) if is_open(join) => {
                self.gather(&join.left);
                self.gather(&join.right);
                let made = columns_made(&join.left);
                let both = matches!(join.kind, JoinKind::Inner | JoinKind::Semi);
                for Link { sides: [one, other], equals, ty } in join.conditions.iter().filter_map(Link::of) {
                    for (from, to) in [(one, other), (other, one)] {
                        // What an outer or an anti join leaves of its left side does not depend on the right one.
                        if both || made.contains(from.0) && !made.contains(to.0) {
                            let to = (to.0, to.1.clone());
                            self.arrows.push(Arrow { from: from.0, to, equals, ty });
                        }
                    }
                }
            }
            Node::Filter(filter) if !filter.barrier => {
                self.note(&filter.conditions);
                self.gather_leaf(&filter.input);
            }
            leaf => self.gather_leaf(leaf),
        }
    }

    fn gather_leaf(&mut self, node: &Node) {
        if let Node::Get(get) = node
            && !get.shielded
        {
            self.note(&get.filter);
        }
    }

    /// The constants that columns equal by conditions.
    fn note(&mut self, conditions: &[Expr]) {
        for (column, value) in conditions.iter().filter_map(constant) {
            self.constants.entry(column).or_insert_with(|| value.clone());
        }
    }

    /// What follows from the constants of some columns for others.
    fn spread(mut self) -> Vec<(ColumnId, Expr)> {
        if self.constants.is_empty() || self.arrows.len() > LINKS_MAX {
            return Vec::new();
        }
        let mut follows = Vec::new();
        let mut has_grown = true;
        while has_grown {
            has_grown = false;
            for Arrow { from, to: (column, expression), equals, ty } in &self.arrows {
                if self.constants.contains_key(column) {
                    continue;
                }
                if let Some(value) = self.constants.get(from).cloned() {
                    follows.push((*column, equality(*equals, *ty, expression, &value)));
                    self.constants.insert(*column, value);
                    has_grown = true;
                }
            }
        }
        follows
    }
}

/// The column that a condition lets equal a value which is the same for all rows.
fn constant(condition: &Expr) -> Option<(ColumnId, &Expr)> {
    let Expr::Call { function, args, .. } = condition else { return None };
    let (Some(Comparison::Equal), [left, right]) = (comparison(*function), args.as_slice()) else {
        return None;
    };
    let (column, value) = match (left, right) {
        (Expr::Column { index, ty }, value) if value.ty().kind == ty.kind => (*index, value),
        (value, Expr::Column { index, ty }) if value.ty().kind == ty.kind => (*index, value),
        _ => return None,
    };
    (value.columns().is_empty() && may_move(value)).then_some((column, value))
}

/// Whether both columns that a condition compares equal constants already: it leaves nothing out.
pub(super) fn is_settled(condition: &Expr, left: &Node, right: &Node) -> bool {
    let is_constant = |column: ColumnId| {
        [left, right].into_iter().any(|node| match node {
            Node::Get(get) => get.filter.iter().filter_map(constant).any(|(own, _)| own == column),
            _ => false,
        })
    };
    Link::of(condition).is_some_and(|link| link.sides.iter().all(|(column, _)| is_constant(*column)))
}

/// Whether what is known of a join's inputs is looked at together.
fn is_open(join: &Join) -> bool {
    !join.asked && matches!(join.kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Left | JoinKind::Anti)
}

/// Gives each input what follows for its columns.
fn push(node: &mut Node, conditions: &[(ColumnId, Expr)]) {
    for leaf in leaves_mut(node) {
        // Rows to be locked are looked up by those of the other inputs, and locked as they are read.
        if matches!(leaf, Node::Get(get) if get.lock.is_some()) {
            continue;
        }
        let made = columns_made(leaf);
        let own: Vec<Expr> = conditions
            .iter()
            .filter(|(column, _)| made.contains(*column))
            .map(|(_, condition)| condition.clone())
            .collect();
        if !own.is_empty() {
            push_into(leaf, own);
        }
    }
}

/// The inputs of joins beside each other.
fn leaves_mut(node: &mut Node) -> Vec<&mut Node> {
    let (mut leaves, mut open) = (Vec::new(), vec![node]);
    while let Some(node) = open.pop() {
        if !matches!(node, Node::Join(join) if is_open(join)) {
            leaves.push(node);
        } else if let Node::Join(join) = node {
            open.extend([&mut join.left, &mut join.right]);
        }
    }
    leaves
}
