//! Keys: the one that whoever makes a backup keeps, that of a link, and those of its files.
//!
//! ```text
//! secret key ─ HKDF(salt in the manifest) ─▶ wraps the link's data key
//! data key ─── HKDF(salt = the file's name) ─▶ file key; of a manifest: its name and the salt in it
//! file key ─── AES-256-GCM(nonce = number of the part) ─▶ parts of the file
//! ```
//! # Invariants
//! - No nonce is used twice with a file key: a data key is random and of one link, no name of a data file is given twice in it, no
//!   salt of a manifest, and the parts of a file are numbered.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};

/// Bytes of every key here.
const KEY_BYTES: usize = 32;

/// Bytes of a salt.
pub(crate) const SALT_BYTES: usize = 32;

/// What names the salt of a wrapped key, and the only part that it seals.
const WRAPPED: &str = "wrapped";

/// 32 secret bytes that whoever makes backups keeps. Overwritten when dropped, and never printed.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_BYTES]);

/// The key of one link of a chain. Overwritten when dropped, and never printed.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

/// Seals and opens the parts of one file.
pub(crate) struct Cipher(LessSafeKey);

/// How many bytes HKDF is asked for.
struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn derive(secret: &[u8; KEY_BYTES], salt: &[u8], kind: &str) -> Result<Cipher> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    derived
        .expand(&[&b"nunatak/backup/1/"[..], kind.as_bytes()], KeyLength)
        .and_then(|output| output.fill(&mut *bytes))
        .and_then(|()| UnboundKey::new(&AES_256_GCM, &*bytes))
        .map(|key| Cipher(LessSafeKey::new(key)))
        .map_err(|_| Error::Key("no key can be derived".to_owned()))
}

impl SecretKey {
    /// 32 raw bytes, or text that holds 32 bytes in hex (64 digits) or base64 (44 characters, or 43 without padding): what a
    /// master key's file is, too. An error does not tell the key.
    pub fn parse(content: &[u8]) -> Result<Self> {
        if let Ok(raw) = content.try_into() {
            return Ok(Self(raw));
        }
        let text = content.trim_ascii();
        let mut key = Self([0; KEY_BYTES]);
        let parsed = match text.len() {
            64 => decode_hex(text, &mut key.0),
            44 => STANDARD.decode_slice(text, &mut key.0).is_ok_and(|length| length == KEY_BYTES),
            43 => STANDARD_NO_PAD.decode_slice(text, &mut key.0).is_ok_and(|length| length == KEY_BYTES),
            _ => false,
        };
        if parsed {
            return Ok(key);
        }
        let found = content.len();
        Err(Error::Key(format!(
            "not an encryption key: it takes 32 bytes, raw or in hex (64 digits) or base64 (44 characters), and {found} \
             bytes were found"
        )))
    }

    /// The data key as it stands in a manifest, and the salt beside it.
    pub(crate) fn wrap(&self, key: &DataKey) -> Result<(Vec<u8>, [u8; SALT_BYTES])> {
        let mut salt = [0; SALT_BYTES];
        env::random::fill(&mut salt);
        let mut wrapped = key.0.to_vec();
        derive(&self.0, &salt, WRAPPED)?.seal(0, &mut wrapped, 0)?;
        Ok((wrapped, salt))
    }

    /// The data key that stands in a manifest; `None`: it was wrapped by another key, or has changed.
    pub(crate) fn unwrap(&self, wrapped: &[u8], salt: &[u8]) -> Result<Option<DataKey>> {
        let mut wrapped = Zeroizing::new(wrapped.to_vec());
        let cipher = derive(&self.0, salt, WRAPPED)?;
        Ok(cipher.open(0, &mut wrapped).and_then(|plain| DataKey::of(plain)))
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl DataKey {
    /// A new random one.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        env::random::fill(&mut *bytes);
        Self(bytes)
    }

    /// Exactly these bytes; `None`: they are not as many as a key has.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// Its bytes, for a node that seals files with it.
    pub fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// The cipher of a manifest, which may be written more than once: each time under another salt.
    pub(crate) fn manifest_cipher(&self, name: &str, salt: &[u8]) -> Result<Cipher> {
        derive(&self.0, &[name.as_bytes(), salt].concat(), "manifest")
    }

    /// The cipher of a data file.
    pub(crate) fn cipher(&self, name: &str) -> Result<Cipher> {
        derive(&self.0, name.as_bytes(), "file")
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

impl Cipher {
    /// Seals what `buffer` holds from `from` on as the part of this number; its tag is appended.
    pub(crate) fn seal(&self, number: u64, buffer: &mut Vec<u8>, from: usize) -> Result<()> {
        let plain = buffer.get_mut(from..).unwrap_or_default();
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::empty(), plain)
            .map_err(|_| Error::Key("more than can be sealed at once".to_owned()))?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens in place what was sealed as the part of this number; `None`: it was not, or it has changed.
    pub(crate) fn open<'a>(&self, number: u64, sealed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        self.0.open_in_place(nonce(number), Aad::empty(), sealed).ok()
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    let (low, _) = bytes.split_at_mut(8);
    low.copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn decode_hex(text: &[u8], key: &mut [u8; KEY_BYTES]) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (pair, byte) in text.chunks_exact(2).zip(key.iter_mut()) {
        let [high, low] = pair else { return false };
        match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => *byte = (high * 16 + low) as u8,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_key_is_unwrapped_by_its_own_key_alone() {
        let own = SecretKey::parse(&[7; 32]).unwrap();
        let other = SecretKey::parse("08".repeat(32).as_bytes()).unwrap();
        let key = DataKey::generate();
        let (wrapped, salt) = own.wrap(&key).unwrap();
        assert_eq!(own.unwrap(&wrapped, &salt).unwrap().unwrap().bytes(), key.bytes());
        assert!(other.unwrap(&wrapped, &salt).unwrap().is_none());
        assert!(own.unwrap(&wrapped, &[0; SALT_BYTES]).unwrap().is_none());
        assert!(SecretKey::parse(b"short").is_err());
        assert_eq!(format!("{own:?}{key:?}"), "SecretKey(…)DataKey(…)");
    }

    #[test]
    fn parts_are_opened_where_they_were_sealed() {
        let key = DataKey::generate();
        let mut sealed = b"head rows".to_vec();
        key.cipher("a").unwrap().seal(3, &mut sealed, 5).unwrap();
        let opened = |name: &str, number: u64| {
            let mut part = sealed[5..].to_vec();
            key.cipher(name).unwrap().open(number, &mut part).map(|plain| plain.to_vec())
        };
        assert_eq!(opened("a", 3), Some(b"rows".to_vec()));
        assert_eq!((opened("a", 4), opened("b", 3)), (None, None));
    }
}
