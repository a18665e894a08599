//! The door of the object protocol, by its bytes.

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Client, Door};
use crate::cluster::address;

/// Where it is.
pub(super) struct Objects(String);

impl Objects {
    pub(super) fn at(port: u16) -> Self {
        Self(address(port))
    }
}

#[async_trait]
impl Door for Objects {
    fn name(&self) -> &'static str {
        "objects"
    }

    async fn connect(&self) -> Result<Box<dyn Client>, String> {
        let stream = TcpStream::connect(&self.0).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Box::new(Connection(stream)))
    }
}

struct Connection(TcpStream);

impl Connection {
    /// Sends a request; the answer, or that there is an error.
    async fn ask(&mut self, payload: &[u8]) -> Result<(), String> {
        let request = [&(payload.len() as u64).to_be_bytes()[..], payload].concat();
        let asking = async {
            self.0.write_all(&request).await?;
            let length = self.0.read_u64().await?;
            let mut answer = vec![0; usize::try_from(length).unwrap_or(0)];
            self.0.read_exact(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        match asking.await {
            Ok(answer) if answer == [255] => Err("the door has answered an error".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// A command and a key of 16 digits.
fn keyed(command: u8, key: u64) -> Vec<u8> {
    [&[command, 0, 16][..], format!("{key:016}").as_bytes()].concat()
}

#[async_trait]
impl Client for Connection {
    async fn read(&mut self, key: u64) -> Result<(), String> {
        self.ask(&keyed(0, key)).await
    }

    async fn write(&mut self, key: u64) -> Result<(), String> {
        let value = env::random::next_u64() as i64;
        let object = [&[1][..], &value.to_be_bytes()].concat();
        self.ask(&[keyed(1, key), object].concat()).await
    }
}
