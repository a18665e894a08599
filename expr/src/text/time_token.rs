//! The tokens of dates and times: what of a text is a number, a date, a time, a word or an offset, before anything is
//! made of it.

/// A piece of the text, in lower case.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// Digits, perhaps with a point.
    Number(String),
    /// With colons.
    Time(String),
    /// Two or three parts with `-`, `/` or `.` between them.
    Date(String),
    /// Letters, and what the names of zones have.
    Word(String),
    /// A sign and digits.
    Offset(String),
}

/// The tokens of a text; None if it has what no time has.
pub(super) fn tokenize(text: &str) -> Option<Vec<Token>> {
    let text = text.to_ascii_lowercase();
    let bytes = text.as_bytes();
    let at = |place: usize| bytes.get(place).copied().unwrap_or(0);
    let slice = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    let run = |from: usize, accept: &dyn Fn(u8) -> bool| {
        let mut place = from;
        while place < bytes.len() && accept(at(place)) {
            place += 1;
        }
        place
    };
    let goes_on =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+' | b'.' | b':');
    let is_unknown =
        |word: &str| month(word).is_none() && !is_weekday(word) && !matches!(word, "julian" | "allballs");
    let mut tokens = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        let start = place;
        let byte = at(place);
        if byte.is_ascii_digit() || byte == b'.' && at(place + 1).is_ascii_digit() {
            place = run(place, &|b| b.is_ascii_digit());
            let separator = at(place);
            if separator == b':' {
                place = run(place, &|b| b.is_ascii_digit() || b == b':' || b == b'.');
                tokens.push(Token::Time(slice(start, place)));
            } else if matches!(separator, b'-' | b'/' | b'.') {
                let next_is_digit = at(place + 1).is_ascii_digit();
                if separator == b'.' {
                    // A fraction, unless a second point makes it a date.
                    let end = run(place + 1, &|b| b.is_ascii_digit());
                    if at(end) == b'.' && next_is_digit {
                        place = run(place, &|b| b.is_ascii_digit() || b == b'.');
                        tokens.push(Token::Date(slice(start, place)));
                    } else {
                        place = end;
                        tokens.push(Token::Number(slice(start, place)));
                    }
                } else if next_is_digit || at(place + 1).is_ascii_alphabetic() {
                    let digits = next_is_digit;
                    place = run(place + 1, &|b| {
                        if digits { b.is_ascii_digit() } else { b.is_ascii_alphabetic() }
                    });
                    // `2001-12-23t04:05` ends at the t.
                    if at(place) == separator {
                        place = run(place, &|b| b == separator || b.is_ascii_digit());
                    }
                    tokens.push(Token::Date(slice(start, place)));
                } else {
                    tokens.push(Token::Number(slice(start, place)));
                }
            } else {
                tokens.push(Token::Number(slice(start, place)));
            }
        } else if byte.is_ascii_alphabetic() {
            place = run(place, &|b| b.is_ascii_alphabetic());
            match at(place) {
                b'-' | b'/' | b'.'
                    if month(&slice(start, place)).is_some() && at(place + 1).is_ascii_digit() =>
                {
                    place = run(place, &|b| b.is_ascii_digit() || matches!(b, b'-' | b'/' | b'.'));
                    tokens.push(Token::Date(slice(start, place)));
                }
                b'/' | b'_' => {
                    place = run(place, &goes_on);
                    tokens.push(Token::Word(slice(start, place)));
                }
                // `gmt+8`, `pst8pdt`: a zone as POSIX writes it.
                next @ (b'+' | b'-' | b'0'..=b'9')
                    if place - start >= 3
                        && (next.is_ascii_digit() || at(place + 1).is_ascii_digit())
                        && is_unknown(&slice(start, place)) =>
                {
                    place = run(place, &goes_on);
                    tokens.push(Token::Word(slice(start, place)));
                }
                _ => tokens.push(Token::Word(slice(start, place))),
            }
        } else if matches!(byte, b'+' | b'-') {
            place = run(place + 1, &|b| b.is_ascii_whitespace());
            if at(place).is_ascii_digit() {
                let sign = slice(start, start + 1);
                let from = place;
                place = run(place, &|b| b.is_ascii_digit() || matches!(b, b':' | b'.'));
                tokens.push(Token::Offset(sign + &slice(from, place)));
            } else if at(place).is_ascii_alphabetic() {
                let from = place;
                place = run(place, &|b| b.is_ascii_alphabetic());
                tokens.push(Token::Word(slice(start, start + 1) + &slice(from, place)));
            } else {
                return None;
            }
        } else if byte.is_ascii_whitespace() || byte == b'\x0b' || byte.is_ascii_punctuation() && byte != b':'
        {
            place += 1;
        } else {
            return None;
        }
    }
    Some(tokens)
}

/// The number of a month by its name or abbreviation, in lower case.
pub(super) fn month(word: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let matches = |full: &&str| {
        word == *full || word == full.get(..3).unwrap_or_default() || word == "sept" && *full == "september"
    };
    MONTHS.iter().position(matches).map(|place| place as i64 + 1)
}

/// Whether this is a day of the week.
pub(super) fn is_weekday(word: &str) -> bool {
    const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    matches!(word, "tues" | "wednes" | "weds" | "thurs" | "thur")
        || DAYS.iter().any(|full| word == *full || full.get(..3) == Some(word))
}
