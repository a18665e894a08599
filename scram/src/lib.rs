//! SCRAM-SHA-256 (RFC 5802, RFC 7677) as PostgreSQL speaks it: what is kept of a password, and the exchange by which a
//! client proves that it knows it.
//!
//! ```text
//! client-first   gs2 header, n=user, r=client nonce
//! server-first   r=client nonce + server nonce, s=salt, i=iterations
//! client-final   c=gs2 header and channel binding, r=both nonces, p=proof
//! server-final   v=signature of the server
//! ```
//!
//! A [`Verifier`] is all that is stored: it proves a password and does not tell it. An [`Exchange`] is the server's side.
//! Whom no verifier is known of meets a [`Verifier::mock`], whose exchange differs in nothing but that no proof fits.

mod exchange;
mod verifier;

pub use exchange::{Binding, Exchange, Failure, MECHANISM, MECHANISM_PLUS};
pub use verifier::{ITERATIONS, ITERATIONS_MAX, MockSecret, Verifier, WrongVerifier};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

fn to_base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}
