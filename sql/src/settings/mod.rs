//! Settings: what SET changes and SHOW tells.
//!
//! A setting has a value for the session and may have one for the transaction on top (SET LOCAL). Changes within a
//! transaction are undone when it, or the savepoint they stand behind, is rolled back. What statements ask for on
//! every execution is kept beside the texts in the form in which it is used ([`Settings::hot`]).

mod cluster;
mod definitions;
mod hot;
mod shared;
mod to_come;
pub(crate) mod value;

pub use cluster::GatewayBounds;
pub(crate) use cluster::{
    CLUSTER_SETTINGS, backup_bytes_per_second, bounds_of_gateways, defaults_of_sessions, find_cluster,
    normalise_cluster,
};
pub(crate) use definitions::AUDIT;
pub use definitions::{Definition, SERVER_VERSION};
pub use hot::{Hot, SessionLimits, Traced};
pub use shared::{Request, SharedSettings};
pub(crate) use to_come::check_default;
pub(crate) use value::join_values;

use std::collections::BTreeMap;
use std::sync::Arc;

use audit::Classes;
use client::Isolation;
use expr::SessionContext;

use crate::catalog::{Oid, SearchPath};
use crate::error::{Error, Result};
use crate::parse::{Dialect, StringRules};
use definitions::Context;
use value::Before;

/// What a client's startup packet says.
#[derive(Debug, Clone, Default)]
pub struct SessionParameters {
    /// The user.
    pub user: String,
    /// The database; empty means the user's name.
    pub database: String,
    /// The database's oid; `None`: it is the first one, whatever it is called.
    pub database_oid: Option<Oid>,
    /// What settings are at first in sessions of this user, in this database.
    pub defaults: Vec<(String, String)>,
    /// All other parameters of the startup packet, `application_name` and `client_encoding` among them.
    pub settings: Vec<(String, String)>,
    /// The role is no superuser: what only those may set it may not.
    pub is_restricted: bool,
    /// The connection is encrypted.
    pub encrypted: bool,
    /// How the client has shown who it is.
    pub authentication: &'static str,
    /// What the gateway tells of itself: values of settings that nobody changes in a session.
    pub told: Vec<(&'static str, String)>,
}

/// `role` where no SET ROLE is in force. No role can be called so.
pub(crate) const NO_ROLE: &str = "none";

/// What the parameters that clients make up may take of a session.
const CUSTOM_BYTES_MAX: usize = 1 << 20;

/// A session's settings.
#[derive(Debug)]
pub struct Settings {
    slots: BTreeMap<String, Slot>,
    undo: Vec<Undo>,
    /// The length of `undo` at the last savepoint: of what came since, the first change of each setting suffices.
    undo_mark: usize,
    changed: Vec<&'static str>,
    hot: Hot,
    /// `search_path` changed: names may mean other tables.
    search_path_generation: u64,
    shared: Arc<SharedSettings>,
    /// Why settings of the role or the database are not in force.
    left_out: Vec<Error>,
}

#[derive(Debug, Clone)]
struct Slot {
    definition: Option<&'static Definition>,
    reset: Arc<str>,
    session: Arc<str>,
    local: Option<Arc<str>>,
}

impl Slot {
    fn effective(&self) -> &Arc<str> {
        self.local.as_ref().unwrap_or(&self.session)
    }

    /// What it holds if a client made its name up.
    fn made_up(&self) -> Option<MadeUp> {
        let local = self.local.as_ref().map_or(0, |local| local.len());
        self.definition.is_none().then_some(MadeUp { session: self.session.len(), local })
    }
}

/// The bytes of the values of a name that a client made up.
#[derive(Debug, Clone, Copy, Default)]
struct MadeUp {
    session: usize,
    local: usize,
}

impl MadeUp {
    fn bytes(self, name: &str) -> usize {
        size_of::<Slot>() + name.len() + self.session + self.local
    }

    /// 53200 if it and the others would take too much room.
    fn check_room<'a>(self, key: &str, others: impl Iterator<Item = (&'a String, Self)>) -> Result<()> {
        let others = others.filter(|(name, _)| *name != key);
        let bytes: usize = others.map(|(name, other)| other.bytes(name)).sum();
        if bytes.saturating_add(self.bytes(key)) <= CUSTOM_BYTES_MAX {
            return Ok(());
        }
        Err(Error::new("53200", format!("out of memory: no room for parameter \"{key}\"")).detail(format!(
            "Parameters with a dot in their name may take {} kB of a session.",
            CUSTOM_BYTES_MAX >> 10
        )))
    }
}

#[derive(Debug)]
struct Undo {
    name: String,
    /// `None`: the setting did not exist.
    before: Option<Slot>,
}

/// A setting and its value.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value now.
    pub value: &'a Arc<str>,
    /// Its value after RESET.
    pub reset: &'a Arc<str>,
    /// What it is; `None` of a name with a dot that a client made up.
    pub definition: Option<&'static Definition>,
}

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// SET: the session, once the transaction commits.
    Session,
    /// SET LOCAL: the rest of the transaction.
    Local,
}

impl Settings {
    /// The settings of a new session. Startup parameters that are wrong refuse it, as in PostgreSQL.
    pub fn new(parameters: &SessionParameters, context: &mut SessionContext) -> Result<Self> {
        let mut slots = BTreeMap::new();
        for definition in definitions::all() {
            let value: Arc<str> = match definition.name {
                "session_authorization" => parameters.user.as_str().into(),
                "is_superuser" if parameters.is_restricted => "off".into(),
                name => match parameters.told.iter().find(|(told, _)| *told == name) {
                    Some((_, value)) => {
                        let before = Before { now: definition.default, reset: definition.default };
                        value::normalise(definition, value, before)?.into()
                    }
                    None => definition.default.into(),
                },
            };
            slots.insert(
                definition.name.to_ascii_lowercase(),
                Slot { definition: Some(definition), reset: value.clone(), session: value, local: None },
            );
        }
        let mut settings = Self {
            slots,
            undo: Vec::new(),
            undo_mark: 0,
            changed: Vec::new(),
            hot: Hot {
                statement_timeout: None,
                transaction_timeout: None,
                lock_timeout: None,
                idle_in_transaction_timeout: None,
                idle_session_timeout: None,
                log_statements_over: None,
                audit: Classes::NONE,
                default_isolation: Isolation::Serializable,
                default_uncommitted: false,
                default_read_only: false,
                default_deferrable: false,
                use_follower_reads: false,
                search_path: SearchPath::default(),
                dialect: Dialect::default(),
                strings: StringRules::USUAL,
                row_security: true,
                has_columns_then: false,
                is_superuser: !parameters.is_restricted,
                sends_notices: true,
                sends_warnings: true,
                limits: SessionLimits::default(),
                traced: Traced::default(),
                work_bytes: usize::MAX,
                temporary_bytes_max: None,
            },
            search_path_generation: 0,
            shared: Arc::default(),
            left_out: Vec::new(),
        };
        for (name, value) in &parameters.defaults {
            // Whoever said so may have known more settings, or other values: that keeps nobody out.
            if let Err(error) = settings.put(name, Some(value), Scope::Session, context, true) {
                settings.left_out.push(error);
            } else if let Some(slot) = settings.slots.get_mut(&name.to_ascii_lowercase()) {
                slot.reset = slot.session.clone();
            }
        }
        for (name, value) in &parameters.settings {
            settings.set(name, Some(value), Scope::Session, context)?;
            if let Some(slot) = settings.slots.get_mut(&name.to_ascii_lowercase()) {
                slot.reset = slot.session.clone();
            }
        }
        settings.undo.clear();
        settings.undo_mark = 0;
        settings.changed = definitions::all().filter(|d| d.reported).map(|d| d.name).collect();
        settings.derive(context);
        Ok(settings)
    }

    /// What statements ask for on every execution.
    pub fn hot(&self) -> &Hot {
        &self.hot
    }

    /// Why settings of the role or the database are not in force, once.
    pub(crate) fn take_left_out(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.left_out)
    }

    /// The settings as functions see them.
    pub fn shared(&self) -> &Arc<SharedSettings> {
        &self.shared
    }

    /// Rises whenever `search_path` changes.
    pub fn search_path_generation(&self) -> u64 {
        self.search_path_generation
    }

    /// Sets what only the session itself may: `role`, `session_authorization`, `is_superuser`.
    pub(crate) fn assign(
        &mut self,
        name: &str,
        value: &str,
        scope: Scope,
        context: &mut SessionContext,
    ) -> Result<()> {
        self.put(name, Some(value), scope, context, true)
    }

    /// SET and SET LOCAL; `None` is DEFAULT (and RESET).
    pub fn set(
        &mut self,
        name: &str,
        value: Option<&str>,
        scope: Scope,
        context: &mut SessionContext,
    ) -> Result<()> {
        self.put(name, value, scope, context, false)
    }

    fn put(
        &mut self,
        name: &str,
        value: Option<&str>,
        scope: Scope,
        context: &mut SessionContext,
        by_session: bool,
    ) -> Result<()> {
        let key = name.to_ascii_lowercase();
        let before = self.slots.get(&key).cloned();
        let mut slot = match &before {
            Some(slot) => slot.clone(),
            // Names with a dot are anybody's, as PostgreSQL's customised options are.
            None if name.contains('.') => {
                Slot { definition: None, reset: "".into(), session: "".into(), local: None }
            }
            None => return Err(unrecognised(name)),
        };
        if let Some(definition) = slot.definition
            && definition.context == Context::Internal
            && !by_session
        {
            let message = format!("parameter \"{}\" cannot be changed", definition.name);
            return Err(Error::new("55P02", message));
        }
        if let Some(definition) = slot.definition
            && definition.context == Context::Superuser
            && !by_session
            && !self.hot.is_superuser
        {
            let message = format!("permission denied to set parameter \"{}\"", definition.name);
            return Err(Error::new("42501", message));
        }
        let value: Arc<str> = match (slot.definition, value) {
            (Some(definition), Some(value)) => {
                let before = Before { now: slot.effective(), reset: &slot.reset };
                value::normalise(definition, value, before)?.into()
            }
            (None, Some(value)) => value.into(),
            (_, None) => slot.reset.clone(),
        };
        if slot.definition.is_some_and(|definition| definition.name == "TimeZone") {
            context.set_time_zone(&value)?;
        }
        match scope {
            Scope::Session => {
                slot.session = value;
                slot.local = None;
            }
            Scope::Local => slot.local = Some(value),
        }
        self.note_change(&slot, before.as_ref());
        if let Some(made_up) = slot.made_up() {
            made_up.check_room(&key, self.made_up())?;
        }
        self.slots.insert(key.clone(), slot);
        if !self.undo.iter().skip(self.undo_mark).any(|undo| undo.name == key) {
            self.undo.push(Undo { name: key, before });
        }
        self.derive(context);
        Ok(())
    }

    /// The names that clients made up.
    fn made_up(&self) -> impl Iterator<Item = (&String, MadeUp)> {
        self.slots.iter().filter_map(|(name, slot)| Some((name, slot.made_up()?)))
    }

    /// RESET ALL.
    pub fn reset_all(&mut self, context: &mut SessionContext) -> Result<()> {
        let names: Vec<String> = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.definition.is_none_or(|d| d.context != Context::Internal))
            .filter(|(_, slot)| slot.effective() != &slot.reset || slot.session != slot.reset)
            .filter(|(name, _)| !name.starts_with("transaction_"))
            .map(|(name, _)| name.clone())
            .collect();
        // What the session began with anybody may go back to.
        names.iter().try_for_each(|name| self.put(name, None, Scope::Session, context, true))
    }

    /// SHOW: the value of a setting.
    pub fn show(&self, name: &str) -> Result<Arc<str>> {
        let key = name.to_ascii_lowercase();
        self.slots.get(&key).map(|slot| slot.effective().clone()).ok_or_else(|| unrecognised(name))
    }

    /// A setting's name as SHOW's column is called.
    pub fn canonical_name(&self, name: &str) -> String {
        definitions::find(name)
            .map_or_else(|| name.to_ascii_lowercase(), |definition| definition.name.to_owned())
    }

    /// All settings with their values, by name.
    pub fn all(&self) -> impl Iterator<Item = Setting<'_>> {
        self.slots.iter().map(|(key, slot)| Setting {
            name: slot.definition.map_or(key.as_str(), |definition| definition.name),
            value: slot.effective(),
            reset: &slot.reset,
            definition: slot.definition,
        })
    }

    /// The reported settings that changed since the last call, with their values.
    pub fn take_changes(&mut self) -> Vec<(&'static str, String)> {
        if self.changed.is_empty() {
            return Vec::new();
        }
        let mut names = std::mem::take(&mut self.changed);
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| {
                let slot = self.slots.get(&name.to_ascii_lowercase())?;
                Some((name, slot.effective().to_string()))
            })
            .collect()
    }

    /// Where the undo log stands: for a savepoint.
    pub fn mark(&mut self) -> usize {
        self.undo_mark = self.undo.len();
        self.undo_mark
    }

    /// Undoes the changes since `mark`.
    pub fn rollback_to(&mut self, mark: usize, context: &mut SessionContext) {
        self.undo_mark = self.undo_mark.min(mark);
        if self.undo.len() <= mark {
            return;
        }
        for undo in self.undo.split_off(mark).into_iter().rev() {
            match undo.before {
                Some(slot) => {
                    let now = self.slots.insert(undo.name, slot.clone());
                    self.note_change(&slot, now.as_ref());
                }
                None => {
                    self.slots.remove(&undo.name);
                }
            }
        }
        self.restore_time_zone(context);
        self.derive(context);
    }

    /// The transaction ended well: what was set stays, what was set locally goes.
    pub fn commit(&mut self, context: &mut SessionContext) {
        if self.undo.is_empty() {
            return;
        }
        self.undo_mark = 0;
        for undo in std::mem::take(&mut self.undo) {
            let Some(slot) = self.slots.get_mut(&undo.name) else { continue };
            let before = slot.clone();
            if slot.local.take().is_some() {
                let slot = slot.clone();
                self.note_change(&slot, Some(&before));
            }
        }
        self.restore_time_zone(context);
        self.derive(context);
    }

    fn note_change(&mut self, slot: &Slot, before: Option<&Slot>) {
        let Some(definition) = slot.definition else { return };
        let changed = before.is_none_or(|before| before.effective() != slot.effective());
        if definition.reported && changed {
            self.changed.push(definition.name);
        }
        // What names mean and who asks: both decide how statements are planned.
        let decides = matches!(
            definition.name,
            "search_path" | "role" | "session_authorization" | "row_security" | "nunatak.history_columns"
        );
        if decides && changed {
            self.search_path_generation += 1;
        }
    }

    fn restore_time_zone(&self, context: &mut SessionContext) {
        let name = self.text("timezone");
        if *context.time_zone_name != *name {
            // It was valid when it was set.
            let _ = context.set_time_zone(&name);
        }
    }

    fn text(&self, key: &str) -> Arc<str> {
        self.slots.get(key).map_or_else(|| "".into(), |slot| slot.effective().clone())
    }

    fn publish(&self) {
        let values = self.slots.iter().map(|(name, slot)| (name.clone(), slot.effective().clone()));
        let made_up = self.made_up().map(|(name, made_up)| (name.clone(), made_up));
        let changed = self
            .slots
            .iter()
            .filter(|(_, slot)| slot.definition.is_none_or(|definition| definition.default != &*slot.reset));
        let resets = changed.map(|(name, slot)| (name.clone(), slot.reset.clone()));
        self.shared.publish(values.collect(), made_up.collect(), resets.collect());
    }

    /// What a session's context will be once it has done what `set_config` asked for, and, if that `commits`, what was set locally
    /// is gone again; `None`: nothing was asked for.
    ///
    /// # Errors
    /// It cannot be done.
    pub(crate) fn foreseen(&self, context: &SessionContext, commits: bool) -> Result<Option<SessionContext>> {
        let requests = self.shared.requests();
        if requests.is_empty() {
            return Ok(None);
        }
        let mut context = context.clone();
        let mut settings = Self {
            slots: self.slots.clone(),
            undo: Vec::new(),
            undo_mark: 0,
            changed: Vec::new(),
            hot: self.hot.clone(),
            search_path_generation: self.search_path_generation,
            shared: Arc::default(),
            left_out: Vec::new(),
        };
        for Request { name, value, scope } in &requests {
            settings.set(name, value.as_deref(), *scope, &mut context)?;
        }
        if commits {
            settings.commit(&mut context);
        }
        Ok(Some(context))
    }

    /// A statement failed, or is run again: what its `set_config` asked for is as if it had not been.
    pub fn forget_requests(&self) {
        if !self.shared.take_requests().is_empty() {
            self.publish();
        }
    }
}

/// Whether superusers alone may change a setting of this name.
pub(crate) fn is_for_superusers(name: &str) -> bool {
    definitions::find(name).is_some_and(|definition| definition.context == Context::Superuser)
}

/// Whether a setting of this name is one that clients make up.
pub(crate) fn is_made_up(name: &str) -> bool {
    definitions::find(name).is_none()
}

/// The level of this name, in PostgreSQL's words. READ UNCOMMITTED is READ COMMITTED, as there.
pub fn isolation(name: &str) -> Isolation {
    match name {
        "repeatable read" => Isolation::RepeatableRead,
        "read committed" | "read uncommitted" => Isolation::ReadCommitted,
        _ => Isolation::Serializable,
    }
}

fn unrecognised(name: &str) -> Error {
    Error::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}
