//! TLS towards clients: the certificate at hand, read anew while connections go on, and streams that may be encrypted.

mod server;
mod stream;

pub(crate) use server::Loaded;
pub use server::{ServerTls, TlsError, TlsFiles};
pub(crate) use stream::{Channel, Stream};
