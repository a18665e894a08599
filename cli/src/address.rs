//! Addresses, listeners and localities as they stand in flags, variables and files.

use std::collections::BTreeMap;
use std::str::FromStr;

use tokio::net::TcpListener;

use crate::failure::Failure;

/// `host:port`, its syntax checked. The host may be a name, an IPv4 address, or an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// `host:port`
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The host, an IPv6 address without its brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.0.rsplit_once(':').map_or(self.as_str(), |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.0.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0)
    }

    /// Whether it names every interface of the machine, which nobody else can connect to.
    pub(crate) fn is_unspecified(&self) -> bool {
        self.0.starts_with("0.0.0.0:") || self.0.starts_with("[::]:")
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').ok_or("an address is host:port, such as 127.0.0.1:5433")?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || host.contains(char::is_whitespace) || (host.contains(':') && !bracketed) {
            return Err(format!("'{host}' is no host; an address is host:port, such as 127.0.0.1:5433"));
        }
        port.parse::<u16>().map_err(|_| format!("'{port}' is no port: a number from 0 to 65535"))?;
        Ok(Self(text.to_owned()))
    }
}

/// Where a node or a gateway stands, the widest place first: `region=…,zone=…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Locality(pub(crate) Vec<(String, String)>);

impl Locality {
    /// The pairs as the cluster's protocol carries them.
    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.0.into_iter().collect()
    }
}

impl FromStr for Locality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                    if pairs.iter().any(|(known, _)| known == key) {
                        return Err(format!("'{key}' is given twice"));
                    }
                    pairs.push((key.to_owned(), value.to_owned()));
                }
                _ => return Err(format!("'{part}' is no pair; a locality is region=…,zone=…")),
            }
        }
        Ok(Self(pairs))
    }
}

/// Listens at `address`; `flag` is what gave it.
pub(crate) async fn listen(flag: &str, address: &Address) -> Result<TcpListener, Failure> {
    TcpListener::bind(address.as_str())
        .await
        .map_err(|error| Failure::usage(format!("cannot listen at {address} ({flag}): {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for good in ["127.0.0.1:5433", "node1:26257", "[::1]:80", "localhost:0"] {
            assert_eq!(good.parse::<Address>().unwrap().as_str(), good);
        }
        for bad in ["", "5433", ":5433", "host:", "host:70000", "::1:80", "a b:1", "host:x"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_locality_is_pairs() {
        let pairs = "region=eu,zone=a".parse::<Locality>().unwrap().0;
        assert_eq!(pairs, [("region".to_owned(), "eu".to_owned()), ("zone".to_owned(), "a".to_owned())]);
        for bad in ["region", "=a", "a=", "a=1,a=2"] {
            assert!(bad.parse::<Locality>().is_err(), "{bad}");
        }
    }
}
