//! What GROUP BY says: its keys, and the sets of them that make groups.

use expr::Expr;

use crate::error::{Error, Result};
use crate::plan::GroupingSet;
use crate::plan::same::same;

/// A key of GROUP BY.
#[derive(Debug, Clone)]
pub(super) struct GroupKey {
    /// As expressions over groups have it.
    pub(super) shown: Expr,
    /// Over rows before they are grouped.
    pub(super) computed: Expr,
}

/// A set of keys, by their places.
pub(super) type Set = Vec<usize>;

/// GROUP BY.
#[derive(Debug, Default)]
pub(super) struct Grouping {
    /// The keys of all sets.
    pub(super) keys: Vec<GroupKey>,
    /// The sets, if it is not the one of all keys.
    pub(super) sets: Vec<Set>,
}

/// A call of GROUPING: what it asks about, and where that stands.
#[derive(Debug)]
pub(super) struct GroupingCall {
    pub(super) arguments: Vec<(Expr, usize)>,
}

/// The sets with what each call of GROUPING is in them. 42803 if one asks about what is no key.
pub(super) fn marked(sets: Vec<Set>, calls: &[GroupingCall], keys: &[Expr]) -> Result<Vec<GroupingSet>> {
    let mut asked: Vec<Set> = Vec::with_capacity(calls.len());
    for call in calls {
        let mut places = Vec::with_capacity(call.arguments.len());
        for (argument, at) in &call.arguments {
            let place = keys.iter().position(|key| same(key, argument));
            let place = place.ok_or_else(|| {
                let message =
                    "arguments to GROUPING must be grouping expressions of the associated query level";
                Error::new("42803", message).at(*at)
            })?;
            places.push(place);
        }
        asked.push(places);
    }
    let bits = |set: &Set, asked: &Set| {
        let bit = |place: &usize| i32::from(!set.contains(place));
        asked.iter().fold(0_i32, |bits, place| bits.saturating_mul(2).saturating_add(bit(place)))
    };
    Ok(sets
        .into_iter()
        .map(|keys| GroupingSet { marks: asked.iter().map(|asked| bits(&keys, asked)).collect(), keys })
        .collect())
}
