//! The rows of an index, page by page.

use std::pin::pin;

use bytes::Bytes;
use client::{ScanOptions, ScanPage, Span, Transaction};
use env::task::{self, JoinHandle};
use env::trace;
use keys::sql::TENANT_DEFAULT;

use crate::catalog::IndexId;
use crate::error::{Error, Result};
use crate::execute::context::Context;

const PAGE: ScanOptions = ScanOptions { rows_max: 4096, bytes_max: 1 << 20, reverse: false };

/// Keys and values.
pub(super) type Rows = Vec<(Bytes, Bytes)>;

/// The rows of an index, as somebody reads them.
pub(super) struct Pages {
    left: Option<Span>,
    reader: Reader,
}

enum Reader {
    /// The statement's transaction, which relies on what it reads.
    Statement,
    /// One of its own, which reads the next page while a page is looked at.
    Apart(Option<Box<Transaction>>),
    Reading(JoinHandle<(Box<Transaction>, Result<ScanPage, client::Error>)>),
}

impl Pages {
    /// As the statement's transaction sees them; it relies on them.
    pub(super) fn of(index: IndexId) -> Self {
        Self { left: Some(span(index)), reader: Reader::Statement }
    }

    /// As another transaction sees them, which is over afterwards.
    pub(super) fn read_by(transaction: Transaction, index: IndexId) -> Self {
        Self { left: Some(span(index)), reader: Reader::Apart(Some(Box::new(transaction))) }
    }

    /// The rows of the next page, none at times; `None`: that were all.
    pub(super) async fn next(&mut self, cx: &mut Context<'_>) -> Result<Option<Rows>> {
        if let Reader::Statement = self.reader {
            let Some(span) = self.left.take() else { return Ok(None) };
            let page = cx.transaction.scan(span, PAGE).await?;
            self.left = page.resume;
            return Ok(Some(page.rows));
        }
        self.read_ahead();
        let Reader::Reading(reading) = &mut self.reader else { return Ok(None) };
        let stopping = |_| Error::new("57P01", "the server ends before a table was read");
        let (mut transaction, page) = reading.await.map_err(stopping)?;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                transaction.rollback().await;
                self.reader = Reader::Apart(None);
                return Err(error.into());
            }
        };
        self.left = page.resume;
        if self.left.is_none() {
            transaction.rollback().await;
        }
        self.reader = Reader::Apart(self.left.is_some().then_some(transaction));
        self.read_ahead();
        Ok(Some(page.rows))
    }

    /// Begins to read the next page, unless that is under way or there is none.
    fn read_ahead(&mut self) {
        if let Reader::Apart(transaction) = &mut self.reader
            && let Some(mut transaction) = transaction.take()
            && let Some(span) = self.left.take()
        {
            let context = trace::current();
            self.reader = Reader::Reading(task::spawn(async move {
                let page = trace::under(context, pin!(transaction.scan_unrelied(span, PAGE))).await;
                (transaction, page)
            }));
        }
    }
}

fn span(index: IndexId) -> Span {
    keys::sql::index_span(TENANT_DEFAULT, index)
}
