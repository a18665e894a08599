//! The specification's ways of choosing by chance (2.1.6, 4.3.2, 4.3.3).

use env::random;

/// A whole number of `from..=to`, each as likely.
pub(super) fn uniform(from: i32, to: i32) -> i32 {
    let numbers = u64::try_from(i64::from(to) - i64::from(from) + 1).unwrap_or(1);
    from.saturating_add(i32::try_from(random::below(numbers)).unwrap_or(0))
}

/// Whether something happens that does so `percent` times in a hundred.
pub(super) fn happens(percent: i32) -> bool {
    uniform(1, 100) <= percent
}

/// What is chosen unevenly: numbers that are asked for often are so in every run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uneven {
    /// A power of two less one, about a third of what there is to choose from.
    a: i32,
    from: i32,
    to: i32,
    c: i32,
}

/// Customers of a district.
pub(super) const CUSTOMER: Uneven = Uneven { a: 1023, from: 1, to: 3000, c: 259 };
/// Items of an order.
pub(super) const ITEM: Uneven = Uneven { a: 8191, from: 1, to: 100_000, c: 7911 };
/// Last names of customers that are loaded.
pub(super) const NAME_LOADED: Uneven = Uneven { a: 255, from: 0, to: 999, c: 157 };
/// Last names that are asked for: the constant differs from the loaded one by 65 to 119, but for 96 and 112.
pub(super) const NAME_ASKED: Uneven = Uneven { c: 223, ..NAME_LOADED };

impl Uneven {
    /// `NURand(A, x, y)`.
    pub(super) fn choose(self) -> i32 {
        let both = uniform(0, self.a) | uniform(self.from, self.to);
        (both + self.c) % (self.to - self.from + 1) + self.from
    }
}

/// The last name with a number below 1000: one syllable for each digit.
pub(super) fn last_name(number: i32) -> String {
    const SYLLABLES: [&str; 10] =
        ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];
    let digits = [number / 100, number / 10, number];
    digits.iter().filter_map(|digit| SYLLABLES.get(usize::try_from(digit % 10).ok()?)).copied().collect()
}

/// Letters and digits, between so many and so many.
pub(super) fn text(least: i32, most: i32) -> String {
    characters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", uniform(least, most))
}

/// So many letters.
pub(super) fn letters(count: i32) -> String {
    characters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", count)
}

/// Digits, between so many and so many.
pub(super) fn digits(least: i32, most: i32) -> String {
    characters(b"0123456789", uniform(least, most))
}

/// Four random digits and five that are not.
pub(super) fn zip() -> String {
    digits(4, 4) + "11111"
}

/// As [`text`]; one in ten holds `ORIGINAL` somewhere.
pub(super) fn data() -> String {
    const MARK: &str = "ORIGINAL";
    let mut data = text(26, 50);
    if happens(10) {
        let at = random::below((data.len() - MARK.len()) as u64 + 1) as usize;
        data.replace_range(at..at + MARK.len(), MARK);
    }
    data
}

fn characters(of: &[u8], count: i32) -> String {
    let one = || of.get(random::below(of.len() as u64) as usize).copied().map_or('-', char::from);
    (0..count).map(|_| one()).collect()
}

/// The same things in an order of chance.
pub(super) fn shuffle<T>(things: &mut [T]) {
    for last in (1..things.len()).rev() {
        things.swap(last, random::below(last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_unevenly_stays_within_its_bounds() {
        for uneven in [CUSTOMER, ITEM, NAME_LOADED, NAME_ASKED] {
            assert!((0..1000).map(|_| uneven.choose()).all(|n| (uneven.from..=uneven.to).contains(&n)));
        }
        let apart = (NAME_ASKED.c - NAME_LOADED.c).abs();
        assert!((65..=119).contains(&apart) && apart != 96 && apart != 112);
    }

    #[test]
    fn names_are_spelled_by_their_digits() {
        assert_eq!(last_name(371), "PRICALLYOUGHT");
        assert_eq!(last_name(40), "BARPRESBAR");
    }

    #[test]
    fn texts_are_as_long_as_they_may_be() {
        for _ in 0..100 {
            assert!((26..=50).contains(&data().len()));
            assert_eq!(zip().len(), 9);
        }
        let mut things = [1, 2, 3, 4];
        shuffle(&mut things);
        things.sort_unstable();
        assert_eq!(things, [1, 2, 3, 4]);
    }
}
