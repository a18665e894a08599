//! Streams of answers: messages, and why there are no more.
//!
//! # Invariants
//! - No stream ends as if all were told unless it was said that all is: whatever has stopped who tells it, a session, a scope or the client's
//!   own pace, its end is an error.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures::Stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tonic::Status;

use super::status;

/// A stream of answers.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is told once all messages are.
pub(super) struct LastWord(Arc<Mutex<Option<Status>>>);

impl LastWord {
    /// All was told.
    pub(super) fn all_is_told(&self) {
        *self.0.lock() = None;
    }

    /// Why the rest is not.
    pub(super) fn say(&self, why: Status) {
        *self.0.lock() = Some(why);
    }
}

/// A stream of what is sent, of which so many messages may wait for the client. It ends when the sender is dropped, by the last word
/// that was said until then: that the gateway has stopped, if there was none.
pub(super) fn answers<T: Send + 'static>(messages_ahead: usize) -> (mpsc::Sender<T>, LastWord, Answers<T>) {
    let (sender, mut receiver) = mpsc::channel(messages_ahead);
    let last_word = Arc::new(Mutex::new(Some(status::refusal("57P01", "the gateway has stopped"))));
    let said = last_word.clone();
    let answers = futures::stream::poll_fn(move |cx| match receiver.poll_recv(cx) {
        Poll::Ready(None) => Poll::Ready(said.lock().take().map(Err)),
        Poll::Ready(Some(message)) => Poll::Ready(Some(Ok(message))),
        Poll::Pending => Poll::Pending,
    });
    (sender, LastWord(last_word), Box::pin(answers))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use tonic::Code;

    use super::*;

    /// What is heard of two messages, and the code that follows them.
    async fn heard(end: impl FnOnce(&LastWord)) -> (Vec<u8>, Option<Code>) {
        let (sender, last_word, mut answers) = answers::<u8>(2);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
        end(&last_word);
        drop(sender);
        let (mut messages, mut code) = (Vec::new(), None);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(message) => messages.push(message),
                Err(status) => code = Some(status.code()),
            }
        }
        (messages, code)
    }

    #[tokio::test]
    async fn only_what_was_told_to_its_end_ends_well() {
        assert_eq!(heard(LastWord::all_is_told).await, (vec![1, 2], None));
        assert_eq!(heard(|_| {}).await, (vec![1, 2], Some(Code::Unavailable)));
        let slow = |last_word: &LastWord| last_word.say(status::refusal("57014", "too slow"));
        assert_eq!(heard(slow).await, (vec![1, 2], Some(Code::DeadlineExceeded)));
    }
}
