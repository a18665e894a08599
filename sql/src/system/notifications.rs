//! `pg_notify` and what else functions do about notifications.

use expr::{Datum, Result};

use crate::notify::Pending;
use crate::questions::{Question, Questions};

/// Answers a function; `None`: it is none of these.
pub(super) fn answer(
    name: &str,
    arguments: &[Datum],
    pending: &Pending,
    questions: &Questions,
) -> Option<Result<Datum>> {
    let text = |place: usize| arguments.get(place).and_then(Datum::as_str).unwrap_or_default();
    Some(match name {
        "pg_notify" => match pending.notify(text(0), text(1)) {
            Ok(()) => Ok(Datum::text("")),
            Err(error) => Err(expr::Error::new(error.sqlstate, error.message.clone())),
        },
        "pg_listening_channels" => {
            let channels = pending.channels();
            Ok(Datum::Array(
                channels.iter().map(|channel| Datum::text(channel.clone())).collect::<Vec<_>>().into(),
            ))
        }
        "pg_notification_queue_usage" => questions.ask(name, Question::QueueUsage),
        _ => return None,
    })
}
