//! Temporary files: where rows go that do not fit into memory, until their statement is done with them.
//!
//! ```text
//! TemporarySpace (gateway: a directory and a bound) ──▶ TemporaryFile (one step of a statement) ──▶ pages, sealed
//! ```
//!
//! A file loses its name as soon as it is open, so that nothing is left of it when its statement ends, however that ends. Its
//! pages are encrypted with a key that is never written anywhere. What lies beyond the gateway's bound is refused (53400): the
//! statement that asked for it ends alone.

mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use env::disk::Disk;

pub(crate) use file::{Page, TemporaryFile};

use crate::error::{Error, Result};

/// Where statements put rows that do not fit into memory.
#[derive(Debug, Clone)]
pub struct TemporaryOptions {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The directory, made when it is needed. Others may use it, too.
    pub folder: PathBuf,
    /// Bytes of all files of a gateway together.
    pub bytes_max: u64,
    /// For tests: steps leave memory as early as this number makes them, down to every row.
    pub forced: Option<u64>,
}

/// The temporary files of a gateway.
///
/// Invariant: `used` is the sum of what living files have been charged, and never above the bound.
#[derive(Debug)]
pub(crate) struct TemporarySpace {
    options: TemporaryOptions,
    used: AtomicU64,
    /// How often somebody has asked when to leave memory.
    asked: AtomicU64,
}

impl TemporarySpace {
    /// With nothing in it.
    pub(crate) fn new(options: TemporaryOptions) -> Arc<Self> {
        Arc::new(Self { options, used: AtomicU64::new(0), asked: AtomicU64::new(0) })
    }

    /// Bytes after which a step has to leave memory, if a test says so: one row, a few, many.
    pub(crate) fn forced_share(&self) -> Option<usize> {
        let seed = self.options.forced?;
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let mixed = (seed ^ asked.rotate_left(17)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        Some(1 << (mixed % 16))
    }

    fn charge(&self, bytes: u64) -> Result<()> {
        let max = self.options.bytes_max;
        let fits = |used: u64| used.checked_add(bytes).filter(|used| *used <= max);
        let charged = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        charged.map(drop).map_err(|_| {
            Error::new("53400", "no room for temporary files")
                .detail(format!("All statements of this gateway together have {} MB on disk.", max >> 20))
                .hint("Let the statement sort, group or join fewer rows, or give the gateway more (--temp-max).")
        })
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
