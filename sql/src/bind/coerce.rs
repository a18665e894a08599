//! Making values fit, and learning the types of parameters from where they stand.

use std::borrow::Cow;

use expr::casts::CastContext;
use expr::{Datum, Expr, SessionContext, Type, TypeKind, resolve};

use super::Binder;
use crate::error::{Error, Result};

/// An error of `expr` at a place, unless it knows a better one.
pub(super) fn placed(at: usize) -> impl Fn(expr::Error) -> Error {
    move |error| {
        let error = Error::from(error);
        // What is too long or too large is found out later than where it stands.
        let late = matches!(error.sqlstate, "22001" | "22026")
            || error.message == "numeric field overflow"
            || error.message.starts_with("macaddr8 data out of range")
            || error.sqlstate == "22003" && error.message.ends_with(" out of range");
        if error.position.is_none() && at > 0 && !late { error.at(at) } else { error }
    }
}

/// The same of what an expression becomes: what a literal says is read where it stands, be it out of range, and so is how long
/// its parts may be.
fn placed_in(expr: &Expr, to: TypeKind, at: usize) -> impl Fn(expr::Error) -> Error + use<> {
    let is_read = expr.is_unknown() && at > 0;
    let is_whole = is_read && fits_in_parts(to);
    move |error| {
        let is_beyond = error.sqlstate == "22003" && error.message.ends_with(" out of range");
        let error = placed(at)(error);
        if is_read && (is_beyond || is_whole) && error.position.is_none() { error.at(at) } else { error }
    }
}

/// Whether it is found out as its literals are read whether what they hold is too long or too large: fields of composite types,
/// and elements that are values of domains.
fn fits_in_parts(kind: TypeKind) -> bool {
    let base = kind.base();
    let of_domains = !kind.is_domain() && kind.element().is_some_and(TypeKind::is_domain);
    of_domains || base.element().unwrap_or(base).is_composite()
}

/// Whether it hangs on the session, the catalog or the clock what a text means as a value of a type.
fn hangs_on_session(kind: TypeKind) -> bool {
    matches!(
        kind.innermost(),
        TypeKind::Regclass
            | TypeKind::Date
            | TypeKind::Time
            | TypeKind::Timetz
            | TypeKind::Timestamp
            | TypeKind::Timestamptz
    )
}

impl Binder<'_> {
    /// The value of `$number`.
    pub(super) fn parameter(&mut self, number: usize, at: usize) -> Result<Expr> {
        if !self.frames.is_empty() {
            return self.argument_numbered(number, at);
        }
        if let Some(given) = number.checked_sub(1).and_then(|index| self.given.get(index)) {
            return Ok(given.clone());
        }
        if !self.has_parameters {
            return Err(Error::new("42P02", format!("there is no parameter ${number}")).at(at));
        }
        let index = number.saturating_sub(1);
        if self.parameters.len() <= index {
            self.parameters.resize(index.saturating_add(1), None);
        }
        let kind = self.parameters.get(index).copied().flatten().unwrap_or(TypeKind::Unknown).base();
        Ok(Expr::Parameter { index, ty: kind.into() })
    }

    /// What is bound where no parameter can be meant.
    pub(super) fn without_parameters<T>(&mut self, bind: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let had = std::mem::replace(&mut self.has_parameters, false);
        let bound = bind(self);
        self.has_parameters = had;
        bound
    }

    /// The expression as a value of the type.
    pub(super) fn coerce(&mut self, expr: Expr, to: Type, context: CastContext, at: usize) -> Result<Expr> {
        let expr = self.learn(expr, to.kind, at)?;
        let is_pinned = expr.is_unknown() && hangs_on_session(to.kind);
        let place = placed_in(&expr, to.kind, at);
        let bound = self.convert(expr, to, context).map_err(place)?;
        if is_pinned {
            self.note_pinned(&bound, at);
        }
        Ok(bound)
    }

    /// What literals are read by: those of a text that is kept mean the same to everybody.
    pub(super) fn session_of_literals(&self) -> Cow<'_, SessionContext> {
        match self.reads_kept || self.is_within_known() {
            true => Cow::Owned(self.catalog.plain_session()),
            false => Cow::Borrowed(self.settings.context),
        }
    }

    pub(super) fn convert(&self, expr: Expr, to: Type, context: CastContext) -> expr::Result<Expr> {
        if to.kind.is_composite() && expr.ty().kind == TypeKind::Record {
            return self.as_composite(expr, to, context);
        }
        if to.kind != to.kind.base() && expr.ty() != to {
            return self.as_domain(expr, to, context, self.written.is_some());
        }
        let session = self.session_of_literals();
        match self.written {
            None => resolve::coerce(expr, to, context, &session),
            Some(_) => resolve::coerce_as_written(expr, to, context, &session),
        }
    }

    /// The same where any implicit cast will do.
    pub(super) fn implicit(&mut self, expr: Expr, kind: TypeKind, at: usize) -> Result<Expr> {
        if expr.ty().kind == kind {
            return Ok(expr);
        }
        self.coerce(expr, kind.into(), CastContext::Implicit, at)
    }

    /// A parameter of unknown type gets the type that is asked for.
    fn learn(&mut self, expr: Expr, kind: TypeKind, at: usize) -> Result<Expr> {
        let Expr::Parameter { index, ty } = &expr else { return Ok(expr) };
        let kind = kind.base();
        if ty.kind != TypeKind::Unknown || kind == TypeKind::Unknown {
            return Ok(expr);
        }
        let Some(known) = self.parameters.get_mut(*index) else { return Ok(expr) };
        match known {
            Some(known) if *known != kind => {
                let message =
                    format!("inconsistent types deduced for parameter ${}", index.saturating_add(1));
                let detail = format!("{} versus {}", known.display_name(), kind.display_name());
                Err(Error::new("42P08", message).detail(detail).at(at))
            }
            known => {
                *known = Some(kind);
                Ok(Expr::Parameter { index: *index, ty: kind.into() })
            }
        }
    }

    /// A literal or parameter whose type is still open becomes text.
    pub(super) fn settle(&mut self, expr: Expr, at: usize) -> Result<Expr> {
        if expr.is_unknown() { self.implicit(expr, TypeKind::Text, at) } else { Ok(expr) }
    }

    /// A condition: of type bool.
    pub(super) fn condition(&mut self, expr: Expr, clause: &str, at: usize) -> Result<Expr> {
        let kind = expr.ty().kind;
        if kind == TypeKind::Bool {
            return Ok(expr);
        }
        if kind == TypeKind::Unknown || kind.base() == TypeKind::Bool {
            return self.implicit(expr, TypeKind::Bool, at);
        }
        let shown = kind.display_name();
        Err(Error::new("42804", format!("argument of {clause} must be type boolean, not type {shown}"))
            .at(at))
    }

    /// A value for a column, as INSERT and UPDATE store it.
    pub(super) fn assign(&mut self, expr: Expr, to: Type, column: &str, at: usize) -> Result<Expr> {
        let from = expr.ty();
        let expr = self.learn(expr, to.kind, at)?;
        if !resolve::can_coerce(from.kind, to.kind, CastContext::Assignment) {
            let message = format!(
                "column \"{column}\" is of type {} but expression is of type {}",
                Type::plain(to.kind).kind.display_name(),
                from.kind.display_name()
            );
            return Err(Error::new("42804", message)
                .hint("You will need to rewrite or cast the expression.")
                .at(at));
        }
        let place = placed_in(&expr, to.kind, at);
        self.convert(expr, to, CastContext::Assignment).map_err(place)
    }

    /// The common type of expressions, all coerced to it.
    pub(super) fn unify(&mut self, construct: &str, items: Vec<(Expr, usize)>) -> Result<(Vec<Expr>, Type)> {
        let ty = self.common_type(construct, &items)?;
        let unified = items.into_iter().map(|(item, at)| {
            if item.ty() == ty { Ok(item) } else { self.coerce(item, ty, CastContext::Implicit, at) }
        });
        Ok((unified.collect::<Result<_>>()?, ty))
    }

    /// The common type of expressions: with the modifier that all of them have, if they do.
    pub(super) fn common_type(&self, construct: &str, items: &[(Expr, usize)]) -> Result<Type> {
        let kinds = items.iter().map(|(item, _)| item.ty().kind);
        // PostgreSQL points at the first that does not go with those before it.
        let kind = resolve::common_type_of(construct, kinds).map_err(|mismatch| {
            placed(items.get(mismatch.place).map_or(0, |(_, at)| *at))(*mismatch.error)
        })?;
        let mut types = items.iter().map(|(item, _)| item.ty());
        let first = types.next().unwrap_or(Type::plain(kind));
        let shared = first.kind == kind && types.all(|ty| ty == first);
        Ok(if shared { first } else { Type::plain(kind) })
    }

    /// The call of an operator.
    pub(super) fn operator(
        &mut self,
        name: &str,
        left: Option<(Expr, usize)>,
        right: (Expr, usize),
        at: usize,
    ) -> Result<Expr> {
        let left_kind = left.as_ref().map(|(expr, _)| expr.ty().kind);
        let right_kind = right.0.ty().kind;
        self.check_in_sight(name, (left_kind, right_kind)).map_err(|error| error.at(at))?;
        let (_, resolved) = resolve::operator(name, left_kind, right_kind).map_err(placed(at))?;
        let mut args = Vec::with_capacity(2);
        for ((operand, at), kind) in left.into_iter().chain([right]).zip(&resolved.args) {
            args.push(self.implicit(operand, *kind, at)?);
        }
        Ok(Expr::Call { function: resolved.function, args, ty: resolved.result.into() })
    }
}

/// A literal number: the narrowest of int4, int8, numeric that holds it.
pub(super) fn number(text: &str, at: usize) -> Result<Expr> {
    if let Ok(value) = text.parse::<i32>() {
        return Ok(Expr::literal(Datum::Int4(value), TypeKind::Int4));
    }
    if let Ok(value) = text.parse::<i64>() {
        return Ok(Expr::literal(Datum::Int8(value), TypeKind::Int8));
    }
    let ty = TypeKind::Numeric;
    let value = expr::codec::input(text, ty.into(), &expr::SessionContext::default()).map_err(placed(at))?;
    Ok(Expr::literal(value, ty))
}
