//! What goes out on a stream: the messages that wait, all of them at a time.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;

use super::open::Open;
use crate::v1::StreamRequest;

/// The requests of an open stream.
pub(super) struct Outgoing {
    open: Arc<Open>,
    taken: VecDeque<StreamRequest>,
}

impl Outgoing {
    pub(super) fn new(open: Arc<Open>) -> Self {
        Self { open, taken: VecDeque::new() }
    }
}

impl Stream for Outgoing {
    type Item = StreamRequest;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StreamRequest>> {
        let this = &mut *self;
        if this.taken.is_empty() && !this.open.take(&mut this.taken, cx.waker()) {
            return Poll::Ready(None);
        }
        match this.taken.pop_front() {
            Some(request) => Poll::Ready(Some(request)),
            None => Poll::Pending,
        }
    }
}
