//! Conditions: what a filter lets through.

use expr::{Datum, TypeKind};

use super::{Sql, no_column, scalar};
use crate::graphql::given::Given;
use crate::graphql::model::Table;
use crate::graphql::refusal::Refused;
use crate::graphql::schema::{Comparison, Input};

impl Sql<'_> {
    /// What holds for the rows that a filter lets through.
    pub(super) fn filter(&mut self, table: &Table, filter: &Given) -> Result<(), Refused> {
        let Given::Object(members) = filter else { return Err(Refused::new("a condition is an object")) };
        if members.is_empty() {
            self.text.push_str("true");
            return Ok(());
        }
        for (number, (input, value)) in members.iter().enumerate() {
            self.text.push_str(if number == 0 { "(" } else { " AND " });
            match (input, value) {
                (Input::And | Input::Or | Input::Not, Given::Null) => self.text.push_str("true"),
                (Input::And, Given::List(items)) => self.junction(table, items, " AND ", "true")?,
                (Input::Or, Given::List(items)) => self.junction(table, items, " OR ", "false")?,
                (Input::Not, filter) => {
                    self.text.push_str("NOT ");
                    self.filter(table, filter)?;
                }
                (Input::Column(place), value) => self.comparisons(table, *place, value)?,
                _ => return Err(Refused::new("this is no condition")),
            }
        }
        self.text.push(')');
        Ok(())
    }

    fn junction(
        &mut self,
        table: &Table,
        filters: &[Given],
        word: &str,
        of_none: &str,
    ) -> Result<(), Refused> {
        if filters.is_empty() {
            self.text.push_str(of_none);
            return Ok(());
        }
        for (number, filter) in filters.iter().enumerate() {
            self.text.push_str(if number == 0 { "(" } else { word });
            self.filter(table, filter)?;
        }
        self.text.push(')');
        Ok(())
    }

    /// What a column is compared with; of a key, what it is.
    fn comparisons(&mut self, table: &Table, place: usize, value: &Given) -> Result<(), Refused> {
        let members = match value {
            Given::Null => return self.push_true(),
            Given::Object(members) if members.is_empty() => return self.push_true(),
            Given::Object(members) => members,
            value => {
                self.column(table, Some(place));
                self.text.push_str(" = ");
                return self.value(table, place, value);
            }
        };
        for (number, (input, value)) in members.iter().enumerate() {
            if number > 0 {
                self.text.push_str(" AND ");
            }
            let Input::Compare(comparison) = input else { return Err(Refused::new("this is no comparison")) };
            self.comparison(table, place, *comparison, value)?;
        }
        Ok(())
    }

    fn push_true(&mut self) -> Result<(), Refused> {
        self.text.push_str("true");
        Ok(())
    }

    fn comparison(
        &mut self,
        table: &Table,
        place: usize,
        comparison: Comparison,
        value: &Given,
    ) -> Result<(), Refused> {
        let operator = match comparison {
            Comparison::Eq => " = ",
            Comparison::Ne => " <> ",
            Comparison::Lt => " < ",
            Comparison::Le => " <= ",
            Comparison::Gt => " > ",
            Comparison::Ge => " >= ",
            Comparison::Like => " LIKE ",
            Comparison::In => " = ANY (",
            Comparison::IsNull => "",
        };
        self.column(table, Some(place));
        match (comparison, value) {
            (_, Given::Null) => Err(Refused::new("nothing is compared with null: isNull asks for it")),
            (Comparison::IsNull, Given::Text(text)) => {
                self.text.push_str(if text == "true" { " IS NULL" } else { " IS NOT NULL" });
                Ok(())
            }
            (Comparison::In, Given::List(items)) => {
                let kind = table.columns.get(place).map(|column| column.kind.base()).ok_or_else(no_column)?;
                let values = items.iter().map(|item| match item {
                    Given::Text(text) => scalar::read(text, kind, self.context),
                    _ => Err(Refused::new("nothing is compared with null: isNull asks for it")),
                });
                let values = values.collect::<Result<Vec<Datum>, _>>()?;
                self.text.push_str(operator);
                self.array(table, place, &values)?;
                self.text.push(')');
                Ok(())
            }
            (Comparison::Like, Given::Text(text)) => {
                self.text.push_str(operator);
                self.bind(Datum::text(text.as_str()), TypeKind::Text)
            }
            (_, value) => {
                self.text.push_str(operator);
                self.value(table, place, value)
            }
        }
    }
}
