//! Judges a history of transactions over append-only lists: strictly serializable, or not.
//!
//! A list's final value tells the order of its versions. From it follow the dependencies between transactions: who
//! wrote before whom, who read whose write, who read before whose write; real time adds that whoever began after
//! another was acknowledged comes after it. The history is strictly serializable if and only if these edges have no
//! cycle (Adya's graphs, as in Elle).

use std::collections::BTreeMap;

/// A transaction as its client saw it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// When it began; microseconds.
    pub(super) invoked: u64,
    /// What became of it.
    pub(super) fate: Fate,
    /// What it did, each list at most once.
    pub(super) operations: Vec<Operation>,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged at that time.
    Committed(u64),
    /// Refused.
    Failed,
    /// Not known to its client.
    Unknown,
}

/// A list was read, and perhaps appended to.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) list: u32,
    pub(super) seen: Vec<u64>,
    pub(super) appended: Option<u64>,
}

/// What is wrong with `history`, given the lists as they were in the end.
pub(super) fn judge(history: &[Event], finals: &BTreeMap<u32, Vec<u64>>) -> Vec<String> {
    let writers = writers(history);
    let mut wrong = check_elements(history, finals, &writers);
    let took_place = |event: &Event| match event.fate {
        Fate::Committed(_) => true,
        Fate::Failed => false,
        Fate::Unknown => event.operations.iter().any(|operation| is_there(operation, finals)),
    };
    let happened: Vec<usize> = (0..history.len()).filter(|place| took_place(&history[*place])).collect();
    wrong.extend(check_reads(history, &happened, finals));
    if wrong.is_empty() {
        let edges = edges(history, &happened, finals, &writers);
        wrong.extend(cycle(&edges).map(|cycle| describe(history, &cycle)));
    }
    wrong
}

/// Which transaction appended an element.
fn writers(history: &[Event]) -> BTreeMap<u64, usize> {
    let appends = history.iter().enumerate().flat_map(|(place, event)| {
        event.operations.iter().filter_map(move |operation| Some((operation.appended?, place)))
    });
    appends.collect()
}

fn is_there(operation: &Operation, finals: &BTreeMap<u32, Vec<u64>>) -> bool {
    let list = finals.get(&operation.list).map_or(&[][..], Vec::as_slice);
    operation.appended.is_some_and(|element| list.contains(&element))
}

/// Acknowledged elements are there once, refused ones are not, a transaction's are there together.
fn check_elements(
    history: &[Event],
    finals: &BTreeMap<u32, Vec<u64>>,
    writers: &BTreeMap<u64, usize>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (list, elements) in finals {
        let mut sorted = elements.clone();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            wrong.push(format!("list {list} holds an element twice: {elements:?}"));
        }
        if let Some(foreign) = elements.iter().find(|element| !writers.contains_key(element)) {
            wrong.push(format!("list {list} holds {foreign}, which nobody appended"));
        }
    }
    for (place, event) in history.iter().enumerate() {
        let appends: Vec<&Operation> =
            event.operations.iter().filter(|operation| operation.appended.is_some()).collect();
        let there = appends.iter().filter(|operation| is_there(operation, finals)).count();
        let right = match event.fate {
            Fate::Committed(_) => there == appends.len(),
            Fate::Failed => there == 0,
            Fate::Unknown => there == 0 || there == appends.len(),
        };
        if !right {
            wrong.push(format!("of transaction {place}, {there} appends are there: {event:?}"));
        }
    }
    wrong
}

/// What was seen of a list is how it began.
fn check_reads(history: &[Event], happened: &[usize], finals: &BTreeMap<u32, Vec<u64>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for place in happened {
        for operation in &history[*place].operations {
            let list = finals.get(&operation.list).map_or(&[][..], Vec::as_slice);
            if !list.starts_with(&operation.seen) {
                wrong.push(format!("transaction {place} saw {operation:?}, in the end it is {list:?}"));
            }
        }
    }
    wrong
}

/// Who comes before whom. Nodes past the transactions are moments of real time.
fn edges(
    history: &[Event],
    happened: &[usize],
    finals: &BTreeMap<u32, Vec<u64>>,
    writers: &BTreeMap<u64, usize>,
) -> Vec<Vec<usize>> {
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); history.len()];
    let add = |edges: &mut Vec<Vec<usize>>, from: usize, to: usize| {
        if from != to {
            edges[from].push(to);
        }
    };
    for elements in finals.values() {
        for pair in elements.windows(2) {
            add(&mut edges, writers[&pair[0]], writers[&pair[1]]);
        }
    }
    for place in happened {
        for operation in &history[*place].operations {
            if let Some(last) = operation.seen.last() {
                add(&mut edges, writers[last], *place);
            }
            let next = finals.get(&operation.list).and_then(|list| list.get(operation.seen.len()));
            if let Some(next) = next {
                add(&mut edges, *place, writers[next]);
            }
        }
    }
    add_real_time(&mut edges, history, happened);
    edges
}

/// A chain of moments: an acknowledgement leads to the moment after it, a moment to all that begins after it.
fn add_real_time(edges: &mut Vec<Vec<usize>>, history: &[Event], happened: &[usize]) {
    let mut acknowledged: Vec<(u64, usize)> = happened
        .iter()
        .filter_map(|place| match history[*place].fate {
            Fate::Committed(at) => Some((at, *place)),
            _ => None,
        })
        .collect();
    acknowledged.sort_unstable();
    let first = edges.len();
    for (number, (_, place)) in acknowledged.iter().enumerate() {
        edges.push(Vec::new());
        edges[*place].push(first + number);
        if number > 0 {
            edges[first + number - 1].push(first + number);
        }
    }
    for place in happened {
        let before = acknowledged.partition_point(|(at, _)| *at < history[*place].invoked);
        if before > 0 {
            edges[first + before - 1].push(*place);
        }
    }
}

/// A cycle, if there is one: depth first, without recursion.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        if marks[start] != Mark::New {
            continue;
        }
        let mut path = vec![(start, 0)];
        marks[start] = Mark::OnPath;
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            match edges[node].get(*next) {
                None => {
                    marks[node] = Mark::Done;
                    path.pop();
                }
                Some(&to) => {
                    *next += 1;
                    match marks[to] {
                        Mark::New => {
                            marks[to] = Mark::OnPath;
                            path.push((to, 0));
                        }
                        Mark::OnPath => {
                            return Some(
                                path.iter().map(|(node, _)| *node).skip_while(|node| *node != to).collect(),
                            );
                        }
                        Mark::Done => {}
                    }
                }
            }
        }
    }
    None
}

fn describe(history: &[Event], cycle: &[usize]) -> String {
    let mut told = "not strictly serializable, each before the next, the last before the first:".to_owned();
    for place in cycle {
        match history.get(*place) {
            Some(event) => told.push_str(&format!("\n    transaction {place}: {event:?}")),
            None => told.push_str("\n    (real time)"),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: u32, seen: &[u64]) -> Operation {
        Operation { list, seen: seen.to_vec(), appended: None }
    }

    fn append(list: u32, seen: &[u64], element: u64) -> Operation {
        Operation { list, seen: seen.to_vec(), appended: Some(element) }
    }

    fn event(invoked: u64, committed: u64, operations: Vec<Operation>) -> Event {
        Event { invoked, fate: Fate::Committed(committed), operations }
    }

    fn finals(lists: &[(u32, &[u64])]) -> BTreeMap<u32, Vec<u64>> {
        lists.iter().map(|(list, elements)| (*list, elements.to_vec())).collect()
    }

    #[test]
    fn a_serial_history_is_right() {
        let history = [
            event(0, 1, vec![append(1, &[], 10)]),
            event(2, 3, vec![append(1, &[10], 11), append(2, &[], 20)]),
            event(4, 5, vec![read(1, &[10, 11]), read(2, &[20])]),
        ];
        assert_eq!(judge(&history, &finals(&[(1, &[10, 11]), (2, &[20])])), [""; 0]);
    }

    #[test]
    fn write_skew_is_found() {
        let history = [
            event(0, 9, vec![read(1, &[]), append(2, &[], 20)]),
            event(0, 9, vec![read(2, &[]), append(1, &[], 10)]),
        ];
        let wrong = judge(&history, &finals(&[(1, &[10]), (2, &[20])]));
        assert!(wrong.len() == 1 && wrong[0].starts_with("not strictly serializable"), "{wrong:?}");
    }

    #[test]
    fn a_stale_read_is_found_by_real_time() {
        let history = [event(0, 1, vec![append(1, &[], 10)]), event(2, 3, vec![read(1, &[])])];
        assert_eq!(judge(&history, &finals(&[(1, &[10])])).len(), 1);
        let overlapping = [event(0, 5, vec![append(1, &[], 10)]), event(2, 3, vec![read(1, &[])])];
        assert_eq!(judge(&overlapping, &finals(&[(1, &[10])])).len(), 0);
    }

    #[test]
    fn lost_updates_and_dirty_writes_are_found() {
        let lost = [event(0, 9, vec![append(1, &[], 10)]), event(0, 9, vec![append(1, &[], 11)])];
        assert_eq!(judge(&lost, &finals(&[(1, &[11])])).len(), 1);
        let failed = [Event { invoked: 0, fate: Fate::Failed, operations: vec![append(1, &[], 10)] }];
        assert_eq!(judge(&failed, &finals(&[(1, &[10])])).len(), 1);
        let half = [Event {
            invoked: 0,
            fate: Fate::Unknown,
            operations: vec![append(1, &[], 10), append(2, &[], 20)],
        }];
        assert_eq!(judge(&half, &finals(&[(1, &[10])])).len(), 1);
        assert_eq!(judge(&half, &finals(&[(1, &[10]), (2, &[20])])).len(), 0);
    }
}
