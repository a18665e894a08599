//! `FOR SYSTEM_TIME AS OF '@seq:N'` in SQL: what a table of DriftQL was after its N-th change, made of its events. In the place of the
//! table stands a query with the same columns.

use super::Binder;
use crate::error::{Error, Result};
use crate::parse;
use crate::parse::ast::{
    Alias, Body, DriftMoment, ExprKind, QualifiedName, SystemPeriod, SystemTime, TableExpr,
};

impl Binder<'_> {
    /// What is read in place of the table; `None`: no number is said, or the table counts no changes.
    pub(in super::super) fn numbered(
        &self,
        name: &QualifiedName,
        system_time: &SystemTime,
        alias: Option<&Alias>,
    ) -> Result<Option<TableExpr>> {
        let SystemPeriod::AsOf(moment) = &system_time.period else { return Ok(None) };
        let ExprKind::String(text) = &moment.kind else { return Ok(None) };
        let is_common = name.schema.is_none() && self.common_tables.place(&name.name.value).is_some();
        if is_common || !text.trim_start().starts_with('@') {
            return Ok(None);
        }
        let table = self.table(name)?;
        let Some(kept) = self.kept_of(&table) else { return Ok(None) };
        let Some(DriftMoment::Sequence(number, _)) = parse::marked_moment(text, moment.at)? else {
            return Ok(None);
        };
        self.check_policies(&table)?;
        let made = parse::parse(&kept.numbered(number))?.pop();
        let Some(Body::Query(query)) = made.map(|made| made.body) else {
            return Err(Error::internal("a table of then is no query"));
        };
        let called = || Alias { name: name.name.clone(), columns: Vec::new() };
        let alias = Some(alias.cloned().unwrap_or_else(called));
        Ok(Some(TableExpr::Subquery { query, alias, lateral: false, at: system_time.at }))
    }
}
