//! The details of an error: `google.rpc.Status` in the trailer `grpc-status-details-bin`, as gRPC's libraries read it.
//!
//! ```text
//! google.rpc.Status    code 1: int32   message 2: string   details 3: google.protobuf.Any…
//! google.protobuf.Any  type_url 1: string   value 2: bytes, here a nunatak.kv.v1.ErrorDetail
//! ```

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

use crate::kv::ErrorDetail;

/// What an `Any` says that it holds.
const TYPE_URL: &str = "type.googleapis.com/nunatak.kv.v1.ErrorDetail";

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// A status with its detail.
pub fn status(code: Code, message: impl Into<String>, detail: &ErrorDetail) -> Status {
    let message = message.into();
    let detail = Any { type_url: TYPE_URL.to_owned(), value: detail.encode_to_vec().into() };
    let whole = RpcStatus { code: code as i32, message: message.clone(), details: vec![detail] };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

/// The detail of a status, if it has one.
pub fn detail(status: &Status) -> Option<ErrorDetail> {
    let whole = RpcStatus::decode(status.details()).ok()?;
    let detail = whole.details.into_iter().find(|detail| detail.type_url == TYPE_URL)?;
    ErrorDetail::decode(detail.value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_read_as_it_was_written() {
        let detail = ErrorDetail { sqlstate: "40001".to_owned(), retryable: true };
        let status = status(Code::Aborted, "no", &detail);
        assert_eq!((status.code(), status.message()), (Code::Aborted, "no"));
        assert_eq!(super::detail(&status), Some(detail));
        assert_eq!(super::detail(&Status::aborted("no")), None);
    }
}
