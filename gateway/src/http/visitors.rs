//! Who visits a port and is not asked who it is: few at once.
//!
//! Nobody may hold the port: of more than there is room for the one that came first gives way, so that a new one is always heard.

use std::collections::VecDeque;

use tokio::sync::oneshot;

/// Visitors at once.
const VISITORS_MAX: usize = 64;

/// Those who are here, the first to come in front: dropped, one has to go.
#[derive(Default)]
pub(super) struct Visitors(VecDeque<oneshot::Sender<()>>);

impl Visitors {
    /// Lets one more in, if need be in the place of the first.
    pub(super) fn admit(&mut self) -> Stay {
        self.0.retain(|visitor| !visitor.is_closed());
        if self.0.len() >= VISITORS_MAX {
            self.0.pop_front();
        }
        let (stays, over) = oneshot::channel();
        self.0.push_back(stays);
        Stay(Some(over))
    }
}

/// For how long a visitor may stay; dropped, its place is free.
pub(super) struct Stay(Option<oneshot::Receiver<()>>);

impl Stay {
    /// Of who is no visitor: as long as it likes.
    pub(super) fn unbounded() -> Self {
        Self(None)
    }

    /// Completes when another one needs the place.
    pub(super) async fn over(&mut self) {
        match &mut self.0 {
            Some(over) => {
                let _ = over.await;
                // It is not asked again.
                self.0 = None;
            }
            None => std::future::pending().await,
        }
    }

    /// It is no visitor any more: its place is free.
    pub(super) fn settle(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn the_first_to_come_gives_way() {
        let mut visitors = Visitors::default();
        let mut stays: Vec<Stay> = (0..VISITORS_MAX).map(|_| visitors.admit()).collect();
        assert!(stays.iter_mut().all(|stay| stay.over().now_or_never().is_none()));
        let mut another = visitors.admit();
        let mut first = stays.remove(0);
        assert!(first.over().now_or_never().is_some());
        assert!(stays.iter_mut().all(|stay| stay.over().now_or_never().is_none()));
        // Who has gone makes room, and so does who is no visitor any more.
        stays.pop();
        if let Some(stay) = stays.last_mut() {
            stay.settle();
        }
        let mut more = [visitors.admit(), visitors.admit()];
        assert!(stays.iter_mut().chain(&mut more).all(|stay| stay.over().now_or_never().is_none()));
        assert!(another.over().now_or_never().is_none());
        assert!(Stay::unbounded().over().now_or_never().is_none());
    }
}
