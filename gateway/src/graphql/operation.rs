//! A request carried out, whichever way it has come: one session's work, and one transaction.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use env::trace::{self, Parent};

use super::document::Document;
use super::holdings::GraphQl;
use super::refusal::Refused;
use super::request::Request;
use super::run::{run, weigh};
use super::select::{is_subscription, select};
use crate::door::{Caller, Guest, Retries, Share, Work, note_failure};

/// What is in a request of so many bytes takes long to read.
pub(super) const LONG_BYTES: usize = 16 << 10;

/// How long a request may take to be carried out.
const REQUEST_TIME: Duration = Duration::from_secs(60);

/// What a request is recorded as if it is not carried out.
pub(super) const REQUEST: &str = "GraphQL";

/// Who asks.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) graphql: Arc<GraphQl>,
    pub(super) caller: Caller,
    pub(super) guest: Arc<Guest>,
    pub(super) parent: Option<Parent>,
}

/// What is asked.
pub(super) enum Asked<'r> {
    /// As it has come.
    Bytes(&'r [u8]),
    Read(&'r Request),
}

impl Asker {
    /// The answer of a query or mutation, and its share of the room.
    pub(super) async fn answer(&self, asked: Asked<'_>) -> Result<(String, Share), Refused> {
        match env::clock::timeout(REQUEST_TIME, self.work(asked)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(sql::Error::new("57014", "the request has taken too long").into()),
        }
    }

    async fn work(&self, asked: Asked<'_>) -> Result<(String, Share), Refused> {
        let mut work = self.caller.work(&self.graphql.door, &self.guest).await?;
        let bytes = self.caller.take_received(&work);
        let mut span = work.begin_trace("graphql", self.parent);
        let context = span.as_ref().map(|span| span.context().clone());
        let outcome = trace::under(context, pin!(self.within(&mut work, asked, bytes))).await;
        if let Err(refused) = &outcome
            && let Some(error) = refused.sql()
        {
            note_failure(&mut span, error);
        }
        drop(span);
        let settled = work.settle().await;
        self.caller.give_back(self.guest.clone(), work);
        settled?;
        outcome
    }

    async fn within(
        &self,
        work: &mut Work,
        asked: Asked<'_>,
        bytes: u64,
    ) -> Result<(String, Share), Refused> {
        work.begin_request(REQUEST, bytes, false).await?;
        let read;
        let request = match asked {
            Asked::Read(request) => request,
            Asked::Bytes(body) => {
                if body.len() >= LONG_BYTES {
                    env::pool::go_to_pool().await;
                }
                read = Request::read(body)?;
                &read
            }
        };
        let document = Document::parse(&request.query)?;
        let operation = request.operation.as_deref();
        if is_subscription(&document, operation)? {
            return Err(Refused::new("subscriptions are followed over a WebSocket, as graphql-transport-ws"));
        }
        let schema = self.graphql.schemas.of(work, &self.guest.parameters.user).await?;
        let selected = select(&schema, &document, operation, &request.variables)?;
        weigh(&selected)?;
        let mut retries = Retries::default();
        loop {
            work.begin(&[]).await?;
            let share_of = (&self.graphql.answers, self.guest.parameters.user.as_str());
            let outcome = run(work, share_of, &schema, &selected).await;
            match work.end(outcome).await {
                Err(refused) if refused.sql().is_some_and(Retries::help) && retries.are_left() => {
                    retries.pause().await;
                }
                outcome => return outcome,
            }
        }
    }
}
