//! The time zones, as `pg_timezone_names` shows them.

use expr::calendar::zone;

use super::World;
use super::record::{Records, Value};

pub(super) fn pg_timezone_names(world: &World<'_>, records: &mut Records<'_>) {
    let now = world.session.transaction_timestamp;
    for name in zone::names() {
        let Some(own) = zone::find(&name) else { continue };
        records.push(&[
            ("name", (&name).into()),
            ("abbrev", zone::abbreviation_at(now, &own).into()),
            ("utc_offset", Value::Span(zone::offset_at(now, &own))),
            ("is_dst", zone::is_summer_at(now, &own).into()),
        ]);
    }
}
