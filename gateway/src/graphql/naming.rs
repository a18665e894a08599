//! Names of GraphQL for names of SQL: what is no name there is made one, and no two things have the same.

use std::collections::HashSet;

/// A longer name is cut.
const NAME_BYTES_MAX: usize = 100;

/// Names that are taken.
#[derive(Debug, Default, Clone)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Takes these.
    pub(super) fn reserve<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        self.0.extend(names.into_iter().map(str::to_owned));
    }

    /// The name that comes nearest to this, and is free; it is taken.
    pub(super) fn take(&mut self, name: &str) -> String {
        self.take_with(name, |name| vec![name.to_owned()])
    }

    /// The same, where all the names that are `made` of it are to be free, and are taken.
    pub(super) fn take_with(&mut self, name: &str, made: impl Fn(&str) -> Vec<String>) -> String {
        let plain = legal(name);
        let mut number = 1u64;
        loop {
            let candidate = if number == 1 { plain.clone() } else { format!("{plain}_{number}") };
            let all = made(&candidate);
            if !all.iter().any(|name| self.0.contains(name)) {
                self.0.extend(all);
                return candidate;
            }
            number += 1;
        }
    }
}

/// What comes nearest to a name, and is one of GraphQL: letters, digits and `_`, no digit first, and no two `_`, which are kept
/// for what a schema says of itself.
pub(super) fn legal(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let mut legal: String = letters.take(NAME_BYTES_MAX).collect();
    if legal.starts_with("__") {
        legal = format!("_{}", legal.trim_start_matches('_'));
    }
    if legal.is_empty() || legal.starts_with(|c: char| c.is_ascii_digit()) {
        legal.insert(0, '_');
    }
    legal
}

/// The name of a type for that of a field: its first letter is a capital.
pub(super) fn capital(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_made_one_of_graphql() {
        for (name, expected) in [
            ("person", "person"),
            ("Order Items", "Order_Items"),
            ("2nd", "_2nd"),
            ("", "_"),
            ("__type", "_type"),
            ("___", "_"),
            ("gr\u{f6}\u{df}e", "gr__e"),
            ("_a", "_a"),
            ("a__b", "a__b"),
        ] {
            assert_eq!(legal(name), expected, "{name}");
        }
        assert_eq!(legal(&"x".repeat(1000)).len(), NAME_BYTES_MAX);
        assert_eq!(
            (capital("person"), capital("_x"), capital("")),
            ("Person".into(), "_x".into(), String::new())
        );
    }

    #[test]
    fn no_two_have_the_same_name() {
        let mut names = Names::default();
        names.reserve(["Query"]);
        assert_eq!([names.take("a b"), names.take("a_b"), names.take("a-b")], ["a_b", "a_b_2", "a_b_3"]);
        assert_eq!(names.take("Query"), "Query_2");
        let made = |name: &str| vec![name.to_owned(), format!("{name}Edge")];
        names.reserve(["personEdge"]);
        assert_eq!(names.take_with("person", made), "person_2");
        assert_eq!(names.take("person_2Edge"), "person_2Edge_2");
    }
}
