//! Whom a certificate names.

use ring::digest;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::Role;

/// What of a certificate matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The common name: of a client's certificate the SQL role.
    pub common_name: Option<String>,
    /// What it is for, if its organizational unit says so.
    pub role: Option<Role>,
    /// The hosts that it stands for.
    pub hosts: Vec<String>,
    /// Whether it may sign others.
    pub is_authority: bool,
    /// When it begins to hold, in seconds since 1970.
    pub not_before: i64,
    /// When it ends to hold, in seconds since 1970.
    pub not_after: i64,
    /// The same as a date for people.
    pub expires: String,
    /// The channel binding `tls-server-end-point` (RFC 5929): the certificate's hash by the digest of its signature,
    /// at least SHA-256. `None`: the signature has no digest of its own.
    pub end_point: Option<Vec<u8>>,
}

/// The bytes are no certificate.
#[derive(Debug, thiserror::Error)]
#[error("not an X.509 certificate")]
pub struct Unreadable;

impl Identity {
    /// Reads a certificate (DER).
    ///
    /// # Errors
    /// The bytes are no certificate.
    pub fn of(der: &[u8]) -> Result<Self, Unreadable> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Unreadable)?;
        if !rest.is_empty() {
            return Err(Unreadable);
        }
        let subject = certificate.subject();
        let mut names = subject.iter_common_name();
        // A subject with two names names nobody.
        let common_name = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok().map(str::to_owned),
            _ => None,
        };
        let mut units = subject.iter_organizational_unit();
        let role = match (units.next(), units.next()) {
            (Some(unit), None) => unit.as_str().ok().and_then(|unit| unit.parse().ok()),
            _ => None,
        };
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let hosts =
            alternatives.iter().flat_map(|names| &names.value.general_names).filter_map(host).collect();
        let validity = certificate.validity();
        Ok(Self {
            common_name,
            role,
            hosts,
            is_authority: certificate.is_ca(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            expires: validity.not_after.to_string(),
            end_point: digest_of(&certificate.signature_algorithm.algorithm.to_id_string())
                .map(|algorithm| digest::digest(algorithm, der).as_ref().to_vec()),
        })
    }
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The digest of a signature algorithm; MD5 and SHA-1 count as SHA-256.
fn digest_of(signature: &str) -> Option<&'static digest::Algorithm> {
    match signature {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(&digest::SHA256),
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(&digest::SHA384),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(&digest::SHA512),
        _ => None,
    }
}
