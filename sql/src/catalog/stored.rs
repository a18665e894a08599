//! The durable form of the catalog: one row per table under `/sys`.
//!
//! ```text
//! key   = index key of the catalog's index of tables: column oid, suffix 0
//! value = protobuf TableRecord
//!         version = 1 to 7       a reader refuses what is newer than it knows; from 2 on: with what only newer readers heed
//!         oid, schema, name, next_column_id, schema_version
//!         columns: (id, name, type oid, type modifier, flags, default text, value that rows lack, generation)*
//!         indexes: (oid, index id, name, flags, parts of the key*, constraint, options)*, the primary index first
//!         checks, foreign keys, query of a materialised view, row-level security: see the records
//! ```
//!
//! A table's row is written by the transaction of its DDL, which also raises the catalog version; so all DDL
//! conflicts with each other, and names need no keys of their own to stay distinct.
//!
//! What recovery may assume: a row that decodes satisfies [`TableDescriptor::check`]; it was checked when written.

mod constraints;
mod expression;
mod index;
mod policy;

use audit::Classes;
use bytes::Bytes;
use expr::Type;
use keys::Span;
use prost::Message;

use constraints::{CheckRecord, ForeignKeyRecord};
use expression::RowExpressionRecord;
use index::IndexRecord;
use policy::RowSecurityRecord;

use super::home::Home;
use super::object::Kinds;
use super::object::stored::{ViewRecord, view, view_record};
use super::{Column, Constraints, IndexId, Materialised, Oid, RowSecurity, TableDescriptor, TableKind};
use crate::error::{Error, Result};

/// The index id under which the rows of tables stand.
const TABLES: u64 = 1;

/// The key of a table's row.
pub fn table_key(home: Home, oid: Oid) -> Bytes {
    home.key(TABLES, &[oid])
}

/// The keys of all tables' rows.
pub fn tables_span(home: Home) -> Span {
    home.span(TABLES)
}

/// The newest version of a table's row that this code reads.
const VERSION: u32 = 7;
/// The version of tables without what came with the seventh: indexes that lie over others, of which whoever does not know that
/// would read a part.
const VERSION_WHOLE: u32 = 6;
/// The version of tables without what came with the sixth: what is recorded in the audit log.
const VERSION_UNAUDITED: u32 = 5;
/// The version of tables without what came with the fifth: row-level security, which whoever does not know it would not heed.
const VERSION_UNGUARDED: u32 = 4;
/// The version of tables without what came with the fourth: materialised views that depend on what literals name, or on
/// constraints.
const VERSION_EXPRESSIONS: u32 = 3;
/// The version of tables without what came with the third: expressions over rows.
const VERSION_CONSTRAINED: u32 = 2;
/// The version of tables without what came with the second: values that rows lack, constraints that no index enforces.
const VERSION_PLAIN: u32 = 1;

#[derive(Clone, PartialEq, Message)]
struct TableRecord {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    oid: u32,
    #[prost(string, tag = "3")]
    schema: String,
    #[prost(string, tag = "4")]
    name: String,
    #[prost(uint32, tag = "5")]
    next_column_id: u32,
    #[prost(uint32, tag = "6")]
    schema_version: u32,
    #[prost(message, repeated, tag = "7")]
    columns: Vec<ColumnRecord>,
    #[prost(message, repeated, tag = "8")]
    indexes: Vec<IndexRecord>,
    #[prost(message, repeated, tag = "9")]
    checks: Vec<CheckRecord>,
    #[prost(message, repeated, tag = "10")]
    foreign_keys: Vec<ForeignKeyRecord>,
    #[prost(message, optional, tag = "11")]
    materialised: Option<MaterialisedRecord>,
    #[prost(message, optional, tag = "12")]
    row_security: Option<RowSecurityRecord>,
    #[prost(uint32, tag = "13")]
    audit: u32,
}

#[derive(Clone, PartialEq, Message)]
struct MaterialisedRecord {
    #[prost(message, optional, tag = "1")]
    view: Option<ViewRecord>,
    #[prost(bool, tag = "2")]
    is_populated: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ColumnRecord {
    #[prost(uint32, tag = "1")]
    id: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(uint32, tag = "3")]
    type_oid: u32,
    #[prost(sint32, tag = "4")]
    type_modifier: i32,
    #[prost(bool, tag = "5")]
    not_null: bool,
    #[prost(bool, tag = "6")]
    hidden: bool,
    #[prost(string, optional, tag = "7")]
    default: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    missing: Option<Bytes>,
    #[prost(message, optional, tag = "9")]
    generated: Option<RowExpressionRecord>,
}

/// The value of a table's row. An error (XX000) if the descriptor breaks its invariants.
pub fn encode_table(table: &TableDescriptor) -> Result<Bytes> {
    if !table.kind.is_stored() {
        return Err(Error::internal(format!("{}.{} is no table that is stored", table.schema, table.name)));
    }
    table.check().map_err(Error::internal)?;
    let record = TableRecord {
        version: version(table),
        oid: table.oid,
        schema: table.schema.clone(),
        name: table.name.clone(),
        next_column_id: table.next_column_id,
        schema_version: table.schema_version,
        columns: table.columns.iter().map(column_record).collect(),
        indexes: table.indexes.iter().map(index::record).collect(),
        checks: table.constraints.checks.iter().map(constraints::check_record).collect(),
        foreign_keys: table.constraints.foreign_keys.iter().map(constraints::foreign_key_record).collect(),
        materialised: table.materialised.as_ref().map(|own| MaterialisedRecord {
            view: Some(view_record(&own.view)),
            is_populated: own.is_populated,
        }),
        row_security: policy::record(&table.row_security),
        audit: table.audit.bits(),
    };
    Ok(record.encode_to_vec().into())
}

/// The table of a row's value. XX001 if it is damaged, 0A000 if it is newer than this code.
pub fn decode_table(value: &[u8], kinds: &Kinds) -> Result<TableDescriptor> {
    let damaged =
        |why: String| Error::new("XX001", format!("the catalog's row of a table is damaged: {why}"));
    let record = record_of(value)?;
    if record.version > VERSION {
        return Err(Error::new(
            "0A000",
            format!("table \"{}\" was written by a newer version (format {})", record.name, record.version),
        ));
    }
    let columns = record.columns.into_iter().map(|record| column(record, kinds)).collect::<Option<Vec<_>>>();
    let foreign_keys = record.foreign_keys.into_iter().map(constraints::foreign_key);
    let foreign_keys = foreign_keys.collect::<Option<Vec<_>>>();
    let materialised = match record.materialised {
        None => None,
        Some(own) => {
            let view = own
                .view
                .and_then(|own| view(own, kinds))
                .ok_or_else(|| damaged("its query is not known".into()))?;
            Some(Materialised { view, is_populated: own.is_populated })
        }
    };
    let row_security = match record.row_security {
        None => Some(RowSecurity::default()),
        Some(own) => policy::row_security(own, kinds),
    };
    let table = TableDescriptor {
        oid: record.oid,
        schema: record.schema,
        name: record.name,
        kind: if materialised.is_some() { TableKind::Materialised } else { TableKind::Base },
        columns: columns.ok_or_else(|| damaged("a column's type is unknown".into()))?,
        indexes: record
            .indexes
            .into_iter()
            .map(|own| index::index(own, kinds))
            .collect::<Option<_>>()
            .ok_or_else(|| damaged("an index is of a kind that is unknown".into()))?,
        constraints: Constraints {
            checks: record.checks.into_iter().map(constraints::check).collect(),
            foreign_keys: foreign_keys.ok_or_else(|| damaged("a foreign key's action is unknown".into()))?,
        },
        row_security: row_security.ok_or_else(|| damaged("a policy is of a kind that is unknown".into()))?,
        materialised,
        audit: Classes::from_bits(record.audit),
        next_column_id: record.next_column_id,
        schema_version: record.schema_version,
    };
    table.check().map_err(damaged)?;
    Ok(table)
}

/// The oid of a table, and the ids of its indexes, whatever else its row says. XX001 if it is damaged.
pub fn indexes_of(value: &[u8]) -> Result<(Oid, Vec<IndexId>)> {
    let record = record_of(value)?;
    Ok((record.oid, record.indexes.iter().map(IndexRecord::id).collect()))
}

/// The oid, the schema and the name of a table, whatever else its row says; `None`: it is a materialised view. XX001 if it is
/// damaged.
pub fn name_of(value: &[u8]) -> Result<Option<(Oid, String, String)>> {
    let record = record_of(value)?;
    Ok(record.materialised.is_none().then_some((record.oid, record.schema, record.name)))
}

fn record_of(value: &[u8]) -> Result<TableRecord> {
    TableRecord::decode(value)
        .map_err(|error| Error::new("XX001", format!("the catalog's row of a table is damaged: {error}")))
}

/// The oldest version whose readers heed all that the table has.
fn version(table: &TableDescriptor) -> u32 {
    if table.indexes.iter().any(|index| keys::sql::is_branch(index.id)) {
        return VERSION;
    }
    if !table.audit.is_empty() {
        return VERSION_WHOLE;
    }
    if !table.row_security.is_empty() {
        return VERSION_UNAUDITED;
    }
    let indexes = || table.indexes.iter();
    if table.materialised.as_ref().is_some_and(|own| own.view.has_other_ties()) {
        return VERSION_UNGUARDED;
    }
    if table.materialised.is_some()
        || table.columns.iter().any(|column| column.generated.is_some())
        || indexes().any(|index| !index.is_plain() || !index.options.is_empty())
    {
        return VERSION_EXPRESSIONS;
    }
    let is_plain =
        table.constraints.is_empty() && table.columns.iter().all(|column| column.missing.is_none());
    if is_plain { VERSION_PLAIN } else { VERSION_CONSTRAINED }
}

fn column_record(column: &Column) -> ColumnRecord {
    ColumnRecord {
        id: column.id,
        name: column.name.clone(),
        type_oid: column.ty.kind.oid(),
        type_modifier: column.ty.modifier,
        not_null: column.not_null,
        hidden: column.hidden,
        default: column.default.clone(),
        missing: column.missing.clone(),
        generated: column.generated.as_ref().map(expression::record),
    }
}

fn column(record: ColumnRecord, kinds: &Kinds) -> Option<Column> {
    Some(Column {
        id: record.id,
        name: record.name,
        ty: Type { kind: kinds.find(record.type_oid)?, modifier: record.type_modifier },
        not_null: record.not_null,
        default: record.default,
        hidden: record.hidden,
        missing: record.missing,
        generated: record.generated.map(expression::row_expression),
    })
}

#[cfg(test)]
mod tests {
    use expr::TypeKind;

    use super::*;
    use crate::catalog::{IndexColumn, IndexDescriptor, IndexOptions, IndexState};

    fn table(row_security: RowSecurity) -> TableDescriptor {
        let column = Column {
            id: 1,
            name: "a".into(),
            ty: TypeKind::Int4.into(),
            not_null: true,
            default: None,
            hidden: false,
            missing: None,
            generated: None,
        };
        let key = IndexDescriptor {
            oid: 20_001,
            id: 100,
            name: String::new(),
            primary: true,
            unique: true,
            columns: vec![IndexColumn::ascending(1)],
            options: IndexOptions::default(),
            constraint: None,
            state: IndexState::Public,
        };
        TableDescriptor {
            oid: 20_000,
            schema: "public".into(),
            name: "t".into(),
            kind: TableKind::Base,
            columns: vec![column],
            indexes: vec![key],
            constraints: Constraints::default(),
            row_security,
            audit: Classes::NONE,
            materialised: None,
            next_column_id: 2,
            schema_version: 1,
        }
    }

    #[test]
    fn row_security_is_refused_by_whoever_does_not_know_it() {
        let version = |value: &[u8]| TableRecord::decode(value).unwrap().version;
        let plain = encode_table(&table(RowSecurity::default())).unwrap();
        assert_eq!(version(&plain), VERSION_PLAIN);
        let guarded = table(RowSecurity { enabled: true, ..RowSecurity::default() });
        let value = encode_table(&guarded).unwrap();
        assert_eq!(version(&value), VERSION_UNAUDITED);
        assert_eq!(decode_table(&value, &Kinds::default()).unwrap(), guarded);
        let audited = TableDescriptor { audit: Classes::of(audit::Class::Read), ..guarded };
        let value = encode_table(&audited).unwrap();
        assert_eq!(version(&value), VERSION_WHOLE);
        assert_eq!(decode_table(&value, &Kinds::default()).unwrap(), audited);
        let mut clone = audited.clone();
        clone.indexes[0].id = keys::sql::to_branch(100);
        let value = encode_table(&clone).unwrap();
        assert_eq!(version(&value), VERSION);
        assert_eq!(decode_table(&value, &Kinds::default()).unwrap(), clone);
        // What was written before is read, whichever format it has.
        for version in [VERSION_PLAIN, VERSION_CONSTRAINED, VERSION_EXPRESSIONS, VERSION_UNGUARDED, VERSION] {
            let older = TableRecord { version, ..TableRecord::decode(&*plain).unwrap() };
            assert!(decode_table(&older.encode_to_vec(), &Kinds::default()).is_ok());
        }
        let newer = TableRecord { version: VERSION + 1, ..TableRecord::decode(&*plain).unwrap() };
        assert_eq!(decode_table(&newer.encode_to_vec(), &Kinds::default()).unwrap_err().sqlstate, "0A000");
    }
}
