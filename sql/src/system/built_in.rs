//! Signatures of built-in functions as text: `pg_get_function_arguments` and its like (`ruleutils.c`,
//! `print_function_arguments`).

use expr::functions::{Body, Function, FunctionId, FunctionKind, parameters};
use expr::{Datum, TypeKind};

use super::deparse::quote_name;
use super::types;

/// What a function of the catalog says of a built-in one; NULL: there is none of this number.
pub(super) fn answer(name: &str, oid: u32) -> Datum {
    let Some(function) = FunctionId::from_oid(oid) else { return Datum::Null };
    Datum::from(match name {
        "pg_get_function_result" => result(&function),
        name => arguments(function, name == "pg_get_function_arguments"),
    })
}

fn result(function: &Function) -> String {
    // Those that make one record of a document are no sets, though they stand in FROM.
    let is_single = matches!(function.name, "json_to_record" | "jsonb_to_record");
    let set = if function.kind == FunctionKind::Set && !is_single { "SETOF " } else { "" };
    let kind = if function.columns.is_empty() { function.result } else { TypeKind::Record };
    format!("{set}{}", kind.display_name())
}

fn arguments(function: FunctionId, with_defaults: bool) -> String {
    let (names, defaults) = parameters::of(function);
    let required = names.len().saturating_sub(defaults.len());
    let mut parts: Vec<String> = Vec::new();
    for (place, kind) in types::arguments(function).enumerate() {
        let is_last = place.saturating_add(1) == function.args.len();
        let mode = if function.variadic && is_last { "VARIADIC " } else { "" };
        let name = names.get(place).map(|name| format!("{} ", quote_name(name))).unwrap_or_default();
        let default = place.checked_sub(required).and_then(|place| defaults.get(place));
        let default = default.filter(|_| with_defaults).map(|text| shown_default(text, kind));
        parts.push(format!("{mode}{name}{}{}", kind.display_name(), default.unwrap_or_default()));
    }
    if let Body::OrderedSet(_) = function.body {
        return ordered(&parts, function.variadic);
    }
    let outputs = function.columns.iter().map(|(name, kind)| (*name, *kind));
    let output = function.output.map(|name| (name, function.result));
    parts.extend(
        outputs.chain(output).map(|(name, kind)| format!("OUT {} {}", quote_name(name), kind.display_name())),
    );
    parts.join(", ")
}

/// The last is what the rows are ordered by; what is compared with rows of any shape has the shape of them.
fn ordered(parts: &[String], variadic: bool) -> String {
    let Some((last, before)) = parts.split_last() else { return String::new() };
    match before {
        [] if variadic => format!("{last} ORDER BY {last}"),
        [] => format!("ORDER BY {last}"),
        before => format!("{} ORDER BY {last}", before.join(", ")),
    }
}

/// A literal as a default of this type is shown.
fn shown_default(text: &str, kind: TypeKind) -> String {
    let is_plain = matches!(kind, TypeKind::Bool)
        || text.starts_with(|first: char| first.is_ascii_digit()) && kind != TypeKind::Text;
    if is_plain { format!(" DEFAULT {text}") } else { format!(" DEFAULT '{text}'::{}", kind.display_name()) }
}
