//! Character encodings of clients. Within the database all text is UTF-8.
//!
//! Those that have one byte to a character are converted ([`tables`]). Those that have more are known by name, so that they can
//! be refused by it.

mod tables;

use std::borrow::Cow;

use crate::error::{Error, Result};
use tables::Upper;

/// An encoding that PostgreSQL knows.
#[derive(Clone, Copy)]
pub struct Encoding(&'static Row);

struct Row {
    /// PostgreSQL's number of it.
    number: i32,
    /// Its name as PostgreSQL shows it.
    name: &'static str,
    /// Other names that it goes by, without what is neither letter nor digit.
    aliases: &'static [&'static str],
    /// The most bytes that a character takes.
    bytes_max: i32,
    conversion: Conversion,
}

/// How it becomes UTF-8.
enum Conversion {
    /// It is.
    None,
    /// What the bytes from 0x80 on stand for.
    Table(&'static Upper),
    /// Not here.
    Unknown,
}

const fn of_bytes(
    number: i32,
    name: &'static str,
    aliases: &'static [&'static str],
    table: &'static Upper,
) -> Row {
    Row { number, name, aliases, bytes_max: 1, conversion: Conversion::Table(table) }
}

const fn refused(number: i32, name: &'static str, aliases: &'static [&'static str], bytes_max: i32) -> Row {
    Row { number, name, aliases, bytes_max, conversion: Conversion::Unknown }
}

const UTF8_ROW: Row =
    Row { number: 6, name: "UTF8", aliases: &["unicode"], bytes_max: 4, conversion: Conversion::None };

static ROWS: &[Row] = &[
    Row { number: 0, name: "SQL_ASCII", aliases: &[], bytes_max: 1, conversion: Conversion::None },
    refused(1, "EUC_JP", &[], 3),
    refused(2, "EUC_CN", &[], 3),
    refused(3, "EUC_KR", &[], 3),
    refused(4, "EUC_TW", &[], 4),
    refused(5, "EUC_JIS_2004", &[], 3),
    UTF8_ROW,
    refused(7, "MULE_INTERNAL", &[], 4),
    of_bytes(8, "LATIN1", &["iso88591"], &tables::LATIN1),
    of_bytes(9, "LATIN2", &["iso88592"], &tables::LATIN2),
    of_bytes(10, "LATIN3", &["iso88593"], &tables::LATIN3),
    of_bytes(11, "LATIN4", &["iso88594"], &tables::LATIN4),
    of_bytes(12, "LATIN5", &["iso88599"], &tables::LATIN5),
    of_bytes(13, "LATIN6", &["iso885910"], &tables::LATIN6),
    of_bytes(14, "LATIN7", &["iso885913"], &tables::LATIN7),
    of_bytes(15, "LATIN8", &["iso885914"], &tables::LATIN8),
    of_bytes(16, "LATIN9", &["iso885915"], &tables::LATIN9),
    of_bytes(17, "LATIN10", &["iso885916"], &tables::LATIN10),
    of_bytes(18, "WIN1256", &["windows1256"], &tables::WIN1256),
    of_bytes(19, "WIN1258", &["windows1258", "abc", "tcvn", "tcvn5712", "vscii"], &tables::WIN1258),
    of_bytes(20, "WIN866", &["windows866", "alt"], &tables::WIN866),
    of_bytes(21, "WIN874", &["windows874"], &tables::WIN874),
    of_bytes(22, "KOI8R", &["koi8"], &tables::KOI8R),
    of_bytes(23, "WIN1251", &["windows1251", "win"], &tables::WIN1251),
    of_bytes(24, "WIN1252", &["windows1252"], &tables::WIN1252),
    of_bytes(25, "ISO_8859_5", &[], &tables::ISO_8859_5),
    of_bytes(26, "ISO_8859_6", &[], &tables::ISO_8859_6),
    of_bytes(27, "ISO_8859_7", &[], &tables::ISO_8859_7),
    of_bytes(28, "ISO_8859_8", &[], &tables::ISO_8859_8),
    of_bytes(29, "WIN1250", &["windows1250"], &tables::WIN1250),
    of_bytes(30, "WIN1253", &["windows1253"], &tables::WIN1253),
    of_bytes(31, "WIN1254", &["windows1254"], &tables::WIN1254),
    of_bytes(32, "WIN1255", &["windows1255"], &tables::WIN1255),
    of_bytes(33, "WIN1257", &["windows1257"], &tables::WIN1257),
    of_bytes(34, "KOI8U", &[], &tables::KOI8U),
    refused(35, "SJIS", &["shiftjis", "mskanji", "win932", "windows932"], 2),
    refused(36, "BIG5", &["win950", "windows950"], 2),
    refused(37, "GBK", &["win936", "windows936"], 2),
    refused(38, "UHC", &["win949", "windows949"], 2),
    refused(39, "GB18030", &[], 4),
    refused(40, "JOHAB", &[], 3),
    refused(41, "SHIFT_JIS_2004", &[], 2),
];

impl Encoding {
    /// UTF-8.
    pub const UTF8: Self = Self(&UTF8_ROW);

    /// The encoding of this name: case, and what is neither letter nor digit, do not count.
    pub fn find(name: &str) -> Option<Self> {
        let plain = |name: &str| -> String {
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let wanted = plain(name);
        let is_wanted = |row: &&Row| plain(row.name) == wanted || row.aliases.contains(&wanted.as_str());
        ROWS.iter().find(is_wanted).map(Self)
    }

    /// The encoding of this number.
    pub fn of_number(number: i32) -> Option<Self> {
        ROWS.iter().find(|row| row.number == number).map(Self)
    }

    /// PostgreSQL's number of it.
    pub fn number(self) -> i32 {
        self.0.number
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The most bytes that a character takes.
    pub fn bytes_max(self) -> i32 {
        self.0.bytes_max
    }

    /// Whether text can be converted from it and into it.
    pub fn is_supported(self) -> bool {
        !matches!(self.0.conversion, Conversion::Unknown)
    }

    /// Whether text in it is UTF-8, or has to be.
    #[inline]
    pub fn is_utf8(self) -> bool {
        matches!(self.0.conversion, Conversion::None)
    }

    /// Text in it as UTF-8; where it is UTF-8 already, whatever the bytes are. Zero bytes stay.
    ///
    /// # Errors
    /// 22P05: there is no such character. 0A000: it is not supported.
    pub fn to_utf8(self, bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
        let table = match self.0.conversion {
            Conversion::None => return Ok(Cow::Borrowed(bytes)),
            _ if bytes.is_ascii() => return Ok(Cow::Borrowed(bytes)),
            Conversion::Table(table) => table,
            Conversion::Unknown => return Err(self.unsupported()),
        };
        let mut text = String::with_capacity(bytes.len().saturating_mul(2));
        for byte in bytes {
            text.push(match byte.checked_sub(0x80) {
                None => char::from(*byte),
                Some(upper) => {
                    let code = table.get(usize::from(upper)).copied().unwrap_or_default();
                    let character = char::from_u32(u32::from(code)).filter(|_| code != 0);
                    character.ok_or_else(|| no_equivalent(&[*byte], self.name(), "UTF8"))?
                }
            });
        }
        Ok(Cow::Owned(text.into_bytes()))
    }

    /// Text, as it is in the encoding.
    ///
    /// # Errors
    /// 22P05: it has no such character. 0A000: it is not supported.
    pub fn of_utf8(self, text: &str) -> Result<Cow<'_, [u8]>> {
        self.convert(text, |character| {
            Err(no_equivalent(character.encode_utf8(&mut [0; 4]).as_bytes(), "UTF8", self.name()))
        })
    }

    /// Text, as it is in the encoding, with question marks for what that does not have: what is said of an error must not fail.
    pub fn of_utf8_lossy(self, text: &str) -> Cow<'_, [u8]> {
        self.convert(text, |_| Ok(b'?')).unwrap_or(Cow::Borrowed(b"?"))
    }

    fn convert<'a>(self, text: &'a str, missing: impl Fn(char) -> Result<u8>) -> Result<Cow<'a, [u8]>> {
        let table = match self.0.conversion {
            Conversion::None => return Ok(Cow::Borrowed(text.as_bytes())),
            _ if text.is_ascii() => return Ok(Cow::Borrowed(text.as_bytes())),
            Conversion::Table(table) => table,
            Conversion::Unknown => return Err(self.unsupported()),
        };
        let mut bytes = Vec::with_capacity(text.len());
        for character in text.chars() {
            let code = u16::try_from(u32::from(character)).ok().filter(|code| *code >= 0x80);
            let upper = code.and_then(|code| table.iter().position(|known| *known == code));
            bytes.push(match upper.and_then(|upper| u8::try_from(upper.saturating_add(0x80)).ok()) {
                Some(byte) => byte,
                None if character.is_ascii() => u8::try_from(character).unwrap_or_default(),
                None => missing(character)?,
            });
        }
        Ok(Cow::Owned(bytes))
    }

    fn unsupported(self) -> Error {
        Error::unsupported(format!("conversion between {} and UTF8 is not supported", self.name()))
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self::UTF8
    }
}

impl PartialEq for Encoding {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Encoding {}

impl std::fmt::Debug for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn no_equivalent(bytes: &[u8], from: &str, to: &str) -> Error {
    let shown: Vec<String> = bytes.iter().map(|byte| format!("0x{byte:02x}")).collect();
    let message = format!(
        "character with byte sequence {} in encoding \"{from}\" has no equivalent in encoding \"{to}\"",
        shown.join(" ")
    );
    Error::new("22P05", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_an_encoding_has_comes_back() {
        for row in ROWS.iter().filter(|row| row.bytes_max == 1) {
            let encoding = Encoding(row);
            let mut had = 0;
            for byte in 0..=u8::MAX {
                let bytes = [byte];
                let Ok(text) = encoding.to_utf8(&bytes) else { continue };
                let Ok(text) = std::str::from_utf8(&text) else { continue };
                assert_eq!(encoding.of_utf8(text).unwrap().as_ref(), bytes, "{encoding:?} {byte}");
                had += 1;
            }
            assert!(had >= 128, "{encoding:?}");
        }
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        for (name, shown) in [
            ("utf-8", "UTF8"),
            ("ISO-8859-1", "LATIN1"),
            ("Windows-1252", "WIN1252"),
            ("iso_8859_5", "ISO_8859_5"),
        ] {
            assert_eq!(Encoding::find(name).map(Encoding::name), Some(shown));
        }
        assert_eq!(Encoding::find("nope"), None);
        assert_eq!(Encoding::find(""), None);
        assert!(Encoding::find("sjis").is_some_and(|sjis| !sjis.is_supported()));
    }

    #[test]
    fn what_there_is_not_is_refused() {
        let latin1 = Encoding::find("latin1").unwrap();
        assert_eq!(latin1.of_utf8("a\u{20ac}").unwrap_err().sqlstate, "22P05");
        assert_eq!(latin1.of_utf8_lossy("a\u{20ac}\u{e9}").as_ref(), b"a?\xe9");
        let win1252 = Encoding::find("win1252").unwrap();
        assert_eq!(win1252.to_utf8(b"\x81").unwrap_err().sqlstate, "22P05");
        assert_eq!(win1252.to_utf8(b"a\x80").unwrap().as_ref(), "a\u{20ac}".as_bytes());
    }
}
