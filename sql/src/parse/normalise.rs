//! What query strings that differ in their literals alone have in common.
//!
//! ```text
//! update t set n = n + 1 where a = 'x'   ─▶   update t set n = n + $1 where a = $2   │ i s   │ 1  'x'
//! ```
//!
//! Only tokens are looked at. Whether the two texts mean the same is for others to find out: some literals are part of
//! the grammar (a type's modifier, the position of a column in ORDER BY). A string beside a type is read as that type
//! while it is bound, at that moment and in that session; a text that has one is left alone.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::keyword::Category;
use super::lexer::{Kind, Lexer, Token};
use crate::error::Result;

/// Longer query strings are not looked at.
const BYTES_MAX: usize = 4096;

/// No more literals than this are taken out.
const LITERALS_MAX: usize = 64;

/// What stands behind the statement's text in a key, before the classes of its literals.
const CLASSES: char = '\0';

/// A literal, by the type that it has by itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    /// An int4.
    Int4(i32),
    /// An int8.
    Int8(i64),
    /// A numeric, as it is written.
    Numeric(String),
    /// A string, whose type is what its place makes it.
    String(String),
}

/// A query string of one statement, its literals taken out.
#[derive(Debug, Default)]
pub(crate) struct Normalised {
    key: String,
    text_bytes: usize,
    /// What was taken out, in order: the first is `$1`.
    pub(crate) literals: Vec<Literal>,
}

impl Normalised {
    /// What all query strings have that differ from this one in the values of literals alone.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The statement with parameters for literals.
    pub(crate) fn text(&self) -> &str {
        self.key.get(..self.text_bytes).unwrap_or_default()
    }

    /// Of a query string of one statement that reads or writes rows, without parameters. `None`: it is something else,
    /// or nothing that is worth it.
    pub(crate) fn of(sql: &str) -> Option<Self> {
        if sql.len() > BYTES_MAX || sql.contains(CLASSES) {
            return None;
        }
        let mut lexer = Lexer::new(sql);
        let mut before = lexer.token();
        if !matches!(before.keyword, "select" | "insert" | "update" | "delete") {
            return None;
        }
        let mut normalised = Self { key: String::with_capacity(sql.len() + 16), ..Self::default() };
        let mut classes = String::new();
        // Up to here the text has been taken over.
        let mut taken = before.start;
        // Whether what stands before the last token, or that itself, may be the left side of an operator.
        let (mut had_operand, mut has_operand) = (false, false);
        let mut token = lexer.token();
        loop {
            let next = lexer.token();
            match token.kind {
                Kind::End => break,
                Kind::Symbol if token.text == ";" => {
                    let ends = std::iter::successors(Some(next), |token| {
                        token.is_symbol(";").then(|| lexer.token())
                    });
                    if ends.last()?.kind != Kind::End {
                        return None;
                    }
                    break;
                }
                Kind::Broken | Kind::Parameter | Kind::Bits => return None,
                Kind::String if is_typed(&before, &token, &next) => return None,
                Kind::Number | Kind::String => {
                    if normalised.literals.len() >= LITERALS_MAX {
                        return None;
                    }
                    // The sign belongs to the number, unless something binds the number closer.
                    let is_signed = token.kind == Kind::Number
                        && before.is_symbol("-")
                        && !had_operand
                        && !next.is_symbol("::");
                    let (literal, class) = literal(&token, is_signed).ok()?;
                    normalised.literals.push(literal);
                    classes.push(class);
                    let start = if is_signed { before.start } else { token.start };
                    normalised.key.push_str(sql.get(taken..start)?);
                    // Writing to a string does not fail.
                    let _ = write!(normalised.key, "${}", normalised.literals.len());
                    taken = token.end();
                }
                _ => {}
            }
            (had_operand, has_operand) = (has_operand, may_be_operand(&token));
            before = token;
            token = next;
        }
        normalised.key.push_str(sql.get(taken..before.end())?);
        normalised.text_bytes = normalised.key.len();
        normalised.key.push(CLASSES);
        normalised.key.push_str(&classes);
        Some(normalised)
    }
}

/// Whether a string has a type in front of it or behind, or one by itself.
fn is_typed(before: &Token<'_>, token: &Token<'_>, next: &Token<'_>) -> bool {
    let may_stand_before = match before.kind {
        Kind::Word => {
            before.category == Category::Reserved && !before.keyword.is_empty()
                || matches!(before.keyword, "like" | "ilike" | "between")
        }
        Kind::Quoted => false,
        // The length of a type: bit(3) '101'.
        Kind::Symbol => !before.is_symbol(")"),
        _ => true,
    };
    !may_stand_before || next.is_symbol("::") || token.text.starts_with(['n', 'N', 'u', 'U'])
}

/// Whether an operator behind the token may have it on its left.
fn may_be_operand(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Word => {
            // A column may be called so; then nothing is found out to mean the same.
            token.category != Category::Reserved && token.keyword != "between"
                || matches!(token.keyword, "" | "null" | "true" | "false" | "end")
                || token.keyword.starts_with("current_")
        }
        Kind::Symbol => matches!(token.text, ")" | "]"),
        Kind::Operator => false,
        _ => true,
    }
}

fn literal(token: &Token<'_>, is_signed: bool) -> Result<(Literal, char)> {
    if token.kind == Kind::String {
        return Ok((Literal::String(token.string()?), 's'));
    }
    let text = if is_signed { Cow::Owned(format!("-{}", token.text)) } else { Cow::Borrowed(token.text) };
    Ok(if let Ok(value) = text.parse() {
        (Literal::Int4(value), 'i')
    } else if let Ok(value) = text.parse() {
        (Literal::Int8(value), 'l')
    } else {
        (Literal::Numeric(text.into_owned()), 'n')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(sql: &str) -> Option<(String, String, Vec<Literal>)> {
        let normalised = Normalised::of(sql)?;
        let classes = normalised.key().get(normalised.text().len() + 1..).unwrap_or_default().to_owned();
        Some((normalised.text().to_owned(), classes, normalised.literals))
    }

    #[test]
    fn literals_become_parameters_and_their_classes_stay() {
        let (text, classes, literals) =
            parts("/* a */ update t set a = a - 1, b = 3000000000 where c = E'x\\n' and d > 1.50 ; ;")
                .unwrap();
        assert_eq!(text, "update t set a = a - $1, b = $2 where c = $3 and d > $4");
        assert_eq!(classes, "ilsn");
        let string = Literal::String("x\n".to_owned());
        let numeric = Literal::Numeric("1.50".to_owned());
        assert_eq!(literals, [Literal::Int4(1), Literal::Int8(3_000_000_000), string, numeric]);
        let key = |sql| Normalised::of(sql).unwrap().key().to_owned();
        assert_eq!(key("select 1"), key("select 22"));
        assert_ne!(key("select 1"), key("select 3000000000"));
        assert_ne!(key("select 1"), key("select '1'"));
        assert_eq!(key("select 1"), key("  select 7;"));
    }

    #[test]
    fn a_sign_belongs_to_its_number() {
        let (text, classes, literals) =
            parts("update t set a = a + -5, b = a -6, c = -2147483648 where (1) - 7 > - 8 and a = -9::int")
                .unwrap();
        assert_eq!(text, "update t set a = a + $1, b = a -$2, c = $3 where ($4) - $5 > $6 and a = -$7::int");
        assert_eq!(classes, "iiiiiii");
        let values: Vec<i32> = literals
            .iter()
            .map(|literal| match literal {
                Literal::Int4(value) => *value,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, [-5, 6, i32::MIN, 1, 7, -8, 9]);
    }

    #[test]
    fn between_is_no_operand() {
        let (text, classes, literals) =
            parts("select 1 where a between -5 and -3 and b between 1 and 2").unwrap();
        assert_eq!(text, "select $1 where a between $2 and $3 and b between $4 and $5");
        assert_eq!(classes, "iiiii");
        assert_eq!(literals[1..3], [Literal::Int4(-5), Literal::Int4(-3)]);
    }

    #[test]
    fn what_is_no_single_statement_without_parameters_is_left_alone() {
        for sql in ["", ";", "begin", "select $1", "select 1; select 2", "select 'x", "select b'1'"] {
            assert!(Normalised::of(sql).is_none(), "{sql}");
        }
        for typed in ["date '2020-01-01'", "'5'::int", "interval '1' day", "n'x'", "\"int4\" '5'"] {
            assert!(Normalised::of(&format!("select {typed} from t")).is_none(), "{typed}");
        }
        assert!(Normalised::of("select '\0'").is_none());
        assert!(Normalised::of(&format!("select {}", "1, ".repeat(LITERALS_MAX + 1))).is_none());
        assert!(Normalised::of(&format!("select {}", " ".repeat(BYTES_MAX))).is_none());
    }
}
