//! Scans decode only the columns that somebody reads.

use std::collections::BTreeSet;

use expr::Expr;

use crate::plan::walk::children_mut;
use crate::plan::{Node, Scan};

/// Narrows every scan that stands directly under a projection or an aggregate.
pub(super) fn prune(node: &mut Node) {
    match node {
        Node::Project(project) => {
            if let Node::Scan(scan) = project.input.as_mut() {
                narrow(scan, project.expressions.iter_mut().collect());
            }
        }
        Node::Aggregate(aggregate) => {
            if let Node::Scan(scan) = aggregate.input.as_mut() {
                let mut read: Vec<&mut Expr> = aggregate.keys.iter_mut().collect();
                for call in &mut aggregate.calls {
                    read.extend(&mut call.arguments);
                    read.extend(&mut call.filter);
                    read.extend(call.order_by.iter_mut().map(|key| &mut key.expression));
                }
                narrow(scan, read);
            }
        }
        _ => {}
    }
    for input in children_mut(node) {
        prune(input);
    }
}

/// Leaves out the columns that neither `readers` nor the scan's own conditions read, and renumbers the rest.
fn narrow<'a>(scan: &'a mut Scan, mut readers: Vec<&'a mut Expr>) {
    let Scan { filter, recheck, columns, .. } = scan;
    readers.extend(filter);
    readers.extend(recheck);
    let used: BTreeSet<usize> = readers.iter().flat_map(|reader| reader.columns()).collect();
    if used.len() == columns.len() {
        return;
    }
    for reader in readers {
        reader.rewrite(&mut |part| {
            if let Expr::Column { index, .. } = part {
                *index = used.range(..*index).count();
            }
        });
    }
    *columns = used.iter().filter_map(|place| columns.get(*place)).copied().collect();
}
