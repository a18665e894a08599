//! What a command would be started with, checked without starting it.
//!
//! The command line, the environment and the file are read as for the command itself, so that flags, keys and addresses are
//! checked by reading them. What they name is looked at here: files (`files`), certificates (`certificates`), addresses
//! (`listeners`). Nothing is listened at, and nothing is kept of what is tried.

mod certificates;
mod commands;
mod files;
mod listeners;

use std::fmt;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::outln;

/// Prints what is wrong.
pub(crate) fn run(checked: &Arguments) -> Result<(), Failure> {
    let mut findings = Findings::default();
    commands::check(checked, &mut findings);
    for finding in &findings.0 {
        outln!("{finding}");
    }
    match findings.errors() {
        0 => Ok(()),
        1 => Err(Failure::usage("check-config: 1 error")),
        errors => Err(Failure::usage(format!("check-config: {errors} errors"))),
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// The command would be refused, or would serve nobody.
    Error,
    /// It may not be meant.
    Warning,
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    grade: Grade,
    /// The flag, and the file that it names.
    place: String,
    what: String,
    /// What to do.
    remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, what, remedy, .. } = self;
        let grade = match self.grade {
            Grade::Error => "error",
            Grade::Warning => "warning",
        };
        let separator = if place.is_empty() { "" } else { ": " };
        let end = if remedy.is_empty() { "" } else { "; " };
        write!(f, "{grade}: {place}{separator}{what}{end}{remedy}")
    }
}

/// Everything that is wrong, in the order in which it was found.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, place: impl fmt::Display, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.add(Grade::Error, place, what, remedy);
    }

    fn warning(&mut self, place: impl fmt::Display, what: impl fmt::Display, remedy: impl fmt::Display) {
        self.add(Grade::Warning, place, what, remedy);
    }

    fn add(
        &mut self,
        grade: Grade,
        place: impl fmt::Display,
        what: impl fmt::Display,
        remedy: impl fmt::Display,
    ) {
        let (place, what, remedy) = (place.to_string(), what.to_string(), remedy.to_string());
        self.0.push(Finding { grade, place, what, remedy });
    }

    /// What the start itself would refuse, told as it tells it.
    fn refusal<T>(&mut self, outcome: Result<T, Failure>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(Failure::Usage(message) | Failure::Failed(message)) => {
                self.error("", message, "");
                None
            }
            Err(Failure::Told | Failure::Lost | Failure::Script) => None,
        }
    }

    /// The same where nothing was found before: a safety net below checks that say more.
    fn refusal_unless_found<T>(&mut self, errors_before: usize, outcome: Result<T, Failure>) {
        if self.errors() == errors_before {
            self.refusal(outcome);
        }
    }

    fn errors(&self) -> usize {
        self.0.iter().filter(|finding| finding.grade == Grade::Error).count()
    }
}
