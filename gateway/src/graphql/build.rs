//! The schema of the tables that a role sees.

use std::collections::HashMap;

use super::describe;
use super::model::Table;
use super::scalar::Scalar;
use super::schema::{Comparison, Input, Meaning, Of, Schema, Shape, TypeId, Types, field, input};
use super::table_types::{Made, add_tables};

/// The schema of these tables.
pub(super) fn schema_of(tables: Vec<Table>) -> Schema {
    let mut types = Types::default();
    let mut scalars = HashMap::new();
    for scalar in Scalar::ALL {
        scalars.insert(scalar, types.add(scalar.name(), scalar.about(), Shape::Scalar(scalar)));
    }
    let scalar = |scalar: Scalar| Of::Named(scalars.get(&scalar).copied().unwrap_or(0));
    let (text, boolean) = (scalar(Scalar::Text), scalar(Scalar::Boolean));
    let mut compared = HashMap::new();
    for kind in Scalar::ALL {
        compared.insert(kind, add_comparisons(&mut types, kind, &scalar(kind), &boolean));
    }
    let (whether, place) = (|| boolean.clone().required(), || text.clone());
    let page_info = Shape::Object(vec![
        field("hasNextPage", "Whether more rows follow.", whether(), Meaning::HasNextPage),
        field("hasPreviousPage", "Whether it begins after a row.", whether(), Meaning::HasPreviousPage),
        field("startCursor", "Where its first row stands; null of no rows.", place(), Meaning::StartCursor),
        field("endCursor", "What the next page begins after; null of no rows.", place(), Meaning::EndCursor),
    ]);
    let page_info = types.add("PageInfo", "Where a page of rows begins and ends.", page_info);
    let rows: Vec<TypeId> = tables.iter().map(|table| types.reserve(&table.ty)).collect();
    let made = Made { scalar: &scalar, comparisons: &compared, page_info, rows: &rows };
    let roots = add_tables(&mut types, &tables, &made);
    let type_name = field("__typename", "The name of the type.", text.clone().required(), Meaning::TypeName);
    let of_itself = describe::add_types(&mut types, &text, &boolean);
    Schema::new(types, tables, roots, type_name, of_itself)
}

/// What values of a scalar are compared by.
fn add_comparisons(types: &mut Types, kind: Scalar, of: &Of, boolean: &Of) -> TypeId {
    let compare = |name: &str, comparison| input(name, of.clone(), Input::Compare(comparison));
    let mut inputs = vec![
        compare("eq", Comparison::Eq),
        compare("ne", Comparison::Ne),
        compare("lt", Comparison::Lt),
        compare("le", Comparison::Le),
        compare("gt", Comparison::Gt),
        compare("ge", Comparison::Ge),
        input("in", of.clone().list(), Input::Compare(Comparison::In)),
    ];
    match kind {
        Scalar::Text => inputs.push(compare("like", Comparison::Like)),
        Scalar::Json => inputs.clear(),
        _ => {}
    }
    inputs.push(input("isNull", boolean.clone(), Input::Compare(Comparison::IsNull)));
    let about = "Conditions that are all to hold; about NULL, isNull alone does.";
    types.add(&format!("{}Is", kind.name()), about, Shape::Input(inputs))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::model::tests::library;
    use super::super::naming::legal;
    use super::super::schema::{FieldDef, InputDef};
    use super::*;

    /// A type as it is written: `[Int!]`.
    fn written(schema: &Schema, of: &Of) -> String {
        match of {
            Of::Named(id) => schema.name_of(*id).to_owned(),
            Of::List(of) => format!("[{}]", written(schema, of)),
            Of::NonNull(of) => format!("{}!", written(schema, of)),
        }
    }

    fn inputs(list: &[InputDef]) {
        let names: HashSet<_> = list.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names.len(), list.len(), "{list:?}");
    }

    fn fields(list: &[FieldDef]) {
        let names: HashSet<_> = list.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names.len(), list.len(), "{list:?}");
        list.iter().for_each(|field| inputs(&field.arguments));
    }

    #[test]
    fn every_name_of_a_schema_is_one_and_names_one_thing() {
        let schema = schema_of(library());
        let names: HashSet<_> = schema.types.iter().map(|ty| ty.name.as_str()).collect();
        assert_eq!(names.len(), schema.types.len());
        for ty in &schema.types {
            assert!(ty.name.starts_with("__") || legal(&ty.name) == ty.name, "{}", ty.name);
            match &ty.shape {
                Shape::Object(list) => {
                    assert!(!list.is_empty(), "{} has no fields", ty.name);
                    fields(list);
                }
                Shape::Input(list) => inputs(list),
                Shape::Enum(list) => assert!(!list.is_empty(), "{} has no values", ty.name),
                Shape::Scalar(_) => {}
            }
        }
        let of = |ty: &str, name: &str| {
            let field = schema.field(schema.find(ty).unwrap(), name).unwrap();
            written(&schema, &field.of)
        };
        assert_eq!(of("Query", "book"), "BookConnection!");
        assert_eq!(of("BookConnection", "nodes"), "[Book!]!");
        assert_eq!(of("Book", "author"), "Author");
        assert_eq!(of("Subscription", "book"), "BookFeed!");
        assert_eq!(of("BookFeed", "changes"), "[BookEvent!]!");
        assert_eq!(of("BookFeed", "resolved"), "BigInt");
        assert_eq!(of("BookEvent", "operation"), "Operation!");
        assert_eq!(of("BookEvent", "node"), "Book!");
        assert_eq!(of("Book", "id"), "BigInt!");
        assert_eq!(of("Author", "book"), "BookConnection!");
        assert_eq!(of("BookSum", "id"), "Decimal");
        assert_eq!(of("AuthorSum", "id"), "BigInt");
        // A moment may be said wherever rows are asked for.
        for (ty, name) in [
            ("Query", "book"),
            ("Query", "bookByKey"),
            ("Query", "bookAggregate"),
            ("Author", "book"),
            ("Author", "bookAggregate"),
            ("Book", "author"),
        ] {
            let field = schema.field(schema.find(ty).unwrap(), name).unwrap();
            assert!(field.arguments.iter().any(|input| input.name == "asOf"), "{ty}.{name}");
        }
    }

    #[test]
    fn a_role_that_sees_nothing_has_a_schema_that_says_so() {
        let schema = schema_of(Vec::new());
        assert!(schema.mutation.is_none() && schema.subscription.is_none());
        assert!(schema.field(schema.query, "__typename").is_some());
        assert!(schema.field(schema.query, "none").is_some(), "an object has a field");
        assert!(schema.field(schema.query, "__schema").is_some());
    }
}
