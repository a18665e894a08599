//! Relations by the texts of their names, and within the text of a default: kept there by oid, shown by name.
//!
//! `nextval('s'::regclass)` is kept as `nextval('16400'::regclass)`, which means the same whatever becomes of the sequence's
//! name, its schema, or the search path.

use super::{CatalogSnapshot, Oid, SearchPath};

/// What stands behind a literal that names a relation.
const REGCLASS: &str = "::regclass";

/// The literal with another content.
fn quoted(content: &str) -> String {
    format!("'{}'", content.replace('\'', "''"))
}

/// The text with what `change` makes of each literal that names a relation; `None` leaves it as it is.
fn rewritten(text: &str, mut change: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = if rest.as_bytes().get(start) == Some(&b'"') { '"' } else { '\'' };
        let Some((before, literal, after)) = literal_at(rest, start, quote) else { break };
        out.push_str(before);
        let content = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
        let names_relation = quote == '\'' && after.starts_with(REGCLASS);
        let changed = if names_relation { change(&content.replace("''", "'")) } else { None };
        match changed {
            Some(changed) => out.push_str(&quoted(&changed)),
            None => out.push_str(literal),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// What stands before, as, and behind the literal or quoted name that begins there; a doubled quote stands for one.
fn literal_at(text: &str, start: usize, quote: char) -> Option<(&str, &str, &str)> {
    let mut end = start.checked_add(1)?;
    loop {
        end = text.get(end..)?.find(quote)?.checked_add(end)?.checked_add(1)?;
        if !text.get(end..)?.starts_with(quote) {
            return Some((text.get(..start)?, text.get(start..end)?, text.get(end..)?));
        }
        end = end.checked_add(1)?;
    }
}

/// The relation that a text names.
pub fn find(catalog: &CatalogSnapshot, path: &SearchPath, text: &str) -> Option<Oid> {
    match parts(text).as_slice() {
        [name] => catalog.relation_oid(path, None, name),
        [schema, name] => catalog.relation_oid(path, Some(schema), name),
        _ => None,
    }
}

/// That the schema of a name that has one is there, be it a function's with the types of its arguments. 3F000 if it is not.
pub fn check_schema(catalog: &CatalogSnapshot, text: &str) -> expr::Result<()> {
    let name = text.split_once('(').map_or(text, |(name, _)| name);
    match parts(name).as_slice() {
        [schema, _] if catalog.objects().schema_oid(schema).is_none() => {
            Err(expr::Error::new("3F000", format!("schema \"{schema}\" does not exist")))
        }
        _ => Ok(()),
    }
}

/// The parts of a name that dots separate; folded unless quoted.
pub fn parts(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut chars = text.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            c if quoted => part.push(c),
            c => part.extend(c.to_lowercase()),
        }
    }
    parts.push(part);
    parts
}

fn oid(content: &str) -> Option<Oid> {
    if content.bytes().all(|byte| byte.is_ascii_digit()) { content.parse().ok() } else { None }
}

/// The text as it is kept: names become what `find` says they mean.
pub fn kept(text: &str, find: impl Fn(&str) -> Option<Oid>) -> String {
    rewritten(text, |content| match oid(content) {
        Some(_) => None,
        None => find(content).map(|oid| oid.to_string()),
    })
}

/// The text as it is shown: oids become names.
pub fn shown(text: &str, name: impl Fn(Oid) -> Option<String>) -> String {
    rewritten(text, |content| oid(content).and_then(&name))
}

/// The relations that a kept text names.
pub fn relations_in(text: &str) -> Vec<Oid> {
    let mut found = Vec::new();
    rewritten(text, |content| {
        found.extend(oid(content));
        None
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_by_oid() {
        let find = |name: &str| (name == "a'b").then_some(7);
        let text = "concat('x''y'::text, nextval('a''b'::regclass), 'c'::regclass, '9'::regclass, \"'\")";
        let kept = kept(text, find);
        assert_eq!(kept, "concat('x''y'::text, nextval('7'::regclass), 'c'::regclass, '9'::regclass, \"'\")");
        assert_eq!(relations_in(&kept), [7, 9]);
        assert_eq!(shown(&kept, |oid| (oid == 7).then(|| "a'b".to_owned())), text);
        assert_eq!(shown("'open", |_| None), "'open");
    }
}
