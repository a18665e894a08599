//! What SHOW shows of the catalog; the forms are CockroachDB's.

use super::{Name, ObjectKind, QualifiedName};

/// What is shown.
#[derive(Debug, Clone)]
pub enum ShowObjects {
    /// SHOW DATABASES
    Databases,
    /// SHOW CLUSTER SETTINGS
    ClusterSettings,
    /// SHOW CLUSTER SETTING
    ClusterSetting(Name),
    /// SHOW SCHEMAS
    Schemas,
    /// SHOW TABLES; FROM schema.
    Tables(Option<Name>),
    /// SHOW SEQUENCES; FROM schema.
    Sequences(Option<Name>),
    /// SHOW COLUMNS FROM
    Columns(QualifiedName),
    /// SHOW INDEXES FROM
    Indexes(QualifiedName),
    /// SHOW CREATE; TABLE, VIEW, SEQUENCE, or whatever it is.
    Create(Option<ObjectKind>, QualifiedName),
}
