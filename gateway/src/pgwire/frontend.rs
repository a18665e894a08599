//! What a client says once a session exists, decoded from its frame without copying.

use bytes::Bytes;
use expr::encoding::Encoding;
use sql::{ColumnFormats, Format};

use super::{Frame, ProtocolError};

/// A message of the client. Borrows from its [`Frame`].
#[derive(Debug)]
pub(crate) enum Message<'a> {
    /// A simple query: any number of statements.
    Query(&'a str),
    /// Prepares one statement.
    Parse(Parse<'a>),
    /// Makes a portal of a prepared statement and its parameters.
    Bind(Bind<'a>),
    /// Asks for the shape of a statement or portal.
    Describe(Target<'a>),
    /// Runs a portal.
    Execute {
        /// The portal's name.
        portal: &'a str,
        /// At most so many rows; 0 = all.
        rows_max: usize,
    },
    /// Forgets a statement or portal.
    Close(Target<'a>),
    /// Asks for what is buffered.
    Flush,
    /// Ends a series of extended messages.
    Sync,
    /// A piece of COPY FROM STDIN.
    CopyData(&'a [u8]),
    /// The end of COPY FROM STDIN.
    CopyDone,
    /// The client gives up its COPY FROM STDIN.
    CopyFail(&'a str),
    /// A call of a function by OID, which is not supported.
    FunctionCall,
    /// An answer to an authentication request, of which there was none.
    Password,
    /// Goodbye.
    Terminate,
}

/// A prepared statement or a portal, by name.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// A prepared statement.
    Statement(&'a str),
    /// A portal.
    Portal(&'a str),
}

/// Prepares one statement.
#[derive(Debug)]
pub(crate) struct Parse<'a> {
    /// Its name; empty for the unnamed one.
    pub(crate) name: &'a str,
    /// Its text.
    pub(crate) sql: &'a str,
    /// Its parameters' types as far as the client says them; 0 = to be inferred.
    pub(crate) types: Vec<u32>,
}

/// Makes a portal.
#[derive(Debug)]
pub(crate) struct Bind<'a> {
    /// The portal's name; empty for the unnamed one.
    pub(crate) portal: &'a str,
    /// The prepared statement's name.
    pub(crate) statement: &'a str,
    /// The formats of the parameters.
    pub(crate) parameter_formats: Formats<'a>,
    /// The parameters.
    pub(crate) parameters: Parameters<'a>,
    /// The formats that the client wants its result columns in.
    pub(crate) result_formats: Formats<'a>,
}

/// A list of format codes as Bind carries it: none = all text, one = the same for all, else one for each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Formats<'a>(&'a [u8]);

impl Formats<'_> {
    /// The formats of a query's columns; what returns no rows has none, whatever the client wants.
    ///
    /// # Errors
    /// As [`Formats::resolve`].
    pub(crate) fn of_columns(&self, count: Option<usize>) -> Result<ColumnFormats, ProtocolError> {
        let Some(count) = count else { return Ok(ColumnFormats::Uniform(Format::Text)) };
        self.resolve(count, |given| {
            format!("bind message has {given} result formats but query has {count} columns")
        })
    }

    /// The formats of `count` parameters.
    ///
    /// # Errors
    /// As [`Formats::resolve`].
    pub(crate) fn of_parameters(&self, count: usize) -> Result<ColumnFormats, ProtocolError> {
        self.resolve(count, |given| {
            format!("bind message has {given} parameter formats but {count} parameters")
        })
    }

    /// The formats of `count` values.
    ///
    /// # Errors
    /// The list's length fits neither rule, or a code is neither 0 nor 1.
    fn resolve(
        &self,
        count: usize,
        differ: impl Fn(usize) -> String,
    ) -> Result<ColumnFormats, ProtocolError> {
        let given = self.0.len() / 2;
        if given > 1 && given != count {
            return Err(ProtocolError::malformed(differ(given)));
        }
        let mut formats = Vec::with_capacity(given.min(count));
        for code in self.0.chunks_exact(2) {
            formats.push(match code {
                [0, 0] => Format::Text,
                [0, 1] => Format::Binary,
                _ => {
                    return Err(ProtocolError::Malformed {
                        sqlstate: "22023",
                        message: format!("unsupported format code: {}", be_i16(code)),
                    });
                }
            });
        }
        let uniform = formats.first().copied().unwrap_or(Format::Text);
        if formats.iter().all(|format| *format == uniform) {
            return Ok(ColumnFormats::Uniform(uniform));
        }
        Ok(ColumnFormats::Each(formats))
    }
}

/// The parameters of a Bind; their framing has been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The values in order; None = NULL.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut body = Body(self.bytes);
        (0..self.count).map(move |_| body.value().ok().flatten())
    }
}

impl Frame {
    /// The message in this frame.
    ///
    /// # Errors
    /// [`ProtocolError::Malformed`]: the body is not what a message of this kind is made of.
    pub(crate) fn decode(&self) -> Result<Message<'_>, ProtocolError> {
        let mut body = Body(&self.body);
        let message = match self.kind {
            b'Q' => Message::Query(body.text()?),
            b'P' => Message::Parse(Parse { name: body.text()?, sql: body.text()?, types: body.types()? }),
            b'B' => Message::Bind(Bind {
                portal: body.text()?,
                statement: body.text()?,
                parameter_formats: body.formats()?,
                parameters: body.parameters()?,
                result_formats: body.formats()?,
            }),
            b'D' => Message::Describe(body.target("DESCRIBE")?),
            b'C' => Message::Close(body.target("CLOSE")?),
            b'E' => {
                Message::Execute { portal: body.text()?, rows_max: usize::try_from(body.i32()?).unwrap_or(0) }
            }
            b'H' => Message::Flush,
            b'S' => Message::Sync,
            b'X' => return Ok(Message::Terminate),
            b'd' => return Ok(Message::CopyData(&self.body)),
            b'c' => Message::CopyDone,
            b'f' => Message::CopyFail(body.text()?),
            b'F' => return Ok(Message::FunctionCall),
            _ => return Ok(Message::Password),
        };
        if !body.0.is_empty() {
            return Err(ProtocolError::malformed("invalid message format"));
        }
        Ok(message)
    }
}

impl Frame {
    /// The same message with its strings, and its parameters that are text, in UTF-8. One that is no such message stays as it
    /// is: it will be refused for that.
    ///
    /// # Errors
    /// 22P05: what is no character in the client's encoding.
    pub(crate) fn in_utf8(&self, encoding: Encoding) -> expr::Result<Self> {
        let body = match self.kind {
            b'Q' | b'f' | b'D' | b'C' => Bytes::copy_from_slice(&encoding.to_utf8(&self.body)?),
            b'P' | b'B' => self.body_in_utf8(encoding)?.map_or_else(|| self.body.clone(), Bytes::from),
            b'E' => match Body(&self.body).text_bytes() {
                Ok(name) => {
                    let mut body = encoding.to_utf8(name)?.into_owned();
                    body.extend_from_slice(self.body.get(name.len()..).unwrap_or_default());
                    body.into()
                }
                Err(_) => self.body.clone(),
            },
            _ => self.body.clone(),
        };
        Ok(Self { kind: self.kind, body })
    }

    /// Of a Parse or a Bind. None: it is none.
    fn body_in_utf8(&self, encoding: Encoding) -> expr::Result<Option<Vec<u8>>> {
        let mut body = Body(&self.body);
        let (Ok(first), Ok(second)) = (body.text_bytes(), body.text_bytes()) else { return Ok(None) };
        let mut out = Vec::with_capacity(self.body.len());
        for text in [first, second] {
            out.extend_from_slice(&encoding.to_utf8(text)?);
            out.push(0);
        }
        if self.kind == b'B' {
            let before = body.0;
            let (Ok(formats), Ok(parameters)) = (body.formats(), body.parameters()) else { return Ok(None) };
            let Ok(formats_of) = formats.of_parameters(parameters.len()) else { return Ok(None) };
            let formats_bytes = formats.0.len() + 2;
            out.extend_from_slice(before.get(..formats_bytes + 2).unwrap_or_default());
            for (place, value) in parameters.iter().enumerate() {
                let value = match (value, formats_of.of(place)) {
                    (Some(value), Format::Text) => encoding.to_utf8(value)?,
                    (Some(value), Format::Binary) => value.into(),
                    (None, _) => {
                        out.extend_from_slice(&(-1_i32).to_be_bytes());
                        continue;
                    }
                };
                let Ok(length) = i32::try_from(value.len()) else { return Ok(None) };
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&value);
            }
        }
        out.extend_from_slice(body.0);
        Ok(Some(out))
    }
}

/// What is left of a message's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], ProtocolError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| ProtocolError::malformed("insufficient data left in message"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// A string that ends in a zero byte.
    fn text(&mut self) -> Result<&'a str, ProtocolError> {
        let bytes = self.text_bytes()?;
        std::str::from_utf8(bytes).map_err(|error| ProtocolError::encoding(bytes, error))
    }

    /// The same, whatever its encoding.
    fn text_bytes(&mut self) -> Result<&'a [u8], ProtocolError> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| ProtocolError::malformed("invalid string in message"))?;
        let bytes = self.take(end)?;
        self.take(1)?;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<usize, ProtocolError> {
        Ok(usize::from(be_i16(self.take(2)?).cast_unsigned()))
    }

    fn i32(&mut self) -> Result<i32, ProtocolError> {
        Ok(self.take(4)?.iter().fold(0i32, |value, byte| (value << 8) | i32::from(*byte)))
    }

    fn types(&mut self) -> Result<Vec<u32>, ProtocolError> {
        let count = self.u16()?;
        let bytes = self.take(count * 4)?;
        Ok(bytes
            .chunks_exact(4)
            .map(|oid| oid.iter().fold(0, |value, byte| (value << 8) | u32::from(*byte)))
            .collect())
    }

    fn formats(&mut self) -> Result<Formats<'a>, ProtocolError> {
        let count = self.u16()?;
        Ok(Formats(self.take(count * 2)?))
    }

    fn parameters(&mut self) -> Result<Parameters<'a>, ProtocolError> {
        let count = self.u16()?;
        let start = self.0;
        for _ in 0..count {
            self.value()?;
        }
        let (bytes, _) = start.split_at_checked(start.len() - self.0.len()).unwrap_or((start, &[]));
        Ok(Parameters { count, bytes })
    }

    /// A value with its length; None = NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, ProtocolError> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| ProtocolError::malformed(format!("invalid parameter length {length}")))?;
                self.take(length).map(Some)
            }
        }
    }

    fn target(&mut self, message: &str) -> Result<Target<'a>, ProtocolError> {
        match self.take(1)? {
            b"S" => Ok(Target::Statement(self.text()?)),
            b"P" => Ok(Target::Portal(self.text()?)),
            other => Err(ProtocolError::malformed(format!(
                "invalid {message} message subtype {}",
                other.first().copied().unwrap_or(0)
            ))),
        }
    }
}

fn be_i16(bytes: &[u8]) -> i16 {
    bytes.iter().fold(0, |value, byte| (value << 8) | i16::from(*byte))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(kind: u8, body: &[u8]) -> Frame {
        Frame { kind, body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn a_bind_carries_formats_values_and_nulls() {
        let body = b"p\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x0242\xff\xff\xff\xff\0\x01\0\x01";
        let frame = frame(b'B', body);
        let Message::Bind(bind) = frame.decode().unwrap() else { panic!("not a bind") };
        assert_eq!((bind.portal, bind.statement, bind.parameters.len()), ("p", "s", 2));
        assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), [Some(&b"42"[..]), None]);
        let formats = bind.parameter_formats.of_parameters(2).unwrap();
        assert_eq!((formats.of(0), formats.of(1)), (Format::Text, Format::Binary));
        assert_eq!(bind.result_formats.of_columns(Some(7)).unwrap(), ColumnFormats::Uniform(Format::Binary));
    }

    #[test]
    fn strings_and_text_parameters_are_converted() {
        let latin1 = Encoding::find("latin1").unwrap();
        let bind =
            frame(b'B', b"p\xe9\0s\0\0\x02\0\0\0\x01\0\x02\0\0\0\x02\xe9a\0\0\0\x01\xe9\0\0").in_utf8(latin1);
        let bind = bind.unwrap();
        let Message::Bind(bind) = bind.decode().unwrap() else { panic!("not a bind") };
        assert_eq!(bind.portal, "p\u{e9}");
        assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), [Some("\u{e9}a".as_bytes()), Some(b"\xe9")]);
        let query = frame(b'Q', b"SELECT '\xe9'\0").in_utf8(latin1).unwrap();
        assert!(matches!(query.decode().unwrap(), Message::Query("SELECT '\u{e9}'")));
        let parse = frame(b'P', b"n\xe9\0SELECT '\xe9'\0\0\x01\0\0\0\x17").in_utf8(latin1).unwrap();
        let Message::Parse(parse) = parse.decode().unwrap() else { panic!("not a parse") };
        assert_eq!((parse.name, parse.sql, parse.types), ("n\u{e9}", "SELECT '\u{e9}'", vec![23]));
        let execute = frame(b'E', b"p\xe9\0\0\0\0\x05").in_utf8(latin1).unwrap();
        assert!(matches!(execute.decode().unwrap(), Message::Execute { portal: "p\u{e9}", rows_max: 5 }));
        assert!(frame(b'B', b"p\0s").in_utf8(latin1).unwrap().decode().is_err());
    }

    #[test]
    fn every_truncation_of_a_message_is_an_error_and_no_panic() {
        let bodies: [(u8, &[u8]); 6] = [
            (b'B', b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x0242\xff\xff\xff\xff\0\x01\0\x01"),
            (b'P', b"name\0SELECT $1\0\0\x01\0\0\0\x17"),
            (b'E', b"p\0\0\0\0\x05"),
            (b'D', b"Sname\0"),
            (b'C', b"Pname\0"),
            (b'Q', b"SELECT 1\0"),
        ];
        for (kind, body) in bodies {
            frame(kind, body).decode().unwrap();
            for length in 0..body.len() {
                assert!(
                    frame(kind, &body[..length]).decode().is_err(),
                    "{} cut at {length}",
                    char::from(kind)
                );
            }
            let mut longer = body.to_vec();
            longer.push(0);
            assert!(frame(kind, &longer).decode().is_err(), "{} with a byte more", char::from(kind));
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_22021() {
        let Err(ProtocolError::Malformed { sqlstate, message }) =
            frame(b'Q', b"SELECT '\xff'\0").decode().map(drop)
        else {
            panic!("accepted")
        };
        assert_eq!(
            (sqlstate, message.as_str()),
            ("22021", "invalid byte sequence for encoding \"UTF8\": 0xff")
        );
    }

    #[test]
    fn a_negative_row_limit_means_all() {
        let frame = frame(b'E', b"\0\xff\xff\xff\xff");
        assert!(matches!(frame.decode().unwrap(), Message::Execute { rows_max: 0, .. }));
    }
}
