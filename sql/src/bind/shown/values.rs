//! VALUES (`get_values_def`).

use expr::Expr;
use expr::functions::quote::identifier;

use super::layout::{LISTED, Place, line};
use super::names::Called;
use super::words;
use crate::bind::Binder;
use crate::bind::level::{Clause, Level};
use crate::bind::scope::Scope;
use crate::error::{Error, Result};
use crate::parse::ast;

/// What PostgreSQL calls the rows of VALUES.
const VALUES: &str = "\"*VALUES*\"";

impl Binder<'_> {
    /// VALUES, as a SELECT of it where its columns are called otherwise.
    pub(super) fn values_text(
        &mut self,
        rows: &[Vec<ast::Expr>],
        place: Place,
        called: Called<'_>,
        lateral: bool,
    ) -> Result<String> {
        let level = Level::query(Scope::default(), Clause::plain("VALUES"), lateral);
        let (rows_text, _) = self.at_level(level, |binder| binder.rows_text(rows, place))?;
        let width = rows.first().map_or(0, Vec::len);
        let own: Vec<String> = (1..=width).map(|number| format!("column{number}")).collect();
        let given = called.given.unwrap_or(&own);
        if given.len() != width {
            return Err(Error::unsupported("to print VALUES of other columns"));
        }
        if given == own {
            return Ok(format!(" {rows_text}"));
        }
        let mut out = String::from(" SELECT ");
        for (number, (name, own)) in given.iter().zip(&own).enumerate() {
            if number > 0 {
                out.push(',');
                line(&mut out, place.start, LISTED);
            }
            out.push_str(&format!("{VALUES}.{own}"));
            if name != own {
                out.push_str(&format!(" AS {}", identifier(name)));
            }
        }
        line(&mut out, place.start, 2);
        out.push_str(&format!(" FROM ({rows_text}) {VALUES}"));
        Ok(out)
    }

    fn rows_text(&mut self, rows: &[Vec<ast::Expr>], place: Place) -> Result<String> {
        let bind = |binder: &mut Self| -> Result<Vec<Vec<Expr>>> {
            let mut bound = Vec::with_capacity(rows.len());
            for row in rows {
                bound.push(binder.arguments(row)?);
            }
            let width = bound.first().map_or(0, Vec::len);
            let mut cells = vec![Vec::with_capacity(width); bound.len()];
            for column in 0..width {
                let own = bound.iter().filter_map(|row| row.get(column)).cloned().collect();
                let (own, _) = binder.unify("VALUES", own)?;
                for (row, cell) in cells.iter_mut().zip(own) {
                    let at = rows.first().and_then(|row| row.get(column)).map_or(0, |cell| cell.at);
                    row.push(binder.settle(cell, at)?);
                }
            }
            Ok(cells)
        };
        self.printed(place, bind, |written, session, rows| {
            let mut texts = Vec::with_capacity(rows.len());
            for row in rows {
                let cells = row.into_iter().map(|cell| words::text(written, session, cell));
                texts.push(format!("({})", cells.collect::<Result<Vec<_>>>()?.join(",")));
            }
            Ok(format!("VALUES {}", texts.join(", ")))
        })
    }
}
