//! `nunatak admin unsafe-recover`: ranges that have lost their majority go on with what one store has.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use node::{Prospect, Salvage, Salvaged};
use serde_json::{Value, json};

use super::{Answer, hex, printable};
use crate::encryption::EncryptionArguments;
use crate::failure::Failure;
use crate::output::errln;
use crate::process::refused;
use crate::table::{Alignment, Table};

/// What has to be typed.
const AGREED: &str = "give up";

/// Which store, and who is lost.
#[derive(Debug, Clone, Args)]
pub(crate) struct UnsafeRecover {
    /// The directory of the surviving node, which has stopped
    #[arg(long, env = "NUNATAK_DATA", value_name = "DIR")]
    data: PathBuf,

    /// The nodes that will never come back, as `admin nodes` numbers them: 2,3
    #[arg(long, env = "NUNATAK_LOST", value_name = "NODES", value_delimiter = ',', required = true)]
    lost: Vec<u64>,

    /// Ask for no confirmation
    #[arg(long, env = "NUNATAK_YES")]
    yes: bool,

    #[command(flatten)]
    encryption: EncryptionArguments,
}

impl UnsafeRecover {
    /// Says what it gives up, asks, and does it.
    pub(super) fn run(self) -> Result<Answer, Failure> {
        let disk: Arc<dyn env::disk::Disk> = Arc::new(env::disk::RealDisk::new());
        let lost: BTreeSet<u64> = self.lost.iter().copied().collect();
        let opened = Salvage::open(disk, self.data, self.encryption.source()?, lost.clone());
        let mut salvage = opened.map_err(|error| refused(&error))?;
        let ranges = salvage.ranges();
        let goes_on = ranges.iter().any(|range| range.prospect == Prospect::Sole);
        if (goes_on || salvage.gives_up_more()) && !self.yes {
            errln!("{}", warning(salvage.node_id(), &lost, &ranges));
            agree()?;
        }
        let recovered = salvage.apply().map_err(|error| refused(&error))?;
        Ok(answer(salvage.node_id(), &ranges, recovered))
    }
}

fn warning(node_id: u64, lost: &BTreeSet<u64>, ranges: &[Salvaged]) -> String {
    let named: Vec<String> = lost.iter().map(|node_id| format!("n{node_id}")).collect();
    let named = named.join(", ");
    let mut lines = vec![format!(
        "Node {node_id}, and whoever joins it, is to take nothing from {named} any more. That cannot be taken back, and their stores must \
         never be started again."
    )];
    let sole: Vec<&Salvaged> = ranges.iter().filter(|range| range.prospect == Prospect::Sole).collect();
    if !sole.is_empty() {
        lines.push(format!(
            "These ranges are to go on with what node {node_id} has of them alone. Given up for good: whatever {named} had acknowledged \
             and node {node_id} does not have. Transactions over several ranges may be there in part; indexes may differ from their \
             tables."
        ));
    }
    for range in sole {
        let (start, end) = range.span.clone().unwrap_or_default();
        lines.push(format!(
            "  range {} from {} to {}: its log here ends at entry {} of term {}",
            range.range_id,
            printable(&start),
            printable(&end),
            range.last.index,
            range.last.term
        ));
    }
    lines.push(format!("Type '{AGREED}' to go on."));
    lines.join("\n")
}

/// Waits for the operator's word.
fn agree() -> Result<(), Failure> {
    let mut line = String::new();
    let refused = |why: &str| Failure::failed(format!("nothing was done: {why}"));
    std::io::stdin().lock().read_line(&mut line).map_err(|error| refused(&error.to_string()))?;
    if line.trim() == AGREED {
        return Ok(());
    }
    Err(refused(match std::io::stdin().is_terminal() {
        true => "that was not what had to be typed",
        false => "nobody has confirmed it; --yes says so without being asked",
    }))
}

fn answer(node_id: u64, ranges: &[Salvaged], recovered: usize) -> Answer {
    let mut table = Table::new(&[
        ("range", Alignment::Right),
        ("start", Alignment::Left),
        ("end", Alignment::Left),
        ("voters", Alignment::Left),
        ("now", Alignment::Left),
    ]);
    let mut list = Vec::new();
    let mut left = 0;
    for range in ranges {
        let now = match &range.prospect {
            Prospect::Whole => "as before: it has its majority".to_owned(),
            Prospect::Sole => "goes on here alone".to_owned(),
            Prospect::Several(others) => {
                left += 1;
                format!("as before: {} too may hold what it needs", named(others))
            }
            Prospect::Elsewhere(others) => {
                format!("as before: others have gone on without this one, on {}", named(others))
            }
            Prospect::NoVoter => {
                left += 1;
                "as before: the replica here does not vote".to_owned()
            }
        };
        let (start, end) = range.span.clone().unwrap_or_default();
        table.row([
            range.range_id.to_string(),
            printable(&start),
            printable(&end),
            named(&range.voters),
            now.clone(),
        ]);
        list.push(json!({
            "range_id": range.range_id, "start": hex(&start), "end": hex(&end), "voters": range.voters,
            "last_term": range.last.term, "last_index": range.last.index,
            "recovered": range.prospect == Prospect::Sole, "now": now,
        }));
    }
    let json = json!({ "node_id": node_id, "recovered": recovered, "ranges": Value::Array(list) });
    let trouble = (left > 0).then(|| {
        format!(
            "{left} ranges have no majority and were left as they are: where several nodes hold a replica, have the one of them go on \
             whose log ends latest, and count the others as lost there"
        )
    });
    Answer { table, json, trouble }
}

fn named(nodes: &[u64]) -> String {
    let named: Vec<String> = nodes.iter().map(|node_id| format!("n{node_id}")).collect();
    named.join(" ")
}
