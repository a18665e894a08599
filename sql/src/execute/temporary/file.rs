//! A temporary file: pages that are appended and read in any order.
//!
//! ```text
//! file   page…
//! page   encrypted bytes   tag (16 bytes)      AES-256-GCM under the file's own random key, the nonce is the offset
//! ```

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use env::disk::{AppendFile, ReadFile};
use parking_lot::Mutex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::TemporarySpace;
use crate::error::{Error, Result};

/// How the names of temporary files begin.
const PREFIX: &str = "nunatak-temporary-";

/// To close a file that is larger takes the system long: it gives each block back.
const LARGE_BYTES: u64 = 16 << 20;

/// Where a page stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    offset: u64,
    length: usize,
}

/// A file without a name. It is gone with the last of its clones.
#[derive(Debug, Clone)]
pub(crate) struct TemporaryFile(Arc<Open>);

struct Open {
    /// There until it is closed.
    ends: Option<Ends>,
    key: LessSafeKey,
    space: Arc<TemporarySpace>,
    charged: AtomicU64,
}

struct Ends {
    append: Mutex<Box<dyn AppendFile>>,
    read: Arc<dyn ReadFile>,
}

impl Open {
    fn ends(&self) -> Result<&Ends> {
        self.ends.as_ref().ok_or_else(|| Error::internal("a temporary file is used after its end"))
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("charged", &self.charged).finish_non_exhaustive()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let bytes = self.charged.load(Ordering::Relaxed);
        self.space.give_back(bytes);
        let ends = self.ends.take();
        if bytes >= LARGE_BYTES && !env::simulation::is_active() {
            // Where it holds nobody up; without a thread, here.
            drop(env::task::thread("temporary-close", move || drop(ends)));
        }
    }
}

impl TemporaryFile {
    /// An empty file.
    ///
    /// # Errors
    /// 58030: it cannot be made.
    pub(crate) async fn create(space: &Arc<TemporarySpace>) -> Result<Self> {
        let space = Arc::clone(space);
        apart(move || {
            let failed = |error| disk_error("create", &space, &error);
            let mut bytes = [0; 32];
            env::random::fill(&mut bytes);
            let key = UnboundKey::new(&AES_256_GCM, &bytes).map(LessSafeKey::new);
            let key = key.map_err(|_| Error::internal("no key for a temporary file"))?;
            let (append, read) = open(&space).map_err(failed)?;
            let ends = Some(Ends { append: Mutex::new(append), read });
            Ok(Self(Arc::new(Open { ends, key, space, charged: AtomicU64::new(0) })))
        })
        .await
    }

    /// Appends a page; answers where it stands.
    ///
    /// # Errors
    /// 53400: there is no room for it. 53100, 58030: the disk refuses it.
    pub(crate) async fn append(&self, mut bytes: Vec<u8>) -> Result<Page> {
        let open = Arc::clone(&self.0);
        apart(move || {
            let mut append = open.ends()?.append.lock();
            let offset = append.length();
            open.key
                .seal_in_place_append_tag(nonce(offset), Aad::empty(), &mut bytes)
                .map_err(|_| Error::internal("a page that cannot be sealed"))?;
            let length = bytes.len();
            open.space.charge(length as u64)?;
            open.charged.fetch_add(length as u64, Ordering::Relaxed);
            append.append(&bytes).map_err(|error| disk_error("write to", &open.space, &error))?;
            Ok(Page { offset, length })
        })
        .await
    }

    /// What was appended as that page.
    ///
    /// # Errors
    /// 58030: the disk does not give it back. XX001: it is not what was written.
    pub(crate) async fn read(&self, page: Page) -> Result<Vec<u8>> {
        let open = Arc::clone(&self.0);
        apart(move || {
            let mut bytes = vec![0; page.length];
            let read = open.ends()?.read.read_exact_at(page.offset, &mut bytes);
            read.map_err(|error| disk_error("read from", &open.space, &error))?;
            let opened = open.key.open_in_place(nonce(page.offset), Aad::empty(), &mut bytes);
            let length = opened.map(|plain| plain.len()).map_err(|_| {
                Error::new("XX001", "a temporary file holds something else than was written to it")
            })?;
            bytes.truncate(length);
            Ok(bytes)
        })
        .await
    }
}

/// Both ends of a new file whose name is already gone.
fn open(space: &TemporarySpace) -> io::Result<(Box<dyn AppendFile>, Arc<dyn ReadFile>)> {
    let (disk, folder) = (&space.options.disk, &space.options.folder);
    let name = |id: u64| folder.join(format!("{PREFIX}{id:016x}"));
    let path = name(env::random::next_u64());
    let append = match disk.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.create_dir_all(folder)?;
            disk.create(&path)?
        }
        created => created?,
    };
    let read = disk.open(&path);
    disk.remove(&path)?;
    Ok((append, read?))
}

fn nonce(offset: u64) -> Nonce {
    let mut bytes = [0; 12];
    let (low, _) = bytes.split_at_mut(8);
    low.copy_from_slice(&offset.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn disk_error(what: &str, space: &TemporarySpace, error: &io::Error) -> Error {
    let sqlstate = if error.kind() == io::ErrorKind::StorageFull { "53100" } else { "58030" };
    let folder = space.options.folder.display();
    Error::new(sqlstate, format!("could not {what} a temporary file in \"{folder}\": {error}"))
}

/// Runs work of the disk where it holds nobody up.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match env::task::blocking(work).await {
        Ok(done) => done,
        Err(_) => Err(Error::new("57P01", "the server ends before a temporary file could be used")),
    }
}
