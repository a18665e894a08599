//! What a document names: each of its fragments, and each variable of an operation, is there to be used (specification, sections
//! 5.5.1.4 and 5.8.4).

use std::collections::HashSet;

use super::document::{Argument, Directive, Document, Operation, Selection, Value};
use super::refusal::Refused;

/// Refuses what is declared and not used: the fragments of a document, and the variables of an operation of it.
pub(super) fn check(document: &Document<'_>, operation: &Operation<'_>) -> Result<(), Refused> {
    let mut of_all = Names::default();
    for operation in &document.operations {
        of_all.add_operation(document, operation);
    }
    let mut fragments = document.fragments.iter();
    if let Some(unused) = fragments.find(|fragment| !of_all.fragments.contains(fragment.name)) {
        return Err(Refused::at(unused.place, format!("the fragment {} is not used", unused.name)));
    }
    let mut own = Names::default();
    own.add_operation(document, operation);
    let mut variables = operation.variables.iter();
    match variables.find(|variable| !own.variables.contains(variable.name)) {
        Some(unused) => Err(Refused::at(unused.place, format!("${} is not used", unused.name))),
        None => Ok(()),
    }
}

/// What operations name, themselves or by the fragments that they spread.
///
/// # Invariants
/// - Each fragment is looked into once.
#[derive(Default)]
struct Names<'d> {
    fragments: HashSet<&'d str>,
    variables: HashSet<&'d str>,
}

impl<'d> Names<'d> {
    fn add_operation(&mut self, document: &'d Document<'_>, operation: &'d Operation<'_>) {
        self.add_directives(&operation.directives);
        self.add_selections(document, &operation.selections);
    }

    fn add_selections(&mut self, document: &'d Document<'_>, selections: &'d [Selection<'_>]) {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    self.add_arguments(&field.arguments);
                    self.add_directives(&field.directives);
                    self.add_selections(document, &field.selections);
                }
                Selection::Inline { directives, selections, .. } => {
                    self.add_directives(directives);
                    self.add_selections(document, selections);
                }
                Selection::Spread { name, directives, .. } => {
                    self.add_directives(directives);
                    let found = document.fragments.iter().find(|fragment| fragment.name == *name);
                    if self.fragments.insert(name)
                        && let Some(fragment) = found
                    {
                        self.add_directives(&fragment.directives);
                        self.add_selections(document, &fragment.selections);
                    }
                }
            }
        }
    }

    fn add_directives(&mut self, directives: &'d [Directive<'_>]) {
        for directive in directives {
            self.add_arguments(&directive.arguments);
        }
    }

    fn add_arguments(&mut self, arguments: &'d [Argument<'_>]) {
        for argument in arguments {
            self.add_value(&argument.value);
        }
    }

    fn add_value(&mut self, value: &'d Value<'_>) {
        match value {
            Value::Variable(name) => {
                self.variables.insert(name);
            }
            Value::List(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(members) => members.iter().for_each(|(_, member)| self.add_value(member)),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Enum(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_is_used() {
        for (text, unused) in [
            ("{ a }", None),
            ("query ($x: Int) { a(x: $x) }", None),
            ("query ($x: Int) { a(x: [{y: $x}]) }", None),
            ("query ($x: Boolean) { a { b @skip(if: true) { c @include(if: $x) } } }", None),
            ("query ($x: Int) { a { ...f } } fragment f on A { ... on A { b(x: $x) } ...f }", None),
            ("query ($x: Int, $y: Int) { a(x: $x) }", Some("$y is not used")),
            ("query ($x: Int) { a(x: 1) } query B($x: Int) { a(x: $x) }", Some("$x is not used")),
            ("{ a } query B { ...f } fragment f on Query { a }", None),
            ("{ a } fragment f on Query { a }", Some("the fragment f is not used")),
            (
                "{ a } fragment f on Query { ...g } fragment g on Query { a }",
                Some("the fragment f is not used"),
            ),
        ] {
            let document = Document::parse(text).unwrap();
            let checked = check(&document, &document.operations[0]);
            assert_eq!(checked.err().map(|refused| refused.to_string()).as_deref(), unused, "{text}");
        }
    }
}
