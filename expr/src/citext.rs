//! Texts that are equal whatever their case: the values of `citext`, as the extension of this name has it.
//!
//! ```text
//! image   101 (1 byte)   the text
//! key     101            the text in small letters, as `lower` makes them in the C locale
//! ```

use std::sync::Arc;

use bytes::Bytes;

use crate::datum::Datum;
use crate::datum::keyed::{Keyed, OF_TEXTS};

/// The value that is this text.
pub(crate) fn of_text(text: &str) -> Datum {
    let mut image = Vec::with_capacity(text.len() + 1);
    image.push(OF_TEXTS);
    image.extend_from_slice(text.as_bytes());
    keyed(image.into())
}

/// The value that looks like this, or has this key; None if there is none.
pub(crate) fn of_held(held: Bytes) -> Option<Datum> {
    let is_one = std::str::from_utf8(held.get(1..)?).is_ok();
    is_one.then(|| keyed(held))
}

fn keyed(image: Bytes) -> Datum {
    let key = match image.iter().any(u8::is_ascii_uppercase) {
        true => image.to_ascii_lowercase().into(),
        false => image.clone(),
    };
    let text_bytes = image.len();
    Datum::Keyed(Arc::new(Keyed::new(image, key, text_bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;

    proptest! {
        #[test]
        fn texts_order_as_their_small_letters_do(left in "[aAbB_\u{e9}]{0,4}", right in "[aAbB_\u{e9}]{0,4}") {
            let expected = left.to_ascii_lowercase().as_bytes().cmp(right.to_ascii_lowercase().as_bytes());
            prop_assert_eq!(compare(&of_text(&left), &of_text(&right)), expected);
        }

        #[test]
        fn texts_read_back(text in "[aAbB_\u{e9}]{0,6}") {
            let value = of_text(&text);
            prop_assert_eq!(value.as_str(), Some(text.as_str()));
            let Datum::Keyed(held) = &value else { return Err(TestCaseError::fail("it has no key")) };
            let read = of_held(held.image().clone()).unwrap();
            prop_assert_eq!(read.as_str(), Some(text.as_str()));
            let stands_in = of_held(held.key().clone()).unwrap();
            let small = text.to_ascii_lowercase();
            prop_assert_eq!(stands_in.as_str(), Some(small.as_str()));
            prop_assert!(compare(&stands_in, &value).is_eq());
        }

        #[test]
        fn garbage_is_no_text_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..8)) {
            let _ = of_held(bytes.into());
        }
    }
}
