//! An operation under a schema: which fields it selects, with their arguments (specification, sections 5 and 6.1 to 6.3).
//!
//! Fragments are part of what they are spread in, fields of one key are one, and variables stand for their values. What is left is a tree
//! of fields that there are, whose arguments are values of their types: whoever carries it out has nothing more to check.
//!
//! # Invariants
//! - A tree holds at most [`FIELDS_MAX`] fields, [`DEPTH_MAX`] deep, and no more were looked at.
//! - What a request says once takes room as often as it is named: all values of a tree together are bounded, in number and bytes.

use std::collections::HashMap;

use super::document::{
    Argument, Directive, Document, Field, Operation, OperationKind, Selection, Value, Wanted,
};
use super::refusal::{Place, Refused};
use super::schema::{Choice, FieldDef, Input, InputDef, Meaning, Of, Schema, Shape, TypeId};
use super::uses;

/// Fields that one operation may select, with those of fragments wherever these are spread, and how deep.
pub(super) const FIELDS_MAX: usize = 5000;
pub(super) const DEPTH_MAX: usize = 20;

/// Values that the arguments of one operation may have.
const VALUES_MAX: usize = 100_000;

/// What their texts take together at most: a variable counts wherever it is named.
const TEXTS_BYTES_MAX: usize = 8 << 20;

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

/// A value that was given, of the type where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Given {
    Null,
    /// A scalar, as SQL reads it.
    Text(String),
    Choice(Choice),
    List(Vec<Given>),
    Object(Vec<(Input, Given)>),
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
        variables: HashMap::new(),
        fields_left: FIELDS_MAX,
        values_left: VALUES_MAX,
        texts_left: TEXTS_BYTES_MAX,
        spreading: Vec::new(),
    };
    selector.take_variables(operation, variables)?;
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

/// A variable: the type that it was declared with, whether it has a value where none is given, and the one that it has.
struct Bound<'d, 'a> {
    ty: &'d Wanted<'a>,
    has_default: bool,
    value: Option<Value<'a>>,
}

struct Selector<'s, 'd, 'a> {
    schema: &'s Schema,
    document: &'d Document<'a>,
    variables: HashMap<&'a str, Bound<'d, 'a>>,
    fields_left: usize,
    values_left: usize,
    /// Bytes.
    texts_left: usize,
    /// The fragments that are being looked into.
    spreading: Vec<&'a str>,
}

impl<'s, 'd, 'a> Selector<'s, 'd, 'a> {
    fn take_variables(
        &mut self,
        operation: &'d Operation<'a>,
        given: &[(String, Value<'static>)],
    ) -> Result<(), Refused> {
        // There may be very many of both.
        let given: HashMap<&str, &Value<'a>> =
            given.iter().map(|(name, value)| (name.as_str(), value)).collect();
        for variable in &operation.variables {
            let (name, place) = (variable.name, variable.place);
            let ty = named(&variable.ty);
            let shape = self.schema.find(ty).and_then(|id| self.schema.type_of(id)).map(|ty| &ty.shape);
            if matches!(shape, None | Some(Shape::Object(_))) {
                return Err(Refused::at(place, format!("${name}: there is no type {ty} of values")));
            }
            let value = given.get(name).map(|value| (*value).clone());
            let value = value.or_else(|| variable.default.clone());
            let is_required = matches!(variable.ty, Wanted::NonNull(_));
            if is_required && matches!(value, None | Some(Value::Null)) {
                return Err(Refused::at(place, format!("${name} has no value")));
            }
            let has_default = variable.default.as_ref().is_some_and(|default| *default != Value::Null);
            let bound = Bound { ty: &variable.ty, has_default, value };
            if self.variables.insert(name, bound).is_some() {
                return Err(Refused::at(place, format!("${name} is declared twice")));
            }
        }
        Ok(())
    }

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
        let arguments = self.arguments(field, &first.arguments, place)?;
        for other in fields.iter().skip(1) {
            if other.name != first.name || self.arguments(field, &other.arguments, other.place)? != arguments
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

    fn arguments(
        &mut self,
        field: &'s FieldDef,
        given: &[Argument<'a>],
        place: Place,
    ) -> Result<Vec<(Input, Given)>, Refused> {
        if let Some(unknown) =
            given.iter().find(|argument| !field.arguments.iter().any(|known| known.name == argument.name))
        {
            return Err(Refused::at(
                unknown.place,
                format!("{} has no argument {}", field.name, unknown.name),
            ));
        }
        let mut taken = Vec::new();
        for known in &field.arguments {
            let mut found = given.iter().filter(|argument| argument.name == known.name);
            let value = found.next();
            if let Some(again) = found.next() {
                return Err(Refused::at(again.place, format!("{} is given twice", known.name)));
            }
            let at = value.map_or(place, |argument| argument.place);
            let value = value.map(|argument| &argument.value);
            let value = self.member(known, value).map_err(|refused| refused.or_at(at))?;
            taken.extend(value.map(|value| (known.meaning, value)));
        }
        Ok(taken)
    }

    /// The value of an argument, or of a field of an input. None: it is left out.
    fn member(&mut self, known: &InputDef, value: Option<&Value<'a>>) -> Result<Option<Given>, Refused> {
        let held;
        let value = match value {
            Some(Value::Variable(name)) => {
                held = self.variable(name, &known.of)?;
                held.as_ref()
            }
            value => value,
        };
        match (value, &known.of) {
            (None | Some(Value::Null), Of::NonNull(_)) => {
                Err(Refused::new(format!("{} has no value", known.name)))
            }
            (None, _) => Ok(None),
            (Some(value), of) => {
                let given = self.given(of, value).map_err(|refused| refused.about(&known.name))?;
                Ok(Some(given))
            }
        }
    }

    /// The value of a variable that stands where a value of a type is wanted.
    fn variable(&self, name: &str, of: &Of) -> Result<Option<Value<'a>>, Refused> {
        let bound = self.variables.get(name);
        let bound = bound.ok_or_else(|| Refused::new(format!("${name} is not declared")))?;
        let wanted = self.schema.name_of(of.named());
        let ty = named(bound.ty);
        if ty != wanted {
            return Err(Refused::new(format!("${name} is a {ty}, not a {wanted}")));
        }
        let least = match of {
            Of::NonNull(of) if bound.has_default => of.as_ref(),
            of => of,
        };
        if !may_stand(bound.ty, least) {
            return Err(Refused::new(format!("${name} is to be declared as {}", self.written(of))));
        }
        Ok(bound.value.clone())
    }

    /// A type as documents write it.
    fn written(&self, of: &Of) -> String {
        match of {
            Of::Named(id) => self.schema.name_of(*id).to_owned(),
            Of::List(of) => format!("[{}]", self.written(of)),
            Of::NonNull(of) => format!("{}!", self.written(of)),
        }
    }

    fn given(&mut self, of: &Of, value: &Value<'a>) -> Result<Given, Refused> {
        let too_many = || Refused::new(format!("an operation has at most {VALUES_MAX} values"));
        self.values_left = self.values_left.checked_sub(1).ok_or_else(too_many)?;
        if let Value::Variable(name) = value {
            let value = self.variable(name, of)?.unwrap_or(Value::Null);
            return self.given(of, &value);
        }
        let ty = match of {
            Of::NonNull(_) if *value == Value::Null => return Err(Refused::new("null cannot stand here")),
            Of::NonNull(of) => return self.given(of, value),
            _ if *value == Value::Null => return Ok(Given::Null),
            Of::List(of) => {
                // One by itself is a list of one.
                let items = match value {
                    Value::List(items) => items.as_slice(),
                    one => std::slice::from_ref(one),
                };
                let items: Result<_, _> = items.iter().map(|item| self.given(of, item)).collect();
                return items.map(Given::List);
            }
            Of::Named(id) => self.schema.type_of(*id),
        };
        match ty.map(|ty| &ty.shape) {
            Some(Shape::Scalar(scalar)) => {
                let text = scalar.text_of(value)?;
                self.texts_left = self.texts_left.checked_sub(text.len()).ok_or_else(|| {
                    Refused::new(format!("the values of an operation take at most {TEXTS_BYTES_MAX} bytes"))
                })?;
                Ok(Given::Text(text))
            }
            Some(Shape::Enum(choices)) => {
                let name = match value {
                    Value::Enum(name) => *name,
                    Value::Text(text) => text.as_str(),
                    _ => return Err(Refused::new("the name of a value is wanted")),
                };
                let found = choices.iter().find(|choice| choice.name == name);
                let found = found.ok_or_else(|| Refused::new(format!("there is no value {name}")))?;
                Ok(Given::Choice(found.meaning))
            }
            Some(Shape::Input(inputs)) => {
                let Value::Object(members) = value else { return Err(Refused::new("an object is wanted")) };
                self.object(inputs, members)
            }
            Some(Shape::Object(_)) | None => Err(Refused::new("no value can stand here")),
        }
    }

    fn object(
        &mut self,
        inputs: &'s [InputDef],
        members: &[(std::borrow::Cow<'a, str>, Value<'a>)],
    ) -> Result<Given, Refused> {
        let mut known: HashMap<&str, &Value<'a>> = HashMap::new();
        for (name, value) in members {
            if known.insert(name, value).is_some() {
                return Err(Refused::new(format!("{name} is given twice")));
            }
        }
        let mut taken = Vec::new();
        for input in inputs {
            let value = known.remove(input.name.as_str());
            taken.extend(self.member(input, value)?.map(|value| (input.meaning, value)));
        }
        match known.keys().next() {
            Some(unknown) => Err(Refused::new(format!("there is no field {unknown}"))),
            None => Ok(Given::Object(taken)),
        }
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
            let value = match value {
                Value::Variable(name) => {
                    let bound = self.variables.get(name).filter(|bound| named(bound.ty) == "Boolean");
                    let bound = bound.ok_or_else(|| Refused::at(place, format!("${name} is no Boolean")))?;
                    bound.value.as_ref()
                }
                value => Some(value),
            };
            let Some(Value::Bool(value)) = value else {
                return Err(Refused::at(place, "if is true or false"));
            };
            is_included &= *value == wanted;
        }
        Ok(is_included)
    }
}

/// The name of the type that lists are of.
fn named<'a>(wanted: &Wanted<'a>) -> &'a str {
    match wanted {
        Wanted::Named(name) => name,
        Wanted::List(of) | Wanted::NonNull(of) => named(of),
    }
}

/// Whether a variable of a type may stand where one of the same name is wanted (specification, section 5.8.5): what is never null may
/// stand where null may, and lists where lists are.
fn may_stand(ty: &Wanted<'_>, of: &Of) -> bool {
    match (ty, of) {
        (Wanted::NonNull(ty), Of::NonNull(of)) => may_stand(ty, of),
        (Wanted::NonNull(ty), of) => may_stand(ty, of),
        (Wanted::List(ty), Of::List(of)) => may_stand(ty, of),
        (Wanted::Named(_), Of::Named(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::super::build::schema_of;
    use super::super::model::tests::library;
    use super::super::schema::Comparison;
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
    fn arguments_are_values_of_their_types() {
        let schema = schema_of(library());
        let text = "query ($i: [Int!], $f: BookFilter) { a: authorByKey(key: {id: 1}) { id } \
                    b: author(where: {id: {in: $i}}, orderBy: name_DESC) { nodes { id } } c: bookAggregate(where: $f) { count } }";
        let document = Document::parse(text).unwrap();
        let one = Value::Int(Cow::Borrowed("1"));
        let filter = Value::Object(vec![(
            Cow::Borrowed("id"),
            Value::Object(vec![(Cow::Borrowed("eq"), Value::Text("5".to_owned()))]),
        )]);
        let variables = [("i".to_owned(), Value::List(vec![one])), ("f".to_owned(), filter)];
        let selected = select(&schema, &document, None, &variables).unwrap();
        let text = |text: &str| Given::Text(text.to_owned());
        let id = |comparison, value| {
            let compared = Given::Object(vec![(Input::Compare(comparison), value)]);
            Given::Object(vec![(Input::Column(0), compared)])
        };
        assert_eq!(
            selected[0].argument(Input::Where),
            Some(&Given::Object(vec![(Input::Column(0), text("1"))]))
        );
        assert_eq!(
            selected[1].argument(Input::Where),
            Some(&id(Comparison::In, Given::List(vec![text("1")])))
        );
        let order = Given::Choice(Choice::Order { column: 1, is_descending: true });
        assert_eq!(selected[1].argument(Input::OrderBy), Some(&Given::List(vec![order])));
        assert_eq!(selected[2].argument(Input::Where), Some(&id(Comparison::Eq, text("5"))));
    }

    #[test]
    fn variables_stand_where_their_types_may() {
        let schema = schema_of(library());
        for text in [
            "query ($x: Int = 1) { authorByKey(key: {id: $x}) { id } }",
            "query ($x: Int! = 1) { authorByKey(key: {id: $x}) { id } }",
            "query ($x: Int! = 1) { author(first: $x) { nodes { id } } }",
            "query ($x: Int! = 1) { author(where: {id: {in: [$x, 2]}}) { nodes { id } } }",
            "query ($x: [Int!]! = [1]) { author(where: {id: {in: $x}}) { nodes { id } } }",
            "query ($x: AuthorKey = {id: 1}) { authorByKey(key: $x) { id } }",
            "query ($x: AuthorFilter) { author(where: $x) { nodes { id } } }",
        ] {
            let document = Document::parse(text).unwrap();
            assert!(select(&schema, &document, None, &[]).is_ok(), "{text}");
        }
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

    #[test]
    fn a_variable_counts_wherever_it_is_named() {
        let schema = schema_of(library());
        let variables = [("x".to_owned(), Value::Text("x".repeat(TEXTS_BYTES_MAX / 8)))];
        let named = |count: usize| {
            let all = vec!["$x"; count].join(" ");
            let text = format!(
                "query ($x: String!) {{ author(where: {{name: {{in: [{all}]}}}}) {{ nodes {{ id }} }} }}"
            );
            let document = Document::parse(&text).unwrap();
            let selected = select(&schema, &document, None, &variables);
            selected.map(|selected| selected.len()).map_err(|refused| refused.to_string())
        };
        assert_eq!(named(8), Ok(1));
        assert!(named(9).is_err_and(|refused| refused.contains("take at most")));
        assert!(named(9000).is_err());
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
