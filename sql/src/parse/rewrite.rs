//! Changes in the text of a statement: some tokens give way to others, all else stays as it was written.

use super::cursor::Cursor;
use super::lexer::Kind;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Where, in characters from 1.
    pub(crate) at: usize,
    /// What gives way.
    pub(crate) instead: Instead,
    /// The new text.
    pub(crate) text: String,
}

/// What gives way to an edit's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// So many tokens that begin there.
    Tokens(usize),
    /// The first string that stands there or behind, which a type's name may stand before: it is cast to this type, unless it
    /// is anyway.
    String(&'static str),
}

/// The text with its changes. Two at one place are the same.
pub(crate) fn edited(sql: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.at);
    edits.dedup_by_key(|edit| edit.at);
    let mut edits = edits.into_iter().peekable();
    let mut out = String::with_capacity(sql.len());
    let mut copied = 0;
    let mut cursor = Cursor::new(sql);
    while !matches!(cursor.peek().kind, Kind::End | Kind::Broken) {
        let token = *cursor.peek();
        let begins = |edit: &Edit| match edit.instead {
            Instead::Tokens(_) => edit.at == token.at,
            Instead::String(_) => edit.at <= token.at && token.kind == Kind::String,
        };
        let mut end = token.end();
        if let Some(edit) = edits.next_if(begins) {
            out.push_str(sql.get(copied..token.start).unwrap_or_default());
            out.push_str(&edit.text);
            match edit.instead {
                Instead::Tokens(count) => {
                    for _ in 1..count {
                        cursor.advance();
                        end = cursor.peek().end();
                    }
                }
                Instead::String(cast) => {
                    let is_cast = cursor.peek_at(1).is_symbol("::")
                        && cursor.peek_at(2).text.eq_ignore_ascii_case(cast);
                    if !is_cast {
                        out.push_str("::");
                        out.push_str(cast);
                    }
                }
            }
            copied = end;
        }
        cursor.advance();
    }
    out.push_str(sql.get(copied..).unwrap_or_default());
    out
}

/// The oids that stand in `'oid'::regclass`, with where.
fn pinned(sql: &str) -> Vec<(usize, u32)> {
    let mut found = Vec::new();
    let mut cursor = Cursor::new(sql);
    while !matches!(cursor.peek().kind, Kind::End | Kind::Broken) {
        let token = *cursor.peek();
        if token.kind == Kind::String
            && cursor.peek_at(1).is_symbol("::")
            && cursor.peek_at(2).text.eq_ignore_ascii_case("regclass")
            && let Ok(oid) = token.string().unwrap_or_default().parse()
        {
            found.push((token.at, oid));
        }
        cursor.advance();
    }
    found
}

/// The names that stand before a parenthesis: of whatever a text calls, and perhaps of more.
pub(crate) fn called_in(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = Cursor::new(sql);
    while !matches!(cursor.peek().kind, Kind::End | Kind::Broken) {
        let token = *cursor.peek();
        if matches!(token.kind, Kind::Word | Kind::Quoted) && cursor.peek_at(1).is_symbol("(") {
            found.extend(token.name());
        }
        cursor.advance();
    }
    found
}

/// All names in a text, and all `$1`, `$2`, each as often as it stands there.
pub(crate) fn names_in(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = Cursor::new(sql);
    while !matches!(cursor.peek().kind, Kind::End | Kind::Broken) {
        let token = cursor.advance();
        match token.kind {
            Kind::Word | Kind::Quoted => found.extend(token.name()),
            Kind::Parameter => found.push(token.text.to_owned()),
            _ => {}
        }
    }
    found
}

/// The relations that literals of regclass name by oid.
pub(crate) fn relations_in(sql: &str) -> Vec<u32> {
    pinned(sql).into_iter().map(|(_, oid)| oid).collect()
}

/// The text with names in those literals.
pub(crate) fn with_names(sql: &str, name: impl Fn(u32) -> Option<String>) -> String {
    let edit = |(at, oid)| {
        let text = expr::functions::quote::literal(&name(oid)?);
        Some(Edit { at, instead: Instead::String("regclass"), text })
    };
    edited(sql, pinned(sql).into_iter().filter_map(edit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(at: usize, instead: Instead, text: &str) -> Edit {
        Edit { at, instead, text: text.to_owned() }
    }

    #[test]
    fn tokens_give_way_and_all_else_stays() {
        let sql = "SELECT s . t.a, 'é' -- it's\n FROM s.t";
        let edits = vec![edit(8, Instead::Tokens(2), ""), edit(35, Instead::Tokens(3), "\"S\".u AS t")];
        assert_eq!(edited(sql, edits), "SELECT  t.a, 'é' -- it's\n FROM \"S\".u AS t");
        let sql = "SELECT regclass 'x', nextval('y')";
        let edits = vec![
            edit(8, Instead::String("regclass"), "'7'"),
            edit(30, Instead::String("regclass"), "'8'"),
            edit(30, Instead::String("regclass"), "'8'"),
        ];
        let pinned = edited(sql, edits);
        assert_eq!(pinned, "SELECT regclass '7'::regclass, nextval('8'::regclass)");
        assert_eq!(relations_in(&pinned), [7, 8]);
        let again = vec![edit(8, Instead::String("regclass"), "'9'")];
        assert_eq!(edited("SELECT 'x'::regclass::oid", again), "SELECT '9'::regclass::oid");
        assert_eq!(called_in("select \"F\"(a), g (b.c(1)), 'h(' /* i( */ where x"), ["F", "g", "c"]);
        assert_eq!(
            names_in("select \"A\" + $1, a.b /* c */ - $1 || 'd'"),
            ["select", "A", "$1", "a", "b", "$1"]
        );
        let named = with_names(&pinned, |oid| (oid == 8).then(|| "it's".to_owned()));
        assert_eq!(named, "SELECT regclass '7'::regclass, nextval('it''s'::regclass)");
        assert_eq!(relations_in("SELECT $$'7'::regclass$$ -- '8'::regclass"), [0_u32; 0]);
    }
}
