//! A slow link of the test's own: a TCP proxy on loopback with a bandwidth and a delay.
//!
//! What is sent to the address behind it shares one bandwidth, and what comes back another one, as on a machine's network
//! card; the connections take turns, 16 KiB at a time, so that each is a queue of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep_until};

/// What a connection sends at a time.
const TURN_BYTES: usize = 16 << 10;

/// What a link buffers of a connection before its sender has to wait; the kernel doubles it.
const BUFFER_BYTES: u32 = 64 << 10;

/// How far a link may be behind its schedule, for timers are late, and make up for it.
const LATE_MAX: Duration = Duration::from_millis(10);

/// A link's speed.
#[derive(Clone, Copy, Debug)]
pub struct Speed {
    /// Bits in a second, in each direction.
    pub bits_per_second: u64,
    /// One way.
    pub delay: Duration,
}

/// The link to one address. Ends when it is dropped.
pub struct SlowLink {
    /// Where to connect to in place of the address behind it.
    pub address: String,
    _runtime: Runtime,
}

impl SlowLink {
    /// A slow link to `target`, where somebody may listen later.
    pub fn start(target: &str, speed: Speed) -> Self {
        let target: SocketAddr = target.parse().expect("an address");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(BUFFER_BYTES).expect("a small buffer");
            socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
            socket.listen(128).expect("a listener")
        });
        let address = listener.local_addr().expect("its address").to_string();
        let (there, back) = (Arc::new(Line::new(speed)), Arc::new(Line::new(speed)));
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (there, back) = (there.clone(), back.clone());
                tokio::spawn(async move {
                    let socket = TcpSocket::new_v4().expect("a socket");
                    socket.set_recv_buffer_size(BUFFER_BYTES).expect("a small buffer");
                    // Nobody listens: the connection ends, as it would without the link.
                    let Ok(far) = socket.connect(target).await else { return };
                    carry(near, far, there, back).await;
                });
            }
        });
        Self { address, _runtime: runtime }
    }
}

async fn carry(near: TcpStream, far: TcpStream, there: Arc<Line>, back: Arc<Line>) {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    // One end that closes or breaks its direction closes it at the other end; both gone, the connection is.
    tokio::join!(there.carry(near_in, far_out), back.carry(far_in, near_out));
}

/// One direction of a link.
struct Line {
    speed: Speed,
    free_at: Mutex<Instant>,
}

impl Line {
    fn new(speed: Speed) -> Self {
        Self { speed, free_at: Mutex::new(Instant::now()) }
    }

    async fn carry(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (sender, mut arriving) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let sending = async move {
            let mut turn = vec![0; TURN_BYTES];
            loop {
                let Ok(bytes @ 1..) = from.read(&mut turn).await else { return };
                let sent = self.leave(bytes).await;
                sleep_until(sent).await;
                if sender.send((sent + self.speed.delay, turn[..bytes].to_vec())).is_err() {
                    return;
                }
            }
        };
        let arriving = async move {
            while let Some((at, bytes)) = arriving.recv().await {
                sleep_until(at).await;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(sending, arriving);
    }

    /// When the last of so many bytes has left, behind everything that came before.
    async fn leave(&self, bytes: usize) -> Instant {
        let took = Duration::from_nanos(bytes as u64 * 8 * 1_000_000_000 / self.speed.bits_per_second);
        let mut free_at = self.free_at.lock().await;
        let earliest = Instant::now().checked_sub(LATE_MAX).unwrap_or_else(Instant::now);
        *free_at = (*free_at).max(earliest) + took;
        *free_at
    }
}
