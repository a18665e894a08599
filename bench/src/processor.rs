//! What processes take of the processor, from `/proc`.
//!
//! A server is a tree of processes: PostgreSQL has one for each connection. What has ended counts for its parent, which
//! has waited for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Processor time of a process and all below it, those that have ended included, in microseconds.
pub(crate) fn tree_us(root: u32) -> f64 {
    let processes: BTreeMap<u32, Times> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Times::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    let mut tree = BTreeSet::from([root]);
    loop {
        let below = processes.iter().filter(|(_, times)| tree.contains(&times.parent)).map(|(pid, _)| *pid);
        let grown: BTreeSet<u32> = below.chain(tree.iter().copied()).collect();
        if grown.len() == tree.len() {
            break;
        }
        tree = grown;
    }
    let ticks: u64 = tree.iter().filter_map(|pid| processes.get(pid)).map(|times| times.ticks).sum();
    us(ticks)
}

/// Processor time of this process alone, in microseconds.
pub(crate) fn own_us() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    us(Times::read(&stat).map_or(0, |times| times.own_ticks))
}

fn us(ticks: u64) -> f64 {
    ticks as f64 * 1e6 / rustix::param::clock_ticks_per_second() as f64
}

struct Times {
    parent: u32,
    /// In user mode and in the kernel.
    own_ticks: u64,
    /// The same of itself and of the children that it has waited for.
    ticks: u64,
}

impl Times {
    /// Of `/proc/PID/stat`: pid (name) state parent …, with the times from the fourteenth field on.
    fn read(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        let ticks = |at: std::ops::Range<usize>| {
            Some(fields.get(at)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
        };
        Some(Self { parent, own_ticks: ticks(11..13)?, ticks: ticks(11..15)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 99";
        let times = Times::read(stat).unwrap();
        assert_eq!((times.parent, times.own_ticks, times.ticks), (3, 30, 100));
    }

    #[test]
    fn this_process_has_worked() {
        let begun = env::clock::now();
        let mut sum = 0u64;
        while own_us() == 0.0 && begun.elapsed().as_secs() < 10 {
            sum = (0..1_000_000u64).fold(sum, u64::wrapping_add);
        }
        assert!(own_us() > 0.0 && tree_us(std::process::id()) >= own_us(), "{sum}");
    }
}
