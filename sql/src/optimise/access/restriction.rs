//! What conditions say of the columns of a table, as far as an index can find it.

use expr::operators::{Comparison, comparison};
use expr::{Datum, Expr, TypeKind};

use super::SPANS_MAX;
use super::keys::KeyExpressions;
use crate::optimise::condition::{is_free, may_move};
use crate::plan::{KeyBound, Scan};

/// What a condition says of one column, or of several together.
pub(super) struct Restriction {
    /// The condition's place.
    pub(super) at: usize,
    /// The place of the column in its table.
    pub(super) column: usize,
    pub(super) kind: RestrictionKind,
    /// Whether it is all that the condition says.
    pub(super) is_exact: bool,
}

pub(super) enum RestrictionKind {
    /// Equal to one of these.
    Equal(Vec<Expr>),
    /// Equal to an element of this array.
    OneOf(Expr),
    Null,
    NotNull,
    Lower(KeyBound),
    Upper(KeyBound),
    /// A row of this column and others is beyond, or before, a row of values.
    Row(RowBound),
}

/// `(a, b) > (1, 2)` and its like.
pub(super) struct RowBound {
    /// The places of the columns behind the first, and what they are compared with.
    pub(super) more: Vec<(usize, Expr)>,
    /// What the first is compared with.
    pub(super) first: Expr,
    /// It is beyond the values, not before them.
    pub(super) is_lower: bool,
    pub(super) inclusive: bool,
}

impl Restriction {
    /// What conditions say.
    pub(super) fn all(conditions: &[Expr], scan: &Scan, expressions: &KeyExpressions) -> Vec<Self> {
        let scan = &Read { scan, expressions };
        let mut all = Vec::new();
        for (at, condition) in conditions.iter().enumerate() {
            let (found, is_exact) = kinds(condition, scan);
            all.extend(found.into_iter().map(|(column, kind)| Self { at, column, kind, is_exact }));
        }
        all
    }
}

/// A scan, and what its indexes have computed.
struct Read<'s> {
    scan: &'s Scan,
    expressions: &'s KeyExpressions,
}

/// What one condition says, and whether that is all of it.
fn kinds(condition: &Expr, scan: &Read<'_>) -> (Vec<(usize, RestrictionKind)>, bool) {
    let exactly = |kind: Option<(usize, RestrictionKind)>| (kind.into_iter().collect(), true);
    match condition {
        Expr::Call { function, args, .. } => {
            let [first, second] = args.as_slice() else { return exactly(None) };
            if function.name == "textlike" {
                return pattern(first, second, scan);
            }
            let Some(comparison) = comparison(*function) else { return exactly(None) };
            exactly(
                compared(comparison, first, second, scan)
                    .or_else(|| compared(comparison.commuted(), second, first, scan)),
            )
        }
        Expr::In { operand, items, negated: false, .. } => {
            let Some((column, kind)) = column_of(operand, scan) else { return exactly(None) };
            let fits = items.len() <= SPANS_MAX && items.iter().all(|item| is_key_value(item, kind));
            exactly(fits.then(|| (column, RestrictionKind::Equal(items.clone()))))
        }
        Expr::AnyAll { operand, array, operator, all: false } => {
            if comparison(*operator) != Some(Comparison::Equal) || !is_free(array) || !may_move(array) {
                return exactly(None);
            }
            let element = array.ty().kind.element();
            let of = column_of(operand, scan).filter(|(_, kind)| element.is_some_and(|ty| fits(ty, *kind)));
            exactly(of.map(|(column, _)| (column, RestrictionKind::OneOf(array.as_ref().clone()))))
        }
        // Of a composite value it is asked whether its fields are.
        Expr::IsNull { operand, negated } if !operand.ty().kind.is_record() => {
            let kind = if *negated { RestrictionKind::NotNull } else { RestrictionKind::Null };
            exactly(column_of(operand, scan).map(|(column, _)| (column, kind)))
        }
        Expr::Or(_) => (row(condition, scan).into_iter().collect(), false),
        _ => exactly(None),
    }
}

fn compared(
    comparison: Comparison,
    operand: &Expr,
    value: &Expr,
    scan: &Read<'_>,
) -> Option<(usize, RestrictionKind)> {
    let (column, kind) = column_of(operand, scan)?;
    if !is_key_value(value, kind) {
        return None;
    }
    let bound = |inclusive| KeyBound { values: vec![value.clone()], inclusive };
    let kind = match comparison {
        Comparison::Equal => RestrictionKind::Equal(vec![value.clone()]),
        Comparison::Greater => RestrictionKind::Lower(bound(false)),
        Comparison::GreaterOrEqual => RestrictionKind::Lower(bound(true)),
        Comparison::Less => RestrictionKind::Upper(bound(false)),
        Comparison::LessOrEqual => RestrictionKind::Upper(bound(true)),
        Comparison::NotEqual => return None,
    };
    Some((column, kind))
}

/// `a < x OR a = x AND (b < y OR …)`: what `(a, b, …) < (x, y, …)` means.
fn row(condition: &Expr, scan: &Read<'_>) -> Option<(usize, RestrictionKind)> {
    let mut columns = Vec::new();
    let mut rest = condition;
    let mut direction = None;
    loop {
        let (beyond, then) = match rest {
            Expr::Or(arms) => match arms.as_slice() {
                [beyond, Expr::And(then)] => (beyond, Some(then)),
                _ => return None,
            },
            last => (last, None),
        };
        let Expr::Call { function, args, .. } = beyond else { return None };
        let [left, right] = args.as_slice() else { return None };
        let own = comparison(*function)?;
        let (is_lower, inclusive) = match own {
            Comparison::Greater => (true, false),
            Comparison::GreaterOrEqual => (true, true),
            Comparison::Less => (false, false),
            Comparison::LessOrEqual => (false, true),
            Comparison::Equal | Comparison::NotEqual => return None,
        };
        let (column, kind) = column_of(left, scan)?;
        if *direction.get_or_insert(is_lower) != is_lower || !is_key_value(right, kind) {
            return None;
        }
        columns.push((column, right.clone()));
        let Some(then) = then else {
            let ((column, first), more) = columns.split_first()?;
            let bound = RowBound { more: more.to_vec(), first: first.clone(), is_lower, inclusive };
            return Some((*column, RestrictionKind::Row(bound)));
        };
        let [Expr::Call { function, args: equal, .. }, next] = then.as_slice() else { return None };
        let is_equal = comparison(*function) == Some(Comparison::Equal)
            && equal.len() == 2
            && equal.iter().zip(args).all(|(equal, own)| crate::plan::same::same(equal, own));
        if !is_equal || inclusive {
            return None;
        }
        rest = next;
    }
}

/// `column LIKE 'x%'`: the texts that begin so lie beside each other.
fn pattern(operand: &Expr, pattern: &Expr, scan: &Read<'_>) -> (Vec<(usize, RestrictionKind)>, bool) {
    let Some((column, kind)) = column_of(operand, scan) else { return (Vec::new(), true) };
    let Expr::Literal { value: Datum::Text(pattern), ty } = pattern else { return (Vec::new(), true) };
    let Some((start, rest)) = literal_start(pattern) else { return (Vec::new(), true) };
    if ty.kind != kind || start.is_empty() {
        return (Vec::new(), true);
    }
    let literal = |text: &str| Expr::Literal { value: Datum::text(text), ty: *ty };
    if rest.is_empty() {
        return (vec![(column, RestrictionKind::Equal(vec![literal(&start)]))], true);
    }
    let bound = |text: &str, inclusive| KeyBound { values: vec![literal(text)], inclusive };
    let mut found = vec![(column, RestrictionKind::Lower(bound(&start, true)))];
    let end = behind(&start);
    let is_exact = rest == "%" && end.is_some();
    found.extend(end.map(|end| (column, RestrictionKind::Upper(bound(&end, false)))));
    (found, is_exact)
}

/// What a pattern begins with that stands for itself, and the rest; `None` if it is none.
fn literal_start(pattern: &str) -> Option<(String, &str)> {
    let mut start = String::new();
    let mut rest = pattern.chars();
    loop {
        let before = rest.as_str();
        match rest.next() {
            None | Some('%' | '_') => return Some((start, before)),
            Some('\\') => start.push(rest.next()?),
            Some(other) => start.push(other),
        }
    }
}

/// The first text behind all that begin so.
fn behind(start: &str) -> Option<String> {
    let mut end: Vec<char> = start.chars().collect();
    while let Some(last) = end.pop() {
        // Byte by byte texts stand in the order of their characters.
        let mut above = (last..=char::MAX).skip(1);
        if let Some(next) = above.next() {
            end.push(next);
            return Some(end.into_iter().collect());
        }
    }
    None
}

/// The place in the table, and the type, of the column that an expression stands for.
fn column_of(operand: &Expr, read: &Read<'_>) -> Option<(usize, TypeKind)> {
    if let Some(found) = read.expressions.place_of(operand) {
        return Some(found);
    }
    let scan = read.scan;
    let (index, kind) = match operand {
        Expr::Column { index, ty } => (*index, ty.kind),
        // varchar becomes text for its operators; its values stay the same.
        Expr::Cast { operand, to, .. } if to.kind == TypeKind::Text => match operand.as_ref() {
            Expr::Column { index, ty } if ty.kind == TypeKind::Varchar => (*index, TypeKind::Text),
            _ => return None,
        },
        _ => return None,
    };
    scan.columns.get(index).map(|column| (*column, kind))
}

/// Whether a value can be part of a key of a column that is compared as `kind`.
fn is_key_value(value: &Expr, kind: TypeKind) -> bool {
    is_free(value) && may_move(value) && fits(value.ty().kind, kind)
}

fn fits(ty: TypeKind, kind: TypeKind) -> bool {
    let is_integer = |kind| matches!(kind, TypeKind::Int2 | TypeKind::Int4 | TypeKind::Int8);
    ty == kind || is_integer(ty) && is_integer(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_begins_with_what_stands_for_itself() {
        assert_eq!(literal_start("ab%"), Some(("ab".to_owned(), "%")));
        assert_eq!(literal_start(r"a\%b_c"), Some(("a%b".to_owned(), "_c")));
        assert_eq!(literal_start("abc"), Some(("abc".to_owned(), "")));
        assert_eq!(literal_start(r"abc\"), None);
    }

    #[test]
    fn what_begins_so_ends_before_the_next_text() {
        assert_eq!(behind("ab").as_deref(), Some("ac"));
        assert_eq!(behind("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(behind("\u{D7FF}").as_deref(), Some("\u{E000}"));
        assert_eq!(behind("\u{10FFFF}"), None);
    }
}
