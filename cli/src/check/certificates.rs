//! Certificates, keys and authorities, and whether they fit each other and their purpose.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cert::{Identity, Role};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;

use super::Findings;

/// A certificate that ends sooner than this is told of.
const SOON_SECONDS: i64 = 30 * 86400;

/// What a command's certificate is for.
#[derive(Debug, Default)]
pub(super) struct Expected<'a> {
    /// One of these stands in it; none: whatever does.
    pub(super) roles: &'a [Role],
    /// The names that others reach this process by, as far as settings tell.
    pub(super) hosts: Vec<String>,
    /// Others are shown it when they connect.
    pub(super) is_server: bool,
    /// Nodes and gateways are shown it, who believe --tls-ca alone.
    pub(super) is_peer: bool,
}

/// Checks --tls-cert, --tls-key and --tls-ca.
pub(super) fn check(
    (certificate, key, authority): (Option<&PathBuf>, Option<&PathBuf>, Option<&PathBuf>),
    expected: &Expected<'_>,
    findings: &mut Findings,
) {
    match (certificate, key) {
        (Some(_), None) => findings.error("--tls-cert", "its key is missing", "give --tls-key"),
        (None, Some(_)) => findings.error("--tls-key", "its certificate is missing", "give --tls-cert"),
        (None, None) if authority.is_some() && (expected.is_server || expected.is_peer) => {
            findings.error("--tls-ca", "it is of no use alone", "give --tls-cert and --tls-key");
        }
        (Some(_), Some(_)) if expected.is_peer && authority.is_none() => {
            findings.error("--tls-cert", "nodes believe an authority", "give --tls-ca");
        }
        _ => {}
    }
    let authorities = authority.and_then(|path| read("--tls-ca", path, findings));
    if let (Some(path), Some(authorities)) = (authority, &authorities) {
        let place = format!("--tls-ca {}", path.display());
        for authority in authorities.iter().filter_map(|der| Identity::of(der).ok()) {
            if !authority.is_authority {
                findings.warning(&place, "it is no authority's certificate", "give ca.crt");
            }
            validity(&place, &authority, "make a new authority, and all certificates anew", findings);
        }
    }
    let Some(path) = certificate else { return };
    let chain = read("--tls-cert", path, findings);
    let key = key.and_then(|key| private_key(key, findings));
    let Some(chain) = chain else { return };
    let place = format!("--tls-cert {}", path.display());
    if let Some(identity) = chain.first().and_then(|der| Identity::of(der).ok()) {
        validity(&place, &identity, "make it anew: nunatak cert", findings);
        purpose(&place, &identity, expected, findings);
    }
    if let Some(key) = key
        && let Err(error) = CertifiedKey::from_der(chain.clone(), key, &default_provider())
    {
        findings.error(
            &place,
            format!("--tls-key is not the key to it: {error}"),
            "give the two that were made together",
        );
    }
    if expected.is_peer
        && let Some(authorities) = authorities
    {
        trust(&place, &chain, authorities, expected, findings);
    }
}

fn read(flag: &str, path: &Path, findings: &mut Findings) -> Option<Vec<CertificateDer<'static>>> {
    let place = format!("{flag} {}", path.display());
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            findings.error(
                place,
                format!("it cannot be read: {error}"),
                "make it with nunatak cert, or let this user read it",
            );
            return None;
        }
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match all {
        Ok(all) if all.iter().all(|der| Identity::of(der).is_ok()) && !all.is_empty() => Some(all),
        Ok(_) => {
            findings.error(
                place,
                "it holds no certificate",
                "give a file of PEM: -----BEGIN CERTIFICATE-----",
            );
            None
        }
        Err(error) => {
            findings.error(place, error, "give a file of PEM: -----BEGIN CERTIFICATE-----");
            None
        }
    }
}

fn private_key(path: &Path, findings: &mut Findings) -> Option<PrivateKeyDer<'static>> {
    let place = format!("--tls-key {}", path.display());
    let text = match cert::read_private_key(path) {
        Ok(text) => text,
        Err(cert::KeyFileError::Exposed { .. }) => {
            findings.error(
                place,
                "others can read this private key",
                format!("chmod 600 {}", path.display()),
            );
            return None;
        }
        Err(cert::KeyFileError::Unreadable { source, .. }) => {
            findings.error(
                place,
                format!("it cannot be read: {source}"),
                "make it with nunatak cert, or let this user own it",
            );
            return None;
        }
    };
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes());
    if key.is_err() {
        findings.error(place, "it holds no private key", "give a file of PEM: -----BEGIN PRIVATE KEY-----");
    }
    key.ok()
}

fn now_seconds() -> i64 {
    i64::try_from(env::clock::wall_ms() / 1000).unwrap_or(i64::MAX)
}

fn validity(place: &str, identity: &Identity, remedy: &str, findings: &mut Findings) {
    let now = now_seconds();
    if identity.not_after <= now {
        findings.error(place, format!("it has expired: {}", identity.expires), remedy);
    } else if identity.not_before > now {
        findings.error(place, "it does not hold yet", "see to this machine's clock");
    } else if identity.not_after - now < SOON_SECONDS {
        let days = (identity.not_after - now).div_euclid(86400);
        findings.warning(place, format!("it expires in {days} days: {}", identity.expires), remedy);
    }
}

fn purpose(place: &str, identity: &Identity, expected: &Expected<'_>, findings: &mut Findings) {
    if identity.is_authority {
        findings.error(place, "it is an authority's certificate", "give the one of this process");
    } else if !expected.roles.is_empty() && !identity.role.is_some_and(|role| expected.roles.contains(&role))
    {
        let names: Vec<&str> = expected.roles.iter().map(|role| role.name()).collect();
        let has = identity.role.map_or("nothing of ours", Role::name);
        let what = format!("its organizational unit says {has}, not {}", names.join(" or "));
        findings.error(
            place,
            what,
            format!("make one: nunatak cert create-{}", names.first().unwrap_or(&"node")),
        );
    }
    if expected.is_server && identity.hosts.is_empty() {
        let remedy = "make it with the names that others connect to";
        findings.warning(
            place,
            "it names no host: most clients could not check whom they have reached",
            remedy,
        );
    }
}

/// Whether those who believe the authorities believe the certificate.
fn trust(
    place: &str,
    chain: &[CertificateDer<'static>],
    authorities: Vec<CertificateDer<'static>>,
    expected: &Expected<'_>,
    findings: &mut Findings,
) {
    let Some((own, between)) = chain.split_first() else { return };
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        if let Err(error) = roots.add(authority) {
            findings.error("--tls-ca", error, "give an authority's certificate");
            return;
        }
    }
    let (roots, provider) = (Arc::new(roots), Arc::new(default_provider()));
    // Its dates are told of already: here it is who has signed it that counts, on a day when it holds.
    let day =
        Identity::of(own).map_or(0, |identity| now_seconds().clamp(identity.not_before, identity.not_after));
    let now = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(day).unwrap_or(0)));
    let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
    let verified = match clients {
        Ok(clients) => {
            clients.verify_client_cert(own, between, now).map(drop).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = verified {
        findings.error(
            place,
            format!("--tls-ca does not vouch for it: {error}"),
            "give the authority that has signed it",
        );
        return;
    }
    let Ok(servers) = WebPkiServerVerifier::builder_with_provider(roots, provider).build() else { return };
    for host in &expected.hosts {
        let Ok(name) = ServerName::try_from(host.as_str()) else { continue };
        if servers.verify_server_cert(own, between, &name, &[], now).is_err() {
            let hosts = Identity::of(own).map(|identity| identity.hosts.join(", ")).unwrap_or_default();
            let what = format!("it stands for {hosts}, not for {host}, at which others reach this process");
            findings.error(place, what, format!("make it with that name: nunatak cert create-node {host}"));
        }
    }
}
