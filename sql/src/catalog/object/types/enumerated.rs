//! Enums: labels in order.
//!
//! A value is stored as the *key* of its label: bytes that order as the labels do. Keys never change, so that rows and
//! indexes stay right whatever becomes of the labels; between two of them there is always room for another, as between two
//! fractions (the bytes are the digits behind the point, to the base 256).
//!
//! ```text
//! CREATE TYPE … AS ENUM ('a', 'b')   a 0001, b 0002
//! ADD VALUE 'c'                      c 0003
//! ADD VALUE 'x' BEFORE 'b'           x 000180
//! ```

use bytes::Bytes;

use crate::catalog::Oid;
use crate::error::{Error, Result};

/// The longest label in bytes.
const LABEL_BYTES_MAX: usize = 63;
/// So many labels an enum may have.
const LABELS_MAX: usize = 10_000;

/// An enum.
///
/// # Invariants
/// - The keys of the labels ascend; labels and keys are distinct.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EnumDescriptor {
    labels: Vec<EnumLabel>,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumLabel {
    /// Its identity in `pg_enum`.
    pub oid: Oid,
    /// What is written.
    pub label: String,
    /// What is stored.
    pub key: Bytes,
    /// Whether the transaction that added it has not committed, so that nobody may use it. Not stored.
    pub is_fresh: bool,
}

/// Where ADD VALUE puts a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnumPlace {
    /// Behind all others.
    Last,
    /// BEFORE
    Before(String),
    /// AFTER
    After(String),
}

impl EnumDescriptor {
    /// An enum of these labels.
    ///
    /// # Errors
    /// 42602: a label is too long; 23505: two are alike; 54000: there are too many.
    pub fn new(labels: &[String]) -> Result<Self> {
        let mut made = Self::default();
        for label in labels {
            check_label(label)?;
            if made.label(label).is_some() {
                return Err(Error::new("23505", format!("enum label \"{label}\" is named twice")));
            }
            made.insert(made.labels.len(), label, false)?;
        }
        Ok(made)
    }

    /// Of labels that were stored.
    pub(in crate::catalog) fn of_stored(labels: Vec<EnumLabel>) -> Self {
        Self { labels }
    }

    /// The labels, in order.
    pub fn labels(&self) -> &[EnumLabel] {
        &self.labels
    }

    /// The same, to be given oids.
    pub fn labels_mut(&mut self) -> impl Iterator<Item = &mut EnumLabel> {
        self.labels.iter_mut()
    }

    /// The label that is written so.
    pub fn label(&self, label: &str) -> Option<&EnumLabel> {
        self.labels.iter().find(|own| own.label == label)
    }

    /// The label that is stored so.
    pub fn stored(&self, key: &[u8]) -> Option<&EnumLabel> {
        let place = self.labels.binary_search_by(|own| own.key.as_ref().cmp(key)).ok()?;
        self.labels.get(place)
    }

    /// Adds a label, which nobody may use until this is committed.
    ///
    /// # Errors
    /// 42602: it is too long; 42710: there is one; 22023: its neighbour is none; 54000: there are too many.
    pub fn add(&mut self, label: &str, place: &EnumPlace) -> Result<()> {
        check_label(label)?;
        if self.label(label).is_some() {
            return Err(taken(label));
        }
        let of = |neighbour: &str| {
            self.labels.iter().position(|own| own.label == neighbour).ok_or_else(|| missing(neighbour))
        };
        let at = match place {
            EnumPlace::Last => self.labels.len(),
            EnumPlace::Before(neighbour) => of(neighbour)?,
            EnumPlace::After(neighbour) => of(neighbour)?.saturating_add(1),
        };
        self.insert(at, label, true)
    }

    /// Renames a label.
    ///
    /// # Errors
    /// 42602: the new one is too long; 42710: there is one; 22023: the old one is none.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<()> {
        check_label(to)?;
        let is_taken = self.label(to).is_some();
        let own = self.labels.iter_mut().find(|own| own.label == from).ok_or_else(|| missing(from))?;
        if is_taken {
            return Err(taken(to));
        }
        to.clone_into(&mut own.label);
        Ok(())
    }

    /// What was added is committed.
    pub(in crate::catalog) fn settle(&mut self) {
        self.labels.iter_mut().for_each(|label| label.is_fresh = false);
    }

    /// Whether it has labels that nobody may use yet.
    pub(in crate::catalog) fn is_fresh(&self) -> bool {
        self.labels.iter().any(|label| label.is_fresh)
    }

    fn insert(&mut self, at: usize, label: &str, is_fresh: bool) -> Result<()> {
        if self.labels.len() >= LABELS_MAX {
            return Err(Error::new("54000", format!("an enum can have {LABELS_MAX} labels at most")));
        }
        let key =
            |place: Option<usize>| place.and_then(|place| self.labels.get(place)).map(|own| own.key.as_ref());
        let (before, after) = (key(at.checked_sub(1)).unwrap_or_default(), key(Some(at)));
        let key = between(before, after);
        self.labels.insert(at, EnumLabel { oid: 0, label: label.to_owned(), key: key.into(), is_fresh });
        Ok(())
    }

    pub(super) fn check(&self) -> std::result::Result<(), &'static str> {
        if !self.labels.is_sorted_by(|left, right| left.key < right.key) {
            return Err("the keys of its labels do not ascend");
        }
        Ok(())
    }
}

/// A key above one and below the other; there is always one, unless the other is the first with zeros behind it, which no
/// key that is made here is.
fn between(lower: &[u8], upper: Option<&[u8]>) -> Vec<u8> {
    if upper.is_none()
        && let Some(next) = behind(lower)
    {
        return next.to_vec();
    }
    let mut key = Vec::new();
    let mut upper = upper;
    for place in 0.. {
        let low = lower.get(place).copied().map_or(0, u16::from);
        let high = upper.map_or(256, |upper| upper.get(place).copied().map_or(0, u16::from));
        let middle = low.midpoint(high);
        if middle > low {
            key.push(middle as u8);
            break;
        }
        key.push(low as u8);
        if low < high {
            // Whatever follows is below the upper one.
            upper = None;
        }
    }
    key
}

/// The next of those of two bytes, of which there are enough for what is only ever appended.
fn behind(key: &[u8]) -> Option<[u8; 2]> {
    let digit = |place: usize| key.get(place).copied().unwrap_or(0);
    Some(u16::from_be_bytes([digit(0), digit(1)]).checked_add(1)?.to_be_bytes())
}

fn check_label(label: &str) -> Result<()> {
    if label.len() <= LABEL_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new("42602", format!("invalid enum label \"{label}\""))
        .detail(format!("Labels must be {LABEL_BYTES_MAX} bytes or less.")))
}

fn taken(label: &str) -> Error {
    Error::new("42710", format!("enum label \"{label}\" already exists"))
}

fn missing(label: &str) -> Error {
    Error::new("22023", format!("\"{label}\" is not an existing enum label"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(own: &EnumDescriptor) -> Vec<&str> {
        own.labels().iter().map(|label| label.label.as_str()).collect()
    }

    #[test]
    fn labels_are_put_where_they_are_asked_for() {
        let mut own = EnumDescriptor::new(&["b".into(), "d".into()]).unwrap();
        own.add("a", &EnumPlace::Before("b".into())).unwrap();
        own.add("c", &EnumPlace::After("b".into())).unwrap();
        own.add("e", &EnumPlace::Last).unwrap();
        assert_eq!(labels(&own), ["a", "b", "c", "d", "e"]);
        own.check().unwrap();
        assert_eq!(own.add("c", &EnumPlace::Last).unwrap_err().sqlstate, "42710");
        assert_eq!(own.add("f", &EnumPlace::After("x".into())).unwrap_err().sqlstate, "22023");
        own.rename("c", "cc").unwrap();
        assert_eq!(own.rename("a", "b").unwrap_err().sqlstate, "42710");
        assert_eq!(labels(&own), ["a", "b", "cc", "d", "e"]);
    }

    /// Whatever keys there are, there is room before, between and behind them.
    #[test]
    fn there_is_always_room() {
        let mut own = EnumDescriptor::new(&["a".into(), "z".into()]).unwrap();
        let mut state = 7_usize;
        for number in 0..3000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let neighbour = match number % 3 {
                0 => own.labels().first().unwrap().label.clone(),
                1 => own.labels().get((state >> 33) % own.labels().len()).unwrap().label.clone(),
                _ => "z".to_owned(),
            };
            let place = match (state >> 20) % 2 {
                0 => EnumPlace::Before(neighbour),
                _ => EnumPlace::After(neighbour),
            };
            own.add(&format!("v{number}"), &place).unwrap();
        }
        own.check().unwrap();
        assert!(own.labels().iter().all(|label| own.stored(&label.key) == Some(label)));
    }
}
