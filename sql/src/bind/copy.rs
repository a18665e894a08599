//! COPY.

use expr::Expr;

use super::Binder;
use super::object::judges;
use crate::catalog::access::Right;
use crate::catalog::{TableDescriptor, TableKind};
use crate::error::{Error, Result};
use crate::parse::ast::{self, Name, QualifiedName};
use crate::plan::{
    Assignment, CopyColumns, CopyFrom, CopyOptions, CopyTo, Modify, Node, OutputColumn, Plan, Project,
};

impl Binder<'_> {
    /// COPY.
    pub(super) fn copy(&mut self, copy: &ast::Copy) -> Result<(Plan, Option<Vec<OutputColumn>>)> {
        let modify = match copy {
            ast::Copy::From { table, columns, options } => {
                self.copy_from(table, columns.as_deref(), options)?
            }
            ast::Copy::TableTo { table, columns, options } => {
                self.copy_table_to(table, columns.as_deref(), options)?
            }
            ast::Copy::QueryTo { query, options } => {
                let bound = self.query(query)?;
                let bound = self.settle_outputs(bound)?;
                let names: Vec<String> = bound.columns.into_iter().map(|column| column.name).collect();
                let quoted = among(&names, &options.force_quote, "FORCE_QUOTE", |name| {
                    Err(Error::new("42703", format!("column \"{}\" does not exist", name.value)).at(name.at))
                })?;
                Modify::CopyTo(CopyTo { source: bound.node, names, options: options.clone(), quoted })
            }
        };
        Ok((Plan::Modify(Box::new(modify)), None))
    }

    fn copy_from(
        &mut self,
        name: &QualifiedName,
        columns: Option<&[Name]>,
        options: &CopyOptions,
    ) -> Result<Modify> {
        let table = self.stored_table(name, |table| {
            let (word, name) = (table.kind.word(), &table.name);
            let error = Error::new("42809", format!("cannot copy to {word} \"{name}\""));
            match table.kind {
                TableKind::View => {
                    error.hint("To enable copying to a view, provide an INSTEAD OF INSERT trigger.")
                }
                _ => error,
            }
        })?;
        let columns = match columns {
            Some(names) => copied_places(&table, self.places(&table, names)?)?,
            None => copied(&table),
        };
        self.needs.write(&table, Right::Insert, &columns);
        if self.bound_by_policies(&table)?.is_some() {
            return Err(Error::new("0A000", "COPY FROM not supported with row-level security")
                .hint("Use INSERT statements instead."));
        }
        let named = |option: &CopyColumns, called: &str| {
            let names = columns.iter().filter_map(|place| table.columns.get(*place));
            let names: Vec<String> = names.map(|column| column.name.clone()).collect();
            among(&names, option, called, |name| self.place(&table, name).map(drop))
        };
        let not_null = named(&options.force_not_null, "FORCE_NOT_NULL")?;
        let forced = not_null.into_iter().zip(named(&options.force_null, "FORCE_NULL")?).collect();
        let mut defaults = Vec::new();
        for (place, column) in table.visible() {
            let makes_values = self.makes_values(&table, column) || column.ty.kind.is_domain();
            if makes_values && !columns.contains(&place) {
                defaults.push(Assignment { column: place, value: self.default_of(&table, column)? });
            }
        }
        let rules = self.row_rules(&table)?;
        let mut types = Vec::with_capacity(columns.len());
        for column in columns.iter().filter_map(|place| table.columns.get(*place)) {
            types.push(match column.ty.kind == column.ty.kind.base() {
                true => (column.ty, Vec::new()),
                false => judges(column.ty.kind, self.catalog)?,
            });
        }
        let options = options.clone();
        Ok(Modify::CopyFrom(CopyFrom { table, columns, types, defaults, rules, options, forced }))
    }

    fn copy_table_to(
        &mut self,
        name: &QualifiedName,
        columns: Option<&[Name]>,
        options: &CopyOptions,
    ) -> Result<Modify> {
        let table = self.table(name)?;
        if matches!(table.kind, TableKind::Sequence | TableKind::View | TableKind::Materialised) {
            let (word, name) = (table.kind.word(), &table.name);
            let error = Error::new("42809", format!("cannot copy from {word} \"{name}\""));
            return Err(match table.kind {
                TableKind::View | TableKind::Materialised => {
                    error.hint("Try the COPY (SELECT ...) TO variant.")
                }
                _ => error,
            });
        }
        let places: Vec<usize> = match columns {
            Some(names) => copied_places(&table, self.places(&table, names)?)?,
            None => copied(&table),
        };
        self.needs.add(&table, Right::Select);
        self.needs.read_places(&table, &places);
        let named = places.iter().filter_map(|place| table.columns.get(*place));
        let names: Vec<String> = named.map(|column| column.name.clone()).collect();
        let quoted =
            among(&names, &options.force_quote, "FORCE_QUOTE", |name| self.place(&table, name).map(drop))?;
        let source = self.scan(table.clone(), places, None, None)?.node;
        let source = self.seen_rows(source, &table)?;
        let types = source.types().into_iter().enumerate();
        let expressions = types.map(|(index, ty)| Expr::Column { index, ty }).collect();
        let source = Node::Project(Project { input: Box::new(source), expressions });
        Ok(Modify::CopyTo(CopyTo { source, names, options: options.clone(), quoted }))
    }
}

/// Which of the columns that COPY moves an option is about. `unknown`: the error of a name that no column has, if none has.
fn among(
    names: &[String],
    option: &CopyColumns,
    called: &str,
    unknown: impl Fn(&Name) -> Result<()>,
) -> Result<Vec<bool>> {
    let chosen = match option {
        CopyColumns::None => return Ok(vec![false; names.len()]),
        CopyColumns::All => return Ok(vec![true; names.len()]),
        CopyColumns::These(chosen) => chosen,
    };
    let mut is_among = vec![false; names.len()];
    for name in chosen {
        let place = names.iter().position(|own| *own == name.value);
        let Some(slot) = place.and_then(|place| is_among.get_mut(place)) else {
            unknown(name)?;
            let message = format!("{called} column \"{}\" not referenced by COPY", name.value);
            return Err(Error::new("42P10", message));
        };
        *slot = true;
    }
    Ok(is_among)
}

/// The columns that COPY moves unless told otherwise.
fn copied(table: &TableDescriptor) -> Vec<usize> {
    table.visible().filter(|(_, column)| column.generated.is_none()).map(|(place, _)| place).collect()
}

/// The columns that COPY is told to move. 42P10 if one is generated.
fn copied_places(table: &TableDescriptor, places: Vec<usize>) -> Result<Vec<usize>> {
    let columns = places.iter().filter_map(|place| table.columns.get(*place));
    if let Some(column) = columns.into_iter().find(|column| column.generated.is_some()) {
        let message = format!("column \"{}\" is a generated column", column.name);
        return Err(Error::new("42P10", message).detail("Generated columns cannot be used in COPY."));
    }
    Ok(places)
}
