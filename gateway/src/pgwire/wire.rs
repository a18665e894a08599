//! One connection's bytes: bounded frames in, buffered messages out.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::ProtocolError;
use crate::tls::{Channel, Loaded, Stream};

/// Startup packets are at most this long, as in PostgreSQL.
const STARTUP_BYTES_MAX: usize = 10_000;

/// Messages that carry neither SQL nor data are at most this long, as in PostgreSQL.
const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;

/// So many Closes are looked behind.
const CLOSES_MAX: usize = 2;

/// How much room is made for one read, where there is less than the least.
const READ_BYTES: usize = 16 * 1024;
const READ_BYTES_MIN: usize = 1024;

/// How much input is read ahead while a statement runs.
const READ_AHEAD_BYTES_MAX: usize = 64 * 1024;

/// Output beyond this is sent before more is produced.
const OUTPUT_BYTES_HIGH: usize = 128 * 1024;

/// Buffers that grew past this are given back once they are empty.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// How long, and for how much, input is awaited and thrown away after the last word of a session.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: u64 = 64 << 20;

/// How long the rest of a message that was refused for its length may pause, and take in all.
const REST_PAUSE_MAX: Duration = Duration::from_secs(2);
const REST_MAX: Duration = Duration::from_secs(60);

/// One message: its kind and its body without the length.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The message's first byte.
    pub(crate) kind: u8,
    /// What follows the length.
    pub(crate) body: Bytes,
}

/// A connection as frames and messages.
///
/// # Invariants
/// - Memory follows the bytes that arrived, never the length that a message claims to have.
/// - A call to [`Wire::frame`] that is dropped halfway loses nothing: what arrived stays in `input`.
pub(crate) struct Wire<S> {
    stream: Stream<S>,
    channel: Option<Channel>,
    input: BytesMut,
    output: BytesMut,
    message_bytes_max: usize,
    /// How long the message is that was refused for its length. It is the last that is looked at.
    refused_bytes: u64,
    /// Bytes that have come and gone since that was last asked.
    moved: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// A connection over `stream` that refuses messages of more than `message_bytes_max` bytes.
    pub(crate) fn new(stream: S, message_bytes_max: usize) -> Self {
        Self {
            stream: Stream::Plain(stream),
            channel: None,
            input: BytesMut::new(),
            output: BytesMut::new(),
            message_bytes_max,
            refused_bytes: 0,
            moved: 0,
        }
    }

    /// How many bytes have come and gone since this was last asked.
    pub(crate) fn take_moved(&mut self) -> u64 {
        std::mem::take(&mut self.moved)
    }

    /// The next startup packet, without its length.
    pub(crate) async fn startup_frame(&mut self) -> Result<Bytes, ProtocolError> {
        loop {
            if let Some(length) = self.peek_u32(0) {
                let length = length as usize;
                if !(8..=STARTUP_BYTES_MAX).contains(&length) {
                    return Err(ProtocolError::violation("invalid length of startup packet"));
                }
                if self.input.len() >= length {
                    self.input.advance(4);
                    return Ok(self.input.split_to(length - 4).freeze());
                }
            }
            self.fill().await?;
        }
    }

    /// Sends the one byte that refuses encryption.
    pub(crate) async fn refuse_encryption(&mut self) -> Result<(), ProtocolError> {
        self.stream.write_all(b"N").await?;
        Ok(())
    }

    /// Goes over to TLS, as the client has asked for. What it has sent already was not encrypted, and whoever stands in
    /// between may have put it there: nothing may have been.
    pub(crate) async fn encrypt(&mut self, tls: &Loaded) -> Result<(), ProtocolError> {
        if !self.input.is_empty() {
            return Err(ProtocolError::violation("received unencrypted data after SSL request"));
        }
        let Stream::Plain(mut stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(ProtocolError::violation("the connection is encrypted already"));
        };
        stream.write_all(b"S").await?;
        let encrypted = tls.acceptor.accept(stream).await.map_err(ProtocolError::Handshake)?;
        self.stream = Stream::Encrypted(Box::new(encrypted));
        self.channel =
            Some(Channel { certificate: self.stream.certificate(), end_point: tls.end_point.clone() });
        Ok(())
    }

    /// What encryption tells of the client; `None`: the connection is not encrypted.
    pub(crate) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// The kind of the next message behind those of kind 'C', if it has begun to arrive. At most [`CLOSES_MAX`] of them
    /// are passed, and none that is no message.
    pub(crate) fn kind_behind_closes(&self) -> Option<u8> {
        let mut place = 0_usize;
        for _ in 0..CLOSES_MAX {
            let kind = *self.input.get(place)?;
            let length =
                if kind == b'C' { self.peek_u32(place.saturating_add(1))? } else { return Some(kind) };
            if !(4..=SMALL_MESSAGE_BYTES_MAX).contains(&(length as usize)) {
                return Some(kind);
            }
            place = place.saturating_add(1).saturating_add(length as usize);
        }
        self.input.get(place).copied()
    }

    /// The next message. Waits for it without flushing what is buffered.
    pub(crate) async fn frame(&mut self) -> Result<Frame, ProtocolError> {
        loop {
            if let Some(frame) = self.buffered_frame()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// The body of the client's next answer in an exchange that proves who it is. Nothing else is waited for, whatever
    /// length it has.
    pub(crate) async fn answer(&mut self) -> Result<Bytes, ProtocolError> {
        loop {
            if let Some(kind) = self.input.first().filter(|kind| **kind != b'p') {
                return Err(ProtocolError::violation(format!(
                    "expected SASL response, got message type {kind}"
                )));
            }
            if let Some(frame) = self.buffered_frame()? {
                return Ok(frame.body);
            }
            self.fill().await?;
        }
    }

    /// Completes when the client has closed its side. What it sends meanwhile is kept for later, up to a bound: a client
    /// that sends more than that without reading an answer is not watched.
    pub(crate) async fn closed(&mut self) {
        while self.input.len() < READ_AHEAD_BYTES_MAX {
            if self.fill().await.is_err() {
                return;
            }
        }
        std::future::pending().await
    }

    /// The next message if it has arrived whole.
    pub(crate) fn buffered_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        let Some(&kind) = self.input.first() else { return Ok(None) };
        let bytes_max = match kind {
            b'Q' | b'P' | b'B' | b'd' | b'F' => self.message_bytes_max,
            b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' | b'p' => SMALL_MESSAGE_BYTES_MAX,
            _ => return Err(ProtocolError::violation(format!("invalid frontend message type {kind}"))),
        };
        let Some(length) = self.peek_u32(1) else { return Ok(None) };
        let length = length as usize;
        if length < 4 {
            return Err(ProtocolError::violation(format!("invalid message length {length}")));
        }
        if length > bytes_max {
            self.refused_bytes = length as u64 + 1;
            let what = match kind {
                b'Q' => "a query string",
                b'P' => "a statement to prepare",
                b'B' => "the parameters of a statement",
                b'd' => "a piece of COPY data",
                _ => {
                    return Err(ProtocolError::violation(format!(
                        "message of {length} bytes of type '{}' is longer than the {bytes_max} that are allowed",
                        char::from(kind)
                    )));
                }
            };
            let message = format!("{what} of {length} bytes is too long: at most {bytes_max} are allowed");
            return Err(ProtocolError::TooLong { message });
        }
        if self.input.len() < length + 1 {
            return Ok(None);
        }
        self.input.advance(5);
        let body = self.input.split_to(length - 4).freeze();
        Ok(Some(Frame { kind, body }))
    }

    fn peek_u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.input.get(offset..offset.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }

    /// Waits until more has arrived. Dropped halfway, nothing is lost.
    pub(crate) async fn fill(&mut self) -> Result<(), ProtocolError> {
        if self.input.is_empty() && self.input.capacity() > BUFFER_BYTES_KEPT {
            self.input = BytesMut::new();
        }
        // As long as a message is looked at its buffer is shared, and to make room is to have another.
        if self.input.capacity() - self.input.len() < READ_BYTES_MIN {
            self.input.reserve(READ_BYTES);
        }
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(ProtocolError::Closed),
            Ok(count) => {
                self.moved = self.moved.saturating_add(count as u64);
                Ok(())
            }
            Err(error) if is_disconnect(&error) => Err(ProtocolError::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Where messages to the client are encoded to.
    pub(crate) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether so much is buffered that it should be sent.
    pub(crate) fn holds_much(&self) -> bool {
        self.output.len() >= OUTPUT_BYTES_HIGH
    }

    /// Whether anything is buffered, or was when sending it was given up: a part of it may have been sent.
    pub(crate) fn holds_any(&self) -> bool {
        !self.output.is_empty()
    }

    /// Sends what is buffered.
    pub(crate) async fn flush(&mut self) -> Result<(), ProtocolError> {
        if self.output.is_empty() {
            return Ok(());
        }
        self.moved = self.moved.saturating_add(self.output.len() as u64);
        // What TLS has taken it may still hold.
        let written = match self.stream.write_all(&self.output).await {
            Ok(()) => self.stream.flush().await,
            failed => failed,
        };
        if self.output.capacity() > BUFFER_BYTES_KEPT {
            self.output = BytesMut::new();
        } else {
            self.output.clear();
        }
        match written {
            Err(error) if is_disconnect(&error) => Err(ProtocolError::Closed),
            other => Ok(other?),
        }
    }

    /// Sends what is buffered and says that nothing will follow.
    pub(crate) async fn finish(mut self) {
        if self.flush().await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }

    /// As [`Wire::finish`], and gives the client a moment to read it: a socket that is closed with unread input is
    /// reset, and what was sent last is lost with it. A client that sends a message which is refused for its length
    /// reads the answer once it has sent it all, and many give up where they cannot: so the rest is taken in first.
    pub(crate) async fn finish_told(mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let rest = self.refused_bytes.saturating_sub(self.input.len() as u64);
        // Either way the connection is over.
        let _ = env::clock::timeout(REST_MAX, self.discard(rest, REST_PAUSE_MAX)).await;
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let _ = env::clock::timeout(LINGER, self.discard(LINGER_BYTES_MAX, LINGER)).await;
    }

    /// Throws away so many bytes of input, unless it ends or pauses for too long before.
    async fn discard(&mut self, bytes: u64, pause_max: Duration) {
        let mut left = bytes;
        while left > 0 {
            self.input.clear();
            self.input.reserve(READ_BYTES);
            match env::clock::timeout(pause_max, self.stream.read_buf(&mut self.input)).await {
                Ok(Ok(count)) if count > 0 => left = left.saturating_sub(count as u64),
                _ => return,
            }
        }
    }
}

fn is_disconnect(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_with(bytes: &[u8]) -> Wire<tokio::io::DuplexStream> {
        let (stream, _other) = tokio::io::duplex(1);
        let mut wire = Wire::new(stream, 1000);
        wire.input.extend_from_slice(bytes);
        wire
    }

    #[test]
    fn a_frame_is_given_out_only_when_whole() {
        let mut wire = wire_with(&[b'Q', 0, 0, 0, 6, b'x']);
        assert!(wire.buffered_frame().unwrap().is_none());
        wire.input.extend_from_slice(&[0, b'S', 0]);
        let frame = wire.buffered_frame().unwrap().unwrap();
        assert_eq!((frame.kind, &frame.body[..]), (b'Q', &b"x\0"[..]));
        assert!(wire.buffered_frame().unwrap().is_none());
    }

    #[test]
    fn lengths_out_of_bounds_are_violations() {
        for bytes in [&[b'Q', 0, 0, 0, 3][..], &[b'S', 0, 1, 0, 0], &[0, 0, 0, 0, 4], b"z"] {
            assert!(
                matches!(wire_with(bytes).buffered_frame(), Err(ProtocolError::Violation { .. })),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn too_much_sql_or_data_is_refused_at_its_length() {
        for kind in *b"QPBd" {
            for length in [[0, 0, 4, 0], [255; 4]] {
                let mut wire = wire_with(&[&[kind][..], &length].concat());
                assert!(matches!(wire.buffered_frame(), Err(ProtocolError::TooLong { .. })), "{kind}");
            }
        }
    }

    #[tokio::test]
    async fn a_startup_packet_of_a_gibibyte_is_refused_at_its_length() {
        let mut wire = wire_with(&[0x40, 0, 0, 0]);
        assert!(matches!(wire.startup_frame().await, Err(ProtocolError::Violation { .. })));
        assert!(wire.input.capacity() < 64 * 1024);
    }
}
