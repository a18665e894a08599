//! What to compact next: a pure function from the shape of a tree to a choice.
//!
//! Leveled, with dynamic level sizes as in RocksDB ("Optimizing Space Amplification in RocksDB", CIDR 2017): the last
//! level is as large as the data is, each level above it a tenth, and the levels that would be smaller than a third of
//! `level1_bytes` stay empty: level 0 is compacted into the first that is not (the *base*). So nine tenths of
//! the data lie in the last level, and obsolete versions there and above take a tenth at most; level 0 may
//! hold three fifths of the base.

use bytes::Bytes;

use crate::tree::LEVELS;

/// Each level may hold so many times what the one above it holds.
const LEVEL_RATIO: u64 = 10;
/// The base may hold so many times `level1_bytes`: around that, as each level is a tenth of the next.
const BASE_TIMES: u64 = 3;
/// Level 0 grows to so much of the base, or to so many times its tables.
const LEVEL0_PERCENT: u64 = 60;
const LEVEL0_TABLES_TIMES: u64 = 3;
/// A table of the last level with that much garbage is rewritten by itself.
const GARBAGE_PERCENT: u64 = 10;
/// A table that mostly deletes goes down even from a level that is not full: scans pass over all of it.
const DELETES_PERCENT: u64 = 50;

/// A table, as far as picking is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: u64,
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    pub(crate) bytes: u64,
    /// Share of its entries that delete, in percent.
    pub(crate) deletes_percent: u64,
    /// It deletes whole ranges of keys.
    pub(crate) range_deletes: bool,
    /// Share of its entries that would go if it were rewritten, in percent: at least so much.
    pub(crate) garbage_percent: u64,
    /// A compaction works on it.
    pub(crate) busy: bool,
}

impl Candidate {
    /// Its bytes as far as urgency is concerned: what deletes frees more below than it takes itself, and garbage is
    /// carried along for nothing.
    fn weight(&self) -> u64 {
        self.bytes.saturating_mul(100 + 2 * self.deletes_percent + self.garbage_percent) / 100
    }
}

/// The bounds of a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) level0_tables: usize,
    pub(crate) level1_bytes: u64,
    /// What reads over level 0 have cost, in bytes that could have been merged instead.
    pub(crate) level0_reads: u64,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// Tables of `from`; of level 0 from the newest to the oldest.
    pub(crate) inputs: Vec<u64>,
    /// Tables of `to` that they overlap, in key order.
    pub(crate) overlapped: Vec<u64>,
    /// How urgent it is, in percent: 100 is full.
    pub(crate) score: u64,
}

/// The most urgent compaction of a tree, or None if all levels are within their bounds or busy.
pub(crate) fn pick(levels: &[Vec<Candidate>], shape: &Shape) -> Option<Pick> {
    let bytes = level_bytes(levels);
    let (base, targets) = targets(&bytes, shape.level1_bytes);
    let mut scores: Vec<(u64, usize)> = Vec::new();
    scores.push((level0_score(levels, base, shape), 0));
    for level in base..LEVELS - 1 {
        let weight: u64 = levels.get(level).into_iter().flatten().map(Candidate::weight).sum();
        scores.push((weight.saturating_mul(100) / at(&targets, level).max(1), level));
    }
    // Most urgent first; of equals the upper level.
    scores.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let due = scores.into_iter().filter(|(score, level)| *score > 100 || (*level == 0 && *score == 100));
    let mut picks = due.filter_map(|(score, level)| {
        let picked = if level == 0 { pick_level0(levels, base) } else { pick_table(levels, level) };
        picked.map(|pick| Pick { score, ..pick })
    });
    let level0 = || pick_level0_deletes(levels, base);
    picks.next().or_else(level0).or_else(|| pick_deletes(levels, base)).or_else(|| pick_garbage(levels))
}

/// How full level 0 is. The base is rewritten whole with it, so the more comes at once, the less writing for each byte of
/// it: level 0 is let grow to a good half of what it will be merged with. But reads pass over all its tables; once they have
/// cost as much as merging would, it is merged. So neither costs more than twice what it would if the other were known.
fn level0_score(levels: &[Vec<Candidate>], base: usize, shape: &Shape) -> u64 {
    let count = levels.first().map_or(0, Vec::len) as u64;
    let tables = shape.level0_tables.max(1) as u64;
    let size = |level: usize| levels.get(level).into_iter().flatten().map(|table| table.bytes).sum::<u64>();
    let (level0, base) = (size(0), size(base));
    if count < tables || base == 0 {
        return count * 100 / tables;
    }
    let by_bytes = level0.saturating_mul(100 * 100) / base.saturating_mul(LEVEL0_PERCENT).max(1);
    let by_reads = shape.level0_reads.saturating_mul(100) / (level0 + base).max(1);
    by_bytes.max(by_reads).max(count * 100 / (LEVEL0_TABLES_TIMES * tables))
}

/// Merges a level 0 that is not full for what it deletes: ranges of keys, or keys whose history may go together with them.
fn pick_level0_deletes(levels: &[Vec<Candidate>], base: usize) -> Option<Pick> {
    let frees = |table: &Candidate| {
        table.range_deletes
            || (table.deletes_percent >= DELETES_PERCENT && table.garbage_percent >= GARBAGE_PERCENT)
    };
    if levels.first()?.iter().any(frees) { pick_level0(levels, base) } else { None }
}

/// Moves a table that mostly deletes down to where it meets what it deletes, and in the end goes.
fn pick_deletes(levels: &[Vec<Candidate>], base: usize) -> Option<Pick> {
    (base..LEVELS - 1).find_map(|level| {
        let mut tables = levels.get(level)?.clone();
        tables.iter_mut().for_each(|table| table.busy |= table.deletes_percent < DELETES_PERCENT);
        pick_from(&tables, levels.get(level + 1)?, level)
    })
}

/// Rewrites a table of the last level, where nothing from above may ever meet it, for the garbage in it: the worst one.
fn pick_garbage(levels: &[Vec<Candidate>]) -> Option<Pick> {
    let last = LEVELS - 1;
    let worth =
        levels.get(last)?.iter().filter(|table| table.garbage_percent >= GARBAGE_PERCENT && !table.busy);
    let table = worth.max_by_key(|table| table.garbage_percent)?;
    Some(Pick { from: last, to: last, inputs: vec![table.id], overlapped: Vec::new(), score: 0 })
}

/// A compaction of a level by hand, whatever its size: of level 0 all, of another the first table that is free.
pub(crate) fn pick_any(levels: &[Vec<Candidate>], shape: &Shape, level: usize) -> Option<Pick> {
    let (base, _) = targets(&level_bytes(levels), shape.level1_bytes);
    if level == 0 { pick_level0(levels, base) } else { pick_table(levels, level) }
}

fn level_bytes(levels: &[Vec<Candidate>]) -> Vec<u64> {
    levels.iter().map(|tables| tables.iter().map(|table| table.bytes).sum()).collect()
}

fn at(values: &[u64], level: usize) -> u64 {
    values.get(level).copied().unwrap_or(0)
}

/// The base level, and how many bytes each level may hold.
fn targets(bytes: &[u64], level1_bytes: u64) -> (usize, Vec<u64>) {
    let last = LEVELS - 1;
    let largest = bytes.iter().skip(1).copied().max().unwrap_or(0);
    let first_used = (1..LEVELS).find(|level| at(bytes, *level) > 0).unwrap_or(last);
    let mut base = last;
    let mut size = largest;
    while base > 1 && size > level1_bytes.saturating_mul(BASE_TIMES) {
        base -= 1;
        size /= LEVEL_RATIO;
    }
    let base = base.min(first_used);
    let mut targets = vec![0; LEVELS];
    let mut target = largest.max(level1_bytes);
    for level in (base..LEVELS).rev() {
        if let Some(slot) = targets.get_mut(level) {
            *slot = target.max(level1_bytes / LEVEL_RATIO).max(1);
        }
        target /= LEVEL_RATIO;
    }
    (base, targets)
}

/// All of level 0, into the base level.
fn pick_level0(levels: &[Vec<Candidate>], base: usize) -> Option<Pick> {
    let tables = levels.first()?;
    let start = tables.iter().map(|table| &table.start).min()?;
    let end = tables.iter().map(|table| &table.end).max()?;
    let overlapped = overlapping(levels.get(base)?, start, end);
    if tables.iter().chain(overlapped.iter().copied()).any(|table| table.busy) {
        return None;
    }
    Some(Pick {
        from: 0,
        to: base,
        inputs: tables.iter().map(|table| table.id).collect(),
        overlapped: overlapped.iter().map(|table| table.id).collect(),
        score: 0,
    })
}

fn pick_table(levels: &[Vec<Candidate>], level: usize) -> Option<Pick> {
    pick_from(levels.get(level)?, levels.get(level + 1)?, level)
}

/// The table of a level that costs the least writing per byte that it moves down; deletes and garbage make it cheaper,
/// since they free what they meet, or go.
fn pick_from(tables: &[Candidate], below: &[Candidate], level: usize) -> Option<Pick> {
    let mut best: Option<(u64, Pick)> = None;
    for table in tables.iter().filter(|table| !table.busy) {
        let overlapped = overlapping(below, &table.start, &table.end);
        if overlapped.iter().any(|other| other.busy) {
            continue;
        }
        let written: u64 = overlapped.iter().map(|other| other.bytes).sum();
        let cost = (written + table.bytes).saturating_mul(1000) / table.weight().max(1);
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            let overlapped = overlapped.iter().map(|other| other.id).collect();
            best = Some((
                cost,
                Pick { from: level, to: level + 1, inputs: vec![table.id], overlapped, score: 0 },
            ));
        }
    }
    best.map(|(_, pick)| pick)
}

fn overlapping<'a>(tables: &'a [Candidate], start: &[u8], end: &[u8]) -> Vec<&'a Candidate> {
    tables.iter().filter(|table| *table.start < *end && *start < *table.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { level0_tables: 4, level1_bytes: 100, level0_reads: 0 };

    /// "1:a-c:50" is table 1 over [a, c) with 50 bytes; "!" behind it says busy, "%30" that a share
    /// deletes, "*40" that a share is garbage, "~" that it deletes ranges.
    fn tree(levels: &[(usize, &[&str])]) -> Vec<Vec<Candidate>> {
        let mut tree = vec![Vec::new(); LEVELS];
        for (level, tables) in levels {
            for table in *tables {
                let (table, busy) = (table.trim_end_matches('!'), table.ends_with('!'));
                let (table, range_deletes) = (table.trim_end_matches('~'), table.ends_with('~'));
                let (table, garbage) = table.split_once('*').unwrap_or((table, "0"));
                let (table, deletes) = table.split_once('%').unwrap_or((table, "0"));
                let parts: Vec<&str> = table.split([':', '-']).collect();
                tree[*level].push(Candidate {
                    id: parts[0].parse().unwrap(),
                    start: Bytes::copy_from_slice(parts[1].as_bytes()),
                    end: Bytes::copy_from_slice(parts[2].as_bytes()),
                    bytes: parts[3].parse().unwrap(),
                    deletes_percent: deletes.parse().unwrap(),
                    range_deletes,
                    garbage_percent: garbage.parse().unwrap(),
                    busy,
                });
            }
        }
        tree
    }

    fn picked(levels: &[(usize, &[&str])]) -> String {
        match pick(&tree(levels), &SHAPE) {
            None => "nothing".to_owned(),
            Some(pick) => format!(
                "L{}{:?} + L{}{:?} at {}%",
                pick.from, pick.inputs, pick.to, pick.overlapped, pick.score
            ),
        }
    }

    #[test]
    fn an_empty_tree_needs_nothing() {
        assert_eq!(picked(&[]), "nothing");
    }

    #[test]
    fn level0_waits_until_it_is_full() {
        assert_eq!(picked(&[(0, &["3:a-c:10", "2:a-c:10", "1:a-c:10"])]), "nothing");
    }

    #[test]
    fn a_full_level0_goes_to_the_last_level_of_a_small_tree() {
        assert_eq!(
            picked(&[(0, &["5:a-c:9", "4:b-d:9", "3:a-b:9", "2:a-c:9"]), (6, &["1:a-b:20", "9:x-z:40"])]),
            "L0[5, 4, 3, 2] + L6[1] at 100%"
        );
    }

    #[test]
    fn the_base_rises_as_the_data_grows() {
        let level0: &[&str] = &["5:a-c:50", "4:a-c:50", "3:a-c:50", "2:a-c:30"];
        assert_eq!(picked(&[(0, level0), (6, &["1:a-z:300"])]), "L0[5, 4, 3, 2] + L6[1] at 100%");
        assert_eq!(picked(&[(0, level0), (6, &["1:a-z:301"])]), "L0[5, 4, 3, 2] + L5[] at 100%");
        assert_eq!(picked(&[(0, level0), (6, &["1:a-z:9999"])]), "L0[5, 4, 3, 2] + L4[] at 100%");
    }

    fn level0(count: usize, base: &str, level0_reads: u64) -> Option<(usize, u64)> {
        let level0: Vec<String> = (2..count + 2).map(|id| format!("{id}:a-c:10")).collect();
        let level0: Vec<&str> = level0.iter().map(String::as_str).collect();
        let picked = pick(&tree(&[(0, &level0), (6, &[base])]), &Shape { level0_reads, ..SHAPE });
        picked.map(|pick| (pick.inputs.len(), pick.score))
    }

    #[test]
    fn level0_grows_with_the_base_up_to_a_bound() {
        assert_eq!(level0(3, "1:a-z:1", 0), None);
        assert_eq!(level0(4, "1:a-z:66", 0), Some((4, 101)));
        assert_eq!(level0(4, "1:a-z:67", 0), None);
        assert_eq!(level0(6, "1:a-z:100", 0), Some((6, 100)));
        assert_eq!(level0(11, "1:a-z:300", 0), None);
        assert_eq!(level0(12, "1:a-z:300", 0), Some((12, 100)));
    }

    #[test]
    fn level0_is_merged_once_reads_over_it_have_cost_as_much() {
        assert_eq!(level0(4, "1:a-z:200", 239), None);
        assert_eq!(level0(4, "1:a-z:200", 240), Some((4, 100)));
        assert_eq!(level0(3, "1:a-z:200", 9000), None);
    }

    #[test]
    fn level0_never_passes_over_a_level_that_is_used() {
        assert_eq!(
            picked(&[(0, &["5:a-c:9", "4:a-c:9", "3:a-c:9", "2:a-c:9"]), (3, &["1:a-b:5"])]),
            "L0[5, 4, 3, 2] + L3[1] at 1200%"
        );
    }

    #[test]
    fn a_busy_level0_waits() {
        assert_eq!(picked(&[(0, &["5:a-c:9", "4:a-c:9", "3:a-c:9!", "2:a-c:9"])]), "nothing");
        assert_eq!(
            picked(&[(0, &["5:a-c:9", "4:a-c:9", "3:a-c:9", "2:a-c:9"]), (6, &["1:b-d:50!"])]),
            "nothing"
        );
    }

    #[test]
    fn an_overfull_level_gives_the_table_that_overlaps_least() {
        assert_eq!(
            picked(&[
                (5, &["1:a-c:100", "2:c-e:100", "3:e-g:100"]),
                (6, &["11:a-b:500", "12:b-d:300", "13:d-e:10", "14:f-g:200"]),
            ]),
            "L5[3] + L6[14] at 297%"
        );
    }

    #[test]
    fn deletes_make_a_table_go_first() {
        assert_eq!(
            picked(&[(5, &["1:a-c:100", "2:c-e:100%90"]), (6, &["11:a-b:500", "12:c-d:600"])]),
            "L5[2] + L6[12] at 345%"
        );
    }

    #[test]
    fn deletes_and_garbage_make_a_level_full() {
        assert_eq!(picked(&[(5, &["1:a-c:90"]), (6, &["11:a-c:1000"])]), "nothing");
        assert_eq!(picked(&[(5, &["1:a-c:90%10"]), (6, &["11:a-c:1000"])]), "L5[1] + L6[11] at 108%");
        assert_eq!(picked(&[(5, &["1:a-c:90*20"]), (6, &["11:a-c:1000"])]), "L5[1] + L6[11] at 108%");
    }

    #[test]
    fn a_table_that_mostly_deletes_goes_down_from_a_level_that_is_not_full() {
        assert_eq!(
            picked(&[(5, &["1:a-c:5%49", "2:c-e:5%50"]), (6, &["11:a-c:1000", "12:d-e:9"])]),
            "L5[2] + L6[12] at 0%"
        );
        assert_eq!(picked(&[(5, &["2:c-e:5%90!"]), (6, &["11:a-c:1000", "12:d-e:9"])]), "nothing");
    }

    #[test]
    fn a_level0_that_frees_what_is_below_goes_down_before_it_is_full() {
        let merged = "L0[2, 3] + L6[1] at 0%";
        let picked = |table: &str| picked(&[(0, &[table, "3:a-c:5"]), (6, &["1:a-c:100"])]);
        assert_eq!(picked("2:a-c:5~"), merged);
        assert_eq!(picked("2:a-c:5%50*10"), merged);
        assert_eq!(picked("2:a-c:5%50*9"), "nothing", "their history is still to be read");
        assert_eq!(picked("2:a-c:5%49*90"), "nothing");
        assert_eq!(picked("2:a-c:5~!"), "nothing");
    }

    #[test]
    fn busy_tables_are_left_alone_and_others_go_in_parallel() {
        assert_eq!(
            picked(&[
                (5, &["1:a-c:100!", "2:c-e:100", "3:e-g:100"]),
                (6, &["11:a-b:500!", "12:c-d:300", "14:f-g:200!"]),
            ]),
            "L5[2] + L6[12] at 300%"
        );
    }

    #[test]
    fn the_most_urgent_level_goes_first() {
        assert_eq!(
            picked(&[
                (0, &["9:a-c:9", "8:a-c:9", "7:a-c:9", "6:a-c:9", "5:a-c:9"]),
                (5, &["1:a-c:900"]),
                (6, &["11:a-b:1000"]),
            ]),
            "L5[1] + L6[11] at 900%"
        );
    }

    #[test]
    fn garbage_at_the_bottom_is_rewritten_when_nothing_else_is_due() {
        let last: &[&str] = &["1:a-c:50*9", "2:c-e:50*90!", "3:e-g:50*20", "4:g-h:50*30"];
        assert_eq!(picked(&[(6, last)]), "L6[4] + L6[] at 0%");
        assert_eq!(picked(&[(5, &["1:a-c:5*20"])]), "nothing");
    }

    #[test]
    fn by_hand_anything_goes() {
        let tree = tree(&[(0, &["2:a-c:9"]), (6, &["1:a-b:5"])]);
        let pick = pick_any(&tree, &SHAPE, 0).unwrap();
        assert_eq!((pick.to, pick.overlapped), (6, vec![1]));
        assert_eq!(pick_any(&tree, &SHAPE, 6), None);
    }
}
