//! Functions that make rows of each row, beside each other.

use std::sync::Arc;

use async_trait::async_trait;
use expr::series::Series;
use expr::{Datum, Record, Row, Shape, Type};

use super::{Batch, BoxOperator, Operator};
use crate::error::Result;
use crate::execute::context::Context;
use crate::plan::{ProjectSet, SetFunction, TableFunction};

/// Makes rows of each row.
pub(super) struct ProjectSetOperator {
    input: BoxOperator,
    functions: Vec<SetFunction>,
    ordinality: bool,
    /// Rows of the input that were not looked at.
    ahead: std::vec::IntoIter<Row>,
    /// The row at hand, the rows of its functions that are left, and how many were made.
    current: Option<(Row, Vec<Source>, i64)>,
    /// What those rows take that were made at once.
    bytes: usize,
}

/// The rows of a function for the row at hand.
enum Source {
    /// With the shape of its rows, if each is a record, and the type of that.
    Series(Series, Option<Arc<Shape>>, Type),
    Value(Datum),
    Done,
}

impl Source {
    fn start(cx: &Context<'_>, function: &SetFunction, row: &Row) -> Result<Self> {
        let mut arguments = cx.evaluate_all(&function.arguments, row)?;
        match &function.function {
            TableFunction::Series(called, shape) => {
                let series = Series::start(*called, &arguments, shape, cx.session)?;
                Ok(Self::Series(series, function.shape.clone(), function.ty))
            }
            TableFunction::Scalar => Ok(Self::Value(arguments.pop().unwrap_or_default())),
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Series(series, ..) => series.size_bytes(),
            Self::Value(_) | Self::Done => 0,
        }
    }

    fn next(&mut self) -> Result<Option<Datum>> {
        match self {
            Self::Series(series, shape, ty) => {
                let Some(row) = series.next().transpose()? else {
                    *self = Self::Done;
                    return Ok(None);
                };
                Ok(Some(match shape {
                    Some(_) if ty.kind.is_composite() => Datum::Record(Arc::new(Record::composite(row)?)),
                    Some(shape) => Datum::Record(Arc::new(Record::new(shape.clone(), row)?)),
                    None => row.into_iter().next().unwrap_or_default(),
                }))
            }
            Self::Value(value) => {
                let value = std::mem::take(value);
                *self = Self::Done;
                Ok(Some(value))
            }
            Self::Done => Ok(None),
        }
    }
}

impl ProjectSetOperator {
    pub(super) fn new(input: BoxOperator, node: &ProjectSet) -> Self {
        Self {
            input,
            functions: node.functions.clone(),
            ordinality: node.ordinality,
            ahead: Vec::new().into_iter(),
            current: None,
            bytes: 0,
        }
    }

    fn forget(&mut self, cx: &mut Context<'_>) {
        self.current = None;
        cx.memory.release(std::mem::take(&mut self.bytes));
    }

    /// The next row that is made of the row at hand.
    fn row(&mut self) -> Result<Option<Row>> {
        let Some((row, sources, made)) = &mut self.current else { return Ok(None) };
        let mut values = Vec::with_capacity(sources.len());
        let mut is_any = false;
        for source in sources {
            let value = source.next()?;
            is_any |= value.is_some();
            values.push(value.unwrap_or_default());
        }
        if !is_any {
            self.current = None;
            return Ok(None);
        }
        *made = made.saturating_add(1);
        let mut whole = Vec::with_capacity(row.len().saturating_add(values.len()).saturating_add(1));
        whole.extend(row.iter().cloned());
        whole.extend(values);
        if self.ordinality {
            whole.push(Datum::Int8(*made));
        }
        Ok(Some(whole))
    }
}

#[async_trait]
impl Operator for ProjectSetOperator {
    async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Vec<Row>>> {
        let mut batch = Batch::default();
        while !batch.is_full() {
            cx.tick(1).await?;
            if let Some(row) = self.row()? {
                batch.push(row);
                continue;
            }
            if let Some(row) = self.ahead.next() {
                self.forget(cx);
                let mut sources = Vec::with_capacity(self.functions.len());
                for function in &self.functions {
                    let source = Source::start(cx, function, &row)?;
                    cx.memory.reserve(source.size_bytes())?;
                    self.bytes = self.bytes.saturating_add(source.size_bytes());
                    sources.push(source);
                }
                self.current = Some((row, sources, 0));
                continue;
            }
            // What there is goes on its way before more is asked for.
            if !batch.rows.is_empty() {
                break;
            }
            match self.input.next(cx).await? {
                Some(rows) => self.ahead = rows.into_iter(),
                None => {
                    self.forget(cx);
                    break;
                }
            }
        }
        Ok(batch.into_rows())
    }

    fn rewind(&mut self, cx: &mut Context<'_>) {
        self.ahead = Vec::new().into_iter();
        self.forget(cx);
        self.input.rewind(cx);
    }
}
