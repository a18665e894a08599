//! A connection: its requests one after the other, for as long as its client takes part.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use env::watch;
use futures::FutureExt as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::pace::{PATIENCE, Pace, Paced};
use super::visitors::Stay;
use super::{HttpPort, Page, Pages};
use crate::door::{Accepted, Caller, Counted, Share, Wire, stopping};
use crate::graphql::{Answer, Exchange, GraphQl, PATH, plain};
use crate::registry::Phase;
use crate::tls::Stream;

/// Headers of a request, and what is read of it at once.
const HEADERS_MAX: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Serves a client of GraphQL's own port until it or the gateway ends.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, graphql: &Arc<GraphQl>) {
    let door = &graphql.door;
    let received = door.receive((stream, peer), |tls| &tls.http_1, Some(door.shared.patience())).await;
    let Some((accepted, counted)) = received else { return };
    converse((accepted, peer), None, Some(graphql), Some(counted), Stay::unbounded()).await;
}

/// Serves a client of a port with pages until it leaves, or has to.
pub(super) async fn serve_visitor(stream: TcpStream, peer: SocketAddr, port: &HttpPort, mut stay: Stay) {
    let encrypting = async {
        match &port.graphql {
            Some(graphql) => graphql.door.encrypt(stream, |tls| &tls.http_1).await,
            None => Some(Accepted { stream: Stream::Plain(stream), channel: None }),
        }
    };
    let accepted = tokio::select! {
        biased;
        () = stay.over() => None,
        accepted = env::clock::timeout(PATIENCE, encrypting) => accepted.ok().flatten(),
    };
    let Some(accepted) = accepted else { return };
    converse((accepted, peer), Some(port.pages.clone()), port.graphql.as_ref(), None, stay).await;
}

async fn converse(
    (accepted, peer): (Accepted, SocketAddr),
    pages: Option<Pages>,
    graphql: Option<&Arc<GraphQl>>,
    counted: Option<Counted>,
    mut stay: Stay,
) {
    let Accepted { stream, channel } = accepted;
    let (caller, pace) = (Caller::new(peer, channel), Pace::new());
    let watched = caller.watched();
    let wire = Paced::new(Wire::new(stream, caller.clone(), None), pace.clone());
    let patience = graphql.map_or(PATIENCE, |graphql| graphql.door.shared.patience());
    let mut phase = graphql.map(|graphql| graphql.door.registry.phase());
    let exchange = graphql.map(|graphql| Exchange::new(graphql.clone(), caller, peer));
    let counted = Mutex::new(counted);
    let connection =
        Arc::new(Connection { peer, pages, exchange, counted, came: Notify::new(), pace: pace.clone() });
    let asked = connection.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let connection = asked.clone();
        async move { Ok::<_, Infallible>(connection.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADERS_MAX).max_buf_size(BUFFER_BYTES).preserve_header_case(true);
    let mut conversation = pin!(builder.serve_connection(TokioIo::new(wire), service).with_upgrades());
    let mut is_ending = false;
    loop {
        let is_counted = connection.is_counted();
        if is_counted {
            stay.settle();
        }
        tokio::select! {
            biased;
            ended = conversation.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "connection lost");
                    return;
                }
                break;
            }
            // It is looked at anew.
            () = connection.came.notified() => {}
            () = stay.over() => {
                // It may have become a client of the door since.
                if !connection.is_counted() {
                    tracing::debug!(%peer, "closing a connection: others need its place");
                    return;
                }
            }
            () = stops(&mut phase), if is_counted && !is_ending => {
                is_ending = true;
                conversation.as_mut().graceful_shutdown();
            }
            () = env::clock::sleep(LOOK) => {
                if pace.is_late() || (is_counted && watched.is_strange(patience)) {
                    tracing::debug!(%peer, "closing a connection: its client has taken too long");
                    return;
                }
                watched.sweep().await;
            }
        }
    }
    stay.settle();
    if let Some(exchange) = &connection.exchange {
        exchange.go_on().await;
    }
}

/// Completes once the gateway is about to stop, if there is one.
async fn stops(phase: &mut Option<watch::Receiver<Phase>>) {
    match phase {
        Some(phase) => stopping(phase).await,
        None => std::future::pending().await,
    }
}

/// What is asked over a connection.
struct Connection {
    peer: SocketAddr,
    /// None: the port is GraphQL's alone.
    pages: Option<Pages>,
    exchange: Option<Exchange>,
    /// What counts it at GraphQL's door, from the first request there on.
    counted: Mutex<Option<Counted>>,
    /// That it is counted now, and no visitor any more.
    came: Notify,
    pace: Arc<Pace>,
}

impl Connection {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.pace.begin();
        let is_for_graphql = self.pages.is_none() || request.uri().path() == PATH;
        let (answer, share) = match &self.exchange {
            Some(exchange) if is_for_graphql => self.ask(exchange, request).await,
            _ => (self.show(request).await, None),
        };
        self.pace.answer(share);
        answer
    }

    async fn ask(&self, exchange: &Exchange, request: Request<Incoming>) -> (Answer, Share) {
        if !self.count(exchange) {
            let why = "there are too many connections, or the gateway is about to stop\n";
            let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, why);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return (answer, None);
        }
        // What it takes to answer is not kept by those who rest: a connection has room for all of this.
        exchange.respond(request).boxed().await
    }

    fn is_counted(&self) -> bool {
        self.counted.lock().is_some()
    }

    /// Has the door count the connection, unless it does. Whether it takes it.
    fn count(&self, exchange: &Exchange) -> bool {
        let mut counted = self.counted.lock();
        if counted.is_none() {
            *counted = exchange.come(self.peer);
            self.came.notify_one();
        }
        counted.is_some()
    }

    async fn show(&self, request: Request<Incoming>) -> Answer {
        let writing = self.pages.as_ref().and_then(|pages| pages(request.uri().path()));
        match writing {
            None => plain(StatusCode::NOT_FOUND, "there is no such page\n"),
            Some(writing) if matches!(*request.method(), Method::GET | Method::HEAD) => shown(writing.await),
            Some(_) => {
                let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "GET\n");
                answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                answer
            }
        }
    }
}

fn shown(page: Page) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(page.text)));
    *answer.status_mut() = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(page.content));
    answer
}
