//! Reads the values of settings as SET takes them and brings them into the form that SHOW gives.

use audit::Classes;
use expr::encoding::Encoding;

use crate::error::{Error, Result};
use crate::settings::definitions::{AUDIT, Definition, Kind};

/// What a setting is before it is set: what a new value leaves open stays as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'a> {
    /// Its value.
    pub(super) now: &'a str,
    /// Its value after RESET.
    pub(super) reset: &'a str,
}

/// The value in the form in which it is kept and shown.
pub(super) fn normalise(definition: &Definition, value: &str, before: Before<'_>) -> Result<String> {
    match definition.kind {
        Kind::Bool => match parse_bool(value) {
            Some(true) => Ok("on".to_owned()),
            Some(false) => Ok("off".to_owned()),
            None => Err(Error::new(
                "22023",
                format!("parameter \"{}\" requires a Boolean value", definition.name),
            )),
        },
        Kind::Enum(words) => normalise_enum(definition, words, value),
        Kind::Integer { min, max } => {
            let number: i64 = value.trim().parse().map_err(|_| invalid(definition, value))?;
            check_bounds(definition, number, min, max)?;
            Ok(number.to_string())
        }
        Kind::Milliseconds | Kind::MillisecondsOrNever => {
            let ms = parse_milliseconds(value).ok_or_else(|| {
                let invalid = invalid(definition, value);
                if !is_number(value) {
                    return invalid;
                }
                invalid.hint(
                    "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".",
                )
            })?;
            let least = if definition.kind == Kind::Milliseconds { 0 } else { -1 };
            check_bounds(definition, ms, least, i64::from(i32::MAX))?;
            Ok(if ms < 0 { ms.to_string() } else { show_milliseconds(ms) })
        }
        Kind::Kilobytes { min } => {
            let kilobytes = parse_kilobytes(value).ok_or_else(|| {
                let invalid = invalid(definition, value);
                match is_number(value) {
                    false => invalid,
                    true => invalid.hint(
                        "Valid units for this parameter are \"B\", \"kB\", \"MB\", \"GB\", and \"TB\".",
                    ),
                }
            })?;
            if kilobytes != -1 {
                check_bounds(definition, kilobytes, min, i64::from(i32::MAX))?;
            }
            Ok(if kilobytes < 0 { kilobytes.to_string() } else { show_kilobytes(kilobytes) })
        }
        Kind::Real { min, max } => {
            let number: f64 = value.trim().parse().map_err(|_| invalid(definition, value))?;
            if number.is_nan() {
                return Err(invalid(definition, value));
            }
            if number < min || number > max {
                let most = if max == f64::MAX { "1.79769e+308".to_owned() } else { max.to_string() };
                return Err(Error::new(
                    "22023",
                    format!(
                        "{number} is outside the valid range for parameter \"{}\" ({min} .. {most})",
                        definition.name
                    ),
                ));
            }
            Ok(number.to_string())
        }
        Kind::Text if definition.name == "application_name" => Ok(application_name(value)),
        Kind::Text | Kind::SearchPath => Ok(value.to_owned()),
        Kind::DateStyle => normalise_date_style(definition, value, before),
        Kind::TimeZone => Ok(expr::session::settled_time_zone(value)?),
        Kind::Encoding => normalise_encoding(definition, value),
        Kind::AuditClasses => match Classes::parse(value, Classes::ALL) {
            Ok(classes) => Ok(classes.to_string()),
            Err(word) => Err(invalid(definition, &word)
                .hint("Available values: none, all, read, write, ddl, role, session, misc.")),
        },
    }
}

fn invalid(definition: &Definition, value: &str) -> Error {
    Error::new("22023", format!("invalid value for parameter \"{}\": \"{value}\"", definition.name))
}

/// Whether it begins as a number does.
fn is_number(value: &str) -> bool {
    value.trim().starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
}

fn check_bounds(definition: &Definition, number: i64, min: i64, max: i64) -> Result<()> {
    if (min..=max).contains(&number) {
        return Ok(());
    }
    let unit = match definition.kind {
        Kind::Milliseconds | Kind::MillisecondsOrNever => " ms",
        Kind::Kilobytes { .. } => " kB",
        _ => "",
    };
    Err(Error::new(
        "22023",
        format!(
            "{number}{unit} is outside the valid range for parameter \"{}\" ({min} .. {max})",
            definition.name
        ),
    ))
}

/// The value of SET as one text.
pub(crate) fn join_values(name: &str, values: &[String]) -> Result<String> {
    match (name, values) {
        ("search_path", values) => Ok(values
            .iter()
            .map(|value| {
                let plain = value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                    && !value.is_empty();
                if plain { value.clone() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
            })
            .collect::<Vec<_>>()
            .join(", ")),
        ("datestyle" | AUDIT, values) => Ok(values.join(", ")),
        (_, [value]) => Ok(value.clone()),
        _ => Err(Error::new("22023", format!("SET {name} takes only one argument"))),
    }
}

/// A boolean as PostgreSQL's settings take it: unique prefixes of true, false, yes, no; on, off, 1, 0.
pub(crate) fn parse_bool(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let prefix = |word: &str| !value.is_empty() && word.starts_with(&value);
    match value.as_str() {
        "1" | "on" => Some(true),
        "0" | "off" | "of" => Some(false),
        _ if prefix("true") || prefix("yes") => Some(true),
        _ if prefix("false") || prefix("no") => Some(false),
        _ => None,
    }
}

/// As much of it as a name may have, and what is not printable ASCII replaced: it stands in logs and in what others see.
fn application_name(value: &str) -> String {
    const BYTES_MAX: usize = 63;
    let mut end = value.len().min(BYTES_MAX);
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let shown = |byte: u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '?' };
    value.bytes().take(end).map(shown).collect()
}

fn normalise_enum(definition: &Definition, words: &'static [&'static str], value: &str) -> Result<String> {
    let lower = value.trim().to_ascii_lowercase();
    if let Some(word) = words.iter().find(|word| **word == lower) {
        return Ok((*word).to_owned());
    }
    // Words that mean on and off are taken for enums that have these.
    if let Some(bool) = parse_bool(&lower) {
        let word = if bool { "on" } else { "off" };
        if words.contains(&word) {
            return Ok(word.to_owned());
        }
    }
    // PostgreSQL repeats the name as it was written, which SET folds.
    let name = definition.name.to_ascii_lowercase();
    Err(Error::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
        .hint(format!("Available values: {}.", words.join(", "))))
}

/// Milliseconds of a number with an optional unit.
pub(crate) fn parse_milliseconds(value: &str) -> Option<i64> {
    let value = value.trim();
    let unit_start = value.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(value.len());
    let (number, unit) = value.split_at(unit_start);
    let number: f64 = number.trim().parse().ok()?;
    let factor = match unit.trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let ms = (number * factor).round_ties_even();
    (ms.abs() < 9e18).then_some(ms as i64)
}

/// Kilobytes of a number with an optional unit.
pub(crate) fn parse_kilobytes(value: &str) -> Option<i64> {
    let value = value.trim();
    let unit_start = value.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(value.len());
    let (number, unit) = value.split_at(unit_start);
    let number: f64 = number.trim().parse().ok()?;
    let factor = match unit.trim() {
        "B" => 1.0 / 1024.0,
        "" | "kB" => 1.0,
        "MB" => 1024.0,
        "GB" => 1_048_576.0,
        "TB" => 1_073_741_824.0,
        _ => return None,
    };
    let kilobytes = (number * factor).round_ties_even();
    (kilobytes.abs() < 9e18).then_some(kilobytes as i64)
}

fn show_kilobytes(kilobytes: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(1 << 30, "TB"), (1 << 20, "GB"), (1 << 10, "MB"), (1, "kB")];
    if kilobytes == 0 {
        return "0".to_owned();
    }
    for (size, unit) in UNITS {
        if kilobytes % size == 0 {
            return format!("{}{unit}", kilobytes / size);
        }
    }
    format!("{kilobytes}kB")
}

fn show_milliseconds(ms: i64) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    if ms == 0 {
        return "0".to_owned();
    }
    for (size, unit) in UNITS {
        if ms % size == 0 {
            return format!("{}{unit}", ms / size);
        }
    }
    format!("{ms}ms")
}

/// `DateStyle` of its words (`check_datestyle`): the form and the order of fields, each as it is unless said.
fn normalise_date_style(definition: &Definition, value: &str, before: Before<'_>) -> Result<String> {
    let refuse = |why: String| Err(invalid(definition, value).detail(why));
    let (mut style, mut order): (Option<&str>, Option<&str>) = (None, None);
    let mut conflict = false;
    let mut say = |said: &mut Option<&'static str>, word: &'static str| {
        conflict |= said.is_some_and(|said| said != word);
        *said = Some(word);
    };
    let (mut default_style, mut default_order, mut german) = (false, false, false);
    for word in value.split(',').map(str::trim).filter(|_| !value.trim().is_empty()) {
        let lower = word.to_ascii_lowercase();
        match lower.as_str() {
            "iso" => say(&mut style, "ISO"),
            "sql" => say(&mut style, "SQL"),
            "german" => {
                say(&mut style, "German");
                german = true;
            }
            "mdy" | "us" => say(&mut order, "MDY"),
            "dmy" => say(&mut order, "DMY"),
            "ymd" => say(&mut order, "YMD"),
            "default" => {
                default_style |= style.is_none();
                default_order |= order.is_none();
            }
            other if other.starts_with("postgres") => say(&mut style, "Postgres"),
            other if other.starts_with("euro") => say(&mut order, "DMY"),
            other if other.starts_with("noneuro") => say(&mut order, "MDY"),
            other if other.is_empty() || other.contains(char::is_whitespace) => {
                return refuse("List syntax is invalid.".to_owned());
            }
            _ => return refuse(format!("Unrecognized key word: \"{lower}\".")),
        }
    }
    if conflict {
        return refuse("Conflicting \"datestyle\" specifications.".to_owned());
    }
    let (now, reset) = (date_style_parts(before.now), date_style_parts(before.reset));
    let style = style.unwrap_or(if default_style { reset.0 } else { now.0 });
    // The German form has the day first unless another order is said.
    let order = order.unwrap_or(match (german, default_order) {
        (true, _) => "DMY",
        (false, true) => reset.1,
        (false, false) => now.1,
    });
    Ok(format!("{style}, {order}"))
}

/// The form and the order of fields of a `DateStyle` as it is kept.
pub(super) fn date_style_parts(kept: &str) -> (&str, &str) {
    kept.split_once(", ").unwrap_or(("ISO", "MDY"))
}

fn normalise_encoding(definition: &Definition, value: &str) -> Result<String> {
    let encoding = Encoding::find(value).ok_or_else(|| invalid(definition, value))?;
    if encoding.is_supported() {
        return Ok(encoding.name().to_owned());
    }
    let why = format!("Conversion between {} and UTF8 is not supported.", encoding.name());
    let message = format!("invalid value for parameter \"{}\": \"{value}\"", definition.name);
    Err(Error::new("0A000", message).detail(why))
}

/// The names of a search path, `"$user"` included, without their quotes.
pub(crate) fn parse_search_path(value: &str) -> Vec<String> {
    value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => name.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::definitions::find;

    fn set(name: &str, value: &str) -> Result<String> {
        normalise(find(name).unwrap(), value, Before { now: "SQL, DMY", reset: "ISO, YMD" })
    }

    #[test]
    fn a_date_style_leaves_what_it_does_not_say() {
        for (value, shown) in [
            ("iso", "ISO, DMY"),
            ("YMD", "SQL, YMD"),
            ("german", "German, DMY"),
            ("German, us", "German, MDY"),
            ("postgresql, european", "Postgres, DMY"),
            ("default", "ISO, YMD"),
            ("sql, default", "SQL, YMD"),
            ("", "SQL, DMY"),
        ] {
            assert_eq!(set("DateStyle", value).unwrap(), shown, "{value}");
        }
        for value in ["iso, sql", "mdy, dmy", "iso dmy", "iso,,dmy", "nope"] {
            assert_eq!(set("DateStyle", value).unwrap_err().sqlstate, "22023", "{value}");
        }
    }

    #[test]
    fn milliseconds_take_units_and_are_shown_in_the_largest_that_fits() {
        assert_eq!(set("statement_timeout", "5000").unwrap(), "5s");
        assert_eq!(set("statement_timeout", "1.5s").unwrap(), "1500ms");
        assert_eq!(set("statement_timeout", "2min").unwrap(), "2min");
        assert_eq!(set("statement_timeout", "0").unwrap(), "0");
        assert_eq!(set("statement_timeout", "5 parsecs").unwrap_err().sqlstate, "22023");
    }

    #[test]
    fn kilobytes_take_units_and_are_shown_in_the_largest_that_fits() {
        for (value, shown) in [("4096", "4MB"), ("1.5MB", "1536kB"), ("1GB", "1GB"), ("100000B", "98kB")] {
            assert_eq!(set("work_mem", value).unwrap(), shown, "{value}");
        }
        for unbounded in ["temp_file_limit", "work_mem"] {
            assert_eq!(set(unbounded, "-1").unwrap(), "-1");
            assert_eq!(set(unbounded, "-2").unwrap_err().sqlstate, "22023");
        }
        let small = set("work_mem", "63kB").unwrap_err();
        assert_eq!(
            small.message,
            "63 kB is outside the valid range for parameter \"work_mem\" (64 .. 2147483647)"
        );
        for value in ["8mb", "much", "4TB 1"] {
            assert_eq!(set("work_mem", value).unwrap_err().sqlstate, "22023", "{value}");
        }
    }

    #[test]
    fn booleans_take_postgresqls_words() {
        for word in ["t", "TRUE", "yes", "on", "1"] {
            assert_eq!(set("row_security", word).unwrap(), "on");
        }
        assert_eq!(
            set("row_security", "o").unwrap_err().message,
            "parameter \"row_security\" requires a Boolean value"
        );
    }

    #[test]
    fn a_search_path_keeps_quoted_names_as_they_are() {
        assert_eq!(parse_search_path("\"$user\", Public,\"A b\""), ["$user", "public", "A b"]);
    }
}
