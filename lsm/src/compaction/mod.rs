//! Compaction: [`pick`], [`covered`] and [`split`] decide, purely, on values; [`run`] does, at a [`pace`].

pub(crate) mod covered;
pub(crate) mod pace;
pub(crate) mod pick;
pub(crate) mod retention;
pub(crate) mod run;
pub(crate) mod split;
