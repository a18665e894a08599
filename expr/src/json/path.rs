//! SQL/JSON paths, the type `jsonpath` (PostgreSQL's manual, 9.16.2): steps through a document, and conditions over what is
//! found. [`parse`](mod@parse) reads a path, [`run`](mod@run) walks along it.

mod lex;
pub(crate) mod moment;
pub(crate) mod parse;
pub(crate) mod run;
pub(crate) mod value;

use super::write::string;
use crate::datum::Numeric;
use crate::error::{Error, Result};
use crate::numeric;
use crate::work;

/// Why a walk along a path ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The document is not as the path wants it: an error, or none at all where errors are to be silent.
    Misfit(Error),
    /// The statement is to end, or takes too much, or the path is no good.
    Fatal(Error),
}

pub(crate) type Walked<T = ()> = std::result::Result<T, Failure>;

/// A path as it is kept: as PostgreSQL writes it.
///
/// # Errors
/// It is none.
pub(crate) fn canonical(text: &str) -> Result<String> {
    work::spend(text.len())?;
    let mut out = String::with_capacity(text.len());
    parse::parse(text)?.write(&mut out);
    Ok(out)
}

/// A path.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    /// A structure that does not fit is no error: arrays are opened, and other values taken for arrays, where needed.
    pub(crate) lax: bool,
    /// What it computes.
    pub(crate) item: Item,
}

/// What a path begins with, and the steps from there.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) head: Head,
    pub(crate) steps: Vec<Step>,
}

/// Where a path begins.
#[derive(Debug, Clone)]
pub(crate) enum Head {
    /// `$`
    Root,
    /// `@`
    Current,
    /// `last`
    Last,
    /// `$name`
    Variable(Box<str>),
    Null,
    Bool(bool),
    Number(Numeric),
    String(Box<str>),
    /// `-x`, `+x`
    Sign {
        minus: bool,
        operand: Box<Item>,
    },
    /// `x + y`
    Arithmetic(Arithmetic, Box<Item>, Box<Item>),
    /// A condition; as a value it is true, false or null.
    Condition(Box<Condition>),
}

/// An operator of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// `.key`
    Key(Box<str>),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[1, 3 to last]`
    Elements(Vec<(Item, Option<Item>)>),
    /// `.**{first to last}`; `None` stands for `last`.
    Below { first: Option<u32>, last: Option<u32> },
    /// `?(condition)`
    Filter(Condition),
    /// `.method()`
    Method(Method),
    /// `.datetime()`, `.datetime("template")`
    Datetime(Option<Box<str>>),
}

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Type,
    Size,
    Double,
    Ceiling,
    Floor,
    Abs,
    KeyValue,
}

/// A condition: true, false or unknown.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    IsUnknown(Box<Condition>),
    Compare(Comparison, Item, Item),
    /// `exists (path)`
    Exists(Item),
    /// `x starts with "y"`
    StartsWith(Item, Item),
    /// `x like_regex "pattern" flag "flags"`
    LikeRegex {
        value: Item,
        pattern: Box<str>,
        flags: Box<str>,
    },
}

/// An operator that compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Arithmetic {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    fn priority(self) -> u8 {
        if matches!(self, Self::Add | Self::Subtract) { 3 } else { 4 }
    }
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Method {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Size => "size",
            Self::Double => "double",
            Self::Ceiling => "ceiling",
            Self::Floor => "floor",
            Self::Abs => "abs",
            Self::KeyValue => "keyvalue",
        }
    }

    /// The method of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all =
            [Self::Type, Self::Size, Self::Double, Self::Ceiling, Self::Floor, Self::Abs, Self::KeyValue];
        all.into_iter().find(|method| method.name() == name)
    }
}

/// How strongly the parts of what is neither `&&`, `||`, a comparison nor arithmetic belong together.
const CLOSED: u8 = 6;

impl Path {
    /// The path as PostgreSQL writes it.
    pub(crate) fn write(&self, out: &mut String) {
        if !self.lax {
            out.push_str("strict ");
        }
        self.item.write(out, true);
    }
}

impl Item {
    fn priority(&self) -> u8 {
        match &self.head {
            _ if !self.steps.is_empty() => CLOSED,
            Head::Arithmetic(operator, ..) => operator.priority(),
            Head::Sign { .. } => 5,
            Head::Condition(condition) => condition.priority(),
            _ => CLOSED,
        }
    }

    fn write(&self, out: &mut String, in_parentheses: bool) {
        let in_parentheses = in_parentheses || !self.steps.is_empty();
        match &self.head {
            Head::Root => out.push('$'),
            Head::Current => out.push('@'),
            Head::Last => out.push_str("last"),
            Head::Variable(name) => {
                out.push('$');
                string(name, out);
            }
            Head::Null => out.push_str("null"),
            Head::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            // A point behind it would be its own.
            Head::Number(number) => {
                enclosed(out, !self.steps.is_empty(), |out| numeric::write(number, out));
            }
            Head::String(text) => string(text, out),
            Head::Sign { minus, operand } => enclosed(out, in_parentheses, |out| {
                out.push(if *minus { '-' } else { '+' });
                operand.write(out, operand.priority() <= 5);
            }),
            Head::Arithmetic(operator, left, right) => enclosed(out, in_parentheses, |out| {
                left.write(out, left.priority() <= operator.priority());
                out.push(' ');
                out.push_str(operator.symbol());
                out.push(' ');
                right.write(out, right.priority() <= operator.priority());
            }),
            Head::Condition(condition) => condition.write(out, in_parentheses),
        }
        self.steps.iter().for_each(|step| step.write(out));
    }
}

impl Step {
    fn write(&self, out: &mut String) {
        match self {
            Self::Key(key) => {
                out.push('.');
                string(key, out);
            }
            Self::AnyKey => out.push_str(".*"),
            Self::AnyElement => out.push_str("[*]"),
            Self::Elements(ranges) => {
                out.push('[');
                for (place, (from, to)) in ranges.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    from.write(out, false);
                    if let Some(to) = to {
                        out.push_str(" to ");
                        to.write(out, false);
                    }
                }
                out.push(']');
            }
            Self::Below { first, last } => {
                let level = |level: Option<u32>| level.map_or("last".to_owned(), |level| level.to_string());
                out.push_str(&match (first, last) {
                    (Some(0), None) => ".**".to_owned(),
                    (first, last) if first == last => format!(".**{{{}}}", level(*first)),
                    (first, last) => format!(".**{{{} to {}}}", level(*first), level(*last)),
                });
            }
            Self::Filter(condition) => {
                out.push_str("?(");
                condition.write(out, false);
                out.push(')');
            }
            Self::Method(method) => {
                out.push('.');
                out.push_str(method.name());
                out.push_str("()");
            }
            Self::Datetime(template) => {
                out.push_str(".datetime(");
                if let Some(template) = template {
                    string(template, out);
                }
                out.push(')');
            }
        }
    }
}

impl Condition {
    fn priority(&self) -> u8 {
        match self {
            Self::Or(..) => 0,
            Self::And(..) => 1,
            Self::Compare(..) | Self::StartsWith(..) => 2,
            _ => CLOSED,
        }
    }

    fn write(&self, out: &mut String, in_parentheses: bool) {
        match self {
            Self::And(left, right) | Self::Or(left, right) => enclosed(out, in_parentheses, |out| {
                left.write(out, left.priority() <= self.priority());
                out.push_str(if matches!(self, Self::And(..)) { " && " } else { " || " });
                right.write(out, right.priority() <= self.priority());
            }),
            Self::Not(condition) => {
                out.push_str("!(");
                condition.write(out, false);
                out.push(')');
            }
            Self::IsUnknown(condition) => {
                out.push('(');
                condition.write(out, false);
                out.push_str(") is unknown");
            }
            Self::Compare(operator, left, right) => enclosed(out, in_parentheses, |out| {
                left.write(out, left.priority() <= 2);
                out.push(' ');
                out.push_str(operator.symbol());
                out.push(' ');
                right.write(out, right.priority() <= 2);
            }),
            Self::Exists(item) => {
                out.push_str("exists (");
                item.write(out, false);
                out.push(')');
            }
            Self::StartsWith(value, start) => enclosed(out, in_parentheses, |out| {
                value.write(out, value.priority() <= 2);
                out.push_str(" starts with ");
                start.write(out, start.priority() <= 2);
            }),
            Self::LikeRegex { value, pattern, flags } => enclosed(out, in_parentheses, |out| {
                value.write(out, value.priority() <= CLOSED && value.steps.is_empty() && !value.is_plain());
                out.push_str(" like_regex ");
                string(pattern, out);
                if !flags.is_empty() {
                    out.push_str(" flag \"");
                    out.push_str(flags);
                    out.push('"');
                }
            }),
        }
    }
}

impl Item {
    /// Whether it needs no parentheses anywhere.
    fn is_plain(&self) -> bool {
        !matches!(self.head, Head::Sign { .. } | Head::Arithmetic(..) | Head::Condition(_))
    }
}

fn enclosed(out: &mut String, in_parentheses: bool, write: impl FnOnce(&mut String)) {
    if in_parentheses {
        out.push('(');
    }
    write(out);
    if in_parentheses {
        out.push(')');
    }
}

#[cfg(test)]
mod tests {
    use super::parse::parse;

    /// What PostgreSQL 15 writes of each.
    #[test]
    fn paths_are_written_as_postgresql_writes_them() {
        for (given, written) in [
            ("$", "$"),
            ("strict $.a.b", "strict $.\"a\".\"b\""),
            (
                "lax $.a[*] ? (@.x > 1 && @.y == \"q\").z",
                "$.\"a\"[*]?(@.\"x\" > 1 && @.\"y\" == \"q\").\"z\"",
            ),
            ("$.a > 1", "($.\"a\" > 1)"),
            ("$.a[0, 2 to last].**{2 to last}.*", "$.\"a\"[0,2 to last].**{2 to last}.*"),
            ("$.**{3}", "$.**{3}"),
            ("-$.a + 2 * (3 - $v)", "(-$.\"a\" + 2 * (3 - $\"v\"))"),
            ("(1 + 2).type()", "(1 + 2).type()"),
            ("-1", "-1"),
            ("(1).type()", "(1).type()"),
            ("1.2.e ? (2 > 3)", "(1.2).\"e\"?(2 > 3)"),
            ("exists($.a ? (@ starts with \"x\"))", "exists ($.\"a\"?(@ starts with \"x\"))"),
            ("$ ? (@ like_regex \"^a.*b\" flag \"i\")", "$?(@ like_regex \"^a.*b\" flag \"i\")"),
            ("$ ? (!(@.a == 1) || (@.b > 2) is unknown)", "$?(!(@.\"a\" == 1) || (@.\"b\" > 2) is unknown)"),
            ("$.\"a b\".keyvalue().key", "$.\"a b\".keyvalue().\"key\""),
            ("$.a.DateTime().datetime(\"y\\\"x\")", "$.\"a\".datetime().datetime(\"y\\\"x\")"),
            ("$.to.type.exists.last", "$.\"to\".\"type\".\"exists\".\"last\""),
        ] {
            let mut out = String::new();
            parse(given).unwrap_or_else(|error| panic!("{given}: {error}")).write(&mut out);
            assert_eq!(out, written, "{given}");
            let mut again = String::new();
            parse(&out).unwrap_or_else(|error| panic!("{out}: {error}")).write(&mut again);
            assert_eq!(again, out);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for wrong in [
            "",
            "a",
            "$.",
            "$ ?",
            "$ ? (@",
            "1 && 2",
            "$ ? (1)",
            "@ + 1 ? (true",
            "$[",
            "$.a b",
            "$ \"x",
            "last",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
