//! Numbers of transactions, and what of them a snapshot sees.
//!
//! A `xid` is held as a number of 32 bits without a sign, a `xid8` as a place in a log is ([`crate::lsn`]), a `pg_snapshot` as
//! its text: `xmin:xmax:xip,…`, all before `xmin` are over, none from `xmax` on has begun, between them those of the list run.

use crate::binary::{Input, malformed};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// The number that a text begins with, in base 10, 8 (behind `0`) or 16 (behind `0x`): 0 if it begins with none, the greatest
/// if it is too large, of one below zero the one that has its bits.
pub(crate) fn number(text: &str) -> u64 {
    let (is_negative, unsigned) = without_sign(text);
    let hexadecimal = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    let (digits, base) = match hexadecimal {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => (digits, 16),
        _ if unsigned.starts_with('0') => (unsigned, 8),
        _ => (unsigned, 10),
    };
    signed(is_negative, leading(digits, base).0)
}

/// The same in base 10 alone, and what is behind it: all of the text if it begins with none.
fn decimal(text: &str) -> (u64, &str) {
    let (is_negative, unsigned) = without_sign(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return (0, text);
    }
    let (number, rest) = leading(unsigned, 10);
    (signed(is_negative, number), rest)
}

/// Whether a number is below zero, and what is behind the blanks and the sign before it.
fn without_sign(text: &str) -> (bool, &str) {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    (text.starts_with('-'), text.strip_prefix(['-', '+']).unwrap_or(text))
}

/// The number with its sign; the greatest if it is too large.
fn signed(is_negative: bool, number: Option<u64>) -> u64 {
    match number {
        None => u64::MAX,
        Some(number) if is_negative => number.wrapping_neg(),
        Some(number) => number,
    }
}

/// The number whose digits a text begins with, None if that is too large; and what is behind them.
fn leading(text: &str, base: u32) -> (Option<u64>, &str) {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_digit(base)).unwrap_or(text.len()));
    let more = |number: Option<u64>, digit: u32| -> Option<u64> {
        number?.checked_mul(base.into())?.checked_add(digit.into())
    };
    (digits.chars().filter_map(|c| c.to_digit(base)).fold(Some(0), more), rest)
}

/// What a snapshot sees.
pub(crate) struct Snapshot {
    pub(crate) xmin: u64,
    pub(crate) xmax: u64,
    /// Those that run, in their order, each once.
    pub(crate) running: Vec<u64>,
}

/// Whether a number is one of a transaction.
fn is_valid(number: u64) -> bool {
    number as u32 != 0
}

impl Snapshot {
    /// A snapshot, unless its numbers are out of their order.
    fn new(xmin: u64, xmax: u64, mut running: Vec<u64>) -> Option<Self> {
        let is_within = |number: &u64| (xmin..xmax).contains(number);
        let is_sound = is_valid(xmin) && is_valid(xmax) && xmin <= xmax && running.iter().all(is_within);
        (is_sound && running.is_sorted()).then(|| {
            running.dedup();
            Self { xmin, xmax, running }
        })
    }

    /// Reads a snapshot. 22P02 if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| Error::invalid_text("pg_snapshot", text))
    }

    fn read(text: &str) -> Option<Self> {
        let (xmin, rest) = decimal(text);
        let (xmax, rest) = decimal(rest.strip_prefix(':')?);
        let mut rest = rest.strip_prefix(':')?;
        let mut running = Vec::new();
        while !rest.is_empty() {
            let (number, behind) = decimal(rest);
            running.push(number);
            rest = match behind.strip_prefix(',') {
                Some(behind) => behind,
                None if behind.is_empty() => behind,
                None => return None,
            };
        }
        Self::new(xmin, xmax, running)
    }

    /// The snapshot that a value holds. XX000 if it holds none.
    pub(crate) fn of(value: &Datum) -> Result<Self> {
        let held = value.as_str().and_then(Self::read);
        held.ok_or_else(|| Error::internal("a snapshot that is none"))
    }

    /// The value that holds it.
    pub(crate) fn to_datum(&self) -> Datum {
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        Datum::from(format!("{}:{}:{}", self.xmin, self.xmax, running.join(",")))
    }

    /// Whether what a transaction has done is seen.
    pub(crate) fn sees(&self, number: u64) -> bool {
        number < self.xmin || number < self.xmax && self.running.binary_search(&number).is_err()
    }

    /// Reads the binary format: how many run, `xmin`, `xmax`, those that run. 22P03 if it is none.
    pub(crate) fn receive(input: &mut Input<'_>) -> Result<Self> {
        let count = input.i32()?;
        let (xmin, xmax) = (input.i64()? as u64, input.i64()? as u64);
        let running: Result<Vec<u64>> = (0..count).map(|_| Ok(input.i64()? as u64)).collect();
        let snapshot = Self::new(xmin, xmax, running?).filter(|_| count >= 0);
        snapshot.ok_or_else(|| malformed("invalid external pg_snapshot data"))
    }

    /// Appends the binary format.
    pub(crate) fn send(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.running.len() as i32).to_be_bytes());
        for number in [self.xmin, self.xmax].iter().chain(&self.running) {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, read) in [
            ("42", 42),
            (" 010", 8),
            ("0xffffffffffffffff", u64::MAX),
            ("0x", 0),
            ("-1", u64::MAX),
            ("", 0),
            ("x", 0),
            ("7x", 7),
            ("89", 89),
            ("089", 0),
            ("99999999999999999999", u64::MAX),
        ] {
            assert_eq!(number(text), read, "{text}");
        }
    }

    #[test]
    fn snapshots_are_in_order() {
        for (text, shown) in [
            ("12:13:", "12:13:"),
            ("12:18:14,16", "12:18:14,16"),
            ("12:18:14,14", "12:18:14"),
            ("1:9223372036854775807:3", "1:9223372036854775807:3"),
            (" 12:+18: 14,\t16,", "12:18:14,16"),
            ("1:99999999999999999999:", "1:18446744073709551615:"),
            ("12:-1:18446744073709551614", "12:18446744073709551615:18446744073709551614"),
        ] {
            let snapshot = Snapshot::parse(text).unwrap();
            assert_eq!(snapshot.to_datum().as_str(), Some(shown));
            let mut sent = Vec::new();
            snapshot.send(&mut sent);
            let again = Snapshot::receive(&mut Input::new(&sent)).unwrap();
            assert_eq!(again.to_datum().as_str(), Some(shown));
        }
        for text in [
            "",
            "1",
            "1:2",
            "31:12:",
            "0:1:",
            "12:13:0",
            "12:16:14,13",
            "12:16:16",
            "12:16:14;15",
            "12:16:14,,15",
            "12 :16:",
            "12:16: ",
            "1:9223372036854775808:3",
        ] {
            assert_eq!(Snapshot::parse(text).err().unwrap().sqlstate, "22P02", "{text}");
        }
        let negative = [&(-1_i32).to_be_bytes()[..], &12_u64.to_be_bytes(), &13_u64.to_be_bytes()].concat();
        assert_eq!(Snapshot::receive(&mut Input::new(&negative)).err().unwrap().sqlstate, "22P03");
        let snapshot = Snapshot::parse("12:18:14,16").unwrap();
        let seen: Vec<u64> = (10..20).filter(|number| snapshot.sees(*number)).collect();
        assert_eq!(seen, [10, 11, 12, 13, 15, 17]);
    }
}
