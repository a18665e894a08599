//! A call's message, before it is read: what is large takes a share of the room that all calls have, and comes in time.
//!
//! ```text
//! 'compressed?' (one byte) │ length u32 │ message         the first five bytes tell how much room is taken before more is received
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use env::clock::Instant;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tonic::Status;
use tonic::body::Body;

use super::status;
use crate::door::{Room, Share};

/// What stands before a message.
const HEADER_BYTES: usize = 5;

/// How long a message may take to come, once there is room for it: shorter than others wait for room, so that nobody who sends slowly
/// has them wait in vain.
const COMING: Duration = Duration::from_secs(15);

/// What of a message has come, what is to come, and until when.
struct Coming {
    begun: VecDeque<Bytes>,
    body: Body,
    deadline: Instant,
}

impl Coming {
    fn new(body: Body) -> Self {
        Self { begun: VecDeque::new(), body, deadline: env::clock::now() + COMING }
    }

    /// What is there of it, or comes next; `None` at its end.
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        match self.begun.pop_front() {
            Some(begun) => Some(Ok(begun)),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            let left = self.deadline.saturating_duration_since(env::clock::now());
            let received = match env::clock::timeout(left, self.body.frame()).await {
                Ok(Some(received)) => received,
                Ok(None) => return None,
                Err(_) => return Some(Err(status::refusal("57014", "the message does not come in time"))),
            };
            match received.map(Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                // What stands behind a request's message says nothing here.
                Ok(Err(_)) => {}
                Err(status) => return Some(Err(status)),
            }
        }
    }
}

/// Lets a message come: the body to read it from, and its share of the room, to be kept as long as the call works with it.
///
/// # Errors
/// It is too long, there is no room for it, or it does not come.
pub(super) async fn receive(room: &Room, body: Body) -> Result<(Body, Share), Status> {
    let mut coming = Coming::new(body);
    let mut header = Vec::with_capacity(HEADER_BYTES);
    while header.len() < HEADER_BYTES {
        let Some(received) = coming.receive().await else { break };
        let received = received?;
        header.extend(received.iter().take(HEADER_BYTES.saturating_sub(header.len())));
        coming.begun.push_back(received);
    }
    let length = length(&header);
    if length > api::MESSAGE_BYTES_MAX {
        let message = format!("a message has at most {} bytes, not {length}", api::MESSAGE_BYTES_MAX);
        return Err(status::refusal("54000", &message));
    }
    let share = room.share(length).await;
    let share = share.map_err(|full| status::refusal("53200", &full.to_string()))?;
    coming.deadline = env::clock::now() + COMING;
    let frames = stream::unfold(coming, |mut coming| async move {
        let next = coming.next().await?;
        Some((next.map(Frame::data), coming))
    });
    Ok((Body::new(StreamBody::new(frames)), share))
}

/// How long the message is that begins so.
fn length(header: &[u8]) -> usize {
    let length = header.last_chunk::<4>().filter(|_| header.len() >= HEADER_BYTES);
    length.map_or(0, |bytes| usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    /// A message of this length, of which the first bytes come in pieces, and then the end or nothing.
    fn sent(length: u32, pieces: &[usize], ends: bool) -> Body {
        let all: Vec<u8> =
            [0].into_iter().chain(length.to_be_bytes()).chain(std::iter::repeat_n(7, 1 << 20)).collect();
        let mut at = 0;
        let mut frames = Vec::new();
        for piece in pieces {
            frames.push(Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(&all[at..at + piece]))));
            at += piece;
        }
        let frames = stream::iter(frames);
        match ends {
            true => Body::new(StreamBody::new(frames)),
            false => Body::new(StreamBody::new(futures::StreamExt::chain(frames, stream::pending()))),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_message_takes_room_before_it_is_there_and_comes_as_it_was_sent() {
        let room = Room::new();
        for (length, pieces, is_large) in
            [(10, vec![1, 3, 11], false), (200 << 10, vec![2, 100_000, 104_803], true), (0, vec![5], false)]
        {
            let (body, share) = receive(&room, sent(length, &pieces, true)).await.unwrap();
            assert_eq!(share.is_some(), is_large);
            let read = body.collect().await.unwrap().to_bytes();
            assert_eq!(read.len(), pieces.iter().sum::<usize>());
            assert_eq!(read[1..5], length.to_be_bytes());
        }
        let (_, share) = receive(&room, Body::empty()).await.unwrap();
        assert!(share.is_none());
    }

    #[tokio::test]
    async fn what_is_too_long_is_refused_before_more_of_it_comes() {
        let room = Room::new();
        let longest = u32::try_from(api::MESSAGE_BYTES_MAX).unwrap();
        assert!(receive(&room, sent(longest, &[5], true)).await.is_ok());
        let refused = receive(&room, sent(longest + 1, &[5], false)).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(api::refusal::detail(&refused).unwrap().sqlstate, "54000");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_does_not_come_is_waited_for_no_longer_than_others_wait_for_room() {
        let room = Room::new();
        let began = env::clock::now();
        let nothing = receive(&room, sent(10, &[3], false)).await.err().unwrap();
        assert_eq!(nothing.code(), Code::DeadlineExceeded);
        assert!(began.elapsed() >= COMING && began.elapsed() < COMING * 2);
        let mut held = Vec::new();
        for _ in 0..28 {
            held.push(receive(&room, sent(9 << 20, &[5, 10], false)).await.unwrap());
        }
        // There is room for no more, until those are given up.
        let slow = async {
            for (body, share) in held {
                let status = body.collect().await.err().unwrap();
                assert_eq!(status.code(), Code::DeadlineExceeded);
                drop(share);
            }
        };
        let ((), received) = tokio::join!(slow, receive(&room, sent(9 << 20, &[5, 10], false)));
        assert!(received.unwrap().1.is_some());
    }
}
