//! The list of all ranges for people, who look for what is where, and what is asked most.
//!
//! Where a range is every node knows about; how much it is asked, and how large it is, its leader alone has measured. So the
//! node that is asked for that asks the others.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use proto::v1::{NodeDescriptor, RangeDescriptor, RangeLoad, RangeStatus, RangesRequest, RangesResponse};

use super::{Member, unfinished};

/// How long the others may take: one that does not answer in time has told nothing.
const PATIENCE: Duration = Duration::from_millis(400);

impl Member {
    /// All ranges, and what this node knows of each; with what their leaders have measured lately if that is asked for.
    pub(crate) async fn list(&self, request: RangesRequest) -> RangesResponse {
        if request.passed_on {
            let of = |load: RangeLoad| RangeStatus { load: Some(load), ..RangeStatus::default() };
            return RangesResponse { ranges: self.loads().into_iter().map(of).collect() };
        }
        let directory = self.directory();
        let loads = if request.loads { self.all_loads(directory.nodes).await } else { BTreeMap::new() };
        let describe = |range: RangeDescriptor| {
            let held = self.host.held(range.range_id).unwrap_or_default();
            let unfinished = self.replica(range.range_id).and_then(|replica| unfinished(&replica));
            let load = loads.get(&range.range_id).copied();
            RangeStatus { descriptor: Some(range), unfinished, load, ..held }
        };
        RangesResponse { ranges: directory.ranges.into_iter().map(describe).collect() }
    }

    /// Shows among the metrics what the ranges that this node leads take; of each by itself there would be very many.
    pub(super) fn show_loads(&self) {
        let loads = self.loads();
        let most = |of: fn(&RangeLoad) -> u64| loads.iter().map(of).max().unwrap_or(0) as f64;
        let metrics = &self.context.metrics;
        metrics.ranges_led.set(loads.len() as f64);
        metrics.range_bytes_max.set(most(|load| load.bytes));
        metrics.range_requests_max.set(most(|load| load.requests_per_second));
    }

    /// What the leaders of all ranges have measured, by range.
    async fn all_loads(&self, nodes: Vec<NodeDescriptor>) -> BTreeMap<u64, RangeLoad> {
        let others = nodes.into_iter().filter(|node| node.live && node.node_id != self.node_id);
        let asked = others.map(|node| async move {
            let handle = self.network.connect(&node.address);
            let request = RangesRequest { passed_on: true, ..RangesRequest::default() };
            let answered = env::clock::timeout(PATIENCE, handle.ranges(request)).await;
            answered.ok().and_then(Result::ok).map(|response| response.ranges).unwrap_or_default()
        });
        let told = join_all(asked).await.into_iter().flatten().filter_map(|range| range.load);
        // One that has led a range before may not have noticed yet: the range's leader here has the last word.
        told.chain(self.loads()).map(|load| (load.range_id, load)).collect()
    }
}
