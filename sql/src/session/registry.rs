//! A session's named things: prepared statements and portals, whoever made them, by SQL or by the protocol.
//!
//! The name "" is the protocol's unnamed statement and portal, which their successors replace.

use std::collections::HashSet;
use std::sync::Arc;

use expr::Datum;
use expr::session::now_micros;

use super::cursor::Cursor;
use super::format::{ColumnFormats, Format};
use super::named::Named;
use super::portal::Portal;
use super::prepared::Prepared;
use crate::error::{Error, Result};
use crate::execute::memory::row_bytes;
use crate::system::ShownStatement;

/// What a name was given to; None: a string without a statement.
pub type Source = Option<Arc<Prepared>>;

/// A statement and its trees are taken to hold so many bytes, and so many for each byte of its text; its plan, which a
/// short text may make large, comes to that.
const STATEMENT_BYTES: usize = 2 << 10;
const STATEMENT_BYTES_PER_BYTE: usize = 8;

/// A portal's, beside its parameters and formats.
const PORTAL_BYTES: usize = 512;

/// A portal by name.
pub struct BoundPortal {
    /// The statement that it runs.
    pub source: Source,
    /// The formats of its columns.
    pub formats: ColumnFormats,
    /// How far it is.
    pub state: PortalState,
    /// See [`Registry::portals_mark`].
    age: u64,
    bytes: usize,
    /// It is a cursor that is held beyond its transaction, be it under way.
    is_held: bool,
}

/// How far a portal is.
pub enum PortalState {
    /// Not yet executed; its parameters.
    Ready(Vec<Datum>),
    /// Executed in part.
    Started(Box<Portal>),
    /// Executed to its end.
    Finished,
    /// A cursor that SQL has declared.
    Cursor(Box<Cursor>),
    /// Such a cursor while it runs, and for good if that has failed.
    Failed,
}

/// A statement by a name.
struct NamedStatement {
    source: Source,
    /// When it was made, in microseconds since 2000.
    prepared: i64,
    /// The text of PREPARE, if that has made it.
    written: Option<Arc<str>>,
}

/// The statements and portals of a session.
///
/// Invariants:
/// - `bytes` is the sum of what its members were charged, and at most `bytes_max` but for the unnamed ones;
/// - no portal but a cursor that is held outlives the transaction that it was made in, nor the savepoint that it was made behind.
pub(super) struct Registry {
    statements: Named<NamedStatement>,
    /// The statements that have names, as they are shown: there until they are others.
    shown: Option<Arc<[ShownStatement]>>,
    portals: Named<BoundPortal>,
    bytes: usize,
    bytes_max: usize,
    next_age: u64,
    /// Portals of this age and older were made in a transaction that has ended.
    oldest: u64,
    /// The names of portals that ended when the block failed that is under way.
    ended: HashSet<String>,
}

impl Registry {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            statements: Named::default(),
            shown: None,
            portals: Named::default(),
            bytes: 0,
            bytes_max,
            next_age: 0,
            oldest: 0,
            ended: HashSet::new(),
        }
    }

    /// Names a statement.
    ///
    /// # Errors
    /// 42P05 if the name is taken, 53200 if the session holds too much.
    pub(super) fn add_statement(&mut self, name: &str, source: Source) -> Result<()> {
        let bytes = charge_of(name, &source);
        if name.is_empty() {
            self.remove_statement(name);
        } else {
            self.check_statement_name(name)?;
            self.check_room(bytes, "prepared statements", "Deallocate those that are no longer used.")?;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let prepared = if name.is_empty() { 0 } else { now_micros() };
        self.statements.insert(name, NamedStatement { source, prepared, written: None });
        self.shown = None;
        Ok(())
    }

    /// A statement was made by PREPARE, whose text this is.
    pub(super) fn was_written(&mut self, name: &str, text: Arc<str>) {
        if let Some(named) = self.statements.get_mut(name) {
            named.written = Some(text);
        }
        self.shown = None;
    }

    /// The statements that have names, as views show them.
    pub(super) fn shown_statements(&mut self) -> Arc<[ShownStatement]> {
        if let Some(shown) = &self.shown {
            return shown.clone();
        }
        let named = self.statements.iter().filter(|(name, _)| !name.is_empty());
        let mut shown: Vec<ShownStatement> = named
            .map(|(name, named)| {
                let source = named.source.as_deref();
                let text = source.map(|prepared| prepared.statement.0.text.clone());
                let parameters = source.map_or(&[][..], |prepared| prepared.parameters.as_slice());
                ShownStatement {
                    name: name.to_owned(),
                    statement: named.written.clone().or(text).unwrap_or_default(),
                    prepared: named.prepared,
                    parameters: parameters.iter().map(|ty| ty.kind.oid()).collect(),
                    from_sql: named.written.is_some(),
                }
            })
            .collect();
        shown.sort_by(|left, right| left.name.cmp(&right.name));
        let shown: Arc<[ShownStatement]> = shown.into();
        self.shown = Some(shown.clone());
        shown
    }

    /// 42P05 if a statement of this name exists.
    pub(super) fn check_statement_name(&self, name: &str) -> Result<()> {
        if !name.is_empty() && self.statements.contains(name) {
            return Err(Error::new("42P05", format!("prepared statement \"{name}\" already exists")));
        }
        Ok(())
    }

    /// The statement of this name; 26000 if there is none.
    pub(super) fn statement(&self, name: &str) -> Result<&Source> {
        self.statements.get(name).map(|named| &named.source).ok_or_else(|| {
            Error::new(
                "26000",
                if name.is_empty() {
                    "unnamed prepared statement does not exist".to_owned()
                } else {
                    format!("prepared statement \"{name}\" does not exist")
                },
            )
        })
    }

    /// Forgets a statement; whether there was one. Portals over it go on.
    pub(super) fn remove_statement(&mut self, name: &str) -> bool {
        let Some(named) = self.statements.remove(name) else { return false };
        self.bytes = self.bytes.saturating_sub(charge_of(name, &named.source));
        self.shown = None;
        true
    }

    /// Forgets all statements but the unnamed one.
    pub(super) fn clear_statements(&mut self) {
        self.statements.clear_named();
        self.shown = None;
        self.count_anew();
    }

    /// Names a portal.
    ///
    /// # Errors
    /// 42P03 if the name is taken, 53200 if the session holds too much.
    pub(super) fn add_portal(
        &mut self,
        name: &str,
        source: Source,
        parameters: Vec<Datum>,
        formats: ColumnFormats,
    ) -> Result<()> {
        let held = name.len().saturating_add(row_bytes(&parameters)).saturating_add(formats.size_bytes());
        let bytes = PORTAL_BYTES.saturating_add(held);
        if name.is_empty() {
            self.remove_portal(name);
        } else {
            if self.portals.contains(name) {
                return Err(Error::new("42P03", format!("cursor \"{name}\" already exists")));
            }
            self.check_room(bytes, "portals", "Close those that are no longer used.")?;
        }
        self.next_age += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let state = PortalState::Ready(parameters);
        self.portals
            .insert(name, BoundPortal { source, formats, state, age: self.next_age, bytes, is_held: false });
        Ok(())
    }

    /// 42P03 if a portal of this name exists.
    pub(super) fn check_cursor_name(&self, name: &str) -> Result<()> {
        if self.portals.contains(name) {
            return Err(Error::new("42P03", format!("cursor \"{name}\" already exists")));
        }
        Ok(())
    }

    /// Names a cursor.
    ///
    /// # Errors
    /// 42P03 if the name is taken, 53200 if the session holds too much.
    pub(super) fn add_cursor(&mut self, name: &str, cursor: Cursor) -> Result<()> {
        let source = Some(cursor.prepared.clone());
        let text = cursor.statement.len();
        self.add_portal(name, source, Vec::new(), ColumnFormats::Uniform(Format::Text))?;
        if let Some(portal) = self.portals.get_mut(name) {
            portal.state = PortalState::Cursor(Box::new(cursor));
            portal.bytes = portal.bytes.saturating_add(text);
            self.bytes = self.bytes.saturating_add(text);
        }
        Ok(())
    }

    /// The cursor of this name.
    ///
    /// # Errors
    /// 34000 if there is none, 55000 if it has failed, 0A000 if it is a portal of the protocol.
    pub(super) fn cursor(&self, name: &str) -> Result<&Cursor> {
        match self.portals.get(name).map(|portal| &portal.state) {
            Some(PortalState::Cursor(cursor)) => Ok(cursor),
            other => Err(not_a_cursor(name, other)),
        }
    }

    /// Takes a cursor out to run it. Unless it is put back its name stands for one that has failed.
    pub(super) fn take_cursor(&mut self, name: &str) -> Result<Cursor> {
        self.cursor(name)?;
        let state = self.portals.get_mut(name).map(|portal| &mut portal.state);
        match state.map(|state| std::mem::replace(state, PortalState::Failed)) {
            Some(PortalState::Cursor(cursor)) => Ok(*cursor),
            other => Err(not_a_cursor(name, other.as_ref())),
        }
    }

    /// Puts a cursor back after a run.
    pub(super) fn put_cursor(&mut self, name: &str, cursor: Cursor) {
        if let Some(portal) = self.portals.get_mut(name) {
            portal.is_held = cursor.is_held();
            portal.state = PortalState::Cursor(Box::new(cursor));
        }
    }

    /// All cursors, by name.
    pub(super) fn cursors(&self) -> impl Iterator<Item = (&str, &Cursor)> {
        self.portals.iter().filter_map(|(name, portal)| match &portal.state {
            PortalState::Cursor(cursor) => Some((name, &**cursor)),
            _ => None,
        })
    }

    /// The names of cursors that are to be held beyond the transaction under way.
    pub(super) fn cursors_to_hold(&self) -> Vec<String> {
        let wanted = self.cursors().filter(|(_, cursor)| cursor.options.hold && !cursor.is_held());
        wanted.map(|(name, _)| name.to_owned()).collect()
    }

    /// The portal of this name.
    pub(super) fn portal(&self, name: &str) -> Result<&BoundPortal> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out to run it; a run that fails leaves none behind.
    pub(super) fn take_portal(&mut self, name: &str) -> Result<BoundPortal> {
        let portal = self.portals.remove(name).ok_or_else(|| no_portal(name))?;
        self.bytes = self.bytes.saturating_sub(portal.bytes);
        Ok(portal)
    }

    /// Puts a portal back after a run, unless the transaction that it was made in has ended meanwhile, and it with it.
    pub(super) fn put_portal(&mut self, name: &str, portal: BoundPortal) {
        if portal.age <= self.oldest && !portal.is_held {
            return;
        }
        if !self.portals.contains(name) {
            self.bytes = self.bytes.saturating_add(portal.bytes);
            self.portals.insert(name, portal);
        }
    }

    /// Forgets a portal.
    pub(super) fn remove_portal(&mut self, name: &str) {
        if !self.ended.is_empty() {
            self.ended.remove(name);
        }
        if let Some(portal) = self.portals.remove(name) {
            self.bytes = self.bytes.saturating_sub(portal.bytes);
        }
    }

    /// Forgets all portals; what is run now goes on.
    pub(super) fn clear_portals(&mut self) {
        self.portals.clear();
        self.count_anew();
    }

    /// Portals made from now on are younger than this.
    pub(super) fn portals_mark(&self) -> u64 {
        self.next_age
    }

    /// Portals of the transaction under way are younger than this.
    pub(super) fn transaction_mark(&self) -> u64 {
        self.oldest
    }

    /// The transaction under way is not committed: what was to be held beyond it ends with it.
    pub(super) fn hold_none_since(&mut self, mark: u64) {
        for portal in self.portals.iter_mut().filter(|portal| portal.age > mark) {
            portal.is_held = false;
        }
    }

    /// The transaction of all portals has ended; in a block that has failed their names are still known.
    pub(super) fn end_portals(&mut self, in_failed_block: bool) {
        self.oldest = self.next_age;
        if in_failed_block {
            let ended = self.portals.iter().filter(|(_, portal)| !portal.is_held);
            self.ended.extend(ended.map(|(name, _)| name.to_owned()));
        } else {
            self.ended.clear();
        }
        if !self.portals.is_empty() {
            self.portals.retain(|portal| portal.is_held);
            self.count_anew();
        }
    }

    /// A portal of a block that has failed is no more.
    pub(super) fn note_ended(&mut self, name: &str) {
        self.ended.insert(name.to_owned());
    }

    /// Whether a portal of this name ended with the block that has failed.
    pub(super) fn has_ended(&self, name: &str) -> bool {
        self.ended.contains(name)
    }

    /// A savepoint was gone back to: the portals made behind it end.
    pub(super) fn end_portals_since(&mut self, mark: u64) {
        self.portals.retain(|portal| portal.age <= mark);
        self.count_anew();
    }

    fn check_room(&self, bytes: usize, what: &str, hint: &str) -> Result<()> {
        if self.bytes.saturating_add(bytes) <= self.bytes_max {
            return Ok(());
        }
        Err(Error::new("53200", format!("out of memory: the session has too many {what}"))
            .detail(format!(
                "Prepared statements and portals of one session may hold {} MB.",
                self.bytes_max >> 20
            ))
            .hint(hint))
    }

    fn count_anew(&mut self) {
        let statements = self.statements.iter().map(|(name, named)| charge_of(name, &named.source));
        let portals = self.portals.iter().map(|(_, portal)| portal.bytes);
        self.bytes = statements.chain(portals).fold(0, usize::saturating_add);
    }
}

/// What a statement by a name is charged.
pub(super) fn charge_of(name: &str, source: &Source) -> usize {
    let held = source.as_ref().map_or(0, |prepared| {
        let text = prepared.statement.0.text.len();
        text.saturating_mul(STATEMENT_BYTES_PER_BYTE).saturating_add(prepared.plan_bytes)
    });
    STATEMENT_BYTES.saturating_add(name.len()).saturating_add(held)
}

fn not_a_cursor(name: &str, state: Option<&PortalState>) -> Error {
    match state {
        None => Error::new("34000", format!("cursor \"{name}\" does not exist")),
        Some(PortalState::Cursor(_) | PortalState::Failed) => {
            Error::new("55000", format!("portal \"{name}\" cannot be run"))
        }
        Some(_) => Error::unsupported("FETCH from a portal that a message has bound"),
    }
}

fn no_portal(name: &str) -> Error {
    Error::new("34000", format!("portal \"{name}\" does not exist"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::format::Format;

    fn bind(registry: &mut Registry, name: &str) -> Result<()> {
        registry.add_portal(name, None, Vec::new(), ColumnFormats::Uniform(Format::Text))
    }

    #[test]
    fn what_a_session_names_is_bounded_and_given_back() {
        let mut registry = Registry::new(5 * STATEMENT_BYTES);
        let mut named = 0;
        while registry.add_statement(&format!("s{named}"), None).is_ok() {
            named += 1;
        }
        assert_eq!(named, 4);
        assert_eq!(registry.add_statement("s9", None).unwrap_err().sqlstate, "53200");
        registry.add_statement("", None).unwrap();
        assert!(registry.remove_statement("s0"));
        registry.clear_statements();
        assert!(registry.statement("").is_ok() && registry.statement("s1").is_err());
        assert_eq!(registry.bytes, STATEMENT_BYTES);
        while bind(&mut registry, &format!("p{named}")).is_ok() {
            named += 1;
        }
        registry.end_portals(false);
        assert_eq!(registry.bytes, STATEMENT_BYTES);
    }

    #[test]
    fn portals_end_with_what_they_were_made_in() {
        let mut registry = Registry::new(1 << 20);
        bind(&mut registry, "before").unwrap();
        let mark = registry.portals_mark();
        bind(&mut registry, "behind").unwrap();
        registry.end_portals_since(mark);
        assert!(registry.portal("before").is_ok() && registry.portal("behind").is_err());
        bind(&mut registry, "after").unwrap();
        let after = registry.take_portal("after").unwrap();
        registry.put_portal("after", after);
        assert!(registry.portal("after").is_ok());
        let after = registry.take_portal("after").unwrap();
        registry.end_portals(false);
        registry.put_portal("after", after);
        assert!(registry.portal("after").is_err() && registry.portal("before").is_err());
    }

    #[test]
    fn what_is_held_outlives_its_transaction_and_not_one_that_is_rolled_back() {
        let mut registry = Registry::new(1 << 20);
        let hold = |registry: &mut Registry, name: &str| {
            bind(registry, name).unwrap();
            registry.portals.get_mut(name).unwrap().is_held = true;
        };
        hold(&mut registry, "held");
        registry.end_portals(false);
        let held = registry.take_portal("held").unwrap();
        registry.put_portal("held", held);
        hold(&mut registry, "lost");
        registry.hold_none_since(registry.transaction_mark());
        registry.end_portals(false);
        assert!(registry.portal("held").is_ok() && registry.portal("lost").is_err());
    }
}
