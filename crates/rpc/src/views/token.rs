//! What a tab proves with that it is itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chartroom_session::SessionError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::id::hex;

/// The token of a tab: 192 random bits, written as 32 characters of base64url (RFC 4648 section 5). `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    pub(super) fn random() -> Result<Self, SessionError> {
        let mut bits = [0; 24];
        getrandom::fill(&mut bits).map_err(SessionError::Random)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bits)))
    }

    /// The token as the page is told.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn key(&self) -> TabKey {
        TabKey::of_token(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// By what a tab is found again: a SHA-256 (FIPS 180-4). Comparing two takes the same time whatever they are.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct TabKey([u8; 32]);

impl TabKey {
    /// The key of the tab that was given this token.
    pub(super) fn of_token(token: &str) -> Self {
        Self::digest(&["token", token])
    }

    /// The key of a tab that came without a token that is valid, but may come again the same way: a page goes on saying
    /// the token that it was given once, also when the server has forgotten it.
    pub(super) fn of_stranger(token: &str, instance: &str) -> Self {
        Self::digest(&["stranger", token, instance])
    }

    /// A key that is never found.
    pub(super) fn unreachable() -> Result<Self, SessionError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(SessionError::Random)?;
        Ok(Self(bits))
    }

    /// Each part behind its length, so that no two lists give the same bytes.
    fn digest(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl PartialEq for TabKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TabKey {}

impl fmt::Debug for TabKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TabKey")
    }
}

impl From<TabKey> for String {
    fn from(key: TabKey) -> Self {
        URL_SAFE_NO_PAD.encode(key.0)
    }
}

impl TryFrom<String> for TabKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bits = URL_SAFE_NO_PAD.decode(text).ok();
        let bits = bits.and_then(|bits| bits.try_into().ok());
        bits.map(Self)
            .ok_or("the key of a tab is 32 bytes, written in base64url")
    }
}

/// The first half of the SHA-256 of `bytes`, as hexadecimal digits: tells contents apart.
pub(crate) fn fingerprint(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_32_characters_that_need_no_escapes_and_is_never_shown_by_chance() {
        let token = Token::random().unwrap();
        assert_eq!(token.as_str().len(), 32);
        assert!(
            token
                .as_str()
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert_eq!(format!("{token:?} {:?}", token.key()), "Token TabKey");
        assert_ne!(token, Token::random().unwrap());
    }

    #[test]
    fn keys_of_tokens_and_of_strangers_never_meet() {
        let key = TabKey::of_token("a");
        assert_eq!(key, TabKey::of_token("a"));
        assert_ne!(key, TabKey::of_stranger("a", ""));
        assert_ne!(TabKey::of_stranger("ab", "c"), TabKey::of_stranger("a", "bc"));
        let written = String::from(key);
        assert_eq!(TabKey::try_from(written), Ok(key));
    }
}
