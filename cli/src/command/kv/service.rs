//! The calls, and what their errors are to a person.

use std::path::Path;
use std::time::Duration;

use api::credentials::Credentials;
use api::kv::kv_client::KvClient;
use api::kv::{
    BeginRequest, Change, CommitRequest, DeleteRequest, GetRequest, Mode, RollbackRequest, ScanRequest,
    SetRequest, WatchRequest, WatchResponse,
};
use bytes::Bytes;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use super::Kv;
use crate::escape::escape;
use crate::failure::{Failure, chain};
use crate::output::{errln, outln};

/// How long the connection may take to open.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a gateway that says nothing is asked whether it is there, and how long the answer may take: who watches would wait for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to the service.
pub(super) struct Service {
    client: KvClient<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Service {
    pub(super) async fn connect(kv: &Kv) -> Result<Self, Failure> {
        let scheme = if kv.tls_ca.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", kv.host)).map_err(|error| {
            Failure::usage(format!("--host {} is no address: {}", kv.host, chain(&error)))
        })?;
        let mut endpoint = endpoint
            .connect_timeout(PATIENCE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT);
        if let Some(authority) = &kv.tls_ca {
            let tls = tls(authority, kv.tls_cert.as_deref(), kv.tls_key.as_deref())?;
            endpoint = endpoint.tls_config(tls).map_err(|error| Failure::usage(chain(&error)))?;
        }
        let channel = endpoint.connect().await.map_err(|error| {
            Failure::usage(format!(
                "cannot connect to the key-value service at {}: {}; it is served by a gateway, or \
                 start-single, that has --kv",
                kv.host,
                chain(&error)
            ))
        })?;
        let client = KvClient::new(channel)
            .max_decoding_message_size(api::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(api::MESSAGE_BYTES_MAX);
        Ok(Self { client, authorization: authorization(kv)? })
    }

    fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(value) = &self.authorization {
            Credentials::put(request.metadata_mut(), value.clone());
        }
        request
    }

    pub(super) async fn get(&mut self, transaction: u64, key: Vec<u8>) -> Result<Option<Bytes>, Failure> {
        let request = self.ask(GetRequest { transaction, key: key.into() });
        let answer = self.client.get(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner().value)
    }

    pub(super) async fn set(
        &mut self,
        transaction: u64,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<(), Failure> {
        let request = self.ask(SetRequest { transaction, key: key.into(), value: value.into() });
        self.client.set(request).await.map(drop).map_err(|status| refused(&status))
    }

    pub(super) async fn delete(&mut self, transaction: u64, key: Vec<u8>) -> Result<bool, Failure> {
        let request = self.ask(DeleteRequest { transaction, key: key.into() });
        let answer = self.client.delete(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner().deleted)
    }

    /// Prints the pairs of a span.
    pub(super) async fn scan(
        &mut self,
        transaction: u64,
        (start, end): (Option<Vec<u8>>, Option<Vec<u8>>),
        limit: u64,
        reverse: bool,
    ) -> Result<(), Failure> {
        let (start, end) = (start.unwrap_or_default().into(), end.unwrap_or_default().into());
        let request = self.ask(ScanRequest { transaction, start, end, limit, reverse });
        let answers = self.client.scan(request).await.map_err(|status| refused(&status))?;
        let mut answers = answers.into_inner();
        while let Some(answer) = answers.message().await.map_err(|status| refused(&status))? {
            for pair in answer.pairs {
                outln!("{}\t{}", escape(&pair.key), escape(&pair.value));
            }
        }
        Ok(())
    }

    /// Prints changes, and up to when all was told if `marks` are wanted, until there were `limit` of them; 0: for ever.
    pub(super) async fn watch(
        &mut self,
        request: WatchRequest,
        marks: bool,
        limit: u64,
    ) -> Result<(), Failure> {
        let mut resolved = request.since;
        let request = self.ask(request);
        let answers = self.client.watch(request).await.map_err(|status| refused(&status))?;
        let (mut answers, mut told) = (answers.into_inner(), 0);
        loop {
            let failure = match answers.message().await {
                Ok(Some(answer)) => {
                    let Some(last) = tell(answer, marks, limit, &mut told) else { return Ok(()) };
                    resolved = resolved.max(last);
                    continue;
                }
                Ok(None) => Failure::failed("the gateway has ended the watch without a word"),
                Err(status) => refused(&status),
            };
            if resolved > 0 {
                errln!("nunatak: watch again with --since {resolved}");
            }
            return Err(failure);
        }
    }

    pub(super) async fn begin(&mut self, read_only: bool) -> Result<u64, Failure> {
        let mode = if read_only { Mode::ReadOnly } else { Mode::ReadWrite };
        let request = self.ask(BeginRequest { mode: mode.into() });
        let answer = self.client.begin(request).await.map_err(|status| refused(&status))?;
        Ok(answer.into_inner().transaction)
    }

    pub(super) async fn commit(&mut self, transaction: u64) -> Result<(), Failure> {
        let request = self.ask(CommitRequest { transaction });
        self.client.commit(request).await.map(drop).map_err(|status| refused(&status))
    }

    pub(super) async fn rollback(&mut self, transaction: u64) -> Result<(), Failure> {
        let request = self.ask(RollbackRequest { transaction });
        self.client.rollback(request).await.map(drop).map_err(|status| refused(&status))
    }
}

/// Prints what a watch tells; `None`: those were `limit` changes. Else up to when all was told; 0: nothing new.
fn tell(answer: WatchResponse, marks: bool, limit: u64, told: &mut u64) -> Option<u64> {
    for Change { key, value, timestamp } in answer.changes {
        match value {
            Some(value) => outln!("{timestamp}\tset\t{}\t{}", escape(&key), escape(&value)),
            None => outln!("{timestamp}\tdelete\t{}", escape(&key)),
        }
        *told = told.saturating_add(1);
        if *told == limit {
            return None;
        }
    }
    if answer.resolved > 0 && marks {
        outln!("{}\tresolved", answer.resolved);
    }
    Some(answer.resolved)
}

fn tls(authority: &Path, certificate: Option<&Path>, key: Option<&Path>) -> Result<ClientTlsConfig, Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
    };
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(authority)?));
    match (certificate, key) {
        (None, None) => Ok(tls),
        (Some(certificate), Some(key)) => {
            let private = cert::read_private_key(key).map_err(Failure::usage)?;
            Ok(tls.identity(Identity::from_pem(read(certificate)?, private.as_bytes())))
        }
        _ => Err(Failure::usage("--tls-cert and --tls-key go together")),
    }
}

/// What says who calls. Without a role nothing does.
fn authorization(kv: &Kv) -> Result<Option<MetadataValue<Ascii>>, Failure> {
    let Some(role) = kv.username.clone() else { return Ok(None) };
    let password = std::env::var("PGPASSWORD").unwrap_or_default();
    let value = Credentials { role, password }.to_metadata();
    value
        .map(Some)
        .ok_or_else(|| Failure::usage("--username: a colon cannot stand in the name of a role here"))
}

fn refused(status: &Status) -> Failure {
    match api::refusal::detail(status) {
        Some(detail) => Failure::failed(format!("{} ({})", status.message(), detail.sqlstate)),
        None => Failure::failed(format!("{}: {}", status.code().description(), status.message())),
    }
}
