//! Dividing one compaction by keys, so that several threads share it: a pure function from samples to borders.

use bytes::Bytes;

/// Keys that divide what is sampled into so many parts, or fewer, of about the same size. Each sample is a key and the
/// bytes that lie up to it from the one before. The first part has all keys before the first border.
pub(crate) fn borders(mut samples: Vec<(Bytes, u64)>, parts: u64) -> Vec<Bytes> {
    samples.sort();
    let total: u64 = samples.iter().map(|(_, bytes)| bytes).sum();
    let mut borders: Vec<Bytes> = Vec::new();
    let mut passed = 0;
    for (key, bytes) in &samples {
        passed += bytes;
        let due = total.saturating_mul(borders.len() as u64 + 1) / parts.max(1);
        if (borders.len() as u64) + 1 < parts && passed >= due && borders.last() != Some(key) {
            borders.push(key.clone());
        }
    }
    // Nothing is sampled behind the last key: a border there would be of an empty part.
    if borders.last() == samples.last().map(|(key, _)| key) {
        borders.pop();
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(samples: &[(&str, u64)], parts: u64) -> String {
        let sample = |(key, bytes): &(&str, u64)| (Bytes::copy_from_slice(key.as_bytes()), *bytes);
        let borders = borders(samples.iter().map(sample).collect(), parts);
        borders.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn parts_are_about_equal() {
        assert_eq!(divided(&[("d", 10), ("b", 10), ("a", 10), ("c", 10)], 2), "b");
        assert_eq!(divided(&[("a", 10), ("b", 10), ("c", 10), ("d", 10)], 4), "a b c");
        assert_eq!(divided(&[("a", 70), ("b", 10), ("c", 10), ("d", 10)], 2), "a");
        assert_eq!(divided(&[("a", 10), ("a", 10), ("b", 10), ("b", 10), ("c", 1)], 2), "a");
    }

    #[test]
    fn what_cannot_be_divided_stays_whole() {
        assert_eq!(divided(&[], 4), "");
        assert_eq!(divided(&[("a", 10)], 4), "");
        assert_eq!(divided(&[("a", 1), ("b", 100)], 4), "");
        assert_eq!(divided(&[("a", 10), ("b", 10)], 1), "");
        assert_eq!(divided(&[("a", 10), ("b", 10)], 0), "");
    }
}
