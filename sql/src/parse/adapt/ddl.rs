//! CREATE TABLE, CREATE INDEX, ALTER TABLE, TRUNCATE, DROP.

use sqlparser::ast as sp;

use super::super::ast::{
    AddKey, Body, ColumnDefinition, CreateIndex, CreateTable, DefaultDefinition, Drop, ExprKind, IndexColumn,
    KeyDefinition, Name,
};
use super::{Adapter, refuse, refuse_if, types};
use crate::error::{Error, Result};

impl Adapter<'_, '_> {
    pub(super) fn drop(
        &self,
        kind: &sp::ObjectType,
        names: Vec<sp::ObjectName>,
        if_exists: bool,
    ) -> Result<Body> {
        let names = names.into_iter().map(|name| self.qualified(name)).collect::<Result<_>>()?;
        let drop = Drop { names, if_exists };
        match kind {
            sp::ObjectType::Table => Ok(Body::DropTable(drop)),
            sp::ObjectType::Index => Ok(Body::DropIndex(drop)),
            other => refuse(format!("DROP {other}")),
        }
    }

    pub(super) fn truncate(&self, truncate: sp::Truncate) -> Result<Body> {
        let sp::Truncate { table_names, partitions, table: _, if_exists, identity, cascade, on_cluster } =
            truncate;
        // There are no sequences to restart, and no foreign keys to follow.
        let _ = (identity, cascade);
        refuse_if(partitions.is_some(), "TRUNCATE … PARTITION")?;
        refuse_if(if_exists, "TRUNCATE IF EXISTS")?;
        refuse_if(on_cluster.is_some(), "ON CLUSTER")?;
        let names = table_names.into_iter().map(|target| {
            let sp::TruncateTableTarget { name, only: _, has_asterisk: _ } = target;
            self.qualified(name)
        });
        names.collect::<Result<_>>().map(Body::Truncate)
    }

    pub(super) fn create_table(&self, create: sp::CreateTable) -> Result<Body> {
        let sp::CreateTable {
            or_replace,
            temporary,
            unlogged,
            external,
            dynamic,
            global,
            if_not_exists,
            transient,
            volatile,
            iceberg,
            snapshot,
            name,
            columns,
            constraints,
            hive_distribution,
            hive_formats,
            table_options,
            file_format,
            location,
            query,
            without_rowid,
            like,
            clone,
            version,
            comment,
            on_commit,
            on_cluster,
            primary_key,
            order_by,
            partition_by,
            cluster_by,
            clustered_by,
            inherits,
            partition_of,
            for_values,
            strict,
            copy_grants,
            enable_schema_evolution,
            change_tracking,
            data_retention_time_in_days,
            max_data_extension_time_in_days,
            default_ddl_collation,
            with_aggregation_policy,
            with_row_access_policy,
            with_storage_lifecycle_policy,
            with_tags,
            external_volume,
            with_connection,
            base_location,
            catalog,
            catalog_sync,
            storage_serialization_policy,
            target_lag,
            warehouse,
            refresh_mode,
            initialize,
            require_user,
            diststyle,
            distkey,
            sortkey,
            backup,
            multiset,
            fallback,
            with_data,
        } = create;
        // A table that survives a crash is more than UNLOGGED asks for.
        let _ = unlogged;
        refuse_if(temporary || global.is_some() || on_commit.is_some(), "CREATE TEMPORARY TABLE")?;
        refuse_if(query.is_some() || with_data.is_some(), "CREATE TABLE AS")?;
        refuse_if(like.is_some(), "CREATE TABLE … LIKE")?;
        refuse_if(inherits.is_some(), "INHERITS")?;
        refuse_if(partition_by.is_some(), "PARTITION BY")?;
        refuse_if(partition_of.is_some() || for_values.is_some(), "PARTITION OF")?;
        let dialects = or_replace || external || dynamic || transient || volatile || iceberg || snapshot;
        let dialects = dialects || !matches!(hive_distribution, sp::HiveDistributionStyle::NONE);
        let dialects = dialects || hive_formats.is_some_and(|formats| formats != sp::HiveFormat::default());
        let dialects =
            dialects || file_format.is_some() || location.is_some() || without_rowid || clone.is_some();
        let dialects = dialects || version.is_some() || comment.is_some() || on_cluster.is_some();
        let dialects = dialects || primary_key.is_some() || order_by.is_some() || cluster_by.is_some();
        let dialects = dialects || clustered_by.is_some() || strict || copy_grants;
        let dialects = dialects || enable_schema_evolution.is_some() || change_tracking.is_some();
        let dialects = dialects || data_retention_time_in_days.is_some();
        let dialects =
            dialects || max_data_extension_time_in_days.is_some() || default_ddl_collation.is_some();
        let dialects = dialects || with_aggregation_policy.is_some() || with_row_access_policy.is_some();
        let dialects = dialects || with_storage_lifecycle_policy.is_some() || with_tags.is_some();
        let dialects = dialects || external_volume.is_some() || with_connection.is_some();
        let dialects = dialects || base_location.is_some() || catalog.is_some() || catalog_sync.is_some();
        let dialects = dialects || storage_serialization_policy.is_some() || target_lag.is_some();
        let dialects = dialects || warehouse.is_some() || refresh_mode.is_some() || initialize.is_some();
        let dialects = dialects || require_user || diststyle.is_some() || distkey.is_some();
        let dialects =
            dialects || sortkey.is_some() || backup.is_some() || multiset.is_some() || fallback.is_some();
        refuse_if(dialects, "a clause of CREATE TABLE that PostgreSQL does not have")?;
        table_options_allowed(table_options)?;
        let mut keys = Vec::new();
        let mut definitions = Vec::new();
        for column in columns {
            definitions.push(self.column(column, &mut keys)?);
        }
        for constraint in constraints {
            keys.push(self.key(constraint)?);
        }
        let name = self.qualified(name)?;
        Ok(Body::CreateTable(Box::new(CreateTable { name, if_not_exists, columns: definitions, keys })))
    }

    fn column(&self, column: sp::ColumnDef, keys: &mut Vec<KeyDefinition>) -> Result<ColumnDefinition> {
        let sp::ColumnDef { name, data_type, options } = column;
        let name = self.name(name);
        let type_at = self.source.after(name.at);
        if let sp::DataType::Custom(custom, _) = &data_type
            && let [sp::ObjectNamePart::Identifier(ident)] = custom.0.as_slice()
            && matches!(ident.value.to_ascii_lowercase().as_str(), "serial" | "bigserial" | "smallserial")
        {
            return refuse(format!("type {}", ident.value.to_ascii_lowercase()));
        }
        let mut definition = ColumnDefinition {
            ty: types::type_name(data_type, type_at)?,
            name,
            not_null: false,
            default: None,
        };
        for sp::ColumnOptionDef { name, option } in options {
            let constraint = name.map(|name| self.name(name));
            self.column_option(&mut definition, constraint, option, keys)?;
        }
        Ok(definition)
    }

    fn column_option(
        &self,
        column: &mut ColumnDefinition,
        constraint: Option<Name>,
        option: sp::ColumnOption,
        keys: &mut Vec<KeyDefinition>,
    ) -> Result<()> {
        match option {
            sp::ColumnOption::Null => {}
            sp::ColumnOption::NotNull => column.not_null = true,
            sp::ColumnOption::Default(expr) => {
                let text = expr.to_string();
                column.default = Some(DefaultDefinition { expr: self.expr(expr)?, text });
            }
            sp::ColumnOption::PrimaryKey(key) => {
                let key = self.primary_key(key, vec![column.name.clone()])?;
                let at = self.source.sequence_from(column.name.at, &["primary", "key"]);
                keys.push(KeyDefinition { name: constraint.or(key.name), at, ..key });
            }
            sp::ColumnOption::Unique(key) => {
                let key = self.unique_key(key, vec![column.name.clone()])?;
                let at = self.source.sequence_from(column.name.at, &["unique"]);
                keys.push(KeyDefinition { name: constraint.or(key.name), at, ..key });
            }
            sp::ColumnOption::ForeignKey(_) => return refuse("REFERENCES"),
            sp::ColumnOption::Check(_) => return refuse("CHECK"),
            sp::ColumnOption::Collation(name) => {
                let name = self.qualified(name)?;
                if !matches!(name.name.value.as_str(), "default" | "C" | "POSIX") {
                    return refuse(format!("COLLATE \"{}\"", name.name.value));
                }
            }
            sp::ColumnOption::Generated { .. } | sp::ColumnOption::Identity(_) => return refuse("GENERATED"),
            other => return refuse(format!("the column option {other}")),
        }
        Ok(())
    }

    fn key(&self, constraint: sp::TableConstraint) -> Result<KeyDefinition> {
        match constraint {
            sp::TableConstraint::PrimaryKey(key) => self.primary_key(key, Vec::new()),
            sp::TableConstraint::Unique(key) => self.unique_key(key, Vec::new()),
            sp::TableConstraint::ForeignKey(_) => refuse("FOREIGN KEY"),
            sp::TableConstraint::Check(_) => refuse("CHECK"),
            sp::TableConstraint::Exclude(_) => refuse("EXCLUDE"),
            sp::TableConstraint::PrimaryKeyUsingIndex(_) | sp::TableConstraint::UniqueUsingIndex(_) => {
                refuse("a constraint USING INDEX")
            }
            sp::TableConstraint::Index(_) | sp::TableConstraint::FulltextOrSpatial(_) => {
                refuse("an index within CREATE TABLE")
            }
        }
    }

    /// `own` is the column that the key stands at, if it stands at one.
    fn primary_key(&self, key: sp::PrimaryKeyConstraint, own: Vec<Name>) -> Result<KeyDefinition> {
        let sp::PrimaryKeyConstraint {
            name,
            index_name,
            index_type,
            columns,
            include,
            index_options,
            characteristics,
        } = key;
        refuse_if(index_name.is_some() || index_type.is_some(), "an index name in PRIMARY KEY")?;
        refuse_if(!include.is_empty(), "INCLUDE")?;
        refuse_if(!index_options.is_empty(), "an index option of PRIMARY KEY")?;
        deferrable(characteristics)?;
        self.key_definition(name, true, columns, own)
    }

    fn unique_key(&self, key: sp::UniqueConstraint, own: Vec<Name>) -> Result<KeyDefinition> {
        let sp::UniqueConstraint {
            name,
            index_name,
            index_type_display,
            index_type,
            columns,
            include,
            index_options,
            characteristics,
            nulls_distinct,
        } = key;
        let named = index_name.is_some() || index_type.is_some();
        refuse_if(named || index_type_display != sp::KeyOrIndexDisplay::None, "an index name in UNIQUE")?;
        refuse_if(!include.is_empty(), "INCLUDE")?;
        refuse_if(!index_options.is_empty(), "an index option of UNIQUE")?;
        refuse_if(nulls_distinct == sp::NullsDistinctOption::NotDistinct, "NULLS NOT DISTINCT")?;
        deferrable(characteristics)?;
        self.key_definition(name, false, columns, own)
    }

    fn key_definition(
        &self,
        name: Option<sp::Ident>,
        primary: bool,
        columns: Vec<sp::IndexColumn>,
        own: Vec<Name>,
    ) -> Result<KeyDefinition> {
        let mut names = own;
        for column in columns {
            let IndexColumn { name, descending, nulls_first } = self.index_column(column)?;
            refuse_if(descending || nulls_first.is_some(), "an order within a constraint")?;
            names.push(name);
        }
        // Back over the parenthesis, the keywords, and the constraint's name if it has one.
        let back = if primary { 3_usize } else { 2 }.saturating_add(if name.is_some() { 2 } else { 0 });
        let at = names.first().map_or(1, |name| self.source.before(name.at, back));
        Ok(KeyDefinition { name: name.map(|name| self.name(name)), primary, columns: names, at })
    }

    fn index_column(&self, column: sp::IndexColumn) -> Result<IndexColumn> {
        let sp::IndexColumn { column, operator_class } = column;
        refuse_if(operator_class.is_some(), "an operator class")?;
        let order = self.order_by_one(column)?;
        match order.expr.kind {
            ExprKind::Column(mut parts) if parts.len() == 1 => match parts.pop() {
                Some(name) => {
                    Ok(IndexColumn { name, descending: order.descending, nulls_first: order.nulls_first })
                }
                None => refuse("an index without columns"),
            },
            _ => Err(Error::unsupported("an index over an expression").at(order.expr.at)),
        }
    }

    pub(super) fn create_index(&self, create: sp::CreateIndex) -> Result<Body> {
        let sp::CreateIndex {
            name,
            table_name,
            using,
            columns,
            unique,
            concurrently: _,
            r#async,
            if_not_exists,
            include,
            nulls_distinct,
            with,
            predicate,
            index_options,
            alter_options,
        } = create;
        refuse_if(!matches!(using, None | Some(sp::IndexType::BTree)), "an index other than btree")?;
        refuse_if(r#async, "CREATE INDEX ASYNC")?;
        refuse_if(!include.is_empty(), "INCLUDE")?;
        refuse_if(nulls_distinct == Some(false), "NULLS NOT DISTINCT")?;
        refuse_if(predicate.is_some(), "a partial index")?;
        refuse_if(!index_options.is_empty() || !alter_options.is_empty(), "an option of CREATE INDEX")?;
        for option in with {
            index_parameter(&option)?;
        }
        let name = name.map(|name| self.simple(name, "an index's name")).transpose()?;
        let columns = columns.into_iter().map(|column| self.index_column(column)).collect::<Result<_>>()?;
        let table = self.qualified(table_name)?;
        Ok(Body::CreateIndex(Box::new(CreateIndex { name, table, unique, if_not_exists, columns })))
    }

    pub(super) fn alter_table(&self, alter: sp::AlterTable) -> Result<Body> {
        let sp::AlterTable {
            name,
            if_exists,
            only: _,
            operations,
            location,
            on_cluster,
            table_type,
            end_token: _,
        } = alter;
        refuse_if(location.is_some(), "LOCATION")?;
        refuse_if(on_cluster.is_some(), "ON CLUSTER")?;
        refuse_if(table_type.is_some(), "ALTER of this kind of table")?;
        let mut operations = operations.into_iter();
        let (Some(operation), None) = (operations.next(), operations.next()) else {
            return refuse("ALTER TABLE with several actions");
        };
        match operation {
            sp::AlterTableOperation::AddConstraint { constraint, not_valid } => {
                refuse_if(not_valid, "NOT VALID")?;
                let key = self.key(constraint)?;
                let table = self.qualified(name)?;
                Ok(Body::AddKey(Box::new(AddKey { table, if_exists, key })))
            }
            other => refuse(format!("ALTER TABLE … {other}")),
        }
    }
}

fn deferrable(characteristics: Option<sp::ConstraintCharacteristics>) -> Result<()> {
    let Some(sp::ConstraintCharacteristics { deferrable, initially, enforced }) = characteristics else {
        return Ok(());
    };
    refuse_if(deferrable == Some(true), "DEFERRABLE")?;
    refuse_if(matches!(initially, Some(sp::DeferrableInitial::Deferred)), "INITIALLY DEFERRED")?;
    refuse_if(enforced == Some(false), "NOT ENFORCED")
}

/// Storage parameters of tables that are accepted without effect.
const TABLE_PARAMETERS: [&str; 3] = ["fillfactor", "autovacuum_enabled", "toast_tuple_target"];

fn table_options_allowed(options: sp::CreateTableOptions) -> Result<()> {
    let options = match options {
        sp::CreateTableOptions::None => return Ok(()),
        sp::CreateTableOptions::With(options) => options,
        sp::CreateTableOptions::Plain(options) if options.is_empty() => return Ok(()),
        sp::CreateTableOptions::Plain(_)
        | sp::CreateTableOptions::Options(_)
        | sp::CreateTableOptions::TableProperties(_) => return refuse("this option of CREATE TABLE"),
    };
    for option in options {
        match option {
            sp::SqlOption::KeyValue { key, value: _ } | sp::SqlOption::Ident(key) => {
                let name = key.value.to_lowercase();
                if !TABLE_PARAMETERS.contains(&name.as_str()) {
                    return Err(Error::new("22023", format!("unrecognized parameter \"{name}\"")));
                }
            }
            other => return refuse(format!("the table option {other}")),
        }
    }
    Ok(())
}

fn index_parameter(option: &sp::Expr) -> Result<()> {
    let sp::Expr::BinaryOp { left, op: sp::BinaryOperator::Eq, right: _ } = option else {
        return refuse(format!("the index option {option}"));
    };
    let name = left.to_string().to_lowercase();
    if name == "fillfactor" || name == "deduplicate_items" {
        return Ok(());
    }
    Err(Error::new("22023", format!("unrecognized parameter \"{name}\"")))
}
