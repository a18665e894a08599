//! Network addresses from text: the forms that PostgreSQL takes, which are those of BIND's `inet_net_pton` and
//! `inet_cidr_pton`.

use std::net::IpAddr;

use super::Network;

/// An `inet`: all parts of an IPv4 address, or with a mask as many as that reaches; or an IPv6 address.
pub(super) fn inet(text: &str) -> Option<Network> {
    if text.contains(':') {
        return version_6(text);
    }
    let (address, mask) = split_mask(text);
    let octets = octets(address.strip_suffix('.').unwrap_or(address))?;
    let bits = match mask {
        Some(mask) => byte(mask)?,
        None if octets.len() == 4 => 32,
        None => return None,
    };
    // Only whole bytes count here.
    if usize::from(bits / 8) > octets.len() {
        return None;
    }
    Network::new(filled(&octets)?, bits)
}

/// A `cidr`: as many parts of an IPv4 address as there are, whose class says without a mask how long the network's is; or an
/// IPv6 address.
pub(super) fn cidr(text: &str) -> Option<Network> {
    if text.contains(':') {
        return version_6(text);
    }
    let (address, mask) = split_mask(text);
    let octets = match address.strip_prefix("0x").or_else(|| address.strip_prefix("0X")) {
        Some(digits) => hexadecimal(digits)?,
        None => octets(address)?,
    };
    let bits = match mask {
        Some(mask) => byte(mask)?,
        None => {
            let of_parts = u8::try_from(octets.len() * 8).ok()?;
            match octets.first()? {
                // Of multicast the whole class.
                224 if of_parts == 8 => 4,
                240.. => of_parts.max(32),
                224.. => of_parts.max(8),
                192.. => of_parts.max(24),
                128.. => of_parts.max(16),
                _ => of_parts.max(8),
            }
        }
    };
    Network::new(filled(&octets)?, bits)
}

/// What stands before a slash, and behind it.
fn split_mask(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(address, mask)| (address, Some(mask)))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of at most 255.
fn byte(text: &str) -> Option<u8> {
    if is_number(text) { text.parse().ok() } else { None }
}

/// One to four numbers with points between them.
fn octets(text: &str) -> Option<Vec<u8>> {
    let octets: Option<Vec<u8>> = text.split('.').map(byte).collect();
    octets.filter(|octets| octets.len() <= 4)
}

/// One to four bytes; the last may lack its second digit.
fn hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = digits.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let octets: Vec<u8> =
        digits?.chunks(2).map(|pair| pair.iter().zip([4, 0]).map(|(digit, by)| digit << by).sum()).collect();
    (1..=4).contains(&octets.len()).then_some(octets)
}

/// The address that begins with these bytes.
fn filled(octets: &[u8]) -> Option<IpAddr> {
    let mut address = [0; 4];
    address.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(IpAddr::from(address))
}

fn version_6(text: &str) -> Option<Network> {
    let (address, mask) = split_mask(text);
    let bits = match mask {
        Some(mask) if is_number(mask) && (mask == "0" || !mask.starts_with('0')) => mask.parse().ok()?,
        Some(_) => return None,
        None => 128,
    };
    let (before, behind) = match address.split_once("::") {
        Some((before, behind)) => (groups(before)?, groups(behind)?),
        None => (groups(address)?, Vec::new()),
    };
    let missing = 8_usize.checked_sub(before.len() + behind.len())?;
    // What is left out is at least one group.
    if address.contains("::") != (missing > 0) {
        return None;
    }
    let zeros = std::iter::repeat_n(0, missing);
    let all: Vec<u16> = before.into_iter().chain(zeros).chain(behind).collect();
    let all: [u16; 8] = all.try_into().ok()?;
    Network::new(IpAddr::from(all), bits)
}

/// Groups with colons between them, the last two perhaps as an IPv4 address; none of an empty text.
fn groups(text: &str) -> Option<Vec<u16>> {
    let mut groups = Vec::new();
    if text.is_empty() {
        return Some(groups);
    }
    let mut parts = text.split(':').peekable();
    while let Some(part) = parts.next() {
        if part.contains('.') && parts.peek().is_none() {
            let [a, b, c, d] = last_octets(part)?;
            groups.extend([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
            continue;
        }
        let is_hexadecimal = part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if part.is_empty() || part.len() > 4 || !is_hexadecimal {
            return None;
        }
        groups.push(u16::from_str_radix(part, 16).ok()?);
    }
    Some(groups)
}

/// An IPv4 address within an IPv6 address: two to four numbers without zeros in front; all but the last may be left out.
fn last_octets(text: &str) -> Option<[u8; 4]> {
    let mut address = [0; 4];
    let mut places = address.iter_mut();
    let mut parts = text.split('.').peekable();
    while let Some(part) = parts.next() {
        let place = places.next()?;
        if part.is_empty() && parts.peek().is_some() {
            continue;
        }
        if !is_number(part) || part.len() > 1 && part.starts_with('0') {
            return None;
        }
        *place = part.parse().ok()?;
    }
    Some(address)
}
