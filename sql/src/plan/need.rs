//! The rights that a statement takes: judged before each of its runs, under the roles and rights of then.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::access::{Right, Rights};
use crate::catalog::{ColumnId, Oid, TableDescriptor};

/// Who reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acting {
    /// The view's owner, where one reads; `None`: whoever runs the statement.
    pub owner: Option<Oid>,
    /// Whether it is a view's query that does: its tables are known by oid, no schema is asked for them.
    pub within_view: bool,
}

/// What a statement does with one table.
#[derive(Debug, Clone)]
pub struct Need {
    /// The table.
    pub table: Arc<TableDescriptor>,
    /// Whose rights are asked for.
    pub acting: Acting,
    /// Where FROM names it, in characters from 1; 0: elsewhere, or nowhere.
    pub at: usize,
    /// Rights on the whole, or instead on each of the columns below.
    pub rights: Rights,
    /// The columns that it reads; none: it reads how many rows there are.
    pub read: BTreeSet<ColumnId>,
    /// The columns that it inserts values into.
    pub inserted: BTreeSet<ColumnId>,
    /// The columns that it changes; none: it locks rows.
    pub updated: BTreeSet<ColumnId>,
    /// The columns that new foreign keys reference.
    pub referenced: BTreeSet<ColumnId>,
    /// It is for whoever owns the table alone.
    pub owned: bool,
}

/// A call of a function that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub function: Oid,
    /// Who calls it; `None`: whoever runs the statement.
    pub owner: Option<Oid>,
    /// Where the statement calls it by its name, in characters from 1, 0 within a function; `None`: what is kept calls it by its
    /// oid, for which no schema is asked.
    pub named_at: Option<usize>,
}

/// What a statement does with tables, in the order in which it names them, and which functions it calls.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    needs: Vec<Need>,
    calls: Vec<Call>,
    acting: Acting,
}

impl Needs {
    /// Each table.
    pub fn iter(&self) -> impl Iterator<Item = &Need> {
        self.needs.iter()
    }

    /// Each call. Whoever runs the statement is asked for the right, whoever owns the views that it reads; of what a materialised
    /// view is refreshed from its owner.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter()
    }

    /// That a function is called.
    pub(crate) fn call(&mut self, call: Call) {
        if !self.calls.contains(&call) {
            self.calls.push(call);
        }
    }

    /// Whose rights are asked for from now on; whose they were before.
    pub(crate) fn act(&mut self, acting: Acting) -> Acting {
        std::mem::replace(&mut self.acting, acting)
    }

    /// Whose rights are asked for.
    pub(crate) fn acting(&self) -> Acting {
        self.acting
    }

    /// The columns of a table that are read, whoever reads them.
    pub(crate) fn columns_read(&self, table: Oid) -> Vec<ColumnId> {
        let own = self.needs.iter().filter(|need| need.table.oid == table);
        let read: BTreeSet<ColumnId> = own.flat_map(|need| need.read.iter().copied()).collect();
        read.into_iter().collect()
    }

    /// Whether a right on a table is asked for.
    pub(crate) fn asks(&self, table: Oid, right: Right) -> bool {
        let is_meant = |need: &&Need| need.table.oid == table && need.acting == self.acting;
        self.needs.iter().find(is_meant).is_some_and(|need| need.rights.contains(right))
    }

    /// Takes a right on a table out of what is asked for; whether it was in it.
    pub(crate) fn put_aside(&mut self, table: Oid, right: Right) -> bool {
        let acting = self.acting;
        let is_meant = |need: &&mut Need| need.table.oid == table && need.acting == acting;
        let Some(need) = self.needs.iter_mut().find(is_meant) else { return false };
        let was = need.rights.contains(right);
        need.rights = need.rights.without(Rights::of(right));
        was
    }

    /// A right on a table.
    pub(crate) fn add(&mut self, table: &Arc<TableDescriptor>, right: Right) {
        let need = self.of(table);
        need.rights = need.rights.or(Rights::of(right));
    }

    /// That it is for whoever owns a table alone.
    pub(crate) fn own(&mut self, table: &Arc<TableDescriptor>) {
        self.of(table).owned = true;
    }

    /// That FROM names a table, and where.
    pub(crate) fn name(&mut self, table: &Arc<TableDescriptor>, at: usize) {
        let need = self.of(table);
        if need.at == 0 {
            need.at = at;
        }
    }

    /// That the statement itself names what others name, and takes no other right on it.
    pub(crate) fn name_too(&mut self, mut others: Self) {
        others.only_names();
        self.needs.append(&mut others.needs);
    }

    /// Takes all rights away but to name what the statement itself names.
    pub(crate) fn only_names(&mut self) {
        self.calls.clear();
        self.needs.retain(|need| !need.acting.within_view);
        self.needs.iter_mut().for_each(|need| (need.rights, need.owned) = (Rights::NONE, false));
    }

    /// That values of a column are read, if it is one of a table.
    pub(crate) fn read(&mut self, origin: Option<(Oid, i16)>) {
        let Some((oid, number)) = origin else { return };
        let acting = self.acting;
        let is_meant = |need: &&mut Need| need.table.oid == oid && need.acting == acting;
        if let Some(need) = self.needs.iter_mut().find(is_meant) {
            need.rights = need.rights.or(Rights::of(Right::Select));
            need.read.extend(ColumnId::try_from(number));
        }
    }

    /// That columns of a table are read, by their places.
    pub(crate) fn read_places(&mut self, table: &Arc<TableDescriptor>, places: &[usize]) {
        self.add(table, Right::Select);
        self.of(table).read.extend(ids(table, places));
    }

    /// That columns of a table are written, by their places.
    pub(crate) fn write(&mut self, table: &Arc<TableDescriptor>, right: Right, places: &[usize]) {
        self.add(table, right);
        let need = self.of(table);
        let columns = if right == Right::Insert { &mut need.inserted } else { &mut need.updated };
        columns.extend(ids(table, places));
    }

    /// That a foreign key references columns of a table.
    pub(crate) fn refer(&mut self, table: &Arc<TableDescriptor>, columns: &[ColumnId]) {
        self.add(table, Right::References);
        self.of(table).referenced.extend(columns);
    }

    fn of(&mut self, table: &Arc<TableDescriptor>) -> &mut Need {
        let is_meant = |need: &Need| need.table.oid == table.oid && need.acting == self.acting;
        let place = self.needs.iter().position(is_meant).unwrap_or(self.needs.len());
        if place == self.needs.len() {
            self.needs.push(Need {
                table: table.clone(),
                acting: self.acting,
                at: 0,
                rights: Rights::NONE,
                read: BTreeSet::new(),
                inserted: BTreeSet::new(),
                updated: BTreeSet::new(),
                referenced: BTreeSet::new(),
                owned: false,
            });
        }
        #[expect(clippy::indexing_slicing, reason = "it was pushed there if it was not there")]
        &mut self.needs[place]
    }
}

fn ids<'a>(table: &'a TableDescriptor, places: &'a [usize]) -> impl Iterator<Item = ColumnId> + 'a {
    places.iter().filter_map(|place| table.columns.get(*place)).map(|column| column.id)
}
