//! The token of a server, and who somebody is.

use std::{fmt, sync::Arc};

use subtle::ConstantTimeEq;

use crate::{error::ServerError, percent};

/// The secret that opens the server. Never shown by `Debug`.
#[derive(Clone)]
pub struct AuthToken(Arc<str>);

impl AuthToken {
    /// Takes a token given by the user.
    ///
    /// # Errors
    /// A token that could not stand in a URL, a cookie and a header alike is refused with the end of a sentence.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let plain = |byte: u8| {
            byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\' | b'#' | b'&' | b'?' | b'%')
        };
        if text.is_empty() || !text.bytes().all(plain) {
            return Err("must be made of visible ASCII characters other than \" , ; \\ # & ? %");
        }
        Ok(Self(text.into()))
    }

    /// Makes a new one from 256 random bits, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`ServerError::Random`] if the operating system has no random bytes.
    pub fn random() -> Result<Self, ServerError> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(ServerError::Random)?;
        Ok(Self(hex(&bytes).into()))
    }

    /// The text of the token.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The token as a part of a URL.
    #[must_use]
    pub fn in_url(&self) -> String {
        percent::encode(&self.0, percent::is_unreserved)
    }

    /// Whether `candidate` is this token, in a time that tells nothing but its length.
    pub(crate) fn matches(&self, candidate: &str) -> bool {
        self.0.as_bytes().ct_eq(candidate.as_bytes()).into()
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AuthToken(…)")
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Who is at the other end, as far as it was proved. Sessions belong to a principal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// Whoever knows the token.
    #[must_use]
    pub fn owner() -> Self {
        Self("owner".into())
    }

    /// Anybody, where no token is asked for.
    #[must_use]
    pub fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// Whoever has the access key of this name, which is neither `owner` nor `anonymous`.
    pub(crate) fn with_key(name: &str) -> Self {
        Self(name.into())
    }

    /// Whether this is the principal of an access key.
    pub(crate) fn has_key(&self) -> bool {
        *self != Self::owner() && *self != Self::anonymous()
    }

    /// A stable name, fit for storing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_tokens_have_256_bits_and_differ() {
        let (one, two) = (AuthToken::random().unwrap(), AuthToken::random().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one.expose(), two.expose());
    }
}
