//! Partitions: streams among which rows are divided by a hash of what they are compared by, so that what is alike lies together.

use expr::Row;

use super::stream::{Stream, StreamWriter, create_file};
use crate::error::Result;
use crate::execute::memory::Memory;

/// Among how many streams rows are divided.
const WAYS: usize = 16;

/// Streams that are being written.
#[derive(Debug)]
pub(crate) struct Partitions(Vec<StreamWriter>);

impl Partitions {
    /// Without rows.
    pub(crate) async fn create(memory: &Memory) -> Result<Self> {
        let file = create_file(memory).await?;
        Ok(Self((0..WAYS).map(|_| StreamWriter::new(&file)).collect()))
    }

    /// Adds a row with such a hash.
    pub(crate) async fn push(&mut self, memory: &mut Memory, hash: u64, row: &Row) -> Result<()> {
        let way = usize::try_from(hash % WAYS as u64).unwrap_or(0);
        match self.0.get_mut(way) {
            Some(writer) => writer.push(memory, row).await,
            None => Ok(()),
        }
    }

    /// The streams, each whole.
    pub(crate) async fn finish(self, memory: &mut Memory) -> Result<Vec<Stream>> {
        let mut streams = Vec::with_capacity(WAYS);
        for writer in self.0 {
            streams.push(writer.finish(memory).await?);
        }
        Ok(streams)
    }

    /// Gives their memory back.
    pub(crate) fn release(self, memory: &mut Memory) {
        self.0.into_iter().for_each(|writer| writer.release(memory));
    }
}
