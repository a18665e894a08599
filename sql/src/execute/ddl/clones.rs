//! CREATE TABLE … CLONE and CREATE DATABASE … CLONE: tables that lie over others, as those were at a moment; FLASHBACK TABLE:
//! one that lies over what it was itself.
//!
//! ```text
//!   t        ──────────F────────────────▶  what is written to it after F the clone does not see
//!                      ╲
//!   c, a clone of it     ────────────────▶  what is written to it t does not see
//!
//!   the catalog    c: the columns, indexes and constraints that t had at F, under oids of its own; its indexes are branches
//!   the keys       of each index of c what was written to it ([`client::BranchRow`]); all else is read from that of t, at F
//! ```
//!
//! A clone is a table as any other. That its rows are those of another, as long as nobody writes them, is known to whoever reads
//! keys alone: a branch shows what lies below it to point reads, scans in both orders, entries of indexes and locks, so that
//! statements, unique keys, foreign keys, `CREATE INDEX`, whatever rewrites a table, and reads of the clone's own past need not
//! know. What is written there, a row, an entry or that one is gone, hides what is below. Locks and conflicts are those of
//! the clone's own keys: below nothing changes any more.
//!
//! - A change of the one's columns is no change of the other's: rows are read by ids of columns, and the clone goes on with the ids
//!   of then. What gives an index another id (`TRUNCATE`, another type of a column, another primary key) ends its being a branch:
//!   that id is a plain one, and whoever fills it has read what lay below.
//! - A clone of a clone lies over all that the other lies over: [`LAYERS_MAX`] layers.
//! - The other may be dropped, emptied or rewritten: the history of what lies below is kept for as long as the branch is known
//!   ([`super::kept`]), and so its keys are, wherever they are listed ([`super::reclaim`]).
//!
//! # How one is made
//!
//! 1. A transaction of its own writes the rows of the branches, and lists them among the indexes that are out of use: if it all ends
//!    here they are forgotten, and what was kept for them.
//! 2. The cluster is told to keep what lies below. From then on nothing of it is forgotten.
//! 3. It is read, of every range, whether it was there still.
//! 4. The statement's transaction takes the branches from the list, and writes the table. What lies below and is on that list itself
//!    is listed anew: who is about to settle it finds that changed.

mod database;
mod flashback;
mod rights;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use client::{
    BranchRow, Client, KeptHistory, LAYERS_MAX, Layer, Span, Strength, Transaction, TransactionOptions,
    WaitPolicy,
};
use keys::sql::{SYSTEM_INDEX_IDS, TENANT_DEFAULT};

use super::undrop::{check_spelling, lacks};
use super::{Change, changed, kept, store};
use crate::catalog::access::Object;
use crate::catalog::object::{
    ObjectBody, ObjectDescriptor, SequenceDescriptor, SequenceOwner, SequenceState,
};
use crate::catalog::{
    CatalogSnapshot, Column, Constraints, ForeignKey, IndexConstraint, IndexDescriptor, IndexId, IndexState,
    Oid, RowSecurity, TableDescriptor, dropped, erased, stored,
};
use crate::error::{Error, Notice, Result};
use crate::moment;
use crate::plan::Moment;
use crate::sequence::state_then;
use crate::statistics;

pub(crate) use flashback::way_back;

/// The most bytes that a name has.
const NAME_BYTES_MAX: usize = 63;

/// What was is kept no more.
const TOO_OLD: &str = "72000";

/// So many ranges are asked at a time whether what is to be kept is there.
const KEYS_ASKED: usize = 128;

/// The branches that a statement makes, all as of one moment.
struct Branches {
    at: u64,
    made: Vec<(IndexId, BranchRow)>,
}

/// Names that the parts of a clone take.
struct Names<'n> {
    /// What the one is called, and the other.
    from: &'n str,
    to: &'n str,
    schema: &'n str,
    chosen: BTreeSet<String>,
}

/// A sequence of then, and how far it was.
type SequenceThen = (ObjectDescriptor, SequenceState);

impl Change<'_, '_> {
    /// CREATE TABLE … CLONE
    pub(super) async fn clone_table(
        &mut self,
        (schema, name): (&str, &str),
        of: &TableDescriptor,
        moment: Option<&Moment>,
    ) -> Result<()> {
        let at = self.moment_of(moment).await?;
        let mut past = self.cx.client.past(at);
        let then = source_then(self.cx.client, &mut past, &self.catalog, of).await;
        past.rollback().await;
        let (then, sequences) = then?;
        if !of.row_security.is_empty() || !then.row_security.is_empty() {
            let message = format!("CLONE of \"{}\", a table with row-level security,", of.name);
            return Err(Error::unsupported(message));
        }
        self.check_shown(of, &then)?;
        let statistics = then.primary().map(|primary| primary.id);
        let note = Bytes::from(format!("{}.{}", then.schema, then.name));
        let mut names = Names { from: &then.name, to: name, schema, chosen: [name.to_owned()].into() };
        let oid = self.oid().await?;
        let mut branches = Branches { at, made: Vec::new() };
        let mut own_indexes: BTreeMap<Oid, Oid> = BTreeMap::new();
        let mut indexes = Vec::new();
        // What was being built then nobody goes on to build.
        for index in then.indexes.iter().filter(|index| index.state == IndexState::Public) {
            let id = self.branch(&mut branches, index.id, &note).await?;
            let own = self.oid().await?;
            own_indexes.insert(index.oid, own);
            let constraint = match index.constraint {
                Some(known) => Some(IndexConstraint { oid: self.oid().await?, ..known }),
                None => None,
            };
            let name = names.of(&self.catalog, &index.name);
            indexes.push(IndexDescriptor { oid: own, id, name, constraint, ..index.clone() });
        }
        let mut checks = then.constraints.checks.clone();
        for check in &mut checks {
            check.oid = self.oid().await?;
        }
        let mut foreign_keys = Vec::new();
        for key in &then.constraints.foreign_keys {
            let parent_index = own_indexes.get(&key.parent_index).copied();
            match parent_index.filter(|_| key.parent == of.oid) {
                Some(parent_index) => {
                    let own = self.oid().await?;
                    foreign_keys.push(ForeignKey { oid: own, parent: oid, parent_index, ..key.clone() });
                }
                // What rows of then refer to in other tables may have gone since.
                None => {
                    let message = format!(
                        "foreign key constraint \"{}\" of table \"{}\" is not cloned",
                        key.name, then.name
                    );
                    self.notices.push(Notice::notice("00000", message));
                }
            }
        }
        let mut columns = then.columns.clone();
        let mut made = vec![oid];
        for (sequence, state) in &sequences {
            let Some(definition) = sequence.sequence() else { continue };
            let own = self.oid().await?;
            let (from, to) = (format!("'{}'::regclass", sequence.oid), format!("'{own}'::regclass"));
            for default in columns.iter_mut().filter_map(|column| column.default.as_mut()) {
                *default = default.replace(&from, &to);
            }
            let owner = definition.owner.map(|owner| SequenceOwner { table: oid, ..owner });
            let definition = self.sequence_anew(definition, *state).await?;
            let body = ObjectBody::Sequence(SequenceDescriptor { owner, ..definition });
            let name = names.of(&self.catalog, &sequence.name);
            self.put_object(ObjectDescriptor { oid: own, schema: schema.to_owned(), name, body })?;
            self.own(Object::Sequence(own), None)?;
            made.push(own);
        }
        let table = TableDescriptor {
            oid,
            schema: schema.to_owned(),
            name: name.to_owned(),
            columns,
            indexes,
            constraints: Constraints { checks, foreign_keys },
            row_security: RowSecurity::default(),
            audit: then.audit.or(of.audit),
            ..then
        };
        // Its types are what they are now.
        let row = stored::encode_table(&table)?;
        let table = stored::decode_table(&row, self.catalog.objects().kinds()).map_err(|_| lacks(name))?;
        let in_use: BTreeSet<IndexId> = of.indexes.iter().map(|index| index.id).collect();
        let primary = table.primary().map(|primary| primary.id);
        self.establish(&branches, &in_use).await?;
        self.put_table(changed(table))?;
        self.own(Object::Table(oid), None)?;
        self.check_whole(&made, name)?;
        if let (Some(from), Some(to)) = (statistics, primary) {
            self.copy_statistics(from, to).await?;
        }
        Ok(())
    }

    /// What the table had then and has no more is its owner's to show: rights on it were perhaps granted since.
    fn check_shown(&self, of: &TableDescriptor, then: &TableDescriptor) -> Result<()> {
        let is_shown = |column: &Column| column.hidden || of.column_by_id(column.id).is_some();
        let is_all_shown = then.columns.iter().all(is_shown);
        if is_all_shown || self.catalog.access().owns(&self.acting()?, Object::Table(of.oid)) {
            return Ok(());
        }
        Err(Error::new("42501", format!("must be owner of table {}", of.name))
            .detail("It had columns at that moment that have been dropped since."))
    }

    /// The timestamp of a moment, now if none is said.
    async fn moment_of(&mut self, moment: Option<&Moment>) -> Result<u64> {
        let Some(said) = moment else { return Ok(self.cx.client.timestamp().await?.timestamp) };
        let value = self.cx.settled(|cx| cx.evaluate(&said.value, &[])).await?;
        let placed = |error| moment::placed(error, said.at);
        let wanted = moment::meant(&value, self.cx.session).map_err(placed)?.last;
        moment::reached(self.cx.client, wanted).await.map_err(placed)
    }

    /// A sequence that goes on from a state, under an index id of its own.
    async fn sequence_anew(
        &mut self,
        of: &SequenceDescriptor,
        initial: SequenceState,
    ) -> Result<SequenceDescriptor> {
        Ok(SequenceDescriptor { state: self.index_id().await?, initial, ..of.clone() })
    }

    /// The id of a new branch that lies over an index. It is none of those whose keys nobody else can see: somebody may write them
    /// as soon as there is a table.
    async fn branch(&mut self, branches: &mut Branches, over: IndexId, note: &Bytes) -> Result<IndexId> {
        let layers = layers_over(self.cx.transaction, over, branches.at).await?;
        if layers.len() > LAYERS_MAX {
            let message = format!("a clone of clones more than {LAYERS_MAX} deep");
            return Err(Error::unsupported(message)
                .hint("CREATE TABLE … AS makes a table of a clone's rows that depends on no other."));
        }
        let id = self.cx.client.allocate_ids("index", 1).await?.saturating_add(SYSTEM_INDEX_IDS);
        let branch = keys::sql::to_branch(id);
        branches.made.push((branch, BranchRow { layers, note: note.clone() }));
        Ok(branch)
    }

    /// Makes sure that what lies below branches is there, and stays. `in_use` are the indexes among it that are those of a table now.
    ///
    /// # Errors
    /// 54000: the cluster cannot keep it. 57P03: a node runs a program that would forget it. 72000: it is kept no more.
    async fn establish(&mut self, branches: &Branches, in_use: &BTreeSet<IndexId>) -> Result<()> {
        let client = self.cx.client;
        client.check_branches().await?;
        let (_, wanted) = kept::wanted_history(client).await?;
        kept::check_room(&wanted, branches.made.iter().map(|(_, row)| row))?;
        let mut transaction = client.begin(TransactionOptions::default());
        check_erased(&mut transaction, branches).await?;
        for (branch, row) in &branches.made {
            transaction.put(BranchRow::key(*branch), row.encode());
            transaction.put(dropped::key(*branch), Bytes::new());
        }
        transaction.commit().await?;
        let kept = keep_below(client, branches, &wanted).await;
        if kept.is_err() {
            forget(client, branches).await;
        }
        kept?;
        self.take_from_list(branches, in_use).await
    }

    /// Takes branches from the list of indexes that are out of use, and lists what lies below anew that is on it.
    async fn take_from_list(&mut self, branches: &Branches, in_use: &BTreeSet<IndexId>) -> Result<()> {
        let below = branches.below();
        let own = branches.made.iter().map(|(branch, _)| *branch);
        let listed: Vec<IndexId> = own.chain(below.difference(in_use).copied()).collect();
        let keys: Vec<Bytes> = listed.iter().map(|index| dropped::key(*index)).collect();
        let locked = self.cx.transaction.lock(keys.clone(), Strength::Exclusive, WaitPolicy::Block).await?;
        for (place, (key, locked)) in keys.into_iter().zip(locked).enumerate() {
            let row = locked.value.filter(|row| dropped::settled(row).is_none()).ok_or_else(too_old)?;
            match place < branches.made.len() {
                true => self.delete(key),
                false => self.put(key, row),
            }
        }
        Ok(())
    }

    /// What is known of the rows of an index is what is known of those over it at first.
    async fn copy_statistics(&mut self, from: IndexId, to: IndexId) -> Result<()> {
        let known = self.cx.transaction.get_unrelied(statistics::row_keys(from).to_vec()).await?;
        for (key, value) in statistics::row_keys(to).into_iter().zip(known) {
            if let Some(value) = value {
                self.put(key, value);
            }
        }
        Ok(())
    }
}

impl Branches {
    /// What they lie over at first.
    fn below(&self) -> BTreeSet<IndexId> {
        self.made.iter().filter_map(|(_, row)| Some(row.layers.first()?.index)).collect()
    }
}

impl Names<'_> {
    /// The name of what is called so in the other: of its own table's where that is the other's, and free.
    fn of(&mut self, catalog: &CatalogSnapshot, other: &str) -> String {
        if other.is_empty() {
            // The index over a row id has none.
            return String::new();
        }
        let rest = other.strip_prefix(self.from).filter(|rest| rest.starts_with('_'));
        let name = match rest {
            Some(rest) => format!("{}{rest}", self.to),
            None => format!("{}_{other}", self.to),
        };
        let numbered = |number: u64| {
            let number = if number == 0 { String::new() } else { number.to_string() };
            let mut numbered = name.clone();
            numbered.truncate(numbered.floor_char_boundary(NAME_BYTES_MAX.saturating_sub(number.len())));
            numbered + &number
        };
        let is_free = |name: &String| !self.chosen.contains(name) && !catalog.is_taken(self.schema, name);
        let free = (0..).map(numbered).find(is_free).unwrap_or_default();
        self.chosen.insert(free.clone());
        free
    }
}

/// What a branch over an index, as that was at a moment, lies over: that, and what it lies over itself.
async fn layers_over(transaction: &mut Transaction, over: IndexId, at: u64) -> Result<Vec<Layer>> {
    let mut layers = vec![Layer { index: over, at }];
    if keys::sql::is_branch(over) {
        let row = transaction.get(BranchRow::key(over)).await?.ok_or_else(too_old)?;
        layers.extend(BranchRow::decode(row)?.layers);
    }
    Ok(layers)
}

/// A table as it was, and the sequences that went with its columns.
async fn source_then(
    client: &Client,
    past: &mut Transaction,
    catalog: &CatalogSnapshot,
    of: &TableDescriptor,
) -> Result<(TableDescriptor, Vec<SequenceThen>)> {
    let home = catalog.home();
    let row = past.get(stored::table_key(home, of.oid)).await?;
    let missing = || Error::new("42P01", format!("relation \"{}\" did not exist at that moment", of.name));
    let row = row.ok_or_else(missing)?;
    let (kinds, objects) = store::load_objects(past, home).await?;
    let table = stored::decode_table(&row, &kinds)?;
    if let Some(column) =
        table.columns.iter().find(|column| !catalog.objects().is_as_then(column.ty.kind, &objects))
    {
        let message = format!("attributes of the type of column \"{}\" have been altered since", column.name);
        return Err(Error::new("55000", message));
    }
    check_spelling(catalog, &table, &objects)?;
    let mut sequences = Vec::new();
    for object in &objects {
        let Some(sequence) = object.sequence() else { continue };
        if sequence.owner.is_some_and(|owner| owner.table == of.oid) {
            let is_there = catalog
                .objects()
                .get(object.oid)
                .and_then(|now| now.sequence())
                .is_some_and(|now| now.state == sequence.state);
            let state = state_of(client, past, sequence, is_there).await?;
            sequences.push((ObjectDescriptor::clone(object), state));
        }
    }
    Ok((table, sequences))
}

/// How far a sequence was. The history of numbers is not kept for longer with that of tables: where it does not reach back so far it
/// is how far the sequence is now, if `is_there`.
async fn state_of(
    client: &Client,
    past: &mut Transaction,
    sequence: &SequenceDescriptor,
    is_there: bool,
) -> Result<SequenceState> {
    match state_then(past, sequence).await {
        Err(error) if is_there && error.sqlstate == TOO_OLD => {
            let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
            let mut now = client.begin(options);
            let state = state_then(&mut now, sequence).await;
            now.rollback().await;
            state
        }
        known => known,
    }
}

/// Has the cluster keep what lies below branches, all of which is there still, in every range that holds a part of it. `wanted` was
/// to be kept before.
async fn keep_below(client: &Client, branches: &Branches, wanted: &[KeptHistory]) -> Result<()> {
    let history = kept::tell_kept(client).await?;
    let below = branches.below();
    // What a range is about to forget it may forget after it was asked.
    let told = (history.safe_point.max(client.safe_point()), history.newest);
    if !below.iter().all(|index| kept::outlasts(wanted, *index, branches.at, told)) {
        return Err(too_old());
    }
    let spans: Vec<Span> = below.iter().map(|index| keys::sql::index_span(TENANT_DEFAULT, *index)).collect();
    let ranges = client.ranges(&keys::sql::data_span()).await?;
    let within = |span: &Span| {
        let starts = ranges.iter().map(|range| range.span.start.clone()).filter(|start| span.contains(start));
        starts.chain([span.start.clone()]).collect::<Vec<_>>()
    };
    let asked: Vec<Bytes> = spans.iter().flat_map(within).collect();
    let mut past = client.past(branches.at);
    // Other replicas may not know yet what their leader has forgotten.
    past.ask_leaders();
    for some in asked.chunks(KEYS_ASKED) {
        past.get_many(some.to_vec()).await?;
    }
    past.rollback().await;
    Ok(())
}

/// 72000 if something of what lies below branches was erased.
async fn check_erased(transaction: &mut Transaction, branches: &Branches) -> Result<()> {
    let layers: Vec<Layer> = branches.made.iter().flat_map(|(_, row)| row.layers.iter().copied()).collect();
    let keys = layers.iter().map(|layer| erased::key(layer.index)).collect();
    for (row, layer) in transaction.get_many(keys).await?.into_iter().zip(layers) {
        let Some(row) = row else { continue };
        if erased::decode(&row)?.until() > layer.at {
            let message = "the rows of that moment, or some of them, were erased";
            return Err(Error::new(TOO_OLD, message));
        }
    }
    Ok(())
}

/// Branches that come to nothing: what lies below need not be kept for them. If they cannot be forgotten now they are as those of a
/// table that is dropped.
async fn forget(client: &Client, branches: &Branches) {
    let mut transaction = client.begin(TransactionOptions::default());
    for (branch, _) in &branches.made {
        transaction.delete(BranchRow::key(*branch));
        transaction.delete(dropped::key(*branch));
    }
    if let Err(error) = transaction.commit().await {
        tracing::debug!(%error, "branches that came to nothing are forgotten later");
    }
}

fn too_old() -> Error {
    Error::new(TOO_OLD, "the rows of that moment are kept no more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_clone_are_called_after_it() {
        let catalog = CatalogSnapshot::default();
        let long = "y".repeat(NAME_BYTES_MAX);
        let mut names = Names { from: "t", to: "c", schema: "public", chosen: ["c".to_owned()].into() };
        assert_eq!(names.of(&catalog, "t_pkey"), "c_pkey");
        assert_eq!(names.of(&catalog, "t_pkey"), "c_pkey1");
        assert_eq!(names.of(&catalog, "total_idx"), "c_total_idx");
        assert_eq!(names.of(&catalog, ""), "");
        let (first, second) = (names.of(&catalog, &long), names.of(&catalog, &long));
        assert_eq!((first.len(), second.len()), (NAME_BYTES_MAX, NAME_BYTES_MAX));
        assert!(first.starts_with("c_yyy") && second.ends_with("y1"));
    }
}
