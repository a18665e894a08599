//! Who a client is: `authorization: Basic base64(role:password)`, as HTTP has it.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

/// The name of the metadata.
const AUTHORIZATION: &str = "authorization";

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A role, and a password that may be empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The role.
    pub role: String,
    /// Its password.
    pub password: String,
}

/// The metadata says who calls in no way that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnderstood;

impl Credentials {
    /// The metadata that says so. None if the role has a colon, or is so long that it is no metadata.
    pub fn to_metadata(&self) -> Option<MetadataValue<Ascii>> {
        if self.role.contains(':') {
            return None;
        }
        let text = format!("Basic {}", BASE64.encode(format!("{}:{}", self.role, self.password)));
        let mut value: MetadataValue<Ascii> = text.parse().ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Adds it to the metadata of a call.
    pub fn put(metadata: &mut MetadataMap, value: MetadataValue<Ascii>) {
        metadata.insert(AUTHORIZATION, value);
    }

    /// The metadata's own form of it; what is there says who calls, and nothing else.
    pub fn raw(metadata: &MetadataMap) -> Option<&[u8]> {
        metadata.get(AUTHORIZATION).map(|value| value.as_bytes())
    }

    /// Reads the form that [`Credentials::raw`] answers.
    ///
    /// # Errors
    /// It is not understood.
    pub fn read(raw: &[u8]) -> Result<Self, NotUnderstood> {
        let text = std::str::from_utf8(raw).map_err(|_| NotUnderstood)?;
        let (scheme, encoded) = text.split_once(' ').ok_or(NotUnderstood)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(NotUnderstood);
        }
        let decoded = BASE64.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let decoded = decoded.ok_or(NotUnderstood)?;
        let (role, password) = decoded.split_once(':').ok_or(NotUnderstood)?;
        if role.is_empty() {
            return Err(NotUnderstood);
        }
        Ok(Self { role: role.to_owned(), password: password.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_is_read_as_it_was_said() {
        for (role, password) in [("ann", "secret"), ("ann", ""), ("\u{e9}", "a:b:c")] {
            let said = Credentials { role: role.to_owned(), password: password.to_owned() };
            let mut metadata = MetadataMap::new();
            Credentials::put(&mut metadata, said.to_metadata().unwrap());
            assert!(Credentials::read(Credentials::raw(&metadata).unwrap()) == Ok(said));
        }
        assert!(Credentials { role: "a:b".to_owned(), password: String::new() }.to_metadata().is_none());
    }

    #[test]
    fn what_says_nothing_is_not_understood() {
        assert!(Credentials::read(b"Basic YW5uOng").is_ok(), "padding may be missing");
        for raw in
            [&b""[..], b"Basic", b"Bearer YW5uOng=", b"Basic !", b"Basic YW5u", b"Basic Ong=", b"Basic /w=="]
        {
            assert!(Credentials::read(raw).is_err(), "{raw:?}");
        }
    }
}
