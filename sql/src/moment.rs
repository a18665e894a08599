//! Moments of the past as SQL names them, and the timestamps of the cluster that they are.
//!
//! ```text
//! timestamptz       2024-05-01 12:00:00.250   ──▶   the last timestamp of that millisecond
//! interval          -4h                       ──▶   so long before the statement, as a timestamptz
//! system timestamp  448102023168000000        ──▶   itself
//! ```
//!
//! A timestamp has 46 bits of milliseconds and 18 that count within one. A moment of the clock stands for the whole of its
//! millisecond: who asks for a row as of the moment that it says it was written at finds it.

use std::time::Duration;

use client::Client;
use env::clock;
use expr::{Datum, EvalContext, Expr, Numeric, SessionContext, TypeKind, codec, numeric, resolve};

use crate::error::{Error, Result};

/// How many bits of a timestamp count within a millisecond.
const LOGICAL_BITS: u32 = 18;

/// 2000-01-01, where SQL counts from, in milliseconds since 1970.
const EPOCH_MS: i64 = 946_684_800_000;

/// A number of more digits than this is a system timestamp: `20240501120000` is a timestamptz still.
const DATE_DIGITS_MAX: usize = 14;

/// A moment that is no further ahead than this is waited for: gateways' clocks are not the cluster's.
const AHEAD_MAX: Duration = Duration::from_millis(500);

/// How often it is looked whether it has come.
const LOOKS_MAX: usize = 16;

/// The timestamps that a moment stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meant {
    /// The first.
    pub(crate) first: u64,
    /// The last.
    pub(crate) last: u64,
}

impl Meant {
    const fn exactly(timestamp: u64) -> Self {
        Self { first: timestamp, last: timestamp }
    }

    /// Those of the millisecond of a timestamptz. What is before 1970 is the first of all; what is beyond all timestamps the
    /// last.
    fn of_clock(micros: i64) -> Self {
        let ms = micros.div_euclid(1000).saturating_add(EPOCH_MS);
        let Ok(ms) = u64::try_from(ms) else { return Self::exactly(1) };
        if ms >> (u64::BITS - LOGICAL_BITS) != 0 {
            return Self::exactly(u64::MAX);
        }
        let first = ms << LOGICAL_BITS;
        Self { first, last: first | ((1 << LOGICAL_BITS) - 1) }
    }
}

/// The last timestamp of the millisecond of a timestamptz.
pub(crate) fn of_clock(micros: i64) -> u64 {
    Meant::of_clock(micros).last
}

/// The timestamptz whose millisecond a timestamp is in.
pub(crate) fn timestamptz(timestamp: u64) -> Datum {
    of_unix(timestamp >> LOGICAL_BITS)
}

/// A timestamptz as a Unix time in ms; 0: it is before that.
pub(crate) fn unix_ms(micros: i64) -> u64 {
    u64::try_from(micros.div_euclid(1000).saturating_add(EPOCH_MS)).unwrap_or(0)
}

/// The Unix time of a timestamp in ms.
pub(crate) fn unix_ms_of(timestamp: u64) -> u64 {
    timestamp >> LOGICAL_BITS
}

/// A Unix time in ms as a timestamptz; what that of infinity was made is infinity again.
pub(crate) fn of_unix(ms: u64) -> Datum {
    if ms >= unix_ms(i64::MAX) {
        return Datum::Timestamptz(i64::MAX);
    }
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Datum::Timestamptz(ms.saturating_sub(EPOCH_MS).saturating_mul(1000))
}

/// A timestamp as a number.
pub(crate) fn decimal(timestamp: u64) -> Datum {
    Datum::Numeric(Numeric::finite(timestamp, 0))
}

/// What a value means: a timestamptz, a system timestamp, or a text that is one of both or an interval.
///
/// # Errors
/// It is NULL (22004), none of that (22007), or counts changes (0A000).
pub(crate) fn meant(value: &Datum, session: &SessionContext) -> Result<Meant> {
    match value {
        Datum::Null => Err(Error::new("22004", "a moment of system time must not be null")),
        Datum::Timestamptz(micros) => Ok(Meant::of_clock(*micros)),
        Datum::Numeric(number) => {
            let mut digits = String::new();
            numeric::write(number, &mut digits);
            system_timestamp(&digits)
        }
        Datum::Text(text) => of_text(text.trim(), session),
        _ => Err(Error::internal("a moment of system time has an unexpected type")),
    }
}

fn system_timestamp(digits: &str) -> Result<Meant> {
    let timestamp = digits.parse::<u64>().ok().filter(|timestamp| *timestamp > 0);
    let timestamp = timestamp.map(Meant::exactly);
    timestamp.ok_or_else(|| Error::new("22023", format!("{digits} is not a system timestamp")))
}

fn of_text(text: &str, session: &SessionContext) -> Result<Meant> {
    if text.starts_with('@') {
        let what = if text.to_ascii_lowercase().starts_with("@seq") {
            "a number of a change as a moment of a table that does not count its changes"
        } else {
            "this form of a moment"
        };
        return Err(Error::unsupported(what));
    }
    if text.len() > DATE_DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return system_timestamp(text);
    }
    let is_signed = text.starts_with(['-', '+']);
    let read = |kind: TypeKind| codec::input(text, kind.into(), session).ok();
    let interval = || read(TypeKind::Interval);
    let moment = || read(TypeKind::Timestamptz);
    let found = if is_signed { interval().or_else(moment) } else { moment().or_else(interval) };
    match found {
        Some(Datum::Timestamptz(micros)) => Ok(Meant::of_clock(micros)),
        Some(interval @ Datum::Interval(_)) => {
            let now = Expr::literal(Datum::Timestamptz(session.statement_timestamp), TypeKind::Timestamptz);
            let interval = Expr::literal(interval, TypeKind::Interval);
            let moved = resolve::operator_call("+", Some(now), interval, session)?;
            match moved.evaluate(&EvalContext::new(&[], &[], session))? {
                Datum::Timestamptz(micros) => Ok(Meant::of_clock(micros)),
                _ => Err(Error::internal("an interval from now is no moment")),
            }
        }
        _ => Err(Error::new("22007", format!("invalid moment of system time: \"{text}\""))
            .hint("A moment is a timestamptz, an interval from now such as '-4h', or a system timestamp.")),
    }
}

/// An error about a moment, at its place in the query string (0: it has none).
pub(crate) fn placed(error: Error, at: usize) -> Error {
    let is_about_it = error.sqlstate.starts_with("22") || error.sqlstate == "0A000";
    if is_about_it && at > 0 && error.position.is_none() { error.at(at) } else { error }
}

/// The timestamp, once the cluster has come to it: then nothing is committed at or below it any more that is not seen there.
///
/// # Errors
/// 22023: it lies in the future. The cluster cannot be asked.
pub(crate) async fn reached(client: &Client, wanted: u64) -> Result<u64> {
    if wanted <= client.newest_timestamp() {
        return Ok(wanted);
    }
    for _ in 0..LOOKS_MAX {
        let newest = client.timestamp().await?.timestamp;
        if wanted <= newest {
            return Ok(wanted);
        }
        let ahead_ms = (wanted >> LOGICAL_BITS).saturating_sub(newest >> LOGICAL_BITS);
        let ahead = Duration::from_millis(ahead_ms.saturating_add(1));
        if ahead > AHEAD_MAX {
            break;
        }
        clock::sleep(ahead).await;
    }
    Err(Error::new("22023", "a moment of system time must not lie in the future"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Result<u64> {
        // 2024-05-01 12:00:00.25 UTC
        let session =
            SessionContext { statement_timestamp: 767_880_000_250_000, ..SessionContext::default() };
        meant(&Datum::text(text), &session).map(|meant| meant.last)
    }

    const NOON_MS: u64 = 1_714_564_800_000;

    fn end(ms: u64) -> u64 {
        ((ms + 1) << LOGICAL_BITS) - 1
    }

    #[test]
    fn a_moment_of_the_clock_is_the_end_of_its_millisecond() {
        assert_eq!(at("2024-05-01 12:00:00+00").unwrap(), end(NOON_MS));
        assert_eq!(at("2024-05-01 12:00:00.0019+00").unwrap(), end(NOON_MS + 1));
        assert_eq!((at("1960-01-01").unwrap(), at("-infinity").unwrap()), (1, 1));
        assert_eq!(at("infinity").unwrap(), u64::MAX);
        assert_eq!(Meant::of_clock(i64::MIN), Meant::exactly(1));
        let clock = Meant::of_clock(767_880_000_000_999);
        assert_eq!(clock, Meant { first: NOON_MS << LOGICAL_BITS, last: end(NOON_MS) });
    }

    #[test]
    fn an_interval_is_counted_from_the_statement() {
        assert_eq!(at("-4h").unwrap(), end(NOON_MS + 250 - 4 * 3600 * 1000));
        assert_eq!(at("-1 day").unwrap(), end(NOON_MS + 250 - 24 * 3600 * 1000));
        assert_eq!(at("-00:00:01").unwrap(), end(NOON_MS + 250 - 1000));
    }

    #[test]
    fn a_long_number_is_a_system_timestamp() {
        assert_eq!(at("448102023168000000").unwrap(), 448_102_023_168_000_000);
        assert_eq!(at("20240501").unwrap(), end(NOON_MS - 12 * 3600 * 1000));
        let largest = meant(&decimal(u64::MAX), &SessionContext::default());
        assert_eq!(largest.unwrap(), Meant::exactly(u64::MAX));
        let refused = meant(&Datum::Numeric(numeric::parse("1.5").unwrap()), &SessionContext::default());
        assert_eq!(refused.unwrap_err().sqlstate, "22023");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        assert_eq!(at("soon").unwrap_err().sqlstate, "22007");
        assert_eq!(at("@seq:5").unwrap_err().sqlstate, "0A000");
        assert_eq!(meant(&Datum::Null, &SessionContext::default()).unwrap_err().sqlstate, "22004");
    }

    #[test]
    fn a_timestamp_is_shown_as_its_millisecond() {
        assert!(matches!(timestamptz(end(NOON_MS)), Datum::Timestamptz(767_880_000_000_000)));
        assert!(matches!(timestamptz(NOON_MS << LOGICAL_BITS), Datum::Timestamptz(767_880_000_000_000)));
        assert!(matches!(of_unix(unix_ms(i64::MAX)), Datum::Timestamptz(i64::MAX)));
    }
}
