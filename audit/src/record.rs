//! Records: one line of JSON each.
//!
//! ```text
//! {"time":"2026-01-31T12:00:00.000001Z","gateway":"10.0.0.7:5433","session":7,"database":"shop","user":"ann","role":"ann",
//!  "remote":"10.0.0.9:41234","application":"psql","encrypted":true,"authentication":"scram-sha-256","class":"READ",
//!  "command":"SELECT","objects":[{"type":"table","name":"public.t","access":["read"]}],"outcome":"ok","rows":3,
//!  "duration_us":812,"statement":"select * from t where a = $1"}
//! ```
//!
//! A field that does not apply is left out. Outcomes are `ok`, `started` (rows leave before the statement has come to its
//! end, which has a record of its own), `suspended` (a part of a portal's rows that is not the last), `unknown` (the session was
//! ended in the middle of it), `lost` (of records that were dropped), or a SQLSTATE.

use serde::Serialize;

/// What a record says, but for its time and its gateway.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// The session's number, as `pg_backend_pid()` tells it; 0: there is no session.
    pub session: i32,
    /// The database.
    pub database: String,
    /// The role that logged in, or that SET SESSION AUTHORIZATION has put in its place.
    pub user: String,
    /// The role that logged in, where that is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The role that acts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Where the client is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote: String,
    /// `application_name`
    #[serde(skip_serializing_if = "String::is_empty")]
    pub application: String,
    /// Whether its connection is encrypted.
    pub encrypted: bool,
    /// How the client has shown who it is.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub authentication: &'static str,
    /// [`crate::Class::name`], or `UNKNOWN` of what could not be read.
    pub class: &'static str,
    /// The command, as its tag names it.
    pub command: String,
    /// What it touches.
    pub objects: Vec<Object>,
    /// There are more, which are not named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub objects_cut: bool,
    /// What came of it.
    pub outcome: String,
    /// How many rows it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Its text, without literals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// Why a client was not let in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many records were dropped before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
}

/// Something that a statement touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Object {
    /// `table`, `view`, `role` …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its name, with its schema if it has one.
    pub name: String,
    /// What is done to it; nothing of what is only named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<&'static str>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    gateway: &'a str,
    #[serde(flatten)]
    record: &'a Record,
}

impl Record {
    /// The record as a line, its end included.
    pub(crate) fn line(&self, gateway: &str, at_us: u64) -> String {
        let line = Line { time: rfc3339(at_us), gateway, record: self };
        let mut text = serde_json::to_string(&line).unwrap_or_else(|error| {
            tracing::error!(%error, "a record of the audit log cannot be written as JSON");
            "{}".to_owned()
        });
        text.push('\n');
        text
    }
}

fn rfc3339(at_us: u64) -> String {
    let at = i64::try_from(at_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    at.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_of_json_whatever_is_in_it() {
        let objects =
            vec![Object { kind: "table", name: "public.\"a\nb\"".to_owned(), access: vec!["read"] }];
        let statement = Some("select '\n\u{1}é\"'".to_owned());
        let record =
            Record { class: "READ", outcome: "ok".to_owned(), objects, statement, ..Record::default() };
        let line = record.line("here:1", 1_769_860_800_000_001);
        assert_eq!(line.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["time"], "2026-01-31T12:00:00.000001Z");
        assert_eq!(read["gateway"], "here:1");
        assert_eq!(read["objects"][0]["name"], "public.\"a\nb\"");
        assert_eq!(read["statement"], "select '\n\u{1}é\"'");
        assert!(read.get("rows").is_none() && read.get("remote").is_none());
    }
}
