//! Random window functions: those whose values do not depend on how ties are broken.

use super::schema::Column;
use super::{Kind, Writer};

impl Writer {
    /// A window function of a type, over rows of these columns.
    pub(super) fn window(&mut self, kind: Kind, own: &[Column]) -> String {
        let call = match (kind, self.below(4)) {
            (Kind::Big, 0) => "rank()".to_owned(),
            (Kind::Big, 1) => "dense_rank()".to_owned(),
            _ => loop {
                let call = self.aggregate(kind, own);
                if !call.contains("distinct ") && !call.contains("order by") {
                    break call;
                }
            },
        };
        let mut parts = Vec::new();
        if self.chance(50) {
            parts.push(format!("partition by {}", self.pick(own).name));
        }
        let mut keys: Vec<Column> = Vec::new();
        while keys.len() < 2 && self.chance(60) {
            keys.push(self.pick(own).clone());
        }
        if !keys.is_empty() {
            let directions = ["", "", " desc", " nulls first", " desc nulls last"];
            let shown: Vec<String> =
                keys.iter().map(|key| format!("{}{}", key.name, self.pick(&directions))).collect();
            parts.push(format!("order by {}", shown.join(", ")));
        }
        parts.extend(self.frame(&keys));
        format!("{call} over ({})", parts.join(" "))
    }

    fn frame(&mut self, keys: &[Column]) -> Option<String> {
        let exclude = *self.pick(&["", "", " exclude group", " exclude no others"]);
        let bounds = if self.chance(50) {
            let (first, last) = (self.below(3), self.below(3));
            format!("between {first} preceding and {last} following")
        } else {
            (*self.pick(&[
                "between unbounded preceding and unbounded following",
                "between current row and unbounded following",
                "unbounded preceding",
                "between current row and current row",
            ]))
            .to_owned()
        };
        let has_offset = bounds.contains(char::is_numeric);
        let is_near = matches!(keys, [key] if matches!(key.kind, Kind::Int | Kind::Big | Kind::Numeric));
        match self.below(4) {
            0 | 1 => None,
            2 if !keys.is_empty() => Some(format!("groups {bounds}{exclude}")),
            _ if !has_offset || is_near => Some(format!("range {bounds}{exclude}")),
            _ => None,
        }
    }
}
