//! Appending: a queue of framed records, and the one that writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use env::disk::{AppendFile, Disk, ReadFile};
use parking_lot::{Condvar, Mutex};

use super::recover::recover;
use super::segment::{self, HEADER_BYTES, RECORD_BYTES_MAX, RECORD_HEADER_BYTES};
use crate::error::{Error, Result};

/// Files kept open for [`Log::read_at`].
const READERS_MAX: usize = 16;

/// Where a record stands. Later records have larger positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of its segment.
    pub segment: u64,
    /// Its offset in the segment's file, below 4 GiB.
    pub offset: u64,
}

/// Called once the records are durable, or never will be.
pub type OnDurable = Box<dyn FnOnce(Result<()>) + Send>;

/// Who writes what [`Log::append_with`] queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A thread of the log's own.
    Thread,
    /// The caller, by [`Log::write_pending`] or [`Log::sync`].
    Caller,
}

/// How a log is opened.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// A segment is closed past this size. At most 2 GiB.
    pub segment_bytes: u64,
    /// Who writes.
    pub writer: Writer,
    /// Append an empty record after each sync that tells of it, so that damage even to the newest records is noticed.
    pub mark_synced: bool,
    /// For people: the label of this log's metrics and the name of its thread.
    pub name: &'static str,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, writer: Writer::Caller, mark_synced: false, name: "log" }
    }
}

/// A segment of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub number: u64,
    /// Bytes written to it so far.
    pub bytes: u64,
}

/// What a log has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Syncs of segments.
    pub syncs: u64,
    /// Records appended.
    pub records: u64,
    /// Bytes appended, framing included.
    pub bytes: u64,
}

/// An open log. Clones are the same log; it is written out and closed when the last is dropped.
#[derive(Clone, Debug)]
pub struct Log {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// # Invariants
/// - Lock order: `file`, then `queue`. Positions are given out under `queue`, bytes are written under `file` in that
///   order.
/// - `synced` never passes what the disk has confirmed; after a failure nothing more is written.
struct Shared {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: LogOptions,
    queue: Mutex<Queue>,
    wake: Condvar,
    file: Mutex<Option<OpenSegment>>,
    /// Everything before it is durable: segment << 32 | offset.
    synced: AtomicU64,
    segments: Mutex<BTreeMap<u64, u64>>,
    readers: Mutex<BTreeMap<u64, Arc<dyn ReadFile>>>,
    syncs: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Default)]
struct Queue {
    chunks: Vec<Chunk>,
    spare: Vec<u8>,
    /// Where the next record goes.
    segment: u64,
    offset: u64,
    callbacks: Vec<OnDurable>,
    failed: Option<Error>,
    closed: bool,
}

/// Consecutive bytes of one segment that are not written yet.
struct Chunk {
    segment: u64,
    bytes: Vec<u8>,
}

struct OpenSegment {
    number: u64,
    file: Box<dyn AppendFile>,
    path: PathBuf,
    unsynced: bool,
    named: bool,
}

impl Log {
    /// Opens or creates the log in `dir` and replays its records in order.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: impl Into<PathBuf>,
        options: LogOptions,
        replay: impl FnMut(Position, Bytes) -> Result<()>,
    ) -> Result<Self> {
        let dir = dir.into();
        if options.segment_bytes > 2 << 30 {
            return Err(Error::Invalid("log segments of more than 2 GiB".to_owned()));
        }
        disk.create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let recovered = recover(disk.as_ref(), &dir, replay)?;
        let newest = recovered.last().map_or(0, |segment| segment.number);
        let queue = Queue { segment: newest + 1, ..Queue::default() };
        let synced = pack(Position { segment: queue.segment, offset: 0 });
        let shared = Arc::new(Shared {
            disk,
            dir,
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            file: Mutex::new(None),
            synced: AtomicU64::new(synced),
            segments: Mutex::new(recovered.iter().map(|s| (s.number, s.bytes)).collect()),
            readers: Mutex::default(),
            syncs: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            options,
        });
        let thread = match shared.options.writer {
            Writer::Caller => None,
            Writer::Thread => {
                let shared = shared.clone();
                let name = shared.options.name;
                let spawned = env::task::thread(name, move || shared.serve());
                Some(spawned.map_err(Error::io("start a thread for", Path::new(name)))?)
            }
        };
        Ok(Self { handle: Arc::new(Handle { shared, thread: Mutex::new(thread) }) })
    }

    /// Queues one record; it is durable after a [`Self::sync`].
    pub fn append(&self, record: &[u8]) -> Result<Position> {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        shared.check(&queue, &[record])?;
        Ok(shared.frame(&mut queue, record))
    }

    /// Queues records that become durable together, and has `on_durable` called when they are or cannot be. Callbacks
    /// come in order, on the thread that writes. If this returns an error the callback was dropped uncalled.
    pub fn append_with<R: AsRef<[u8]>>(&self, records: &[R], on_durable: OnDurable) -> Result<Vec<Position>> {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        shared.check(&queue, records)?;
        let positions = records.iter().map(|record| shared.frame(&mut queue, record.as_ref())).collect();
        queue.callbacks.push(on_durable);
        if queue.callbacks.len() == 1 {
            shared.wake.notify_one();
        }
        Ok(positions)
    }

    /// Returns when all that was appended before is durable. Callers share one sync.
    pub fn sync(&self) -> Result<()> {
        let shared = &self.handle.shared;
        let end = {
            let queue = shared.queue.lock();
            Position { segment: queue.segment, offset: queue.offset }
        };
        shared.sync_until(pack(end))
    }

    /// Returns when the record at `position` is durable. Callers share one sync.
    pub fn sync_to(&self, position: Position) -> Result<()> {
        self.handle.shared.sync_until(pack(position) + 1)
    }

    /// Whether the record at `position` is known to be durable.
    pub fn is_durable(&self, position: Position) -> bool {
        self.handle.shared.synced.load(Ordering::Acquire) > pack(position)
    }

    /// Writes and syncs all that is queued and calls the callbacks; false if nothing was queued. The step of a
    /// simulation, where the log has no thread.
    pub fn write_pending(&self) -> Result<bool> {
        let shared = &self.handle.shared;
        let mut file = shared.file.lock();
        shared.write_and_sync(&mut file)
    }

    /// Hands all that is queued to the operating system, without a sync: it survives the process, not the machine.
    pub fn write_out(&self) -> Result<()> {
        let shared = &self.handle.shared;
        let mut file = shared.file.lock();
        let (_, callbacks) = shared.write_queue(&mut file).map_err(|error| shared.fail(error))?;
        if !callbacks.is_empty() {
            shared.put_back(callbacks);
            shared.wake.notify_one();
        }
        Ok(())
    }

    /// The record at a position that [`Self::append`] or recovery has given.
    pub fn read_at(&self, position: Position) -> Result<Bytes> {
        let shared = &self.handle.shared;
        if pack(position) >= shared.synced.load(Ordering::Acquire) {
            self.write_out()?;
        }
        shared.read_at(position)
    }

    /// Removes the segments that lie wholly before `position`, never the newest.
    pub fn drop_segments_before(&self, position: Position) -> Result<()> {
        let shared = &self.handle.shared;
        let old: Vec<u64> = {
            let segments = shared.segments.lock();
            let newest = segments.keys().next_back().copied().unwrap_or(0);
            segments.range(..position.segment.min(newest)).map(|(number, _)| *number).collect()
        };
        for number in old {
            let path = shared.path(number);
            shared.readers.lock().remove(&number);
            shared.disk.remove(&path).map_err(Error::io("remove", &path))?;
            // One at a time, so that a crash cannot leave a gap.
            shared.disk.sync_dir(&shared.dir).map_err(Error::io("sync", &shared.dir))?;
            shared.segments.lock().remove(&number);
        }
        Ok(())
    }

    /// Closes the current segment: the next record begins a new one. Returns where that will be.
    pub fn rotate(&self) -> Position {
        let mut queue = self.handle.shared.queue.lock();
        if queue.offset > 0 {
            queue.segment += 1;
            queue.offset = 0;
        }
        Position { segment: queue.segment, offset: 0 }
    }

    /// The segments that exist, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let segments = self.handle.shared.segments.lock();
        segments.iter().map(|(&number, &bytes)| SegmentInfo { number, bytes }).collect()
    }

    /// Where the next record will stand, if no new segment is begun for it.
    pub fn end(&self) -> Position {
        let queue = self.handle.shared.queue.lock();
        Position { segment: queue.segment, offset: queue.offset }
    }

    /// The failure that stopped the log, if one did.
    pub fn failure(&self) -> Option<Error> {
        self.handle.shared.queue.lock().failed.clone()
    }

    /// What the log has done.
    pub fn stats(&self) -> LogStats {
        let shared = &self.handle.shared;
        LogStats {
            syncs: shared.syncs.load(Ordering::Relaxed),
            records: shared.records.load(Ordering::Relaxed),
            bytes: shared.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(segment::file_name(number))
    }

    fn check<R: AsRef<[u8]>>(&self, queue: &Queue, records: &[R]) -> Result<()> {
        if let Some(error) = &queue.failed {
            return Err(Error::Poisoned(Arc::new(error.clone())));
        }
        if queue.closed {
            return Err(Error::Closed);
        }
        for record in records {
            if record.as_ref().is_empty() || record.as_ref().len() > RECORD_BYTES_MAX {
                return Err(Error::Invalid(format!("log record of {} bytes", record.as_ref().len())));
            }
        }
        Ok(())
    }

    fn frame(&self, queue: &mut Queue, payload: &[u8]) -> Position {
        let needed = (RECORD_HEADER_BYTES + payload.len()) as u64;
        if queue.offset > HEADER_BYTES as u64 && queue.offset + needed > self.options.segment_bytes {
            queue.segment += 1;
            queue.offset = 0;
        }
        if queue.chunks.last().is_none_or(|chunk| chunk.segment != queue.segment) {
            let bytes = std::mem::take(&mut queue.spare);
            queue.chunks.push(Chunk { segment: queue.segment, bytes });
        }
        let synced = unpack(self.synced.load(Ordering::Acquire));
        let synced = if synced.segment == queue.segment { synced.offset as u32 } else { 0 };
        let Queue { chunks, segment, offset, .. } = queue;
        if let Some(chunk) = chunks.last_mut() {
            if *offset == 0 {
                chunk.bytes.extend_from_slice(&segment::header(*segment));
                *offset = HEADER_BYTES as u64;
            }
            segment::put_record(&mut chunk.bytes, *segment, *offset, synced, payload);
        }
        let position = Position { segment: *segment, offset: *offset };
        *offset += needed;
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(needed, Ordering::Relaxed);
        position
    }

    /// The writer's thread.
    fn serve(&self) {
        loop {
            {
                let mut queue = self.queue.lock();
                while queue.callbacks.is_empty() && !queue.closed {
                    self.wake.wait(&mut queue);
                }
                if queue.closed {
                    return;
                }
            }
            let mut file = self.file.lock();
            // The error has been told to the callbacks and is kept for all who come later.
            let _ = self.write_and_sync(&mut file);
        }
    }

    fn sync_until(&self, end: u64) -> Result<()> {
        if self.synced.load(Ordering::Acquire) >= end {
            return Ok(());
        }
        let mut file = self.file.lock();
        if self.synced.load(Ordering::Acquire) >= end {
            return Ok(());
        }
        self.write_and_sync(&mut file)?;
        Ok(())
    }

    fn write_and_sync(&self, file: &mut Option<OpenSegment>) -> Result<bool> {
        let result = self.try_write_and_sync(file);
        let (callbacks, result) = match result {
            Ok((callbacks, worked)) => (callbacks, Ok(worked)),
            Err(error) => {
                let error = self.fail(error);
                (std::mem::take(&mut self.queue.lock().callbacks), Err(error))
            }
        };
        for callback in callbacks {
            callback(match &result {
                Ok(_) => Ok(()),
                Err(error) => Err(error.clone()),
            });
        }
        result
    }

    fn try_write_and_sync(&self, file: &mut Option<OpenSegment>) -> Result<(Vec<OnDurable>, bool)> {
        let (end, callbacks) = self.write_queue(file)?;
        // A failure below must reach the callbacks that were taken.
        let synced = match file {
            Some(open) if open.unsynced || !open.named => self.sync_open(open),
            _ => Ok(false),
        };
        match synced {
            Ok(worked) => {
                self.synced.fetch_max(end, Ordering::AcqRel);
                if worked && self.options.mark_synced {
                    self.mark(file)?;
                }
                Ok((callbacks, worked))
            }
            Err(error) => {
                self.put_back(callbacks);
                Err(error)
            }
        }
    }

    /// Writes the queue to its segments; all but the last of them are synced. Returns where the queue ended, and the
    /// callbacks that wait for it.
    fn write_queue(&self, file: &mut Option<OpenSegment>) -> Result<(u64, Vec<OnDurable>)> {
        let (chunks, callbacks, end) = {
            let mut queue = self.queue.lock();
            if let Some(error) = &queue.failed {
                return Err(error.clone());
            }
            let end = pack(Position { segment: queue.segment, offset: queue.offset });
            (std::mem::take(&mut queue.chunks), std::mem::take(&mut queue.callbacks), end)
        };
        let mut written = Ok(());
        for chunk in chunks {
            written = self.write_chunk(file, &chunk);
            if written.is_err() {
                break;
            }
            let mut bytes = chunk.bytes;
            bytes.clear();
            let mut queue = self.queue.lock();
            if bytes.capacity() <= 1 << 20 && queue.spare.capacity() == 0 {
                queue.spare = bytes;
            }
        }
        if let Err(error) = written {
            self.put_back(callbacks);
            return Err(error);
        }
        Ok((end, callbacks))
    }

    /// Callbacks that were taken and not called wait again, before all others.
    fn put_back(&self, callbacks: Vec<OnDurable>) {
        let mut queue = self.queue.lock();
        let later = std::mem::replace(&mut queue.callbacks, callbacks);
        queue.callbacks.extend(later);
    }

    fn write_chunk(&self, file: &mut Option<OpenSegment>, chunk: &Chunk) -> Result<()> {
        if file.as_ref().is_none_or(|open| open.number != chunk.segment) {
            if let Some(mut old) = file.take()
                && (old.unsynced || !old.named)
            {
                self.sync_open(&mut old)?;
            }
            let path = self.path(chunk.segment);
            let created = self.disk.create(&path).map_err(Error::io("create", &path))?;
            self.segments.lock().insert(chunk.segment, 0);
            *file = Some(OpenSegment {
                number: chunk.segment,
                file: created,
                path,
                unsynced: false,
                named: false,
            });
        }
        let Some(open) = file else { return Err(Error::Closed) };
        open.unsynced = true;
        open.file.append(&chunk.bytes).map_err(Error::io("append to", &open.path))?;
        self.segments.lock().insert(chunk.segment, open.file.length());
        Ok(())
    }

    fn sync_open(&self, open: &mut OpenSegment) -> Result<bool> {
        if !cfg!(feature = "canary-fsync-left-out") {
            open.file.sync_data().map_err(Error::io("sync", &open.path))?;
        }
        if !open.named {
            self.disk.sync_dir(&self.dir).map_err(Error::io("sync", &self.dir))?;
        }
        open.named = true;
        open.unsynced = false;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("lsm_log_syncs_total", "log" => self.options.name).increment(1);
        Ok(true)
    }

    /// Appends, without a sync, an empty record that tells of the last sync; not if others are queued already.
    fn mark(&self, file: &mut Option<OpenSegment>) -> Result<()> {
        let Some(open) = file else { return Ok(()) };
        let chunk = {
            let mut queue = self.queue.lock();
            let end = Position { segment: queue.segment, offset: queue.offset };
            let current = queue.segment == open.number && queue.offset == open.file.length();
            if !current || !queue.chunks.is_empty() || self.synced.load(Ordering::Acquire) != pack(end) {
                return Ok(());
            }
            let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES);
            segment::put_record(&mut bytes, end.segment, end.offset, end.offset as u32, &[]);
            queue.offset += bytes.len() as u64;
            Chunk { segment: end.segment, bytes }
        };
        let unsynced = open.unsynced;
        self.write_chunk(file, &chunk)?;
        if let Some(open) = file {
            open.unsynced = unsynced;
        }
        Ok(())
    }

    fn fail(&self, error: Error) -> Error {
        let mut queue = self.queue.lock();
        if queue.failed.is_none() {
            tracing::error!(log = self.options.name, %error, source = ?error, "the log has failed and takes nothing more");
            queue.failed = Some(error.clone());
        }
        queue.chunks.clear();
        error
    }

    fn read_at(&self, position: Position) -> Result<Bytes> {
        let path = self.path(position.segment);
        let reader = self.reader(position.segment, &path)?;
        let corrupt = || Error::corrupt(&path, position.offset, "the record does not check");
        let mut header = [0; RECORD_HEADER_BYTES];
        reader.read_exact_at(position.offset, &mut header).map_err(Error::io("read", &path))?;
        let length = segment::record_length(&header).filter(|length| *length <= RECORD_BYTES_MAX);
        let mut record = vec![0; RECORD_HEADER_BYTES + length.ok_or_else(corrupt)?];
        reader.read_exact_at(position.offset, &mut record).map_err(Error::io("read", &path))?;
        segment::check_record(&Bytes::from(record), position.segment, position.offset).ok_or_else(corrupt)
    }

    fn reader(&self, number: u64, path: &Path) -> Result<Arc<dyn ReadFile>> {
        let mut readers = self.readers.lock();
        if let Some(reader) = readers.get(&number) {
            return Ok(reader.clone());
        }
        let reader = self.disk.open(path).map_err(Error::io("open", path))?;
        if readers.len() >= READERS_MAX {
            readers.pop_first();
        }
        readers.insert(number, reader.clone());
        Ok(reader)
    }

    /// Writes out what is left and marks it as synced.
    fn close(&self) {
        let mut file = self.file.lock();
        let failed = self.queue.lock().failed.is_some();
        if !failed && self.write_and_sync(&mut file).is_ok() {
            let _ = self.mark(&mut file);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        self.shared.close();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

fn pack(position: Position) -> u64 {
    position.segment << 32 | position.offset
}

fn unpack(packed: u64) -> Position {
    Position { segment: packed >> 32, offset: packed & 0xffff_ffff }
}
