//! What a schema says of itself: `__schema` and `__type` (specification, section 4).

use expr::json::quoted;

use super::answer::{Sink, write_object};
use super::refusal::Refused;
use super::schema::{
    Choice, EnumDef, FieldDef, Input, InputDef, Meaning, Of, Part, Schema, Shape, TypeId, Types, field, input,
};
use super::select::Selected;

/// What something is told of.
#[derive(Clone, Copy)]
enum Thing<'s> {
    Schema,
    Type(&'s Of),
    /// A type by itself.
    Named(TypeId),
    Field(&'s FieldDef),
    Input(&'s InputDef),
    EnumValue(&'s str),
    /// `skip` or `include`.
    Directive(&'static str),
    /// What their argument is.
    Condition,
}

const DIRECTIVES: [&str; 2] = ["include", "skip"];

/// The words that types and directives are described by.
const KINDS: [&str; 8] =
    ["SCALAR", "OBJECT", "INTERFACE", "UNION", "ENUM", "INPUT_OBJECT", "LIST", "NON_NULL"];
const LOCATIONS: [&str; 3] = ["FIELD", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"];

/// Adds the types that a schema is described by; the fields of a query that ask for it.
pub(super) fn add_types(types: &mut Types, text: &Of, boolean: &Of) -> Vec<FieldDef> {
    let [schema, ty, of_field, value, enum_value, directive] =
        ["__Schema", "__Type", "__Field", "__InputValue", "__EnumValue", "__Directive"]
            .map(|name| types.reserve(name));
    let words = |words: &[&str]| {
        let words = words.iter().map(|word| EnumDef { name: (*word).to_owned(), meaning: Choice::Word });
        Shape::Enum(words.collect())
    };
    let kind = types.add("__TypeKind", "What sort of type it is.", words(&KINDS));
    let location = types.add("__DirectiveLocation", "Where a directive stands.", words(&LOCATIONS));
    let part = |name: &str, of: Of, part| field(name, "", of, Meaning::Described(part));
    let listed = |name: &str, id: TypeId, part| {
        let mut field = field(name, "", Of::Named(id).list(), Meaning::Described(part));
        field.arguments.push(input("includeDeprecated", boolean.clone(), Input::IncludeDeprecated));
        field
    };
    let named = |id: TypeId| Of::Named(id);
    let (text, flag) = (|| text.clone(), || boolean.clone().required());
    let mut define = |id, fields| types.define(id, "", Shape::Object(fields));
    define(
        schema,
        vec![
            part("description", text(), Part::Nothing),
            part("types", named(ty).list().required(), Part::Types),
            part("queryType", named(ty).required(), Part::QueryType),
            part("mutationType", named(ty), Part::MutationType),
            part("subscriptionType", named(ty), Part::SubscriptionType),
            part("directives", named(directive).list().required(), Part::Directives),
        ],
    );
    define(
        ty,
        vec![
            part("kind", named(kind).required(), Part::Kind),
            part("name", text(), Part::Name),
            part("description", text(), Part::Description),
            part("specifiedByURL", text(), Part::Nothing),
            listed("fields", of_field, Part::Fields),
            part("interfaces", named(ty).list(), Part::Interfaces),
            part("possibleTypes", named(ty).list(), Part::Nothing),
            listed("enumValues", enum_value, Part::EnumValues),
            listed("inputFields", value, Part::InputFields),
            part("ofType", named(ty), Part::OfType),
        ],
    );
    let deprecation =
        || [part("isDeprecated", flag(), Part::Never), part("deprecationReason", text(), Part::Nothing)];
    let told = |more: Vec<FieldDef>| {
        let mut fields =
            vec![part("name", text().required(), Part::Name), part("description", text(), Part::Description)];
        fields.extend(more);
        fields
    };
    let mut args = listed("args", value, Part::Arguments);
    args.of = args.of.required();
    let mut fields = told(vec![args, part("type", named(ty).required(), Part::Type)]);
    fields.extend(deprecation());
    define(of_field, fields);
    let mut fields = told(vec![
        part("type", named(ty).required(), Part::Type),
        part("defaultValue", text(), Part::Nothing),
    ]);
    fields.extend(deprecation());
    define(value, fields);
    let mut fields = told(Vec::new());
    fields.extend(deprecation());
    define(enum_value, fields);
    let mut args = listed("args", value, Part::Arguments);
    args.of = args.of.required();
    define(
        directive,
        told(vec![
            part("isRepeatable", flag(), Part::Never),
            part("locations", named(location).list().required(), Part::Locations),
            args,
        ]),
    );
    let mut by_name = field("__type", "A type by its name.", named(ty), Meaning::Type);
    by_name.arguments.push(input("name", text().required(), Input::Name));
    vec![field("__schema", "All types.", named(schema).required(), Meaning::Schema), by_name]
}

/// Answers `__schema`.
pub(super) fn write_schema(
    schema: &Schema,
    selections: &[Selected<'_>],
    out: &mut Sink,
) -> Result<(), Refused> {
    write(schema, Thing::Schema, selections, out)
}

/// Answers `__type`.
pub(super) fn write_type(
    schema: &Schema,
    name: &str,
    selections: &[Selected<'_>],
    out: &mut Sink,
) -> Result<(), Refused> {
    match schema.find(name) {
        Some(id) => write(schema, Thing::Named(id), selections, out),
        None => out.push("null"),
    }
}

fn write(
    schema: &Schema,
    thing: Thing<'_>,
    selections: &[Selected<'_>],
    out: &mut Sink,
) -> Result<(), Refused> {
    write_object(schema, selections, out, |selected, out| {
        let Meaning::Described(part) = selected.field.meaning else { return out.push("null") };
        write_part(schema, thing, part, &selected.selections, out)
    })
}

fn write_one(
    schema: &Schema,
    thing: Option<Thing<'_>>,
    selections: &[Selected<'_>],
    out: &mut Sink,
) -> Result<(), Refused> {
    match thing {
        Some(thing) => write(schema, thing, selections, out),
        None => out.push("null"),
    }
}

fn write_all<'t>(
    schema: &Schema,
    things: impl Iterator<Item = Thing<'t>>,
    selections: &[Selected<'_>],
    out: &mut Sink,
) -> Result<(), Refused> {
    out.push("[")?;
    for (number, thing) in things.enumerate() {
        if number > 0 {
            out.push(",")?;
        }
        write(schema, thing, selections, out)?;
    }
    out.push("]")
}

fn write_part(
    schema: &Schema,
    thing: Thing<'_>,
    part: Part,
    selections: &[Selected<'_>],
    out: &mut Sink,
) -> Result<(), Refused> {
    let ty = match thing {
        Thing::Type(Of::Named(id)) => schema.type_of(*id),
        Thing::Named(id) => schema.type_of(id),
        _ => None,
    };
    let shape = ty.map(|ty| &ty.shape);
    match part {
        Part::Nothing => out.push("null"),
        Part::Never => out.push("false"),
        Part::Name => out.text_or_null(match thing {
            Thing::Field(field) => Some(field.name.as_str()),
            Thing::Input(input) => Some(input.name.as_str()),
            Thing::EnumValue(name) => Some(name),
            Thing::Directive(name) => Some(name),
            Thing::Condition => Some("if"),
            Thing::Schema => None,
            Thing::Type(_) | Thing::Named(_) => ty.map(|ty| ty.name.as_str()),
        }),
        Part::Description => {
            let about = match thing {
                Thing::Field(field) => Some(field.about),
                _ => ty.map(|ty| ty.about.as_str()),
            };
            out.text_or_null(about.filter(|about| !about.is_empty()))
        }
        Part::Types => write_all(schema, (0..schema.types.len()).map(Thing::Named), selections, out),
        Part::QueryType => write_one(schema, Some(Thing::Named(schema.query)), selections, out),
        Part::MutationType => write_one(schema, schema.mutation.map(Thing::Named), selections, out),
        Part::SubscriptionType => write_one(schema, schema.subscription.map(Thing::Named), selections, out),
        Part::Directives => write_all(schema, DIRECTIVES.into_iter().map(Thing::Directive), selections, out),
        Part::Kind => out.push(&quoted(match (thing, shape) {
            (Thing::Type(Of::List(_)), _) => "LIST",
            (Thing::Type(Of::NonNull(_)), _) => "NON_NULL",
            (_, Some(Shape::Object(_))) => "OBJECT",
            (_, Some(Shape::Input(_))) => "INPUT_OBJECT",
            (_, Some(Shape::Enum(_))) => "ENUM",
            (_, Some(Shape::Scalar(_)) | None) => "SCALAR",
        })),
        Part::Fields => match shape {
            Some(Shape::Object(fields)) => {
                write_all(schema, fields.iter().map(Thing::Field), selections, out)
            }
            _ => out.push("null"),
        },
        Part::Interfaces => out.push(if matches!(shape, Some(Shape::Object(_))) { "[]" } else { "null" }),
        Part::EnumValues => match shape {
            Some(Shape::Enum(values)) => {
                write_all(schema, values.iter().map(|value| Thing::EnumValue(&value.name)), selections, out)
            }
            _ => out.push("null"),
        },
        Part::InputFields => match shape {
            Some(Shape::Input(inputs)) => write_all(schema, inputs.iter().map(Thing::Input), selections, out),
            _ => out.push("null"),
        },
        Part::OfType => match thing {
            Thing::Type(Of::List(of) | Of::NonNull(of)) => {
                write_one(schema, Some(Thing::Type(of)), selections, out)
            }
            _ => out.push("null"),
        },
        Part::Arguments => match thing {
            Thing::Field(field) => {
                write_all(schema, field.arguments.iter().map(Thing::Input), selections, out)
            }
            Thing::Directive(_) => write_all(schema, std::iter::once(Thing::Condition), selections, out),
            _ => out.push("[]"),
        },
        Part::Type => {
            let condition = schema.find("Boolean").map(|boolean| Of::Named(boolean).required());
            match thing {
                Thing::Field(field) => write_one(schema, Some(Thing::Type(&field.of)), selections, out),
                Thing::Input(input) => write_one(schema, Some(Thing::Type(&input.of)), selections, out),
                Thing::Condition => write_one(schema, condition.as_ref().map(Thing::Type), selections, out),
                _ => out.push("null"),
            }
        }
        Part::Locations => out.push("[\"FIELD\",\"FRAGMENT_SPREAD\",\"INLINE_FRAGMENT\"]"),
    }
}
