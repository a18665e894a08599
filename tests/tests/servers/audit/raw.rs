//! A client that speaks bytes: what drivers do not send, and one that does not listen.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Its connection, past the first ReadyForQuery.
pub(super) struct Raw(TcpStream);

impl Raw {
    /// Connects as a role that is believed.
    pub(super) fn connect(address: &str, user: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let mut raw = Self(stream);
        let body = format!("\0\u{3}\0\0user\0{user}\0database\0postgres\0\0");
        raw.put(&framed(body.as_bytes()));
        raw.until_ready();
        raw
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("bytes are sent");
    }

    /// Sends one message.
    pub(super) fn send(&mut self, kind: u8, body: &[u8]) {
        self.put(&[&[kind], framed(body).as_slice()].concat());
    }

    /// Sends a query string, and does not wait.
    pub(super) fn query(&mut self, sql: &str) {
        self.send(b'Q', format!("{sql}\0").as_bytes());
    }

    /// Parse
    pub(super) fn parse(&mut self, name: &str, sql: &str) {
        self.send(b'P', format!("{name}\0{sql}\0\0\0").as_bytes());
    }

    /// Bind of the unnamed portal, with one parameter in text.
    pub(super) fn bind(&mut self, statement: &str, value: &str) {
        let length = u32::try_from(value.len()).expect("short").to_be_bytes();
        let body = [b"\0", statement.as_bytes(), b"\0", &[0, 0, 0, 1], &length, value.as_bytes(), &[0, 0]];
        self.send(b'B', &body.concat());
    }

    /// Execute, of all rows.
    pub(super) fn execute(&mut self, portal: &str) {
        self.send(b'E', format!("{portal}\0\0\0\0\0").as_bytes());
    }

    /// Sync, and the SQLSTATEs of the errors up to the answer.
    pub(super) fn sync(&mut self) -> Vec<String> {
        self.send(b'S', &[]);
        self.until_ready()
    }

    /// The SQLSTATEs of the errors up to the next ReadyForQuery.
    pub(super) fn until_ready(&mut self) -> Vec<String> {
        let mut errors = Vec::new();
        loop {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).expect("a message");
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let mut body = vec![0; length - 4];
            self.0.read_exact(&mut body).expect("its body");
            match head[0] {
                b'Z' => return errors,
                b'E' => {
                    let fields = String::from_utf8_lossy(&body).into_owned();
                    let code = fields.split('\0').find_map(|field| field.strip_prefix('C'));
                    errors.push(code.unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
    [length.as_slice(), body].concat()
}
