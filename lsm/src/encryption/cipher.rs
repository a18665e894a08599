//! Sealing and opening the parts of one file.

use std::fmt;
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf;
use zeroize::Zeroizing;

use super::envelope::Envelope;
use super::master::{KEY_BYTES, Length};
use crate::error::{Error, Result};

/// What sealing adds to the length.
pub(crate) const TAG_BYTES: usize = 16;

/// A secret that file keys are derived from. It is in use as long as anything holds it.
pub(super) struct DataKey {
    pub(super) id: u64,
    pub(super) secret: Zeroizing<[u8; KEY_BYTES]>,
}

/// What kind of part is sealed: one kind never passes for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Part {
    /// A block of a table.
    Block = 1,
    /// The properties of a table.
    Properties = 2,
    /// The payload of a log record; extra is the offset that it tells to be synced, or 0.
    Record = 3,
    /// The key store.
    Keys = 4,
}

/// Seals and opens the parts of one file, each at its offset.
pub(crate) struct FileCipher {
    key: LessSafeKey,
    number: u64,
    envelope: Envelope,
    /// Tells that the data key is in use.
    _data_key: Option<Arc<DataKey>>,
}

/// The key of a file from a secret and a salt.
fn derive(secret: &[u8; KEY_BYTES], salt: &[u8], file_kind: &str) -> Result<LessSafeKey> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    derived
        .expand(&[&b"nunatak/1/"[..], file_kind.as_bytes()], Length(KEY_BYTES))
        .and_then(|output| output.fill(&mut *bytes))
        .and_then(|()| UnboundKey::new(&AES_256_GCM, &*bytes))
        .map(LessSafeKey::new)
        .map_err(|_| Error::Invalid("no file key can be derived".to_owned()))
}

impl FileCipher {
    /// The cipher of file `number` of a kind.
    pub(super) fn of_file(
        key: Arc<DataKey>,
        envelope: Envelope,
        file_kind: &str,
        number: u64,
    ) -> Result<Self> {
        Ok(Self {
            key: derive(&key.secret, &envelope.salt, file_kind)?,
            number,
            envelope,
            _data_key: Some(key),
        })
    }

    /// The cipher of a key store.
    pub(super) fn of_key_store(master: &[u8; KEY_BYTES], salt: [u8; 32]) -> Result<Self> {
        let envelope = Envelope { data_key: 0, salt };
        Ok(Self { key: derive(master, &salt, "keys")?, number: 0, envelope, _data_key: None })
    }

    pub(crate) fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// Seals what `buffer` holds from `from` on, which will stand at `offset` of the file; its tag is appended.
    pub(crate) fn seal(
        &self,
        part: Part,
        offset: u64,
        extra: u32,
        buffer: &mut Vec<u8>,
        from: usize,
    ) -> Result<()> {
        let plain = buffer.get_mut(from..).unwrap_or_default();
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(offset), self.associated(part, offset, extra), plain)
            .map_err(|_| Error::Invalid("more than can be sealed at once".to_owned()))?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens in place what was sealed at `offset` as that kind of part. None: it was not, or it has changed since.
    pub(crate) fn open<'a>(
        &self,
        part: Part,
        offset: u64,
        extra: u32,
        sealed: &'a mut [u8],
    ) -> Option<&'a mut [u8]> {
        self.key.open_in_place(nonce(offset), self.associated(part, offset, extra), sealed).ok()
    }

    fn associated(&self, part: Part, offset: u64, extra: u32) -> Aad<[u8; 21]> {
        let mut bytes = [0; 21];
        let (kind, rest) = bytes.split_at_mut(1);
        let (number, rest) = rest.split_at_mut(8);
        let (at, more) = rest.split_at_mut(8);
        kind.copy_from_slice(&[part as u8]);
        number.copy_from_slice(&self.number.to_le_bytes());
        at.copy_from_slice(&offset.to_le_bytes());
        more.copy_from_slice(&extra.to_le_bytes());
        Aad::from(bytes)
    }
}

fn nonce(offset: u64) -> Nonce {
    let mut bytes = [0; 12];
    let (low, _) = bytes.split_at_mut(8);
    low.copy_from_slice(&offset.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl fmt::Debug for FileCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCipher").field("number", &self.number).field("envelope", &self.envelope).finish()
    }
}
