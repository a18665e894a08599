//! Documents as text.

use crate::datum::json::Json;
use crate::numeric;

/// Appends `{"a": 1, "b": [true, null]}`.
pub(crate) fn compact(json: &Json, out: &mut String) {
    match json {
        Json::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                compact(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (place, (key, value)) in members.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                string(key, out);
                out.push_str(": ");
                compact(value, out);
            }
            out.push('}');
        }
        scalar => write_scalar(scalar, out),
    }
}

/// Appends a document with a line for each member, as `jsonb_pretty` does.
pub(crate) fn pretty(json: &Json, indent: usize, out: &mut String) {
    let line = |indent: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * 4));
    };
    match json {
        Json::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                line(indent + 1, out);
                pretty(item, indent + 1, out);
            }
            line(indent, out);
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (place, (key, value)) in members.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                line(indent + 1, out);
                string(key, out);
                out.push_str(": ");
                pretty(value, indent + 1, out);
            }
            line(indent, out);
            out.push('}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar(json: &Json, out: &mut String) {
    match json {
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(value) => numeric::write(value, out),
        Json::String(text) => string(text, out),
        _ => out.push_str("null"),
    }
}

/// Appends a string between quotes.
pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
