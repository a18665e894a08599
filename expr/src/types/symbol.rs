//! What types that users have made are called, and what domains among them are over that was made, too, and ranges between: each
//! once, as a number that is copied freely.
//!
//! Names are for messages and for what is printed; two types are never told apart by them. They stay for the life of the
//! process, so their number is bounded.

use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use super::TypeKind;

/// So many names are kept, of at most some hundred bytes each; types beyond are called what they are like.
const NAMES_MAX: usize = 1 << 18;

/// A name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

/// A name, and the type that what is called so is over, or between whose values.
type Named = (&'static str, Option<TypeKind>);

#[derive(Default)]
struct Names {
    places: HashMap<Named, u32>,
    all: Vec<Named>,
}

impl Names {
    fn place(&self, name: &str, over: Option<TypeKind>) -> Option<u32> {
        // Names that are asked for live shorter than those that are known.
        let places: &HashMap<(&str, Option<TypeKind>), u32> = &self.places;
        places.get(&(name, over)).copied()
    }
}

static NAMES: LazyLock<RwLock<Names>> = LazyLock::new(RwLock::default);

impl Symbol {
    /// No name.
    pub const NONE: Self = Self(0);

    /// The symbol of a name.
    pub fn of(name: &str) -> Self {
        Self::made(name, None)
    }

    /// The symbol of the name of a domain over a type that was made, and is no domain; or of a range that was made, of the type of
    /// its bounds.
    pub fn over(name: &str, over: TypeKind) -> Self {
        Self::made(name, Some(over))
    }

    fn made(name: &str, over: Option<TypeKind>) -> Self {
        let known = NAMES.read().unwrap_or_else(PoisonError::into_inner).place(name, over);
        if let Some(place) = known {
            return Self(place);
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        if names.all.len() >= NAMES_MAX {
            return Self::NONE;
        }
        if let Some(place) = names.place(name, over) {
            return Self(place);
        }
        let text: &'static str = Box::leak(name.into());
        names.all.push((text, over));
        let place = names.all.len() as u32;
        names.places.insert((text, over), place);
        Self(place)
    }

    fn named(self) -> Option<Named> {
        let place = usize::try_from(self.0).ok()?.checked_sub(1)?;
        NAMES.read().unwrap_or_else(PoisonError::into_inner).all.get(place).copied()
    }

    /// The name; None if it has none.
    pub fn text(self) -> Option<&'static str> {
        self.named().map(|(text, _)| text)
    }

    /// The made type that the domain of this name is over, or what the bounds of the range are of.
    pub fn base(self) -> Option<TypeKind> {
        self.named()?.1
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
        let over = Symbol::over("mood", TypeKind::made(20_000, TypeKind::Enum, mood));
        assert_ne!(over, mood);
        assert_eq!((over.text(), over.base().map(TypeKind::oid)), (Some("mood"), Some(20_000)));
        assert_eq!(mood.base(), None);
    }
}
