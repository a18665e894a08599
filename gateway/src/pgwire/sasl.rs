//! What a client answers in a SASL exchange.
//!
//! ```text
//! SASLInitialResponse   mechanism, 0 │ length i32, -1: none │ response
//! SASLResponse          response
//! ```

use super::ProtocolError;

/// SASLInitialResponse
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Initial<'a> {
    /// What the client has chosen.
    pub(crate) mechanism: &'a str,
    /// Its first message.
    pub(crate) response: &'a [u8],
}

/// Decodes the body of a SASLInitialResponse.
pub(crate) fn decode_initial(body: &[u8]) -> Result<Initial<'_>, ProtocolError> {
    let decode = || {
        let end = body.iter().position(|byte| *byte == 0)?;
        let mechanism = std::str::from_utf8(body.get(..end)?).ok()?;
        let (length, response) = body.get(end.checked_add(1)?..)?.split_first_chunk::<4>()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
        (length == response.len()).then_some(Initial { mechanism, response })
    };
    decode().ok_or_else(|| ProtocolError::violation("malformed SASL response"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initial_response_is_decoded_only_when_whole() {
        let body = b"SCRAM-SHA-256\0\0\0\0\x03n,,";
        assert_eq!(decode_initial(body).unwrap(), Initial { mechanism: "SCRAM-SHA-256", response: b"n,," });
        for cut in 0..body.len() {
            assert!(decode_initial(&body[..cut]).is_err(), "{cut}");
        }
        assert!(decode_initial(b"X\0\xff\xff\xff\xff").is_err());
        assert!(decode_initial(b"X\0\0\0\0\x02abc").is_err());
    }
}
