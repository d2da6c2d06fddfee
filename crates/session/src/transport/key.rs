//! How streams are named, and what proves that one is yours.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::SessionError;
use crate::transport::ProtocolError;

/// The name of a stream: 64 random bits, written as 16 hexadecimal digits. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StreamName(u64);

impl StreamName {
    /// A name that nobody can foresee.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub fn random() -> Result<Self, SessionError> {
        getrandom::u64().map(Self).map_err(SessionError::Random)
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.to_string()
    }
}

impl FromStr for StreamName {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !digits {
            return Err(ProtocolError::StreamName);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| ProtocolError::StreamName)
    }
}

impl TryFrom<String> for StreamName {
    type Error = ProtocolError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// What proves that a client is the one that opened a stream: 256 random bits, written in base64url (RFC 4648
/// section 5, without padding). Its `Debug` shows nothing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret that nobody can foresee.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub fn random() -> Result<Self, SessionError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(SessionError::Random)?;
        Ok(Self(bits))
    }

    /// What a server keeps of the secret: the SHA-256 (FIPS 180-4) of its 32 bytes.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        URL_SAFE_NO_PAD.encode(secret.0)
    }
}

impl TryFrom<String> for Secret {
    type Error = ProtocolError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bits = URL_SAFE_NO_PAD.decode(text).map_err(|_| ProtocolError::Secret)?;
        bits.try_into().map(Self).map_err(|_| ProtocolError::Secret)
    }
}

/// The hash of a [`Secret`]. Comparing two takes the same time whatever they are; `Debug` shows nothing.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash that was stored as these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}

/// What has to be stored of a stream so that it can be revived after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey {
    /// The name of the stream.
    pub name: StreamName,
    /// The hash of its secret.
    pub secret_hash: SecretHash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_secrets_survive_being_written() {
        let name = StreamName(0x9f86_d081);
        assert_eq!(name.to_string(), "000000009f86d081");
        assert_eq!(name.to_string().parse::<StreamName>().unwrap(), name);
        let secret = Secret::random().unwrap();
        let written = String::from(secret.clone());
        assert_eq!(written.len(), 43);
        assert_eq!(Secret::try_from(written).unwrap().hash(), secret.hash());
    }

    #[test]
    fn garbled_names_and_secrets_are_errors() {
        for name in [
            "",
            "9f86d081884c7d6",
            "9F86D081884C7D65",
            "+f86d081884c7d65",
            "9f86d081884c7d655",
        ] {
            assert!(name.parse::<StreamName>().is_err(), "{name}");
        }
        let [long, other] = [44, 43].map(|n| "A".repeat(n));
        assert!(Secret::try_from(long).is_err());
        assert!(Secret::try_from(other).is_ok());
        assert!(Secret::try_from(String::from("*").repeat(43)).is_err());
    }

    #[test]
    fn the_hash_is_the_sha_256_of_the_bits() {
        // sha256sum of 32 zero bytes.
        let expected = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        let hash = Secret([0; 32]).hash();
        let digits: String = hash.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(digits, expected);
    }

    #[test]
    fn debug_output_shows_neither_secret_nor_hash() {
        let secret = Secret::random().unwrap();
        assert_eq!(format!("{secret:?} {:?}", secret.hash()), "Secret SecretHash");
    }
}
