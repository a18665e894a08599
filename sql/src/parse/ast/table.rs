//! Constraints of tables, and ALTER TABLE.

use super::policy::RowSecurityChange;
use super::sequence::IdentityAction;
use super::{ColumnDefinition, DefaultDefinition, Expr, Name, QualifiedName, RoleReference, TypeName};

/// Constraints, those of columns included, each kind in the order written.
#[derive(Debug, Clone, Default)]
pub struct TableConstraints {
    /// PRIMARY KEY and UNIQUE.
    pub keys: Vec<KeyDefinition>,
    /// CHECK
    pub checks: Vec<CheckDefinition>,
    /// FOREIGN KEY, REFERENCES
    pub foreign_keys: Vec<ForeignKeyDefinition>,
}

impl TableConstraints {
    /// Adds others behind these.
    pub fn append(&mut self, mut others: Self) {
        self.keys.append(&mut others.keys);
        self.checks.append(&mut others.checks);
        self.foreign_keys.append(&mut others.foreign_keys);
    }
}

/// PRIMARY KEY or UNIQUE.
#[derive(Debug, Clone)]
pub struct KeyDefinition {
    /// CONSTRAINT
    pub name: Option<Name>,
    /// PRIMARY KEY rather than UNIQUE.
    pub primary: bool,
    /// The columns.
    pub columns: Vec<Name>,
    /// INCLUDE
    pub included: Vec<Name>,
    /// NULLS NOT DISTINCT
    pub nulls_not_distinct: bool,
    /// USING INDEX, instead of columns.
    pub index: Option<Name>,
    /// Where.
    pub at: usize,
}

/// CHECK
#[derive(Debug, Clone)]
pub struct CheckDefinition {
    /// CONSTRAINT
    pub name: Option<Name>,
    /// The condition.
    pub condition: DefaultDefinition,
    /// The column whose constraint it was written as: the only one that it may name.
    pub column: Option<String>,
    /// NOT VALID
    pub not_valid: bool,
    /// NO INHERIT
    pub no_inherit: bool,
    /// The condition is not written in the statement: another table keeps it.
    pub is_kept: bool,
    /// Where.
    pub at: usize,
}

/// FOREIGN KEY, REFERENCES
#[derive(Debug, Clone)]
pub struct ForeignKeyDefinition {
    /// CONSTRAINT
    pub name: Option<Name>,
    /// The referencing columns.
    pub columns: Vec<Name>,
    /// The table referenced.
    pub parent: QualifiedName,
    /// Its columns; none: its primary key.
    pub parent_columns: Vec<Name>,
    /// MATCH FULL
    pub match_full: bool,
    /// ON UPDATE
    pub on_update: crate::catalog::Action,
    /// ON DELETE
    pub on_delete: crate::catalog::Action,
    /// The columns behind SET NULL and SET DEFAULT of ON DELETE.
    pub set_columns: Vec<Name>,
    /// DEFERRABLE
    pub deferrable: bool,
    /// INITIALLY DEFERRED
    pub deferred: bool,
    /// NOT VALID
    pub not_valid: bool,
    /// Where.
    pub at: usize,
}

/// ALTER TABLE, but for what it has in common with other objects.
#[derive(Debug, Clone)]
pub struct AlterTable {
    /// What.
    pub name: QualifiedName,
    /// IF EXISTS
    pub if_exists: bool,
    /// What to do, in the order written.
    pub actions: Vec<AlterAction>,
}

/// One action of ALTER TABLE.
#[derive(Debug, Clone)]
pub enum AlterAction {
    /// ADD COLUMN
    AddColumn {
        /// The column.
        column: Box<ColumnDefinition>,
        /// Its constraints.
        constraints: TableConstraints,
        /// IF NOT EXISTS
        if_not_exists: bool,
    },
    /// DROP COLUMN
    DropColumn {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
    },
    /// ALTER COLUMN … SET DEFAULT, DROP DEFAULT
    SetDefault {
        /// Which.
        name: Name,
        /// To what.
        default: Option<DefaultDefinition>,
    },
    /// ALTER COLUMN … DROP EXPRESSION
    DropExpression {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
    },
    /// ALTER COLUMN … SET NOT NULL, DROP NOT NULL
    SetNotNull {
        /// Which.
        name: Name,
        /// SET
        not_null: bool,
    },
    /// ALTER COLUMN … TYPE
    SetType {
        /// Which.
        name: Name,
        /// To what.
        ty: TypeName,
        /// USING
        using: Option<Expr>,
    },
    /// ADD of constraints: exactly one.
    AddConstraint(TableConstraints),
    /// DROP CONSTRAINT
    DropConstraint {
        /// Which.
        name: Name,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
    },
    /// VALIDATE CONSTRAINT
    Validate(Name),
    /// ALTER CONSTRAINT
    AlterConstraint {
        /// Which.
        name: Name,
        /// DEFERRABLE
        deferrable: bool,
        /// INITIALLY DEFERRED
        deferred: bool,
    },
    /// RENAME COLUMN
    RenameColumn {
        /// Which.
        from: Name,
        /// To what.
        to: Name,
    },
    /// RENAME CONSTRAINT
    RenameConstraint {
        /// Which.
        from: Name,
        /// To what.
        to: Name,
    },
    /// ALTER COLUMN … ADD GENERATED, SET GENERATED, DROP IDENTITY
    Identity {
        /// Which.
        name: Name,
        /// What to do.
        action: IdentityAction,
    },
    /// ENABLE ROW LEVEL SECURITY and its like
    RowSecurity(RowSecurityChange),
    /// OWNER TO
    Owner(RoleReference),
    /// SET (audit), RESET (audit)
    Audit(audit::Classes),
    /// What changes nothing here: storage parameters, statistics' targets and the like.
    WithoutEffect {
        /// The column that it is about.
        column: Option<Name>,
        /// The index that it is about.
        index: Option<Name>,
        /// What it is called.
        shown: &'static str,
    },
}
