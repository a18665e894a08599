//! Feeds a decoder of the engine with whatever libFuzzer finds. `run` beside it builds and starts this.
//!
//! `NUNATAK_FUZZ_TARGET` names the decoder, `NUNATAK_FUZZ_SEEDS` a directory that valid encodings are written to first. An
//! allocation past [`BYTES_MAX`] ends the process, which libFuzzer reports with the input.
#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use nunatak_lsm::fuzzing::Target;

/// Inputs have a few kilobytes: nothing that is read from them may take more than this at once.
const BYTES_MAX: usize = 64 << 20;

struct Bounded;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn check(bytes: usize) {
    if bytes > BYTES_MAX {
        std::process::abort();
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

static TARGET: OnceLock<Target> = OnceLock::new();

fn begin() {
    let name = std::env::var("NUNATAK_FUZZ_TARGET").expect("NUNATAK_FUZZ_TARGET names a decoder");
    let target = Target::ALL.into_iter().find(|target| target.name() == name);
    let target = *TARGET.get_or_init(|| target.unwrap_or_else(|| panic!("there is no decoder {name}")));
    let Ok(folder) = std::env::var("NUNATAK_FUZZ_SEEDS") else { return };
    for (number, seed) in target.seeds().iter().enumerate() {
        std::fs::write(format!("{folder}/valid-{number}"), seed).expect("the seeds can be written");
    }
}

fuzz_target!(init: begin(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        target.run(data);
    }
});
