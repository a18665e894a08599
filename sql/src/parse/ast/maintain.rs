//! VACUUM and ANALYZE.

use super::{Name, QualifiedName};

/// VACUUM or ANALYZE.
#[derive(Debug, Clone)]
pub struct Maintain {
    /// VACUUM rather than ANALYZE.
    pub vacuum: bool,
    /// Whether statistics are gathered.
    pub analyze: bool,
    /// The tables; all of them if there is none.
    pub tables: Vec<MaintainedTable>,
}

/// One of its tables.
#[derive(Debug, Clone)]
pub struct MaintainedTable {
    /// Its name.
    pub name: QualifiedName,
    /// The columns to look at, if not all.
    pub columns: Option<Vec<Name>>,
}
