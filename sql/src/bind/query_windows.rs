//! The windows of a query, as far as they are bound.

use std::collections::HashMap;
use std::sync::Arc;

use expr::Expr;

use crate::parse::ast;
use crate::plan::same::same;
use crate::plan::{SortKey, WindowCall};

/// The windows of a query.
#[derive(Debug, Default)]
pub(super) struct QueryWindows {
    /// WINDOW
    pub(super) named: Vec<ast::NamedWindow>,
    /// Where the first of each name stands there.
    pub(super) places: HashMap<String, usize>,
    /// Those that functions are over.
    pub(super) used: Vec<UsedWindow>,
    /// How many functions there are.
    pub(super) count: usize,
    /// Those of WINDOW that somebody has named, by their places.
    pub(super) followed: HashMap<usize, Arc<Defined>>,
}

impl QueryWindows {
    /// Windows that are known by these names.
    pub(super) fn of(named: &[ast::NamedWindow]) -> Self {
        let mut places = HashMap::with_capacity(named.len());
        for (place, window) in named.iter().enumerate() {
            places.entry(window.name.value.clone()).or_insert(place);
        }
        Self { named: named.to_vec(), places, ..Self::default() }
    }

    /// Whether no function is over any.
    pub(super) fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// What is to be computed for them.
    pub(super) fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        self.used.iter_mut().flat_map(UsedWindow::expressions_mut)
    }
}

/// A window and what is computed of it.
#[derive(Debug)]
pub(super) struct UsedWindow {
    pub(super) partition_by: Vec<Expr>,
    pub(super) order_by: Vec<SortKey>,
    /// With the numbers that they are known by in expressions.
    pub(super) calls: Vec<(usize, WindowCall)>,
}

impl UsedWindow {
    fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let keys = self.order_by.iter_mut().map(|key| &mut key.expression);
        let calls = self.calls.iter_mut().flat_map(|(_, call)| call.expressions_mut());
        self.partition_by.iter_mut().chain(keys).chain(calls)
    }

    pub(super) fn is_over(&self, partition_by: &[Expr], order_by: &[SortKey]) -> bool {
        self.partition_by.len() == partition_by.len()
            && self.partition_by.iter().zip(partition_by).all(|(own, other)| same(own, other))
            && self.order_by.len() == order_by.len()
            && begins_with(&self.order_by, order_by)
    }
}

/// A window as it was written, its names followed. What it has of its base is the base's own.
#[derive(Debug)]
pub(super) struct Defined {
    pub(super) partition_by: Arc<[Expr]>,
    pub(super) order_by: Arc<[SortKey]>,
    pub(super) frame: Option<ast::Frame>,
    pub(super) at: usize,
}

/// Whether rows in the one order are in the other.
pub(super) fn begins_with(keys: &[SortKey], others: &[SortKey]) -> bool {
    let alike = |key: &SortKey, other: &SortKey| {
        same(&key.expression, &other.expression)
            && key.descending == other.descending
            && key.nulls_first == other.nulls_first
    };
    others.len() <= keys.len() && keys.iter().zip(others).all(|(key, other)| alike(key, other))
}
