//! Digests of messages, with and without a key (RFC 2104).

use bytes::Bytes;
use ring::digest as ring_digest;

use super::arguments::{exactly, integer, mismatch, text};
use super::{md5, sha224};
use crate::datum::Datum;
use crate::error::{Error, Result};
use crate::work;

/// The most random bytes that may be asked for at once.
const RANDOM_BYTES_MAX: i32 = 1024;

/// How a digest is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn named(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_lowercase().as_str() {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha224" => Self::Sha224,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => {
                return Err(Error::new("22023", format!("Cannot use \"{name}\": No such hash algorithm")));
            }
        })
    }

    /// How many bytes go through at once.
    fn block_bytes(self) -> usize {
        match self {
            Self::Sha384 | Self::Sha512 => 128,
            _ => 64,
        }
    }
}

pub(super) fn digest_of(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let by = |algorithm| ring_digest::digest(algorithm, message).as_ref().to_vec();
    match algorithm {
        Algorithm::Md5 => md5::digest(message).to_vec(),
        Algorithm::Sha1 => by(&ring_digest::SHA1_FOR_LEGACY_USE_ONLY),
        Algorithm::Sha224 => sha224::digest(message),
        Algorithm::Sha256 => by(&ring_digest::SHA256),
        Algorithm::Sha384 => by(&ring_digest::SHA384),
        Algorithm::Sha512 => by(&ring_digest::SHA512),
    }
}

pub(super) fn sha224(value: &Datum) -> Result<Datum> {
    Ok(Datum::Bytea(digest_of(Algorithm::Sha224, message(value)?).into()))
}

pub(super) fn sha256(value: &Datum) -> Result<Datum> {
    Ok(Datum::Bytea(digest_of(Algorithm::Sha256, message(value)?).into()))
}

pub(super) fn sha384(value: &Datum) -> Result<Datum> {
    Ok(Datum::Bytea(digest_of(Algorithm::Sha384, message(value)?).into()))
}

pub(super) fn sha512(value: &Datum) -> Result<Datum> {
    Ok(Datum::Bytea(digest_of(Algorithm::Sha512, message(value)?).into()))
}

fn message(value: &Datum) -> Result<&[u8]> {
    let bytes = match value {
        Datum::Text(text) => text.as_bytes(),
        Datum::Bytea(bytes) => bytes,
        _ => return Err(mismatch()),
    };
    work::step(bytes.len())?;
    Ok(bytes)
}

pub(super) fn digest(data: &Datum, algorithm: &Datum) -> Result<Datum> {
    let algorithm = Algorithm::named(text(algorithm)?)?;
    Ok(Datum::Bytea(digest_of(algorithm, message(data)?).into()))
}

pub(super) fn hmac(args: &[Datum]) -> Result<Datum> {
    let [data, key, algorithm] = exactly(args)?;
    let algorithm = Algorithm::named(text(algorithm)?)?;
    let mut key = message(key)?.to_vec();
    if key.len() > algorithm.block_bytes() {
        key = digest_of(algorithm, &key);
    }
    key.resize(algorithm.block_bytes(), 0);
    let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = digest_of(algorithm, &[padded(0x36).as_slice(), message(data)?].concat());
    Ok(Datum::Bytea(digest_of(algorithm, &[padded(0x5c), inner].concat()).into()))
}

pub(super) fn random_bytes(count: &Datum) -> Result<Datum> {
    match i32::try_from(integer(count)?).unwrap_or(0) {
        count @ 1..=RANDOM_BYTES_MAX => {
            let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
            env::random::fill(&mut bytes);
            Ok(Datum::Bytea(Bytes::from(bytes)))
        }
        _ => Err(Error::new("39000", "Length not in range")),
    }
}
