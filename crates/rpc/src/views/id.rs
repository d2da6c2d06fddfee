//! How clients, views and tabs are named.

use std::fmt;
use std::sync::Arc;

use chartroom_session::SessionError;
use serde::{Deserialize, Serialize};

/// Some random bytes, as hexadecimal digits.
pub(super) fn random_hex<const BYTES: usize>() -> Result<String, SessionError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(SessionError::Random)?;
    Ok(hex(&bytes))
}

/// Hexadecimal digits of lower case.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Implements what all names have in common: they are text behind a pointer, and show themselves as it.
macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as it travels.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&$name> for Arc<str> {
            fn from(name: &$name) -> Self {
                Arc::clone(&name.0)
            }
        }
    };
}

/// A browser: `c_` and 24 random hexadecimal digits. It is not secret by itself; the signature in the cookie is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(Arc<str>);

impl ClientId {
    const PREFIX: &str = "c_";

    /// A client that nobody has met.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub fn random() -> Result<Self, SessionError> {
        Ok(Self(format!("{}{}", Self::PREFIX, random_hex::<12>()?).into()))
    }

    /// The client of this name, if it can be the name of one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(Self::PREFIX)?;
        let valid = (12..=64).contains(&digits.len()) && is_hex(digits);
        valid.then(|| Self(text.into()))
    }
}

/// A view: `view_` and 24 random hexadecimal digits. Not secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ViewId(Arc<str>);

impl ViewId {
    pub(super) fn random() -> Result<Self, SessionError> {
        Ok(Self(format!("view_{}", random_hex::<12>()?).into()))
    }
}

impl std::borrow::Borrow<str> for ViewId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A tab: `tab_` and 24 random hexadecimal digits. Not secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TabId(Arc<str>);

impl TabId {
    pub(super) fn random() -> Result<Self, SessionError> {
        Ok(Self(format!("tab_{}", random_hex::<12>()?).into()))
    }
}

/// What a view is for, in the words of the page: 1 to 64 letters, digits, dots, hyphens and underscores of ASCII.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ViewKind(Arc<str>);

impl ViewKind {
    /// The kind of this name, if it can be the name of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let valid = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        valid.then(|| Self(text.into()))
    }
}

impl Default for ViewKind {
    /// `main`.
    fn default() -> Self {
        Self("main".into())
    }
}

impl TryFrom<String> for ViewKind {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
            .ok_or("a kind of view has 1 to 64 letters, digits, dots, hyphens and underscores of ASCII")
    }
}

impl From<ViewKind> for String {
    fn from(kind: ViewKind) -> Self {
        kind.as_str().to_owned()
    }
}

name!(ClientId);
name!(ViewId);
name!(TabId);
name!(ViewKind);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_other_text() {
        let client = ClientId::random().unwrap();
        assert_eq!(client.as_str().len(), 26);
        assert_eq!(ClientId::parse(client.as_str()), Some(client));
        for text in [
            "",
            "c_",
            "c_0123456789a",
            "c_0123456789aX",
            "C_0123456789ab",
            "c_0123456789ab;",
        ] {
            assert_eq!(ClientId::parse(text), None, "{text}");
        }
        for text in ["main", "a", "gm.world-2_x", &"x".repeat(64)] {
            assert!(ViewKind::parse(text).is_some(), "{text}");
        }
        for text in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(ViewKind::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn hexadecimal_digits_are_those_of_the_bytes() {
        assert_eq!(hex(&[0x00, 0x1f, 0xa0, 0xff]), "001fa0ff");
    }
}
