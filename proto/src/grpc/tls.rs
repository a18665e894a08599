//! Mutual TLS between nodes and gateways (rustls).

use tonic::transport::{Certificate, ClientTlsConfig, Identity, ServerTlsConfig};

/// What a process needs to prove who it is and to know its peers. All PEM.
#[derive(Clone)]
pub struct Tls {
    /// The authority that has signed every certificate of the cluster.
    pub authority_pem: Vec<u8>,
    /// This process's certificate (chain).
    pub certificate_pem: Vec<u8>,
    /// The private key to it.
    pub key_pem: Vec<u8>,
    /// The name that the peers' certificates carry, if it is not the host in their address.
    pub peer_name: Option<String>,
}

impl Tls {
    pub(super) fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate_pem, &self.key_pem))
            .client_ca_root(Certificate::from_pem(&self.authority_pem))
    }

    pub(super) fn client(&self) -> ClientTlsConfig {
        let config = ClientTlsConfig::new()
            .identity(Identity::from_pem(&self.certificate_pem, &self.key_pem))
            .ca_certificate(Certificate::from_pem(&self.authority_pem));
        match &self.peer_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("peer_name", &self.peer_name).finish_non_exhaustive()
    }
}
