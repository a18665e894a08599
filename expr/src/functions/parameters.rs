//! What the parameters of functions are called (`proargnames`), and what is meant where a call leaves one out
//! (`proargdefaults`): rows of PostgreSQL 15's `pg_proc`, by its OIDs.

use super::FunctionId;

/// A function whose parameters have names.
struct Named {
    oid: u32,
    names: &'static [&'static str],
    /// Those of the last parameters, as literals.
    defaults: &'static [&'static str],
}

/// What stands in the place of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The argument of this number in the call, from 0.
    Argument(usize),
    /// A literal: the call names one behind, and not this one.
    Default(&'static str),
}

const fn row(oid: u32, names: &'static [&'static str], defaults: &'static [&'static str]) -> Named {
    Named { oid, names, defaults }
}

const ALONG: &[&str] = &["target", "path", "vars", "silent"];
const ALONG_DEFAULTS: &[&str] = &["{}", "false"];
const FROM_JSON: &[&str] = &["from_json"];
const FIELD: &[&str] = &["from_json", "field_name"];
const ELEMENT: &[&str] = &["from_json", "element_index"];
const MOMENT: &[&str] = &["year", "month", "mday", "hour", "min", "sec"];

const NAMED: &[Named] = &[
    row(1177, ALONG, ALONG_DEFAULTS),
    row(1179, ALONG, ALONG_DEFAULTS),
    row(1180, ALONG, ALONG_DEFAULTS),
    row(1268, &["str", "strict"], &["true"]),
    row(2023, ALONG, ALONG_DEFAULTS),
    row(2030, ALONG, ALONG_DEFAULTS),
    row(2096, &["pid", "timeout"], &["0"]),
    row(3208, FROM_JSON, &[]),
    row(3214, FIELD, &[]),
    row(3215, ELEMENT, &[]),
    row(3216, ELEMENT, &[]),
    row(3219, FROM_JSON, &[]),
    row(3305, &["jsonb_in", "path", "replacement", "create_if_missing"], &["true"]),
    row(3425, &["partitionid"], &[]),
    row(3461, MOMENT, &[]),
    row(3462, MOMENT, &[]),
    row(3463, &["year", "month", "mday", "hour", "min", "sec", "timezone"], &[]),
    row(
        3464,
        &["years", "months", "weeks", "days", "hours", "mins", "secs"],
        &["0", "0", "0", "0", "0", "0", "0.0"],
    ),
    row(3465, FROM_JSON, &[]),
    row(3478, FIELD, &[]),
    row(3579, &["jsonb_in", "path", "replacement", "insert_after"], &["false"]),
    row(3846, &["year", "month", "day"], &[]),
    row(3847, &["hour", "min", "sec"], &[]),
    row(3932, FROM_JSON, &[]),
    row(3947, FIELD, &[]),
    row(3948, FIELD, &[]),
    row(3949, ELEMENT, &[]),
    row(3950, ELEMENT, &[]),
    row(3955, FROM_JSON, &[]),
    row(3958, FROM_JSON, &[]),
    row(3959, FROM_JSON, &[]),
    row(3960, &["base", "from_json", "use_json_as_text"], &["false"]),
    row(3961, &["base", "from_json", "use_json_as_text"], &["false"]),
    row(3969, FROM_JSON, &[]),
    row(4005, ALONG, ALONG_DEFAULTS),
    row(4006, ALONG, ALONG_DEFAULTS),
    row(4007, ALONG, ALONG_DEFAULTS),
    row(4008, ALONG, ALONG_DEFAULTS),
    row(4009, ALONG, ALONG_DEFAULTS),
    row(
        5054,
        &["jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"],
        &["true", "use_json_null"],
    ),
];

/// The names of a function's parameters, and the literals that stand for the last of them where a call leaves them out; both are empty
/// if they have no names.
pub fn of(function: FunctionId) -> (&'static [&'static str], &'static [&'static str]) {
    let found = NAMED.binary_search_by_key(&function.oid(), |row| row.oid).ok();
    found.and_then(|at| NAMED.get(at)).map_or((&[], &[]), |row| (row.names, row.defaults))
}

/// What stands in the places of a function's parameters if it is called with so many arguments, of which the last have these
/// names; `None`: it cannot be called so. Parameters behind the last that is given are left out.
pub fn places(function: FunctionId, count: usize, named: &[&str]) -> Option<Vec<Place>> {
    let at = NAMED.binary_search_by_key(&function.oid(), |row| row.oid).ok()?;
    let row = NAMED.get(at)?;
    let positional = count.checked_sub(named.len())?;
    let mut given: Vec<Option<usize>> = (0..positional).map(Some).collect();
    given.resize(row.names.len().max(positional), None);
    for (number, name) in named.iter().enumerate() {
        let place = row.names.iter().position(|own| own == name)?;
        let slot = given.get_mut(place)?;
        if slot.replace(positional.saturating_add(number)).is_some() {
            return None;
        }
    }
    if given.len() > row.names.len() {
        return None;
    }
    let required = row.names.len().saturating_sub(row.defaults.len());
    let mut places = Vec::with_capacity(given.len());
    for (place, argument) in given.iter().enumerate() {
        let default = place.checked_sub(required).and_then(|place| row.defaults.get(place));
        places.push(match (argument, default) {
            (Some(number), _) => Place::Argument(*number),
            (None, Some(text)) => Place::Default(text),
            (None, None) => return None,
        });
    }
    while matches!(places.last(), Some(Place::Default(_))) {
        places.pop();
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_the_functions_that_they_are_about() {
        let mut before = 0;
        for row in NAMED {
            assert!(row.oid > before, "{} in order", row.oid);
            before = row.oid;
            let function = FunctionId::from_oid(row.oid).unwrap();
            assert_eq!(function.args.len(), row.names.len(), "{function:?}");
            assert_eq!(function.defaults, row.defaults.len(), "{function:?}");
            assert!(!function.variadic, "{function:?}");
        }
    }

    #[test]
    fn arguments_stand_in_the_places_of_their_names() {
        let function = FunctionId::from_oid(3464).unwrap();
        assert_eq!(places(function, 1, &["months"]), Some(vec![Place::Default("0"), Place::Argument(0)]));
        assert_eq!(
            places(function, 3, &["weeks", "months"]),
            Some(vec![Place::Argument(0), Place::Argument(2), Place::Argument(1)])
        );
        assert_eq!(places(function, 2, &["years"]), None);
        assert_eq!(places(function, 1, &["year"]), None);
        let set = FunctionId::from_oid(3305).unwrap();
        assert_eq!(places(set, 2, &["path"]), None);
    }
}
