//! What goes out on a stream: the messages that wait, as long as there is room for them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use super::open::Open;
use crate::v1::StreamRequest;

/// The requests of an open stream.
pub(super) struct Outgoing {
    open: Arc<Open>,
}

impl Outgoing {
    pub(super) fn new(open: Arc<Open>) -> Self {
        Self { open }
    }
}

impl Stream for Outgoing {
    type Item = StreamRequest;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StreamRequest>> {
        self.open.poll_next(cx)
    }
}
