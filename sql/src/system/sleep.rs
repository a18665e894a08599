//! `pg_sleep`, to which the registry of functions brings its like.

use std::time::Duration;

use expr::{Datum, Result};

use crate::questions::{Question, Questions};

/// The longest sleep, in seconds: a hundred years.
const SECONDS_MAX: f64 = 100.0 * 365.0 * 24.0 * 3600.0;

/// Answers the function; `None`: it is another one.
pub(super) fn answer(name: &str, arguments: &[Datum], questions: &Questions) -> Option<Result<Datum>> {
    let ("pg_sleep", [Datum::Float8(seconds)]) = (name, arguments) else { return None };
    // What is no number is no time, either.
    let seconds = if *seconds > 0.0 { seconds.min(SECONDS_MAX) } else { 0.0 };
    Some(questions.ask(name, Question::Sleep(Duration::from_secs_f64(seconds))))
}
