//! Why a request is not answered, and what its client is told of that.

use expr::json::quoted;

/// Where something stands in a document: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What a field of an operation has failed of.
#[derive(Debug)]
pub(super) struct Failed {
    error: sql::Error,
    /// What the field is called in the answer.
    key: String,
    at: Place,
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It makes no sense, or asks for what is not there, or for too much.
    #[error("{message}")]
    Request { message: String, at: Option<Place> },
    /// A statement has failed.
    #[error("{} ({})", .0.message, .0.sqlstate)]
    Sql(#[from] sql::Error),
    /// A statement of a field has failed.
    #[error("{} ({})", .0.error.message, .0.error.sqlstate)]
    Field(Box<Failed>),
}

impl From<expr::Error> for Refused {
    fn from(error: expr::Error) -> Self {
        Self::Sql(error.into())
    }
}

impl Refused {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self::Request { message: message.into(), at: None }
    }

    pub(super) fn at(place: Place, message: impl Into<String>) -> Self {
        Self::Request { message: message.into(), at: Some(place) }
    }

    /// The same, said to be about something.
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Request { message, at } => Self::Request { message: format!("{what}: {message}"), at },
            sql => sql,
        }
    }

    /// The same, there, unless it is known where.
    pub(super) fn or_at(self, place: Place) -> Self {
        match self {
            Self::Request { message, at: None } => Self::at(place, message),
            placed => placed,
        }
    }

    /// The same, while a field of the operation was answered.
    pub(super) fn of_field(self, key: &str, at: Place) -> Self {
        match self {
            Self::Sql(error) => Self::Field(Box::new(Failed { error, key: key.to_owned(), at })),
            other => other.or_at(at),
        }
    }

    /// The error of a statement, if it is one.
    pub(super) fn sql(&self) -> Option<&sql::Error> {
        match self {
            Self::Request { .. } => None,
            Self::Sql(error) => Some(error),
            Self::Field(failed) => Some(&failed.error),
        }
    }

    /// The answer that says so.
    pub(super) fn answer(&self) -> String {
        let data = if self.sql().is_some() { ",\"data\":null" } else { "" };
        format!("{{\"errors\":{}{data}}}", self.errors())
    }

    /// What is wrong, as a list of errors.
    pub(super) fn errors(&self) -> String {
        let mut out = String::from("[{\"message\":");
        match self {
            Self::Request { message, at } => {
                out.push_str(&quoted(message));
                if let Some(at) = at {
                    put_place(*at, &mut out);
                }
                out.push_str(",\"extensions\":{\"code\":\"BAD_REQUEST\"}}]");
            }
            Self::Sql(error) => {
                out.push_str(&quoted(&error.message));
                put_code(error, &mut out);
            }
            Self::Field(failed) => {
                out.push_str(&quoted(&failed.error.message));
                put_place(failed.at, &mut out);
                out.push_str(&format!(",\"path\":[{}]", quoted(&failed.key)));
                put_code(&failed.error, &mut out);
            }
        }
        out
    }
}

fn put_place(Place { line, column }: Place, out: &mut String) {
    out.push_str(&format!(",\"locations\":[{{\"line\":{line},\"column\":{column}}}]"));
}

/// What else SQL says of an error, and its end.
fn put_code(error: &sql::Error, out: &mut String) {
    let (code, retryable) = (quoted(error.sqlstate), error.is_retryable());
    out.push_str(&format!(",\"extensions\":{{\"code\":{code},\"retryable\":{retryable}"));
    let more = [("detail", &error.detail), ("hint", &error.hint)];
    for (name, text) in more.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        out.push_str(&format!(",\"{name}\":{}", quoted(text)));
    }
    out.push_str("}}]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_json_that_says_why() {
        let at = Refused::at(Place { line: 2, column: 3 }, "no \"x\"");
        assert_eq!(
            at.answer(),
            r#"{"errors":[{"message":"no \"x\"","locations":[{"line":2,"column":3}],"extensions":{"code":"BAD_REQUEST"}}]}"#
        );
        let failed = Refused::from(sql::Error::new("42501", "permission denied").hint("Ask."));
        assert_eq!(
            failed.answer(),
            r#"{"errors":[{"message":"permission denied","extensions":{"code":"42501","retryable":false,"hint":"Ask."}}],"data":null}"#
        );
        let of_field =
            Refused::from(sql::Error::new("22012", "no")).of_field("a", Place { line: 1, column: 2 });
        assert_eq!(
            of_field.answer(),
            r#"{"errors":[{"message":"no","locations":[{"line":1,"column":2}],"path":["a"],"extensions":{"code":"22012","retryable":false}}],"data":null}"#
        );
        let conflict = Refused::from(sql::Error::new("40001", "no"));
        assert!(conflict.errors().ends_with(r#""extensions":{"code":"40001","retryable":true}}]"#));
        assert_eq!(of_field.sql().map(|error| error.sqlstate), Some("22012"));
        // Who knows better where it stands has said so.
        let placed =
            Refused::at(Place { line: 2, column: 3 }, "no").of_field("a", Place { line: 1, column: 2 });
        assert!(matches!(placed, Refused::Request { at: Some(Place { line: 2, column: 3 }), .. }));
    }
}
