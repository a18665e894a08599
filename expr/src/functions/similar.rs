//! How similar texts are: by the groups of three characters that their words have in common (manual, F.35).

use std::collections::BTreeSet;

use super::arguments::text;
use crate::datum::Datum;
use crate::error::Result;
use crate::work;

/// The trigrams of a word between two blanks before and one behind it.
fn of_word(word: &str) -> impl Iterator<Item = [char; 3]> {
    let padded: Vec<char> = [' ', ' '].into_iter().chain(word.chars()).chain([' ']).collect();
    (0..padded.len()).filter_map(move |at| <[char; 3]>::try_from(padded.get(at..at + 3)?).ok())
}

/// The trigrams of a text, word by word, in lower case.
fn listed(value: &str) -> Vec<[char; 3]> {
    let lower = value.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.flat_map(of_word).collect()
}

fn trigrams(value: &Datum) -> Result<BTreeSet<[char; 3]>> {
    let value = text(value)?;
    work::step(value.len().saturating_mul(4))?;
    Ok(listed(value).into_iter().collect())
}

fn share(common: usize, all: usize) -> Datum {
    Datum::Float4(if all == 0 { 0.0 } else { common as f32 / all as f32 })
}

pub(super) fn similarity(left: &Datum, right: &Datum) -> Result<Datum> {
    let (left, right) = (trigrams(left)?, trigrams(right)?);
    let common = left.intersection(&right).count();
    Ok(share(common, left.len() + right.len() - common))
}

pub(super) fn show(value: &Datum) -> Result<Datum> {
    let shown = |trigram: [char; 3]| Datum::from(trigram.iter().collect::<String>());
    let items: Vec<Datum> = trigrams(value)?.into_iter().map(shown).collect();
    Ok(Datum::Array(items.into()))
}
