//! Functions over the rows of a window, by what they answer. Whoever holds the rows computes them.

/// What a window function answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowFunction {
    /// The row's number in its partition.
    RowNumber,
    /// The number of the first row that is alike in order.
    Rank,
    /// The number of its group of rows that are alike in order.
    DenseRank,
    /// Its rank as a part of the others.
    PercentRank,
    /// The part of rows up to the last that is alike in order.
    CumeDist,
    /// Its part among so many of about the same size.
    Ntile,
    /// A value of a row before it.
    Lag,
    /// A value of a row behind it.
    Lead,
    /// A value of the frame's first row.
    FirstValue,
    /// A value of the frame's last row.
    LastValue,
    /// A value of the frame's n-th row.
    NthValue,
}

impl WindowFunction {
    /// Whether it sees the frame rather than the partition.
    pub fn sees_frame(self) -> bool {
        matches!(self, Self::FirstValue | Self::LastValue | Self::NthValue)
    }
}
