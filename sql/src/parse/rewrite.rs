//! Changes in the text of a statement: some tokens give way to others, all else stays as it was written.

use super::cursor::Cursor;
use super::lexer::Kind;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Where, in characters from 1.
    pub(crate) at: usize,
    /// So many tokens that begin there give way.
    pub(crate) tokens: usize,
    /// The new text.
    pub(crate) text: String,
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
        let mut end = token.end();
        if let Some(edit) = edits.next_if(|edit| edit.at == token.at) {
            out.push_str(sql.get(copied..token.start).unwrap_or_default());
            out.push_str(&edit.text);
            for _ in 1..edit.tokens {
                cursor.advance();
                end = cursor.peek().end();
            }
            copied = end;
        }
        cursor.advance();
    }
    out.push_str(sql.get(copied..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_give_way_and_all_else_stays() {
        let edit = |at, tokens, text: &str| Edit { at, tokens, text: text.to_owned() };
        let sql = "SELECT s . t.a, 'é' -- it's\n FROM s.t";
        let edits = vec![edit(35, 3, "\"S\".u AS t"), edit(8, 2, ""), edit(8, 2, "")];
        assert_eq!(edited(sql, edits), "SELECT  t.a, 'é' -- it's\n FROM \"S\".u AS t");
        assert_eq!(edited(sql, Vec::new()), sql);
    }
}
