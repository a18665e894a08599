//! A document of operations and fragments, and its parser (specification, section 2).
//!
//! What defines types is refused: the schema is that of the tables.

use std::borrow::Cow;

use super::lexer::{Lexer, Token};
use super::refusal::{Place, Refused};

/// Selections, values and types nest at most so deep.
const NESTING_MAX: usize = 64;

/// What may be run.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) operations: Vec<Operation<'a>>,
    pub(super) fragments: Vec<Fragment<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

#[derive(Debug)]
pub(super) struct Operation<'a> {
    pub(super) kind: OperationKind,
    pub(super) name: Option<&'a str>,
    pub(super) variables: Vec<Variable<'a>>,
    pub(super) directives: Vec<Directive<'a>>,
    pub(super) selections: Vec<Selection<'a>>,
    pub(super) place: Place,
}

/// A variable as it is declared.
#[derive(Debug)]
pub(super) struct Variable<'a> {
    pub(super) name: &'a str,
    pub(super) ty: Wanted<'a>,
    pub(super) default: Option<Value<'a>>,
    pub(super) place: Place,
}

/// The type that a variable is declared with.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    Named(&'a str),
    List(Box<Wanted<'a>>),
    NonNull(Box<Wanted<'a>>),
}

#[derive(Debug)]
pub(super) struct Fragment<'a> {
    pub(super) name: &'a str,
    pub(super) condition: &'a str,
    pub(super) directives: Vec<Directive<'a>>,
    pub(super) selections: Vec<Selection<'a>>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Selection<'a> {
    Field(Field<'a>),
    Spread {
        name: &'a str,
        directives: Vec<Directive<'a>>,
        place: Place,
    },
    Inline {
        condition: Option<&'a str>,
        directives: Vec<Directive<'a>>,
        selections: Vec<Selection<'a>>,
        place: Place,
    },
}

#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) alias: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) arguments: Vec<Argument<'a>>,
    pub(super) directives: Vec<Directive<'a>>,
    pub(super) selections: Vec<Selection<'a>>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) struct Argument<'a> {
    pub(super) name: &'a str,
    pub(super) value: Value<'a>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) struct Directive<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: Vec<Argument<'a>>,
    pub(super) place: Place,
}

/// A value as it is written, in a document or among the variables of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Variable(&'a str),
    Null,
    Bool(bool),
    Int(Cow<'a, str>),
    Float(Cow<'a, str>),
    Text(String),
    Enum(&'a str),
    List(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Document<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Refused> {
        let mut lexer = Lexer::new(text);
        let (token, place) = lexer.next()?;
        let mut parser = Parser { lexer, token, place, nesting: 0 };
        let mut document = Self { operations: Vec::new(), fragments: Vec::new() };
        while parser.token != Token::End {
            parser.definition(&mut document)?;
        }
        if document.operations.is_empty() {
            return Err(Refused::new("the document has no operation"));
        }
        Ok(document)
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    place: Place,
    nesting: usize,
}

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Result<Token<'a>, Refused> {
        let (token, place) = self.lexer.next()?;
        self.place = place;
        Ok(std::mem::replace(&mut self.token, token))
    }

    fn wrong(&self, wanted: &str) -> Refused {
        let found = match &self.token {
            Token::Mark(mark) => format!("\"{mark}\""),
            Token::Spread => "\"...\"".to_owned(),
            Token::Name(name) | Token::Int(name) | Token::Float(name) => format!("\"{name}\""),
            Token::Text(_) => "a string".to_owned(),
            Token::End => "the end".to_owned(),
        };
        Refused::at(self.place, format!("expected {wanted}, found {found}"))
    }

    fn is(&self, mark: char) -> bool {
        self.token == Token::Mark(mark)
    }

    /// Takes the mark if it is there.
    fn takes(&mut self, mark: char) -> Result<bool, Refused> {
        let is_there = self.is(mark);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn expect(&mut self, mark: char) -> Result<(), Refused> {
        if self.takes(mark)? { Ok(()) } else { Err(self.wrong(&format!("\"{mark}\""))) }
    }

    fn name(&mut self, what: &str) -> Result<&'a str, Refused> {
        let Token::Name(name) = self.token else { return Err(self.wrong(what)) };
        self.advance()?;
        Ok(name)
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Refused>) -> Result<T, Refused> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(Refused::at(self.place, format!("a document nests at most {NESTING_MAX} deep")));
        }
        let parsed = parse(self);
        self.nesting -= 1;
        parsed
    }

    fn definition(&mut self, document: &mut Document<'a>) -> Result<(), Refused> {
        let place = self.place;
        let kind = match self.token {
            Token::Mark('{') => {
                let selections = self.selections()?;
                let (variables, directives) = (Vec::new(), Vec::new());
                let kind = OperationKind::Query;
                let name = None;
                document.operations.push(Operation { kind, name, variables, directives, selections, place });
                return Ok(());
            }
            Token::Name("fragment") => {
                self.advance()?;
                if self.token == Token::Name("on") {
                    return Err(self.wrong("the name of a fragment"));
                }
                let name = self.name("the name of a fragment")?;
                let condition = self.condition()?.ok_or_else(|| self.wrong("\"on\""))?;
                let directives = self.directives()?;
                let selections = self.selections()?;
                document.fragments.push(Fragment { name, condition, directives, selections, place });
                return Ok(());
            }
            Token::Name("query") => OperationKind::Query,
            Token::Name("mutation") => OperationKind::Mutation,
            Token::Name("subscription") => OperationKind::Subscription,
            _ => return Err(self.wrong("an operation or a fragment")),
        };
        self.advance()?;
        let name = match self.token {
            Token::Name(name) => {
                self.advance()?;
                Some(name)
            }
            _ => None,
        };
        let variables = if self.is('(') { self.variables()? } else { Vec::new() };
        let directives = self.directives()?;
        let selections = self.selections()?;
        document.operations.push(Operation { kind, name, variables, directives, selections, place });
        Ok(())
    }

    fn variables(&mut self) -> Result<Vec<Variable<'a>>, Refused> {
        self.expect('(')?;
        let mut variables = Vec::new();
        loop {
            let place = self.place;
            self.expect('$')?;
            let name = self.name("the name of a variable")?;
            self.expect(':')?;
            let ty = self.wanted()?;
            let default = if self.takes('=')? { Some(self.value(false)?) } else { None };
            if !self.directives()?.is_empty() {
                return Err(Refused::at(place, "directives of variables are not supported"));
            }
            variables.push(Variable { name, ty, default, place });
            if self.takes(')')? {
                return Ok(variables);
            }
        }
    }

    fn wanted(&mut self) -> Result<Wanted<'a>, Refused> {
        self.deeper(|parser| {
            let inner = if parser.takes('[')? {
                let element = parser.wanted()?;
                parser.expect(']')?;
                Wanted::List(Box::new(element))
            } else {
                Wanted::Named(parser.name("a type")?)
            };
            Ok(if parser.takes('!')? { Wanted::NonNull(Box::new(inner)) } else { inner })
        })
    }

    fn condition(&mut self) -> Result<Option<&'a str>, Refused> {
        if self.token != Token::Name("on") {
            return Ok(None);
        }
        self.advance()?;
        self.name("a type").map(Some)
    }

    fn selections(&mut self) -> Result<Vec<Selection<'a>>, Refused> {
        self.deeper(|parser| {
            parser.expect('{')?;
            let mut selections = Vec::new();
            loop {
                selections.push(parser.selection()?);
                if parser.takes('}')? {
                    return Ok(selections);
                }
            }
        })
    }

    fn selection(&mut self) -> Result<Selection<'a>, Refused> {
        let place = self.place;
        if self.token != Token::Spread {
            return self.field().map(Selection::Field);
        }
        self.advance()?;
        if let Token::Name(name) = self.token
            && name != "on"
        {
            self.advance()?;
            let directives = self.directives()?;
            return Ok(Selection::Spread { name, directives, place });
        }
        let condition = self.condition()?;
        let directives = self.directives()?;
        let selections = self.selections()?;
        Ok(Selection::Inline { condition, directives, selections, place })
    }

    fn field(&mut self) -> Result<Field<'a>, Refused> {
        let place = self.place;
        let first = self.name("a field")?;
        let (alias, name) = match self.takes(':')? {
            true => (Some(first), self.name("a field")?),
            false => (None, first),
        };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selections = if self.is('{') { self.selections()? } else { Vec::new() };
        Ok(Field { alias, name, arguments, directives, selections, place })
    }

    fn arguments(&mut self) -> Result<Vec<Argument<'a>>, Refused> {
        let mut arguments = Vec::new();
        if !self.takes('(')? {
            return Ok(arguments);
        }
        loop {
            let place = self.place;
            let name = self.name("an argument")?;
            self.expect(':')?;
            let value = self.value(true)?;
            arguments.push(Argument { name, value, place });
            if self.takes(')')? {
                return Ok(arguments);
            }
        }
    }

    fn directives(&mut self) -> Result<Vec<Directive<'a>>, Refused> {
        let mut directives = Vec::new();
        loop {
            let place = self.place;
            if !self.takes('@')? {
                return Ok(directives);
            }
            let name = self.name("a directive")?;
            directives.push(Directive { name, arguments: self.arguments()?, place });
        }
    }

    fn value(&mut self, may_vary: bool) -> Result<Value<'a>, Refused> {
        self.deeper(|parser| parser.value_within(may_vary))
    }

    fn value_within(&mut self, may_vary: bool) -> Result<Value<'a>, Refused> {
        if may_vary && self.takes('$')? {
            return self.name("the name of a variable").map(Value::Variable);
        }
        if self.takes('[')? {
            let mut items = Vec::new();
            while !self.takes(']')? {
                items.push(self.value(may_vary)?);
            }
            return Ok(Value::List(items));
        }
        if self.takes('{')? {
            let mut members = Vec::new();
            while !self.takes('}')? {
                let name = self.name("the name of a field")?;
                self.expect(':')?;
                members.push((Cow::Borrowed(name), self.value(may_vary)?));
            }
            return Ok(Value::Object(members));
        }
        match &self.token {
            Token::Int(_) | Token::Float(_) | Token::Text(_) | Token::Name(_) => {}
            _ => return Err(self.wrong("a value")),
        }
        Ok(match self.advance()? {
            Token::Int(text) => Value::Int(Cow::Borrowed(text)),
            Token::Float(text) => Value::Float(Cow::Borrowed(text)),
            Token::Text(text) => Value::Text(text),
            Token::Name("true") => Value::Bool(true),
            Token::Name("false") => Value::Bool(false),
            Token::Name("null") => Value::Null,
            Token::Name(name) => Value::Enum(name),
            Token::Mark(_) | Token::Spread | Token::End => Value::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn operations_and_fragments_are_read() {
        let text = "query Q($a: [Int!]! = [1], $b: S) @x { p: person(id: $a, w: {k: [RED, null]}) { ...f ... on P { id } } } \
                    fragment f on P { name @skip(if: true) } mutation { m } { short }";
        let document = Document::parse(text).unwrap();
        let kinds: Vec<_> =
            document.operations.iter().map(|operation| (operation.kind, operation.name)).collect();
        let expected = [
            (OperationKind::Query, Some("Q")),
            (OperationKind::Mutation, None),
            (OperationKind::Query, None),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(document.fragments.len(), 1);
        let Some(Selection::Field(field)) = document.operations[0].selections.first() else {
            panic!("a field")
        };
        assert_eq!((field.alias, field.name, field.arguments.len()), (Some("p"), "person", 2));
        assert_eq!(field.arguments[0].value, Value::Variable("a"));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "",
            "{",
            "{}",
            "{ a(",
            "{ a() }",
            "query",
            "type T { a: Int }",
            "fragment on on T { a }",
            "{ a(x: $) }",
            "query ($a: Int = $b) { a }",
            "{ ... }",
            "{ a: }",
            "{ a } }",
            "fragment f on T { a }",
            "{ a @ }",
        ] {
            assert!(Document::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}a{}", "{ a ".repeat(100), "}".repeat(100));
        assert!(Document::parse(&deep).is_err());
        let deep = format!("{{ a(x: {}) }}", "[".repeat(100_000));
        assert!(Document::parse(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_tokens_panic(tokens in proptest::collection::vec(
            prop::sample::select(vec![
                "{", "}", "(", ")", "[", "]", ":", "=", "!", "@", "$", "...", "on", "query", "mutation", "fragment",
                "a", "1", "1.5", "\"s\"", "\"\"\"b\"\"\"", "null", "\\", "#\n", "\"\\ud800\"", "\u{e9}",
            ]), 0..60)) {
            let _ = Document::parse(&tokens.join(" "));
        }
    }
}
