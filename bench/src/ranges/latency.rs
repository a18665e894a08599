//! Transactions that write a key in each of some ranges, by the client that gateways are made of: how long they take beside a
//! single put, and what of messages, entries of logs and fsyncs they cost (`counted`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, ClientOptions, TransactionOptions};
use env::{clock, random};
use proto::grpc::GrpcNetwork;

use super::Cluster;
use super::counted::{Begun, Idle};
use crate::failure::{Failure, Result};
use crate::figures::percentile;
use crate::marks::Row;
use crate::process::pause;

/// The ranges that there are, and of how many of them a transaction is.
const RANGES: u64 = 10;
const WIDTHS: [u64; 3] = [1, 2, 10];

/// The marks: multiples of a single put, for each width. Commits of all ranges are on their way at once, so that over long links,
/// where the way is all that counts, they take what one takes.
const TIMES_MAX: [f64; 3] = [1.0, 1.8, 3.5];
const FAR_TIMES_MAX: [f64; 3] = [1.0, 1.2, 1.2];

/// Below this nothing of SQL lies: `/kv`, in the keyspace of data.
const PREFIX: &[u8] = &[keys::keyspace::DATA, 0xfe];

/// How long leaders are given to spread.
const SETTLING: Duration = Duration::from_secs(10);

fn key(range: u64) -> Bytes {
    Bytes::from([PREFIX, format!("{range:02}/{:016x}", random::next_u64()).as_bytes()].concat())
}

fn engine(error: client::Error) -> Failure {
    Failure::Engine { engine: "nunatak", source: Box::new(error) }
}

/// Writes a key in each of so many ranges, chosen by chance.
async fn put(client: &Client, width: u64) -> Result<()> {
    let first = random::below(RANGES);
    let mut transaction = client.begin(TransactionOptions::default());
    (0..width).for_each(|step| transaction.put(key((first + step) % RANGES), Bytes::from_static(b"value")));
    transaction.commit().await.map(drop).map_err(engine)
}

/// The figures of so many transactions of each width, with links of this delay.
pub(super) fn measure(cluster: &Cluster, delay: Option<Duration>, count: u32) -> Result<Vec<Row>> {
    let (name, times_max) = match delay {
        None => ("short links".to_owned(), TIMES_MAX),
        Some(delay) => (format!("links of {} ms", delay.as_millis()), FAR_TIMES_MAX),
    };
    let nodes = &cluster.nodes;
    for range in 0..RANGES {
        nodes.split(&format!("{}\\xfe{range:02}", char::from(keys::keyspace::DATA)))?;
    }
    nodes.await_replicas()?;
    pause(SETTLING);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Failure::Start { program: "the client".to_owned(), source })?;
    let network = Arc::new(GrpcNetwork::new(None));
    let client = Client::new(network, nodes.addresses().to_vec(), ClientOptions::default());
    runtime.block_on(client.ready()).map_err(engine)?;
    let mut latencies: [Vec<f64>; 3] = Default::default();
    for round in 0..count {
        for (width, latencies) in WIDTHS.iter().zip(&mut latencies) {
            let from = clock::now();
            runtime.block_on(put(&client, *width))?;
            // The first find the way.
            if round >= count / 10 {
                latencies.push(from.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    let medians = latencies.map(|mut latencies| {
        latencies.sort_by(f64::total_cmp);
        percentile(&latencies, 0.5)
    });
    let [single, ..] = medians;
    let mut rows = vec![Row::plain(format!("{name}: a put, median"), format!("{single:.2} ms"))];
    for ((width, median), most) in WIDTHS.iter().zip(medians).zip(times_max).skip(1) {
        let what = format!("{name}: a transaction of {width} ranges ({median:.2} ms) / a put");
        rows.push(Row::at_most(what, median / single, most, " ×"));
    }
    let idle = Idle::watch(nodes)?;
    for width in WIDTHS {
        let begun = Begun::now(nodes)?;
        for _ in 0..count {
            runtime.block_on(put(&client, width))?;
        }
        let each = begun.each(nodes, idle, f64::from(count))?;
        rows.push(Row::plain(format!("{name}: {width} ranges, each transaction"), each));
    }
    Ok(rows)
}
