//! Of when a statement reads a table, where that is not now.

use std::sync::Arc;

use expr::Expr;

use crate::catalog::TableDescriptor;

/// A moment that is known once the statement runs: a timestamptz, a system timestamp (numeric), or a text that says one of
/// both, or how long before now.
#[derive(Debug, Clone)]
pub struct Moment {
    /// Its value; it names no columns.
    pub value: Expr,
    /// Where it stands in the query string; 0: nowhere.
    pub at: usize,
}

impl Moment {
    /// A timestamp of the cluster.
    pub fn known(timestamp: u64) -> Self {
        let value = expr::Datum::Numeric(expr::Numeric::finite(timestamp, 0));
        Self { value: Expr::literal(value, expr::TypeKind::Numeric), at: 0 }
    }
}

/// A statement gives a table the rows that it had at a moment: so the table may come to lie over what it was instead.
#[derive(Debug, Clone)]
pub struct WayBack {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// The moment.
    pub moment: Moment,
}

/// Of when rows are read.
#[derive(Debug, Clone)]
pub enum When {
    /// As they were at a moment.
    At(Moment),
    /// Versions of them: the table is one of versions ([`crate::catalog::versioned`]).
    During(Box<Versions>),
}

/// Which versions of rows are read.
#[derive(Debug, Clone)]
pub enum Versions {
    /// Those that were current at a moment from one on up to another.
    Between {
        /// The first moment.
        from: Moment,
        /// The last.
        to: Moment,
        /// Whether the last is one of them.
        inclusive: bool,
    },
    /// Those that came and went from one moment on up to another.
    Contained {
        /// The first moment.
        from: Moment,
        /// The last.
        to: Moment,
    },
    /// All that are kept.
    All,
}

impl When {
    /// What has to be computed to know it.
    pub fn expressions_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::At(moment) => vec![&mut moment.value],
            Self::During(versions) => match versions.as_mut() {
                Versions::Between { from, to, .. } | Versions::Contained { from, to } => {
                    vec![&mut from.value, &mut to.value]
                }
                Versions::All => Vec::new(),
            },
        }
    }
}
