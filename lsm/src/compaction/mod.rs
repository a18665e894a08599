//! Compaction: [`pick`] decides, purely, on values; [`run`] does.

pub(crate) mod pick;
pub(crate) mod retention;
pub(crate) mod run;
