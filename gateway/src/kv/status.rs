//! Errors as gRPC tells them.

use api::kv::ErrorDetail;
use tonic::{Code, Status};

/// SQLSTATEs, or the classes that they begin with, the first that fits; what gRPC calls them, and whether the same may
/// succeed as a new transaction.
const CODES: &[(&str, Code, bool)] = &[
    ("40001", Code::Aborted, true),
    ("40P01", Code::Aborted, true),
    ("55P03", Code::Aborted, true),
    ("55000", Code::FailedPrecondition, false),
    ("25P01", Code::NotFound, true),
    ("25", Code::FailedPrecondition, false),
    ("42501", Code::PermissionDenied, false),
    ("3D000", Code::FailedPrecondition, false),
    ("28", Code::Unauthenticated, false),
    ("53300", Code::ResourceExhausted, true),
    ("53400", Code::ResourceExhausted, true),
    ("53", Code::ResourceExhausted, false),
    ("54", Code::InvalidArgument, false),
    ("57014", Code::DeadlineExceeded, false),
    ("57", Code::Unavailable, true),
    // Nobody knows what became of it.
    ("08007", Code::Unknown, false),
    ("08", Code::Unavailable, false),
    ("0A", Code::Unimplemented, false),
    ("22", Code::InvalidArgument, false),
    ("23", Code::FailedPrecondition, false),
    ("42", Code::FailedPrecondition, false),
    ("72000", Code::OutOfRange, false),
];

/// What a client is told of an error.
pub(super) fn of(error: &sql::Error) -> Status {
    let (code, retryable) = code(error.sqlstate);
    let detail = ErrorDetail { sqlstate: error.sqlstate.to_owned(), retryable };
    let message = match &error.hint {
        // How long to wait.
        Some(hint) if matches!(error.sqlstate, "53300" | "53400") => format!("{}. {hint}", error.message),
        _ => error.message.clone(),
    };
    api::refusal::status(code, message, &detail)
}

/// An error of this SQLSTATE.
pub(super) fn refusal(sqlstate: &'static str, message: &str) -> Status {
    of(&sql::Error::new(sqlstate, message))
}

fn code(sqlstate: &str) -> (Code, bool) {
    let found = CODES.iter().find(|(class, ..)| sqlstate.starts_with(class));
    found.map_or((Code::Internal, false), |(_, code, retryable)| (*code, *retryable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_whether_it_is_worth_another_try() {
        for (sqlstate, code, retryable) in [
            ("40001", Code::Aborted, true),
            ("42501", Code::PermissionDenied, false),
            ("42P01", Code::FailedPrecondition, false),
            ("53300", Code::ResourceExhausted, true),
            ("57P03", Code::Unavailable, true),
            ("57014", Code::DeadlineExceeded, false),
            ("08007", Code::Unknown, false),
            ("XX000", Code::Internal, false),
        ] {
            let status = refusal(sqlstate, "why");
            assert_eq!((status.code(), status.message()), (code, "why"), "{sqlstate}");
            let detail = api::refusal::detail(&status).unwrap();
            assert_eq!((detail.sqlstate.as_str(), detail.retryable), (sqlstate, retryable));
        }
        let wait = sql::Error::new("53400", "too many").hint("Try again in 7 ms.");
        assert_eq!(of(&wait).message(), "too many. Try again in 7 ms.");
    }
}
