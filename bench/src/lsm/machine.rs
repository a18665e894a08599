//! What the operating system tells of a process and its files, and the bounds it sets: Linux.

use std::fs;
use std::path::{Path, PathBuf};

use super::store::on_file;
use crate::failure::Result;

/// Bytes that this process has handed to `write` and its kin so far.
pub(crate) fn bytes_written() -> f64 {
    field(Path::new("/proc/self/io"), "wchar:")
}

/// The most memory that this process has held so far, in MiB.
pub(crate) fn peak_memory_mib() -> f64 {
    field(Path::new("/proc/self/status"), "VmHWM:") / 1024.0
}

/// Processor time of all threads of this process, in ticks of 10 ms.
pub(crate) fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in parentheses and may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// Processor time of this thread in seconds.
pub(crate) fn thread_cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The number behind a name in a file of lines; NaN if there is none.
fn field(path: &Path, name: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Calls `visit` with every file below a directory.
fn for_each_file(directory: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(on_file(directory))? {
        let path = entry.map_err(on_file(directory))?.path();
        // An engine may remove a file at any moment.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() { for_each_file(&path, visit)? } else { visit(&path, &metadata)? }
    }
    Ok(())
}

/// Bytes of all files below a directory.
pub(crate) fn bytes_on_disk(directory: &Path) -> Result<f64> {
    let mut bytes = 0;
    for_each_file(directory, &mut |_, metadata| {
        // What the disk holds, not what a file pretends: logs are allocated ahead.
        bytes += std::os::unix::fs::MetadataExt::blocks(metadata) * 512;
        Ok(())
    })?;
    Ok(bytes as f64)
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for_each_file(from, &mut |path, _| {
        let target = to.join(path.strip_prefix(from).unwrap_or(path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(on_file(parent))?;
        }
        fs::copy(path, &target).map_err(on_file(&target))?;
        Ok(())
    })
}

/// Has the operating system forget what it holds of the files below a directory.
pub(crate) fn drop_page_cache(directory: &Path) -> Result<()> {
    for_each_file(directory, &mut |path, _| {
        #[expect(clippy::disallowed_methods, reason = "a benchmark works on the real disk")]
        let file = fs::File::open(path).map_err(on_file(path))?;
        file.sync_all().map_err(on_file(path))?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .map_err(|error| on_file(path)(error.into()))
    })
}

/// A memory cgroup below the one that this process is in; removed when dropped.
#[derive(Debug)]
pub(crate) struct MemoryGroup {
    pub(crate) path: PathBuf,
}

impl MemoryGroup {
    /// Makes a group whose processes may hold so many bytes, page cache included.
    pub(crate) fn create(bytes: u64) -> Result<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(on_file(Path::new("/proc/self/cgroup")))?;
        let (parent, limit) = parent_group(&own);
        let path = parent.join(format!("nunatak-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(on_file(&path))?;
        let group = Self { path };
        write(&group.path.join(limit), &bytes.to_string())?;
        Ok(group)
    }
}

/// The folder of the memory cgroup of a process, and the file in it that bounds memory.
fn parent_group(own: &str) -> (PathBuf, &'static str) {
    let root = Path::new("/sys/fs/cgroup");
    let lines: Vec<_> = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
    if let Some((_, path)) = lines.iter().find(|(kinds, _)| kinds.split(',').any(|kind| kind == "memory")) {
        return (root.join("memory").join(path.trim_start_matches('/')), "memory.limit_in_bytes");
    }
    let path = lines.iter().find(|(kinds, _)| kinds.is_empty()).map_or("", |(_, path)| *path);
    (root.join(path.trim_start_matches('/')), "memory.max")
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// Puts this process into a group.
pub(crate) fn enter_group(path: &Path) -> Result<()> {
    write(&path.join("cgroup.procs"), &std::process::id().to_string())
}

/// Replaces the content of a file.
#[expect(clippy::disallowed_methods, reason = "a benchmark works on the real disk")]
pub(crate) fn write(path: &Path, content: &str) -> Result<()> {
    fs::write(path, content).map_err(on_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_cgroups_are_found() {
        assert_eq!(
            parent_group("8:pids:/\n4:cpu,memory:/a/b\n0::/\n"),
            (PathBuf::from("/sys/fs/cgroup/memory/a/b"), "memory.limit_in_bytes")
        );
        assert_eq!(parent_group("0::/c\n"), (PathBuf::from("/sys/fs/cgroup/c"), "memory.max"));
    }
}
