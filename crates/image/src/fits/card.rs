//! One line of a FITS header.
//!
//! Source: FITS Standard 4.0 (2018), section 4, and the registered conventions CONTINUE and HIERARCH.

/// Length of one card in bytes.
pub const CARD: usize = 80;

/// The value of a card.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// The card has no value field: COMMENT, HISTORY, a blank keyword. Its text is in [`Card::comment`].
    None,
    /// There is a value field and it is empty.
    Undefined,
    /// `T` or `F`.
    Logical(bool),
    /// A whole number that fits; larger ones become [`Value::Float`].
    Integer(i64),
    /// A number with a point or an exponent (E or D). Always finite.
    Float(f64),
    /// A pair of numbers, real and imaginary part.
    Complex(f64, f64),
    /// A string without its quotes and trailing blanks; CONTINUE cards are joined.
    Text(String),
    /// Something that is none of the above, to be seen as it is written in [`Card::text`].
    Unparsed,
}

/// One line of a header: keyword, value and comment.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The keyword; for HIERARCH cards the words after HIERARCH, joined by single blanks. May be empty.
    pub keyword: Box<str>,
    /// The value.
    pub value: Value,
    /// What stands after the slash, without blanks around it; the whole text of a card without a value.
    pub comment: Box<str>,
    literal: Box<str>,
}

impl Card {
    /// A card made by hand. Numbers are written in the shortest way that reads back as the same number.
    #[must_use]
    pub fn new(keyword: &str, value: Value, comment: &str) -> Self {
        let literal = match &value {
            Value::None | Value::Undefined | Value::Text(_) | Value::Unparsed => String::new(),
            Value::Logical(true) => "T".to_owned(),
            Value::Logical(false) => "F".to_owned(),
            Value::Integer(n) => n.to_string(),
            Value::Float(x) => format!("{x:E}"),
            Value::Complex(re, im) => format!("({re:E}, {im:E})"),
        };
        Self {
            keyword: keyword.into(),
            value,
            comment: comment.into(),
            literal: literal.into(),
        }
    }

    /// The value as text: a string without quotes, anything else exactly as it is written in the file.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.value {
            Value::Text(text) => text,
            _ => &self.literal,
        }
    }

    /// The same card under another keyword.
    #[must_use]
    pub fn renamed(mut self, keyword: &str) -> Self {
        self.keyword = keyword.into();
        self
    }

    /// Reads one line of at most [`CARD`] bytes. Never fails: what cannot be understood is kept as text.
    #[must_use]
    pub fn parse(line: &[u8]) -> Self {
        let (name, rest) = line.split_at(line.len().min(8));
        let name = name.trim_ascii_end();
        match name {
            b"COMMENT" | b"HISTORY" | b"" => Self::without_value(name, rest),
            b"CONTINUE" => Self::with_value("CONTINUE".into(), rest),
            b"HIERARCH" => match rest.iter().position(|&byte| byte == b'=') {
                Some(equals) => {
                    let (words, value) = rest.split_at(equals);
                    let keyword = decode(words).split_whitespace().collect::<Vec<_>>().join(" ");
                    Self::with_value(keyword.into(), value.get(1..).unwrap_or_default())
                }
                None => Self::without_value(name, rest),
            },
            _ => match rest.split_first() {
                Some((b'=', value)) => Self::with_value(decode(name), value),
                _ => Self::without_value(name, rest),
            },
        }
    }

    /// Joins a CONTINUE card to this one; gives it back if this is not a string that is to be continued.
    pub(super) fn join(&mut self, next: Card) -> Result<(), Card> {
        let (Value::Text(text), Value::Text(more)) = (&mut self.value, &next.value) else {
            return Err(next);
        };
        if !text.ends_with('&') {
            return Err(next);
        }
        text.pop();
        text.push_str(more);
        if !next.comment.is_empty() {
            let space = if self.comment.is_empty() { "" } else { " " };
            self.comment = format!("{}{space}{}", self.comment, next.comment).into();
        }
        Ok(())
    }

    fn without_value(name: &[u8], text: &[u8]) -> Self {
        let comment = decode(text.trim_ascii_end());
        Self {
            keyword: decode(name),
            value: Value::None,
            comment,
            literal: "".into(),
        }
    }

    fn with_value(keyword: Box<str>, field: &[u8]) -> Self {
        let field = field.trim_ascii_start();
        let (value, literal, rest) = match field.split_first() {
            Some((b'\'', inside)) => {
                let (text, rest) = quoted(inside);
                (Value::Text(decode(&text).trim_end().to_owned()), "".into(), rest)
            }
            _ => {
                let end = field.iter().position(|&byte| byte == b'/').unwrap_or(field.len());
                let (literal, rest) = field.split_at(end);
                let literal = decode(literal.trim_ascii_end());
                (unquoted(&literal), literal, rest)
            }
        };
        let comment = match rest.iter().position(|&byte| byte == b'/') {
            Some(slash) => decode(rest.get(slash + 1..).unwrap_or_default().trim_ascii()),
            None => "".into(),
        };
        Self {
            keyword,
            value,
            comment,
            literal,
        }
    }
}

/// Splits what follows an opening quote into the string, with doubled quotes made single, and the rest.
fn quoted(inside: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'\'' {
            match after.split_first() {
                Some((b'\'', after_second)) => rest = after_second,
                _ => break,
            }
        }
        text.push(byte);
    }
    (text, rest)
}

fn unquoted(literal: &str) -> Value {
    match literal {
        "" => return Value::Undefined,
        "T" => return Value::Logical(true),
        "F" => return Value::Logical(false),
        _ => {}
    }
    if let Ok(integer) = literal.parse() {
        return Value::Integer(integer);
    }
    if let Some(float) = number(literal) {
        return Value::Float(float);
    }
    literal
        .strip_prefix('(')
        .and_then(|inside| inside.strip_suffix(')')?.split_once(','))
        .and_then(|(re, im)| Some(Value::Complex(number(re.trim())?, number(im.trim())?)))
        .unwrap_or(Value::Unparsed)
}

/// A finite decimal number with exponent letter E or D. Words such as "inf" or "nan" are not numbers in FITS.
pub(super) fn number(literal: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'E' | 'e' | 'D' | 'd');
    if !literal.chars().all(plain) {
        return None;
    }
    literal
        .replace(['D', 'd'], "E")
        .parse()
        .ok()
        .filter(|x: &f64| x.is_finite())
}

/// FITS is ASCII; files that are not are shown as UTF-8 if they are that, otherwise as Latin-1. Control characters
/// become blanks.
fn decode(bytes: &[u8]) -> Box<str> {
    let plain = bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    match std::str::from_utf8(bytes) {
        Ok(text) if plain => text.into(),
        Ok(text) => text.chars().map(printable).collect(),
        Err(_) => bytes.iter().map(|&byte| printable(char::from(byte))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Value {
        Card::parse(line.as_bytes()).value
    }

    #[test]
    fn every_kind_of_value_is_told_apart() {
        assert_eq!(
            value("SIMPLE  =                    T / yes"),
            Value::Logical(true)
        );
        assert_eq!(value("BLOCKED =                    F"), Value::Logical(false));
        assert_eq!(value("NAXIS1  =                 -512 /"), Value::Integer(-512));
        assert_eq!(value("NAXIS1  =                 +512 /"), Value::Integer(512));
        assert_eq!(value("CRVAL1  =   2.5E+01"), Value::Float(25.0));
        assert_eq!(value("CRVAL1  =   2.5D-01"), Value::Float(0.25));
        assert_eq!(value("CRVAL1  = 1.d2"), Value::Float(100.0));
        assert_eq!(
            value("BZERO   =  9223372036854775808"),
            Value::Float(2f64.powi(63))
        );
        assert_eq!(value("Z       = (1.5, -2)"), Value::Complex(1.5, -2.0));
        assert_eq!(
            value("EMPTY   =                      / nothing"),
            Value::Undefined
        );
        assert_eq!(
            value("NAME    = 'it''s  '           / a / b"),
            Value::Text("it's".into())
        );
        assert_eq!(value("NAME    = ''"), Value::Text(String::new()));
        assert_eq!(
            value("NAME    = 'never closed"),
            Value::Text("never closed".into())
        );
        for odd in [
            "X       = nan",
            "X       = inf",
            "X       = 1e999",
            "X       = M 51",
            "X       = (1,",
        ] {
            assert_eq!(value(odd), Value::Unparsed, "{odd}");
        }
    }

    #[test]
    fn the_text_of_a_number_is_kept_as_written() {
        let card = Card::parse(b"CRVAL1  =   2.50000D+01 / degrees");
        assert_eq!((card.text(), &*card.comment), ("2.50000D+01", "degrees"));
    }

    #[test]
    fn a_slash_inside_a_string_is_not_a_comment() {
        let card = Card::parse(b"BUNIT   = 'Jy/beam '           / unit");
        assert_eq!((card.text(), &*card.comment), ("Jy/beam", "unit"));
    }

    #[test]
    fn hierarch_keywords_are_joined_by_single_blanks() {
        let card = Card::parse(b"HIERARCH ESO  DET CHIP1 NAME = 'CCD-44' / chip");
        assert_eq!(
            (&*card.keyword, card.text(), &*card.comment),
            ("ESO DET CHIP1 NAME", "CCD-44", "chip")
        );
    }

    #[test]
    fn cards_without_a_value_keep_their_text() {
        let card = Card::parse(b"HISTORY AIPS   CLEAN BMAJ=  1.3889E-03  = not a value");
        assert_eq!((&*card.keyword, &card.value), ("HISTORY", &Value::None));
        assert_eq!(&*card.comment, "AIPS   CLEAN BMAJ=  1.3889E-03  = not a value");
    }

    #[test]
    fn bytes_that_are_not_ascii_are_tolerated() {
        assert_eq!(Card::parse(b"OBSERVER= 'Ren\xe9'").text(), "Ren\u{e9}");
        assert_eq!(Card::parse("OBSERVER= 'René'".as_bytes()).text(), "René");
        assert_eq!(Card::parse(b"\xff\0\xff     = \x01").value, Value::Unparsed);
    }
}
