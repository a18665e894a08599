//! The tokens of dates and times: what of a text is a number, a date, a time, a word or an offset, before anything is
//! made of it (`src/backend/utils/adt/datetime.c`, `ParseDateTime`).

use super::time_word::meaning;

/// How many tokens a text may have.
const TOKENS_MAX: usize = 25;
/// How many bytes they may have, one more for each.
const BYTES_MAX: usize = 153;

/// What a token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, perhaps with a point.
    Number,
    /// With colons.
    Time,
    /// Parts with `-`, `/` or `.` between them; the name of a zone with such signs.
    Date,
    /// Letters.
    Word,
    /// A sign and letters.
    SignedWord,
    /// A sign and digits.
    Offset,
}

/// A piece of the text: ASCII, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
}

impl Token {
    /// Whether a time may begin here, behind `t`.
    pub(super) fn may_be_time(&self) -> bool {
        matches!(self.kind, Kind::Number | Kind::Time | Kind::Date)
    }
}

/// The rest of a text.
struct Rest<'a> {
    bytes: &'a [u8],
    taken: String,
}

impl Rest<'_> {
    fn first(&self) -> u8 {
        self.bytes.first().copied().unwrap_or(0)
    }

    fn skip(&mut self) {
        self.bytes = self.bytes.get(1..).unwrap_or_default();
    }

    fn take(&mut self) {
        self.taken.push(char::from(self.first().to_ascii_lowercase()));
        self.skip();
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) {
        while !self.bytes.is_empty() && accepts(self.first()) {
            self.take();
        }
    }
}

/// The tokens of a text; None if it has what no time has, or too much.
pub(super) fn tokenize(text: &str) -> Option<Vec<Token>> {
    let mut rest = Rest { bytes: text.as_bytes(), taken: String::new() };
    let mut tokens: Vec<Token> = Vec::new();
    let mut bytes = 0;
    while !rest.bytes.is_empty() {
        let byte = rest.first();
        if is_space(byte) || byte.is_ascii_punctuation() && !matches!(byte, b'.' | b'+' | b'-') {
            rest.skip();
            continue;
        }
        let kind = match byte {
            b'0'..=b'9' => number(&mut rest),
            b'.' => {
                rest.take();
                rest.take_while(|byte| byte.is_ascii_digit());
                Kind::Number
            }
            b'+' | b'-' => signed(&mut rest)?,
            letter if letter.is_ascii_alphabetic() => word(&mut rest),
            _ => return None,
        };
        let text = std::mem::take(&mut rest.taken);
        bytes += text.len() + 1;
        if tokens.len() >= TOKENS_MAX || bytes > BYTES_MAX {
            return None;
        }
        tokens.push(Token { kind, text });
    }
    Some(tokens)
}

/// What begins with a digit.
fn number(rest: &mut Rest<'_>) -> Kind {
    rest.take_while(|byte| byte.is_ascii_digit());
    match rest.first() {
        b':' => {
            rest.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
            Kind::Time
        }
        separator @ (b'-' | b'/' | b'.') => {
            rest.take();
            if !rest.first().is_ascii_digit() {
                rest.take_while(|byte| byte.is_ascii_alphanumeric() || byte == separator);
                return Kind::Date;
            }
            rest.take_while(|byte| byte.is_ascii_digit());
            if rest.first() == separator {
                rest.take_while(|byte| byte.is_ascii_digit() || byte == separator);
                return Kind::Date;
            }
            // One point makes a fraction.
            if separator == b'.' { Kind::Number } else { Kind::Date }
        }
        _ => Kind::Number,
    }
}

/// What begins with a letter: a word, a date or the name of a zone.
fn word(rest: &mut Rest<'_>) -> Kind {
    rest.take_while(|byte| byte.is_ascii_alphabetic());
    let goes_on = match rest.first() {
        b'-' | b'/' | b'.' => true,
        // `gmt+8`, `pst8pdt`: a zone as POSIX writes it. `t04` and `j2451187` are words before numbers.
        b'+' | b'0'..=b'9' => meaning(&rest.taken).is_none(),
        _ => false,
    };
    if !goes_on {
        return Kind::Word;
    }
    rest.take_while(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'/' | b'_' | b'.' | b':')
    });
    Kind::Date
}

/// What begins with a sign.
fn signed(rest: &mut Rest<'_>) -> Option<Kind> {
    rest.take();
    while is_space(rest.first()) {
        rest.skip();
    }
    match rest.first() {
        digit if digit.is_ascii_digit() => {
            rest.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-'));
            Some(Kind::Offset)
        }
        letter if letter.is_ascii_alphabetic() => {
            rest.take_while(|byte| byte.is_ascii_alphabetic());
            Some(Kind::SignedWord)
        }
        _ => None,
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == b'\x0b'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<(Kind, String)> {
        tokenize(text).unwrap().into_iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn a_text_is_taken_apart() {
        let expect = |text: &str, expected: &[(Kind, &str)]| {
            let expected: Vec<_> = expected.iter().map(|(kind, text)| (*kind, (*text).to_owned())).collect();
            assert_eq!(tokens(text), expected, "{text}");
        };
        expect(
            "1999-01-08T04:05:06.5-08",
            &[
                (Kind::Date, "1999-01-08"),
                (Kind::Word, "t"),
                (Kind::Time, "04:05:06.5"),
                (Kind::Offset, "-08"),
            ],
        );
        expect(
            "Jan 8, 1999 America/New_York",
            &[
                (Kind::Word, "jan"),
                (Kind::Number, "8"),
                (Kind::Number, "1999"),
                (Kind::Date, "america/new_york"),
            ],
        );
        expect(
            "J2451187.5 pst8pdt",
            &[(Kind::Word, "j"), (Kind::Number, "2451187.5"), (Kind::Date, "pst8pdt")],
        );
        expect(
            "04:05:.5 - infinity 8.",
            &[(Kind::Time, "04:05:.5"), (Kind::SignedWord, "-infinity"), (Kind::Date, "8.")],
        );
        assert_eq!(tokenize("04:05 é"), None);
        assert_eq!(tokenize("04:05 +"), None);
        assert_eq!(tokenize(&"1 ".repeat(25)).unwrap().len(), 25);
        assert_eq!(tokenize(&"1 ".repeat(26)), None);
        assert_eq!(tokenize(&"0".repeat(153)), None);
    }
}
