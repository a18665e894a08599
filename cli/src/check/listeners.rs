//! Addresses: those that are listened at, and those of others.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use super::Findings;
use crate::address::Address;

/// Where the flags' listeners would be, in their order; `None`: no such listener, or it cannot be told.
pub(super) fn check(flags: &[(&str, Option<&Address>)], findings: &mut Findings) -> Vec<Option<SocketAddr>> {
    let mut found = Vec::new();
    for (flag, address) in flags {
        let resolved = address.and_then(|address| local(flag, address, findings));
        if let Some(resolved) = resolved {
            for ((other_flag, _), other) in flags.iter().zip(&found) {
                if let Some(other) = other
                    && collide(resolved, *other)
                {
                    findings.error(
                        format!("{flag} {resolved}"),
                        format!("{other_flag} {other} takes the same port"),
                        "give each its own",
                    );
                }
            }
        }
        found.push(resolved);
    }
    found
}

/// An address of this machine.
fn local(flag: &str, address: &Address, findings: &mut Findings) -> Option<SocketAddr> {
    let place = format!("{flag} {address}");
    let resolved = match address.as_str().to_socket_addrs().map(|mut all| all.next()) {
        Ok(Some(resolved)) => resolved,
        Ok(None) => {
            findings.error(place, "the name has no address", "give an address of this machine");
            return None;
        }
        Err(error) => {
            findings.error(
                place,
                format!("the name cannot be resolved: {error}"),
                "give an address of this machine",
            );
            return None;
        }
    };
    // A datagram socket takes an address and a free port, and nobody can connect to it.
    if let Err(error) = UdpSocket::bind((resolved.ip(), 0)) {
        findings.error(
            place,
            format!("this machine cannot listen there: {error}"),
            "give an address of this machine",
        );
    }
    Some(resolved)
}

fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let everywhere = |address: SocketAddr| address.ip().is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || everywhere(one) || everywhere(other))
}

/// The cluster's nodes, as others name them.
pub(super) fn seeds(join: &[Address], findings: &mut Findings) {
    for (number, address) in join.iter().enumerate() {
        reachable("--join", address, findings);
        if join.iter().take(number).any(|other| other == address) {
            findings.warning(format!("--join {address}"), "it is named twice", "name other nodes besides it");
        }
    }
}

/// What others are told.
pub(super) fn advertised(address: &Address, join: &[Address], findings: &mut Findings) {
    reachable("--advertise", address, findings);
    let is_near =
        |address: &Address| address.host() == "localhost" || ip(address).is_some_and(|ip| ip.is_loopback());
    if is_near(address) && !join.iter().all(is_near) {
        findings.warning(
            format!("--advertise {address}"),
            "nodes on other machines cannot reach it",
            "give the name or address that they reach this node by",
        );
    }
}

/// An address that somebody else listens at.
pub(super) fn reachable(flag: &str, address: &Address, findings: &mut Findings) {
    let place = format!("{flag} {address}");
    if address.is_unspecified() {
        findings.error(&place, "it names every interface, which nobody can connect to", "name the machine");
    } else if ip(address).is_none() && !is_name(address.host()) {
        let what = format!("'{}' is neither an address nor the name of a host", address.host());
        findings.error(
            &place,
            what,
            "letters, digits, - and _, in parts of up to 63, with dots between them",
        );
    }
    if address.port() == 0 && flag != "--advertise" {
        findings.error(&place, "nobody listens at port 0", "give the port");
    }
}

fn ip(address: &Address) -> Option<IpAddr> {
    address.host().parse().ok()
}

fn is_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_part = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: impl FnOnce(&mut Findings)) -> Vec<String> {
        let mut findings = Findings::default();
        check(&mut findings);
        findings.0.iter().map(ToString::to_string).collect()
    }

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn two_listeners_do_not_share_a_port() {
        for (one, other, collides) in [
            ("127.0.0.1:7001", "127.0.0.1:7002", false),
            ("127.0.0.1:7001", "127.0.0.1:7001", true),
            ("127.0.0.1:7001", "127.0.0.2:7001", false),
            ("0.0.0.0:7001", "127.0.0.1:7001", true),
            ("0.0.0.0:0", "127.0.0.1:0", false),
        ] {
            let (one, other) = (address(one), address(other));
            let all = found(|findings| {
                check(&[("--listen", Some(&one)), ("--sql", None), ("--http", Some(&other))], findings);
            });
            assert_eq!(!all.is_empty(), collides, "{one} {other}: {all:?}");
        }
    }

    #[test]
    fn addresses_of_others_can_be_connected_to() {
        for (text, is_good) in [
            ("node-1.nodes.db.svc:26257", true),
            ("10.0.0.1:26257", true),
            ("[::1]:26257", true),
            ("0.0.0.0:26257", false),
            ("[::]:26257", false),
            ("node1:0", false),
            ("-node:1", false),
            ("a..b:1", false),
            ("no/de:1", false),
        ] {
            let all = found(|findings| reachable("--join", &address(text), findings));
            assert_eq!(all.is_empty(), is_good, "{text}: {all:?}");
        }
    }
}
