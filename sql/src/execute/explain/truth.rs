//! What a step has done, beside its rows and its time.

use super::step::{Note, Step, Value};
use crate::execute::truth::{Reads, Truth};

/// Rows, or pairs, that a condition left out: those of each run.
pub(super) fn removed(step: &mut Step, label: &'static str, of: &Truth, count: u64) {
    let each = of.each(count as f64);
    let text = (count > 0).then(|| format!("{label}: {each:.0}"));
    step.note(Note { text, members: vec![(label, Value::Number(each, 0))] });
}

/// Rows that were left out as they were to be locked, if there are any, in all runs together.
pub(super) fn unlocked(step: &mut Step, truth: &Truth) {
    for (label, count) in [("Rows Skipped", truth.skipped), ("Rows Removed by Recheck", truth.outdated)] {
        if count > 0 {
            let members = vec![(label, Value::Count(count))];
            step.note(Note { text: Some(format!("{label}: {count}")), members });
        }
    }
}

/// How rows were sorted. `bounded`: only some of the first were asked for.
pub(super) fn sorted(step: &mut Step, truth: &Truth, bounded: bool) {
    if truth.loops == 0 {
        return;
    }
    let (method, kind, bytes) = match (truth.spilled, bounded) {
        (0, true) => ("top-N", "Memory", truth.held as u64),
        (0, false) => ("in memory", "Memory", truth.held as u64),
        (spilled, _) => ("external merge", "Disk", spilled),
    };
    let size = kilobytes(bytes);
    step.note(Note {
        text: Some(format!("Sort Method: {method}  {kind}: {size}kB")),
        members: vec![
            ("Sort Method", Value::Text(method.to_owned())),
            ("Sort Space Used", Value::Count(size)),
            ("Sort Space Type", Value::Text(kind.to_owned())),
        ],
    });
}

/// What was held in a hash table, and put aside where that had no room.
pub(super) fn held(step: &mut Step, truth: &Truth) {
    if truth.loops == 0 {
        return;
    }
    let (memory, disk) = (kilobytes(truth.held as u64), kilobytes(truth.spilled));
    let mut text = format!("Memory Usage: {memory}kB");
    if disk > 0 {
        text.push_str(&format!("  Disk Usage: {disk}kB"));
    }
    let members = vec![("Peak Memory Usage", Value::Count(memory)), ("Disk Usage", Value::Count(disk))];
    step.note(Note { text: Some(text), members });
}

/// What was put aside, if anything was.
pub(super) fn aside(step: &mut Step, truth: &Truth) {
    if truth.spilled > 0 {
        let disk = kilobytes(truth.spilled);
        let members = vec![("Disk Usage", Value::Count(disk))];
        step.note(Note { text: Some(format!("Disk Usage: {disk}kB")), members });
    }
}

/// What was asked of the ranges, in all runs together.
pub(super) fn reads(step: &mut Step, truth: &Truth) {
    let Reads { requests, values, bytes } = truth.reads;
    let text = (requests > 0).then(|| format!("Reads: requests={requests} values={values} bytes={bytes}"));
    let members = vec![
        ("Read Requests", Value::Count(requests)),
        ("Values Read", Value::Count(values)),
        ("Bytes Read", Value::Count(bytes)),
    ];
    step.note(Note { text, members });
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 10)
}
