//! CREATE TYPE … AS RANGE.

use expr::functions::{self, Volatility, range_made};
use expr::types::Category;
use expr::{Type, TypeKind};

use super::made_type::taken;
use super::{Bound, change, unplaced};
use crate::bind::Binder;
use crate::bind::operator_class::{has_default_class, operator_class};
use crate::bind::types::collatable;
use crate::catalog::IndexMethod;
use crate::catalog::object::TypeDescriptor;
use crate::catalog::object::types::RangeDescriptor;
use crate::error::{Error, Result};
use crate::parse::ast::{CreateRange, QualifiedName, RangeAttribute};
use crate::plan::{ObjectChange, TypeChange};

/// The longest name in bytes.
const NAME_BYTES_MAX: usize = 63;
/// As much of a name as there is room for before `_multirange`.
const STEM_BYTES_MAX: usize = 52;

/// PostgreSQL's functions that say how far bounds are apart, which are not functions here, with their oids: nothing calls them.
const DIFFERENCES: [(&str, u32, TypeKind); 6] = [
    ("int4range_subdiff", 3922, TypeKind::Int4),
    ("int8range_subdiff", 3923, TypeKind::Int8),
    ("numrange_subdiff", 3924, TypeKind::Numeric),
    ("daterange_subdiff", 3925, TypeKind::Date),
    ("tsrange_subdiff", 3929, TypeKind::Timestamp),
    ("tstzrange_subdiff", 3930, TypeKind::Timestamptz),
];

impl Binder<'_> {
    pub(super) fn create_range(&mut self, create: &CreateRange) -> Result<Bound> {
        let schema = self.type_schema(&create.name).map_err(unplaced)?;
        let name = &create.name.name.value;
        self.check_type_name(&schema, name)?;
        if self.catalog.table(&schema, name).is_some() {
            return Err(taken(name));
        }
        let given = |wanted: RangeAttribute| {
            create.attributes.iter().find(|(own, _)| *own == wanted).map(|(_, value)| value)
        };
        let Some(written) = &create.subtype else {
            return Err(Error::new("42601", "type attribute \"subtype\" is required"));
        };
        // What stands between parentheses behind its name is no part of it.
        let subtype = self.type_of(written).map_err(unplaced)?.kind;
        let shown = subtype.display_name();
        if subtype.category() == Category::Pseudo {
            return Err(Error::new("42804", format!("range subtype cannot be {shown}")));
        }
        let class = match given(RangeAttribute::OperatorClass) {
            Some(class) => operator_class(&class.name.value, subtype, IndexMethod::Btree)?,
            None if has_default_class(subtype, IndexMethod::Btree) => None,
            None => {
                let message =
                    format!("data type {shown} has no default operator class for access method \"btree\"");
                return Err(Error::new("42704", message).hint(
                    "You must specify an operator class for the range type or define a default operator class for the subtype.",
                ));
            }
        };
        if !range_made::can_bound(subtype) {
            return Err(Error::unsupported(format!("a range of type {shown}")).at(written.at));
        }
        let collation = match given(RangeAttribute::Collation) {
            Some(collation) => collation_of(subtype, collation)?,
            None => None,
        };
        if given(RangeAttribute::Canonical).is_some() {
            let message = "cannot specify a canonical function without a pre-created shell type";
            return Err(Error::new("42P17", message).hint(
                "Create the type as a shell type, then create its canonicalization function, then do a full CREATE TYPE.",
            ));
        }
        let diff = match given(RangeAttribute::Difference) {
            Some(function) => self.difference(subtype, function)?,
            None => 0,
        };
        let bound = subtype.oid();
        for types in [&[bound, bound][..], &[bound, bound, TypeKind::Text.oid()][..]] {
            if self.function_of(&schema, name, types).is_some() {
                let message = format!("function \"{name}\" already exists with same argument types");
                return Err(Error::new("42723", message));
            }
        }
        let multirange = self.multirange_name(&schema, name, given(RangeAttribute::Multirange))?;
        let own = RangeDescriptor { subtype, class, collation, diff, multirange };
        let made = TypeDescriptor::Range(own);
        change(ObjectChange::Type(TypeChange::Create { schema, name: name.clone(), made }))
    }

    /// The oid of the function that says how far two bounds are apart.
    fn difference(&self, subtype: TypeKind, named: &QualifiedName) -> Result<u32> {
        let name = named.name.value.as_str();
        let types = format!("{0}, {0}", subtype.display_name());
        let known = functions::by_name(name).iter().find(|own| own.args == [subtype, subtype]);
        if let Some(function) = known {
            let message = match (function.result, function.volatility) {
                (TypeKind::Float8, Volatility::Immutable) => return Ok(function.oid()),
                (TypeKind::Float8, _) => {
                    format!("range subtype diff function {name}({types}) must be immutable")
                }
                _ => {
                    format!("range subtype diff function {name}({types}) must return type double precision")
                }
            };
            return Err(Error::new("42P17", message));
        }
        if let Some((_, oid, _)) = DIFFERENCES.iter().find(|(own, _, of)| *own == name && *of == subtype) {
            return Ok(*oid);
        }
        if self.catalog.objects().functions_named(name).next().is_some() {
            let what = format!("a range whose SUBTYPE_DIFF is a function that was made, {name},");
            return Err(Error::unsupported(what).at(named.name.at));
        }
        Err(Error::new("42883", format!("function {name}({types}) does not exist")))
    }

    /// What the multirange is called that goes with a range.
    fn multirange_name(&self, schema: &str, range: &str, given: Option<&QualifiedName>) -> Result<String> {
        if let Some(given) = given {
            let name = given.name.value.as_str();
            if given.schema.as_ref().is_some_and(|within| within.value != schema) {
                let what = "a multirange in another schema than its range's";
                return Err(Error::unsupported(what).at(given.name.at));
            }
            return match self.check_free(schema, name) {
                Ok(()) if name != range => Ok(name.to_owned()),
                _ => Err(taken(name)),
            };
        }
        let name = multirange_of(range);
        self.check_free(schema, &name).map_err(|error| {
            error
                .detail(format!("Failed while creating a multirange type for type \"{range}\"."))
                .hint("You can manually specify a multirange type name using the \"multirange_type_name\" attribute.")
        })?;
        Ok(name)
    }

    fn check_free(&self, schema: &str, name: &str) -> Result<()> {
        self.check_type_name(schema, name)?;
        if self.catalog.table(schema, name).is_some() { Err(taken(name)) } else { Ok(()) }
    }
}

/// The collation of a range's bounds, unless it is that of their type. All order texts alike.
fn collation_of(subtype: TypeKind, collation: &QualifiedName) -> Result<Option<String>> {
    if collatable(Type::plain(subtype), 0).is_err() {
        let message = "range collation specified but subtype does not support collation";
        return Err(Error::new("42809", message));
    }
    match collation.name.value.as_str() {
        "default" => Ok(None),
        name @ ("C" | "POSIX") => Ok(Some(name.to_owned())),
        name => Err(Error::unsupported(format!("COLLATE \"{name}\"")).at(collation.name.at)),
    }
}

/// What PostgreSQL calls the multirange of a range.
fn multirange_of(range: &str) -> String {
    match range.contains("range") {
        true => cut(range.replacen("range", "multirange", 1), NAME_BYTES_MAX),
        false => format!("{}_multirange", cut(range.to_owned(), STEM_BYTES_MAX)),
    }
}

fn cut(mut name: String, bytes_max: usize) -> String {
    while name.len() > bytes_max {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiranges_are_called_after_their_ranges() {
        for (range, multirange) in [
            ("span", "span_multirange"),
            ("floatrange", "floatmultirange"),
            ("rangerange", "multirangerange"),
            ("a_multirange", "a_multimultirange"),
        ] {
            assert_eq!(multirange_of(range), multirange);
        }
        assert_eq!(multirange_of(&"é".repeat(40)), format!("{}_multirange", "é".repeat(26)));
        assert_eq!(multirange_of(&format!("range{}", "x".repeat(58))).len(), 63);
    }
}
