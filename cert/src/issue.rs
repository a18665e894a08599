//! Makes authorities and signs certificates, with ECDSA over P-256: every client knows it.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::Role;

/// How far a new certificate reaches back, for clocks that are behind.
const BACKDATED: Duration = Duration::hours(1);

/// A certificate and its private key.
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// PEM (PKCS #8); a secret.
    pub key: String,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The authority's files are unusable.
    #[error("the authority's certificate or key is unusable: {0}")]
    Authority(#[source] rcgen::Error),
    /// A name cannot stand in a certificate, or signing failed.
    #[error("making a certificate: {0}")]
    Issue(#[from] rcgen::Error),
}

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new one that holds for so many days from `now` (seconds since 1970).
    ///
    /// # Errors
    /// Its key could not be made.
    pub fn create(now: i64, days: u32) -> Result<Issued, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = params(now, days, "Nunatak authority", None)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Of the PEM of its certificate and its key.
    ///
    /// # Errors
    /// One of them is unusable.
    pub fn open(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key).map_err(IssueError::Authority)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(IssueError::Authority)?;
        Ok(Self { issuer })
    }

    /// Signs a new certificate for these hosts that holds for so many days from `now` (seconds since 1970).
    ///
    /// # Errors
    /// A name cannot stand in a certificate.
    pub fn issue(
        &self,
        role: Role,
        common_name: &str,
        hosts: &[String],
        now: i64,
        days: u32,
    ) -> Result<Issued, IssueError> {
        let key = KeyPair::generate()?;
        let mut params = params(now, days, common_name, Some(role))?;
        params.subject_alt_names = CertificateParams::new(hosts)?.subject_alt_names;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match role {
            Role::Node | Role::Gateway => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            Role::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn params(
    now: i64,
    days: u32,
    common_name: &str,
    role: Option<Role>,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Nunatak");
    if let Some(role) = role {
        name.push(DnType::OrganizationalUnitName, role.name());
    }
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    let now = OffsetDateTime::from_unix_timestamp(now).map_err(|_| rcgen::Error::Time)?;
    params.not_before = now.checked_sub(BACKDATED).unwrap_or(now);
    params.not_after = now.checked_add(Duration::days(i64::from(days))).ok_or(rcgen::Error::Time)?;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::Identity;

    const NOW: i64 = 1_700_000_000;

    fn identity(pem: &str) -> Identity {
        Identity::of(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_was_issued_is_read_back() {
        let authority = Authority::create(NOW, 3650).unwrap();
        assert!(identity(&authority.certificate).is_authority);
        let authority = Authority::open(&authority.certificate, &authority.key).unwrap();
        let hosts = ["db.example".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let node = identity(&authority.issue(Role::Node, "n1", &hosts, NOW, 30).unwrap().certificate);
        assert_eq!((node.role, node.common_name.as_deref()), (Some(Role::Node), Some("n1")));
        assert_eq!(node.hosts, hosts);
        assert_eq!((node.not_before, node.not_after), (NOW - 3600, NOW + 30 * 86400));
        assert_eq!(node.end_point.map(|hash| hash.len()), Some(32));
        assert!(!node.is_authority);
        let client = identity(&authority.issue(Role::Client, "Ann, Bob", &[], NOW, 30).unwrap().certificate);
        assert_eq!((client.role, client.common_name.as_deref()), (Some(Role::Client), Some("Ann, Bob")));
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let authority = Authority::create(NOW, 1).unwrap();
        let der = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap();
        for cut in 0..der.len() {
            assert!(Identity::of(&der[..cut]).is_err(), "{cut}");
        }
        assert!(Authority::open(&authority.certificate, "no key").is_err());
    }
}
