//! Dates and times of SQL/JSON paths: `.datetime()` reads them by the templates of `to_timestamp`, strictly, or by those forms of
//! ISO 8601 that PostgreSQL tries one after the other.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::time_found::Found;
use super::time_parse::read;
use super::time_pattern::{Node, TimePart, nodes};
use crate::calendar::zoned_time::ZonedTime;
use crate::calendar::{self, MICROS_PER_DAY, MICROS_PER_SECOND, zone};
use crate::compare::compare;
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::json::path::moment::{Moment, MomentKind, Moments};
use crate::json::path::{Failure, Walked};
use crate::session::SessionContext;
use crate::text::{Dates, write_date, write_time, write_timestamp};

/// What is tried where no template is given.
const ISO: [&str; 19] = [
    "yyyy-mm-dd",
    "HH24:MI:SS.USTZH:TZM",
    "HH24:MI:SS.USTZH",
    "HH24:MI:SSTZH:TZM",
    "HH24:MI:SSTZH",
    "HH24:MI:SS.US",
    "HH24:MI:SS",
    "yyyy-mm-dd HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd HH24:MI:SS.USTZH",
    "yyyy-mm-dd HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd HH24:MI:SSTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SS.USTZH",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH:TZM",
    "yyyy-mm-dd\"T\"HH24:MI:SSTZH",
    "yyyy-mm-dd HH24:MI:SS.US",
    "yyyy-mm-dd HH24:MI:SS",
    "yyyy-mm-dd\"T\"HH24:MI:SS.US",
    "yyyy-mm-dd\"T\"HH24:MI:SS",
];

/// What may stand between the fields of a template, but for what is in quotes.
const SEPARATORS: &str = "-./,':; ";

/// The zone in which what has none is compared with what has one.
pub(super) enum Zone<'s> {
    /// They are not compared.
    None,
    /// The session's.
    Of(&'s SessionContext),
}

impl Moments for Zone<'_> {
    fn read(&self, text: &str, template: Option<&str>) -> Walked<Moment> {
        if let Some(template) = template {
            check_separators(template).map_err(Failure::Fatal)?;
            return by_template(text, template).map_err(failure);
        }
        for template in ISO {
            match by_template(text, template).map_err(failure) {
                Ok(moment) => return Ok(moment),
                Err(Failure::Misfit(_)) => {}
                Err(fatal) => return Err(fatal),
            }
        }
        let error = Error::new("22031", format!("datetime format is not recognized: \"{text}\""));
        let hint = "Use a datetime template argument to specify the input data format.";
        Err(Failure::Misfit(error.with_hint(hint)))
    }

    fn compare(&self, left: &Moment, right: &Moment) -> Walked<Option<Ordering>> {
        use MomentKind::{Date, Time, Timestamp, Timestamptz, Timetz};
        match (left.kind, right.kind) {
            (Date, Timestamp) => {
                let order = midnight(&left.value).map(|midnight| compare(&midnight, &right.value));
                Ok(Some(order.unwrap_or_else(|edge| edge)))
            }
            (Date, Timestamptz) => {
                let session = self.session("date", "timestamptz")?;
                let order = match midnight(&left.value) {
                    Ok(midnight) => instant_order(&midnight, &right.value, session)?,
                    Err(edge) => edge,
                };
                Ok(Some(order))
            }
            (Timestamp, Timestamptz) => {
                let session = self.session("timestamp", "timestamptz")?;
                instant_order(&left.value, &right.value, session).map(Some)
            }
            (Time, Timetz) => {
                let session = self.session("time", "timetz")?;
                let local = left.value.as_i64().unwrap_or_default();
                let zoned = ZonedTime::today(local, session.transaction_timestamp, &session.time_zone);
                Ok(Some(compare(&zoned.to_datum(), &right.value)))
            }
            (Timestamp | Timestamptz, Date) | (Timestamptz, Timestamp) | (Timetz, Time) => {
                Ok(self.compare(right, left)?.map(Ordering::reverse))
            }
            (Date | Timestamp | Timestamptz, Time | Timetz)
            | (Time | Timetz, Date | Timestamp | Timestamptz) => Ok(None),
            (Date, Date)
            | (Time, Time)
            | (Timetz, Timetz)
            | (Timestamp, Timestamp)
            | (Timestamptz, Timestamptz) => Ok(Some(compare(&left.value, &right.value))),
        }
    }
}

impl<'s> Zone<'s> {
    /// The session whose zone counts. 0A000 if none does.
    fn session(&self, from: &str, to: &str) -> Walked<&'s SessionContext> {
        match self {
            Self::Of(session) => Ok(session),
            Self::None => {
                let message = format!("cannot convert value from {from} to {to} without time zone usage");
                let hint = "Use *_tz() function for time zone support.";
                Err(Failure::Fatal(Error::new("0A000", message).with_hint(hint)))
            }
        }
    }
}

/// What could not be read does not fit, unless the statement is to end.
fn failure(error: Error) -> Failure {
    match error.sqlstate {
        "57014" | "54000" | "53200" => Failure::Fatal(error),
        _ => Failure::Misfit(error),
    }
}

/// Midnight of a date; where no timestamp is so early or so late, how it compares with any.
fn midnight(date: &Datum) -> std::result::Result<Datum, Ordering> {
    let Datum::Date(days) = date else { return Err(Ordering::Less) };
    let edge = if *days < 0 { Ordering::Less } else { Ordering::Greater };
    calendar::date_to_timestamp(*days).map(Datum::Timestamp).map_err(|_| edge)
}

/// How a timestamp in the session's zone compares with an instant.
fn instant_order(local: &Datum, instant: &Datum, session: &SessionContext) -> Walked<Ordering> {
    let Datum::Timestamp(local) = local else {
        return Err(Failure::Fatal(Error::internal("a timestamp that is none")));
    };
    let edge = if *local < 0 { Ordering::Less } else { Ordering::Greater };
    Ok(match zone::to_instant(*local, &session.time_zone) {
        Ok(local) => compare(&Datum::Timestamptz(local), instant),
        Err(_) => edge,
    })
}

fn check_separators(template: &str) -> Result<()> {
    let mut parts = nodes(template);
    while let Some(part) = parts.next() {
        let Node::Character { character, .. } = part else { continue };
        if !parts.is_quoted() && !SEPARATORS.contains(character) {
            // A quote that comes as one had a backslash before it.
            let shown = if character == '"' { '\\' } else { character };
            return Err(Error::new("22007", format!("invalid datetime format separator: \"{shown}\"")));
        }
    }
    Ok(())
}

fn by_template(source: &str, template: &str) -> Result<Moment> {
    let found = read(source, template, true)?;
    let (mut has_date, mut has_clock, mut has_zone) = (false, false, false);
    for part in nodes(template) {
        let Node::Pattern(pattern) = part else { continue };
        match pattern.field.part() {
            Some(TimePart::Date) => has_date = true,
            Some(TimePart::Clock) => has_clock = true,
            Some(TimePart::Zone) => has_zone = true,
            None => {}
        }
    }
    let parts = found.parts(source)?;
    match (has_date, has_clock, has_zone) {
        (true, false, false) => {
            let days = found.date(source)?;
            let mut text = String::new();
            write_date(days, Dates::default(), &mut text);
            Ok(Moment { kind: MomentKind::Date, value: Datum::Date(days), text: text.into() })
        }
        (true, true, zoned) => timestamp(&found, parts, zoned),
        (false, true, zoned) => time(&found, parts, zoned),
        (true, false, true) => Err(Error::new("22007", "datetime format is zoned but not timed")),
        (false, false, _) => Err(Error::new("22007", "datetime format is not dated and not timed")),
    }
}

fn no_zone(name: &str) -> Error {
    Error::new("22007", format!("missing time zone in input string for type {name}"))
}

fn timestamp(found: &Found, (days, time, offset): (i64, i64, Option<i64>), zoned: bool) -> Result<Moment> {
    let local = days.checked_mul(MICROS_PER_DAY).and_then(|day| day.checked_add(time));
    let mut text = String::new();
    if !zoned {
        let local = calendar::round_micros(calendar::checked_timestamp(local)?, found.digits());
        write_timestamp(local, Dates::default(), &mut text);
        let text = with_t(&text, "");
        return Ok(Moment { kind: MomentKind::Timestamp, value: Datum::Timestamp(local), text });
    }
    let offset = offset.ok_or_else(|| no_zone("timestamptz"))?;
    let east = offset * MICROS_PER_SECOND;
    let instant = calendar::checked_timestamp(local.and_then(|local| local.checked_sub(east)))?;
    let instant = calendar::round_micros(instant, found.digits());
    write_timestamp(instant.saturating_add(east), Dates::default(), &mut text);
    let text = with_t(&text, &shown_offset(offset));
    Ok(Moment { kind: MomentKind::Timestamptz, value: Datum::Timestamptz(instant), text })
}

fn time(found: &Found, (_, time, offset): (i64, i64, Option<i64>), zoned: bool) -> Result<Moment> {
    let time = calendar::round_micros(time, found.digits());
    let mut text = String::new();
    write_time(time, &mut text);
    if !zoned {
        return Ok(Moment { kind: MomentKind::Time, value: Datum::Int8(time), text: text.into() });
    }
    let offset = offset.ok_or_else(|| no_zone("timetz"))?;
    text.push_str(&shown_offset(offset));
    let value = ZonedTime { local: time, offset }.to_datum();
    Ok(Moment { kind: MomentKind::Timetz, value, text: text.into() })
}

/// `2001-12-31T04:05:06`, with an offset before the era.
fn with_t(shown: &str, offset: &str) -> Box<str> {
    let (shown, era) = match shown.strip_suffix(" BC") {
        Some(shown) => (shown, " BC"),
        None => (shown, ""),
    };
    let mut text = shown.replacen(' ', "T", 1);
    text.push_str(offset);
    text.push_str(era);
    text.into()
}

/// Hours and minutes east of Greenwich.
fn shown_offset(offset: i64) -> String {
    let mut text = String::from(if offset < 0 { '-' } else { '+' });
    let minutes = offset.abs() / 60;
    // A String takes whatever it is given.
    let _ = write!(text, "{:02}:{:02}", minutes / 60, minutes % 60);
    text
}
