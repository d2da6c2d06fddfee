//! A FITS header: its cards in order, and by keyword.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::card::{CARD, Card, Value};
use crate::ImageError;

/// Length of a FITS block in bytes; headers and data are padded to a multiple of it.
pub const BLOCK: usize = 2880;

/// The most that all headers of one file together may take, in bytes: some 400,000 cards. It bounds the memory that
/// a file can claim before anything is known of it.
pub const HEADER_LIMIT: u64 = 32 << 20;

/// A header, with its cards in the order of the file. Clones share the cards: there may be tens of thousands.
#[derive(Debug, Clone, Default)]
pub struct Header {
    contents: Arc<Contents>,
    hdu: usize,
}

#[derive(Debug, Default)]
struct Contents {
    cards: Vec<Card>,
    /// Position of the first card with a value under each keyword.
    index: HashMap<Box<str>, usize>,
}

impl Header {
    /// Puts cards together. `hdu` is the number by which messages name the header.
    #[must_use]
    pub fn new(cards: Vec<Card>, hdu: usize) -> Self {
        let mut index = HashMap::new();
        for (position, card) in cards.iter().enumerate() {
            if card.value != Value::None {
                index.entry(card.keyword.clone()).or_insert(position);
            }
        }
        let contents = Arc::new(Contents { cards, index });
        Self { contents, hdu }
    }

    /// Reads the header at the start of `bytes`.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if there is no END card.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageError> {
        let read = Self::read(
            &mut io::Cursor::new(bytes),
            Path::new("(bytes in memory)"),
            0,
            HEADER_LIMIT,
        )?;
        read.map(|(header, _)| header)
            .ok_or_else(|| malformed(0, "it has no header"))
    }

    /// Reads a header and leaves the reader at the first byte of the data. Answers the header with its length in
    /// bytes, a multiple of [`BLOCK`]; `None` if the reader is at its end.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if there is no END card before the reader ends or `limit` bytes are read,
    /// [`ImageError::Io`] if reading fails.
    pub fn read(
        reader: &mut dyn Read,
        path: &Path,
        hdu: usize,
        limit: u64,
    ) -> Result<Option<(Self, u64)>, ImageError> {
        let mut block = [0; BLOCK];
        let mut length = 0;
        let mut cards: Vec<Card> = Vec::new();
        loop {
            let filled = fill(reader, &mut block).map_err(|source| ImageError::io(path, source))?;
            if filled == 0 && length == 0 {
                return Ok(None);
            }
            length += BLOCK as u64;
            for line in block.get(..filled).unwrap_or_default().chunks_exact(CARD) {
                if line.starts_with(b"END") && line.iter().skip(3).all(|byte| matches!(byte, b' ' | 0)) {
                    return Ok(Some((Self::new(cards, hdu), length)));
                }
                let card = Card::parse(line);
                let rest = match cards.last_mut() {
                    Some(last) if &*card.keyword == "CONTINUE" => last.join(card),
                    _ => Err(card),
                };
                if let Err(card) = rest {
                    cards.push(card);
                }
            }
            if filled < BLOCK {
                return Err(malformed(hdu, "its header has no END card"));
            }
            if length >= limit {
                return Err(malformed(
                    hdu,
                    &format!("its header has no END card within {limit} bytes"),
                ));
            }
        }
    }

    /// All cards, in the order of the file; CONTINUE cards are joined to the string that they continue.
    #[must_use]
    pub fn cards(&self) -> &[Card] {
        &self.contents.cards
    }

    /// The number of the HDU in its file, counted from 0.
    #[must_use]
    pub fn hdu(&self) -> usize {
        self.hdu
    }

    /// The first card with a value that has this keyword.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&Card> {
        let Contents { cards, index } = &*self.contents;
        index.get(keyword).and_then(|&position| cards.get(position))
    }

    /// A whole number, also if it is written as `3.0`.
    #[must_use]
    pub fn integer(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword)?.value {
            Value::Integer(n) => Some(n),
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 9e15 => Some(x as i64),
            _ => None,
        }
    }

    /// A number.
    #[must_use]
    pub fn float(&self, keyword: &str) -> Option<f64> {
        match self.get(keyword)?.value {
            Value::Integer(n) => Some(n as f64),
            Value::Float(x) => Some(x),
            _ => None,
        }
    }

    /// A string, without quotes and trailing blanks.
    #[must_use]
    pub fn text(&self, keyword: &str) -> Option<&str> {
        match &self.get(keyword)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// `T` or `F`.
    #[must_use]
    pub fn logical(&self, keyword: &str) -> Option<bool> {
        match self.get(keyword)?.value {
            Value::Logical(yes) => Some(yes),
            _ => None,
        }
    }

    /// A whole number on which the layout of the file depends: wrong is worse than missing.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if there is such a card and its value is not a whole number.
    pub fn layout_integer(&self, keyword: &str) -> Result<Option<i64>, ImageError> {
        self.layout(keyword, "a whole number", || self.integer(keyword))
    }

    /// A number on which the meaning of every pixel depends.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if there is such a card with a value that is not a number.
    pub fn layout_float(&self, keyword: &str) -> Result<Option<f64>, ImageError> {
        self.layout(keyword, "a number", || self.float(keyword))
    }

    /// A whole number that must be there.
    ///
    /// # Errors
    /// [`ImageError::Malformed`] if it is missing or not a whole number.
    pub fn required_integer(&self, keyword: &str) -> Result<i64, ImageError> {
        self.layout_integer(keyword)?
            .ok_or_else(|| self.malformed(&format!("{keyword} is missing")))
    }

    /// An error about this header: `what` is a half sentence such as "NAXIS1 is negative".
    #[must_use]
    pub fn malformed(&self, what: &str) -> ImageError {
        malformed(self.hdu, what)
    }

    fn layout<T>(
        &self,
        keyword: &str,
        kind: &str,
        typed: impl Fn() -> Option<T>,
    ) -> Result<Option<T>, ImageError> {
        match self.get(keyword) {
            None => Ok(None),
            Some(card) if card.value == Value::Undefined => Ok(None),
            Some(card) => match typed() {
                Some(value) => Ok(Some(value)),
                None => Err(self.malformed(&format!("{keyword} is {:?}, which is not {kind}", card.text()))),
            },
        }
    }
}

fn malformed(hdu: usize, what: &str) -> ImageError {
    ImageError::Malformed {
        reason: format!("HDU {hdu}: {what}."),
    }
}

/// Reads until the buffer is full or the reader ends; answers how much.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> Result<Header, ImageError> {
        let mut bytes: Vec<u8> = lines
            .iter()
            .flat_map(|line| format!("{line:<80}").into_bytes())
            .collect();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), b' ');
        Header::parse(&bytes)
    }

    #[test]
    fn cards_are_found_by_keyword_and_the_first_one_counts() {
        let header = header(&["A       =  1", "B       = 'x'", "A       =  2", "END"]).unwrap();
        assert_eq!(header.integer("A"), Some(1));
        assert_eq!(header.float("A"), Some(1.0));
        assert_eq!(header.text("B"), Some("x"));
        assert_eq!(
            (header.text("A"), header.integer("B"), header.integer("C")),
            (None, None, None)
        );
        assert_eq!(header.cards().len(), 3);
    }

    #[test]
    fn long_strings_are_joined() {
        let lines = [
            "LONG    = 'one &' / first",
            "CONTINUE  'two&'",
            "CONTINUE  '& three' / last",
            "NEXT    = 'ends with &'",
            "AFTER   = 1",
            "CONTINUE  'lost'",
            "END",
        ];
        let header = header(&lines).unwrap();
        assert_eq!(header.text("LONG"), Some("one two& three"));
        assert_eq!(header.get("LONG").map(|card| &*card.comment), Some("first last"));
        assert_eq!(header.text("NEXT"), Some("ends with &"));
        assert_eq!(header.cards().last().map(Card::text), Some("lost"));
    }

    #[test]
    fn a_missing_end_is_an_error() {
        let error = header(&["A       =  1"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The file is damaged: HDU 0: its header has no END card."
        );
        assert!(Header::parse(&[]).is_err());
        assert!(Header::parse(b"END").is_err());
    }

    #[test]
    fn an_endless_header_stops_at_its_limit() {
        let error = Header::read(&mut io::repeat(b' '), Path::new("x"), 3, 100 * BLOCK as u64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "The file is damaged: HDU 3: its header has no END card within 288000 bytes."
        );
    }

    #[test]
    fn a_layout_value_of_another_type_is_an_error_that_names_it() {
        let header = header(&["NAXIS1  = 'ten'", "BZERO   =", "END"]).unwrap();
        assert_eq!(
            header.layout_integer("NAXIS1").unwrap_err().to_string(),
            "The file is damaged: HDU 0: NAXIS1 is \"ten\", which is not a whole number."
        );
        assert_eq!(header.layout_float("BZERO").unwrap(), None);
        assert!(header.required_integer("NAXIS").is_err());
    }
}
