//! Values that look unlike though they are equal, of types whose values are bytes otherwise: what a value looks like, and
//! the key that it is compared, hashed and found by. Who makes one says both.

use bytes::Bytes;

/// What the image of a text begins with.
pub(crate) const OF_TEXTS: u8 = 101;

/// A value and its key.
///
/// # Invariants
/// - Of two values of one type the keys order as the values do, and are the same if these are equal.
/// - Each begins with the byte that says of which kind the value is, so that it can be read by itself.
#[derive(Debug, Clone)]
pub struct Keyed {
    image: Bytes,
    key: Bytes,
    text_bytes: usize,
}

impl Keyed {
    /// A value that looks like `image`, and stands where `key` does; its text takes about `text_bytes`.
    pub(crate) fn new(image: Bytes, key: Bytes, text_bytes: usize) -> Self {
        Self { image, key, text_bytes }
    }

    /// All that there is of it.
    pub fn image(&self) -> &Bytes {
        &self.image
    }

    /// The text that it is; None if it is none.
    pub(crate) fn text(&self) -> Option<&str> {
        match self.image.split_first() {
            Some((&OF_TEXTS, text)) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// What counts where it is compared.
    pub fn key(&self) -> &Bytes {
        &self.key
    }

    /// About how many bytes its text takes.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// About how many bytes of memory it holds. A key that is a part of the image takes none.
    pub(crate) fn size_bytes(&self) -> usize {
        let (image, key) = (self.image.as_ptr_range(), self.key.as_ptr_range());
        let own_key = if image.contains(&key.start) { 0 } else { self.key.len() };
        size_of::<Self>() + 32 + self.image.len() + own_key
    }
}
