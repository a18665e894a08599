//! UNION, INTERSECT, EXCEPT (`get_setop_query`): parentheses where the operation changes, and on the right.

use super::layout::{INDENT, Place, line};
use super::names::Called;
use super::query::Parts;
use crate::bind::Binder;
use crate::error::Result;
use crate::parse::ast::{QueryBody, SetBranch};

/// An input of an operation.
enum Input<'q> {
    /// Other operations.
    Sets(&'q QueryBody, &'q [SetBranch]),
    /// A query, with what stands around it.
    Query(&'q QueryBody, bool),
}

impl<'q> Input<'q> {
    fn of(body: &'q QueryBody) -> Result<Self> {
        let QueryBody::Query(query) = body else {
            return Ok(match body {
                QueryBody::SetOperation { first, rest } => Self::Sets(first, rest),
                body => Self::Query(body, false),
            });
        };
        let parts = Parts::of(query)?;
        Ok(match parts.body {
            QueryBody::SetOperation { first, rest } if parts.is_bare() => Self::Sets(first, rest),
            _ => Self::Query(body, !parts.is_bare()),
        })
    }
}

impl Binder<'_> {
    /// Operations from the left.
    pub(super) fn sets_text(
        &mut self,
        first: &QueryBody,
        rest: &[SetBranch],
        (place, called): (Place, Called<'_>),
        lateral: bool,
    ) -> Result<String> {
        let left = Input::of(first)?;
        let own = |branch: &SetBranch| (branch.kind, branch.all);
        // Whether what stands before an operation is in parentheses: it is another one.
        let mut before = match &left {
            Input::Sets(_, rest) => rest.last().map(own),
            Input::Query(..) => None,
        };
        let mut enclosed = Vec::with_capacity(rest.len());
        for branch in rest {
            enclosed.push(before.is_some_and(|before| before != own(branch)));
            before = Some(own(branch));
        }
        // What is in more of them is set in further.
        let mut level = place.start;
        let mut levels = Vec::with_capacity(rest.len());
        for enclosed in enclosed.iter().rev() {
            levels.push(level);
            level = if *enclosed { level.saturating_add(INDENT) } else { level };
        }
        levels.reverse();
        let mut out = String::new();
        for (enclosed, level) in enclosed.iter().zip(&levels).rev() {
            if *enclosed {
                out.push('(');
                line(&mut out, level.saturating_add(INDENT), 0);
            }
        }
        out.push_str(&self.input_text(&left, Place { start: level, ..place }, called, lateral)?);
        for ((branch, enclosed), level) in rest.iter().zip(enclosed).zip(levels) {
            line(&mut out, level, 0);
            out.push_str(if enclosed { ") " } else { "" });
            out.push_str(branch.kind.keyword());
            out.push_str(if branch.all { " ALL " } else { " " });
            let right = Input::of(&branch.body)?;
            let is_set = matches!(right, Input::Sets(..));
            let inner = if is_set { level.saturating_add(INDENT) } else { level };
            out.push_str(if is_set { "(" } else { "" });
            line(&mut out, inner, 0);
            let unseen = Called { seen: false, ..called };
            out.push_str(&self.input_text(&right, Place { start: inner, ..place }, unseen, lateral)?);
            if is_set {
                line(&mut out, level, 0);
                out.push(')');
            }
        }
        Ok(out)
    }

    fn input_text(
        &mut self,
        input: &Input<'_>,
        place: Place,
        called: Called<'_>,
        lateral: bool,
    ) -> Result<String> {
        match input {
            Input::Sets(first, rest) => self.sets_text(first, rest, (place, called), lateral),
            Input::Query(body, enclosed) => {
                let text = self.body_text(body, place, called, lateral)?;
                Ok(if *enclosed { format!("({text})") } else { text })
            }
        }
    }
}
