//! DriftQL: documents under keys, of which every change is kept.

use std::fmt;

use expr::functions::quote::{identifier, literal};

use super::{Name, QualifiedName};

/// The language that a session's statements are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// PostgreSQL's SQL.
    #[default]
    Sql,
    /// DriftQL; what is none of its statements is SQL.
    DriftQl,
}

impl Dialect {
    /// The word of the setting `dialect` for DriftQL.
    pub const WORD_OF_DRIFTQL: &'static str = "driftql";

    /// The words of the setting.
    pub const WORDS: &'static [&'static str] = &["sql", Self::WORD_OF_DRIFTQL];

    /// What a value of the setting means.
    pub fn of_word(word: &str) -> Self {
        if word.eq_ignore_ascii_case(Self::WORD_OF_DRIFTQL) { Self::DriftQl } else { Self::Sql }
    }
}

/// A value: the text of a JSON document. Whether it is one is found out when the statement is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftValue {
    /// The text.
    pub json: String,
    /// Where it stands.
    pub at: usize,
}

/// AS OF: the state that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriftMoment {
    /// `@now`
    Now,
    /// `@seq:N`: after so many changes.
    Sequence(i64, usize),
    /// A time, as it is written.
    Time(String, usize),
}

/// A statement of DriftQL. Names of fields are as they are written, those of tables are folded as SQL's are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriftStatement {
    /// `CREATE TABLE t (pk=c, INDEX(a, b))`
    CreateTable {
        /// The table.
        table: QualifiedName,
        /// IF NOT EXISTS
        if_not_exists: bool,
        /// The field that documents are told apart by.
        key: Name,
        /// Fields that each get an index.
        indexed: Vec<Name>,
    },
    /// `DROP TABLE [IF EXISTS] t [CASCADE]`
    DropTable {
        /// The table.
        table: QualifiedName,
        /// IF EXISTS
        if_exists: bool,
        /// CASCADE
        cascade: bool,
    },
    /// `CREATE INDEX ON t(c)`
    CreateIndex {
        /// The table.
        table: QualifiedName,
        /// Fields, all of them in one index.
        fields: Vec<Name>,
    },
    /// `INSERT INTO t {…}`
    Insert {
        /// The table.
        table: QualifiedName,
        /// The document.
        document: DriftValue,
    },
    /// `PATCH t KEY v SET {…}`
    Patch {
        /// The table.
        table: QualifiedName,
        /// Which document.
        key: DriftValue,
        /// What is merged into it.
        patch: DriftValue,
    },
    /// `SOFT DELETE FROM t KEY v`
    SoftDelete {
        /// The table.
        table: QualifiedName,
        /// Which document.
        key: DriftValue,
    },
    /// `SELECT * FROM t WHERE c = v AND … AS OF … LIMIT n`
    Select {
        /// The table.
        table: QualifiedName,
        /// Fields and what they are to be.
        conditions: Vec<(Name, DriftValue)>,
        /// AS OF
        as_of: DriftMoment,
        /// LIMIT
        limit: Option<i64>,
    },
    /// `SHOW DRIFT t KEY v`
    Show {
        /// The table.
        table: QualifiedName,
        /// Which document.
        key: DriftValue,
    },
    /// `SNAPSHOT t`
    Snapshot(QualifiedName),
    /// `COMPACT t`
    Compact(QualifiedName),
    /// `ALTER TABLE t ADD COLUMN c DEFAULT v`
    AddColumn {
        /// The table.
        table: QualifiedName,
        /// The field.
        field: Name,
        /// What it is where nothing else is said.
        default: Option<DriftValue>,
    },
    /// `ALTER TABLE t DROP COLUMN c`
    DropColumn {
        /// The table.
        table: QualifiedName,
        /// The field.
        field: Name,
    },
    /// `BACKUP TO 'dir'`
    Backup(String),
    /// `ANALYZE TABLE t`
    Analyze(QualifiedName),
}

/// Its text with values as SQL writes strings: what tells of statements finds values there, and leaves them out.
impl fmt::Display for DriftStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &DriftValue| literal(&value.json);
        match self {
            Self::CreateTable { table, if_not_exists, key, indexed } => {
                let if_not_exists = if *if_not_exists { "IF NOT EXISTS " } else { "" };
                write!(f, "CREATE TABLE {if_not_exists}{} (pk={}", table.written(), identifier(&key.value))?;
                if !indexed.is_empty() {
                    write!(f, ", INDEX({})", listed(indexed))?;
                }
                f.write_str(")")
            }
            Self::DropTable { table, if_exists, cascade } => {
                let if_exists = if *if_exists { "IF EXISTS " } else { "" };
                write!(
                    f,
                    "DROP TABLE {if_exists}{}{}",
                    table.written(),
                    if *cascade { " CASCADE" } else { "" }
                )
            }
            Self::CreateIndex { table, fields } => {
                write!(f, "CREATE INDEX ON {}({})", table.written(), listed(fields))
            }
            Self::Insert { table, document } => {
                write!(f, "INSERT INTO {} {}", table.written(), value(document))
            }
            Self::Patch { table, key, patch } => {
                write!(f, "PATCH {} KEY {} SET {}", table.written(), value(key), value(patch))
            }
            Self::SoftDelete { table, key } => {
                write!(f, "SOFT DELETE FROM {} KEY {}", table.written(), value(key))
            }
            Self::Select { table, conditions, as_of, limit } => {
                write!(f, "SELECT * FROM {}", table.written())?;
                for (number, (field, wanted)) in conditions.iter().enumerate() {
                    let word = if number == 0 { "WHERE" } else { "AND" };
                    write!(f, " {word} {} = {}", identifier(&field.value), value(wanted))?;
                }
                match as_of {
                    DriftMoment::Now => {}
                    DriftMoment::Sequence(number, _) => write!(f, " AS OF @seq:{number}")?,
                    DriftMoment::Time(time, _) => write!(f, " AS OF {}", literal(time))?,
                }
                limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
            }
            Self::Show { table, key } => write!(f, "SHOW DRIFT {} KEY {}", table.written(), value(key)),
            Self::Snapshot(table) => write!(f, "SNAPSHOT {}", table.written()),
            Self::Compact(table) => write!(f, "COMPACT {}", table.written()),
            Self::AddColumn { table, field, default } => {
                write!(f, "ALTER TABLE {} ADD COLUMN {}", table.written(), identifier(&field.value))?;
                default.as_ref().map_or(Ok(()), |default| write!(f, " DEFAULT {}", value(default)))
            }
            Self::DropColumn { table, field } => {
                write!(f, "ALTER TABLE {} DROP COLUMN {}", table.written(), identifier(&field.value))
            }
            Self::Backup(place) => write!(f, "BACKUP TO {}", literal(place)),
            Self::Analyze(table) => write!(f, "ANALYZE TABLE {}", table.written()),
        }
    }
}

impl QualifiedName {
    /// As SQL writes it.
    pub fn written(&self) -> String {
        let name = identifier(&self.name.value);
        match &self.schema {
            Some(schema) => format!("{}.{name}", identifier(&schema.value)),
            None => name,
        }
    }
}

fn listed(names: &[Name]) -> String {
    let names: Vec<String> = names.iter().map(|name| identifier(&name.value)).collect();
    names.join(", ")
}
