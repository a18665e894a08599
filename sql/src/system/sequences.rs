//! `nextval` and its like, and the views of sequences.

use expr::{Datum, Error, Result, TypeKind};

use super::World;
use super::record::{Records, Value};
use crate::catalog::access::{Object, Right, Rights};
use crate::catalog::object::{ObjectDescriptor, SequenceDescriptor, SequenceState};
use crate::catalog::{CatalogSnapshot, Oid};
use crate::questions::{Question, Questions};
use crate::sequence::SessionSequences;

/// Where a function of sequences is called.
pub(super) struct Called<'a> {
    pub(super) catalog: &'a CatalogSnapshot,
    pub(super) user: &'a str,
    pub(super) read_only: bool,
    pub(super) sequences: &'a SessionSequences,
    pub(super) questions: &'a Questions,
}

impl Called<'_> {
    /// Answers a function; `None`: it is none of these.
    pub(super) fn answer(&self, name: &str, arguments: &[Datum]) -> Option<Result<Datum>> {
        Some(match name {
            // The binder's own calls have a second argument: whoever inserts a row may draw an identity's values.
            "nextval" => self.next(arguments.first(), arguments.len() == 1),
            "currval" => self.current(arguments.first()),
            "lastval" => self.last(),
            "setval" => self.set(arguments),
            "pg_sequence_last_value" => self.last_drawn(name, arguments.first()),
            _ => return None,
        })
    }

    fn sequence(&self, which: Option<&Datum>) -> Result<(Oid, &str, &SequenceDescriptor)> {
        let oid = which.and_then(Datum::as_i64).and_then(|oid| Oid::try_from(oid).ok()).unwrap_or(0);
        if let Some(object) = self.catalog.objects().get(oid)
            && let Some(sequence) = object.sequence()
        {
            return Ok((oid, &object.name, sequence));
        }
        let index = self.catalog.index_by_oid(oid).map(|(_, index)| index.name.as_str());
        let name = self.catalog.table_by_oid(oid).map(|table| table.name.as_str()).or(index);
        Err(match name {
            Some(name) => Error::new("42809", format!("\"{name}\" is not a sequence")),
            None => Error::new("42P01", format!("could not open relation with OID {oid}")),
        })
    }

    fn last_drawn(&self, function: &str, which: Option<&Datum>) -> Result<Datum> {
        let (oid, name, _) = self.sequence(which)?;
        self.check(oid, name, &[Right::Select, Right::Usage])?;
        self.questions.ask(function, Question::LastValue(oid))
    }

    /// 42501 unless one of the rights is there.
    fn check(&self, oid: Oid, name: &str, rights: &[Right]) -> Result<()> {
        if may(self.catalog, self.user, oid, rights) {
            return Ok(());
        }
        Err(Error::new("42501", format!("permission denied for sequence {name}")))
    }

    fn check_writable(&self, oid: Oid, function: &str) -> Result<()> {
        let is_temporary = || self.catalog.objects().get(oid).is_some_and(|object| object.is_temporary());
        if !self.read_only || is_temporary() {
            return Ok(());
        }
        Err(Error::new("25006", format!("cannot execute {function}() in a read-only transaction")))
    }

    fn next(&self, which: Option<&Datum>, checked: bool) -> Result<Datum> {
        let (oid, name, sequence) = self.sequence(which)?;
        if checked {
            self.check(oid, name, &[Right::Usage, Right::Update])?;
        }
        self.check_writable(oid, "nextval")?;
        self.sequences.next(oid, sequence)
    }

    fn current(&self, which: Option<&Datum>) -> Result<Datum> {
        let (oid, name, _) = self.sequence(which)?;
        self.check(oid, name, &[Right::Select, Right::Usage])?;
        self.sequences.current(oid).map(Datum::Int8).ok_or_else(|| {
            Error::new("55000", format!("currval of sequence \"{name}\" is not yet defined in this session"))
        })
    }

    fn last(&self) -> Result<Datum> {
        let known = self.sequences.last().and_then(|(oid, value)| {
            self.catalog.objects().get(oid).map(|object| (oid, object.name.as_str(), value))
        });
        let Some((oid, name, value)) = known else {
            return Err(Error::new("55000", "lastval is not yet defined in this session"));
        };
        self.check(oid, name, &[Right::Select, Right::Usage])?;
        Ok(Datum::Int8(value))
    }

    fn set(&self, arguments: &[Datum]) -> Result<Datum> {
        let (oid, name, sequence) = self.sequence(arguments.first())?;
        self.check(oid, name, &[Right::Update])?;
        self.check_writable(oid, "setval")?;
        let last = arguments.get(1).and_then(Datum::as_i64).unwrap_or_default();
        let is_called = !matches!(arguments.get(2), Some(Datum::Bool(false)));
        let SequenceDescriptor { min, max, .. } = *sequence;
        if !(min..=max).contains(&last) {
            let message =
                format!("setval: value {last} is out of bounds for sequence \"{name}\" ({min}..{max})");
            return Err(Error::new("22003", message));
        }
        self.questions.ask("setval", Question::SetValue(oid, SequenceState { last, is_called }))
    }
}

/// Whether a role has one of the rights on a sequence.
fn may(catalog: &CatalogSnapshot, user: &str, sequence: Oid, rights: &[Right]) -> bool {
    let (access, wanted) = (catalog.access(), Rights::of_all(rights));
    access.role_named(user).is_some_and(|role| {
        !access.granted(&access.powers(role.oid), Object::Sequence(sequence), None, wanted).is_empty()
    })
}

pub(super) fn all<'a>(
    world: &'a World<'_>,
) -> impl Iterator<Item = (&'a ObjectDescriptor, &'a SequenceDescriptor)> {
    world.catalog.objects().iter().filter_map(|object| Some((object.as_ref(), object.sequence()?)))
}

fn owner_name(world: &World<'_>, oid: Oid) -> Option<String> {
    let access = world.catalog.access();
    access.role(access.object(Object::Sequence(oid)).owner).map(|role| role.name.clone())
}

pub(super) fn pg_sequence(world: &World<'_>, records: &mut Records<'_>) {
    for (object, sequence) in all(world) {
        records.push(&[
            ("seqrelid", object.oid.into()),
            ("seqtypid", sequence.ty.oid().into()),
            ("seqstart", Value::Int(sequence.start)),
            ("seqincrement", Value::Int(sequence.increment)),
            ("seqmax", Value::Int(sequence.max)),
            ("seqmin", Value::Int(sequence.min)),
            ("seqcache", Value::Int(sequence.cache)),
            ("seqcycle", sequence.cycle.into()),
        ]);
    }
}

pub(super) fn pg_sequences(world: &World<'_>, records: &mut Records<'_>) {
    for (object, sequence) in all(world) {
        // Whoever may not ask for it is told nothing.
        let may = may(world.catalog, &world.session.current_user, object.oid, &[Right::Select, Right::Usage]);
        let last = world.gathered.last_values.get(&object.oid).filter(|_| may);
        records.push(&[
            ("schemaname", world.schema(&object.schema).into()),
            ("sequencename", (&object.name).into()),
            ("sequenceowner", owner_name(world, object.oid).into()),
            ("data_type", sequence.ty.oid().into()),
            ("start_value", Value::Int(sequence.start)),
            ("min_value", Value::Int(sequence.min)),
            ("max_value", Value::Int(sequence.max)),
            ("increment_by", Value::Int(sequence.increment)),
            ("cycle", sequence.cycle.into()),
            ("cache_size", Value::Int(sequence.cache)),
            ("last_value", last.map_or(Value::Null, |last| Value::Int(*last))),
        ]);
    }
}

/// `information_schema.sequences`: those that no identity column has.
pub(super) fn sequences(world: &World<'_>, records: &mut Records<'_>) {
    for (object, sequence) in all(world) {
        if sequence.owner.is_some_and(|owner| owner.identity.is_some()) {
            continue;
        }
        let precision = match sequence.ty {
            TypeKind::Int2 => 16,
            TypeKind::Int4 => 32,
            _ => 64,
        };
        records.push(&[
            ("sequence_catalog", (&*world.session.database).into()),
            ("sequence_schema", world.schema(&object.schema).into()),
            ("sequence_name", (&object.name).into()),
            ("data_type", sequence.ty.display_name().into()),
            ("numeric_precision", precision.into()),
            ("numeric_precision_radix", 2.into()),
            ("numeric_scale", 0.into()),
            ("start_value", sequence.start.to_string().into()),
            ("minimum_value", sequence.min.to_string().into()),
            ("maximum_value", sequence.max.to_string().into()),
            ("increment", sequence.increment.to_string().into()),
            ("cycle_option", if sequence.cycle { "YES" } else { "NO" }.into()),
        ]);
    }
}
