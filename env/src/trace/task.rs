//! Which span a task is in, and what is read from disks for it meanwhile.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::{Context, Span};

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
    static READS: Cell<Reads> = const { Cell::new(Reads { count: 0, took: Duration::ZERO }) };
}

/// What was read from disks.
#[derive(Debug, Clone, Copy, Default)]
struct Reads {
    count: u64,
    took: Duration,
}

impl Reads {
    fn and(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), took: self.took.saturating_add(other.took) }
    }

    fn note(self, span: &mut Span) {
        if self.count > 0 {
            span.note("nunatak.disk_reads", self.count);
            span.note("nunatak.disk_read_us", u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX));
        }
    }
}

/// Whether the task is in a span.
pub(super) fn is_followed() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// A disk was read, for so long.
pub(super) fn note_read(took: Duration) {
    READS.set(READS.get().and(Reads { count: 1, took }));
}

/// The span that the task is in.
pub(super) fn current() -> Option<Context> {
    CURRENT.with_borrow(Clone::clone)
}

/// The thread is in a span, until dropped.
struct Entered {
    before: Option<Context>,
}

impl Entered {
    fn new(context: &Context) -> Self {
        Self { before: CURRENT.replace(Some(context.clone())) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// A future that is in a span whenever it is polled.
#[derive(Debug)]
pub struct Within<F> {
    future: F,
    context: Option<Context>,
    /// Ends with the future.
    span: Option<Span>,
    reads: Reads,
}

/// Has a future be in a span, which ends with it. Without one it costs a comparison for each poll.
pub fn within<F: Future + Unpin>(span: Option<Span>, future: F) -> Within<F> {
    let context = span.as_ref().map(|span| span.context().clone());
    Within { future, context, span, reads: Reads::default() }
}

/// Has a future be in a span that goes on by itself.
pub fn under<F: Future + Unpin>(context: Option<Context>, future: F) -> Within<F> {
    Within { future, context, span: None, reads: Reads::default() }
}

impl<F: Future + Unpin> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let Some(context) = &this.context else { return Pin::new(&mut this.future).poll(cx) };
        let entered = Entered::new(context);
        let before = READS.take();
        let polled = Pin::new(&mut this.future).poll(cx);
        let reads = READS.take();
        drop(entered);
        // They are those of the span above, too.
        READS.set(before.and(reads));
        this.reads = this.reads.and(reads);
        if polled.is_ready()
            && let Some(mut span) = this.span.take()
        {
            this.reads.note(&mut span);
        }
        polled
    }
}
