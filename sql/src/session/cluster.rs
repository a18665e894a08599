//! What people ask about the cluster by SQL: its nodes, its ranges, and to divide them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::{Client, NodeInfo, RangeInfo, Span};
use expr::{Datum, EvalContext, Expr, Row};

use crate::catalog::{IndexDescriptor, TableDescriptor};
use crate::error::{Error, Result};
use crate::execute::IndexFormat;
use crate::system;

/// How often it is looked whether a range that was divided is shown so.
const SHOWN_LOOKS: u32 = 50;

/// How long between two looks.
const SHOWN_PAUSE: Duration = Duration::from_millis(100);

/// SHOW NODES: id, address, whether it lives, where it is, its version.
pub(super) async fn nodes(client: &Client) -> Result<VecDeque<Row>> {
    let row = |node: NodeInfo| {
        let NodeInfo { node_id, address, live, locality, version, .. } = node;
        let locality: Vec<String> = locality.iter().map(|(tier, place)| format!("{tier}={place}")).collect();
        vec![number(node_id), text(&address), Datum::Bool(live), text(&locality.join(",")), text(&version)]
    };
    Ok(client.nodes().await?.into_iter().map(row).collect())
}

/// SHOW RANGES: id, first key, first key behind, the leader's node, the replicas' nodes.
pub(super) async fn ranges(client: &Client, table: Option<&TableDescriptor>) -> Result<VecDeque<Row>> {
    let spans: Vec<Span> = match table {
        None => vec![Span { start: Bytes::new(), end: Bytes::new() }],
        Some(table) => {
            let span = |index: &IndexDescriptor| keys::sql::index_span(keys::sql::TENANT_DEFAULT, index.id);
            table.indexes.iter().map(span).collect()
        }
    };
    let mut ranges: BTreeMap<Bytes, RangeInfo> = BTreeMap::new();
    for span in spans {
        let found = client.ranges(&span).await?;
        ranges.extend(found.into_iter().map(|range| (range.span.start.clone(), range)));
    }
    let row = |range: RangeInfo| {
        let RangeInfo { range_id, span, leader, voters, learners, .. } = range;
        let voters = voters.iter().map(u64::to_string);
        let replicas: Vec<String> =
            voters.chain(learners.iter().map(|node| format!("{node} (learner)"))).collect();
        let leader = leader.map_or(Datum::Null, number);
        vec![number(range_id), key(&span.start), key(&span.end), leader, text(&replicas.join(","))]
    };
    Ok(ranges.into_values().map(row).collect())
}

/// The keys that rows of SPLIT AT name.
pub(super) fn split_keys(
    table: &Arc<TableDescriptor>,
    rows: &[Vec<Expr>],
    context: &EvalContext<'_>,
) -> Result<Vec<Bytes>> {
    let primary = table.primary().ok_or_else(|| Error::internal("a table without a primary index"))?;
    let format = IndexFormat::new(table, primary)?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let values = row.iter().map(|value| Ok(value.evaluate(context)?)).collect::<Result<Vec<Datum>>>()?;
        if values.iter().any(Datum::is_null) {
            return Err(Error::new("22004", "a primary key has no NULLs to split at"));
        }
        keys.push(format.first_key(&values)?);
    }
    Ok(keys)
}

/// Has ranges begin at the keys.
pub(super) async fn split(client: &Client, keys: Vec<Bytes>) -> Result<()> {
    for key in &keys {
        client.split(key.clone()).await?;
    }
    // So that whoever looks at the ranges next sees what has become of them.
    for _ in 0..SHOWN_LOOKS {
        let ranges = client.ranges(&Span { start: Bytes::new(), end: Bytes::new() }).await?;
        if keys.iter().all(|key| ranges.iter().any(|range| range.span.start == *key)) {
            break;
        }
        env::clock::sleep(SHOWN_PAUSE).await;
    }
    Ok(())
}

fn key(key: &[u8]) -> Datum {
    system::shown_key(key).map_or(Datum::Null, Datum::text)
}

fn number(number: u64) -> Datum {
    Datum::Int8(i64::try_from(number).unwrap_or(i64::MAX))
}

fn text(text: &str) -> Datum {
    Datum::Text(text.into())
}
