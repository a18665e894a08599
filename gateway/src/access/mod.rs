//! Who may connect from where, and what has to be shown for it.
//!
//! [`Rules`] are read from a file of `pg_hba.conf`'s form; the first that fits a client decides. [`Failures`] makes
//! guessing slow: each failed login of an address costs it time, and too many of them its turn.

mod failures;
mod in_force;
mod parse;
mod rules;

pub(crate) use failures::{Failures, network};
pub use in_force::{AccessRules, Exposure};
pub use parse::RuleError;

pub(crate) use rules::{Asked, ClientCertificate, Method, Rule, Rules};
