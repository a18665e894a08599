//! What a client sends: a document, the name of its operation, and the values of variables, as a JSON object.

use std::borrow::Cow;

use expr::datum::json::Json;
use expr::numeric;

use super::document::Value;
use super::refusal::Refused;

/// Values of variables nest no deeper.
const NESTING_MAX: usize = 64;

/// The numbers of what a client sends have no more digits: as many as a request has room for, though a few characters may stand for
/// very many.
pub(super) const DIGITS_BYTES_MAX: usize = 1 << 20;

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) query: String,
    pub(super) operation: Option<String>,
    pub(super) variables: Vec<(String, Value<'static>)>,
}

impl Request {
    pub(super) fn read(body: &[u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(body).map_err(|_| Refused::new("the request is not UTF-8"))?;
        Self::of(json_of(text, "the request")?)
    }

    /// What stands behind the `?` of an address: `query`, and perhaps the others, escaped as those of forms are.
    pub(super) fn of_address(text: &str) -> Result<Self, Refused> {
        let mut members = Vec::new();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = unescaped(value)?;
            let value = match name {
                "operationName" | "variables" | "extensions" if value.is_empty() => continue,
                "query" | "operationName" => Json::String(value.into()),
                "variables" | "extensions" => json_of(&value, name)?,
                _ => continue,
            };
            members.push((name.into(), value));
        }
        Self::of(Json::Object(members))
    }

    /// A request that has been read as JSON.
    pub(super) fn of(json: Json) -> Result<Self, Refused> {
        let Json::Object(members) = json else {
            return Err(Refused::new("the request is no JSON object; one request holds one operation"));
        };
        let mut request = Self { query: String::new(), operation: None, variables: Vec::new() };
        let mut digits_left = DIGITS_BYTES_MAX;
        for (name, value) in members {
            match (&*name, value) {
                ("query", Json::String(text)) => request.query = text.into_string(),
                ("operationName", Json::String(text)) => request.operation = Some(text.into_string()),
                ("variables", Json::Object(members)) => {
                    let values = members.into_iter().map(|(name, value)| -> Result<_, Refused> {
                        Ok((name.into_string(), value_of(value, 0, &mut digits_left)?))
                    });
                    request.variables = values.collect::<Result<_, Refused>>()?;
                }
                ("operationName" | "variables" | "extensions", Json::Null) => {}
                // None is known here.
                ("extensions", Json::Object(_)) => {}
                ("query" | "operationName" | "variables" | "extensions", _) => {
                    return Err(Refused::new(format!("{name} is of the wrong type")));
                }
                _ => {}
            }
        }
        if request.query.is_empty() {
            return Err(Refused::new("the request has no query"));
        }
        Ok(request)
    }
}

fn json_of(text: &str, what: &str) -> Result<Json, Refused> {
    let json = expr::json::parse_within(text, DIGITS_BYTES_MAX);
    json.map_err(|error| Refused::new(format!("{what} is no JSON: {}", error.message)))
}

/// A text without the escapes that addresses have.
fn unescaped(text: &str) -> Result<String, Refused> {
    let wrong = || Refused::new("the address is not escaped as addresses are");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Err(wrong());
                };
                (high << 4) | low
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn digit(byte: Option<u8>) -> Option<u8> {
    char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A value; its numbers are written out, with as many digits as are left.
fn value_of(json: Json, depth: usize, digits_left: &mut usize) -> Result<Value<'static>, Refused> {
    if depth > NESTING_MAX {
        return Err(Refused::new(format!("values of variables nest at most {NESTING_MAX} deep")));
    }
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::String(text) => Value::Text(text.into_string()),
        Json::Number(number) => {
            let mut text = String::new();
            numeric::write(&number, &mut text);
            *digits_left = digits_left
                .checked_sub(text.len())
                .ok_or_else(|| Refused::new("the numbers of the variables have too many digits"))?;
            let text: Cow<'_, str> = Cow::Owned(text);
            if text.contains('.') { Value::Float(text) } else { Value::Int(text) }
        }
        Json::Array(items) => {
            let items = items.into_iter().map(|item| value_of(item, depth + 1, digits_left));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        Json::Object(members) => {
            let members = members.into_iter();
            let members = members.map(|(name, value)| -> Result<_, Refused> {
                Ok((Cow::Owned(name.into_string()), value_of(value, depth + 1, digits_left)?))
            });
            Value::Object(members.collect::<Result<_, Refused>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_an_object_with_a_query() {
        let body = br#"{"query": "{a}", "operationName": null, "variables": {"x": [1, 1.5, "t", null, {"y": true}]}, "extensions": {}}"#;
        let request = Request::read(body).unwrap();
        let int = Value::Int(Cow::Borrowed("1"));
        let float = Value::Float(Cow::Borrowed("1.5"));
        let object = Value::Object(vec![(Cow::Borrowed("y"), Value::Bool(true))]);
        let list = Value::List(vec![int, float, Value::Text("t".to_owned()), Value::Null, object]);
        assert_eq!((request.query.as_str(), request.operation), ("{a}", None));
        assert_eq!(request.variables, [("x".to_owned(), list)]);
        for body in [
            "",
            "[]",
            "{",
            "{}",
            r#"{"query": 1}"#,
            r#"[{"query": "{a}"}]"#,
            r#"{"query": "{a}", "variables": []}"#,
            r#"{"query": "{a}", "extensions": [1]}"#,
        ] {
            assert!(Request::read(body.as_bytes()).is_err(), "{body}");
        }
        let deep =
            format!(r#"{{"query": "{{a}}", "variables": {{"x": {}1{}}}}}"#, "[".repeat(100), "]".repeat(100));
        assert!(Request::read(deep.as_bytes()).is_err());
    }

    #[test]
    fn an_address_says_a_request() {
        let request = Request::of_address(
            "query=%7Ba%20b+c%7D&operationName=A&variables=%7B%22x%22%3A%22%C3%A9%22%7D&more",
        )
        .unwrap();
        assert_eq!((request.query.as_str(), request.operation.as_deref()), ("{a b c}", Some("A")));
        assert_eq!(request.variables, [("x".to_owned(), Value::Text("é".to_owned()))]);
        let request = Request::of_address("query={a}&operationName=&variables=&extensions=").unwrap();
        assert_eq!((request.query.as_str(), request.operation, request.variables.len()), ("{a}", None, 0));
        for wrong in [
            "",
            "query=",
            "query=%7",
            "query=%zz",
            "query=%ff",
            "query={a}&variables=1",
            "query={a}&variables={",
        ] {
            assert!(Request::of_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn few_characters_do_not_stand_for_very_many_digits() {
        let body = |number: &str, count: usize| {
            let numbers = vec![number; count].join(",");
            format!(r#"{{"query": "{{a}}", "variables": {{"x": [{numbers}]}}}}"#)
        };
        for number in ["1e100000", "1e-16000"] {
            assert!(Request::read(body(number, 8).as_bytes()).is_ok(), "{number}");
            let refused = Request::read(body(number, 1000).as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("too many digits"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::read(&bytes);
        }
    }
}
