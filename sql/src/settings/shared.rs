//! What `current_setting` reads, and what `set_config` leaves for the session to do after the statement.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::definitions::{self, Context};
use super::{Scope, unrecognised, value};
use crate::error::{Error, Result};

/// A session's settings as functions see them while a statement runs.
#[derive(Debug, Default)]
pub struct SharedSettings {
    values: Mutex<BTreeMap<String, Arc<str>>>,
    requests: Mutex<Vec<Request>>,
    /// The modes of the transaction under way, where they are not the defaults.
    transaction: Mutex<Option<Modes>>,
}

#[derive(Debug, Clone, Copy)]
struct Modes {
    isolation: &'static str,
    read_only: bool,
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
            ("transaction_isolation" | "transaction_read_only", None) => {
                self.values.lock().get(&format!("default_{name}")).cloned()
            }
            _ => self.values.lock().get(&name).cloned(),
        }
    }

    /// A transaction under way has these modes.
    pub(crate) fn enter_transaction(&self, isolation: &'static str, read_only: bool) {
        *self.transaction.lock() = Some(Modes { isolation, read_only });
    }

    /// It has ended.
    pub(crate) fn leave_transaction(&self) {
        *self.transaction.lock() = None;
    }

    /// Notes a change and answers the value in the form in which it will be shown.
    pub fn request(&self, request: Request) -> Result<Arc<str>> {
        let shown: Arc<str> = match (definitions::find(&request.name), &request.value) {
            (Some(definition), _) if definition.context == Context::Internal => {
                return Err(Error::new(
                    "55P02",
                    format!("parameter \"{}\" cannot be changed", definition.name),
                ));
            }
            (Some(definition), Some(value)) => value::normalise(definition, value)?.into(),
            (Some(definition), None) => definition.default.into(),
            (None, value) if request.name.contains('.') => value.as_deref().unwrap_or_default().into(),
            (None, _) => return Err(unrecognised(&request.name)),
        };
        self.values.lock().insert(request.name.to_ascii_lowercase(), shown.clone());
        self.requests.lock().push(request);
        Ok(shown)
    }

    /// The changes that were asked for since the last call.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock())
    }

    pub(super) fn publish(&self, values: BTreeMap<String, Arc<str>>) {
        *self.values.lock() = values;
    }
}
