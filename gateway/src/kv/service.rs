//! The calls of `nunatak.kv.v1.Kv`.

use std::pin::pin;
use std::sync::Arc;

use api::kv::kv_server;
use api::kv::{
    BeginRequest, BeginResponse, CommitRequest, CommitResponse, DeleteRequest, DeleteResponse, GetRequest,
    GetResponse, Mode, RollbackRequest, RollbackResponse, ScanRequest, ScanResponse, SetRequest, SetResponse,
    WatchRequest, WatchResponse,
};
use async_trait::async_trait;
use env::trace::{self, Parent};
use expr::{Datum, Row};
use tonic::{Request, Response, Status};

use super::answers::Answers;
use super::holdings::Kv;
use super::pairs::{bytes, key};
use super::place::{Call, Place};
use super::transactions::{IDLE, LIFETIME};
use super::{pairs, scan, status, watch};
use crate::door::{Caller, Guest, note_failure};

/// What tonic calls.
#[derive(Clone)]
pub(super) struct Service(pub(super) Arc<Kv>);

impl Service {
    /// Counts a call, and its error if it has one.
    async fn counted<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<Response<T>, Status> {
        let started = env::clock::now();
        let answer = call.await;
        let metrics = &self.0.door.metrics;
        metrics.requests.increment(1);
        metrics.request_seconds.record(started.elapsed().as_secs_f64());
        if let Err(status) = &answer {
            metrics.errors.increment(1);
            tracing::debug!(code = ?status.code(), message = status.message(), "a call failed");
        }
        answer.map(Response::new)
    }

    /// Where a call of this transaction works (0: alone), and in how many bytes it came.
    async fn place(&self, call: Call, transaction: u64) -> Result<(Place, u64), Status> {
        let caller = call.caller.clone();
        let placed = match transaction {
            0 => match call.caller.work(&self.0.door, &call.guest).await {
                Ok(work) => Ok(Place::Alone(call, work)),
                Err(error) => Err(error),
            },
            id => self.0.transactions.hold(id, &call.guest).await.map(Place::Within),
        };
        let mut place = placed.map_err(|error| status::of(&error))?;
        let bytes = caller.take_received(place.work());
        Ok((place, bytes))
    }

    /// Runs a statement of few rows.
    async fn run(
        &self,
        call: Call,
        transaction: u64,
        statement: &'static str,
        values: Row,
    ) -> Result<(Vec<Row>, u64), Status> {
        let parent = call.parent;
        let (mut place, bytes) = self.place(call, transaction).await?;
        let work = place.work();
        let mut span = work.begin_trace("kv", parent);
        let context = span.as_ref().map(|span| span.context().clone());
        let carried_out = async {
            work.begin_request(statement, bytes, false).await?;
            work.once(statement, values).await
        };
        let outcome = trace::under(context, pin!(carried_out)).await;
        if let Err(error) = &outcome {
            note_failure(&mut span, error);
        }
        drop(span);
        let settled = work.settle().await;
        place.give_back();
        settled.map_err(|error| status::of(&error))?;
        outcome.map_err(|error| status::of(&error))
    }

    async fn begin(&self, request: Request<BeginRequest>) -> Result<BeginResponse, Status> {
        let (call, request) = call(request)?;
        let statement = match Mode::try_from(request.mode) {
            Ok(Mode::ReadOnly) => pairs::BEGIN_READ_ONLY,
            Ok(Mode::ReadWrite | Mode::Unspecified) => pairs::BEGIN_READ_WRITE,
            Err(_) => return Err(status::refusal("22023", "there is no such mode of transactions")),
        };
        let too_many = || status::refusal("53400", "too many transactions are open");
        if !self.0.transactions.have_room(&call.guest) {
            return Err(too_many());
        }
        let mut work =
            call.caller.work(&self.0.door, &call.guest).await.map_err(|error| status::of(&error))?;
        let bytes = call.caller.take_received(&work);
        let span = work.begin_trace("kv", call.parent);
        let begun = async {
            work.begin_request(statement, bytes, false).await?;
            work.make_ready(pairs::WITHIN).await?;
            work.once(statement, Row::new()).await?;
            work.settle().await
        };
        let begun = trace::within(span, pin!(begun)).await;
        if let Err(error) = begun {
            let settled = work.settle().await;
            call.caller.give_back(call.guest, work);
            return Err(status::of(&settled.err().unwrap_or(error)));
        }
        let transaction = match self.0.transactions.add(&call.guest, work) {
            Ok(transaction) => transaction,
            Err(work) => {
                work.close().await;
                return Err(too_many());
            }
        };
        self.0.tell_open();
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Ok(BeginResponse { transaction, idle_ms: ms(IDLE), lifetime_ms: ms(LIFETIME) })
    }

    /// Ends a transaction by this statement. What has failed within it is rolled back, whatever was wanted.
    async fn end(&self, call: Call, id: u64, statement: &'static str) -> Result<(), Status> {
        let held = self.0.transactions.hold(id, &call.guest).await.map_err(|error| status::of(&error))?;
        self.0.transactions.forget(id);
        self.0.tell_open();
        let mut work = held.into_work();
        let bytes = call.caller.take_received(&work);
        let had_failed = work.has_failed();
        let span = work.begin_trace("kv", call.parent);
        let ended = async {
            work.begin_request(statement, bytes, true).await?;
            work.once(statement, Row::new()).await
        };
        let outcome = trace::within(span, pin!(ended)).await;
        let settled = work.settle().await;
        call.caller.give_back(call.guest, work);
        settled.map_err(|error| status::of(&error))?;
        outcome.map_err(|error| status::of(&error))?;
        if had_failed && statement == pairs::COMMIT {
            let message = "the transaction had failed before, and was rolled back";
            return Err(status::refusal("25P02", message));
        }
        Ok(())
    }
}

/// A call that was let in, and its message.
fn call<T>(request: Request<T>) -> Result<(Call, T), Status> {
    let (metadata, extensions, message) = request.into_parts();
    let parent = metadata.get("traceparent").and_then(|value| value.to_str().ok()).and_then(Parent::parse);
    match (extensions.get::<Caller>(), extensions.get::<Arc<Guest>>()) {
        (Some(caller), Some(guest)) => {
            Ok((Call { caller: caller.clone(), guest: guest.clone(), parent }, message))
        }
        _ => Err(Status::internal("nobody has let the call in")),
    }
}

#[async_trait]
impl kv_server::Kv for Service {
    type ScanStream = Answers<ScanResponse>;
    type WatchStream = Answers<WatchResponse>;

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            let values = vec![key(request.key)?];
            let (rows, _) = self.run(call, request.transaction, pairs::GET, values).await?;
            let value = rows.into_iter().next().map(|row| bytes(row.into_iter().next()));
            Ok(GetResponse { value: value.transpose()? })
        })
        .await
    }

    async fn scan(&self, request: Request<ScanRequest>) -> Result<Response<Self::ScanStream>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            let statement = pairs::scan(!request.end.is_empty(), request.reverse);
            let limit = match request.limit {
                0 => i64::MAX,
                limit => i64::try_from(limit).unwrap_or(i64::MAX),
            };
            let mut values = vec![key(request.start)?, Datum::Int8(limit)];
            if !request.end.is_empty() {
                values.push(key(request.end)?);
            }
            let parent = call.parent;
            let (mut place, received) = self.place(call, request.transaction).await?;
            let work = place.work();
            let begun = work.begin_request(statement, received, false).await;
            if let Err(error) = begun {
                let settled = work.settle().await;
                place.give_back();
                return Err(status::of(&settled.err().unwrap_or(error)));
            }
            Ok(scan::stream(&self.0, place, statement, values, parent))
        })
        .await
    }

    async fn set(&self, request: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            let values = vec![key(request.key)?, Datum::Bytea(request.value)];
            self.run(call, request.transaction, pairs::SET, values).await?;
            Ok(SetResponse {})
        })
        .await
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            let values = vec![key(request.key)?];
            let (_, count) = self.run(call, request.transaction, pairs::DELETE, values).await?;
            Ok(DeleteResponse { deleted: count > 0 })
        })
        .await
    }

    async fn begin(&self, request: Request<BeginRequest>) -> Result<Response<BeginResponse>, Status> {
        self.counted(self.begin(request)).await
    }

    async fn commit(&self, request: Request<CommitRequest>) -> Result<Response<CommitResponse>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            self.end(call, request.transaction, pairs::COMMIT).await?;
            Ok(CommitResponse {})
        })
        .await
    }

    async fn rollback(
        &self,
        request: Request<RollbackRequest>,
    ) -> Result<Response<RollbackResponse>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            match self.end(call, request.transaction, pairs::ROLLBACK).await {
                // What has ended needs no end.
                Err(status) if status.code() == tonic::Code::NotFound => Ok(RollbackResponse {}),
                ended => ended.map(|()| RollbackResponse {}),
            }
        })
        .await
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        self.counted(async {
            let (call, request) = call(request)?;
            let wanted = watch::wanted(request)?;
            let begun = watch::begin(&self.0, call, wanted).await;
            Ok(watch::stream(&self.0, begun.map_err(|error| status::of(&error))?))
        })
        .await
    }
}
