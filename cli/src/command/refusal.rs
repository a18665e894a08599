//! Why a node did not do what it was asked, told so that a person knows what to do about it.
//!
//! A process has several ports, and a node that listens need not be part of a cluster. Which it is says neither the
//! transport's error nor a status' code: so the port is asked what it speaks, and the node whether it belongs to a cluster.

use std::error::Error as _;
use std::time::Duration;

use proto::v1::HelloRequest;
use proto::{Code, NodeService, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::NODE_ADDRESS;
use crate::address::Address;
use crate::failure::Failure;

/// How long may take what is asked to find out more.
const PATIENCE: Duration = Duration::from_secs(3);

/// PostgreSQL's request for encryption: a server answers one byte, 'N' or 'S', and waits for what comes next.
const ENCRYPTION_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Why `node`, at `host`, has answered `status`.
pub(crate) async fn refused(node: &dyn NodeService, host: &Address, status: &Status) -> Failure {
    if let Some(failure) = wrong_port(host).await {
        return failure;
    }
    let message = status.message();
    if never_arrived(status) || status.code() != Code::Unavailable {
        return match status.code() {
            Code::Unavailable => Failure::usage(format!("cannot reach a node at {host}: {message}")),
            // What a node that speaks TLS sends to one who does not, or what is no node at all.
            Code::Unknown | Code::Internal if never_arrived(status) => Failure::failed(format!(
                "cannot talk to a node at {host}: {message}; one that shows a certificate \
                 takes --tls-ca, --tls-cert and --tls-key"
            )),
            _ => Failure::failed(format!("the node at {host} answers: {message}")),
        };
    }
    let hello = env::clock::timeout(PATIENCE, node.hello(HelloRequest::default())).await;
    match hello {
        Ok(Ok(hello)) if hello.cluster_id.is_empty() => Failure::failed(format!(
            "the node at {host} runs, but belongs to no cluster yet: `nunatak init --host {host}` makes a new one; if there is \
             one already, the node's --join must name a node of it"
        )),
        _ => Failure::failed(format!("the node at {host} cannot answer now: {message}")),
    }
}

/// The failure if what listens at `host` is another port of a process than that for nodes.
pub(crate) async fn wrong_port(host: &Address) -> Option<Failure> {
    let what = match env::clock::timeout(PATIENCE, first_bytes(host)).await.ok()?.ok()?.as_slice() {
        [b'N' | b'S'] => "a SQL port",
        bytes if bytes.starts_with(b"HTTP/") => "an HTTP port",
        _ => return None,
    };
    Some(Failure::usage(format!(
        "{host} is {what}, and no node's: --host takes the address that `nunatak node` has as --listen ({NODE_ADDRESS} unless \
         told otherwise); `start-single` and `demo` have none"
    )))
}

/// Whether nothing has arrived, and what listens at `host` ends connections without a word: as a proxy or a balancer does that stands
/// before a node which is not there yet.
pub(crate) async fn nobody_is_behind(host: &Address, status: &Status) -> bool {
    never_arrived(status)
        && match env::clock::timeout(PATIENCE, first_bytes(host)).await {
            Ok(Ok(bytes)) => bytes.is_empty(),
            Ok(Err(_)) => true,
            Err(_) => false,
        }
}

/// Whether the status was made on this side: a node's own has no cause here.
fn never_arrived(status: &Status) -> bool {
    status.source().is_some()
}

/// What is answered to a request for encryption.
async fn first_bytes(host: &Address) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(host.as_str()).await?;
    stream.write_all(&ENCRYPTION_REQUEST).await?;
    let mut answer = vec![0; 16];
    let count = stream.read(&mut answer).await?;
    answer.truncate(count);
    Ok(answer)
}
