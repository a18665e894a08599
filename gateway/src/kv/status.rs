//! Errors as gRPC tells them.

use api::kv::ErrorDetail;
use tonic::{Code, Status};

/// SQLSTATEs, or the classes that they begin with, the first that fits, and what gRPC calls them.
const CODES: &[(&str, Code)] = &[
    ("40001", Code::Aborted),
    ("40P01", Code::Aborted),
    ("55P03", Code::Aborted),
    ("55000", Code::FailedPrecondition),
    ("25P01", Code::NotFound),
    ("25", Code::FailedPrecondition),
    ("42501", Code::PermissionDenied),
    ("3D000", Code::FailedPrecondition),
    ("28", Code::Unauthenticated),
    ("53", Code::ResourceExhausted),
    ("54", Code::InvalidArgument),
    ("57014", Code::DeadlineExceeded),
    ("57", Code::Unavailable),
    // Nobody knows what became of it.
    ("08007", Code::Unknown),
    ("08", Code::Unavailable),
    ("0A", Code::Unimplemented),
    ("22", Code::InvalidArgument),
    ("23", Code::FailedPrecondition),
    ("42", Code::FailedPrecondition),
    ("72000", Code::OutOfRange),
];

/// What a client is told of an error.
pub(super) fn of(error: &sql::Error) -> Status {
    let detail = ErrorDetail { sqlstate: error.sqlstate.to_owned(), retryable: error.is_retryable() };
    let message = match &error.hint {
        // How long to wait.
        Some(hint) if matches!(error.sqlstate, "53300" | "53400") => format!("{}. {hint}", error.message),
        _ => error.message.clone(),
    };
    api::refusal::status(code(error.sqlstate), message, &detail)
}

/// An error of this SQLSTATE.
pub(super) fn refusal(sqlstate: &'static str, message: &str) -> Status {
    of(&sql::Error::new(sqlstate, message))
}

fn code(sqlstate: &str) -> Code {
    let found = CODES.iter().find(|(class, _)| sqlstate.starts_with(class));
    found.map_or(Code::Internal, |(_, code)| *code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_whether_it_is_worth_another_try() {
        for (sqlstate, code, retryable) in [
            ("25P01", Code::NotFound, true),
            ("25P02", Code::FailedPrecondition, false),
            ("40001", Code::Aborted, true),
            ("40P01", Code::Aborted, true),
            ("42501", Code::PermissionDenied, false),
            ("42P01", Code::FailedPrecondition, false),
            ("53100", Code::ResourceExhausted, false),
            ("53200", Code::ResourceExhausted, true),
            ("53300", Code::ResourceExhausted, true),
            ("53400", Code::ResourceExhausted, true),
            ("54000", Code::InvalidArgument, false),
            ("55000", Code::FailedPrecondition, false),
            ("55P03", Code::Aborted, true),
            ("57014", Code::DeadlineExceeded, false),
            ("57P01", Code::Unavailable, true),
            ("57P03", Code::Unavailable, true),
            ("58030", Code::Internal, false),
            ("72000", Code::OutOfRange, false),
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
