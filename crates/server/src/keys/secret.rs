//! A key as text, and its hash.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ServerError;

/// What every key begins with, so that people and scanners for leaked secrets know what it is.
const PREFIX: &str = "chk_";

/// 32 bytes in base64url without padding (RFC 4648, section 5).
const DIGITS: usize = 43;

/// The SHA-256 hash of a key's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// The hash of a key.
    pub(crate) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0u8; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// 64 hexadecimal digits.
    pub(super) fn to_hex(self) -> String {
        crate::auth::hex(&self.0)
    }

    /// Whether two hashes are the same, in a time that tells nothing.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Makes a new key.
///
/// # Errors
/// [`ServerError::Random`] if the operating system has no random bytes.
pub(super) fn generate() -> Result<String, ServerError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(ServerError::Random)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// Whether a text has the form of a key, so that it is worth looking it up.
pub(crate) fn looks_like_key(text: &str) -> bool {
    text.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS
            && digits
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_256_random_bits_and_can_stand_in_an_address() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, two);
        assert!(looks_like_key(&one) && looks_like_key(&two));
        assert!(crate::auth::AuthToken::new(&one).is_ok());
        assert_eq!(URL_SAFE_NO_PAD.decode(&one[PREFIX.len()..]).unwrap().len(), 32);
        for other in [
            "",
            "chk_",
            "secret",
            &one[1..],
            &one[..46],
            &format!("{one}A"),
            &one.replace("chk_", "CHK_"),
        ] {
            assert!(!looks_like_key(other), "{other}");
        }
    }

    #[test]
    fn the_hash_is_sha_256() {
        // FIPS 180-4 example: "abc".
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Hash::of("abc").to_hex(), digits);
        assert!(Hash::from_hex(digits).unwrap().matches(&Hash::of("abc")));
        assert!(!Hash::of("abd").matches(&Hash::of("abc")));
        for wrong in [
            "",
            &digits[1..],
            &digits.replace('b', "x"),
            &digits.replace('b', "ä"),
        ] {
            assert!(Hash::from_hex(wrong).is_none(), "{wrong}");
        }
    }
}
