//! The tokens of a GraphQL document (specification of October 2021, section 2.1).

use super::refusal::{Place, Refused};

/// A document of more tokens than this is refused.
const TOKENS_MAX: usize = 20_000;

/// A token. What is ignored (blanks, commas, comments) is none.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    /// One of `! $ & ( ) : = @ [ ] { | }`.
    Mark(char),
    /// `...`
    Spread,
    Name(&'a str),
    Int(&'a str),
    Float(&'a str),
    Text(String),
    End,
}

/// What reads tokens.
pub(super) struct Lexer<'a> {
    rest: &'a str,
    place: Place,
    left: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { rest: text, place: Place { line: 1, column: 1 }, left: TOKENS_MAX }
    }

    /// The next token, and where it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, Place), Refused> {
        self.skip();
        let place = self.place;
        let Some(first) = self.rest.chars().next() else { return Ok((Token::End, place)) };
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Refused::at(place, format!("a document has at most {TOKENS_MAX} tokens")))?;
        let token = match first {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.advance(1);
                Token::Mark(first)
            }
            '.' if self.rest.starts_with("...") => {
                self.advance(3);
                Token::Spread
            }
            '"' if self.rest.starts_with("\"\"\"") => Token::Text(self.block_string(place)?),
            '"' => Token::Text(self.string(place)?),
            '-' | '0'..='9' => self.number(place)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = self.rest.find(|c: char| !is_name(c)).unwrap_or(self.rest.len());
                Token::Name(self.advance(length))
            }
            other => return Err(Refused::at(place, format!("{other:?} means nothing here"))),
        };
        Ok((token, place))
    }

    fn skip(&mut self) {
        loop {
            let blank = |c: char| !matches!(c, ' ' | '\t' | '\n' | '\r' | ',' | '\u{feff}');
            let length = self.rest.find(blank).unwrap_or(self.rest.len());
            self.advance(length);
            if !self.rest.starts_with('#') {
                return;
            }
            let length = self.rest.find(['\n', '\r']).unwrap_or(self.rest.len());
            self.advance(length);
        }
    }

    /// Takes so many bytes, which end where a character does.
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for c in taken.chars() {
            if c == '\n' {
                self.place = Place { line: self.place.line + 1, column: 1 };
            } else {
                self.place.column += 1;
            }
        }
        self.rest = rest;
        taken
    }

    fn number(&mut self, place: Place) -> Result<Token<'a>, Refused> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let rest = self.rest;
        let tail = |from: usize| rest.get(from..).unwrap_or("");
        let wrong = || Refused::at(place, "this is no number");
        let mut length = usize::from(rest.starts_with('-'));
        let whole = digits(tail(length));
        if whole == 0 || whole > 1 && tail(length).starts_with('0') {
            return Err(wrong());
        }
        length += whole;
        let mut is_float = false;
        if tail(length).starts_with('.') {
            let fraction = digits(tail(length + 1));
            if fraction == 0 {
                return Err(wrong());
            }
            (length, is_float) = (length + 1 + fraction, true);
        }
        if tail(length).starts_with(['e', 'E']) {
            let sign = usize::from(tail(length + 1).starts_with(['+', '-']));
            let exponent = digits(tail(length + 1 + sign));
            if exponent == 0 {
                return Err(wrong());
            }
            (length, is_float) = (length + 1 + sign + exponent, true);
        }
        if tail(length).starts_with(|c: char| c == '.' || is_name(c)) {
            return Err(wrong());
        }
        let text = self.advance(length);
        Ok(if is_float { Token::Float(text) } else { Token::Int(text) })
    }

    fn string(&mut self, place: Place) -> Result<String, Refused> {
        self.advance(1);
        let mut text = String::new();
        loop {
            let plain = self.rest.find(['"', '\\', '\n', '\r']).unwrap_or(self.rest.len());
            text.push_str(self.advance(plain));
            match self.rest.chars().next() {
                Some('"') => {
                    self.advance(1);
                    return Ok(text);
                }
                Some('\\') => text.push(self.escape()?),
                _ => return Err(Refused::at(place, "the string does not end on its line")),
            }
        }
    }

    /// A character behind a backslash.
    fn escape(&mut self) -> Result<char, Refused> {
        let place = self.place;
        let wrong = || Refused::at(place, "there is no such escape");
        self.advance(1);
        let letter = self.rest.chars().next().ok_or_else(wrong)?;
        self.advance(letter.len_utf8());
        Ok(match letter {
            '"' | '\\' | '/' => letter,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' if self.rest.starts_with('{') => {
                let end = self.rest.find('}').ok_or_else(wrong)?;
                let digits = self.advance(end).get(1..).unwrap_or("");
                self.advance(1);
                hex(digits).and_then(char::from_u32).ok_or_else(wrong)?
            }
            'u' => {
                let first = self.four_digits().ok_or_else(wrong)?;
                match first {
                    0xd800..=0xdbff => {
                        if !self.rest.starts_with("\\u") {
                            return Err(wrong());
                        }
                        self.advance(2);
                        let second = self.four_digits().filter(|unit| (0xdc00..=0xdfff).contains(unit));
                        let second = second.ok_or_else(wrong)?;
                        let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                        char::from_u32(code).ok_or_else(wrong)?
                    }
                    unit => char::from_u32(unit).ok_or_else(wrong)?,
                }
            }
            _ => return Err(wrong()),
        })
    }

    fn four_digits(&mut self) -> Option<u32> {
        let value = hex(self.rest.get(..4)?)?;
        self.advance(4);
        Some(value)
    }

    fn block_string(&mut self, place: Place) -> Result<String, Refused> {
        self.advance(3);
        let mut raw = String::new();
        loop {
            let plain = self.rest.find(['"', '\\']).unwrap_or(self.rest.len());
            raw.push_str(self.advance(plain));
            if self.rest.starts_with("\"\"\"") {
                self.advance(3);
                return Ok(dedented(&raw));
            }
            if self.rest.starts_with("\\\"\"\"") {
                self.advance(4);
                raw.push_str("\"\"\"");
            } else if self.rest.is_empty() {
                return Err(Refused::at(place, "the string does not end"));
            } else {
                raw.push_str(self.advance(1));
            }
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn hex(digits: &str) -> Option<u32> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| all_digits)
}

/// A block string without the blanks that all its lines but the first begin with, and without blank lines around it.
fn dedented(raw: &str) -> String {
    let raw = raw.replace("\r\n", "\n").replace('\r', "\n");
    let is_blank = |line: &str| line.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
    let lines: Vec<&str> = raw.split('\n').collect();
    let indent = |line: &&str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let common = lines.iter().skip(1).filter(|line| !is_blank(line)).map(indent).min().unwrap_or(0);
    let mut kept: Vec<&str> = lines
        .iter()
        .enumerate()
        .map(|(number, line)| if number == 0 { *line } else { line.get(common..).unwrap_or("") })
        .skip_while(|line| is_blank(line))
        .collect();
    while kept.last().is_some_and(|line| is_blank(line)) {
        kept.pop();
    }
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<Token<'_>>, Refused> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next()?.0 {
                Token::End => return Ok(tokens),
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn tokens_are_read_and_what_means_nothing_is_skipped() {
        let tokens = all("\u{feff}{ a, b(x: -1.5e3) # all\n ...f }").unwrap();
        let expected = [
            Token::Mark('{'),
            Token::Name("a"),
            Token::Name("b"),
            Token::Mark('('),
            Token::Name("x"),
            Token::Mark(':'),
            Token::Float("-1.5e3"),
            Token::Mark(')'),
            Token::Spread,
            Token::Name("f"),
            Token::Mark('}'),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn strings_say_what_their_escapes_mean() {
        let said = |text: &str| match all(text).unwrap().as_slice() {
            [Token::Text(text)] => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said(r#""a\n\"\\\/A\ud83d\ude00\u{1F600}""#), "a\n\"\\/A\u{1f600}\u{1f600}");
        assert_eq!(said("\"\"\"\n    one\n      two \\\"\"\"\n\n  \"\"\""), "one\n  two \"\"\"");
        assert_eq!(said("\"\""), "");
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_place() {
        for text in [
            "\"a",
            "\"a\n\"",
            "01",
            "1.",
            "1e",
            "-",
            "1a",
            "1.5.",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\"\"a",
            "..",
            "%",
            "\"\\u+123\"",
        ] {
            assert!(all(text).is_err(), "{text}");
        }
        let Err(Refused::Request { at: Some(place), .. }) = all("a\n  %") else { panic!("it is taken") };
        assert_eq!(place, Place { line: 2, column: 3 });
        assert!(all(&"a ".repeat(TOKENS_MAX + 1)).is_err());
    }
}
