//! Gives back the room of dropped and truncated tables and indexes.
//!
//! The transaction that gives an index up lists its id. Its keys are needed as long as a snapshot from before can be read, and
//! UNDROP TABLE may have them back; then the list says that nobody may any more, they are deleted as one span, and the id is
//! taken from the list. What says over what a branch lies ([`BranchRow`]) goes before its keys: nobody reads it any more, and what
//! lies below need not be kept for it. Every gateway looks through the list now and then: what two of them do at once is done once.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use client::{
    BranchRow, Client, KeptHistory, Reclaimed, ScanOptions, Strength, TransactionOptions, WaitPolicy,
};
use env::{clock, random};
use keys::sql::TENANT_DEFAULT;

use super::kept::{is_kept, tell, wanted_history};
use crate::catalog::{IndexId, dropped, erased};
use crate::error::Result;
use crate::statistics;

/// How often a gateway looks: so many times as often as safe points move, within these.
const STEPS: u32 = 2;
const PERIOD_MIN: Duration = Duration::from_secs(1);
const PERIOD_MAX: Duration = Duration::from_secs(60);

const PAGE: ScanOptions = ScanOptions { rows_max: 256, bytes_max: 64 << 10, reverse: false };

/// Of so many indexes it is remembered when they were given up.
const YOUNG_MAX: usize = 1 << 16;

/// When indexes were given up that may not be reclaimed yet: what is remembered need not be asked for at each look.
type Young = BTreeMap<IndexId, u64>;

/// Looks through the list for ever.
pub(crate) async fn reclaim_dropped(client: &Client) {
    let mut young = Young::new();
    loop {
        let period = (client.safe_point_step() * STEPS).clamp(PERIOD_MIN, PERIOD_MAX);
        // Not all gateways at once.
        let jitter = random::below(period.as_millis() as u64);
        clock::sleep(period / 2 + Duration::from_millis(jitter)).await;
        let kept = match wanted_history(client).await {
            Ok((version, kept)) => {
                match tell(client, version, &kept).await {
                    Ok(_) => {}
                    // Nothing but somebody who says less will change that.
                    Err(error) if error.sqlstate == "54000" => {
                        tracing::warn!(%error, "of new tables no history is kept for longer");
                    }
                    Err(error) => tracing::debug!(
                        %error,
                        "what is to be kept for longer could not be told; it is tried again"
                    ),
                }
                kept
            }
            Err(error) => {
                tracing::debug!(%error, "what is to be kept for longer is not known; it is tried again");
                continue;
            }
        };
        if client.safe_point() == 0 {
            continue;
        }
        if let Err(error) = look_through(client, &mut young, &kept).await {
            tracing::debug!(%error, "what was dropped could not be reclaimed; it is tried again");
        }
    }
}

async fn look_through(client: &Client, young: &mut Young, kept: &[KeptHistory]) -> Result<()> {
    let mut still_young = Young::new();
    let mut left = Some(dropped::span());
    while let Some(span) = left.take() {
        let options = TransactionOptions { read_only: true, ..TransactionOptions::default() };
        let mut transaction = client.begin(options);
        let page = transaction.scan(span, PAGE).await?;
        transaction.rollback().await;
        for (row, _) in page.rows {
            let Some(index) = dropped::index_of(&row) else { continue };
            let known = young.get(&index).filter(|given_up| **given_up > client.safe_point());
            let outcome = match known {
                Some(given_up) => Reclaimed::TooYoung { given_up: *given_up },
                None => reclaim(client, row, index, kept).await?,
            };
            match outcome {
                Reclaimed::Gone => tracing::info!(index, "the room of a dropped index is given back"),
                Reclaimed::TooYoung { given_up } if still_young.len() < YOUNG_MAX => {
                    still_young.insert(index, given_up);
                }
                Reclaimed::TooYoung { .. } | Reclaimed::NotYet => {}
            }
        }
        left = page.resume;
    }
    *young = still_young;
    Ok(())
}

/// Gives an index's room back, if it is time to.
async fn reclaim(client: &Client, row: Bytes, index: IndexId, kept: &[KeptHistory]) -> Result<Reclaimed> {
    let Some((committed, value)) = client.newest_row(&row).await? else { return Ok(Reclaimed::Gone) };
    let given_up = match dropped::settled(&value) {
        Some((given_up, _)) => given_up,
        None if committed > client.safe_point() => return Ok(Reclaimed::TooYoung { given_up: committed }),
        None if is_kept(kept, index, committed, client.newest_timestamp()) => return Ok(Reclaimed::NotYet),
        None => {
            // From here on nobody has it back.
            let mut transaction = client.begin(TransactionOptions::default());
            let locked = transaction.lock(vec![row.clone()], Strength::Exclusive, WaitPolicy::Block).await?;
            if locked.first().is_none_or(|locked| locked.newest != committed) {
                // It was had back meanwhile, perhaps, and given up anew.
                transaction.rollback().await;
                return Ok(Reclaimed::NotYet);
            }
            transaction.put(row.clone(), dropped::settle(&value, committed));
            transaction.commit().await?;
            committed
        }
    };
    // While it is still known that there is something to forget.
    forget_statistics(client, index).await?;
    if keys::sql::is_branch(index) {
        forget(client, vec![BranchRow::key(index)]).await?;
    }
    Ok(client.reclaim(row, &keys::sql::index_span(TENANT_DEFAULT, index), given_up).await?)
}

/// Nothing is known any more of a table that is gone, nor what was erased of it.
async fn forget_statistics(client: &Client, index: IndexId) -> Result<()> {
    let mut rows = statistics::row_keys(index).to_vec();
    rows.push(erased::key(index));
    forget(client, rows).await
}

async fn forget(client: &Client, keys: Vec<Bytes>) -> Result<()> {
    let mut transaction = client.begin(TransactionOptions::default());
    if transaction.get_many(keys.clone()).await?.iter().all(Option::is_none) {
        transaction.rollback().await;
        return Ok(());
    }
    keys.into_iter().for_each(|key| transaction.delete(key));
    transaction.commit().await?;
    Ok(())
}
