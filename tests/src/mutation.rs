//! Messages that are well formed and make no sense: a message with some of its fields changed.
//!
//! Works on the encoded form of any protobuf message, so that a new field is mutated as soon as it exists: numbers become
//! extremes, neighbours or other numbers of the same message, texts and bytes become empty, garbage or long, fields go,
//! come twice, or change places.

use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// A field as it is encoded: its number, and what it holds.
#[derive(Clone, Debug)]
struct Field {
    number: u64,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(Vec<u8>),
}

/// `message` with one to four changes.
pub fn mutate<M: Message + Default>(message: &M, random: &mut StdRng) -> M {
    let mut bytes = message.encode_to_vec();
    for _ in 0..random.random_range(1..=4) {
        let Some(mut fields) = parse(&bytes) else { break };
        change(&mut fields, random);
        let changed = print(&fields);
        // What cannot be decoded any more never reaches a handler: the change before it stands.
        if M::decode(changed.as_slice()).is_ok() {
            bytes = changed;
        }
    }
    M::decode(bytes.as_slice()).unwrap_or_default()
}

fn change(fields: &mut Vec<Field>, random: &mut StdRng) {
    if fields.is_empty() {
        return;
    }
    let place = random.random_range(0..fields.len());
    let others: Vec<u64> = fields
        .iter()
        .filter_map(|field| match field.content {
            Content::Varint(number) => Some(number),
            _ => None,
        })
        .collect();
    match random.random_range(0..10) {
        0 => drop(fields.remove(place)),
        1 => fields.push(fields[place].clone()),
        2 => {
            let other = random.random_range(0..fields.len());
            let content = fields[other].content.clone();
            fields[place].content = content;
        }
        _ => match &mut fields[place].content {
            Content::Varint(number) => *number = another_number(*number, &others, random),
            Content::Fixed64(bytes) => random.fill_bytes(bytes),
            Content::Fixed32(bytes) => random.fill_bytes(bytes),
            Content::Bytes(bytes) => match parse(bytes).filter(|inner| !inner.is_empty()) {
                Some(mut inner) if random.random_bool(0.8) => {
                    change(&mut inner, random);
                    *bytes = print(&inner);
                }
                _ => *bytes = another_text(bytes, random),
            },
        },
    }
}

fn another_number(number: u64, others: &[u64], random: &mut StdRng) -> u64 {
    match random.random_range(0..9) {
        0 => 0,
        1 => u64::MAX,
        2 => 1 << 63,
        3 => number.wrapping_add(1),
        4 => number.wrapping_sub(1),
        5 => 1 << random.random_range(0..64),
        6 => u64::from(u32::MAX) + 1,
        7 => others[random.random_range(0..others.len())],
        _ => random.random(),
    }
}

fn another_text(text: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut other = text.to_vec();
    match random.random_range(0..6) {
        0 => Vec::new(),
        1 => vec![b'x'; 100_000],
        2 => b"\0".to_vec(),
        3 => b"127.0.0.1:1".to_vec(),
        4 => {
            other.truncate(text.len() / 2);
            other
        }
        _ => {
            random.fill_bytes(&mut other);
            other
        }
    }
}

fn parse(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let content = match key & 7 {
            0 => Content::Varint(take_varint(&mut bytes)?),
            1 => Content::Fixed64(take(&mut bytes, 8)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                Content::Bytes(take(&mut bytes, length)?.to_vec())
            }
            5 => Content::Fixed32(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        if key >> 3 == 0 {
            return None;
        }
        fields.push(Field { number: key >> 3, content });
    }
    Some(fields)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for place in 0..10 {
        let byte = *take(bytes, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn print(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Field { number, content } in fields {
        let kind = match content {
            Content::Varint(_) => 0,
            Content::Fixed64(_) => 1,
            Content::Bytes(_) => 2,
            Content::Fixed32(_) => 5,
        };
        put_varint(&mut bytes, number << 3 | kind);
        match content {
            Content::Varint(number) => put_varint(&mut bytes, *number),
            Content::Fixed64(fixed) => bytes.extend_from_slice(fixed),
            Content::Fixed32(fixed) => bytes.extend_from_slice(fixed),
            Content::Bytes(inner) => {
                put_varint(&mut bytes, inner.len() as u64);
                bytes.extend_from_slice(inner);
            }
        }
    }
    bytes
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proto::v1::{NodeDescriptor, NodeHeartbeatRequest};
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn what_is_mutated_differs_and_can_be_decoded() {
        let message = NodeHeartbeatRequest {
            node_id: 3,
            address: "a:1".to_owned(),
            generation: 7,
            ..NodeHeartbeatRequest::default()
        };
        let mut random = StdRng::seed_from_u64(1);
        let different = (0..100).filter(|_| mutate(&message, &mut random) != message).count();
        assert!(different > 80, "{different}");
        assert_eq!(mutate(&NodeDescriptor::default(), &mut random), NodeDescriptor::default());
    }
}
