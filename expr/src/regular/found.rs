//! What a regular expression has found in a text: the whole of a match, and its groups.

/// A part of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found<'t> {
    text: &'t str,
    start: usize,
    end: usize,
}

impl<'t> Found<'t> {
    /// Where it begins, in bytes.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Where it ends, in bytes.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn as_str(&self) -> &'t str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }
}

/// A match: group 0 is the whole of it.
#[derive(Debug, Clone)]
pub(crate) struct Groups<'t> {
    text: &'t str,
    spans: Vec<Option<(usize, usize)>>,
}

impl<'t> Groups<'t> {
    /// Of a text, by where each group begins and ends in it.
    pub(super) fn new(text: &'t str, spans: Vec<Option<(usize, usize)>>) -> Self {
        Self { text, spans }
    }

    /// How many groups there are, the whole among them.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// A group; `None`: it took no part in the match, or there is none.
    pub(crate) fn get(&self, group: usize) -> Option<Found<'t>> {
        let (start, end) = self.spans.get(group).copied().flatten()?;
        Some(Found { text: self.text, start, end })
    }

    /// All groups in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<Found<'t>>> + '_ {
        (0..self.len()).map(|group| self.get(group))
    }
}
