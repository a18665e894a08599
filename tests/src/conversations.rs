//! Conversations: several sessions beside each other, spoken message by message, as text that can be compared with
//! what PostgreSQL answered.
//!
//! Each line of a script is one session's:
//!
//! ```text
//! a: select 1                        a simple query, and everything up to ReadyForQuery
//! a: update t set n = 1 -- waits     the same; it must not have been answered after a while
//! a?                                 the answer that was waited for
//! a> P s0 select n from t            messages of the extended protocol, several of them between " | ":
//! a> B p0 s0 | E p0 10 | S             Parse NAME SQL, Bind PORTAL STATEMENT VALUES…, Execute PORTAL ROWS,
//! a> D S s0 | C P p0 | H               Describe and Close (S a statement, P a portal), Sync, Flush; - is the empty name
//! a> F 0 1 | B p0 s0 | S               the formats that the next Bind asks for
//! a! 300                             a pause of so many milliseconds
//! ```
//!
//! Behind messages without a Sync the answer of each of them is awaited if a Flush is the last, else nothing is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than this no answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to wait has not been answered after this.
const WAITING: Duration = Duration::from_millis(150);

/// Plays a script against the server at `address` (`host:port`) and answers the transcript.
pub async fn transcript(address: &str, script: &str) -> String {
    let mut sessions: BTreeMap<char, Session> = BTreeMap::new();
    let mut out = String::new();
    for line in script.lines() {
        let _ = writeln!(out, "{line}");
        let mut characters = line.chars();
        let (Some(name), Some(kind)) = (characters.next(), characters.next()) else { continue };
        if line.starts_with("--") {
            continue;
        }
        if let std::collections::btree_map::Entry::Vacant(place) = sessions.entry(name) {
            place.insert(Session::open(address).await);
        }
        let session = sessions.get_mut(&name).expect("it was put there");
        session.step(kind, characters.as_str().trim(), &mut out).await;
    }
    out
}

struct Session(TcpStream);

impl Session {
    async fn open(address: &str) -> Self {
        let mut session = Self(TcpStream::connect(address).await.expect("a connection"));
        let mut packet = Vec::new();
        packet.extend_from_slice(&(3u32 << 16).to_be_bytes());
        packet.extend_from_slice(b"user\0postgres\0database\0postgres\0\0");
        let mut bytes = (packet.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend_from_slice(&packet);
        session.0.write_all(&bytes).await.expect("the startup packet");
        while session.receive().await.0 != b'Z' {}
        session
    }

    async fn step(&mut self, kind: char, rest: &str, out: &mut String) {
        match kind {
            ':' => {
                let (sql, waits) = match rest.strip_suffix("-- waits") {
                    Some(sql) => (sql.trim_end(), true),
                    None => (rest, false),
                };
                let bytes = message(b'Q', format!("{sql}\0").as_bytes());
                self.0.write_all(&bytes).await.expect("sent");
                if waits {
                    let mut first = [0];
                    let peeked = tokio::time::timeout(WAITING, self.0.peek(&mut first)).await;
                    assert!(peeked.is_err(), "{sql:?} was to wait and was answered");
                } else {
                    self.until_ready(out).await;
                }
            }
            '?' => self.until_ready(out).await,
            '!' => tokio::time::sleep(Duration::from_millis(rest.parse().expect("milliseconds"))).await,
            '>' => self.series(rest, out).await,
            _ => panic!("{kind:?} is no kind of step"),
        }
    }

    async fn series(&mut self, rest: &str, out: &mut String) {
        let mut bytes = Vec::new();
        let mut answers = 0;
        let mut last = ' ';
        let mut formats: Vec<u16> = Vec::new();
        for command in rest.split(" | ") {
            if let Some(codes) = command.strip_prefix("F ") {
                formats = codes.split(' ').map(|code| code.parse().expect("a format")).collect();
                continue;
            }
            let (kind, body) = encode(command, &std::mem::take(&mut formats));
            bytes.extend_from_slice(&message(kind as u8, &body));
            answers += usize::from(!matches!(kind, 'S' | 'H'));
            last = kind;
        }
        self.0.write_all(&bytes).await.expect("sent");
        match last {
            'S' => self.until_ready(out).await,
            'H' => {
                while answers > 0 {
                    let (kind, body) = self.receive().await;
                    show(kind, &body, out);
                    match kind {
                        b'E' => return,
                        b'1' | b'2' | b'3' | b'C' | b's' | b'I' | b'n' => answers -= 1,
                        b'T' => answers -= 1,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    async fn until_ready(&mut self, out: &mut String) {
        loop {
            let (kind, body) = self.receive().await;
            show(kind, &body, out);
            if kind == b'Z' || kind == 0 {
                return;
            }
        }
    }

    /// The next message; kind 0: the connection is closed.
    async fn receive(&mut self) -> (u8, Vec<u8>) {
        let receiving = async {
            let Ok(kind) = self.0.read_u8().await else { return (0, Vec::new()) };
            let length = self.0.read_u32().await.expect("a length");
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).await.expect("a body");
            (kind, body)
        };
        tokio::time::timeout(PATIENCE, receiving).await.expect("an answer in time")
    }
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn encode(command: &str, formats: &[u16]) -> (char, Vec<u8>) {
    let (kind, rest) = command.split_once(' ').unwrap_or((command, ""));
    let word = |word: &str| if word == "-" { String::new() } else { word.to_owned() };
    let mut body = Vec::new();
    match kind {
        "P" => {
            let (name, sql) = rest.split_once(' ').unwrap_or((rest, ""));
            body.extend_from_slice(format!("{}\0{sql}\0\0\0", word(name)).as_bytes());
        }
        "B" => {
            let mut words = rest.split(' ');
            for _ in 0..2 {
                let name = word(words.next().expect("a name"));
                body.extend_from_slice(format!("{name}\0").as_bytes());
            }
            let values: Vec<&str> = words.collect();
            body.extend_from_slice(&0u16.to_be_bytes());
            body.extend_from_slice(&(values.len() as u16).to_be_bytes());
            for value in values {
                body.extend_from_slice(&(value.len() as u32).to_be_bytes());
                body.extend_from_slice(value.as_bytes());
            }
            body.extend_from_slice(&(formats.len() as u16).to_be_bytes());
            formats.iter().for_each(|format| body.extend_from_slice(&format.to_be_bytes()));
        }
        "E" => {
            let (name, rows) = rest.split_once(' ').unwrap_or((rest, "0"));
            body.extend_from_slice(format!("{}\0", word(name)).as_bytes());
            body.extend_from_slice(&rows.parse::<u32>().expect("rows").to_be_bytes());
        }
        "D" | "C" => {
            let (what, name) = rest.split_once(' ').expect("S or P and a name");
            body.extend_from_slice(format!("{what}{}\0", word(name)).as_bytes());
        }
        "S" | "H" => {}
        _ => panic!("{kind:?} is no message"),
    }
    (kind.chars().next().expect("a letter"), body)
}

fn show(kind: u8, body: &[u8], out: &mut String) {
    let shown = match kind {
        0 => "the connection is closed".to_owned(),
        b'1' => "parsed".to_owned(),
        b'2' => "bound".to_owned(),
        b'3' => "closed".to_owned(),
        b's' => "suspended".to_owned(),
        b'n' => "no columns".to_owned(),
        b'I' => "empty".to_owned(),
        b'T' => format!("= {}", columns(body).join(" | ")),
        b'D' => format!("| {}", values(body).join(" | ")),
        b'C' => format!("ok {}", String::from_utf8_lossy(body.strip_suffix(b"\0").unwrap_or(body))),
        b'Z' => format!("ready {}", String::from_utf8_lossy(body)),
        b'E' | b'N' => report(body),
        // ParameterDescription, ParameterStatus.
        b't' | b'S' => return,
        kind => format!("message {:?}", char::from(kind)),
    };
    let _ = writeln!(out, "  {shown}");
}

fn columns(body: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = &body[2..];
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = &rest[end + 19..];
    }
    names
}

fn values(body: &[u8]) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = &body[2..];
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = i32::from_be_bytes(*length);
        if length < 0 {
            values.push("∅".to_owned());
            rest = behind;
            continue;
        }
        let (value, behind) = behind.split_at(length as usize);
        values.push(String::from_utf8_lossy(value).into_owned());
        rest = behind;
    }
    values
}

/// Severity, SQLSTATE and message. How a conflict is worded is each database's own affair.
fn report(body: &[u8]) -> String {
    let fields: Vec<String> =
        body.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    let field = |code: char| {
        let found = fields.iter().find_map(|field| field.strip_prefix(code));
        found.unwrap_or_default().to_owned()
    };
    let (severity, sqlstate, message) = (field('V'), field('C'), field('M'));
    if sqlstate.starts_with("40") {
        return format!("{severity} {sqlstate}");
    }
    format!("{severity} {sqlstate}: {message}")
}
