//! The part of a sealed file that everybody can read: which data key it uses, and its salt.

use std::fmt;
use std::path::Path;

use env::disk::Disk;

use crate::coding::{u32_at, u64_at};
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"NUNASEAL";
/// AES-256-GCM, keys by HKDF-SHA256.
const CIPHER: u32 = 1;
const CRC_AT: usize = 60;
pub(crate) const SALT_BYTES: usize = 32;
/// Length of an envelope.
pub(crate) const ENVELOPE_BYTES: usize = 64;

/// Which data key seals a file, and with which salt. Drawn in the page of [`crate::encryption`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) data_key: u64,
    pub(crate) salt: [u8; SALT_BYTES],
}

/// Where in the files of a directory the envelope stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// So many bytes from the start.
    Head(u64),
    /// Before so many last bytes.
    Tail(u64),
}

impl Envelope {
    pub(crate) fn encode(&self) -> [u8; ENVELOPE_BYTES] {
        let mut bytes = Vec::with_capacity(ENVELOPE_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&CIPHER.to_le_bytes());
        bytes.extend_from_slice(&self.data_key.to_le_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.try_into().unwrap_or([0; ENVELOPE_BYTES])
    }

    /// None if these bytes are no envelope, or one of a cipher that this program does not know.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let covered = bytes.get(..CRC_AT)?;
        let whole = u32_at(bytes, CRC_AT)? == crc32c::crc32c(covered)
            && covered.starts_with(MAGIC)
            && u32_at(bytes, 8)? == CIPHER;
        if !whole {
            return None;
        }
        Some(Self { data_key: u64_at(bytes, 12)?, salt: bytes.get(20..20 + SALT_BYTES)?.try_into().ok()? })
    }

    /// The envelope of the file at `path`; None if it has none there.
    pub(crate) fn peek(disk: &dyn Disk, path: &Path, placement: Placement) -> Result<Option<Self>> {
        let file = disk.open(path).map_err(Error::io("open", path))?;
        let length = file.length().map_err(Error::io("read the length of", path))?;
        let at = match placement {
            Placement::Head(before) => Some(before),
            Placement::Tail(after) => length.checked_sub(after + ENVELOPE_BYTES as u64),
        };
        let Some(at) = at.filter(|at| at + ENVELOPE_BYTES as u64 <= length) else { return Ok(None) };
        let mut bytes = [0; ENVELOPE_BYTES];
        file.read_exact_at(at, &mut bytes).map_err(Error::io("read", path))?;
        Ok(Self::decode(&bytes))
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({:016x})", self.data_key)
    }
}
