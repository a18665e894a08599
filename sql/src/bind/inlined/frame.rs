//! The arguments of a function, as its body names them.

use expr::Expr;

use crate::bind::Binder;
use crate::bind::scope::ScopeColumn;
use crate::catalog::object::ObjectDescriptor;
use crate::error::{Error, Result};
use crate::parse::ast::Name;

/// What a body sees that is being bound.
///
/// # Invariants
/// - The values are over the row of the level right below `floor`, or read no column.
#[derive(Debug)]
pub(in crate::bind) struct Frame {
    /// The function's name.
    name: String,
    /// The levels from here on are the body's own.
    floor: usize,
    pub(super) arguments: Vec<Argument>,
}

/// An argument.
#[derive(Debug, Clone)]
pub(in crate::bind) struct Argument {
    /// What the body calls it; empty if it can only do so by number.
    name: String,
    pub(super) value: Expr,
    /// How often the body names it.
    pub(super) uses: usize,
    /// Whether a query within the body does.
    pub(super) is_asked_below: bool,
}

impl Argument {
    /// Whether the body may call it so.
    pub(super) fn is_called(&self, name: &str) -> bool {
        !name.is_empty() && self.name == name
    }

    /// Those of a function, in the order of its inputs.
    pub(in crate::bind) fn of(object: &ObjectDescriptor, values: Vec<Expr>) -> Vec<Self> {
        let inputs = object.function().into_iter().flat_map(|function| function.inputs());
        let named = inputs.zip(values);
        let argument =
            |name: &str, value| Self { name: name.to_owned(), value, uses: 0, is_asked_below: false };
        named.map(|(parameter, value)| argument(&parameter.name, value)).collect()
    }
}

impl Frame {
    pub(super) fn new(name: &str, floor: usize, arguments: Vec<Argument>) -> Self {
        Self { name: name.to_owned(), floor, arguments }
    }

    fn place(&self, name: &Name) -> Option<usize> {
        self.arguments.iter().position(|argument| !name.value.is_empty() && argument.name == name.value)
    }

    /// The argument that `a`, `f.a`, `a.field` or `f.a.field` means, and the field.
    fn meant<'n>(&self, names: &'n [Name]) -> Option<(usize, Option<&'n Name>)> {
        match names {
            [name] => Some((self.place(name)?, None)),
            [first, second] => match self.place(second).filter(|_| first.value == self.name) {
                Some(place) => Some((place, None)),
                None => Some((self.place(first)?, Some(second))),
            },
            [function, name, field] if function.value == self.name => Some((self.place(name)?, Some(field))),
            _ => None,
        }
    }
}

impl Binder<'_> {
    /// The first of the levels that are in sight.
    pub(in crate::bind) fn floor(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.floor)
    }

    /// The value of an argument that no column goes before; `None`: there is none of this name.
    pub(in crate::bind) fn argument_called(&mut self, names: &[Name]) -> Result<Option<Expr>> {
        let Some((place, field)) = self.frames.last().and_then(|frame| frame.meant(names)) else {
            return Ok(None);
        };
        let value = self.argument(place, self.is_below())?;
        let Some(field) = field else { return Ok(Some(value)) };
        match self.shape_of(value.ty()).and_then(|shape| shape.place(&field.value)) {
            Some(place) => self.field_at(value, place).map(Some),
            None => Ok(None),
        }
    }

    /// The fields of an argument, as `a.*` means them where no relation is called so; `None`: there is none of this name.
    pub(in crate::bind) fn fields_of_argument(&mut self, name: &Name) -> Result<Option<Vec<ScopeColumn>>> {
        let Some(value) = self.argument_called(std::slice::from_ref(name))? else { return Ok(None) };
        let fields = self.fields_of(&value, name.at)?.into_iter();
        Ok(Some(fields.map(|(name, value)| ScopeColumn { name, value, origin: None }).collect()))
    }

    /// The value of `$number` within a body.
    pub(in crate::bind) fn argument_numbered(&mut self, number: usize, at: usize) -> Result<Expr> {
        let place = number.checked_sub(1);
        let count = self.frames.last().map_or(0, |frame| frame.arguments.len());
        match place.filter(|place| *place < count) {
            Some(place) => self.argument(place, self.is_below()),
            None => Err(Error::new("42P02", format!("there is no parameter ${number}")).at(at)),
        }
    }

    /// Whether a query of the body is at hand, rather than the caller's row.
    fn is_below(&self) -> bool {
        self.levels.len() > self.floor()
    }

    /// The value of an argument; `is_below`: as queries of the body have it, through a slot.
    pub(super) fn argument(&mut self, place: usize, is_below: bool) -> Result<Expr> {
        let missing = || Error::internal("an argument that is not there");
        let frame = self.frames.last_mut().ok_or_else(missing)?;
        let floor = frame.floor;
        let argument = frame.arguments.get_mut(place).ok_or_else(missing)?;
        argument.uses = argument.uses.saturating_add(1);
        argument.is_asked_below |= is_below;
        let value = argument.value.clone();
        self.budget.take_copy(&value)?;
        match floor.checked_sub(1).filter(|_| is_below && !value.columns().is_empty()) {
            Some(below) => Ok(self.outer(below, value)),
            None => Ok(value),
        }
    }
}
