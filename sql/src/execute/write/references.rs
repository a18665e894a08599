//! Foreign keys: what rows that come and go owe them, settled at the end of the statement.
//!
//! ```text
//! rows written ─▶ keys that they reference        ─▶ locked, and found
//!              ─▶ keys that are gone or changed   ─▶ locked, then the rows that reference them: refused, deleted, changed,
//!                                                    which makes more of both
//! ```
//!
//! # Who meets whom
//! A key of a primary index is referenced through a key beside the row's own ([`Target`]), which is never anything
//! but deleted: whoever references a row locks that one, shared; whoever takes the row's key away locks it alone, and
//! deletes it. So a row that changes otherwise is in nobody's way. The entry of another unique index stands for itself:
//! nothing but the end of its key touches it. Whoever comes second under a lock sees what the first has done, or cannot go
//! on: a lock that finds something newer than the transaction's snapshot moves that, or fails.
//!
//! What the search for rows that reference a key has read is relied on at every isolation level, so that also a lock that
//! was lost with its range's leader lets nobody pass.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use client::{Strength, WaitPolicy};
use expr::{Datum, Row};

use super::broken_link::{missing, still_referenced, violation};
use super::changes::{Change, write_changes};
use super::children::{Children, Found};
use super::constraint::complete_row;
use super::links::{Incoming, Linked, Outgoing, Target, differ, places, values};
use super::removal::delete_rows;
use super::{KeyState, misfit};
use crate::bind;
use crate::catalog::{Action, CatalogSnapshot, Oid, TableDescriptor};
use crate::error::{Error, Result};
use crate::execute::context::Context;
use crate::execute::deferred::Owed;
use crate::execute::memory::row_bytes;
use crate::plan::{Fit, fit};

/// So many keys are asked for at once.
pub(super) const KEYS_PER_REQUEST: usize = 1024;
/// How often rows may make other rows change: no chain of tables is longer, only one that turns in circles.
const ROUNDS_MAX: usize = 10_000;
/// What a key takes beside its bytes.
const KEY_BYTES: usize = 128;

/// A key that rows reference and that is to be there.
struct Wanted {
    /// As the rows say it.
    values: Vec<Datum>,
    /// The same in the types of the columns that it references.
    converted: Vec<Datum>,
    key: Bytes,
}

/// A key that is gone.
struct Gone {
    values: Vec<Datum>,
    /// What it has become, if its row is still there.
    becomes: Option<Vec<Datum>>,
}

/// What the rows of a statement owe foreign keys.
pub(crate) struct References {
    tables: BTreeMap<Oid, Arc<Linked>>,
    root: Oid,
    /// By table and foreign key.
    wanted: BTreeMap<(Oid, usize), Vec<Wanted>>,
    seen: HashSet<(Oid, Bytes)>,
    gone: BTreeMap<(Oid, usize), Vec<Gone>>,
    /// Only this foreign key is looked at.
    only: Option<Oid>,
    bytes: usize,
}

impl References {
    /// `None`: the table has no part in any foreign key.
    pub(crate) fn new(cx: &Context<'_>, table: &Arc<TableDescriptor>) -> Result<Option<Self>> {
        if !cx.catalog.is_linked(table) {
            return Ok(None);
        }
        Self::under(cx.catalog, table, None).map(Some)
    }

    /// Those of one foreign key of the table, under another catalog.
    pub(crate) fn of_key(catalog: &CatalogSnapshot, table: &Arc<TableDescriptor>, key: Oid) -> Result<Self> {
        Self::under(catalog, table, Some(key))
    }

    fn under(catalog: &CatalogSnapshot, table: &Arc<TableDescriptor>, only: Option<Oid>) -> Result<Self> {
        let linked = Arc::new(Linked::new(catalog, table)?);
        Ok(Self {
            tables: BTreeMap::from([(table.oid, linked)]),
            root: table.oid,
            wanted: BTreeMap::new(),
            seen: HashSet::new(),
            gone: BTreeMap::new(),
            only,
            bytes: 0,
        })
    }

    /// Notes a new row.
    pub(crate) fn inserted(&mut self, cx: &mut Context<'_>, row: &[Datum]) -> Result<()> {
        self.note(cx, self.root, None, Some(row))
    }

    /// Notes a changed row.
    pub(crate) fn updated(&mut self, cx: &mut Context<'_>, old: &[Datum], new: &[Datum]) -> Result<()> {
        self.note(cx, self.root, Some(old), Some(new))
    }

    /// Notes a row that is gone.
    pub(crate) fn deleted(&mut self, cx: &mut Context<'_>, row: &[Datum]) -> Result<()> {
        self.note(cx, self.root, Some(row), None)
    }

    fn note(
        &mut self,
        cx: &mut Context<'_>,
        table: Oid,
        old: Option<&[Datum]>,
        new: Option<&[Datum]>,
    ) -> Result<()> {
        let linked = self.tables.get(&table).ok_or_else(misfit)?.clone();
        if let Some(new) = new {
            for (place, outgoing) in linked.outgoing.iter().enumerate() {
                if self.only.is_some_and(|only| only != outgoing.key.oid) {
                    continue;
                }
                let own = values(new, &outgoing.places);
                if old.is_some_and(|old| !differ(&values(old, &outgoing.places), &own)) {
                    continue;
                }
                self.want(cx, &linked, (table, place), outgoing, own)?;
            }
        }
        let Some(old) = old else { return Ok(()) };
        for (place, incoming) in linked.incoming.iter().enumerate() {
            let own = values(old, &incoming.places);
            // Nothing references a key with a NULL.
            if own.iter().any(Datum::is_null) {
                continue;
            }
            let becomes = new.map(|new| values(new, &incoming.places));
            if becomes.as_ref().is_some_and(|becomes| !differ(&own, becomes)) {
                continue;
            }
            let bytes = row_bytes(&own).saturating_add(becomes.as_ref().map_or(0, |row| row_bytes(row)));
            self.account(cx, bytes)?;
            self.gone.entry((table, place)).or_default().push(Gone { values: own, becomes });
        }
        Ok(())
    }

    fn want(
        &mut self,
        cx: &mut Context<'_>,
        linked: &Linked,
        at: (Oid, usize),
        outgoing: &Outgoing,
        own: Vec<Datum>,
    ) -> Result<()> {
        let nulls = own.iter().filter(|value| value.is_null()).count();
        if nulls > 0 {
            return match outgoing.key.match_full && nulls < own.len() {
                true => Err(violation(&linked.format.table, &outgoing.key)
                    .detail("MATCH FULL does not allow mixing of null and nonnull key values.")),
                false => Ok(()),
            };
        }
        let mut converted = Vec::with_capacity(own.len());
        for ((value, from), to) in own.iter().zip(&outgoing.types).zip(&outgoing.target.types) {
            converted.push(match from.kind == to.kind {
                true => value.clone(),
                false => match fit(value.clone(), to.kind) {
                    Fit::Value(value) => value,
                    Fit::Null | Fit::Below | Fit::Above => {
                        return Err(missing(cx, &linked.format.table, outgoing, &own));
                    }
                },
            });
        }
        let key = outgoing.target.key(&converted)?;
        if self.seen.insert((outgoing.key.oid, key.clone())) {
            let bytes = key.len().saturating_add(row_bytes(&own)).saturating_mul(2);
            self.account(cx, bytes)?;
            self.wanted.entry(at).or_default().push(Wanted { values: own, converted, key });
        }
        Ok(())
    }

    fn account(&mut self, cx: &mut Context<'_>, bytes: usize) -> Result<()> {
        let bytes = bytes.saturating_add(KEY_BYTES);
        cx.memory.reserve(bytes)?;
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Acts on what is gone, and finds what is wanted.
    pub(crate) async fn settle(mut self, cx: &mut Context<'_>) -> Result<()> {
        let mut kept_back: Vec<(Incoming, Arc<Linked>, Vec<Gone>)> = Vec::new();
        let mut rounds = 0_usize;
        while let Some(((table, place), gone)) = self.gone.pop_first() {
            rounds = rounds.saturating_add(1);
            if rounds > ROUNDS_MAX {
                return Err(Error::new("54001", "foreign keys make rows change in circles"));
            }
            let linked = self.tables.get(&table).ok_or_else(misfit)?.clone();
            let incoming = linked.incoming.get(place).ok_or_else(misfit)?.clone();
            guard_all(cx, &incoming.target, &gone).await?;
            let (deleted, updated): (Vec<Gone>, Vec<Gone>) =
                gone.into_iter().partition(|gone| gone.becomes.is_none());
            for (gone, action) in [(deleted, incoming.key.on_delete), (updated, incoming.key.on_update)] {
                match action {
                    _ if gone.is_empty() => {}
                    Action::NoAction if cx.deferred.defers(&incoming.key) => {
                        for gone in gone {
                            let (table, key) = (incoming.child.oid, incoming.key.oid);
                            cx.deferred.owe(Owed { table, key, values: gone.values, gone: true });
                        }
                    }
                    Action::NoAction => kept_back.push((incoming.clone(), linked.clone(), gone)),
                    Action::Restrict => refuse(cx, &incoming, &linked, &gone, false).await?,
                    _ => {
                        self.follow(cx, &incoming, &gone, action).await?;
                        // The default may be what is gone.
                        if action == Action::SetDefault {
                            kept_back.push((incoming.clone(), linked.clone(), gone));
                        }
                    }
                }
            }
        }
        for (incoming, linked, gone) in kept_back {
            refuse(cx, &incoming, &linked, &gone, true).await?;
        }
        self.find(cx).await?;
        cx.memory.release(self.bytes);
        Ok(())
    }

    /// The rows that reference what is gone go, or change, with it.
    async fn follow(
        &mut self,
        cx: &mut Context<'_>,
        incoming: &Incoming,
        gone: &[Gone],
        action: Action,
    ) -> Result<()> {
        let child = &incoming.child;
        let linked = match self.tables.get(&child.oid) {
            Some(linked) => linked.clone(),
            None => {
                let linked = Arc::new(Linked::new(cx.catalog, child)?);
                self.tables.insert(child.oid, linked.clone());
                linked
            }
        };
        let own = places(child, &incoming.key.columns)?;
        let set = match (action, incoming.key.set_columns.as_slice(), gone.first()) {
            (Action::SetNull | Action::SetDefault, named @ [_, ..], Some(Gone { becomes: None, .. })) => {
                places(child, named)?
            }
            _ => own,
        };
        let mut defaults = Vec::new();
        if action == Action::SetDefault {
            for place in &set {
                let column = child.columns.get(*place).ok_or_else(misfit)?;
                let value = bind::default_of(child, column, cx.catalog)?;
                defaults.push(cx.settled(|cx| cx.evaluate(&value, &[])).await?);
            }
        }
        let mut children = search(incoming, gone)?;
        // All of them before the first is changed: it may come to reference another key that is gone.
        let mut all = Vec::new();
        while let Some(found) = children.next(cx).await? {
            for found in &found {
                self.account(cx, row_bytes(&found.row).saturating_add(found.key.len()))?;
            }
            all.extend(found);
        }
        let mut all = all.into_iter();
        loop {
            let part: Vec<Found> = all.by_ref().take(KEYS_PER_REQUEST).collect();
            if part.is_empty() {
                return Ok(());
            }
            let locked = lock_children(cx, &children, part).await?;
            let mut rows = Vec::with_capacity(locked.len());
            let mut changes = Vec::new();
            for (row, which) in locked {
                if action == Action::Cascade && gone.get(which).is_some_and(|gone| gone.becomes.is_none()) {
                    rows.push(row);
                    continue;
                }
                let mut new = row.clone();
                for (number, place) in set.iter().enumerate() {
                    let slot = new.get_mut(*place).ok_or_else(misfit)?;
                    *slot = match action {
                        Action::Cascade => {
                            let becomes = gone.get(which).and_then(|gone| gone.becomes.as_ref());
                            let value = becomes.and_then(|row| row.get(number)).ok_or_else(misfit)?;
                            let from = incoming.target.types.get(number).ok_or_else(misfit)?;
                            let to = child.columns.get(*place).ok_or_else(misfit)?.ty;
                            expr::casts::apply(value.clone(), *from, to, false, cx.session)?
                        }
                        Action::SetDefault => defaults.get(number).cloned().unwrap_or_default(),
                        _ => Datum::Null,
                    };
                    for domain in linked.domains.get(*place).into_iter().flatten() {
                        domain.judge(slot, cx.session)?;
                    }
                }
                complete_row(cx, child, &linked.rules, &mut new)?;
                changes.push(Change { old: row, new });
            }
            delete_rows(cx, &linked.format, &rows).await?;
            for row in &rows {
                self.note(cx, child.oid, Some(row), None)?;
            }
            if !changes.is_empty() {
                let mut state = KeyState::default();
                write_changes(cx, &linked.format, &mut state, &changes).await?;
                for change in &changes {
                    self.note(cx, child.oid, Some(&change.old), Some(&change.new))?;
                }
            }
            cx.account_writes().await?;
        }
    }

    /// Finds what is wanted, and keeps it where it is.
    async fn find(&mut self, cx: &mut Context<'_>) -> Result<()> {
        for ((table, place), wanted) in std::mem::take(&mut self.wanted) {
            let linked = self.tables.get(&table).ok_or_else(misfit)?.clone();
            let outgoing = linked.outgoing.get(place).ok_or_else(misfit)?;
            if self.only.is_none() && cx.deferred.defers(&outgoing.key) {
                for wanted in wanted {
                    let key = outgoing.key.oid;
                    cx.deferred.owe(Owed { table, key, values: wanted.converted, gone: false });
                }
                cx.account_writes().await?;
                continue;
            }
            for part in wanted.chunks(KEYS_PER_REQUEST) {
                let keys: Vec<Bytes> = part.iter().map(|wanted| wanted.key.clone()).collect();
                let guards = keys.iter().map(|key| outgoing.target.guard(key)).collect();
                let locked = cx.transaction.lock(guards, Strength::Shared, WaitPolicy::Block).await?;
                cx.account_writes().await?;
                let found = if outgoing.target.primary {
                    if locked.iter().any(|locked| locked.changed) {
                        // READ COMMITTED: the newest is looked at.
                        cx.transaction.begin_statement();
                    }
                    cx.transaction.get_unrelied(keys).await?
                } else {
                    locked.into_iter().map(|locked| locked.value).collect()
                };
                for (wanted, found) in part.iter().zip(found) {
                    if found.is_none() {
                        return Err(missing(cx, &linked.format.table, outgoing, &wanted.values));
                    }
                }
                cx.tick(part.len()).await?;
            }
        }
        Ok(())
    }

    /// Finds what is wanted so far; for rows that are looked through.
    pub(crate) async fn find_so_far(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.find(cx).await?;
        self.seen.clear();
        cx.memory.release(std::mem::take(&mut self.bytes));
        Ok(())
    }
}

/// Keeps everybody from referencing what is gone. Who has referenced it before is done then.
async fn guard_all(cx: &mut Context<'_>, target: &Target, gone: &[Gone]) -> Result<()> {
    if target.primary {
        for part in gone.chunks(KEYS_PER_REQUEST) {
            let guards = part.iter().map(|gone| Ok(target.guard(&target.key(&gone.values)?)));
            let mut guards = guards.collect::<Result<Vec<_>>>()?;
            guards.sort_unstable();
            guards.dedup();
            cx.transaction.lock(guards.clone(), Strength::Exclusive, WaitPolicy::Block).await?;
            for guard in guards {
                cx.transaction.delete(guard);
            }
            cx.account_writes().await?;
        }
    }
    // READ COMMITTED: what they have written is seen from now on.
    cx.transaction.begin_statement();
    Ok(())
}

fn search(incoming: &Incoming, gone: &[Gone]) -> Result<Children> {
    let types = &incoming.target.types;
    let keys = gone.iter().map(|gone| gone.values.as_slice());
    Children::new(&incoming.child, &incoming.key.columns, types, keys, |value, ty| {
        match fit(value, ty.kind) {
            Fit::Value(value) => Some(value),
            Fit::Null | Fit::Below | Fit::Above => None,
        }
    })
}

/// Locks rows that were found, and leaves out those that no longer reference what is gone; each with the place of that.
async fn lock_children(
    cx: &mut Context<'_>,
    children: &Children,
    found: Vec<Found>,
) -> Result<Vec<(Row, usize)>> {
    let mut rows = Vec::with_capacity(found.len());
    for part in found.chunks(KEYS_PER_REQUEST) {
        let keys: Vec<Bytes> = part.iter().map(|found| found.key.clone()).collect();
        let locked = cx.transaction.lock(keys, Strength::Exclusive, WaitPolicy::Block).await?;
        cx.account_writes().await?;
        for (found, locked) in part.iter().zip(locked) {
            if !locked.changed {
                rows.push((found.row.clone(), found.which));
            } else if let Some(value) = locked.value {
                let row = children.read(&found.key, &value)?;
                if let Some(which) = children.references(&row)? {
                    rows.push((row, which));
                }
            }
        }
    }
    Ok(rows)
}

/// 23503 if a row references what is gone. `unless_back`: it is not gone that is there again.
async fn refuse(
    cx: &mut Context<'_>,
    incoming: &Incoming,
    linked: &Linked,
    gone: &[Gone],
    unless_back: bool,
) -> Result<()> {
    let mut left = Vec::with_capacity(gone.len());
    for part in gone.chunks(KEYS_PER_REQUEST) {
        let keys = part.iter().map(|gone| incoming.target.key(&gone.values)).collect::<Result<Vec<_>>>()?;
        let found = match unless_back {
            true => cx.transaction.get_unrelied(keys).await?,
            false => vec![None; keys.len()],
        };
        for (gone, found) in part.iter().zip(found) {
            if found.is_none() {
                left.push(Gone { values: gone.values.clone(), becomes: gone.becomes.clone() });
            }
        }
    }
    if left.is_empty() {
        return Ok(());
    }
    let mut children = search(incoming, &left)?;
    while let Some(found) = children.next(cx).await? {
        if let Some(first) = found.first() {
            let values = left.get(first.which).map(|gone| gone.values.as_slice()).unwrap_or_default();
            return Err(still_referenced(cx, &linked.format.table, incoming, values));
        }
    }
    Ok(())
}

/// Whether any row references a key.
pub(super) async fn is_referenced(
    cx: &mut Context<'_>,
    incoming: &Incoming,
    values: &[Datum],
) -> Result<bool> {
    let gone = [Gone { values: values.to_vec(), becomes: None }];
    let mut children = search(incoming, &gone)?;
    while let Some(found) = children.next(cx).await? {
        if !found.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
