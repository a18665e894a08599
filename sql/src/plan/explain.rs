//! How a plan is shown.

/// What EXPLAIN shows beside the steps of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplainOptions {
    /// VERBOSE: what each step answers, and names with their schemas.
    pub verbose: bool,
    /// COSTS: what the optimiser takes each step for.
    pub costs: bool,
    /// BUFFERS: what was asked of the ranges, and how much they have answered.
    pub buffers: bool,
    /// TIMING: how long each step took.
    pub timing: bool,
    /// SUMMARY: how long planning took, and the run.
    pub summary: bool,
    /// FORMAT
    pub format: ExplainFormat,
}

impl ExplainOptions {
    /// The steps alone.
    pub const PLAIN: Self = Self {
        verbose: false,
        costs: false,
        buffers: false,
        timing: false,
        summary: false,
        format: ExplainFormat::Text,
    };
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainFormat {
    /// A line for each step, and for what is said of it.
    Text,
    /// One document.
    Json,
}
