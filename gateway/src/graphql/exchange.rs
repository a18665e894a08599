//! Requests of HTTP, whichever port they come to, and their answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use env::trace::Parent;
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request as HttpRequest, Response, StatusCode};
use parking_lot::Mutex;
use tonic::metadata::MetadataMap;

use super::document::Document;
use super::holdings::GraphQl;
use super::operation::{Asked, Asker};
use super::origin;
use super::refusal::Refused;
use super::request::Request;
use super::select::is_mutation;
use super::socket::{self, Handshake};
use crate::door::{Caller, Counted, Share};

/// Where requests go.
pub(crate) const PATH: &str = "/graphql";

/// The page that asks.
const PAGE: &str = include_str!("page.html");

/// What an answer is called, if its reader knows the name that GraphQL has for it.
const RESPONSE: &str = "application/graphql-response+json";

/// What the page may do: ask this server, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'";

/// A longer request is refused.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a request that is too long is thrown away, and for how long: a socket that is closed with unread input is reset, and
/// what was sent last is lost with it.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: usize = 16 << 20;

/// What is answered.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A client, and what it asks over its connection.
pub(crate) struct Exchange {
    graphql: Arc<GraphQl>,
    caller: Caller,
    is_near: bool,
    /// Where the connection waits that goes on as a socket.
    turned: Mutex<Option<Handshake>>,
}

impl Exchange {
    /// Of a client that comes from there.
    pub(crate) fn new(graphql: Arc<GraphQl>, caller: Caller, peer: SocketAddr) -> Self {
        let is_near = peer.ip().to_canonical().is_loopback();
        Self { graphql, caller, is_near, turned: Mutex::default() }
    }

    /// Comes to the door, which counts the connection from now on. None: it is not taken.
    pub(crate) fn come(&self, peer: SocketAddr) -> Option<Counted> {
        let counted = self.graphql.door.count(peer)?;
        self.caller.arrive();
        Some(counted)
    }

    /// Goes on as a socket, until one side ends it, if the last request was for one: its connection is this one's then.
    pub(crate) async fn go_on(&self) {
        let handshake = self.turned.lock().take();
        if let Some(handshake) = handshake {
            socket::serve(handshake, &self.graphql, self.caller.clone(), self.is_near).boxed().await;
        }
    }

    /// Answers a request. The answer's share of the room is to be kept until it is sent.
    pub(crate) async fn respond(&self, request: HttpRequest<Incoming>) -> (Answer, Share) {
        if request.uri().path() != PATH {
            return (plain(StatusCode::NOT_FOUND, "there is nothing but /graphql\n"), None);
        }
        match *request.method() {
            Method::GET if socket::is_asked_for(request.headers()) => (self.turn(request), None),
            Method::GET if is_asked_by_address(&request) => self.answer(request).await,
            Method::GET | Method::HEAD => (page(), None),
            Method::POST => self.answer(request).await,
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or POST\n");
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
                (response, None)
            }
        }
    }

    /// Lets a connection go on as a socket.
    fn turn(&self, request: HttpRequest<Incoming>) -> Answer {
        match Handshake::take(request) {
            Ok((handshake, accepted)) => {
                *self.turned.lock() = Some(handshake);
                accepted
            }
            Err((status, why)) => {
                let mut response = plain(status, why);
                if status == StatusCode::UPGRADE_REQUIRED {
                    let version = HeaderValue::from_static(socket::VERSION);
                    response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
                }
                response
            }
        }
    }

    async fn answer(&self, request: HttpRequest<Incoming>) -> (Answer, Share) {
        let started = env::clock::now();
        let content = content_for(request.headers());
        let metrics = &self.graphql.door.metrics;
        let answer = match self.carried_out(request).await {
            Ok((text, share)) => (response(StatusCode::OK, content, Bytes::from(text)), share),
            Err((status, refused)) => {
                metrics.errors.increment(1);
                tracing::debug!(%status, %refused, "answering an error");
                (refusal(status, &refused, content), None)
            }
        };
        metrics.requests.increment(1);
        metrics.request_seconds.record(started.elapsed().as_secs_f64());
        answer
    }

    async fn carried_out(
        &self,
        request: HttpRequest<Incoming>,
    ) -> Result<(String, Share), (StatusCode, Refused)> {
        let headers = request.headers();
        let is_by_address = *request.method() == Method::GET;
        let checked = match is_by_address {
            true if origin::is_of_others(headers) => {
                Err((StatusCode::FORBIDDEN, "pages of other servers may not ask"))
            }
            true => check_origin(headers, self.is_near),
            false => check(headers, self.is_near),
        };
        checked.map_err(|(status, why)| (status, Refused::new(why)))?;
        let parent = header_text(headers, "traceparent").and_then(Parent::parse);
        let metadata = MetadataMap::from_headers(headers.clone());
        let door = &self.graphql.door;
        let guest = self.caller.guest(door, &self.graphql.scope, &metadata).await.map_err(told)?;
        let asker = Asker { graphql: self.graphql.clone(), caller: self.caller.clone(), guest, parent };
        let answered = if is_by_address {
            let asked = asked_by_address(request.uri().query().unwrap_or_default())?;
            asker.answer(Asked::Read(&asked)).await
        } else {
            let (body, _share) = self.body(request).await?;
            asker.answer(Asked::Bytes(&body)).await
        };
        answered.map_err(|refused| (refused.sql().map_or(StatusCode::BAD_REQUEST, status_of), refused))
    }

    /// What a request says, and its share of the room.
    async fn body(&self, request: HttpRequest<Incoming>) -> Result<(Bytes, Share), (StatusCode, Refused)> {
        let length = header_text(request.headers(), "content-length").and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or(REQUEST_BYTES_MAX);
        let mut body = request.into_body();
        let mut is_too_long = length > REQUEST_BYTES_MAX;
        let (mut bytes, mut share) = (BytesMut::new(), None);
        if !is_too_long {
            let taken = self.graphql.requests.share(length).await;
            share = taken.map_err(|full| told(sql::Error::new("53200", full.to_string())))?;
            let reading = read(&mut body, &mut bytes, REQUEST_BYTES_MAX);
            is_too_long = match env::clock::timeout(PATIENCE, reading).await {
                Ok(Ok(is_whole)) => !is_whole,
                Ok(Err(error)) => return Err((StatusCode::BAD_REQUEST, Refused::new(error.to_string()))),
                Err(_elapsed) => {
                    return Err((
                        StatusCode::REQUEST_TIMEOUT,
                        Refused::new("the request was not sent in time"),
                    ));
                }
            };
        }
        if is_too_long {
            let discarding = discard(&mut body, LINGER_BYTES_MAX);
            // Either way it is refused.
            let _ = env::clock::timeout(LINGER, discarding).await;
            let message = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, Refused::new(message)));
        }
        Ok((bytes.freeze(), share))
    }
}

/// Whether a request is for an answer, and not for the page: it says what it asks, and no browser shows what it is answered.
fn is_asked_by_address<B>(request: &HttpRequest<B>) -> bool {
    let says =
        request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("query=")));
    says && !accepts(request.headers(), "text/html")
}

/// What an address asks, which may be followed by anybody, at any time: nothing is changed by that.
fn asked_by_address(query: &str) -> Result<Request, (StatusCode, Refused)> {
    let bad = |refused| (StatusCode::BAD_REQUEST, refused);
    let asked = Request::of_address(query).map_err(bad)?;
    let document = Document::parse(&asked.query);
    let changes = document.and_then(|document| is_mutation(&document, asked.operation.as_deref()));
    if changes.map_err(bad)? {
        return Err((StatusCode::METHOD_NOT_ALLOWED, Refused::new("a mutation is asked for by POST")));
    }
    Ok(asked)
}

/// What an answer is called for who asks with these headers.
fn content_for(headers: &HeaderMap) -> &'static str {
    if accepts(headers, RESPONSE) {
        "application/graphql-response+json; charset=utf-8"
    } else {
        "application/json; charset=utf-8"
    }
}

/// Whether a client says that it takes this, by name.
fn accepts(headers: &HeaderMap, name: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut ranges = values.flat_map(|value| value.split(','));
    ranges.any(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(name)))
}

/// Reads a body to its end; false: it has more bytes than this.
async fn read(body: &mut Incoming, bytes: &mut BytesMut, bytes_max: usize) -> hyper::Result<bool> {
    while let Some(frame) = body.frame().await {
        // Trailers say nothing here.
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len().saturating_add(data.len()) > bytes_max {
            return Ok(false);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(true)
}

/// Reads what is left of a body, up to so many bytes, and throws it away.
async fn discard(body: &mut Incoming, bytes_max: usize) {
    let mut left = bytes_max;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

/// Refuses what no client of this door sends, and what a page of somebody else's may.
fn check(headers: &HeaderMap, is_near: bool) -> Result<(), (StatusCode, &'static str)> {
    let content = header_text(headers, "content-type").and_then(|content| content.split(';').next());
    if !content.is_some_and(|content| content.trim().eq_ignore_ascii_case("application/json")) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "a request is application/json"));
    }
    check_origin(headers, is_near)
}

/// Refuses what a page of somebody else's may have sent.
fn check_origin(headers: &HeaderMap, is_near: bool) -> Result<(), (StatusCode, &'static str)> {
    if !origin::is_own(headers) {
        return Err((StatusCode::FORBIDDEN, "pages of other servers may not ask"));
    }
    let is_unsaid = !headers.contains_key(header::AUTHORIZATION);
    if is_unsaid && is_near && !origin::is_meant_for_this_machine(headers) {
        return Err((StatusCode::FORBIDDEN, "who says nothing of itself asks for localhost, or an address"));
    }
    Ok(())
}

fn header_text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// An error of SQL, and the status that says it.
fn told(error: sql::Error) -> (StatusCode, Refused) {
    (status_of(&error), Refused::Sql(error))
}

fn status_of(error: &sql::Error) -> StatusCode {
    match error.sqlstate {
        state if state.starts_with("28") => StatusCode::UNAUTHORIZED,
        "53400" => StatusCode::TOO_MANY_REQUESTS,
        "53300" | "57P01" | "57P03" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

fn refusal(status: StatusCode, refused: &Refused, content: &'static str) -> Answer {
    let mut response = response(status, content, Bytes::from(refused.answer()));
    let headers = response.headers_mut();
    match status {
        StatusCode::UNAUTHORIZED => {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"nunatak\", charset=\"UTF-8\""),
            );
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// An answer in words.
pub(crate) fn plain(status: StatusCode, text: &'static str) -> Answer {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn page() -> Answer {
    let mut response =
        response(StatusCode::OK, "text/html; charset=utf-8", Bytes::from_static(PAGE.as_bytes()));
    let policy = HeaderValue::from_static(PAGE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn response(status: StatusCode, content: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(list: &[(&str, &str)], is_near: bool) -> Result<(), StatusCode> {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.insert(name.parse::<header::HeaderName>().unwrap(), value.parse().unwrap());
        }
        check(&headers, is_near).map_err(|(status, _)| status)
    }

    #[test]
    fn no_page_of_others_asks() {
        let json = ("content-type", "application/json; charset=utf-8");
        let (here, there) = (("host", "localhost:1"), ("host", "evil.example"));
        assert_eq!(checked(&[json, here], true), Ok(()));
        assert_eq!(
            checked(&[here, ("content-type", "text/plain")], true),
            Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
        assert_eq!(checked(&[here], true), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(
            checked(&[json, here, ("origin", "http://evil.example")], true),
            Err(StatusCode::FORBIDDEN)
        );
        assert_eq!(checked(&[json, there], true), Err(StatusCode::FORBIDDEN));
        assert_eq!(checked(&[json, there, ("authorization", "Basic YTpi")], true), Ok(()));
        assert_eq!(checked(&[json, there], false), Ok(()));
    }

    #[test]
    fn an_address_is_asked_or_shown() {
        let request = |address: &str, accept: &str| {
            HttpRequest::builder().uri(address).header("accept", accept).body(()).unwrap()
        };
        for (address, accept, is_asked) in [
            ("/graphql", "application/json", false),
            ("/graphql?query={a}", "application/json", true),
            ("/graphql?variables={}&query={a}", "*/*", true),
            ("/graphql?query={a}", "text/html,application/xhtml+xml,*/*;q=0.8", false),
        ] {
            let address = address.replace('{', "%7B").replace('}', "%7D");
            assert_eq!(is_asked_by_address(&request(&address, accept)), is_asked, "{address} {accept}");
        }
        assert!(asked_by_address("query=%7Ba%7D").is_ok());
        let status = |query: &str| asked_by_address(query).unwrap_err().0;
        assert_eq!(status("query=mutation%7Ba%7D"), StatusCode::METHOD_NOT_ALLOWED);
        let both = "query=query+A%7Ba%7D+mutation+B%7Ba%7D&operationName=";
        assert!(asked_by_address(&format!("{both}A")).is_ok());
        assert_eq!(status(&format!("{both}B")), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(status("query=%7B"), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn answers_are_called_what_their_readers_know() {
        for (accept, content) in [
            ("*/*", "application/json; charset=utf-8"),
            ("application/json", "application/json; charset=utf-8"),
            (
                "application/json, Application/GraphQL-response+json; q=0.9",
                "application/graphql-response+json; charset=utf-8",
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(content_for(&headers), content, "{accept}");
        }
        assert_eq!(content_for(&HeaderMap::new()), "application/json; charset=utf-8");
    }

    #[test]
    fn the_page_needs_nothing_of_others() {
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://") && !PAGE.contains(" src="));
    }
}
