//! The tokens of an interval's text: what of it is a number, a time or a word, before anything is made of it
//! (`ParseDateTime` of PostgreSQL's `datetime.c`).

/// How many tokens a text may have.
const TOKENS_MAX: usize = 25;

/// The units that a number may follow at once.
const SHORT_UNITS: [&str; 6] = ["d", "h", "m", "mm", "s", "y"];

/// What a piece of the text is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Digits before a colon.
    Time,
    /// A sign, and digits with colons, points or hyphens.
    Signed,
    /// A number without a sign, or years and months.
    Number,
    /// Letters.
    Word,
}

/// The tokens of a text; `None` if it has what no interval has, or too many.
pub(super) fn tokenize(text: &str) -> Option<Vec<(Kind, String)>> {
    let text = text.to_ascii_lowercase();
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let is_blank = |byte: u8| byte.is_ascii_whitespace() || byte == b'\x0b';
    let run = |from: usize, accept: &dyn Fn(u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| accept(**byte)).count()
    };
    let digits = |from: usize| run(from, &|byte| byte.is_ascii_digit());
    let mut tokens = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        let start = place;
        let first = at(place);
        let mut sign = "";
        let kind = match first {
            _ if is_blank(first) => {
                place += 1;
                continue;
            }
            b'0'..=b'9' => {
                place = digits(place);
                match at(place) {
                    b':' => {
                        place = run(place, &|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
                        Kind::Time
                    }
                    separator @ (b'-' | b'/' | b'.') => {
                        let second = place + 1;
                        place = match at(second).is_ascii_digit() {
                            false => run(second, &|byte| byte.is_ascii_alphanumeric() || byte == separator),
                            true if at(digits(second)) == separator => {
                                run(digits(second), &|byte| byte.is_ascii_digit() || byte == separator)
                            }
                            true => digits(second),
                        };
                        Kind::Number
                    }
                    _ => Kind::Number,
                }
            }
            b'.' => {
                place = digits(place + 1);
                Kind::Number
            }
            b'a'..=b'z' => {
                place = run(place, &|byte| byte.is_ascii_alphabetic());
                // What goes on is a date, or a zone.
                let goes_on = match at(place) {
                    b'-' | b'/' | b'.' | b'+' => true,
                    next if next.is_ascii_digit() => {
                        !SHORT_UNITS.contains(&text.get(start..place).unwrap_or_default())
                    }
                    _ => false,
                };
                if goes_on {
                    return None;
                }
                Kind::Word
            }
            b'+' | b'-' => {
                sign = if first == b'-' { "-" } else { "+" };
                place = run(place + 1, &is_blank);
                if !at(place).is_ascii_digit() {
                    return None;
                }
                let from = place;
                place = run(place, &|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'-'));
                tokens.push((Kind::Signed, format!("{sign}{}", text.get(from..place)?)));
                Kind::Signed
            }
            _ if first.is_ascii_punctuation() => {
                place += 1;
                continue;
            }
            _ => return None,
        };
        if sign.is_empty() {
            tokens.push((kind, text.get(start..place)?.to_owned()));
        }
        if tokens.len() > TOKENS_MAX {
            return None;
        }
    }
    Some(tokens)
}
