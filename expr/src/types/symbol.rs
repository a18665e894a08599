//! What types that users have made are called: each name once, as a number that is copied freely.
//!
//! Names are for messages and for what is printed; two types are never told apart by them. They stay for the life of the
//! process, so their number is bounded.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

/// So many names are kept, of at most some hundred bytes each; types beyond are called what they are like.
const NAMES_MAX: usize = 1 << 18;

/// A name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

#[derive(Default)]
struct Names {
    places: HashMap<&'static str, u32>,
    texts: Vec<&'static str>,
}

static NAMES: LazyLock<RwLock<Names>> = LazyLock::new(RwLock::default);

impl Symbol {
    /// No name.
    pub const NONE: Self = Self(0);

    /// The symbol of a name.
    pub fn of(name: &str) -> Self {
        let known = NAMES.read().unwrap_or_else(PoisonError::into_inner).places.get(name).copied();
        if let Some(place) = known {
            return Self(place);
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if names.texts.len() >= NAMES_MAX {
            return Self::NONE;
        }
        if let Some(place) = names.places.get(name) {
            return Self(*place);
        }
        let text: &'static str = Box::leak(name.into());
        names.texts.push(text);
        let place = names.texts.len() as u32;
        names.places.insert(text, place);
        Self(place)
    }

    /// The name; None if it has none.
    pub fn text(self) -> Option<&'static str> {
        let place = usize::try_from(self.0).ok()?.checked_sub(1)?;
        NAMES.read().unwrap_or_else(PoisonError::into_inner).texts.get(place).copied()
    }

    /// What arrays of the type are called.
    pub fn of_array(self) -> Self {
        self.text().map_or(Self::NONE, |text| Self::of(&format!("{text}[]")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let mood = Symbol::of("mood");
        assert_eq!(mood, Symbol::of("mood"));
        assert_ne!(mood, Symbol::of("mode"));
        assert_eq!(mood.text(), Some("mood"));
        assert_eq!(mood.of_array().text(), Some("mood[]"));
        assert_eq!(Symbol::NONE.of_array().text(), None);
    }
}
