//! What of the directory somebody is told who has asked the wrong range.

use std::sync::Arc;

use bytes::Bytes;
use proto::v1::operation::Operation;
use proto::v1::{BatchRequest, Check, RangeDescriptor, Span, StaleRange};

use super::Member;
use crate::range::Replica;
use crate::range::state::descriptor;

/// So many ranges one answer names at most: who needs more asks for the directory.
const RANGES_MAX: usize = 64;

impl Member {
    /// The ranges that a batch is about: the one that it names, and those that hold its keys.
    pub(crate) fn relevant(&self, request: &BatchRequest) -> Vec<RangeDescriptor> {
        let range_id = request.header.as_ref().map_or(0, |header| header.range_id);
        let touched = Self::touched(request);
        let mut relevant = touched.map_or_else(Vec::new, |touched| self.ranges_in(&touched, RANGES_MAX));
        relevant.truncate(RANGES_MAX);
        if !relevant.iter().any(|range| range.range_id == range_id) {
            relevant.extend(self.range(range_id));
        }
        relevant
    }

    /// The least span around what a batch touches; nothing if it touches no keys.
    pub(crate) fn touched(request: &BatchRequest) -> Option<Span> {
        let operations = request.operations.iter().filter_map(|operation| operation.operation.as_ref());
        operations.map(touched).reduce(around).flatten()
    }

    /// Adds to what a range says of itself whoever is here that has taken over what it gave away.
    pub(super) fn add_heirs(&self, stale: &mut StaleRange) {
        let ends: Vec<Bytes> =
            stale.current.iter().filter_map(|range| Some(range.span.as_ref()?.end.clone())).collect();
        for replica in self.replicas() {
            let range_id = replica.cell.range_id();
            let state = replica.cell.state();
            let begins = state.span.as_ref().is_some_and(|span| ends.contains(&span.start));
            if begins && !stale.current.iter().any(|range| range.range_id == range_id) {
                stale.current.push(self.describe(&replica));
            }
        }
    }

    /// A range as its replica here knows it.
    pub(super) fn describe(&self, replica: &Arc<Replica>) -> RangeDescriptor {
        let leader = replica.group.role().leader.map_or(0, |leader| leader.store.node_id);
        let mut range = descriptor(&replica.cell.state(), leader);
        self.addresses.describe(&mut range);
        range
    }
}

/// The least span around what an operation touches; nothing if it touches no keys.
fn touched(operation: &Operation) -> Option<Span> {
    let check = |check: &Check| {
        let end = if check.end.is_empty() { keys::span::successor(&check.start) } else { check.end.clone() };
        Span { start: check.start.clone(), end }
    };
    let key = |key: &Bytes| Span { start: key.clone(), end: keys::span::successor(key) };
    let all = |spans: &mut dyn Iterator<Item = Span>| spans.map(Some).reduce(around).flatten();
    match operation {
        Operation::Get(get) => all(&mut get.keys.iter().map(key)),
        Operation::Scan(scan) => scan.span.clone(),
        Operation::Versions(versions) => versions.span.clone(),
        Operation::Changes(changes) => changes.span.clone(),
        Operation::Export(export) => export.span.clone(),
        Operation::Lock(lock) => all(&mut lock.keys.iter().map(key)),
        Operation::Commit(commit) => {
            let writes = commit.writes.iter().map(|write| key(&write.key));
            all(&mut writes.chain(commit.checks.iter().map(check)))
        }
        Operation::Validate(validate) => {
            all(&mut validate.checks.iter().map(check).chain(validate.reserve.iter().map(key)))
        }
        Operation::Prewrite(prewrite) => {
            let writes = prewrite.writes.iter().map(|write| key(&write.key));
            all(&mut writes.chain(prewrite.checks.iter().map(check)))
        }
        Operation::Decide(decide) => all(&mut decide.keys.iter().chain([&decide.primary]).map(key)),
        Operation::Resolve(resolve) => {
            let primary = Some(&resolve.forget).filter(|primary| !primary.is_empty());
            all(&mut resolve.keys.iter().chain(primary).map(key))
        }
        Operation::Recover(recover) => all(&mut recover.keys.iter().map(key)),
        Operation::Release(release) => all(&mut release.keys.iter().map(key)),
        Operation::Reclaim(reclaim) => reclaim.span.clone(),
        Operation::EraseHistory(erase) => all(&mut erase.spans.iter().cloned()),
        Operation::Measure(measure) => all(&mut measure.spans.iter().cloned()),
        Operation::Ingest(ingest) => {
            // They are in order.
            let ends = ingest.writes.first().into_iter().chain(ingest.writes.last());
            all(&mut ends.map(|write| key(&write.key)))
        }
        _ => None,
    }
}

/// The least span around both; an empty end is the end of the key space.
fn around(a: Option<Span>, b: Option<Span>) -> Option<Span> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (a, b) => return a.or(b),
    };
    let endless = a.end.is_empty() || b.end.is_empty();
    let end = if endless { Bytes::new() } else { a.end.max(b.end) };
    Some(Span { start: a.start.min(b.start), end })
}

/// Whether two spans have keys in common.
pub(super) fn overlap(a: &Span, b: &Span) -> bool {
    let below = |start: &Bytes, end: &Bytes| end.is_empty() || start < end;
    below(&a.start, &b.end) && below(&b.start, &a.end)
}

#[cfg(test)]
mod tests {
    use proto::v1::{Decide, Get, Resolve, Scan};

    use super::*;

    #[test]
    fn an_operation_touches_what_lies_between_its_keys() {
        let get = Operation::Get(Get { keys: vec!["dm".into(), "db".into()], at: 0 });
        assert_eq!(touched(&get), Some(Span { start: "db".into(), end: Bytes::from_static(b"dm\0") }));
        let scan = Operation::Scan(Scan { span: Some(Span::default()), ..Scan::default() });
        assert_eq!(around(touched(&get), touched(&scan)), Some(Span::default()));
        let span = Span { start: "db".into(), end: Bytes::from_static(b"dm\0") };
        let decide = Decide { primary: "dm".into(), keys: vec!["db".into()], ..Decide::default() };
        assert_eq!(touched(&Operation::Decide(decide)), Some(span.clone()));
        let resolve = Resolve { keys: vec!["dm".into()], forget: "db".into(), ..Resolve::default() };
        assert_eq!(touched(&Operation::Resolve(resolve)), Some(span));
        assert_eq!(touched(&Operation::Resolve(Resolve::default())), None);
        assert_eq!(touched(&Operation::Heartbeat(proto::v1::Heartbeat::default())), None);
    }
}
