//! What is left of a [`MemoryDisk`] after a crash.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use super::memory::{Inode, MemoryDisk, State};

/// Storage writes a sector wholly or not at all; sectors of one write reach the media in any order.
const SECTOR_BYTES: usize = 512;

/// How much of what was not synced is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashMode {
    /// All of it.
    Strict,
    /// A random part of it: names singly, bytes by prefix, with sectors of the last stretch missing or garbled.
    Random(u64),
}

impl MemoryDisk {
    /// Ends this life and returns the disk that the next one finds.
    pub fn crash(&self, mode: CrashMode) -> MemoryDisk {
        let mut state = self.shared.lock();
        match mode {
            CrashMode::Strict => state.forget(None),
            CrashMode::Random(seed) => state.forget(Some(&mut StdRng::seed_from_u64(seed))),
        }
        let life = state.begin_life();
        drop(state);
        MemoryDisk { shared: self.shared.clone(), life }
    }
}

impl State {
    fn forget(&mut self, mut rng: Option<&mut StdRng>) {
        let mut names = std::mem::take(&mut self.names_synced);
        for change in std::mem::take(&mut self.changes) {
            if !rng.as_mut().is_some_and(|rng| rng.random_bool(0.5)) {
                continue;
            }
            for (path, id) in change {
                match id {
                    Some(id) => names.insert(path, id),
                    None => names.remove(&path),
                };
            }
        }
        let kept: BTreeSet<u64> = names.values().copied().collect();
        self.inodes.retain(|id, _| kept.contains(id));
        for inode in self.inodes.values_mut() {
            match rng.as_mut() {
                Some(rng) => tear(inode, rng),
                None => {
                    inode.content.truncate(inode.synced);
                    inode.room_end = inode.room_end_synced;
                }
            }
            inode.sync();
        }
        self.names_synced = names.clone();
        self.names = names;
    }
}

/// Keeps a random prefix of the unsynced bytes; some of its sectors never arrived (zeros) or are garbage. Of two lengths of
/// the file either may be the one that lasts.
fn tear(inode: &mut Inode, rng: &mut StdRng) {
    if inode.room_end != inode.room_end_synced && rng.random_bool(0.5) {
        inode.room_end = inode.room_end_synced;
    }
    let unsynced = inode.content.len().saturating_sub(inode.synced);
    if unsynced == 0 {
        return;
    }
    let keep = match rng.random_range(0..4) {
        0 => 0,
        1 => unsynced,
        _ => rng.random_range(0..=unsynced),
    };
    inode.content.truncate(inode.synced + keep);
    let tidy = rng.random_bool(0.5);
    let Some(tail) = inode.content.get_mut(inode.synced..) else { return };
    let (first, rest) = tail.split_at_mut((SECTOR_BYTES - inode.synced % SECTOR_BYTES).min(tail.len()));
    for sector in std::iter::once(first).chain(rest.chunks_mut(SECTOR_BYTES)) {
        match rng.random_range(0..8) {
            0 if !tidy => sector.fill(0),
            1 if !tidy => rng.fill_bytes(sector),
            _ => {}
        }
    }
}
