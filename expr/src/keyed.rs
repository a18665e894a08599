//! Values that are equal though they look unlike ([`Keyed`](crate::datum::keyed::Keyed)), read back from what is stored of
//! them: the first byte says which kind of value it is.

use bytes::Bytes;

use crate::citext;
use crate::datum::Datum;
use crate::datum::keyed::OF_TEXTS;
use crate::extent::{self, Extent, Spans};
use crate::vector;

/// The value that looks like this; None if there is none.
pub(crate) fn of_image(image: Bytes) -> Option<Datum> {
    match *image.first()? {
        extent::OF_NUMBERS | extent::OF_MADE => Extent::of_held(image),
        extent::OF_MANY => Spans::of_held(image),
        vector::OF_VECTORS => vector::of_held(image),
        OF_TEXTS => citext::of_held(image),
        _ => None,
    }
}

/// A value that has this key; None if there is none.
pub(crate) fn of_key(key: Bytes) -> Option<Datum> {
    match *key.first()? {
        extent::OF_NUMBERS | extent::OF_MADE => Extent::of_held(key),
        extent::OF_MANY => Spans::of_held(key),
        vector::OF_VECTORS => vector::of_held(key),
        OF_TEXTS => citext::of_held(key),
        _ => None,
    }
}
