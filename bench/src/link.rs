//! Long links of the benchmark's own: a TCP proxy on loopback that holds back what passes for a fixed time, in either direction.
//!
//! What is on its way is bounded: whoever reads slowly has the sender wait, as on any link.

use std::net::SocketAddr;
use std::time::Duration;

use env::clock::{self, Instant};
use env::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::failure::{Failure, Result};

/// What is carried at a time, and how many of these are on their way at most in one direction of a connection.
const PIECE_BYTES: usize = 16 << 10;
const PIECES_MAX: usize = 1024;

/// Links with the same delay. They end when this is dropped.
pub(crate) struct Links {
    runtime: Runtime,
    delay: Duration,
}

impl Links {
    /// Links that take so long, one way.
    pub(crate) fn new(delay: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|source| Failure::Start { program: "links".to_owned(), source })?;
        Ok(Self { runtime, delay })
    }

    /// Where to connect to in place of `target`, at which somebody may listen later.
    pub(crate) fn to(&self, target: &str) -> Result<String> {
        let failed = |source| Failure::File { path: target.into(), source };
        let target: SocketAddr = target
            .parse()
            .map_err(|_| Failure::Missing { program: "a link's address".to_owned(), what: "port" })?;
        let listener = self.runtime.block_on(TcpListener::bind("127.0.0.1:0")).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?.to_string();
        let delay = self.delay;
        drop(task::spawn_on(self.runtime.handle(), async move {
            while let Ok((near, _)) = listener.accept().await {
                drop(task::spawn(async move {
                    // Nobody listens: the connection ends, as it would without the link.
                    if let Ok(far) = TcpStream::connect(target).await {
                        carry(near, far, delay).await;
                    }
                }));
            }
        }));
        Ok(address)
    }
}

async fn carry(near: TcpStream, far: TcpStream, delay: Duration) {
    // Where it is refused pieces are only larger.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::join!(one_way(near_in, far_out, delay), one_way(far_in, near_out, delay));
}

/// Ends with whichever end does; the other one is told so by what is dropped.
async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let leaving = async move {
        let mut piece = vec![0; PIECE_BYTES];
        while let Ok(bytes @ 1..) = from.read(&mut piece).await {
            let sent = piece.get(..bytes).unwrap_or_default().to_vec();
            if sender.send((clock::now() + delay, sent)).await.is_err() {
                return;
            }
        }
    };
    let arriving = async move {
        while let Some((at, piece)) = arriving.recv().await {
            clock::sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(leaving, arriving);
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_passes_a_link_comes_late_and_whole() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let links = Links::new(Duration::from_millis(30)).unwrap();
        let address = links.to(&listener.local_addr().unwrap().to_string()).unwrap();
        let mut near = std::net::TcpStream::connect(address).unwrap();
        let begun = clock::now();
        near.write_all(&[7; 100_000]).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        let mut received = vec![0; 100_000];
        far.read_exact(&mut received).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(30) && received == [7; 100_000]);
        drop(near);
        assert_eq!(far.read(&mut received).unwrap(), 0);
    }
}
