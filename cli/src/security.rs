//! What keeps a process's listeners safe: certificates, rules of access, and what is refused without them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use audit::AuditLog;
use cert::{Identity, Watched};
use clap::Args;
use gateway::{AccessRules, Exposure, ServerTls, TlsFiles};
use proto::grpc::{MutualTls, Tls};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, chain};

/// The flags of every command that listens.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SecurityArguments {
    /// Show this certificate (PEM, with those between it and its authority); clients may then ask for TLS
    #[arg(long, env = "NUNATAK_TLS_CERT", value_name = "FILE")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key to --tls-cert; nobody else may be able to read it
    #[arg(long, env = "NUNATAK_TLS_KEY", value_name = "FILE")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_key: Option<PathBuf>,

    /// The authority that has signed the certificates of nodes, gateways and clients
    #[arg(long, env = "NUNATAK_TLS_CA", value_name = "FILE")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Listen beyond loopback although nothing is encrypted there, or somebody is believed without proof
    #[arg(long, env = "NUNATAK_INSECURE", help_heading = "Security")]
    pub(crate) insecure: bool,
}

/// The flags of every command that asks nodes: mutual TLS, all three or none.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PeerArguments {
    /// Show the nodes this certificate (PEM): that of a node or a gateway
    #[arg(long, global = true, env = "NUNATAK_TLS_CERT", value_name = "FILE")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key to --tls-cert
    #[arg(long, global = true, env = "NUNATAK_TLS_KEY", value_name = "FILE")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_key: Option<PathBuf>,

    /// The authority that has signed the nodes' certificates
    #[arg(long, global = true, env = "NUNATAK_TLS_CA", value_name = "FILE")]
    #[arg(help_heading = "Security")]
    pub(crate) tls_ca: Option<PathBuf>,
}

impl PeerArguments {
    /// Mutual TLS, if its files are given.
    pub(crate) fn for_nodes(&self) -> Result<Option<MutualTls>, Failure> {
        let files = PeerFiles::named(self.tls_cert.as_ref(), self.tls_key.as_ref(), self.tls_ca.as_ref())?;
        files.map(|files| files.load()).transpose()
    }
}

/// Where is what nodes and gateways show each other, and whom they believe.
#[derive(Debug, Clone)]
struct PeerFiles {
    certificate: PathBuf,
    key: PathBuf,
    authority: PathBuf,
}

impl PeerFiles {
    fn named(
        certificate: Option<&PathBuf>,
        key: Option<&PathBuf>,
        authority: Option<&PathBuf>,
    ) -> Result<Option<Self>, Failure> {
        match (certificate, key, authority) {
            (None, None, None) => Ok(None),
            (Some(certificate), Some(key), Some(authority)) => Ok(Some(Self {
                certificate: certificate.clone(),
                key: key.clone(),
                authority: authority.clone(),
            })),
            _ => Err(Failure::usage(
                "--tls-cert, --tls-key and --tls-ca go together between nodes and gateways",
            )),
        }
    }

    fn read(&self) -> Result<Tls, Failure> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path)
                .map(String::into_bytes)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
        };
        Ok(Tls {
            authority_pem: read(&self.authority)?,
            certificate_pem: read(&self.certificate)?,
            key_pem: cert::read_private_key(&self.key).map_err(Failure::usage)?.as_bytes().to_vec(),
            peer_name: None,
        })
    }

    fn load(&self) -> Result<MutualTls, Failure> {
        MutualTls::new(&self.read()?).map_err(|error| self.unusable(&error))
    }

    fn unusable(&self, error: &proto::grpc::TlsError) -> Failure {
        let names = [&self.certificate, &self.key, &self.authority].map(|path| path.display().to_string());
        Failure::usage(format!("{}: {}", names.join(", "), chain(error)))
    }
}

/// Mutual TLS of a process that goes on: its files are read again.
pub(crate) struct PeerTls {
    files: PeerFiles,
    tls: MutualTls,
}

impl PeerTls {
    fn open(files: PeerFiles) -> Result<Self, Failure> {
        metrics::describe_gauge!(
            "nunatak_peer_certificate_expiry_seconds",
            "When the certificate that nodes and gateways are shown ends to hold, in seconds since 1970"
        );
        let read = files.read()?;
        let tls = MutualTls::new(&read).map_err(|error| files.unusable(&error))?;
        tell_end(&read);
        Ok(Self { files, tls })
    }

    /// What connections go by.
    pub(crate) fn in_force(&self) -> MutualTls {
        self.tls.clone()
    }

    /// Reads the files again whenever one of them has changed, and at SIGHUP; what cannot be used leaves in force what was.
    /// Never completes.
    pub(crate) async fn keep_current(self) {
        let PeerFiles { certificate, key, authority } = self.files.clone();
        let mut files = Watched::new(vec![certificate, key, authority]);
        let mut hangup = hangup();
        loop {
            tokio::select! {
                () = files.changed() => {}
                () = next(&mut hangup) => {}
            }
            let replaced = self.files.read().and_then(|read| {
                self.tls.replace(&read).map_err(|error| self.files.unusable(&error))?;
                tell_end(&read);
                Ok(())
            });
            match replaced {
                Ok(()) => tracing::info!("what nodes and gateways show each other was read"),
                Err(failure) => {
                    let error = failure.line().unwrap_or_default();
                    tracing::warn!(
                        %error,
                        "what nodes and gateways show each other cannot be used; the one before stays in force"
                    );
                }
            }
        }
    }
}

/// Shows among the metrics when the certificate ends.
fn tell_end(tls: &Tls) {
    let first = CertificateDer::from_pem_slice(&tls.certificate_pem).ok();
    if let Some(identity) = first.and_then(|first| Identity::of(&first).ok()) {
        metrics::gauge!("nunatak_peer_certificate_expiry_seconds").set(identity.not_after as f64);
    }
}

/// SIGHUP, if it can be waited for.
fn hangup() -> Option<Signal> {
    let hangup = signal(SignalKind::hangup());
    hangup
        .inspect_err(|error| {
            tracing::warn!(%error, "SIGHUP cannot be waited for: certificates are read again when they change");
        })
        .ok()
}

/// The next time that it comes.
async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// The flag of every command that serves SQL.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AccessArguments {
    /// Who may connect from where, and by what proof: a file of pg_hba.conf's form
    #[arg(long, env = "NUNATAK_HBA", value_name = "FILE", help_heading = "Security")]
    pub(crate) hba: Option<PathBuf>,
}

/// How an SQL listener is kept safe.
#[derive(Clone)]
pub(crate) struct SqlSecurity {
    /// For clients that ask for it.
    pub(crate) tls: Option<Arc<ServerTls>>,
    /// Who has to show what.
    pub(crate) access: Arc<AccessRules>,
    /// How it can be reached: what rules it may have.
    pub(crate) exposure: Exposure,
}

impl SecurityArguments {
    /// What an SQL listener needs. `flag` is what gave its address.
    pub(crate) fn for_sql(
        &self,
        flag: &str,
        address: SocketAddr,
        access: &AccessArguments,
    ) -> Result<SqlSecurity, Failure> {
        let tls = match self.files()? {
            Some(files) => Some(ServerTls::load(files).map_err(|error| Failure::usage(chain(&error)))?),
            None => None,
        };
        let exposure = match (address.ip().is_loopback(), self.insecure) {
            (true, _) => Exposure::Loopback,
            (false, true) => Exposure::Insecure,
            (false, false) => Exposure::Network,
        };
        let rules = match &access.hba {
            Some(file) => AccessRules::load(file.clone()).map_err(|error| Failure::usage(chain(&error)))?,
            None => AccessRules::preset(exposure, self.tls_ca.is_some()),
        };
        if exposure == Exposure::Network {
            if tls.is_none() {
                return Err(Failure::usage(format!(
                    "{flag} {address} is reachable from elsewhere, and nothing would be encrypted: give --tls-cert and --tls-key, or say --insecure"
                )));
            }
            if let Some(line) = rules.trusts_others() {
                return Err(Failure::usage(format!(
                    "{flag} {address} is reachable from elsewhere, and line {line} of --hba believes others without proof: change it, or say --insecure"
                )));
            }
        }
        if exposure == Exposure::Insecure && (tls.is_none() || rules.trusts_others().is_some()) {
            tracing::warn!(%address, "--insecure: whoever reaches this address may be believed, or overheard");
        }
        Ok(SqlSecurity { tls, access: rules, exposure })
    }

    /// Refuses a listener of nodes that is reachable from elsewhere without mutual TLS.
    pub(crate) fn check_node(&self, flag: &str, address: SocketAddr) -> Result<(), Failure> {
        if address.ip().is_loopback() || self.insecure || self.is_mutual() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "{flag} {address} is reachable from elsewhere, and whoever reaches it could read and write everything: give --tls-cert, --tls-key and --tls-ca, or say --insecure"
        )))
    }

    /// Refuses HTTP that is reachable from elsewhere where nothing was set up for that. Its pages tell no data, so that what
    /// protects the other listeners will do; where GraphQL is served beside them, [`Self::for_sql`] is asked, too.
    pub(crate) fn check_http(&self, address: SocketAddr) -> Result<(), Failure> {
        if address.ip().is_loopback() || self.insecure || self.tls_cert.is_some() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "--http {address} is reachable from elsewhere, and /metrics asks nobody: protect what is served by --tls-cert and --tls-key, or say --insecure"
        )))
    }

    fn is_mutual(&self) -> bool {
        self.tls_ca.is_some() && self.tls_cert.is_some()
    }

    fn files(&self) -> Result<Option<TlsFiles>, Failure> {
        match (&self.tls_cert, &self.tls_key, &self.tls_ca) {
            (Some(certificate), Some(key), authority) => Ok(Some(TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
                authority: authority.clone(),
            })),
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => Err(Failure::usage("--tls-ca needs --tls-cert and --tls-key")),
            _ => Err(Failure::usage("--tls-cert and --tls-key go together")),
        }
    }

    /// Mutual TLS between nodes and gateways, if all three files are given.
    pub(crate) fn for_nodes(&self) -> Result<Option<PeerTls>, Failure> {
        // Without an authority it is clients alone that are spoken to in TLS.
        let Some(authority) = &self.tls_ca else { return self.files().map(|_| None) };
        let files = PeerFiles::named(self.tls_cert.as_ref(), self.tls_key.as_ref(), Some(authority))?;
        files.map(PeerTls::open).transpose()
    }
}

impl SqlSecurity {
    /// Has it do for one more listener of the same gateway, which needs `own`: a gateway has one set of rules, that of the listener of
    /// its that can be reached from furthest.
    pub(crate) fn extend(&mut self, own: Self) {
        if self.exposure == Exposure::Loopback && own.exposure != Exposure::Loopback {
            *self = own;
        }
    }

    /// Reads certificates and rules again, and opens the audit log anew, whenever the process is told to by SIGHUP. Never
    /// completes.
    pub(crate) async fn reload_on_hangup(self, audit: Arc<AuditLog>) {
        let mut hangup = hangup();
        loop {
            next(&mut hangup).await;
            audit.reopen();
            if let Some(tls) = &self.tls
                && let Err(error) = tls.reload()
            {
                tracing::warn!(error = %chain(&error), "the certificate cannot be used; the one before stays in force");
            }
            if let Err(error) = self.access.reload(self.exposure) {
                tracing::warn!(error = %chain(&error), "the rules of access cannot be used; those before stay in force");
            }
        }
    }
}
