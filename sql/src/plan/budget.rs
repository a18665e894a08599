//! How deep and how large plans and expressions may become.
//!
//! Whatever walks a plan (the rules, EXPLAIN, the operators that are built of it and ask each other for rows, and what
//! frees it) recurses along its depth. The syntax tree's height is bounded by the parser; here is what binding makes
//! of it: a list in FROM becomes a chain of joins, a query of WITH is planned anew wherever it is named, an operand is
//! copied by BETWEEN.
//!
//! Binding also counts its **looks**: at parts, nodes and names, whether they stay in the plan or not. They tell when the
//! statement is to be asked for ([`expr::work`]), and when what seemed short is to go on elsewhere.
//!
//! # Invariants
//! - No plan leaves the binder deeper than [`DEPTH_MAX`] nodes or with more than [`NODES_MAX`], and none is ever
//!   deeper than a small multiple of that.
//! - Threads that bind or run statements have [`STACK_BYTES`] of stack; a test runs the deepest plans of all shapes on
//!   half of it.

use expr::Expr;

use super::{Node, Plan, walk};
use crate::error::{Error, Result};

/// The deepest plan.
pub(crate) const DEPTH_MAX: usize = 1000;
/// The most nodes of a plan.
pub(crate) const NODES_MAX: usize = 100_000;
/// The most parts of all expressions of a statement.
const PARTS_MAX: usize = 5_000_000;
/// The longest that all texts are together which are printed of a statement's parts, in bytes: a text stands in that of what is
/// around it, and copies of an operand are printed each.
const TEXTS_BYTES_MAX: usize = 64 << 20;
/// How much stack a thread needs that binds or runs statements.
pub const STACK_BYTES: usize = 32 << 20;

/// How many looks a node is worth.
const LOOKS_PER_NODE: usize = 4;

/// What of the budgets a statement has used.
#[derive(Debug)]
pub(crate) struct Budget {
    nodes: usize,
    parts: usize,
    texts_bytes: usize,
    looks: usize,
    looks_max: usize,
}

impl Budget {
    /// A budget that also ends after so many looks.
    pub(crate) fn of_looks(looks_max: usize) -> Self {
        Self { nodes: 0, parts: 0, texts_bytes: 0, looks: 0, looks_max }
    }

    /// Whether it was the number of looks that has ended it.
    pub(crate) fn has_looked_enough(&self) -> bool {
        self.looks > self.looks_max
    }

    /// Looks at so many parts or names.
    ///
    /// # Errors
    /// The statement is to end, or [`Budget::has_looked_enough`].
    pub(crate) fn look(&mut self, at: usize) -> Result<()> {
        self.looks = self.looks.saturating_add(at);
        if self.has_looked_enough() {
            return Err(Error::internal("a statement that takes longer to plan than was expected"));
        }
        Ok(expr::work::parts(at)?)
    }

    /// Takes nodes; 54001 if there are too many.
    pub(crate) fn take_nodes(&mut self, nodes: usize) -> Result<()> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= NODES_MAX {
            return self.look(nodes.saturating_mul(LOOKS_PER_NODE));
        }
        Err(Error::new("54001", "the statement is too complex")
            .detail(format!("Its plan has more than {NODES_MAX} steps."))
            .hint("A query of WITH is planned anew wherever it is named; store its rows in a table or name it less often."))
    }

    /// Takes a copy of a plan.
    pub(crate) fn take_plan(&mut self, size: PlanSize) -> Result<()> {
        self.take_nodes(size.nodes)?;
        self.take_parts(size.parts)
    }

    /// Takes a part of an expression.
    pub(crate) fn take_part(&mut self) -> Result<()> {
        self.take_parts(1)
    }

    /// Takes the parts of an expression that is copied.
    pub(crate) fn take_copy(&mut self, expression: &Expr) -> Result<()> {
        self.take_parts(parts(expression))
    }

    /// Notes a text that was printed, or is going to be. What is taken next fails if it was too much.
    pub(crate) fn note_text(&mut self, bytes: usize) {
        self.texts_bytes = self.texts_bytes.saturating_add(bytes);
    }

    /// 54001 if what was printed is too long.
    pub(crate) fn check_texts(&self) -> Result<()> {
        if self.texts_bytes <= TEXTS_BYTES_MAX {
            return Ok(());
        }
        Err(Error::new("54001", "the statement is too complex")
            .detail(format!("What it is printed as is longer than {} MB.", TEXTS_BYTES_MAX >> 20)))
    }

    fn take_parts(&mut self, parts: usize) -> Result<()> {
        self.check_texts()?;
        self.parts = self.parts.saturating_add(parts);
        if self.parts <= PARTS_MAX {
            return self.look(parts);
        }
        Err(Error::new("54001", "the statement is too complex")
            .detail(format!("Its expressions have more than {PARTS_MAX} parts."))
            .hint("A query of WITH is copied wherever it is named, and BETWEEN and comparisons of rows copy their operands."))
    }
}

/// What a node takes, beside its expressions.
const NODE_BYTES: usize = 256;

/// How large a plan is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlanSize {
    nodes: usize,
    parts: usize,
}

impl PlanSize {
    /// About how many bytes such a plan takes, and the operators that are made of it.
    pub(crate) fn bytes(self) -> usize {
        let nodes = self.nodes.saturating_mul(NODE_BYTES);
        nodes.saturating_add(self.parts.saturating_mul(size_of::<Expr>())).saturating_mul(2)
    }

    /// The size of a plan, with whatever else it computes.
    pub(crate) fn of_plan(plan: &mut Plan) -> Self {
        let mut size = Self::default();
        walk::expressions_mut(plan, &mut |expression| {
            size.parts = size.parts.saturating_add(parts(expression));
        });
        for root in walk::roots_mut(plan) {
            walk::nodes_mut(root, &mut |_| size.nodes = size.nodes.saturating_add(1));
        }
        size
    }

    /// The size of a tree, which is left as it is.
    pub(crate) fn of(root: &mut Node) -> Self {
        let mut size = Self::default();
        walk::nodes_mut(root, &mut |node| {
            size.nodes = size.nodes.saturating_add(1);
            let all = walk::node_expressions(node).into_iter().map(|expression| parts(expression));
            size.parts = all.fold(size.parts, usize::saturating_add);
        });
        size
    }
}

/// How many parts an expression has, itself included.
pub(crate) fn parts(expression: &Expr) -> usize {
    let mut parts = 0_usize;
    expression.walk(&mut |_| parts = parts.saturating_add(1));
    parts
}

/// How deep an expression is.
pub(crate) fn depth(expression: &Expr) -> usize {
    let mut deepest = 0_usize;
    let mut open = vec![(expression, 1_usize)];
    while let Some((part, depth)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(part.children().into_iter().map(|child| (child, depth.saturating_add(1))));
    }
    deepest
}

/// The depth and the number of nodes of a plan.
pub(crate) fn measure(root: &Node) -> (usize, usize) {
    let (mut deepest, mut nodes) = (0_usize, 0_usize);
    let mut open = vec![(root, 1_usize)];
    while let Some((node, depth)) = open.pop() {
        deepest = deepest.max(depth);
        nodes = nodes.saturating_add(1);
        open.extend(walk::children(node).into_iter().map(|child| (child, depth.saturating_add(1))));
    }
    (deepest, nodes)
}

/// 54001 if a plan would be too deep.
pub(crate) fn check_depth(depth: usize) -> Result<()> {
    if depth <= DEPTH_MAX {
        return Ok(());
    }
    Err(Error::new("54001", "stack depth limit exceeded")
        .detail(format!("The plan of the statement is more than {DEPTH_MAX} steps deep."))
        .hint("Join fewer tables at once, or store what queries of WITH build on each other in tables."))
}
