//! The server's side of one exchange: two messages in, two out, no clock and no wire.

use crate::verifier::{Key, hash, mac, same};
use crate::{Verifier, from_base64, to_base64};

/// The mechanism without channel binding.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// The mechanism with channel binding.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The kind of channel binding that is spoken: the hash of the server's certificate (RFC 5929).
const BINDING_TYPE: &str = "tls-server-end-point";
/// Longer nonces are refused.
const NONCE_BYTES_MAX: usize = 256;
const NONCE_BYTES: usize = 18;

/// What the channel offers to be bound to.
#[derive(Debug, Clone)]
pub enum Binding {
    /// It is not encrypted, or its certificate has no hash that both sides know: the mechanism with binding is not offered.
    Unavailable,
    /// `tls-server-end-point`: the mechanism with binding has been offered.
    EndPoint(Vec<u8>),
}

/// Why an exchange ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The message is none of SCRAM's: the client is told so.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client took another way than it was offered, as it does behind somebody who changes what is said.
    #[error("{0}")]
    Downgraded(&'static str),
    /// The proof fits no password, or no password is known.
    #[error("password authentication failed")]
    WrongProof,
}

/// An exchange that has begun: the client has been sent the server's first message.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    /// What the client has to send back, encoded.
    expected_binding: String,
    nonce: String,
    /// The messages so far without the gs2 header, as they are signed.
    signed: String,
}

impl Exchange {
    /// Begins with the client's first message under this mechanism; also what to send it.
    ///
    /// # Errors
    /// The message is malformed, or asks for another channel binding than the mechanism's.
    pub fn begin(
        verifier: Verifier,
        mechanism: &str,
        binding: &Binding,
        client_first: &[u8],
    ) -> Result<(Self, String), Failure> {
        let mut random = [0; NONCE_BYTES];
        env::random::fill(&mut random);
        Self::begin_with(verifier, mechanism, binding, client_first, &to_base64(&random))
    }

    fn begin_with(
        verifier: Verifier,
        mechanism: &str,
        binding: &Binding,
        client_first: &[u8],
        server_nonce: &str,
    ) -> Result<(Self, String), Failure> {
        let text = text(client_first)?;
        let (header, bare) = split_header(text)?;
        let expected_binding = expected_binding(header, mechanism, binding)?;
        let mut attributes = bare.split(',');
        // The name is that of the startup packet, whatever stands here.
        attribute(attributes.next(), "n=")?;
        let client_nonce = attribute(attributes.next(), "r=")?;
        if client_nonce.is_empty() || client_nonce.len() > NONCE_BYTES_MAX || !is_printable(client_nonce) {
            return Err(Failure::Malformed("the nonce is empty, too long or not printable"));
        }
        let nonce = format!("{client_nonce}{server_nonce}");
        let reply = format!("r={nonce},s={},i={}", to_base64(&verifier.salt), verifier.iterations);
        let signed = format!("{bare},{reply}");
        Ok((Self { verifier, expected_binding, nonce, signed }, reply))
    }

    /// Ends with the client's final message: what proves the server to it.
    ///
    /// # Errors
    /// The message is malformed or of another exchange, or its proof is wrong.
    pub fn finish(self, client_final: &[u8]) -> Result<String, Failure> {
        let text = text(client_final)?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(Failure::Malformed("there is no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c=")?;
        let nonce = attribute(attributes.next(), "r=")?;
        if nonce != self.nonce {
            return Err(Failure::Malformed("the nonce is not the one of this exchange"));
        }
        if binding != self.expected_binding {
            return Err(Failure::Downgraded("SCRAM channel binding check failed"));
        }
        let proof: Key = from_base64(proof)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Failure::Malformed("the proof is no key"))?;
        let signed = format!("{},{without_proof}", self.signed);
        let signature = mac(&self.verifier.stored_key, signed.as_bytes());
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        if !same(&hash(&client_key), &self.verifier.stored_key) {
            return Err(Failure::WrongProof);
        }
        Ok(format!("v={}", to_base64(&mac(&self.verifier.server_key, signed.as_bytes()))))
    }
}

fn text(message: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(message).map_err(|_| Failure::Malformed("it is not UTF-8"))
}

fn is_printable(nonce: &str) -> bool {
    nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte) && byte != b',')
}

/// The gs2 header with its commas, and what follows it.
fn split_header(message: &str) -> Result<(&str, &str), Failure> {
    let malformed = Failure::Malformed("the header is cut off");
    let flag = message.find(',').ok_or(malformed.clone())?;
    let rest = message.get(flag.saturating_add(1)..).unwrap_or_default();
    let name = rest.find(',').ok_or(malformed)?;
    if name != 0 {
        return Err(Failure::Malformed("an authorization identity is not supported"));
    }
    let end = flag.saturating_add(2);
    Ok((message.get(..end).unwrap_or_default(), message.get(end..).unwrap_or_default()))
}

/// What the client's final message has to carry by `c=`.
fn expected_binding(header: &str, mechanism: &str, binding: &Binding) -> Result<String, Failure> {
    let flag = header.split(',').next().unwrap_or_default();
    match (flag.split_once('='), flag, mechanism, binding) {
        (Some(("p", kind)), _, MECHANISM_PLUS, Binding::EndPoint(hash)) if kind == BINDING_TYPE => {
            Ok(to_base64(&[header.as_bytes(), hash].concat()))
        }
        (Some(("p", _)), _, MECHANISM_PLUS, Binding::EndPoint(_)) => {
            Err(Failure::Malformed("the type of channel binding is not supported"))
        }
        (None, "n", MECHANISM, _) => Ok(to_base64(header.as_bytes())),
        (None, "y", MECHANISM, Binding::Unavailable) => Ok(to_base64(header.as_bytes())),
        // The client could have bound the channel and believes that the server could not: somebody said so in between.
        (None, "y", MECHANISM, Binding::EndPoint(_)) => {
            Err(Failure::Downgraded("SCRAM channel binding negotiation error"))
        }
        _ => Err(Failure::Malformed("the channel binding is not that of the mechanism")),
    }
}

fn attribute<'a>(part: Option<&'a str>, name: &str) -> Result<&'a str, Failure> {
    part.and_then(|part| part.strip_prefix(name)).ok_or(Failure::Malformed("an attribute is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ITERATIONS;

    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn pencil() -> Verifier {
        Verifier::with_salt("pencil", from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), ITERATIONS)
    }

    fn begin(first: &[u8], mechanism: &str, binding: &Binding) -> Result<(Exchange, String), Failure> {
        Exchange::begin_with(pencil(), mechanism, binding, first, SERVER_NONCE)
    }

    /// The example of RFC 7677.
    #[test]
    fn the_example_of_the_standard() {
        let (exchange, reply) = begin(FIRST, MECHANISM, &Binding::Unavailable).unwrap();
        assert_eq!(
            reply,
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let signature = exchange.finish(FINAL).unwrap();
        assert_eq!(signature, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_replayed_proof_is_refused() {
        let (exchange, _) = Exchange::begin(pencil(), MECHANISM, &Binding::Unavailable, FIRST).unwrap();
        assert!(matches!(exchange.finish(FINAL), Err(Failure::Malformed(_))));
    }

    #[test]
    fn every_changed_byte_of_the_final_message_is_refused() {
        for place in 0..FINAL.len() {
            let (exchange, _) = begin(FIRST, MECHANISM, &Binding::Unavailable).unwrap();
            let mut changed = FINAL.to_vec();
            changed[place] ^= 1;
            assert!(exchange.finish(&changed).is_err(), "byte {place}");
        }
    }

    #[test]
    fn every_cut_message_is_refused() {
        for cut in 0..FIRST.len() - "rOprNGfwEbeRWgbNEkqO".len() + 1 {
            assert!(begin(&FIRST[..cut], MECHANISM, &Binding::Unavailable).is_err(), "{cut}");
        }
        for cut in 0..FINAL.len() {
            let (exchange, _) = begin(FIRST, MECHANISM, &Binding::Unavailable).unwrap();
            assert!(exchange.finish(&FINAL[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_client_that_was_told_of_no_binding_where_there_is_one_is_refused() {
        let bound = Binding::EndPoint(vec![1; 32]);
        let y = b"y,,n=user,r=abc";
        assert!(matches!(begin(y, MECHANISM, &bound), Err(Failure::Downgraded(_))));
        assert!(begin(y, MECHANISM, &Binding::Unavailable).is_ok());
        assert!(begin(b"p=tls-unique,,n=user,r=abc", MECHANISM_PLUS, &bound).is_err());
        assert!(begin(b"p=tls-server-end-point,,n=user,r=abc", MECHANISM, &bound).is_err());
        assert!(begin(b"p=tls-server-end-point,,n=user,r=abc", MECHANISM_PLUS, &bound).is_ok());
        assert!(
            begin(b"p=tls-server-end-point,,n=user,r=abc", MECHANISM_PLUS, &Binding::Unavailable).is_err()
        );
        assert!(begin(b"n,a=other,n=user,r=abc", MECHANISM, &bound).is_err());
    }

    #[test]
    fn another_certificate_in_between_is_noticed() {
        let first = b"p=tls-server-end-point,,n=user,r=abc";
        let (exchange, _) = begin(first, MECHANISM_PLUS, &Binding::EndPoint(vec![1; 32])).unwrap();
        let seen = to_base64(&[b"p=tls-server-end-point,,".as_slice(), &[2; 32]].concat());
        let proof = to_base64(&[0; 32]);
        let message = format!("c={seen},r=abc{SERVER_NONCE},p={proof}");
        assert!(matches!(exchange.finish(message.as_bytes()), Err(Failure::Downgraded(_))));
    }
}
