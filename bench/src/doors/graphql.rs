//! The door of GraphQL, by requests of HTTP on one connection each, about the rows that pgbench reads and writes.

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Client, Door};
use crate::cluster::address;

/// An answer has no longer headers.
const HEAD_BYTES_MAX: usize = 4096;

/// Where it is.
pub(super) struct GraphQl(String);

impl GraphQl {
    pub(super) fn at(port: u16) -> Self {
        Self(address(port))
    }
}

#[async_trait]
impl Door for GraphQl {
    fn name(&self) -> &'static str {
        "GraphQL"
    }

    async fn connect(&self) -> Result<Box<dyn Client>, String> {
        let stream = TcpStream::connect(&self.0).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Box::new(Connection { stream, host: self.0.clone() }))
    }
}

struct Connection {
    stream: TcpStream,
    host: String,
}

impl Connection {
    async fn ask(&mut self, query: &str) -> Result<(), String> {
        let body = serde_json::json!({ "query": query }).to_string();
        let head = format!(
            "POST /graphql HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let answer = self.exchange(&(head + &body)).await.map_err(|error| error.to_string())?;
        if answer.contains("\"errors\"") || answer.contains("null") { Err(answer) } else { Ok(()) }
    }

    /// Sends a request; what stands behind the answer's headers.
    async fn exchange(&mut self, request: &str) -> std::io::Result<String> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        loop {
            if self.stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                if answer.len() > HEAD_BYTES_MAX {
                    return Err(std::io::Error::other("an answer without an end to its headers"));
                }
                continue;
            };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
            if body.len() >= length {
                return Ok(body.to_owned());
            }
        }
    }
}

#[async_trait]
impl Client for Connection {
    async fn read(&mut self, key: u64) -> Result<(), String> {
        self.ask(&format!("{{ rows_of_doorsByKey(key: {{key: \"{key}\"}}) {{ value }} }}")).await
    }

    async fn write(&mut self, key: u64) -> Result<(), String> {
        let value = env::random::next_u64() >> 1;
        let change = format!("where: {{key: {{eq: \"{key}\"}}}}, set: {{value: {value}}}");
        self.ask(&format!("mutation {{ updateRows_of_doors({change}) {{ count }} }}")).await
    }
}
