//! Encryption at rest: AES-256-GCM over every block and log record, with a key of its own for each file.
//!
//! ```text
//! master key ─ HKDF(salt in KEYS) ─▶ seals the key store, which holds the data keys     (keys)
//! data key ─── HKDF(salt in the file's envelope, kind of file) ─▶ file key              (cipher)
//! file key ─── AES-256-GCM(nonce = offset) ─▶ blocks, records                           (table, log)
//! ```
//! A file says in its *envelope*, the one part of it that is not sealed, which data key and which salt it uses:
//!
//! ```text
//! envelope := "NUNASEAL" | cipher u32 = 1 | data key u64 | salt [u8; 32] | reserved [0; 8] | crc32c u32 of all before
//! sealed   := ciphertext, as long as the plain bytes | tag [u8; 16]
//! nonce    := offset u64 | 0 u32
//! associated data := kind of part u8 | file number u64 | offset u64 | extra u32
//! file key := HKDF-SHA256(salt, data key, info = "nunatak/1/" and the kind of file)
//! ```
//! # Invariants
//! - No nonce is used twice with a file key: a salt is random and new for every file that is begun, a file grows only
//!   at its end, and what was cut from a log is never written again in the same file.
//! - A data key leaves the key store only when no file says that it uses it and nothing in memory holds it.
//! - The key store is replaced in one step: the old one or the new one is there, never a part.

mod cipher;
mod envelope;
mod keys;
mod master;

pub(crate) use cipher::{FileCipher, Part, TAG_BYTES};
pub(crate) use envelope::{ENVELOPE_BYTES, Envelope, Placement};
pub(crate) use keys::Reseal;
pub use keys::{EncryptionStatus, KeyUse, Keys};
pub use master::{KeySource, MasterKey};

#[cfg(test)]
mod tests;
