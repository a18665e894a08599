//! Appending: a queue of framed records, and the one that writes them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use env::disk::Disk;

use super::group::Group;
use super::open_segment::OpenSegment;
use super::options::{LogOptions, LogRecord, LogStats, OnDurable, Position, SegmentInfo, Writer};
use super::queue::{Chunk, Queue, Told};
use super::reader::Readers;
use super::recover::{Place, recover, reseal};
use super::segment::{self, RECORD_BYTES_MAX, RECORD_HEADER_BYTES_MAX};
use crate::encryption::{FileCipher, Reseal, TAG_BYTES};
use crate::error::{Error, Result};
use crate::sync::{AtomicU64, Condvar, Mutex};

/// The log's thread hands to the operating system what has waited for this long.
const WRITE_OUT_AFTER: Duration = Duration::from_millis(10);
/// So much is not left to it.
const QUEUED_BYTES_MAX: u64 = 4 << 10;
/// So much does not wait for the end of a sync that somebody else has begun.
const WAITING_BYTES_MAX: u64 = 1 << 20;

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
    group: Group,
    /// Bytes in the queue. Changes under `queue`.
    queued: AtomicU64,
    /// Everything before it is durable: segment << 32 | offset.
    synced: AtomicU64,
    segments: Mutex<BTreeMap<u64, KnownSegment>>,
    readers: Readers,
    /// Held while the files of older segments are removed or replaced. Before all other locks.
    changing: Mutex<()>,
    syncs: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct KnownSegment {
    bytes: u64,
    data_key: Option<u64>,
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
        if let Some(keys) = &options.keys {
            keys.register(&dir, segment::PLACEMENT)?;
        }
        let place = Place { disk: disk.as_ref(), dir: &dir, keys: options.keys.as_ref(), kind: options.name };
        let recovered = recover(place, replay)?;
        let newest = recovered.last().map_or(0, |segment| segment.number);
        let queue = Queue { segment: newest + 1, ..Queue::default() };
        let synced = pack(Position { segment: queue.segment, offset: 0 });
        let shared = Arc::new(Shared {
            disk,
            dir,
            queue: Mutex::new(queue),
            wake: Condvar::new(),
            file: Mutex::new(None),
            group: Group::default(),
            queued: AtomicU64::new(0),
            synced: AtomicU64::new(synced),
            segments: Mutex::new(
                recovered
                    .iter()
                    .map(|s| (s.number, KnownSegment { bytes: s.bytes, data_key: s.data_key }))
                    .collect(),
            ),
            readers: Readers::default(),
            changing: Mutex::default(),
            syncs: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            options,
        });
        if let Some(keys) = &shared.options.keys {
            let log: Weak<Shared> = Arc::downgrade(&shared);
            keys.watch_log(log);
        }
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

    /// Queues one record; it is durable after a [`Self::sync`]. With [`Writer::Thread`] the operating system has it 10 ms
    /// later, or after the sync that is under way then.
    pub fn append(&self, record: &[u8]) -> Result<Position> {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        shared.check(&queue, &[record])?;
        let position = shared.frame(&mut queue, record.parts())?;
        if std::mem::take(&mut queue.idle) {
            shared.wake.notify_one();
        }
        Ok(position)
    }

    /// Queues records that become durable together, and has `on_durable` called when they are or cannot be. Callbacks
    /// come in order, on the thread that writes. If this returns an error the callback was dropped uncalled.
    pub fn append_with<R: LogRecord>(&self, records: &[R], on_durable: OnDurable) -> Result<Vec<Position>> {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        shared.check(&queue, records)?;
        let framed = records.iter().map(|record| shared.frame(&mut queue, record.parts()));
        let positions = framed.collect::<Result<_>>()?;
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
        shared.write_out(&mut file)
    }

    /// As [`Self::write_out`], if 4 KiB are queued and nobody else is writing or syncing, or if a mebibyte is.
    pub fn write_out_excess(&self) -> Result<()> {
        let shared = &self.handle.shared;
        let queued = shared.queued.load(Ordering::Relaxed);
        if queued >= WAITING_BYTES_MAX {
            return self.write_out();
        }
        match (queued >= QUEUED_BYTES_MAX).then(|| shared.file.try_lock()).flatten() {
            Some(mut file) => shared.write_out(&mut file),
            None => Ok(()),
        }
    }

    /// The record at a position that [`Self::append`] or recovery has given.
    pub fn read_at(&self, position: Position) -> Result<Bytes> {
        let shared = &self.handle.shared;
        if pack(position) >= shared.synced.load(Ordering::Acquire) {
            self.write_out()?;
        }
        let written = shared.segments.lock().get(&position.segment).map_or(0, |known| known.bytes);
        shared.readers.read_at(shared.place(), position, written)
    }

    /// Removes the segments that lie wholly before `position`. If that is all of them the next is begun first, and synced, so
    /// that numbers go on. A failure to begin it stops the log; one to remove does not.
    pub fn drop_segments_before(&self, position: Position) -> Result<()> {
        let shared = &self.handle.shared;
        let _changing = shared.changing.lock();
        let (old, all): (Vec<u64>, bool) = {
            let segments = shared.segments.lock();
            let old: Vec<u64> = segments.range(..position.segment).map(|(number, _)| *number).collect();
            let all = old.len() == segments.len();
            (old, all)
        };
        if all && !old.is_empty() {
            shared.begin_next()?;
        }
        for number in old {
            let path = shared.path(number);
            shared.readers.forget(number);
            shared.disk.remove(&path).map_err(Error::io("remove", &path))?;
            // One at a time, so that a crash cannot leave a gap.
            shared.disk.sync_dir(&shared.dir).map_err(Error::io("sync", &shared.dir))?;
            shared.segments.lock().remove(&number);
        }
        Ok(())
    }

    /// Closes the current segment: the next record begins a new one. Returns where that will be.
    pub fn rotate(&self) -> Position {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        if queue.offset > segment::header_bytes(shared.options.keys.is_some()) as u64 {
            queue.begin_segment();
        }
        Position { segment: queue.segment, offset: 0 }
    }

    /// The segments that exist, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let segments = self.handle.shared.segments.lock();
        segments.iter().map(|(&number, known)| SegmentInfo { number, bytes: known.bytes }).collect()
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

    fn check<R: LogRecord>(&self, queue: &Queue, records: &[R]) -> Result<()> {
        if let Some(error) = &queue.failed {
            return Err(Error::Poisoned(Arc::new(error.clone())));
        }
        if queue.closed {
            return Err(Error::Closed);
        }
        for record in records {
            let bytes: usize = record.parts().iter().map(|part| part.len()).sum();
            if bytes == 0 || bytes > RECORD_BYTES_MAX {
                return Err(Error::Invalid(format!("log record of {bytes} bytes")));
            }
        }
        Ok(())
    }

    fn frame(&self, queue: &mut Queue, payload: [&[u8]; 2]) -> Result<Position> {
        let sealed = self.options.keys.is_some();
        let bytes: usize = payload.iter().map(|part| part.len()).sum();
        let needed = (RECORD_HEADER_BYTES_MAX + bytes + TAG_BYTES) as u64;
        let header = segment::header_bytes(sealed) as u64;
        let full = queue.offset > header && queue.offset + needed > self.options.segment_bytes;
        if full || queue.offset > 0 && self.is_stale(queue.cipher.as_ref().map(data_key_of)) {
            queue.begin_segment();
        }
        self.frame_header(queue)?;
        let synced = unpack(self.synced.load(Ordering::Acquire));
        let synced = if synced.segment == queue.segment { synced.offset as u32 } else { 0 };
        let Queue { chunks, segment, offset, told, cipher, .. } = queue;
        let at = *offset;
        if let Some(chunk) = chunks.last_mut() {
            let before = chunk.bytes.len();
            let tells = told.tell(synced, at);
            segment::put_record(&mut chunk.bytes, *segment, at, tells, payload, cipher.as_ref())?;
            let framed = (chunk.bytes.len() - before) as u64;
            *offset = at + framed;
            self.bytes.fetch_add(framed, Ordering::Relaxed);
            self.queued.fetch_add(framed, Ordering::Relaxed);
        }
        self.records.fetch_add(1, Ordering::Relaxed);
        Ok(Position { segment: *segment, offset: at })
    }

    /// Makes a chunk to append to, which begins with the header if the segment does.
    fn frame_header(&self, queue: &mut Queue) -> Result<()> {
        if queue.offset == 0 {
            let keys = self.options.keys.as_ref();
            queue.cipher = keys.map(|keys| keys.new_file(self.options.name, queue.segment)).transpose()?;
        }
        if queue.chunks.last().is_none_or(|chunk| chunk.segment != queue.segment) {
            let bytes = std::mem::take(&mut queue.spare);
            let data_key = queue.cipher.as_ref().map(data_key_of);
            queue.chunks.push(Chunk { segment: queue.segment, data_key, bytes });
        }
        let Queue { chunks, segment, offset, cipher, .. } = queue;
        if let (0, Some(chunk)) = (*offset, chunks.last_mut()) {
            segment::put_header(&mut chunk.bytes, *segment, cipher.as_ref());
            *offset = segment::header_bytes(cipher.is_some()) as u64;
        }
        Ok(())
    }

    /// Makes the segment that the next record goes to, and what it holds already, durable.
    fn begin_next(&self) -> Result<()> {
        let mut file = self.file.lock();
        {
            let mut queue = self.queue.lock();
            self.check::<&[u8]>(&queue, &[])?;
            self.frame_header(&mut queue)?;
        }
        self.write_and_sync(&mut file).map(drop)
    }

    /// Whether new segments would be under another key.
    fn is_stale(&self, data_key: Option<u64>) -> bool {
        self.options.keys.as_ref().is_some_and(|keys| data_key != Some(keys.active()))
    }

    fn place(&self) -> Place<'_> {
        Place {
            disk: self.disk.as_ref(),
            dir: &self.dir,
            keys: self.options.keys.as_ref(),
            kind: self.options.name,
        }
    }

    /// Ends a segment that is being written, if this is the one: it is whole and synced, and the next record begins
    /// another.
    fn close_segment(&self, number: u64) -> Result<()> {
        let mut file = self.file.lock();
        if file.as_ref().is_none_or(|open| open.number != number) {
            return Ok(());
        }
        {
            let mut queue = self.queue.lock();
            if queue.segment == number {
                queue.begin_segment();
            }
        }
        self.write_and_sync(&mut file)?;
        match file.take_if(|open| open.number == number) {
            Some(open) => self.end_segment(open).map_err(|error| self.fail(error)),
            None => Ok(()),
        }
    }

    /// The writer's thread.
    fn serve(&self) {
        loop {
            let sync = {
                let mut queue = self.queue.lock();
                while queue.chunks.is_empty() && queue.callbacks.is_empty() && !queue.closed {
                    queue.idle = true;
                    self.wake.wait(&mut queue);
                }
                queue.idle = false;
                if queue.callbacks.is_empty() && !queue.closed {
                    self.wake.wait_for(&mut queue, WRITE_OUT_AFTER);
                }
                if queue.closed {
                    return;
                }
                !queue.callbacks.is_empty()
            };
            let mut file = self.file.lock();
            // The error has been told to the callbacks and is kept for all who come later.
            let _ = if sync { self.write_and_sync(&mut file).map(drop) } else { self.write_out(&mut file) };
        }
    }

    fn write_out(&self, file: &mut Option<OpenSegment>) -> Result<()> {
        let (_, callbacks) = self.write_queue(file).map_err(|error| self.fail(error))?;
        if !callbacks.is_empty() {
            self.put_back(callbacks);
            self.wake.notify_one();
        }
        Ok(())
    }

    fn sync_until(&self, end: u64) -> Result<()> {
        if self.synced.load(Ordering::Acquire) >= end {
            return Ok(());
        }
        let is_done = || self.synced.load(Ordering::Acquire) >= end;
        self.group.sync(is_done, || {
            let mut file = self.file.lock();
            self.write_and_sync(&mut file).map(drop)
        })
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
                // A mark behind the last sync is not synced.
                if file.as_ref().is_none_or(|open| !open.marked) {
                    self.synced.fetch_max(end, Ordering::AcqRel);
                }
                if worked
                    && self.options.mark_synced
                    && let Err(error) = self.mark(file)
                {
                    self.put_back(callbacks);
                    return Err(error);
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
            self.queued.store(0, Ordering::Relaxed);
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
            if let Some(old) = file.take() {
                self.end_segment(old)?;
            }
            let path = self.path(chunk.segment);
            let created = self.disk.create(&path).map_err(Error::io("create", &path))?;
            self.segments.lock().insert(chunk.segment, KnownSegment { bytes: 0, data_key: chunk.data_key });
            *file = Some(OpenSegment::new(chunk.segment, created, path));
        }
        let Some(open) = file else { return Err(Error::Closed) };
        open.append(&chunk.bytes)?;
        let known = KnownSegment { bytes: open.file.length(), data_key: chunk.data_key };
        self.segments.lock().insert(chunk.segment, known);
        Ok(())
    }

    /// Makes a segment whole that nothing more will be appended to.
    fn end_segment(&self, mut open: OpenSegment) -> Result<()> {
        open.end()?;
        if !open.is_whole() {
            self.sync_open(&mut open)?;
        }
        Ok(())
    }

    fn sync_open(&self, open: &mut OpenSegment) -> Result<bool> {
        let begun = env::clock::now();
        if !env::canary::sings(env::canary::Canary::NoFsync) {
            open.file.sync_data().map_err(Error::io("sync", &open.path))?;
        }
        if !open.named {
            self.disk.sync_dir(&self.dir).map_err(Error::io("sync", &self.dir))?;
        }
        open.named = true;
        open.unsynced = false;
        open.marked = false;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("lsm_log_syncs_total", "log" => self.options.name).increment(1);
        metrics::histogram!("lsm_log_sync_seconds", "log" => self.options.name)
            .record(begun.elapsed().as_secs_f64());
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
            let mut bytes = Vec::with_capacity(RECORD_HEADER_BYTES_MAX + TAG_BYTES);
            let cipher = queue.cipher.as_ref();
            let tells = end.offset as u32;
            segment::put_record(&mut bytes, end.segment, end.offset, tells, [&[], &[]], cipher)?;
            let data_key = cipher.map(data_key_of);
            queue.offset += bytes.len() as u64;
            queue.told = Told { synced: tells, at: end.offset };
            Chunk { segment: end.segment, data_key, bytes }
        };
        let unsynced = open.unsynced;
        self.write_chunk(file, &chunk)?;
        if let Some(open) = file {
            open.unsynced = unsynced;
            open.marked = true;
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

    /// Writes out what is left and marks it as synced.
    fn close(&self) {
        let mut file = self.file.lock();
        let failed = self.queue.lock().failed.is_some();
        if !failed && self.write_and_sync(&mut file).is_ok() {
            // All is synced: where one of these fails, the next opening cuts what is there.
            let _ = self.mark(&mut file);
            let _ = file.as_mut().map_or(Ok(()), OpenSegment::end);
        }
    }
}

impl Reseal for Shared {
    fn reseal_one(&self) -> Result<bool> {
        let Some(keys) = &self.options.keys else { return Ok(false) };
        let _changing = self.changing.lock();
        if self.queue.lock().failed.is_some() {
            return Ok(false);
        }
        let stale = {
            let segments = self.segments.lock();
            segments.iter().find(|(_, known)| self.is_stale(known.data_key)).map(|(number, _)| *number)
        };
        let Some(number) = stale else { return Ok(false) };
        self.close_segment(number)?;
        let resealed = reseal(self.place(), keys, number)?;
        let known = KnownSegment { bytes: resealed.bytes, data_key: resealed.data_key };
        self.segments.lock().insert(number, known);
        // Who reads from the replaced file goes on with it; the next one opens the new one.
        self.readers.forget(number);
        Ok(true)
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

fn data_key_of(cipher: &FileCipher) -> u64 {
    cipher.envelope().data_key
}
