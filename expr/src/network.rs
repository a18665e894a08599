//! Network addresses: the values of `inet` and `cidr`.
//!
//! A value is held as bytes that order as PostgreSQL orders addresses: IPv4 before IPv6, then by the network, a network
//! before those within it, then by the address:
//!
//! ```text
//! family: 4 or 6     the network's address (4 or 16 bytes)     bits of the mask     the address, unless it is the network's
//! ```

mod input;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::binary::{Input, malformed};
use crate::datum::Datum;
use crate::error::{Error, Result};

/// What the binary format calls IPv4.
const FAMILY_4: u8 = 2;
/// What the binary format calls IPv6.
const FAMILY_6: u8 = 3;

/// An address, and how many of its bits name its network.
///
/// # Invariants
/// - There are not more bits than the address has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// An address in a network of so many bits; None if it has not so many.
    pub(crate) fn new(address: IpAddr, bits: u8) -> Option<Self> {
        (bits <= width_of(address)).then_some(Self { address, bits })
    }

    /// The network that a value holds. XX000 if it holds none.
    pub(crate) fn of(value: &Datum) -> Result<Self> {
        let held = match value {
            Datum::Bytea(held) => held.split_first(),
            _ => None,
        };
        let network = match held {
            Some((4, rest)) => held_address::<4>(rest),
            Some((6, rest)) => held_address::<16>(rest),
            _ => None,
        };
        network.ok_or_else(|| Error::internal("a network address that is none"))
    }

    /// The value that holds it.
    pub(crate) fn to_datum(self) -> Datum {
        let mut held = vec![self.family()];
        let network = self.network();
        put_address(network.address, &mut held);
        held.push(self.bits);
        if network.address != self.address {
            put_address(self.address, &mut held);
        }
        Datum::Bytea(held.into())
    }

    /// Reads an `inet`. 22P02 if it is none.
    pub(crate) fn parse_inet(text: &str) -> Result<Self> {
        input::inet(text).ok_or_else(|| Error::invalid_text("inet", text))
    }

    /// Reads a `cidr`. 22P02 if it is none, or an address within a network.
    pub(crate) fn parse_cidr(text: &str) -> Result<Self> {
        let read = input::cidr(text).ok_or_else(|| Error::invalid_text("cidr", text))?;
        match read.network() == read {
            true => Ok(read),
            false => Err(Error::new("22P02", format!("invalid cidr value: \"{text}\""))
                .with_detail("Value has bits set to right of mask.")),
        }
    }

    /// Appends an `inet`: the bits of the mask unless they are all.
    pub(crate) fn write_inet(self, out: &mut String) {
        if self.bits == self.width() { write_address(self.address, out) } else { self.write_cidr(out) }
    }

    /// Appends a `cidr`: with the bits of the mask.
    pub(crate) fn write_cidr(self, out: &mut String) {
        write_address(self.address, out);
        self.write_bits(out);
    }

    /// Appends a `cidr` without what is 0 of its address by the mask.
    pub(crate) fn write_abbreviated(self, out: &mut String) {
        match self.address {
            IpAddr::V4(address) => {
                let count = usize::from(self.bits.div_ceil(8)).max(1);
                let shown = address.octets().into_iter().take(count).map(|octet| octet.to_string());
                out.push_str(&shown.collect::<Vec<_>>().join("."));
            }
            IpAddr::V6(address) => write_abbreviated(address, self.bits, out),
        }
        self.write_bits(out);
    }

    fn write_bits(self, out: &mut String) {
        out.push('/');
        out.push_str(&self.bits.to_string());
    }

    /// The address without a mask.
    pub(crate) fn host(self) -> String {
        let mut out = String::new();
        write_address(self.address, &mut out);
        out
    }

    /// Reads the binary format of an `inet` or `cidr`, whose names it is given. 22P03 if it is none.
    pub(crate) fn receive(input: &mut Input<'_>, name: &str) -> Result<Self> {
        let invalid = |what: &str| malformed(&format!("invalid {what} in external \"{name}\" value"));
        // The third says whether it is a cidr, which the type does, too.
        let [family, bits, _, length] = input.array()?;
        if !matches!(family, FAMILY_4 | FAMILY_6) {
            return Err(invalid("address family"));
        }
        let width = if family == FAMILY_4 { 32 } else { 128 };
        if bits > width {
            return Err(invalid("bits"));
        }
        let address = match (family, length) {
            (FAMILY_4, 4) => IpAddr::from(input.array::<4>()?),
            (FAMILY_6, 16) => IpAddr::from(input.array::<16>()?),
            _ => return Err(invalid("length")),
        };
        let read = Self { address, bits };
        match name == "cidr" && read.network() != read {
            true => Err(Error::new("22P03", "invalid external \"cidr\" value")
                .with_detail("Value has bits set to right of mask.")),
            false => Ok(read),
        }
    }

    /// Appends the binary format.
    pub(crate) fn send(self, is_cidr: bool, out: &mut Vec<u8>) {
        let family = if self.address.is_ipv4() { FAMILY_4 } else { FAMILY_6 };
        out.extend([family, self.bits, u8::from(is_cidr), self.width() / 8]);
        put_address(self.address, out);
    }

    /// 4 or 6
    pub(crate) fn family(self) -> u8 {
        if self.address.is_ipv4() { 4 } else { 6 }
    }

    /// How many bits of its address name the network.
    pub(crate) fn bits(self) -> u8 {
        self.bits
    }

    /// How many bits its address has.
    pub(crate) fn width(self) -> u8 {
        width_of(self.address)
    }

    /// The bits of its address.
    pub(crate) fn number(self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address),
        }
    }

    /// The address of the same family with these bits, as far as it has so many.
    #[must_use]
    pub(crate) fn with_number(self, number: u128) -> Self {
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
        };
        Self { address, ..self }
    }

    /// The same address in a network of so many bits; None if it has not so many.
    pub(crate) fn with_bits(self, bits: u8) -> Option<Self> {
        Self::new(self.address, bits)
    }

    /// The bits that name a host within the network.
    pub(crate) fn host_mask(self) -> u128 {
        u128::MAX.checked_shr(u32::from(self.bits) + 128 - u32::from(self.width())).unwrap_or(0)
    }

    /// All bits that its address has.
    pub(crate) fn all_ones(self) -> u128 {
        u128::MAX >> (128 - u32::from(self.width()))
    }

    /// The network's own address.
    #[must_use]
    pub(crate) fn network(self) -> Self {
        self.with_number(self.number() & !self.host_mask())
    }

    /// The address that stands alone.
    #[must_use]
    pub(crate) fn alone(self) -> Self {
        Self { bits: self.width(), ..self }
    }

    /// Whether both are of one family.
    pub(crate) fn is_alike(self, other: Self) -> bool {
        self.family() == other.family()
    }

    /// Whether another address is in this one's network, or that network in this.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.is_alike(other) && self.bits <= other.bits && self.shares(other, self.bits)
    }

    /// Whether one of the two is in the other's network.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.is_alike(other) && self.shares(other, self.bits.min(other.bits))
    }

    fn shares(self, other: Self, bits: u8) -> bool {
        bits <= self.common_bits(other)
    }

    /// How many bits both begin with, of one family.
    pub(crate) fn common_bits(self, other: Self) -> u8 {
        let zeros = (self.number() ^ other.number()).leading_zeros() as u8;
        zeros.saturating_sub(128 - self.width())
    }
}

fn width_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn put_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => out.extend(address.octets()),
        IpAddr::V6(address) => out.extend(address.octets()),
    }
}

/// What stands behind the family.
fn held_address<const N: usize>(held: &[u8]) -> Option<Network>
where
    IpAddr: From<[u8; N]>,
{
    let (network, rest) = held.split_first_chunk::<N>()?;
    let (bits, rest) = rest.split_first()?;
    let address: [u8; N] = if rest.is_empty() { *network } else { rest.try_into().ok()? };
    Network::new(IpAddr::from(address), *bits)
}

/// Appends an address: of an IPv6 address the longest row of groups that are 0, the first of several, as `::`, and what
/// stands for an IPv4 address as one.
fn write_address(address: IpAddr, out: &mut String) {
    match address {
        IpAddr::V4(address) => out.push_str(&address.to_string()),
        IpAddr::V6(address) => {
            let groups = address.segments();
            let zeros = longest_zeros(&groups, 2);
            let octets = address.octets();
            let last = octets.get(12..).filter(|_| is_version_4(&groups, &zeros));
            write_groups(&groups, &zeros, last, out);
        }
    }
}

/// Appends those groups of an address that the mask reaches, at least two; even one that is 0 is left out.
fn write_abbreviated(address: Ipv6Addr, bits: u8, out: &mut String) {
    let all = address.segments();
    let count = usize::from(bits.div_ceil(16)).max(2);
    let groups = all.get(..count).unwrap_or_default();
    let zeros = longest_zeros(groups, 1);
    let octets = address.octets();
    let end = match count {
        7 => 14,
        _ if bits > 120 => 16,
        _ => 15,
    };
    let is_version_4 = zeros.len() < count && is_version_4(groups, &zeros);
    write_groups(groups, &zeros, octets.get(12..end).filter(|_| count > 6 && is_version_4), out);
}

/// Whether the last two groups are an IPv4 address.
fn is_version_4(groups: &[u16], zeros: &Range<usize>) -> bool {
    *zeros == (0..6) || *zeros == (0..5) && groups.get(5) == Some(&0xffff)
}

/// Appends groups, with `::` for those in `zeros`, and `octets` for what stands behind the sixth.
fn write_groups(groups: &[u16], zeros: &Range<usize>, octets: Option<&[u8]>, out: &mut String) {
    let count = if octets.is_some() { 6 } else { groups.len() };
    for (place, group) in groups.iter().enumerate().take(count) {
        let is_left_out = zeros.contains(&place);
        let is_separated = if is_left_out { place == zeros.start } else { place > 0 };
        if is_separated {
            out.push(':');
        }
        if !is_left_out {
            out.push_str(&format!("{group:x}"));
        }
    }
    match octets {
        Some(octets) => {
            let octets: Vec<String> = octets.iter().map(u8::to_string).collect();
            out.push(':');
            out.push_str(&octets.join("."));
        }
        None if !zeros.is_empty() && zeros.end == groups.len() => out.push(':'),
        None => {}
    }
}

/// The longest row of at least so many groups that are 0, the first of several; empty if there is none.
fn longest_zeros(groups: &[u16], least: usize) -> Range<usize> {
    let mut longest = 0..0;
    let mut row = 0..0;
    for (place, group) in groups.iter().enumerate() {
        row = match *group {
            0 if row.end == place && !row.is_empty() => row.start..place + 1,
            0 => place..place + 1,
            _ => 0..0,
        };
        if row.len() > longest.len() && row.len() >= least {
            longest = row.clone();
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::compare;

    fn inet(text: &str) -> Network {
        Network::parse_inet(text).unwrap()
    }

    fn shown(network: Network) -> String {
        let mut out = String::new();
        network.write_inet(&mut out);
        out
    }

    fn abbreviated(text: &str) -> String {
        let mut out = String::new();
        Network::parse_cidr(text).unwrap().write_abbreviated(&mut out);
        out
    }

    fn network() -> impl Strategy<Value = Network> {
        let octet = || prop_oneof![Just(0u8), Just(10), Just(0xff), any::<u8>()];
        prop_oneof![
            (any::<[bool; 2]>(), octet(), octet(), 0u8..33).prop_map(|(middle, first, last, bits)| {
                let middle = middle.map(u8::from);
                Network::new(IpAddr::from([first, middle[0], middle[1], last]), bits).unwrap()
            }),
            (prop::collection::vec(prop_oneof![3 => Just(0u16), 1 => any::<u16>()], 8), 0u8..129).prop_map(
                |(groups, bits)| {
                    let groups: [u16; 8] = groups.try_into().unwrap();
                    Network::new(IpAddr::from(groups), bits).unwrap()
                }
            ),
        ]
    }

    /// PostgreSQL's order, in its own steps.
    fn expected(left: Network, right: Network) -> std::cmp::Ordering {
        let shared = left.bits().min(right.bits());
        let beginning = |network: Network| network.with_bits(shared).unwrap().network().number();
        left.family()
            .cmp(&right.family())
            .then_with(|| beginning(left).cmp(&beginning(right)))
            .then_with(|| left.bits().cmp(&right.bits()))
            .then_with(|| left.number().cmp(&right.number()))
    }

    proptest! {
        #[test]
        fn addresses_order_by_network_and_then_by_host(left in network(), right in network()) {
            prop_assert_eq!(compare(&left.to_datum(), &right.to_datum()), expected(left, right));
            prop_assert_eq!(Network::of(&left.to_datum()).unwrap(), left);
        }

        #[test]
        fn both_formats_read_back(network in network()) {
            prop_assert_eq!(inet(&shown(network)), network);
            let mut bytes = Vec::new();
            network.send(false, &mut bytes);
            prop_assert_eq!(Network::receive(&mut Input::new(&bytes), "inet").unwrap(), network);
        }

        #[test]
        fn garbage_is_an_error_or_an_address_but_never_a_panic(text in "[0-9a-fx:./]{0,24}") {
            let _ = Network::parse_inet(&text);
            let _ = Network::parse_cidr(&text);
        }
    }

    #[test]
    fn addresses_are_written_as_postgresql_does() {
        for text in [
            "192.168.1.5",
            "192.168.1.5/24",
            "::",
            "::1",
            "::1.2.3.4",
            "::ffff:1.2.3.4",
            "::0.1.0.2",
            "::5",
            "1:0:0:4::8",
            "64:ff9b::102:304",
            "1:2:3:4:5:6:7:0",
            "0:2:3:4:5:6:7:8",
            "::1:0:0",
            "2001:db8::1/64",
            "0:0:0:1::",
        ] {
            assert_eq!(shown(inet(text)), text);
        }
    }

    #[test]
    fn networks_are_abbreviated_as_postgresql_does() {
        for (text, short) in [
            ("0.0.0.0/0", "0/0"),
            ("10.1.0.0/16", "10.1/16"),
            ("192.168.100.128/25", "192.168.100.128/25"),
            ("2001:db8::/32", "2001:db8/32"),
            ("::/0", "::/0"),
            ("::/16", "::/16"),
            ("fe80::/10", "fe80::/10"),
            ("1::/17", "1::/17"),
            ("::ffff:1.2.3.0/120", "::ffff:1.2.3/120"),
            ("::1:0/112", "::0.1/112"),
            ("::102:0/120", "::1.2.0/120"),
            ("1:0:2::/64", "1::2:0/64"),
            ("::ffff:0.0.0.0/96", "::ffff/96"),
            ("0:1::/32", "::1/32"),
            ("::/112", "::/112"),
            ("1:2:0:3::/64", "1:2::3/64"),
            ("::1/128", "::1/128"),
        ] {
            assert_eq!(abbreviated(text), short, "{text}");
        }
    }
}
