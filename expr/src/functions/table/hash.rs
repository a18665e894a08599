//! Hashes. Rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::super::hash::{self, plain, seeded};
use super::super::hash_composed::composed;
use super::function;
use crate::functions::Body::{One, Two, Typed};
use crate::functions::Function;
use crate::types::kinds::{
    AnyArray, AnyMultirange, AnyRange, Bpchar, Float4, Float8, Inet, Int2, Int4, Int8, Interval, Macaddr,
    Macaddr8, Name, Numeric, Oid, PgLsn, QuotedChar, Record, Text, Time, Timestamp, Timetz, Uuid,
};

/// The hash of 32 bits, and the one of 64 bits by a seed.
macro_rules! hashes {
    ($($plain:literal $name:literal, $seeded:literal $extended:literal: $kind:ident by $hash:ident;)*) => {
        &[$(
            function($plain, $name, &[$kind], Int4, One(|value| plain(hash::$hash, value))),
            function(
                $seeded,
                $extended,
                &[$kind, Int8],
                Int8,
                Two(|value, seed| seeded(hash::$hash, value, seed)),
            ),
        )*]
    };
}

pub(super) const FUNCTIONS: &[Function] = hashes! {
    328 "hashmacaddr8", 781 "hashmacaddr8extended": Macaddr8 by octets;
    399 "hashmacaddr", 778 "hashmacaddrextended": Macaddr by octets;
    400 "hashtext", 448 "hashtextextended": Text by text;
    422 "hashinet", 779 "hashinetextended": Inet by network;
    432 "hash_numeric", 780 "hash_numeric_extended": Numeric by decimal;
    449 "hashint2", 441 "hashint2extended": Int2 by int;
    450 "hashint4", 425 "hashint4extended": Int4 by int;
    451 "hashfloat4", 443 "hashfloat4extended": Float4 by real;
    452 "hashfloat8", 444 "hashfloat8extended": Float8 by real;
    453 "hashoid", 445 "hashoidextended": Oid by int;
    454 "hashchar", 446 "hashcharextended": QuotedChar by quoted_char;
    455 "hashname", 447 "hashnameextended": Name by text;
    949 "hashint8", 442 "hashint8extended": Int8 by bigint;
    1080 "hashbpchar", 972 "hashbpcharextended": Bpchar by bpchar;
    1688 "time_hash", 3409 "time_hash_extended": Time by bigint;
    1696 "timetz_hash", 3410 "timetz_hash_extended": Timetz by timetz;
    1697 "interval_hash", 3418 "interval_hash_extended": Interval by interval_length;
    2039 "timestamp_hash", 3411 "timestamp_hash_extended": Timestamp by timestamp;
    2963 "uuid_hash", 3412 "uuid_hash_extended": Uuid by uuid;
    3252 "pg_lsn_hash", 3413 "pg_lsn_hash_extended": PgLsn by lsn;
};

/// Those of values that are made of others.
pub(super) const COMPOSED: &[Function] = &[
    function(626, "hash_array", &[AnyArray], Int4, Typed(composed)),
    function(782, "hash_array_extended", &[AnyArray, Int8], Int8, Typed(composed)),
    function(3417, "hash_range_extended", &[AnyRange, Int8], Int8, Typed(composed)),
    function(3902, "hash_range", &[AnyRange], Int4, Typed(composed)),
    function(4278, "hash_multirange", &[AnyMultirange], Int4, Typed(composed)),
    function(4279, "hash_multirange_extended", &[AnyMultirange, Int8], Int8, Typed(composed)),
    function(6192, "hash_record", &[Record], Int4, Typed(composed)),
    function(6193, "hash_record_extended", &[Record, Int8], Int8, Typed(composed)),
];
