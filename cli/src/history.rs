//! How long history is kept, as it stands in flags, variables and files: `90s`, `10min`, `1h`, `7d`, `forever`.

use std::fmt;
use std::str::FromStr;

/// Units, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 24 * 3600 * 1000), ("h", 3600 * 1000), ("min", 60 * 1000), ("s", 1000), ("ms", 1)];

/// How long what was overwritten or deleted is kept, in ms; 0 = for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct History(pub(crate) u64);

impl History {
    /// Whether the cluster takes it for a mistake: less than a minute.
    pub(crate) fn is_short(self) -> bool {
        (1..60_000).contains(&self.0)
    }
}

impl FromStr for History {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no time: a number with d, h, min, s or ms, or 'forever'");
        if text == "forever" {
            return Ok(Self(0));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim_start();
        let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        match number.checked_mul(*ms) {
            // What a timestamp can hold.
            Some(ms) if (1..1 << 46).contains(&ms) => Ok(Self(ms)),
            _ => Err(format!("'{text}' is out of range; to keep history for good, say 'forever'")),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, ms)| self.0.is_multiple_of(*ms)) {
            Some((unit, ms)) if self.0 > 0 => write!(f, "{}{unit}", self.0 / ms),
            _ => f.write_str("forever"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_shown() {
        for (text, ms) in
            [("1h", 3_600_000), ("90s", 90_000), ("10 min", 600_000), ("7d", 604_800_000), ("5ms", 5)]
        {
            let history: History = text.parse().unwrap();
            assert_eq!(history, History(ms));
            assert_eq!(history.to_string(), text.replace(' ', ""));
        }
        assert_eq!("forever".parse(), Ok(History(0)));
        assert_eq!(History(0).to_string(), "forever");
        assert_eq!(History(60_000).to_string(), "1min");
        assert_eq!([0, 1, 59_999, 60_000].map(|ms| History(ms).is_short()), [false, true, true, false]);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "1", "h", "-1h", "1y", "0s", "1.5h", "99999999999999d", "Forever"] {
            assert!(text.parse::<History>().is_err(), "{text}");
        }
    }
}
