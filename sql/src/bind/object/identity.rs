//! Columns that sequences make values for: serial, GENERATED … AS IDENTITY.

use std::sync::Arc;

use crate::bind::Binder;
use crate::catalog::object::{Identity, ObjectDescriptor, SequenceDescriptor};
use crate::catalog::{Column, Oid};
use crate::error::{Error, Result};
use crate::parse::ast::{IdentityDefinition, QualifiedName, SequenceOption, SequenceOptionKind, TypeName};
use crate::plan::IdentityChange;
use crate::plan::sequence::{self, NewSequence, SequenceSetting};
use expr::casts::CastContext;
use expr::{Datum, Expr, Type, TypeKind, functions};

/// The type that a serial column has.
pub(in crate::bind) fn serial(ty: &TypeName) -> Option<TypeKind> {
    if ty.schema.is_some() || !ty.modifiers.is_empty() {
        return None;
    }
    match ty.name.as_str() {
        "smallserial" | "serial2" => Some(TypeKind::Int2),
        "serial" | "serial4" => Some(TypeKind::Int4),
        "bigserial" | "serial8" => Some(TypeKind::Int8),
        _ => None,
    }
}

impl Binder<'_> {
    /// The sequence that makes values for a column; `choose` finds a name for it. Without a definition it is that of a
    /// serial column.
    pub(in crate::bind) fn column_sequence(
        &self,
        schema: &str,
        column: &Column,
        definition: Option<&IdentityDefinition>,
        choose: impl FnOnce() -> String,
    ) -> Result<NewSequence> {
        check_type(column)?;
        let options = definition.map_or(&[][..], |definition| &definition.options);
        let (name, options) = self.named_apart(schema, options)?;
        let mut settings = vec![SequenceSetting::Type(column.ty.kind)];
        settings.extend(self.sequence_settings(&options, schema)?);
        let identity = definition.map(|definition| identity_of(definition.always));
        Ok(NewSequence {
            schema: schema.to_owned(),
            name: name.unwrap_or_else(choose),
            definition: sequence::create(&settings)?,
            column: Some((column.id, identity)),
        })
    }

    /// The next number of an identity column's sequence: whoever may insert a row may draw it.
    pub(in crate::bind) fn identity_value(&self, sequence: Oid, ty: Type) -> Result<Expr> {
        let function = functions::by_name("nextval").first();
        let function = *function.ok_or_else(|| Error::internal("there is no nextval"))?;
        let args = vec![
            Expr::literal(Datum::Oid(sequence), TypeKind::Regclass),
            Expr::literal(true, TypeKind::Bool),
        ];
        let value = Expr::call(function, args, function.result);
        Ok(self.convert(value, ty, CastContext::Assignment)?)
    }

    /// SEQUENCE NAME, and the other options.
    fn named_apart(
        &self,
        schema: &str,
        options: &[SequenceOption],
    ) -> Result<(Option<String>, Vec<SequenceOption>)> {
        let mut name = None;
        let mut others = Vec::with_capacity(options.len());
        for option in options {
            match &option.kind {
                SequenceOptionKind::Name(given) => name = Some(self.free_name(schema, given)?),
                SequenceOptionKind::As(_) | SequenceOptionKind::OwnedBy(_) => {
                    return Err(Error::new("42601", "conflicting or redundant options").at(option.at));
                }
                _ => others.push(option.clone()),
            }
        }
        Ok((name, others))
    }

    fn free_name(&self, schema: &str, name: &QualifiedName) -> Result<String> {
        if name.schema.as_ref().is_some_and(|given| given.value != schema) {
            let message = "sequence must be in same schema as table it is linked to";
            return Err(Error::new("55000", message));
        }
        if self.catalog.is_taken(schema, &name.name.value) {
            return Err(Error::new("42P07", format!("relation \"{}\" already exists", name.name.value)));
        }
        Ok(name.name.value.clone())
    }

    /// What SET GENERATED and SET of options make of an identity column's sequence.
    pub(in crate::bind) fn identity_change(
        &self,
        schema: &str,
        sequence: Arc<ObjectDescriptor>,
        always: Option<bool>,
        options: &[SequenceOption],
    ) -> Result<IdentityChange> {
        let settings = self.sequence_settings(options, schema)?;
        Ok(IdentityChange { sequence, identity: always.map(identity_of), settings })
    }
}

pub(in crate::bind) fn check_type(column: &Column) -> Result<()> {
    if SequenceDescriptor::bounds(column.ty.kind).is_some() {
        return Ok(());
    }
    Err(Error::new("22023", "identity column type must be smallint, integer, or bigint"))
}

const fn identity_of(always: bool) -> Identity {
    if always { Identity::Always } else { Identity::ByDefault }
}
