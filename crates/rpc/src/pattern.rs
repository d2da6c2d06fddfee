//! Patterns for names: a text in which `*` stands for anything, also for nothing.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A text in which `*` stands for anything, also for nothing. Every other character stands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return *self.0 == *text;
        };
        let Some(mut text) = text.strip_prefix(first) else {
            return false;
        };
        // Each piece where it is found first leaves the most for those that follow.
        let mut pieces = rest.split('*');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            let Some((_, after)) = text.split_once(piece) else {
                return false;
            };
            text = after;
        }
        text.ends_with(last)
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl JsonSchema for Pattern {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A text in which `*` stands for anything."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_a_star_is_the_text_itself() {
        assert!(Pattern::from("echo").matches("echo"));
        assert!(!Pattern::from("echo").matches("echo2"));
        assert!(!Pattern::from("echo").matches("Echo"));
        assert!(!Pattern::from("e.ho?").matches("echo"));
        assert!(Pattern::from("").matches(""));
    }

    #[test]
    fn a_star_stands_for_anything_also_for_nothing() {
        for (pattern, fits, fits_not) in [
            ("*", &["", "a", "é"][..], &[][..]),
            (
                "chartroom.*",
                &["chartroom.", "chartroom.image"],
                &["chartroom", "xchartroom.image"],
            ),
            ("*.image", &["chartroom.image", ".image"], &["chartroom.images"]),
            ("a*a", &["aa", "aba"], &["a", "ab"]),
            ("a*b*c", &["abc", "a-b-c", "abbcc"], &["acb", "ab"]),
            ("**", &["", "x"], &[]),
            ("*ab*ab", &["abab", "abxab"], &["ab", "aab"]),
        ] {
            let pattern = Pattern::from(pattern);
            for text in fits {
                assert!(pattern.matches(text), "{pattern} {text}");
            }
            for text in fits_not {
                assert!(!pattern.matches(text), "{pattern} {text}");
            }
        }
    }
}
