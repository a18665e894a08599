//! What `current_setting` reads, and what `set_config` leaves for the session to do after the statement.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::definitions::{self, AUDIT, Context};
use super::value::{self, Before};
use super::{MadeUp, Scope, unrecognised};
use crate::error::{Error, Result};

/// A session's settings as functions see them while a statement runs.
#[derive(Debug, Default)]
pub struct SharedSettings {
    values: Mutex<BTreeMap<String, Arc<str>>>,
    /// What the names that clients made up hold, once what was asked for is done.
    made_up: Mutex<BTreeMap<String, MadeUp>>,
    /// What settings are after RESET, where that is not what they are at first in every session.
    resets: Mutex<BTreeMap<String, Arc<str>>>,
    requests: Mutex<Vec<Request>>,
    /// Whether there may be any.
    has_requests: AtomicBool,
    /// Why what is audited was not changed, if that was asked for.
    refused: Mutex<Option<&'static str>>,
    /// Whether it may have been.
    has_refused: AtomicBool,
    /// The modes of the transaction under way, where they are not the defaults.
    transaction: Mutex<Option<Modes>>,
}

#[derive(Debug, Clone, Copy)]
struct Modes {
    isolation: &'static str,
    read_only: bool,
    deferrable: bool,
}

/// What `set_config` asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The setting.
    pub name: String,
    /// Its value; `None`: the default.
    pub value: Option<String>,
    /// How far it reaches.
    pub scope: Scope,
}

impl SharedSettings {
    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        let name = name.to_ascii_lowercase();
        let modes = *self.transaction.lock();
        match (name.as_str(), modes) {
            ("transaction_isolation", Some(modes)) => Some(modes.isolation.into()),
            ("transaction_read_only", Some(modes)) => Some(if modes.read_only { "on" } else { "off" }.into()),
            ("transaction_deferrable", Some(modes)) => {
                Some(if modes.deferrable { "on" } else { "off" }.into())
            }
            ("transaction_isolation" | "transaction_read_only" | "transaction_deferrable", None) => {
                self.values.lock().get(&format!("default_{name}")).cloned()
            }
            _ => self.values.lock().get(&name).cloned(),
        }
    }

    /// A transaction under way has these modes.
    pub(crate) fn enter_transaction(&self, isolation: &'static str, read_only: bool, deferrable: bool) {
        *self.transaction.lock() = Some(Modes { isolation, read_only, deferrable });
    }

    /// It has ended.
    pub(crate) fn leave_transaction(&self) {
        *self.transaction.lock() = None;
    }

    /// Notes a change and answers the value in the form in which it will be shown. What the session could not do once
    /// the statement has committed is refused here.
    pub fn request(&self, request: Request) -> Result<Arc<str>> {
        let is_of_audit = request.name.eq_ignore_ascii_case(AUDIT);
        self.grant(request).inspect_err(|error| {
            if is_of_audit {
                *self.refused.lock() = Some(error.sqlstate);
                self.has_refused.store(true, Ordering::Release);
            }
        })
    }

    fn grant(&self, request: Request) -> Result<Arc<str>> {
        let key = request.name.to_ascii_lowercase();
        let reset = |otherwise: &'static str| {
            self.resets.lock().get(&key).cloned().unwrap_or_else(|| otherwise.into())
        };
        let shown: Arc<str> = match (definitions::find(&request.name), &request.value) {
            (Some(definition), _) if definition.context == Context::Internal => {
                return Err(Error::new(
                    "55P02",
                    format!("parameter \"{}\" cannot be changed", definition.name),
                ));
            }
            (Some(definition), _)
                if definition.context == Context::Superuser
                    && self.get("is_superuser").as_deref() != Some("on") =>
            {
                let message = format!("permission denied to set parameter \"{}\"", definition.name);
                return Err(Error::new("42501", message));
            }
            (Some(definition), Some(value)) => {
                let now = self.get(&key).unwrap_or_else(|| definition.default.into());
                let before = Before { now: &now, reset: &reset(definition.default) };
                value::normalise(definition, value, before)?.into()
            }
            (Some(definition), None) => reset(definition.default),
            (None, Some(value)) if request.name.contains('.') => value.as_str().into(),
            (None, None) if request.name.contains('.') => reset(""),
            (None, _) => return Err(unrecognised(&request.name)),
        };
        if definitions::find(&request.name).is_none() {
            let mut made_up = self.made_up.lock();
            let before = made_up.get(&key).copied().unwrap_or_default();
            let after = match request.scope {
                Scope::Session => MadeUp { session: shown.len(), local: 0 },
                Scope::Local => MadeUp { local: shown.len(), ..before },
            };
            after.check_room(&key, made_up.iter().map(|(name, other)| (name, *other)))?;
            made_up.insert(key.clone(), after);
        }
        self.values.lock().insert(key, shown.clone());
        self.requests.lock().push(request);
        self.has_requests.store(true, Ordering::Release);
        Ok(shown)
    }

    /// The changes that were asked for since they were last taken, and stay to be.
    pub(super) fn requests(&self) -> Vec<Request> {
        if !self.has_requests.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.requests.lock().clone()
    }

    /// The changes that were asked for since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        if !self.has_requests.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.requests.lock())
    }

    /// The SQLSTATE with which what is audited was left as it is since the last call.
    pub(crate) fn take_refused(&self) -> Option<&'static str> {
        if !self.has_refused.load(Ordering::Acquire) {
            return None;
        }
        self.has_refused.store(false, Ordering::Release);
        self.refused.lock().take()
    }

    pub(super) fn publish(
        &self,
        values: BTreeMap<String, Arc<str>>,
        made_up: BTreeMap<String, MadeUp>,
        resets: BTreeMap<String, Arc<str>>,
    ) {
        *self.values.lock() = values;
        *self.resets.lock() = resets;
        *self.made_up.lock() = made_up;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CUSTOM_BYTES_MAX, SessionParameters, Settings};
    use super::*;

    #[test]
    fn who_tries_to_change_what_is_audited_is_known_once() {
        let mut context = expr::SessionContext::default();
        let parameters = SessionParameters { is_restricted: true, ..SessionParameters::default() };
        let settings = Settings::new(&parameters, &mut context).unwrap();
        let ask = |name: &str, value: &str| {
            let (name, value) = (name.to_owned(), Some(value.to_owned()));
            settings.shared().request(Request { name, value, scope: Scope::Session }).is_ok()
        };
        assert!(!ask("TimeZone", "nope") && ask("a.b", "x"));
        assert_eq!(settings.shared().take_refused(), None);
        assert!(!ask("NUNATAK.audit", "none"));
        assert_eq!(settings.shared().take_refused(), Some("42501"));
        assert_eq!(settings.shared().take_refused(), None);
    }

    #[test]
    fn what_the_session_could_not_do_afterwards_is_refused_at_once() {
        let mut context = expr::SessionContext::default();
        let mut settings = Settings::new(&SessionParameters::default(), &mut context).unwrap();
        let ask = |settings: &Settings, name: &str, value: Option<&str>, scope| {
            let (name, value) = (name.to_owned(), value.map(str::to_owned));
            let shared = settings.shared();
            shared.request(Request { name, value, scope }).map_err(|error| error.sqlstate)
        };
        let half = "x".repeat(CUSTOM_BYTES_MAX / 2);
        assert_eq!(ask(&settings, "TimeZone", Some("nope"), Scope::Session), Err("22023"));
        assert_eq!(ask(&settings, "a.b", Some(&half.repeat(3)), Scope::Session), Err("53200"));
        assert_eq!(settings.shared().get("a.b"), None);
        assert!(ask(&settings, "a.b", Some(&half), Scope::Session).is_ok());
        assert_eq!(ask(&settings, "c.d", Some(&half), Scope::Session), Err("53200"));
        assert!(ask(&settings, "a.b", Some("y"), Scope::Session).is_ok());
        assert!(ask(&settings, "c.d", Some(&half), Scope::Local).is_ok());
        assert!(ask(&settings, "e.f", None, Scope::Session).is_ok());
        // Whatever was granted can be done.
        for request in settings.shared().take_requests() {
            settings.set(&request.name, request.value.as_deref(), request.scope, &mut context).unwrap();
        }
        assert_eq!(settings.shared().get("a.b").as_deref(), Some("y"));
        assert_eq!(settings.shared().get("e.f").as_deref(), Some(""));
        assert_eq!(ask(&settings, "g.h", Some(&half), Scope::Local), Err("53200"));
    }
}
