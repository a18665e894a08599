//! `pg_advisory_lock` and its like, and what `pg_locks` shows of them.

use expr::{Datum, Result};

use super::World;
use super::record::Records;
use crate::questions::{Advisory, AdvisoryAct, AdvisoryName, Question, Questions};

/// Answers a function; `None`: it is none of these.
pub(super) fn answer(name: &str, arguments: &[Datum], questions: &Questions) -> Option<Result<Datum>> {
    let act = act(name)?;
    let number = match arguments {
        [Datum::Int8(number)] => AdvisoryName::One(*number),
        [Datum::Int4(first), Datum::Int4(second)] => AdvisoryName::Two(*first, *second),
        _ => AdvisoryName::One(0),
    };
    Some(questions.ask(name, Question::Advisory(Advisory { name: number, act })))
}

fn act(name: &str) -> Option<AdvisoryAct> {
    let (rest, waits) = match name.strip_prefix("pg_try_advisory_") {
        Some(rest) => (rest, false),
        None => (name.strip_prefix("pg_advisory_")?, true),
    };
    let take = |shared, for_transaction| Some(AdvisoryAct::Take { shared, waits, for_transaction });
    match rest {
        "lock" => take(false, false),
        "lock_shared" => take(true, false),
        "xact_lock" => take(false, true),
        "xact_lock_shared" => take(true, true),
        "unlock" => Some(AdvisoryAct::GiveBack { shared: false }),
        "unlock_shared" => Some(AdvisoryAct::GiveBack { shared: true }),
        "unlock_all" => Some(AdvisoryAct::GiveAllBack),
        _ => None,
    }
}

/// The advisory locks of this gateway's sessions.
pub(super) fn pg_locks(world: &World<'_>, records: &mut Records<'_>) {
    for lock in &world.shown.locks {
        let (high, low, kind) = match lock.name {
            AdvisoryName::One(number) => ((number >> 32) as u32, number as u32, 1),
            AdvisoryName::Two(first, second) => (first as u32, second as u32, 2),
        };
        records.push(&[
            ("locktype", "advisory".into()),
            ("database", lock.database.into()),
            ("classid", high.into()),
            ("objid", low.into()),
            ("objsubid", kind.into()),
            ("pid", lock.pid.into()),
            ("mode", if lock.is_exclusive { "ExclusiveLock" } else { "ShareLock" }.into()),
            ("granted", lock.is_granted.into()),
            ("fastpath", false.into()),
        ]);
    }
}
