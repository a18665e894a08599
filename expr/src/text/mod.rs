//! The pieces of PostgreSQL's text formats: numbers, bytes and times read and written. Which of them a type takes, says
//! [`crate::codec`].

mod bytes;
mod character;
mod interval;
mod interval_iso;
mod interval_output;
mod interval_sums;
mod interval_token;
mod number;
mod time;
mod time_failure;
mod time_fields;
mod time_input;
mod time_only;
mod time_part;
mod time_token;
mod time_whole;
mod time_word;

pub use bytes::{parse_bytea, parse_escape, parse_hex, parse_uuid, write_escape, write_hex, write_uuid};
pub use character::{byte_of as character_byte, of_byte as character_of};
pub use interval::parse as parse_interval;
pub use interval_output::write_interval;
pub use number::{
    parse_bool, parse_f32, parse_f64, parse_i16, parse_i32, parse_i64, parse_oid, write_f32, write_f64,
    write_integer,
};
pub use time::{Dates, write_date, write_time, write_timestamp, write_timestamptz, write_zoned_time};
pub use time_input::{parse_date, parse_time, parse_timestamp, parse_timestamptz, parse_zoned_time};
