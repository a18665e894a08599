//! What is kept of a password: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, as in PostgreSQL's `rolpassword`.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use ring::{digest, hmac, pbkdf2};
use zeroize::Zeroizing;

use crate::{from_base64, to_base64};

/// Rounds of hashing that make guessing dear, as in PostgreSQL.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);

const NAME: &str = "SCRAM-SHA-256";
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// More rounds than this are refused: whoever gives the role's name has a server hash so often, before any proof.
pub const ITERATIONS_MAX: u32 = 600_000;

pub(crate) type Key = [u8; KEY_BYTES];

/// What is kept of a password.
///
/// # Invariants
/// - The password cannot be computed from it but by guessing.
/// - `stored_key` proves the client, `server_key` the server to the client; both follow from the password and the salt.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    pub(crate) iterations: NonZeroU32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: Key,
    pub(crate) server_key: Key,
}

/// The text is no verifier that can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongVerifier {
    /// It is none.
    #[error("not a SCRAM-SHA-256 verifier")]
    Malformed,
    /// It is one, of more than [`ITERATIONS_MAX`] rounds.
    #[error("a SCRAM-SHA-256 verifier of more than {ITERATIONS_MAX} iterations")]
    AsksTooMuch,
}

/// What the salts of roles that do not exist follow from: the same wherever and whenever they are asked for.
#[derive(Clone)]
pub struct MockSecret(Zeroizing<Vec<u8>>);

impl MockSecret {
    /// A secret of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl Verifier {
    /// Of a password, with a salt of its own.
    pub fn of_password(password: &str) -> Self {
        let mut salt = vec![0; SALT_BYTES];
        env::random::fill(&mut salt);
        Self::with_salt(password, salt, ITERATIONS)
    }

    pub(crate) fn with_salt(password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let prepared = prepare(password);
        let mut salted = Zeroizing::new([0; KEY_BYTES]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, prepared.as_bytes(), salted.as_mut());
        let client_key = Zeroizing::new(mac(salted.as_ref(), b"Client Key"));
        Self {
            iterations,
            salt,
            stored_key: hash(client_key.as_ref()),
            server_key: mac(salted.as_ref(), b"Server Key"),
        }
    }

    /// One that no password fits, of a role that has none: its salt follows from the name, so that whoever asks twice
    /// learns nothing.
    pub fn mock(secret: &MockSecret, role: &str) -> Self {
        let mut salt = mac(&secret.0, role.as_bytes()).to_vec();
        salt.truncate(SALT_BYTES);
        let (mut stored_key, mut server_key) = ([0; KEY_BYTES], [0; KEY_BYTES]);
        env::random::fill(&mut stored_key);
        env::random::fill(&mut server_key);
        Self { iterations: ITERATIONS, salt, stored_key, server_key }
    }

    /// Whether it is of this password.
    pub fn fits(&self, password: &str) -> bool {
        let given = Self::with_salt(password, self.salt.clone(), self.iterations);
        same(&given.stored_key, &self.stored_key)
    }

    /// Whether a text looks like a verifier of some kind that PostgreSQL keeps, rather than like a password.
    pub fn is_md5(text: &str) -> bool {
        text.strip_prefix("md5")
            .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{NAME}${}:{}${}:{}",
            self.iterations,
            to_base64(&self.salt),
            to_base64(&self.stored_key),
            to_base64(&self.server_key)
        )
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl FromStr for Verifier {
    type Err = WrongVerifier;

    fn from_str(text: &str) -> Result<Self, WrongVerifier> {
        let parse = || {
            let rest = text.strip_prefix(NAME)?.strip_prefix('$')?;
            let (rounds, keys) = rest.split_once('$')?;
            let (iterations, salt) = rounds.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            Some(Self {
                iterations: iterations.parse().ok()?,
                salt: from_base64(salt).filter(|salt| !salt.is_empty())?,
                stored_key: from_base64(stored)?.try_into().ok()?,
                server_key: from_base64(server)?.try_into().ok()?,
            })
        };
        let verifier = parse().ok_or(WrongVerifier::Malformed)?;
        if verifier.iterations.get() > ITERATIONS_MAX {
            return Err(WrongVerifier::AsksTooMuch);
        }
        Ok(verifier)
    }
}

/// SASLprep, or the password as it is where that refuses it, as PostgreSQL does.
fn prepare(password: &str) -> Zeroizing<String> {
    let prepared = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    Zeroizing::new(prepared.into_owned())
}

pub(crate) fn mac(key: &[u8], data: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

pub(crate) fn hash(data: &[u8]) -> Key {
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    bytes
}

/// Whether keys are equal, in a time that does not depend on where they differ: their codes under a key that nobody
/// else knows are compared.
pub(crate) fn same(one: &Key, other: &Key) -> bool {
    let mut secret = [0; KEY_BYTES];
    env::random::fill(&mut secret);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let tag = hmac::sign(&key, one);
    hmac::verify(&key, other, tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 keeps of the password `pencil` with the salt of RFC 7677's example.
    const KEPT: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn a_verifier_is_what_postgresql_keeps() {
        let salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(Verifier::with_salt("pencil", salt, ITERATIONS).to_string(), KEPT);
        let read: Verifier = KEPT.parse().unwrap();
        assert_eq!(read.to_string(), KEPT);
        assert!(read.fits("pencil"));
        assert!(!read.fits("pencil "));
    }

    #[test]
    fn what_is_no_verifier_is_a_password() {
        for text in
            ["", "secret", "SCRAM-SHA-256$", "SCRAM-SHA-256$0:YQ==$YQ==:YQ==", "SCRAM-SHA-1$4096:a$b:c"]
        {
            assert_eq!(text.parse::<Verifier>(), Err(WrongVerifier::Malformed), "{text}");
        }
        let dear = KEPT.replace("4096", "600001").parse::<Verifier>();
        assert_eq!(dear, Err(WrongVerifier::AsksTooMuch));
        for cut in 1..KEPT.len() {
            assert!(KEPT[..cut].parse::<Verifier>().is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn passwords_are_prepared_as_sasl_says() {
        let kept = Verifier::of_password("\u{2168}\u{ad}");
        assert!(kept.fits("IX"));
    }

    #[test]
    fn a_mock_has_the_same_salt_each_time_and_fits_no_password() {
        let secret = MockSecret::new(b"secret of the cluster");
        let (one, again) = (Verifier::mock(&secret, "ann"), Verifier::mock(&secret, "ann"));
        assert_eq!((&one.salt, one.iterations), (&again.salt, again.iterations));
        assert_ne!(one.salt, Verifier::mock(&secret, "bob").salt);
        assert_ne!(one.stored_key, again.stored_key);
    }

    #[test]
    fn nothing_shows_keys() {
        let shown = format!("{:?}", KEPT.parse::<Verifier>().unwrap());
        assert!(!shown.contains("WG5d8o") && !shown.contains('['), "{shown}");
    }
}
