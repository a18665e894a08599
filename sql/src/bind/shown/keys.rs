//! Keys of GROUP BY, ORDER BY and DISTINCT ON: by what they are, not by their numbers or names in the result.

use super::layout::{INDENT, Place, joined, line};
use super::query::Parts;
use super::select::Listed;
use super::words;
use crate::bind::Binder;
use crate::error::{Error, Result};
use crate::parse::ast::{self, ExprKind, GroupBy, GroupItem};

impl Binder<'_> {
    /// A key of ORDER BY or DISTINCT ON: a result column goes before a column of FROM.
    pub(super) fn order_key(
        &mut self,
        key: &ast::Expr,
        items: &[Listed<'_>],
        place: Place,
    ) -> Result<String> {
        let item = match &key.kind {
            ExprKind::Number(number) => numbered(number, items),
            ExprKind::Column(names) => match names.as_slice() {
                [name] => items.iter().find(|item| item.name == name.value),
                _ => None,
            },
            ExprKind::Row(_) => return Err(Error::unsupported("to print an order by a row")),
            _ => None,
        };
        self.key_text(key, item, place)
    }

    /// A key of GROUP BY: a column of FROM goes before a result column.
    fn group_key_text(&mut self, key: &ast::Expr, items: &[Listed<'_>], place: Place) -> Result<String> {
        let item = match &key.kind {
            ExprKind::Number(number) => numbered(number, items),
            ExprKind::Column(names) => match names.as_slice() {
                [name] => {
                    let is_of_from = self.level()?.scope.named(&name.value).next().is_some();
                    items.iter().find(|item| !is_of_from && item.name == name.value)
                }
                _ => None,
            },
            _ => None,
        };
        self.key_text(key, item, place)
    }

    fn key_text(&mut self, key: &ast::Expr, item: Option<&Listed<'_>>, place: Place) -> Result<String> {
        let key = match item {
            None => key,
            Some(item) => match item.expr {
                None => return Ok(item.text().to_owned()),
                Some(expr) => expr,
            },
        };
        self.printed(place, |binder| binder.settled_expression(key), words::key)
    }

    /// What stands behind GROUP BY; nothing if there is no key.
    pub(super) fn groups_text(
        &mut self,
        group_by: &GroupBy,
        items: &[Listed<'_>],
        place: Place,
    ) -> Result<String> {
        let is_plain = |item: &GroupItem| matches!(item, GroupItem::Key(_) | GroupItem::Keys(_));
        let is_one_set = group_by.items.iter().all(is_plain);
        let mut texts: Vec<String> = Vec::with_capacity(group_by.items.len());
        for item in &group_by.items {
            match item {
                GroupItem::Keys(keys) if is_one_set => {
                    for key in keys {
                        texts.push(self.group_key_text(key, items, place)?);
                    }
                }
                item => texts.push(self.group_item_text(item, items, place, true)?),
            }
        }
        if is_one_set {
            let mut known = std::collections::HashSet::new();
            texts.retain(|text| known.insert(text.clone()));
        }
        let distinct = if group_by.distinct && !is_one_set { "DISTINCT " } else { "" };
        Ok(format!("{distinct}{}", joined(&texts)))
    }

    /// An item of GROUP BY (`get_rule_groupingset`); `bare`: one key has no parentheses.
    fn group_item_text(
        &mut self,
        item: &GroupItem,
        items: &[Listed<'_>],
        place: Place,
        bare: bool,
    ) -> Result<String> {
        let (word, parts) = match item {
            GroupItem::Key(key) => return self.key_set_text(std::slice::from_ref(key), items, place, bare),
            GroupItem::Keys(keys) => return self.key_set_text(keys, items, place, bare),
            GroupItem::Rollup(parts, _) => ("ROLLUP(", parts),
            GroupItem::Cube(parts, _) => ("CUBE(", parts),
            GroupItem::Sets(sets) => {
                let mut texts = Vec::with_capacity(sets.len());
                for set in sets {
                    texts.push(self.group_item_text(set, items, place, false)?);
                }
                return Ok(format!("GROUPING SETS ({})", joined(&texts)));
            }
        };
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            texts.push(self.key_set_text(part, items, place, true)?);
        }
        Ok(format!("{word}{})", joined(&texts)))
    }

    fn key_set_text(
        &mut self,
        keys: &[ast::Expr],
        items: &[Listed<'_>],
        place: Place,
        bare: bool,
    ) -> Result<String> {
        let mut texts = Vec::with_capacity(keys.len());
        for key in keys {
            texts.push(self.group_key_text(key, items, place)?);
        }
        Ok(match texts.as_slice() {
            [only] if bare => only.clone(),
            several => format!("({})", joined(several)),
        })
    }

    /// ORDER BY of a set operation: by numbers of columns.
    pub(super) fn order_by_columns(
        &mut self,
        out: &mut String,
        parts: &Parts<'_>,
        place: Place,
        lateral: bool,
    ) -> Result<()> {
        if parts.order_by.is_empty() {
            return Ok(());
        }
        let columns = self.query_body(parts.body, lateral)?.columns;
        for (number, order) in parts.order_by.iter().enumerate() {
            if number == 0 {
                line(out, place.start.saturating_sub(INDENT), 1);
                out.push_str(" ORDER BY ");
            } else {
                out.push_str(", ");
            }
            let column = self.output_column_of(&order.expr, &columns)?;
            let column = column.ok_or_else(|| Error::unsupported("to print such an order"))?;
            let nulls_first = order.nulls_first.unwrap_or(order.descending);
            let direction = words::direction(order.descending, nulls_first);
            out.push_str(&format!("{}{direction}", column.saturating_add(1)));
        }
        Ok(())
    }
}

fn numbered<'i, 's>(number: &str, items: &'i [Listed<'s>]) -> Option<&'i Listed<'s>> {
    items.get(number.parse::<usize>().ok()?.checked_sub(1)?)
}
