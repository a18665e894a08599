//! Dates, times and intervals. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::{overlaps, time, time_field, time_format, time_of_day, time_parse};
use super::function;
use crate::functions::Body::{Many, One, Session, Two};
use crate::functions::Function;
use crate::types::kinds::{Bool, Date, Float8, Int4, Interval, Numeric, Text, Time, Timestamp, Timestamptz};

pub(super) const FUNCTIONS: &[Function] = &[
    function(274, "timeofday", &[], Text, Session(time::timeofday)).volatile(),
    function(1026, "timezone", &[Interval, Timestamptz], Timestamp, Two(time::zone_of_timestamptz)),
    function(1140, "date_mi", &[Date, Date], Int4, Two(time::date_minus_date)),
    function(1141, "date_pli", &[Date, Int4], Date, Two(time::date_plus_days)),
    function(1142, "date_mii", &[Date, Int4], Date, Two(time::date_minus_days)),
    function(1158, "to_timestamp", &[Float8], Timestamptz, One(time::from_epoch)),
    function(1159, "timezone", &[Text, Timestamptz], Timestamp, Two(time::zone_of_timestamptz)),
    function(1168, "interval_um", &[Interval], Interval, One(time::interval_negate)),
    function(1169, "interval_pl", &[Interval, Interval], Interval, Two(time::interval_plus)),
    function(1170, "interval_mi", &[Interval, Interval], Interval, Two(time::interval_minus)),
    function(1171, "date_part", &[Text, Timestamptz], Float8, Session(time_field::part_of_timestamptz))
        .stable(),
    function(1172, "date_part", &[Text, Interval], Float8, Two(time_field::part_of_interval)),
    function(1175, "justify_hours", &[Interval], Interval, One(time::justify_hours)),
    function(
        1188,
        "timestamptz_mi",
        &[Timestamptz, Timestamptz],
        Interval,
        Two(time::timestamp_minus_timestamp),
    ),
    function(
        1189,
        "timestamptz_pl_interval",
        &[Timestamptz, Interval],
        Timestamptz,
        Session(time::timestamptz_plus_interval),
    )
    .stable(),
    function(
        1190,
        "timestamptz_mi_interval",
        &[Timestamptz, Interval],
        Timestamptz,
        Session(time::timestamptz_minus_interval),
    )
    .stable(),
    function(1199, "age", &[Timestamptz, Timestamptz], Interval, Session(time::timestamptz_age)),
    function(
        1217,
        "date_trunc",
        &[Text, Timestamptz],
        Timestamptz,
        Session(time_field::truncate_timestamptz),
    )
    .stable(),
    function(1218, "date_trunc", &[Text, Interval], Interval, Two(time_field::truncate_interval)),
    function(
        1284,
        "date_trunc",
        &[Text, Timestamptz, Text],
        Timestamptz,
        Session(time_field::truncate_timestamptz),
    )
    .stable(),
    function(1295, "justify_days", &[Interval], Interval, One(time::justify_days)),
    function(1299, "now", &[], Timestamptz, Session(time::now)).stable(),
    function(1326, "interval_div", &[Interval, Float8], Interval, Two(time::interval_divide)),
    function(1373, "isfinite", &[Date], Bool, One(time::is_finite)),
    function(1384, "date_part", &[Text, Date], Float8, Two(time_field::part_of_date)),
    function(1386, "age", &[Timestamptz], Interval, Session(time::age_today)).stable(),
    function(1389, "isfinite", &[Timestamptz], Bool, One(time::is_finite)),
    function(1390, "isfinite", &[Interval], Bool, One(time::is_finite)),
    function(1618, "interval_mul", &[Interval, Float8], Interval, Two(time::interval_times)),
    function(1624, "mul_d_interval", &[Float8, Interval], Interval, Two(time::interval_times)),
    function(1768, "to_char", &[Interval, Text], Text, Session(time_format::interval_to_char)).stable(),
    function(1770, "to_char", &[Timestamptz, Text], Text, Session(time_format::timestamptz_to_char)).stable(),
    function(1778, "to_timestamp", &[Text, Text], Timestamptz, Session(time_parse::to_timestamp)).stable(),
    function(1780, "to_date", &[Text, Text], Date, Two(time_parse::to_date)).stable(),
    function(2020, "date_trunc", &[Text, Timestamp], Timestamp, Two(time_field::truncate_timestamp)),
    function(2021, "date_part", &[Text, Timestamp], Float8, Two(time_field::part_of_timestamp)),
    function(2031, "timestamp_mi", &[Timestamp, Timestamp], Interval, Two(time::timestamp_minus_timestamp)),
    function(
        2032,
        "timestamp_pl_interval",
        &[Timestamp, Interval],
        Timestamp,
        Two(time::timestamp_plus_interval),
    ),
    function(
        2033,
        "timestamp_mi_interval",
        &[Timestamp, Interval],
        Timestamp,
        Two(time::timestamp_minus_interval),
    ),
    function(2048, "isfinite", &[Timestamp], Bool, One(time::is_finite)),
    function(2049, "to_char", &[Timestamp, Text], Text, Session(time_format::timestamp_to_char)).stable(),
    function(2058, "age", &[Timestamp, Timestamp], Interval, Two(time::timestamp_age)),
    function(2059, "age", &[Timestamp], Interval, Session(time::age_today)).stable(),
    function(2069, "timezone", &[Text, Timestamp], Timestamptz, Two(time::zone_of_timestamp)),
    function(2070, "timezone", &[Interval, Timestamp], Timestamptz, Two(time::zone_of_timestamp)),
    function(2071, "date_pl_interval", &[Date, Interval], Timestamp, Two(time::timestamp_plus_interval)),
    function(2072, "date_mi_interval", &[Date, Interval], Timestamp, Two(time::timestamp_minus_interval)),
    function(2546, "interval_pl_date", &[Interval, Date], Timestamp, Two(time::timestamp_plus_interval)),
    function(
        2548,
        "interval_pl_timestamp",
        &[Interval, Timestamp],
        Timestamp,
        Two(time::timestamp_plus_interval),
    ),
    function(
        2549,
        "interval_pl_timestamptz",
        &[Interval, Timestamptz],
        Timestamptz,
        Session(time::timestamptz_plus_interval),
    )
    .stable(),
    function(2550, "integer_pl_date", &[Int4, Date], Date, Two(time::date_plus_days)),
    function(2647, "transaction_timestamp", &[], Timestamptz, Session(time::now)).stable(),
    function(2648, "statement_timestamp", &[], Timestamptz, Session(time::statement_timestamp)).stable(),
    function(2649, "clock_timestamp", &[], Timestamptz, Session(time::clock_timestamp)).volatile(),
    function(2711, "justify_interval", &[Interval], Interval, One(time::justify_interval)),
    function(
        3461,
        "make_timestamp",
        &[Int4, Int4, Int4, Int4, Int4, Float8],
        Timestamp,
        Many(time::make_timestamp),
    ),
    function(
        3462,
        "make_timestamptz",
        &[Int4, Int4, Int4, Int4, Int4, Float8],
        Timestamptz,
        Session(time::make_timestamptz),
    )
    .stable(),
    function(
        3463,
        "make_timestamptz",
        &[Int4, Int4, Int4, Int4, Int4, Float8, Text],
        Timestamptz,
        Session(time::make_timestamptz),
    )
    .stable(),
    function(
        3464,
        "make_interval",
        &[Int4, Int4, Int4, Int4, Int4, Int4, Float8],
        Interval,
        Many(time::make_interval),
    )
    .with_defaults(7),
    function(3846, "make_date", &[Int4, Int4, Int4], Date, Many(time::make_date)),
    function(6177, "date_bin", &[Interval, Timestamp, Timestamp], Timestamp, Many(time::date_bin)),
    function(6178, "date_bin", &[Interval, Timestamptz, Timestamptz], Timestamptz, Many(time::date_bin)),
    function(6199, "extract", &[Text, Date], Numeric, Two(time_field::extract_date)),
    function(6202, "extract", &[Text, Timestamp], Numeric, Two(time_field::extract_timestamp)),
    function(6203, "extract", &[Text, Timestamptz], Numeric, Session(time_field::extract_timestamptz))
        .stable(),
    function(6204, "extract", &[Text, Interval], Numeric, Two(time_field::extract_interval)),
    function(
        1304,
        "overlaps",
        &[Timestamptz, Timestamptz, Timestamptz, Timestamptz],
        Bool,
        Session(overlaps::overlaps),
    )
    .lenient(),
    function(
        1305,
        "overlaps",
        &[Timestamptz, Interval, Timestamptz, Interval],
        Bool,
        Session(overlaps::overlaps),
    )
    .stable()
    .lenient(),
    function(
        1306,
        "overlaps",
        &[Timestamptz, Timestamptz, Timestamptz, Interval],
        Bool,
        Session(overlaps::overlaps),
    )
    .stable()
    .lenient(),
    function(
        1307,
        "overlaps",
        &[Timestamptz, Interval, Timestamptz, Timestamptz],
        Bool,
        Session(overlaps::overlaps),
    )
    .stable()
    .lenient(),
    function(1308, "overlaps", &[Time, Time, Time, Time], Bool, Session(overlaps::overlaps)).lenient(),
    function(1309, "overlaps", &[Time, Interval, Time, Interval], Bool, Session(overlaps::overlaps))
        .lenient(),
    function(1310, "overlaps", &[Time, Time, Time, Interval], Bool, Session(overlaps::overlaps)).lenient(),
    function(1311, "overlaps", &[Time, Interval, Time, Time], Bool, Session(overlaps::overlaps)).lenient(),
    function(
        2041,
        "overlaps",
        &[Timestamp, Timestamp, Timestamp, Timestamp],
        Bool,
        Session(overlaps::overlaps),
    )
    .lenient(),
    function(
        2042,
        "overlaps",
        &[Timestamp, Interval, Timestamp, Interval],
        Bool,
        Session(overlaps::overlaps),
    )
    .lenient(),
    function(
        2043,
        "overlaps",
        &[Timestamp, Timestamp, Timestamp, Interval],
        Bool,
        Session(overlaps::overlaps),
    )
    .lenient(),
    function(
        2044,
        "overlaps",
        &[Timestamp, Interval, Timestamp, Timestamp],
        Bool,
        Session(overlaps::overlaps),
    )
    .lenient(),
    function(1176, "timestamptz", &[Date, Time], Timestamptz, Session(time_of_day::at_date_in_zone)).stable(),
    function(2025, "timestamp", &[Date, Time], Timestamp, Two(time_of_day::at_date)),
    // Not PostgreSQL's, in the range that it leaves free.
    function(9002, "follower_read_timestamp", &[], Timestamptz, Session(time::follower_read_timestamp))
        .stable(),
];
