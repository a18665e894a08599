//! Points: plans that read or write one row, whose whole key they name.
//!
//! ```text
//! SELECT   Project*, Scan of one key (a residual filter and a lock included)
//! UPDATE   Scan of one primary key, of no other table; no column of that key is assigned
//! DELETE   Scan of one primary key, of no other table
//! INSERT   VALUES of one row, without ON CONFLICT
//! ```
//!
//! A table that has a part in foreign keys has none of the last three; one with generated columns, no UPDATE. Rows that
//! policies hide are not locked before those have been asked: no point. Nor is what tells who has written a row, but for INSERT.

use expr::Expr;

use super::{Delete, Insert, Modify, Node, Plan, Scan, Update};
use crate::catalog::IndexDescriptor;

/// A plan over one row at most.
pub(crate) enum Point<'a> {
    /// A query.
    Read {
        /// The row.
        scan: PointScan<'a>,
        /// What is made of it, one list of expressions after the other.
        projections: Vec<&'a [Expr]>,
    },
    /// UPDATE
    Update(PointScan<'a>, &'a Update),
    /// DELETE
    Delete(PointScan<'a>, &'a Delete),
    /// INSERT
    Insert {
        /// What is inserted where.
        insert: &'a Insert,
        /// The row: one expression for each column of the table.
        row: &'a [Expr],
    },
}

/// A scan of one key of a unique index.
pub(crate) struct PointScan<'a> {
    /// The scan.
    pub(crate) scan: &'a Scan,
    /// Its index.
    pub(crate) index: &'a IndexDescriptor,
    /// What the columns of the index are equal to.
    pub(crate) key: Vec<&'a Expr>,
}

impl<'a> Point<'a> {
    /// What the plan does to one row, if that is all it does.
    pub(crate) fn of(plan: &'a Plan) -> Option<Self> {
        match plan {
            Plan::Query(node) => Self::of_query(node),
            Plan::Modify(modify) => match modify.as_ref() {
                // What is owed to other tables is settled with more than one row.
                // What policies ask of new rows is asked by the others.
                modify if !modify.guards().is_empty() => None,
                Modify::Insert(Insert { linked: true, .. })
                | Modify::Update(Update { linked: true, .. })
                | Modify::Delete(Delete { linked: true, .. }) => None,
                Modify::Insert(insert) => Self::of_insert(insert),
                Modify::Update(update) if !update.rules.generated.is_empty() => None,
                Modify::Update(update) => {
                    let scan = PointScan::of_target(&update.source)?;
                    let moves =
                        |column: usize| scan.scan.table.key_columns(scan.index).any(|key| key == column);
                    let stays = !update.assignments.iter().any(|assignment| moves(assignment.column));
                    stays.then_some(Self::Update(scan, update))
                }
                // Who deletes the row stands behind its columns.
                Modify::Delete(delete) if delete.tells_deleter() => None,
                Modify::Delete(delete) => Some(Self::Delete(PointScan::of_target(&delete.source)?, delete)),
                Modify::Merge(_) | Modify::Compound(_) | Modify::CopyFrom(_) | Modify::CopyTo(_) => None,
            },
            Plan::Empty | Plan::Ddl(_) | Plan::Explain { .. } | Plan::Session(_) => None,
        }
    }

    fn of_query(mut node: &'a Node) -> Option<Self> {
        let mut projections = Vec::new();
        while let Node::Project(project) = node {
            projections.push(project.expressions.as_slice());
            node = &project.input;
        }
        projections.reverse();
        let scan = PointScan::of(node)?;
        // What an entry leads to may have changed by the time that it is locked.
        let is_direct = scan.index.primary || scan.scan.lock.is_none();
        is_direct.then_some(Self::Read { scan, projections })
    }

    fn of_insert(insert: &'a Insert) -> Option<Self> {
        match (&insert.source, &insert.on_conflict) {
            (Node::Values(values), None) => match values.rows.as_slice() {
                [row] if row.len() == insert.table.columns.len() => Some(Self::Insert { insert, row }),
                _ => None,
            },
            _ => None,
        }
    }
}

impl<'a> PointScan<'a> {
    fn of(node: &'a Node) -> Option<Self> {
        let Node::Scan(scan) = node else { return None };
        if scan.shielded && scan.lock.is_some() || scan.table.writer().is_some() {
            return None;
        }
        let index = scan.table.index(scan.index)?;
        let [span] = scan.spans.as_deref()? else { return None };
        Some(Self { scan, index, key: span.point(index)? })
    }

    /// Of the row that a statement changes: all of its columns, and those of no other table, by its primary key.
    fn of_target(node: &'a Node) -> Option<Self> {
        let point = Self::of(node)?;
        let whole = point.scan.columns.iter().copied().eq(0..point.scan.table.columns.len());
        (point.index.primary && point.scan.lock.is_some() && whole).then_some(point)
    }
}
