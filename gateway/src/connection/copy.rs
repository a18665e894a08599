//! COPY FROM STDIN: the client sends data until it is done or gives up.

use sql::{CommandTag, CopyHeader, Error, Portal};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Connection, Ending, Failure};
use crate::pgwire::frontend::Message;
use crate::pgwire::{Frame, backend};

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Asks for data and hands it to the statement until its end.
    pub(super) async fn copy_in(
        &mut self,
        portal: &mut Portal,
        header: CopyHeader,
    ) -> Result<CommandTag, Failure> {
        backend::copy_in_response(self.wire.output(), header);
        self.flush().await?;
        loop {
            let frame = self.copy_frame(portal).await?;
            self.turn.go_on();
            let encoding = self.session.context().client_encoding;
            // What the data is in, the statement knows.
            let frame =
                if encoding.is_utf8() { frame } else { frame.in_utf8(encoding).map_err(Error::from)? };
            match frame.decode()? {
                Message::CopyData(data) => self.session.copy_data(portal, data).await?,
                Message::CopyDone => return Ok(self.session.copy_done(portal).await?),
                Message::CopyFail(reason) => return Err(self.session.copy_fail(portal, reason).await.into()),
                // The extended protocol's clients may have sent these before they knew of the COPY.
                Message::Flush | Message::Sync => {}
                Message::Terminate => return Err(Failure::Connection(Ending::Client)),
                _ => {
                    let message =
                        format!("unexpected message type 0x{:02X} during COPY from stdin", frame.kind);
                    return Err(Error::new("08P01", message).into());
                }
            }
        }
    }

    /// The next message. A client that sends none holds its locks no longer than it is let: the statement can be
    /// cancelled and times out.
    async fn copy_frame(&mut self, portal: &Portal) -> Result<Frame, Failure> {
        let cancel = self.session.cancel_handle();
        let deadline = portal.deadline();
        let timer = async {
            match deadline {
                Some(deadline) => env::clock::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            frame = self.frame_within(None) => frame.map_err(Failure::Connection),
            () = cancel.cancelled() => {
                Err(Error::new("57014", "canceling statement due to user request").into())
            }
            () = timer => Err(cancel.timed_out().into()),
        }
    }
}
