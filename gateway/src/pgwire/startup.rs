//! The packets before a session exists.

use super::ProtocolError;

const CANCEL_CODE: u32 = 80_877_102;
const SSL_CODE: u32 = 80_877_103;
const GSS_CODE: u32 = 80_877_104;

/// What a client opens a connection with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StartupPacket {
    /// It asks for TLS first.
    TlsRequest,
    /// It asks for encryption by GSSAPI first.
    GssRequest,
    /// It wants another connection's statement to end.
    Cancel {
        /// Which connection.
        process_id: i32,
        /// Proof that it may.
        secret: i32,
    },
    /// It wants a session.
    Session(SessionRequest),
}

/// What a client wants its session to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionRequest {
    /// The minor protocol version that it asks for.
    pub(crate) minor: u16,
    /// Protocol options (`_pq_.…`), of which none is known.
    pub(crate) protocol_options: Vec<String>,
    /// `user`, `database`, `options` and settings, in the order given.
    pub(crate) parameters: Vec<(String, String)>,
}

impl SessionRequest {
    /// The last value given to `name`.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

/// A packet that opens no session, with the SQLSTATE to refuse it with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// SQLSTATE
    pub(crate) sqlstate: &'static str,
    /// For the client.
    pub(crate) message: String,
}

/// Decodes a startup packet without its length.
pub(crate) fn decode(packet: &[u8]) -> Result<StartupPacket, Refused> {
    let (code, body) =
        packet.split_first_chunk::<4>().ok_or_else(|| violation("invalid length of startup packet"))?;
    match u32::from_be_bytes(*code) {
        SSL_CODE => Ok(StartupPacket::TlsRequest),
        GSS_CODE => Ok(StartupPacket::GssRequest),
        CANCEL_CODE => decode_cancel(body),
        version => decode_session(version, body),
    }
}

fn decode_cancel(body: &[u8]) -> Result<StartupPacket, Refused> {
    let invalid = || violation("invalid length of cancel request");
    let (process_id, rest) = body.split_first_chunk::<4>().ok_or_else(invalid)?;
    let secret: [u8; 4] = rest.try_into().map_err(|_| invalid())?;
    Ok(StartupPacket::Cancel {
        process_id: i32::from_be_bytes(*process_id),
        secret: i32::from_be_bytes(secret),
    })
}

fn decode_session(version: u32, body: &[u8]) -> Result<StartupPacket, Refused> {
    let (major, minor) = (version >> 16, (version & 0xffff) as u16);
    if major != 3 {
        return Err(Refused {
            sqlstate: "0A000",
            message: format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0"),
        });
    }
    let mut request = SessionRequest { minor, ..SessionRequest::default() };
    let mut rest = body;
    loop {
        let name = cstring(&mut rest)?;
        if name.is_empty() {
            break;
        }
        let value = cstring(&mut rest)?;
        if name.starts_with("_pq_.") {
            request.protocol_options.push(name);
        } else {
            request.parameters.push((name, value));
        }
    }
    if !rest.is_empty() {
        return Err(violation("invalid startup packet layout: expected terminator as last byte"));
    }
    Ok(StartupPacket::Session(request))
}

fn cstring(rest: &mut &[u8]) -> Result<String, Refused> {
    let end = rest
        .iter()
        .position(|byte| *byte == 0)
        .ok_or_else(|| violation("invalid startup packet layout: expected terminator as last byte"))?;
    let (bytes, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    *rest = after.get(1..).unwrap_or_default();
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => match ProtocolError::encoding(bytes, error) {
            ProtocolError::Malformed { sqlstate, message } => Err(Refused { sqlstate, message }),
            other => Err(violation(&other.to_string())),
        },
    }
}

fn violation(message: &str) -> Refused {
    Refused { sqlstate: "08P01", message: message.to_owned() }
}

/// The settings in the `options` parameter: `-c name=value`, `-cname=value` and `--name=value`, blanks and backslashes
/// escaped by a backslash.
///
/// # Errors
/// A word is none of these.
pub(crate) fn split_options(options: &str) -> Result<Vec<(String, String)>, Refused> {
    let mut words = words(options).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next()
        } else {
            word.strip_prefix("--").or_else(|| word.strip_prefix("-c")).map(str::to_owned)
        };
        let Some((name, value)) = assignment.as_deref().and_then(|text| text.split_once('=')) else {
            return Err(Refused {
                sqlstate: "42601",
                message: format!("invalid command-line argument for server process: {word}"),
            });
        };
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_request_carries_its_parameters() {
        let packet = b"\0\x03\0\x02user\0ann\0_pq_.x\x001\0database\0db\0\0";
        let StartupPacket::Session(request) = decode(packet).unwrap() else { panic!("no session") };
        assert_eq!(
            (request.minor, request.parameter("user"), request.parameter("database")),
            (2, Some("ann"), Some("db"))
        );
        assert_eq!(request.protocol_options, ["_pq_.x"]);
    }

    #[test]
    fn every_truncation_of_a_session_request_is_refused() {
        let packet = b"\0\x03\0\0user\0ann\0\0";
        decode(packet).unwrap();
        for length in 0..packet.len() {
            assert!(decode(&packet[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn other_protocols_are_refused_by_name() {
        let refused = decode(b"\0\x02\0\0").unwrap_err();
        assert_eq!((refused.sqlstate, refused.message.contains("2.0")), ("0A000", true));
    }

    #[test]
    fn options_are_split_into_settings() {
        let settings = split_options(r"-c search_path=a\ b --time-zone=UTC -cx=1").unwrap();
        let expected = [("search_path", "a b"), ("time_zone", "UTC"), ("x", "1")];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(split_options("-z").is_err());
    }
}
