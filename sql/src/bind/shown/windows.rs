//! Window functions, and the windows that they are over (`get_rule_windowspec`).

use expr::functions::quote::identifier;
use expr::{Expr, Type};

use super::layout::{Place, line};
use super::words;
use crate::bind::Binder;
use crate::bind::level::Clause;
use crate::bind::written::Form;
use crate::error::Result;
use crate::parse::ast::{self, Exclude, FrameMode, Over};
use crate::plan::{Frame, FrameBound};

impl Binder<'_> {
    /// The call of a window function.
    pub(in crate::bind) fn window_in_words(
        &mut self,
        call: &ast::Function,
        over: &Over,
        arguments: &[Expr],
        ty: Type,
    ) -> Result<Expr> {
        let filter = match &call.filter {
            None => None,
            Some(filter) => Some(self.within(Clause::plain("FILTER"), |binder| {
                let bound = binder.expression(filter)?;
                binder.condition(bound, "FILTER", filter.at)
            })?),
        };
        let arguments = if call.star { "*".to_owned() } else { self.arguments_text(arguments)? };
        let filter = self.filter_text(filter.as_ref())?;
        let over = match over {
            Over::Name(name) => identifier(&name.value),
            Over::Definition(window) => {
                let defined = self.over(over)?;
                let frame = self.frame(&defined)?;
                self.window_text(window, &frame)?
            }
        };
        let text = format!("{}({arguments}{filter}) OVER {over}", words::called(call));
        Ok(self.word(text, Form::Call, ty))
    }

    /// `(w PARTITION BY a ORDER BY b ROWS CURRENT ROW)`
    fn window_text(&mut self, window: &ast::Window, frame: &Frame) -> Result<String> {
        let clause =
            Clause { aggregates: self.level()?.clause.aggregates, ..Clause::plain("window definitions") };
        let mut parts: Vec<String> = window.base.iter().map(|base| identifier(&base.value)).collect();
        if !window.partition_by.is_empty() {
            let mut keys = Vec::with_capacity(window.partition_by.len());
            for key in &window.partition_by {
                keys.push(self.window_key(key, clause)?);
            }
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        if !window.order_by.is_empty() {
            let mut keys = Vec::with_capacity(window.order_by.len());
            for key in &window.order_by {
                let text = self.window_key(&key.expr, clause)?;
                let nulls_first = key.nulls_first.unwrap_or(key.descending);
                keys.push(format!("{text}{}", words::direction(key.descending, nulls_first)));
            }
            parts.push(format!("ORDER BY {}", keys.join(", ")));
        }
        if let Some(written) = &window.frame {
            parts.push(self.frame_text(written, frame)?);
        }
        Ok(format!("({})", parts.join(" ")))
    }

    fn window_key(&mut self, key: &ast::Expr, clause: Clause) -> Result<String> {
        let bound = self.within(clause, |binder| binder.settled_expression(key))?;
        self.shown()?.key(&bound, &self.catalog.plain_session())
    }

    fn frame_text(&self, written: &ast::Frame, frame: &Frame) -> Result<String> {
        let mode = match frame.mode {
            FrameMode::Rows => "ROWS",
            FrameMode::Range => "RANGE",
            FrameMode::Groups => "GROUPS",
        };
        let start = self.frame_end_text(&frame.start)?;
        let ends = match written.between {
            true => format!("BETWEEN {start} AND {}", self.frame_end_text(&frame.end)?),
            false => start,
        };
        let exclude = match frame.exclude {
            Exclude::Nothing => "",
            Exclude::Row => " EXCLUDE CURRENT ROW",
            Exclude::Group => " EXCLUDE GROUP",
            Exclude::Ties => " EXCLUDE TIES",
        };
        Ok(format!("{mode} {ends}{exclude}"))
    }

    fn frame_end_text(&self, end: &FrameBound) -> Result<String> {
        let offset = |offset: &Expr, word: &str| -> Result<String> {
            let text = self.shown()?.text(offset, &self.catalog.plain_session())?;
            Ok(format!("{text} {word}"))
        };
        match end {
            FrameBound::First => Ok("UNBOUNDED PRECEDING".to_owned()),
            FrameBound::Before(before) => offset(before, "PRECEDING"),
            FrameBound::Current => Ok("CURRENT ROW".to_owned()),
            FrameBound::After(behind) => offset(behind, "FOLLOWING"),
            FrameBound::Last => Ok("UNBOUNDED FOLLOWING".to_owned()),
        }
    }

    /// WINDOW.
    pub(super) fn windows_text(
        &mut self,
        out: &mut String,
        windows: &[ast::NamedWindow],
        place: Place,
    ) -> Result<()> {
        for (number, named) in windows.iter().enumerate() {
            if number == 0 {
                line(out, place.start, 1);
                out.push_str(" WINDOW ");
            } else {
                out.push_str(", ");
            }
            let bind = |binder: &mut Self| {
                let name = named.name.clone();
                let defined = binder.named_window(&name, name.at, usize::MAX)?;
                let frame = binder.frame(&defined)?;
                binder.window_text(&named.window, &frame)
            };
            let text = self.printed(place, bind, |_, _, text| Ok(text))?;
            out.push_str(&format!("{} AS {text}", identifier(&named.name.value)));
        }
        Ok(())
    }
}
