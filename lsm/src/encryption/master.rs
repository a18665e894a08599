//! The master key, and where it comes from.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use env::disk::Disk;
use ring::hkdf;
use zeroize::Zeroize;

use crate::error::{Error, Result};

/// Bytes of every key here.
pub(super) const KEY_BYTES: usize = 32;

/// 32 secret bytes that seal a key store. Forgotten (overwritten) when dropped, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; KEY_BYTES]);

/// Where the master key is found when a database is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In this file, on the disk of the database: 32 raw bytes, or as text in hex or base64.
    File(PathBuf),
    /// In this environment variable, in hex or base64.
    Environment(String),
    /// Here.
    Key(MasterKey),
}

impl KeySource {
    /// Reads the key.
    pub fn read(&self, disk: &dyn Disk) -> Result<MasterKey> {
        let wrong = |place: &Path, what: String| Error::Key { path: place.to_owned(), what };
        match self {
            Self::File(path) => {
                let mut content = disk.read(path).map_err(Error::io("read the master key from", path))?;
                let key = MasterKey::parse(&content);
                content.zeroize();
                key.map_err(|what| wrong(path, what))
            }
            Self::Environment(name) => {
                let place = PathBuf::from(format!("${name}"));
                let mut text = std::env::var(name)
                    .map_err(|_| wrong(&place, "the variable holds no master key".to_owned()))?;
                let key = MasterKey::parse(text.as_bytes());
                text.zeroize();
                key.map_err(|what| wrong(&place, what))
            }
            Self::Key(key) => Ok(key.clone()),
        }
    }
}

impl MasterKey {
    /// Exactly these bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// A new random key.
    pub fn generate() -> Self {
        let mut bytes = [0; KEY_BYTES];
        env::random::fill(&mut bytes);
        Self(bytes)
    }

    /// 32 raw bytes, or text that holds 32 bytes in hex (64 digits) or base64 (44 characters, or 43 without padding). An
    /// error tells what was found, not the key.
    pub fn parse(content: &[u8]) -> std::result::Result<Self, String> {
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
        Err(format!(
            "not a master key: it takes 32 bytes, raw or in hex (64 digits) or base64 (44 characters), and {} bytes were \
             found; `openssl rand -hex 32` makes one",
            content.len()
        ))
    }

    /// The key as 64 hex digits, for a key file.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Eight bytes that tell master keys apart and say nothing about them.
    pub(super) fn fingerprint(&self) -> [u8; 8] {
        let mut print = [0; 8];
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.0);
        // A length that HKDF can fill: it never fails.
        if let Ok(output) = secret.expand(&[&b"nunatak/1/fingerprint"[..]], Length(8)) {
            let _ = output.fill(&mut print);
        }
        print
    }
}

/// How many bytes HKDF is asked for.
pub(super) struct Length(pub(super) usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
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

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}
