//! What a range is asked, and where its requests could be divided.
//!
//! Every request is counted. Of a range that is asked much, the keys of some requests are kept: a sample of bounded size, in which
//! each request since it began has the same chance to be. The border that divides them best is where the range is divided, if
//! there is one: a single key that is asked for by all cannot be, nor are ranges that are mostly scanned across it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use proto::v1::Span;

/// So many requests are kept at most.
const SAMPLE_MAX: usize = 128;

/// A border is not judged by fewer.
const SAMPLE_MIN: usize = 32;

/// The longest key that is kept.
const KEY_BYTES_MAX: usize = 1 << 10;

/// What a range is asked.
#[derive(Debug, Default)]
pub(crate) struct Load {
    requests: AtomicU64,
    sampling: AtomicBool,
    sample: Mutex<Sample>,
}

#[derive(Debug, Default)]
struct Sample {
    seen: u64,
    kept: Vec<Span>,
}

impl Load {
    /// A request has come; `touched` says what it is about, if that is to be known.
    pub(crate) fn count(&self, touched: impl FnOnce() -> Option<Span>) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if self.sampling.load(Ordering::Relaxed)
            && let Some(touched) = touched()
        {
            self.sample.lock().take(&touched);
        }
    }

    /// How many requests have come so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether requests are kept from now on. What was kept is forgotten.
    pub(crate) fn sample(&self, wanted: bool) {
        self.sampling.store(wanted, Ordering::Relaxed);
        *self.sample.lock() = Sample::default();
    }

    /// What was kept since.
    pub(crate) fn sampled(&self) -> Vec<Span> {
        self.sample.lock().kept.clone()
    }
}

impl Sample {
    fn take(&mut self, touched: &Span) {
        if touched.start.len().max(touched.end.len()) > KEY_BYTES_MAX {
            return;
        }
        self.seen += 1;
        // Copied: what has come shares the memory of its whole request.
        let copied = || Span {
            start: Bytes::copy_from_slice(&touched.start),
            end: Bytes::copy_from_slice(&touched.end),
        };
        if self.kept.len() < SAMPLE_MAX {
            self.kept.push(copied());
        } else if let Some(slot) = self.kept.get_mut(env::random::below(self.seen) as usize) {
            *slot = copied();
        }
    }
}

/// Where the requests of a sample are divided best: at the border for which the larger side has the least, each side has at least
/// a quarter of them, and at most a quarter reaches over it. `border_of` says where a range may begin, at or before a key.
pub(crate) fn divided_at(sample: &[Span], border_of: impl Fn(&Bytes) -> Option<Bytes>) -> Option<Bytes> {
    if sample.len() < SAMPLE_MIN {
        return None;
    }
    let mut borders: Vec<Bytes> = sample.iter().filter_map(|touched| border_of(&touched.start)).collect();
    borders.sort();
    borders.dedup();
    let judged = borders.into_iter().filter_map(|border| {
        let left = sample.iter().filter(|touched| !touched.end.is_empty() && touched.end <= border).count();
        let right = sample.iter().filter(|touched| touched.start >= border).count();
        let across = sample.len() - left - right;
        let is_fit = left.min(right) * 4 >= sample.len() && across * 4 <= sample.len();
        is_fit.then_some((left.max(right), border))
    });
    judged.min().map(|(_, border)| border)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(number: u32) -> Span {
        let key = [b"d".as_slice(), &number.to_be_bytes()].concat();
        Span { end: keys::span::successor(&key), start: key.into() }
    }

    fn across(first: u32, last: u32) -> Span {
        Span { start: point(first).start, end: point(last).start }
    }

    fn divided(sample: &[Span]) -> Option<Bytes> {
        divided_at(sample, |key| Some(key.clone()))
    }

    #[test]
    fn requests_are_divided_in_their_middle() {
        let sample: Vec<Span> = (0..100).map(point).collect();
        assert_eq!(divided(&sample), Some(point(50).start));
        // One side of the keys is asked for more.
        let sample: Vec<Span> = (0..100).map(|number| point(number * number)).collect();
        assert_eq!(divided(&sample), Some(point(2500).start));
    }

    #[test]
    fn a_single_hot_key_is_not_divided() {
        assert_eq!(divided(&vec![point(7); 100]), None);
        let mostly: Vec<Span> = (0..100).map(|number| point(if number < 80 { 7 } else { number })).collect();
        assert_eq!(divided(&mostly), None);
        // Two keys are.
        let two: Vec<Span> = (0..100).map(|number| point(number % 2)).collect();
        assert_eq!(divided(&two), Some(point(1).start));
    }

    #[test]
    fn what_is_scanned_whole_is_not_divided() {
        let scans: Vec<Span> = (0..100).map(|_| across(0, 1000)).collect();
        assert_eq!(divided(&scans), None);
        let short: Vec<Span> = (0..100).map(|number| across(number * 10, number * 10 + 20)).collect();
        assert!(divided(&short).is_some());
        let endless = vec![Span { start: point(0).start, end: Bytes::new() }; 100];
        assert_eq!(divided(&endless), None);
    }

    #[test]
    fn few_requests_say_nothing() {
        assert_eq!(divided(&(0..31).map(point).collect::<Vec<_>>()), None);
        assert_eq!(divided_at(&(0..100).map(point).collect::<Vec<_>>(), |_| None), None);
    }

    #[test]
    fn a_sample_holds_no_request() {
        let request = Bytes::from(vec![b'd'; 1 << 20]);
        let load = Load::default();
        load.sample(true);
        load.count(|| Some(Span { start: request.slice(10..20), end: request.slice(10..21) }));
        let kept = load.sampled();
        let within = |part: &Bytes| request.as_ptr_range().contains(&part.as_ptr());
        assert_eq!((kept[0].start.len(), kept[0].end.len()), (10, 11));
        assert!(!within(&kept[0].start) && !within(&kept[0].end));
    }

    #[test]
    fn a_sample_is_bounded_and_begins_anew() {
        let load = Load::default();
        load.count(|| Some(point(1)));
        assert!(load.sampled().is_empty(), "nobody has asked for it");
        load.sample(true);
        (0..10_000).for_each(|number| load.count(|| Some(point(number))));
        assert_eq!((load.sampled().len(), load.requests()), (SAMPLE_MAX, 10_001));
        load.sample(true);
        load.count(|| Some(Span { start: vec![b'd'; KEY_BYTES_MAX + 1].into(), end: Bytes::new() }));
        assert!(load.sampled().is_empty());
    }
}
