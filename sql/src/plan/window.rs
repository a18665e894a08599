//! Windows: what is computed of the rows around a row.

use expr::aggregate::Aggregate;
use expr::functions::WindowFunction;
use expr::{Expr, FunctionId, Type};

pub use crate::parse::ast::{Exclude, FrameMode};

/// One window function.
#[derive(Debug, Clone)]
pub struct WindowCall {
    /// Which.
    pub function: WindowKind,
    /// Over the input row.
    pub arguments: Vec<Expr>,
    /// FILTER (WHERE …) of an aggregate.
    pub filter: Option<Expr>,
    /// Which rows of the partition count.
    pub frame: Frame,
    /// The result's type.
    pub ty: Type,
}

/// What is computed of a window.
#[derive(Debug, Clone, Copy)]
pub enum WindowKind {
    /// An aggregate of the frame.
    Aggregate(Aggregate),
    /// A function of the partition or the frame.
    Function(FunctionId, WindowFunction),
}

impl WindowKind {
    /// The function.
    pub fn function(&self) -> FunctionId {
        match self {
            Self::Aggregate(aggregate) => aggregate.function(),
            Self::Function(function, _) => *function,
        }
    }
}

/// Which rows of a partition count for each of them.
#[derive(Debug, Clone)]
pub struct Frame {
    /// What offsets count.
    pub mode: FrameMode,
    /// The first row.
    pub start: FrameBound,
    /// The last row.
    pub end: FrameBound,
    /// What of it is left out.
    pub exclude: Exclude,
}

/// An end of a frame. Offsets name no columns: int8 of rows and groups, what [`expr::range`] takes of values.
#[derive(Debug, Clone)]
pub enum FrameBound {
    /// The first of the partition.
    First,
    /// So many before.
    Before(Expr),
    /// The row itself; of values and groups, all that are alike in order.
    Current,
    /// So many after.
    After(Expr),
    /// The last of the partition.
    Last,
}

impl FrameBound {
    /// The offset, if there is one.
    pub fn offset(&self) -> Option<&Expr> {
        match self {
            Self::Before(offset) | Self::After(offset) => Some(offset),
            Self::First | Self::Current | Self::Last => None,
        }
    }

    fn offset_mut(&mut self) -> Option<&mut Expr> {
        match self {
            Self::Before(offset) | Self::After(offset) => Some(offset),
            Self::First | Self::Current | Self::Last => None,
        }
    }
}

impl WindowCall {
    /// Its expressions.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let offsets = self.frame.start.offset().into_iter().chain(self.frame.end.offset());
        self.arguments.iter().chain(&self.filter).chain(offsets)
    }

    /// The same, to be changed.
    pub(crate) fn expressions_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let offsets = self.frame.start.offset_mut().into_iter().chain(self.frame.end.offset_mut());
        self.arguments.iter_mut().chain(&mut self.filter).chain(offsets)
    }
}
