//! What sorts of statements there are, and sets of them as settings name them.

/// What sort of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Reads rows: SELECT, COPY … TO.
    Read,
    /// Writes rows: INSERT, UPDATE, DELETE, MERGE, TRUNCATE, COPY … FROM.
    Write,
    /// Changes the catalog.
    Ddl,
    /// Changes roles and rights.
    Role,
    /// Begins and ends sessions, or puts other roles in their places.
    Session,
    /// Everything else.
    Misc,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Write, Self::Ddl, Self::Role, Self::Session, Self::Misc];

    /// As records name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::Ddl => "DDL",
            Self::Role => "ROLE",
            Self::Session => "SESSION",
            Self::Misc => "MISC",
        }
    }

    /// As settings and lists of what was done to an object name it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ddl => "ddl",
            Self::Role => "role",
            Self::Session => "session",
            Self::Misc => "misc",
        }
    }
}

/// A set of classes. Its bits are kept in the catalog, and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Classes(u32);

impl Classes {
    /// None.
    pub const NONE: Self = Self(0);

    /// Every one.
    pub const ALL: Self = Self(0b11_1111);

    /// Those that a table can be audited for.
    pub const OF_TABLES: Self = Self(0b00_0111);

    /// One.
    pub const fn of(class: Class) -> Self {
        Self(match class {
            Class::Read => 1,
            Class::Write => 2,
            Class::Ddl => 4,
            Class::Role => 8,
            Class::Session => 16,
            Class::Misc => 32,
        })
    }

    /// Of what is stored.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// To be stored.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it is one of them.
    pub const fn contains(self, class: Class) -> bool {
        self.meets(Self::of(class))
    }

    /// Whether some are in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Class> {
        Class::ALL.into_iter().filter(move |class| self.contains(*class))
    }

    /// Those that a list such as `read, write` or `all, -misc` names, of those that may be named; the word that names none
    /// of them otherwise.
    ///
    /// # Errors
    /// A word of the list is no class, or none that may be named.
    pub fn parse(list: &str, of: Self) -> Result<Self, String> {
        let mut named = Self::NONE;
        for word in list.split(',').map(|word| word.trim().to_ascii_lowercase()) {
            let (word, takes) = match word.strip_prefix('-') {
                Some(word) => (word.trim_start(), false),
                None => (word.as_str(), true),
            };
            let meant = match word {
                "" | "none" => Self::NONE,
                "all" => of,
                _ => {
                    let found = of.iter().find(|class| class.word() == word);
                    Self::of(found.ok_or_else(|| word.to_owned())?)
                }
            };
            named = if takes { named.or(meant) } else { named.without(meant) };
        }
        Ok(named)
    }
}

impl std::fmt::Display for Classes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        if *self == Self::ALL {
            return f.write_str("all");
        }
        for (place, class) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(", ")?;
            }
            f.write_str(class.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_shown() {
        let parse = |list: &str| Classes::parse(list, Classes::ALL).map(|classes| classes.to_string());
        for (list, shown) in [
            ("", "none"),
            ("none", "none"),
            ("all", "all"),
            ("READ , ddl", "read, ddl"),
            ("all, -misc, - session", "read, write, ddl, role"),
            ("-read, read", "read"),
            ("read,write,ddl,role,session,misc", "all"),
        ] {
            assert_eq!(parse(list).as_deref(), Ok(shown), "{list}");
            assert_eq!(parse(shown).as_deref(), Ok(shown));
        }
        assert_eq!(parse("read, function"), Err("function".to_owned()));
        assert_eq!(Classes::parse("role", Classes::OF_TABLES), Err("role".to_owned()));
        assert_eq!(Classes::parse("all", Classes::OF_TABLES), Ok(Classes::OF_TABLES));
        assert_eq!(Classes::OF_TABLES.to_string(), "read, write, ddl");
    }
}
