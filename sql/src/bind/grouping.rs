//! ROLLUP, CUBE and GROUPING SETS: every set of keys that makes groups; and GROUPING(), which tells them apart.

use expr::{Expr, TypeKind};

use super::Binder;
use super::group_keys::{GroupKey, Grouping, GroupingCall, Set};
use super::level::{Aggregates, Clause, Windows};
use super::placeholder::GROUPING;
use super::select::Item;
use super::written::Form;
use crate::error::{Error, Result};
use crate::parse::ast::{self, GroupItem};
use crate::plan::same::same;

/// The most sets of one GROUP BY.
const SETS_MAX: usize = 4096;

/// The most elements of CUBE.
const CUBE_MAX: usize = 12;

/// The most arguments of GROUPING: each is a bit of an int4.
const ARGUMENTS_MAX: usize = 31;

impl Binder<'_> {
    /// GROUP BY.
    pub(super) fn grouping(&mut self, group_by: &ast::GroupBy, items: &[Item]) -> Result<Grouping> {
        let mut grouping = Grouping::default();
        let mut sets: Vec<Set> = vec![Vec::new()];
        for item in &group_by.items {
            let more = self.sets_of(item, items, &mut grouping.keys)?;
            if sets.len().saturating_mul(more.len()) > SETS_MAX {
                return Err(too_many_sets());
            }
            self.budget.look(sets.len().saturating_mul(more.len()))?;
            sets =
                sets.iter().flat_map(|set| more.iter().map(|more| [&set[..], &more[..]].concat())).collect();
        }
        for set in &mut sets {
            set.sort_unstable();
            set.dedup();
        }
        if group_by.distinct {
            let mut seen = std::collections::HashSet::new();
            sets.retain(|set| seen.insert(set.clone()));
        }
        let is_plain = sets.len() == 1 && sets.iter().all(|set| set.len() == grouping.keys.len());
        if !is_plain {
            grouping.sets = sets;
        }
        Ok(grouping)
    }

    fn sets_of(&mut self, item: &GroupItem, items: &[Item], keys: &mut Vec<GroupKey>) -> Result<Vec<Set>> {
        let mut elements = |binder: &mut Self, elements: &[Vec<ast::Expr>]| -> Result<Vec<Set>> {
            let mut sets = Vec::with_capacity(elements.len());
            for element in elements {
                sets.push(binder.set_of(element, items, keys)?);
            }
            Ok(sets)
        };
        Ok(match item {
            GroupItem::Key(key) => vec![self.set_of(std::slice::from_ref(key), items, keys)?],
            GroupItem::Keys(set) => vec![self.set_of(set, items, keys)?],
            GroupItem::Rollup(parts, _) => {
                let parts = elements(self, parts)?;
                (0..=parts.len())
                    .rev()
                    .map(|count| parts.iter().take(count).flatten().copied().collect())
                    .collect()
            }
            GroupItem::Cube(parts, at) => {
                if parts.len() > CUBE_MAX {
                    let message = format!("CUBE is limited to {CUBE_MAX} elements");
                    return Err(Error::new("54011", message).at(*at));
                }
                let parts = elements(self, parts)?;
                let with_and_without = |sets: Vec<Set>, part: &Set| -> Vec<Set> {
                    sets.into_iter().flat_map(|set| [[&set[..], &part[..]].concat(), set]).collect()
                };
                parts.iter().fold(vec![Vec::new()], with_and_without)
            }
            GroupItem::Sets(inner) => {
                let mut sets = Vec::with_capacity(inner.len());
                for item in inner {
                    sets.extend(self.sets_of(item, items, keys)?);
                    if sets.len() > SETS_MAX {
                        return Err(too_many_sets());
                    }
                }
                sets
            }
        })
    }

    fn set_of(&mut self, set: &[ast::Expr], items: &[Item], keys: &mut Vec<GroupKey>) -> Result<Set> {
        set.iter().map(|key| self.group_key(key, items, keys)).collect()
    }

    /// `GROUPING (a, b)`
    pub(super) fn grouping_call(&mut self, call: &ast::Function, at: usize) -> Result<Expr> {
        let clause = self.level()?.clause;
        match clause.aggregates {
            Aggregates::Allowed => {}
            Aggregates::Refused => {
                let message = format!("grouping operations are not allowed in {}", clause.name);
                return Err(Error::new("42803", message).at(at));
            }
            Aggregates::Nested => {
                return Err(Error::new("42803", "aggregate function calls cannot be nested").at(at));
            }
        }
        if call.arguments.len() > ARGUMENTS_MAX {
            return Err(Error::new("54023", "GROUPING must have fewer than 32 arguments").at(at));
        }
        let nested = Clause { aggregates: Aggregates::Nested, windows: Windows::Aggregated, ..clause };
        let arguments = self.before_grouping(nested, |binder| binder.arguments(&call.arguments))?;
        if self.is_shown() {
            let mut asked = Vec::with_capacity(arguments.len());
            for (argument, _) in &arguments {
                asked.push(self.shown()?.argument(argument, &self.catalog.plain_session())?);
            }
            let text = format!("GROUPING({})", asked.join(", "));
            return Ok(self.word(text, Form::Name, TypeKind::Int4.into()));
        }
        let calls = &mut self.level()?.groupings;
        let is_known = |known: &GroupingCall| {
            known.arguments.len() == arguments.len()
                && known.arguments.iter().zip(&arguments).all(|((known, _), (one, _))| same(known, one))
        };
        let place = calls.iter().position(is_known).unwrap_or(calls.len());
        if place == calls.len() {
            calls.push(GroupingCall { arguments });
        }
        Ok(Expr::Column { index: GROUPING.saturating_add(place), ty: TypeKind::Int4.into() })
    }
}

fn too_many_sets() -> Error {
    Error::new("54001", format!("too many grouping sets present (maximum {SETS_MAX})"))
}
