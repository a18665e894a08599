//! The row format: the value under a row's key.

use crate::datum::Datum;
use crate::error::{Error, Result};

/// Encodes the columns, whose ids must ascend; NULLs may be given or left out.
pub fn encode_row(schema_version: u32, columns: &[(u32, &Datum)]) -> Result<Vec<u8>> {
    let _ = (schema_version, columns);
    Err(Error::unsupported("rows"))
}

/// Decodes the wanted columns of rows.
#[derive(Debug, Clone)]
pub struct RowDecoder {
    wanted: Vec<(u32, usize)>,
}

impl RowDecoder {
    /// Of these columns: each with the position in the row that [`RowDecoder::decode_into`] writes it to.
    pub fn new(wanted: impl IntoIterator<Item = (u32, usize)>) -> Self {
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        wanted.sort_unstable();
        Self { wanted }
    }

    /// Writes each wanted column that the row holds into its place and leaves the other places alone: what is not
    /// stored is NULL, unless the place already holds a key's value or a default. Returns the schema version.
    pub fn decode_into(&self, bytes: &[u8], row: &mut [Datum]) -> Result<u32> {
        let _ = (bytes, row, &self.wanted);
        Err(Error::unsupported("rows"))
    }
}
