//! Versions of rows of branches ([`mod@crate::branch`]): those of the branch's own keys, and behind them what lies below.
//!
//! ```text
//! branch       b  written at 90, 70     c  × at 80
//! below, F=50  a  b  c
//! answered     a at 50     b at 90, at 70, at 50     c gone at 80, at 50
//! ```
//!
//! What the layers below hold of a key is one version more, the oldest, that no transaction of the branch has written: it is told with the moment as
//! of which the branch lies over them, as what was written anew is, and was current until the key's first own version.

use env::task::boxed;
use keys::Span;
use keys::sql::branch_of;

use super::{RowVersion, VersionsLeft, VersionsPage};
use crate::branch::{Branch, is_mark};
use crate::{Client, Error, Result, ScanOptions};

impl Client {
    /// As [`Client::versions`], and of a branch with what lies below it: of each key that the layers below hold one version more,
    /// with the branch's moment as both of its timestamps. A key that is gone from the branch is a deletion. Where nothing is kept
    /// of what there was up to `at`, nothing is told of what lies below.
    ///
    /// # Errors
    /// As of [`Client::versions`]. [`Error::HistoryErased`]: what lies below was erased.
    #[boxed]
    pub async fn versions_and_below(
        &self,
        wanted: VersionsLeft,
        from: u64,
        at: u64,
        bytes_max: usize,
    ) -> Result<VersionsPage> {
        match branch_of(&wanted.span.start) {
            None => self.versions(wanted, from, at, bytes_max).await,
            Some(id) => {
                let span = wanted.span.clone();
                let mut own = self.versions(wanted, from, at, bytes_max).await?;
                let versions = own.versions.iter_mut();
                for version in versions.filter(|version| version.value.as_deref().is_some_and(is_mark)) {
                    version.value = None;
                }
                if own.kept > at {
                    // Nothing of then is kept: the branch was given up, perhaps, and nobody knows any more over what it lay.
                    return Ok(own);
                }
                let branch = self.branch(id).await?;
                self.laid_over(&branch, span, own, bytes_max).await
            }
        }
    }

    /// A page of a branch's own versions over what lies below the keys that it has come through.
    async fn laid_over(
        &self,
        branch: &Branch,
        span: Span,
        own: VersionsPage,
        bytes_max: usize,
    ) -> Result<VersionsPage> {
        let layer = branch.layers.first();
        let layer = layer.ok_or_else(|| Error::Damaged { message: "what a branch lies over".to_owned() })?;
        let VersionsPage { mut versions, mut left, kept } = own;
        // Of the key that the page ends in more is to come before what is below.
        let end = left.as_ref().map_or_else(|| span.end.clone(), |left| left.span.start.clone());
        let wanted = branch.span_down(&Span { start: span.start, end }, layer);
        let mut past = self.past(layer.at);
        let found = past.scan(wanted, ScanOptions { rows_max: 0, bytes_max, reverse: false }).await;
        past.rollback().await;
        let found = found?;
        if let Some(rest) = found.resume {
            // The next page has what is own of the others, once more.
            let start = branch.up(&rest.start, layer);
            versions.retain(|version| version.key < start);
            left = Some(VersionsLeft::all(Span { start, end: span.end }));
        }
        versions.extend(found.rows.into_iter().map(|(key, value)| RowVersion {
            key: branch.up(&key, layer),
            value: Some(value),
            timestamp: layer.at,
            start_timestamp: layer.at,
        }));
        // Stable: what is below a key comes behind what it has itself.
        versions.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(VersionsPage { versions, left, kept })
    }
}
