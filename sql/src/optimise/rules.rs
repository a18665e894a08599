//! Which rules are applied to plans: all of them, but where a test wants to see that the answers are the same without.

/// A rule, or a family of them that stand in one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Constants are folded.
    Fold,
    /// Common factors are taken out of ORs.
    Factor,
    /// Conditions move down, outer joins become inner ones.
    PushDown,
    /// Subqueries become joins.
    Unnest,
    /// `min` and `max` read first rows.
    Extremes,
    /// Joins are ordered.
    Joins,
    /// Indexes are chosen.
    Access,
    /// Joins look rows up.
    LookUp,
    /// An index's order is used, limits move down.
    Order,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Fold,
        Self::Factor,
        Self::PushDown,
        Self::Unnest,
        Self::Extremes,
        Self::Joins,
        Self::Access,
        Self::LookUp,
        Self::Order,
    ];
}

/// The rules that are applied. Whichever they are, the answers are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules(u16);

impl Default for Rules {
    fn default() -> Self {
        Self::ALL
    }
}

impl Rules {
    /// All rules.
    pub const ALL: Self = Self((1 << Rule::ALL.len()) - 1);
    /// No rule.
    pub const NONE: Self = Self(0);

    /// These without one.
    #[must_use]
    pub const fn without(self, rule: Rule) -> Self {
        Self(self.0 & !(1 << rule as u8))
    }

    pub(super) const fn has(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u8) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_can_be_left_out() {
        for rule in Rule::ALL {
            let others = Rules::ALL.without(rule);
            assert!(!others.has(rule) && Rule::ALL.iter().filter(|other| others.has(**other)).count() == 8);
        }
        assert_eq!(Rule::ALL.iter().fold(Rules::ALL, |rules, rule| rules.without(*rule)), Rules::NONE);
    }
}
