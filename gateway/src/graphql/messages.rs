//! Messages of the protocol `graphql-transport-ws`, by which clients of GraphQL follow subscriptions over a WebSocket.
//!
//! ```text
//! client ──▶ connection_init │ subscribe id, request │ complete id │ ping │ pong
//! client ◀── connection_ack  │ next id, answer │ error id, errors │ complete id │ pong
//! ```

use expr::datum::json::Json;
use expr::json::quoted;

use super::frames::Wrong;
use super::refusal::Refused;
use super::request::{DIGITS_BYTES_MAX, Request};

/// What the protocol is called.
pub(super) const NAME: &str = "graphql-transport-ws";

/// Longer ids are none.
const ID_BYTES_MAX: usize = 256;

/// Why a connection is closed, in the words and numbers of the protocol.
pub(super) const UNAUTHORIZED: Wrong = Wrong { code: 4401, why: "Unauthorized" };
pub(super) const FORBIDDEN: u16 = 4403;
pub(super) const NOT_ACCEPTABLE: Wrong = Wrong { code: 4406, why: "Subprotocol not acceptable" };
pub(super) const TOO_LATE: Wrong = Wrong { code: 4408, why: "Connection initialisation timeout" };
pub(super) const TAKEN: Wrong = Wrong { code: 4409, why: "Subscriber for this id already exists" };
pub(super) const TOO_MANY: Wrong = Wrong { code: 4429, why: "Too many initialisation requests" };

/// What a client says.
#[derive(Debug)]
pub(super) enum Message {
    /// With what it says of itself: as the header of that name would.
    Init {
        authorization: Option<String>,
    },
    Ping,
    Pong,
    /// The request may be none that makes sense: that is told to who has sent it, and no reason to end.
    Subscribe {
        id: String,
        request: Result<Request, Refused>,
    },
    Complete {
        id: String,
    },
}

const fn no(why: &'static str) -> Wrong {
    Wrong { code: 4400, why }
}

impl Message {
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let json = expr::json::parse_within(text, DIGITS_BYTES_MAX).map_err(|_| no("a message is JSON"))?;
        let Json::Object(members) = json else { return Err(no("a message is a JSON object")) };
        let (mut kind, mut id, mut payload) = (None, None, None);
        for (name, value) in members {
            match (&*name, value) {
                ("type", Json::String(text)) => kind = Some(text.into_string()),
                ("id", Json::String(text)) => id = Some(text.into_string()),
                ("payload", value) => payload = Some(value),
                ("type" | "id", _) => return Err(no("type and id are strings")),
                _ => {}
            }
        }
        let id = || {
            let id = id.filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
            id.ok_or(no("an id has 1 to 256 bytes"))
        };
        match kind.as_deref() {
            Some("connection_init") => Ok(Self::Init { authorization: authorization(payload)? }),
            Some("ping") => Ok(Self::Ping),
            Some("pong") => Ok(Self::Pong),
            Some("complete") => Ok(Self::Complete { id: id()? }),
            Some("subscribe") => {
                let request = payload.ok_or(no("subscribe has a payload"))?;
                Ok(Self::Subscribe { id: id()?, request: Request::of(request) })
            }
            Some(_) => Err(no("there is no message of this type")),
            None => Err(no("a message has a type")),
        }
    }
}

/// What a client says of itself when it begins.
fn authorization(payload: Option<Json>) -> Result<Option<String>, Wrong> {
    let members = match payload {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Object(members)) => members,
        Some(_) => return Err(no("the payload of connection_init is an object")),
    };
    for (name, value) in members {
        if name.eq_ignore_ascii_case("authorization") {
            return match value {
                Json::Null => Ok(None),
                Json::String(text) => Ok(Some(text.into_string())),
                _ => Err(no("authorization is a string")),
            };
        }
    }
    Ok(None)
}

pub(super) const ACK: &str = r#"{"type":"connection_ack"}"#;
pub(super) const PONG: &str = r#"{"type":"pong"}"#;

/// An answer, which is JSON.
pub(super) fn next(id: &str, answer: &str) -> String {
    format!(r#"{{"id":{},"type":"next","payload":{answer}}}"#, quoted(id))
}

/// Errors, which are a JSON array, and the end.
pub(super) fn error(id: &str, errors: &str) -> String {
    format!(r#"{{"id":{},"type":"error","payload":{errors}}}"#, quoted(id))
}

pub(super) fn complete(id: &str) -> String {
    format!(r#"{{"id":{},"type":"complete"}}"#, quoted(id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_message_has_its_form() {
        let read = |text: &str| Message::read(text).unwrap();
        assert!(matches!(read(r#"{"type":"connection_init"}"#), Message::Init { authorization: None }));
        let said = r#"{"type":"connection_init","payload":{"x":1,"Authorization":"Basic YTpi"}}"#;
        let Message::Init { authorization } = read(said) else { panic!("an init") };
        assert_eq!(authorization.as_deref(), Some("Basic YTpi"));
        assert!(matches!(read(r#"{"type":"ping","payload":{}}"#), Message::Ping));
        assert!(matches!(read(r#"{"type":"pong"}"#), Message::Pong));
        let Message::Complete { id } = read(r#"{"id":"7","type":"complete"}"#) else { panic!("an end") };
        assert_eq!(id, "7");
        let text = r#"{"type":"subscribe","id":"a\"b","payload":{"query":"{a}","variables":{"x":1}}}"#;
        let Message::Subscribe { id, request: Ok(request) } = read(text) else { panic!("a request") };
        assert_eq!((id.as_str(), request.query.as_str(), request.variables.len()), ("a\"b", "{a}", 1));
        let text = r#"{"type":"subscribe","id":"1","payload":{}}"#;
        assert!(matches!(read(text), Message::Subscribe { request: Err(_), .. }));
        assert_eq!(next("a\"b", "{}"), r#"{"id":"a\"b","type":"next","payload":{}}"#);
        assert_eq!(error("1", "[]"), r#"{"id":"1","type":"error","payload":[]}"#);
        assert_eq!(complete("1"), r#"{"id":"1","type":"complete"}"#);
    }

    #[test]
    fn what_is_no_message_ends_the_connection() {
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(257));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"1"}"#,
            r#"{"type":"subscribe","payload":{"query":"{a}"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":1,"payload":{}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"complete","id":""}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"connection_init","payload":{"authorization":1}}"#,
            &long,
        ] {
            assert_eq!(Message::read(text).unwrap_err().code, 4400, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Message::read(&text);
        }
    }
}
