//! An operation under a schema: which fields it selects (specification, sections 5.2 to 5.5, 5.7 and 6.1 to 6.3).
//!
//! Fragments are part of what they are spread in, and fields of one key are one. What is left is a tree of fields that there are, whose
//! arguments are [values of their types](super::given): whoever carries it out has nothing more to check.
//!
//! # Invariants
//! - A tree holds at most [`FIELDS_MAX`] fields, [`DEPTH_MAX`] deep, and no more were looked at.

use super::document::{Argument, Directive, Document, Field, Operation, OperationKind, Selection, Value};
use super::given::{Given, Values};
use super::refusal::{Place, Refused};
use super::schema::{FieldDef, Input, Meaning, Schema, Shape, TypeId};
use super::uses;

/// Fields that one operation may select, with those of fragments wherever these are spread, and how deep.
pub(super) const FIELDS_MAX: usize = 5000;
pub(super) const DEPTH_MAX: usize = 20;

/// A field that is selected.
#[derive(Debug)]
pub(super) struct Selected<'s> {
    /// What it is called in the answer.
    pub(super) key: String,
    /// The object that has it.
    pub(super) within: TypeId,
    pub(super) field: &'s FieldDef,
    pub(super) arguments: Vec<(Input, Given)>,
    pub(super) selections: Vec<Selected<'s>>,
    pub(super) place: Place,
}

impl Selected<'_> {
    /// An argument that was given, and is not null.
    pub(super) fn argument(&self, input: Input) -> Option<&Given> {
        let found = self.arguments.iter().find(|(given, _)| *given == input);
        found.map(|(_, value)| value).filter(|value| **value != Given::Null)
    }

    /// The same of one that is a scalar: its text.
    pub(super) fn text(&self, input: Input) -> Option<&str> {
        match self.argument(input) {
            Some(Given::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// What the operation of a document selects that has this name, or the only one.
pub(super) fn select<'s>(
    schema: &'s Schema,
    document: &Document<'_>,
    name: Option<&str>,
    variables: &[(String, Value<'static>)],
) -> Result<Vec<Selected<'s>>, Refused> {
    let operation = chosen(document, name)?;
    let root = match operation.kind {
        OperationKind::Query => schema.query,
        OperationKind::Mutation => {
            let nothing = || Refused::at(operation.place, "there is nothing that the role may change");
            schema.mutation.ok_or_else(nothing)?
        }
        OperationKind::Subscription => {
            let nothing = || Refused::at(operation.place, "there is nothing that the role may follow");
            schema.subscription.ok_or_else(nothing)?
        }
    };
    let mut selector = Selector {
        schema,
        document,
        values: Values::of(schema, operation, variables)?,
        fields_left: FIELDS_MAX,
        spreading: Vec::new(),
    };
    selector.check_directives(&operation.directives)?;
    let selected = selector.fields(root, &[operation.selections.as_slice()], 1)?;
    let is_one = matches!(selected.as_slice(), [only] if matches!(only.field.meaning, Meaning::Feed(_)));
    if operation.kind == OperationKind::Subscription && !is_one {
        return Err(Refused::at(operation.place, "a subscription has one field, which is followed"));
    }
    uses::check(document, operation)?;
    Ok(selected)
}

/// Whether what is asked for is a subscription.
pub(super) fn is_subscription(document: &Document<'_>, name: Option<&str>) -> Result<bool, Refused> {
    Ok(chosen(document, name)?.kind == OperationKind::Subscription)
}

/// Whether what is asked for is a mutation.
pub(super) fn is_mutation(document: &Document<'_>, name: Option<&str>) -> Result<bool, Refused> {
    Ok(chosen(document, name)?.kind == OperationKind::Mutation)
}

fn chosen<'d, 'a>(document: &'d Document<'a>, name: Option<&str>) -> Result<&'d Operation<'a>, Refused> {
    let mut found = document.operations.iter().filter(|operation| name.is_none() || operation.name == name);
    match (found.next(), found.next()) {
        (Some(operation), None) => Ok(operation),
        (Some(_), Some(other)) => Err(Refused::at(
            other.place,
            "there is more than one operation: operationName says which, and each has its own name",
        )),
        (None, _) => Err(Refused::new("there is no operation of this name")),
    }
}

struct Selector<'s, 'd, 'a> {
    schema: &'s Schema,
    document: &'d Document<'a>,
    values: Values<'s, 'd, 'a>,
    fields_left: usize,
    /// The fragments that are being looked into.
    spreading: Vec<&'a str>,
}

impl<'s, 'd, 'a> Selector<'s, 'd, 'a> {
    /// The fields that all these select of an object.
    fn fields(
        &mut self,
        within: TypeId,
        lists: &[&'d [Selection<'a>]],
        depth: usize,
    ) -> Result<Vec<Selected<'s>>, Refused> {
        let mut groups: Vec<(&'a str, Vec<&'d Field<'a>>)> = Vec::new();
        for list in lists {
            self.collect(within, list, &mut groups)?;
        }
        groups.into_iter().map(|(key, fields)| self.field(within, key, &fields, depth)).collect()
    }

    /// Adds fields to those of the same key.
    fn collect(
        &mut self,
        within: TypeId,
        list: &'d [Selection<'a>],
        groups: &mut Vec<(&'a str, Vec<&'d Field<'a>>)>,
    ) -> Result<(), Refused> {
        for selection in list {
            let (directives, place) = match selection {
                Selection::Field(field) => (&field.directives, field.place),
                Selection::Spread { directives, place, .. } | Selection::Inline { directives, place, .. } => {
                    (directives, *place)
                }
            };
            self.fields_left = self.fields_left.checked_sub(1).ok_or_else(|| {
                Refused::at(place, format!("an operation selects at most {FIELDS_MAX} fields"))
            })?;
            if !self.is_included(directives)? {
                continue;
            }
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.unwrap_or(field.name);
                    match groups.iter_mut().find(|(other, _)| *other == key) {
                        Some((_, fields)) => fields.push(field),
                        None => groups.push((key, vec![field])),
                    }
                }
                Selection::Inline { condition, selections, .. } => {
                    if let Some(condition) = condition {
                        self.check_condition(within, condition, place)?;
                    }
                    self.collect(within, selections, groups)?;
                }
                Selection::Spread { name, .. } => {
                    let document = self.document;
                    let mut found = document.fragments.iter().filter(|fragment| fragment.name == *name);
                    let (Some(fragment), None) = (found.next(), found.next()) else {
                        return Err(Refused::at(place, format!("there is not one fragment {name}")));
                    };
                    if self.spreading.contains(name) {
                        return Err(Refused::at(
                            fragment.place,
                            format!("the fragment {name} leads to itself"),
                        ));
                    }
                    self.check_condition(within, fragment.condition, fragment.place)?;
                    if self.is_included(&fragment.directives)? {
                        self.spreading.push(fragment.name);
                        self.collect(within, &fragment.selections, groups)?;
                        self.spreading.pop();
                    }
                }
            }
        }
        Ok(())
    }

    /// A fragment is of the one type that can stand there: there are no interfaces.
    fn check_condition(&self, within: TypeId, condition: &str, place: Place) -> Result<(), Refused> {
        let own = self.schema.name_of(within);
        if own == condition {
            return Ok(());
        }
        Err(Refused::at(place, format!("a fragment on {condition} cannot stand within {own}")))
    }

    fn field(
        &mut self,
        within: TypeId,
        key: &str,
        fields: &[&'d Field<'a>],
        depth: usize,
    ) -> Result<Selected<'s>, Refused> {
        let Some(first) = fields.first() else { return Err(Refused::new("a field without a name")) };
        let place = first.place;
        if depth > DEPTH_MAX {
            return Err(Refused::at(place, format!("an operation nests at most {DEPTH_MAX} fields deep")));
        }
        let schema = self.schema;
        let field = schema.field(within, first.name).ok_or_else(|| {
            Refused::at(place, format!("{} has no field {}", schema.name_of(within), first.name))
        })?;
        let arguments = self.values.arguments(field, &first.arguments, place)?;
        for other in fields.iter().skip(1) {
            if other.name != first.name
                || self.values.arguments(field, &other.arguments, other.place)? != arguments
            {
                return Err(Refused::at(
                    other.place,
                    format!("two fields are called {key}: give one an alias"),
                ));
            }
        }
        let of = field.of.named();
        let has_fields = matches!(schema.type_of(of).map(|ty| &ty.shape), Some(Shape::Object(_)));
        let lists: Vec<&'d [Selection<'a>]> =
            fields.iter().map(|field| field.selections.as_slice()).collect();
        let selects = lists.iter().any(|list| !list.is_empty());
        match (has_fields, selects) {
            (true, false) => {
                let message =
                    format!("{}: say which fields of {} are wanted", first.name, schema.name_of(of));
                return Err(Refused::at(place, message));
            }
            (false, true) => return Err(Refused::at(place, format!("{} has no fields", first.name))),
            _ => {}
        }
        let selections = if selects { self.fields(of, &lists, depth + 1)? } else { Vec::new() };
        Ok(Selected { key: key.to_owned(), within, field, arguments, selections, place })
    }

    fn check_directives(&mut self, directives: &[Directive<'a>]) -> Result<(), Refused> {
        match directives.first() {
            Some(directive) => {
                Err(Refused::at(directive.place, format!("@{} cannot stand here", directive.name)))
            }
            None => Ok(()),
        }
    }

    /// Whether `@skip` and `@include` let what they stand at be.
    fn is_included(&mut self, directives: &[Directive<'a>]) -> Result<bool, Refused> {
        let mut is_included = true;
        for (number, directive) in directives.iter().enumerate() {
            let place = directive.place;
            if directives.iter().take(number).any(|other| other.name == directive.name) {
                return Err(Refused::at(place, format!("@{} stands here twice", directive.name)));
            }
            let wanted = match directive.name {
                "include" => true,
                "skip" => false,
                name => return Err(Refused::at(place, format!("there is no directive @{name}"))),
            };
            let [Argument { name: "if", value, .. }] = directive.arguments.as_slice() else {
                return Err(Refused::at(place, format!("@{} has one argument, if", directive.name)));
            };
            is_included &= self.values.truth(value, place)? == wanted;
        }
        Ok(is_included)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::build::schema_of;
    use super::super::model::tests::library;
    use super::*;

    fn refusal(schema: &Schema, text: &str) -> String {
        let document = match Document::parse(text) {
            Ok(document) => document,
            Err(refused) => return refused.to_string(),
        };
        match select(schema, &document, None, &[]) {
            Ok(selected) => panic!("{text} is taken: {selected:?}"),
            Err(refused) => refused.to_string(),
        }
    }

    #[test]
    fn fields_of_one_key_are_one_and_fragments_are_part_of_them() {
        let schema = schema_of(library());
        let text = "query Q($n: Int = 2, $w: Boolean!) { author(first: $n) { ...p ... on AuthorConnection { nodes { id } } } __typename } \
                    fragment p on AuthorConnection { nodes { id name @include(if: $w) b: book { nodes { title } } } }";
        let document = Document::parse(text).unwrap();
        let variables = [("w".to_owned(), Value::Bool(false))];
        let selected = select(&schema, &document, Some("Q"), &variables).unwrap();
        let [author, type_name] = selected.as_slice() else { panic!("{selected:?}") };
        assert_eq!((author.text(Input::First), type_name.field.meaning), (Some("2"), Meaning::TypeName));
        let [nodes] = author.selections.as_slice() else { panic!("{author:?}") };
        let keys: Vec<_> = nodes.selections.iter().map(|selected| selected.key.as_str()).collect();
        assert_eq!(keys, ["id", "b"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_said() {
        let schema = schema_of(library());
        for (text, why) in [
            ("{ nobody { id } }", "Query has no field nobody"),
            ("{ author }", "author: say which fields of AuthorConnection are wanted"),
            ("{ author { nodes { id { x } } } }", "id has no fields"),
            ("{ author(last: 1) { nodes { id } } }", "author has no argument last"),
            ("{ author(first: \"1\") { nodes { id } } }", "first: this is no value of type Int"),
            ("{ author(where: {nme: {eq: \"a\"}}) { nodes { id } } }", "where: there is no field nme"),
            ("{ authorByKey { id } }", "key has no value"),
            ("{ authorByKey(key: {id: $x}) { id } }", "key: $x is not declared"),
            ("query ($x: String) { authorByKey(key: {id: $x}) { id } }", "key: $x is a String, not a Int"),
            ("query ($x: Int!) { authorByKey(key: {id: $x}) { id } }", "$x has no value"),
            ("query ($x: Int) { authorByKey(key: {id: $x}) { id } }", "key: $x is to be declared as Int!"),
            (
                "query ($x: Int = null) { authorByKey(key: {id: $x}) { id } }",
                "key: $x is to be declared as Int!",
            ),
            (
                "query ($x: [Int]) { author(where: {id: {in: $x}}) { nodes { id } } }",
                "where: id: $x is to be declared as [Int!]",
            ),
            (
                "query ($x: Int = 1) { author(where: {id: {in: $x}}) { nodes { id } } }",
                "where: id: $x is to be declared as [Int!]",
            ),
            ("{ author @skip(if: true) @skip(if: true) { nodes { id } } }", "@skip stands here twice"),
            ("query ($x: Int) { author { nodes { id } } }", "$x is not used"),
            ("query ($x: Nothing) { __typename }", "$x: there is no type Nothing of values"),
            (
                "{ author { nodes { id } } author: book { nodes { id } } }",
                "two fields are called author: give one an alias",
            ),
            ("{ ...f } fragment f on Book { id }", "a fragment on Book cannot stand within Query"),
            ("{ ...f } fragment f on Query { ...f }", "the fragment f leads to itself"),
            ("{ ...g }", "there is not one fragment g"),
            ("{ author @defer { nodes { id } } }", "there is no directive @defer"),
            ("subscription { author { nodes { id } } }", "AuthorFeed has no field nodes"),
            (
                "subscription { author { resolved } book { resolved } }",
                "a subscription has one field, which is followed",
            ),
            ("subscription { __typename }", "a subscription has one field, which is followed"),
            ("subscription { author(since: true) { resolved } }", "since: this is no value of type BigInt"),
            (
                "query A { __typename } query B { __typename }",
                "there is more than one operation: operationName says which, and each has its own name",
            ),
        ] {
            assert_eq!(refusal(&schema, text), why, "{text}");
        }
        let deep = (0..DEPTH_MAX)
            .fold("id".to_owned(), |inner, _| format!("book {{ nodes {{ author {{ {inner} }} }} }}"));
        assert!(refusal(&schema, &format!("{{ author {{ nodes {{ {deep} }} }} }}")).contains("deep"));
        let fragments: String =
            (0..30).map(|n| format!(" fragment f{n} on Query {{ ...f{} ...f{} }}", n + 1, n + 1)).collect();
        let bomb = format!("{{ ...f0 }}{fragments} fragment f30 on Query {{ __typename }}");
        assert_eq!(refusal(&schema, &bomb), format!("an operation selects at most {FIELDS_MAX} fields"));
    }

    proptest! {
        #[test]
        fn no_words_panic(words in proptest::collection::vec(prop::sample::select(vec![
            "{", "}", "(", ")", ":", "author", "book", "nodes", "id", "where", "first", "1", "eq", "\"a\"", "...", "on",
            "Author", "query", "mutation", "$x", "Int", "@skip", "if", "true", "[", "]", "insertBook", "rows", "null", "__schema",
        ]), 0..80)) {
            let schema = schema_of(library());
            let text = words.join(" ");
            if let Ok(document) = Document::parse(&text) {
                let _ = select(&schema, &document, None, &[]);
            }
        }
    }
}
