//! The cards of a header as a viewer wants them.

use super::number::scientific;
use crate::fits::{Header, Value};

/// What the value of a [`HeaderEntry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Any text.
    Text,
    /// A floating-point number.
    Float,
    /// A whole number.
    Integer,
}

/// One line of a description: of a header card, or of something that was worked out.
#[derive(Debug, Clone, PartialEq)]
pub struct HeaderEntry {
    /// The keyword of the card, or the name of what was worked out.
    pub name: String,
    /// The value as text; strings without quotes.
    pub value: String,
    /// What the value is.
    pub kind: EntryKind,
    /// The value as a number; 0 for texts, 1 for `T`.
    pub numeric: f64,
    /// The comment of the card, empty if there is none.
    pub comment: String,
}

impl HeaderEntry {
    /// A text without a comment.
    #[must_use]
    pub fn text(name: &str, value: String) -> Self {
        Self {
            name: name.to_owned(),
            value,
            kind: EntryKind::Text,
            numeric: 0.0,
            comment: String::new(),
        }
    }

    /// A whole number without a comment.
    #[must_use]
    pub fn integer(name: &str, value: u64) -> Self {
        let kind = EntryKind::Integer;
        Self {
            name: name.to_owned(),
            value: value.to_string(),
            kind,
            numeric: value as f64,
            comment: String::new(),
        }
    }
}

/// The header, card by card and in its order: integers as they are written, floats with 13 significant digits
/// (`2.305000000000E+11`), logicals as the texts `T` and `F`. The text of HISTORY and COMMENT is in the value. Cards
/// without any text are left out.
#[must_use]
pub fn header_entries(header: &Header) -> Vec<HeaderEntry> {
    let blank = |entry: &HeaderEntry| entry.name.is_empty() && entry.value.is_empty();
    header
        .cards()
        .iter()
        .map(|card| {
            let (value, kind, numeric) = match card.value {
                Value::None => return HeaderEntry::text(&card.keyword, card.comment.to_string()),
                Value::Float(x) => (scientific(x), EntryKind::Float, x),
                Value::Integer(n) => (card.text().to_owned(), EntryKind::Integer, n as f64),
                Value::Logical(yes) => (card.text().to_owned(), EntryKind::Text, f64::from(u8::from(yes))),
                _ => (card.text().to_owned(), EntryKind::Text, 0.0),
            };
            HeaderEntry {
                name: card.keyword.to_string(),
                value,
                kind,
                numeric,
                comment: card.comment.to_string(),
            }
        })
        .filter(|entry| !blank(entry))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::Card;

    fn entry(line: &str) -> Option<HeaderEntry> {
        header_entries(&Header::new(vec![Card::parse(line.as_bytes())], 0)).pop()
    }

    fn parts(line: &str) -> (String, EntryKind, f64, String) {
        entry(line)
            .map(|entry| (entry.value, entry.kind, entry.numeric, entry.comment))
            .unwrap()
    }

    #[test]
    fn cards_keep_their_values_types_and_comments() {
        let text =
            |value: &str, kind, numeric, comment: &str| (value.to_owned(), kind, numeric, comment.to_owned());
        assert_eq!(
            parts("NAXIS1  = 64 / width"),
            text("64", EntryKind::Integer, 64.0, "width")
        );
        assert_eq!(
            parts("CRPIX1  = 3.2D1"),
            text("3.200000000000E+01", EntryKind::Float, 32.0, "")
        );
        assert_eq!(parts("SIMPLE  = T / yes"), text("T", EntryKind::Text, 1.0, "yes"));
        assert_eq!(
            parts("BUNIT   = 'Jy/beam '"),
            text("Jy/beam", EntryKind::Text, 0.0, "")
        );
        assert_eq!(
            parts("CRVAL1  = nan / odd"),
            text("nan", EntryKind::Text, 0.0, "odd")
        );
        assert_eq!(
            parts("EMPTY   = / nothing"),
            text("", EntryKind::Text, 0.0, "nothing")
        );
        assert_eq!(
            parts("HISTORY made  by hand"),
            text("made  by hand", EntryKind::Text, 0.0, "")
        );
        assert_eq!(entry("        "), None);
    }
}
