//! What is given: values of the types where they stand, and variables for what they stand for (specification, sections 5.4, 5.6, 5.8, 6.1.2
//! and 6.4.1).
//!
//! # Invariants
//! - What a request says once takes room as often as it is named: all values of an operation together are bounded, in number and bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::document::{Argument, Operation, Value, Wanted};
use super::refusal::{Place, Refused};
use super::schema::{Choice, FieldDef, Input, InputDef, Of, Schema, Shape};

/// Values that the arguments of one operation may have.
const VALUES_MAX: usize = 100_000;

/// What their texts take together at most: a variable counts wherever it is named.
const TEXTS_BYTES_MAX: usize = 8 << 20;

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

/// A variable: the type that it was declared with, whether it has a value where none is given, and the one that it has.
struct Bound<'d, 'a> {
    ty: &'d Wanted<'a>,
    has_default: bool,
    value: Option<Value<'a>>,
}

/// The variables of an operation, and how much room its values have left.
pub(super) struct Values<'s, 'd, 'a> {
    schema: &'s Schema,
    variables: HashMap<&'a str, Bound<'d, 'a>>,
    values_left: usize,
    /// Bytes.
    texts_left: usize,
}

impl<'s, 'd, 'a> Values<'s, 'd, 'a> {
    /// Of an operation whose variables have these values, or what they have where none is given.
    pub(super) fn of(
        schema: &'s Schema,
        operation: &'d Operation<'a>,
        given: &[(String, Value<'static>)],
    ) -> Result<Self, Refused> {
        let mut variables = HashMap::new();
        // There may be very many of both.
        let given: HashMap<&str, &Value<'a>> =
            given.iter().map(|(name, value)| (name.as_str(), value)).collect();
        for variable in &operation.variables {
            let (name, place) = (variable.name, variable.place);
            let ty = named(&variable.ty);
            let shape = schema.find(ty).and_then(|id| schema.type_of(id)).map(|ty| &ty.shape);
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
            if variables.insert(name, bound).is_some() {
                return Err(Refused::at(place, format!("${name} is declared twice")));
            }
        }
        Ok(Self { schema, variables, values_left: VALUES_MAX, texts_left: TEXTS_BYTES_MAX })
    }

    /// A value that is to be true or false, of a directive that stands there.
    pub(super) fn truth(&self, value: &Value<'a>, place: Place) -> Result<bool, Refused> {
        let value = match value {
            Value::Variable(name) => {
                let bound = self.variables.get(name).filter(|bound| named(bound.ty) == "Boolean");
                let bound = bound.ok_or_else(|| Refused::at(place, format!("${name} is no Boolean")))?;
                bound.value.as_ref()
            }
            value => Some(value),
        };
        match value {
            Some(Value::Bool(value)) => Ok(*value),
            _ => Err(Refused::at(place, "if is true or false")),
        }
    }

    /// The arguments that are given to a field that stands there, and are not left out.
    pub(super) fn arguments(
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
        members: &[(Cow<'a, str>, Value<'a>)],
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
    use super::super::build::schema_of;
    use super::super::document::Document;
    use super::super::model::tests::library;
    use super::super::schema::Comparison;
    use super::super::select::select;
    use super::*;

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
}
