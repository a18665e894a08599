//! The door of the key-value service, by gRPC. Clients have a connection each, as those of the others.

use api::kv::kv_client::KvClient;
use api::kv::{GetRequest, SetRequest};
use async_trait::async_trait;
use bytes::Bytes;
use tonic::transport::{Channel, Endpoint};

use super::{Client, Door};
use crate::cluster::address;

/// Where it is.
pub(super) struct Pairs(String);

impl Pairs {
    pub(super) fn at(port: u16) -> Self {
        Self(format!("http://{}", address(port)))
    }
}

#[async_trait]
impl Door for Pairs {
    fn name(&self) -> &'static str {
        "key-value"
    }

    async fn connect(&self) -> Result<Box<dyn Client>, String> {
        let endpoint = Endpoint::from_shared(self.0.clone()).map_err(|error| error.to_string())?;
        let channel = endpoint.tcp_nodelay(true).connect().await.map_err(|error| error.to_string())?;
        Ok(Box::new(Connection(KvClient::new(channel))))
    }
}

struct Connection(KvClient<Channel>);

fn name(key: u64) -> Bytes {
    Bytes::from(format!("{key:016}"))
}

#[async_trait]
impl Client for Connection {
    async fn read(&mut self, key: u64) -> Result<(), String> {
        let answer = self.0.get(GetRequest { transaction: 0, key: name(key) }).await;
        match answer.map_err(|status| status.to_string())?.into_inner().value {
            Some(_) => Ok(()),
            None => Err("a key is missing".to_owned()),
        }
    }

    async fn write(&mut self, key: u64) -> Result<(), String> {
        let value = Bytes::copy_from_slice(&env::random::next_u64().to_be_bytes());
        let answer = self.0.set(SetRequest { transaction: 0, key: name(key), value }).await;
        answer.map(drop).map_err(|status| status.to_string())
    }
}
