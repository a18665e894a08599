//! Ports of HTTP/1.1: that of GraphQL alone, and those at which a process says how it is, with GraphQL beside it.
//!
//! ```text
//! accept ──▶ a visitor, if there are pages (visitors) ──▶ plain or TLS, by the first byte ──▶ connection (pace) ──▶ a page
//!                                                                                               └──/graphql──▶ counted by the door ──▶ graphql
//! ```
//!
//! # Invariants
//! - Who asks for pages is asked nothing, and takes nothing of the door: pages are there when the door is full, and when the gateway stops.
//! - Who has asked for GraphQL is a client of its door like any other, and no visitor any more: neither takes the other's places.

mod connection;
mod pace;
mod visitors;

use std::net::SocketAddr;
use std::sync::Arc;

use env::task::Scope;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use crate::door::accept;
use crate::graphql::GraphQl;
use visitors::Visitors;

pub(crate) use connection::serve;

/// What a process says of itself at one path.
#[derive(Debug, Clone)]
pub struct Page {
    /// A status of HTTP: 200, 503.
    pub status: u16,
    /// What the text is, as `content-type` says it.
    pub content: &'static str,
    /// What is said.
    pub text: String,
}

/// Has the page at a path written, anew whenever it is asked for; none: there is no such page. It is to be short, and soon.
pub type Pages = Arc<dyn Fn(&str) -> Option<BoxFuture<'static, Page>> + Send + Sync>;

/// A port with the pages of a process, and GraphQL if the process has a gateway ([`crate::Gateway::http_port`]).
pub struct HttpPort {
    pages: Pages,
    graphql: Option<Arc<GraphQl>>,
}

impl HttpPort {
    /// One that has nothing but pages.
    pub fn new(pages: Pages) -> Self {
        Self { pages, graphql: None }
    }

    pub(crate) fn with_graphql(pages: Pages, graphql: Arc<GraphQl>) -> Self {
        Self { pages, graphql: Some(graphql) }
    }

    /// Serves on the current runtime for as long as the process lives. Answers where.
    ///
    /// # Errors
    /// The listener does not know its address.
    pub fn serve(self, listener: TcpListener) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let pool = self.graphql.as_ref().map(|graphql| graphql.door.shared.options.pool.clone());
        let (port, pool, scope) = (Arc::new(self), pool.unwrap_or_default(), Scope::new());
        env::task::spawn(async move {
            let mut visitors = Visitors::default();
            loop {
                let (stream, peer) = accept(&listener).await;
                let (port, stay) = (port.clone(), visitors.admit());
                pool.spawn(&scope, async move { connection::serve_visitor(stream, peer, &port, stay).await });
            }
        });
        Ok(address)
    }
}
