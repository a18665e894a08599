//! "Perhaps you meant …": columns whose names are close to one that does not exist.

/// A relation's name and the names of its columns.
pub(super) struct Candidates<'s> {
    pub(super) name: &'s str,
    pub(super) columns: Vec<&'s str>,
}

/// Names further apart than this are not alike.
const DISTANCE_MAX: usize = 3;

/// The best guesses so far.
struct Guesses {
    distance: usize,
    names: Vec<String>,
}

/// The hint for a missing column, if one or two columns are the closest.
pub(super) fn hint<'s>(
    relations: impl Iterator<Item = Candidates<'s>>,
    table: Option<&str>,
    column: &str,
) -> Option<String> {
    let mut guesses = Guesses { distance: DISTANCE_MAX.saturating_add(1), names: Vec::new() };
    for relation in relations {
        let penalty = table.map_or(0, |table| distance(table, relation.name));
        if penalty > DISTANCE_MAX {
            continue;
        }
        for candidate in &relation.columns {
            let apart = distance(column, candidate);
            if apart > column.chars().count() / 2 {
                continue;
            }
            guesses.offer(apart.saturating_add(penalty), format!("\"{}.{candidate}\"", relation.name));
        }
    }
    match guesses.names.as_slice() {
        [only] => Some(format!("Perhaps you meant to reference the column {only}.")),
        [first, second] => {
            Some(format!("Perhaps you meant to reference the column {first} or the column {second}."))
        }
        _ => None,
    }
}

impl Guesses {
    fn offer(&mut self, distance: usize, name: String) {
        if distance > self.distance || distance > DISTANCE_MAX {
            return;
        }
        if distance < self.distance {
            self.distance = distance;
            self.names.clear();
        }
        self.names.push(name);
    }
}

/// Levenshtein's distance: how many characters must be inserted, deleted or replaced.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (place, from) in left.chars().enumerate() {
        let mut diagonal = place;
        let mut before = place.saturating_add(1);
        let mut next = vec![before];
        for (to, above) in right.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(*to != from));
            before = replaced.min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
