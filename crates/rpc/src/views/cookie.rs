//! The value of the client cookie: the name of a client, until when it is valid, and a signature of both.
//!
//! ```text
//! c_0123456789abcdef01234567.1767225600.mX0x…
//! ```
//!
//! The second part is in seconds since 1970-01-01T00:00:00Z. The third is HMAC-SHA-256 (RFC 2104, FIPS 180-4) of
//! `chartroom-rpc clientId ` and the first two with the dot between them, in base64url without padding (RFC 4648 section 5).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chartroom_session::SessionError;
use chartroom_session::store::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::id::ClientId;

/// No cookie of ours is longer.
const LONGEST: usize = 256;

/// The keys that cookies of clients are signed with, each of 256 random bits. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieKeys {
    /// Signs, and is accepted.
    pub current: [u8; 32],
    /// Is accepted: what signed before `current` did.
    pub previous: Option<[u8; 32]>,
}

impl CookieKeys {
    /// A key that nobody can foresee, and none before it.
    ///
    /// # Errors
    /// [`SessionError::Random`] if the operating system has no random numbers.
    pub fn random() -> Result<Self, SessionError> {
        let mut current = [0; 32];
        getrandom::fill(&mut current).map_err(SessionError::Random)?;
        Ok(Self {
            current,
            previous: None,
        })
    }

    /// A new key, with the current one before it.
    pub(super) fn rotated(&self) -> Result<Self, SessionError> {
        Ok(Self {
            previous: Some(self.current),
            ..Self::random()?
        })
    }

    /// The value of a cookie for `client`, valid until `until`.
    pub(crate) fn sign(&self, client: &ClientId, until: Timestamp) -> String {
        let seconds = until.0 / 1000;
        let said = format!("{client}.{seconds}");
        let signature = URL_SAFE_NO_PAD.encode(mac(&self.current, &said).finalize().into_bytes());
        format!("{said}.{signature}")
    }

    /// The client of a cookie that one of the keys has signed and that is valid at `now`.
    pub(crate) fn verify(&self, value: &str, now: Timestamp) -> Option<ClientId> {
        if value.len() > LONGEST {
            return None;
        }
        let (said, signature) = value.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let signed = |key: &[u8; 32]| mac(key, said).verify_slice(&signature).is_ok();
        if !signed(&self.current) && !self.previous.as_ref().is_some_and(signed) {
            return None;
        }
        let (client, seconds) = said.split_once('.')?;
        let seconds: u64 = seconds.parse().ok()?;
        (now.0 / 1000 < seconds)
            .then(|| ClientId::parse(client))
            .flatten()
    }
}

impl fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKeys")
    }
}

fn mac(key: &[u8; 32], said: &str) -> Hmac<Sha256> {
    // Keys shorter than a block, of 64 bytes, are filled up with zeros (RFC 2104 section 2); this way no length can be wrong.
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
    mac.update(b"chartroom-rpc clientId ");
    mac.update(said.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn keys() -> CookieKeys {
        CookieKeys {
            current: std::array::from_fn(|i| i as u8),
            previous: None,
        }
    }

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // python3 -c 'import hmac,base64; print(base64.urlsafe_b64encode(hmac.digest(bytes(range(32)),
        //   b"chartroom-rpc clientId c_0123456789abcdef01234567.1767225600", "sha256")))'
        let client = ClientId::parse("c_0123456789abcdef01234567").unwrap();
        let value = keys().sign(&client, Timestamp(1_767_225_600_999));
        assert_eq!(
            value,
            "c_0123456789abcdef01234567.1767225600.iJJ7ZSXsLOVXcb_vQf-JoRAg3IH9e604QrqDk4uXqYg"
        );
        assert_eq!(keys().verify(&value, NOW), Some(client));
    }

    #[test]
    fn a_cookie_is_valid_until_its_time_is_over() {
        let client = ClientId::random().unwrap();
        let value = keys().sign(&client, Timestamp(5_000));
        assert_eq!(keys().verify(&value, Timestamp(4_999)), Some(client));
        assert_eq!(keys().verify(&value, Timestamp(5_000)), None);
    }

    #[test]
    fn a_cookie_of_the_previous_key_is_valid_and_one_of_the_key_before_is_not() {
        let client = ClientId::random().unwrap();
        let value = keys().sign(&client, Timestamp(9_000_000));
        let second = keys().rotated().unwrap();
        assert_eq!(second.verify(&value, NOW), Some(client.clone()));
        assert_ne!(second.sign(&client, Timestamp(9_000_000)), value);
        assert_eq!(second.rotated().unwrap().verify(&value, NOW), None);
    }

    #[test]
    fn what_was_not_signed_is_no_cookie() {
        let client = ClientId::random().unwrap();
        for value in [
            "",
            ".",
            "..",
            "c_0123456789ab",
            client.as_str(),
            &"a.".repeat(1000),
        ] {
            assert_eq!(keys().verify(value, NOW), None, "{value}");
        }
        assert_eq!(
            CookieKeys::random()
                .unwrap()
                .verify(&keys().sign(&client, Timestamp(u64::MAX)), NOW),
            None
        );
    }

    proptest! {
        #[test]
        fn a_cookie_that_was_changed_anywhere_is_none(at in any::<proptest::sample::Index>(), to in any::<char>()) {
            let client = ClientId::parse("c_0123456789abcdef01234567").unwrap();
            let value = keys().sign(&client, Timestamp(9_000_000));
            let mut changed: Vec<char> = value.chars().collect();
            let at = at.index(changed.len());
            prop_assume!(changed[at] != to);
            changed[at] = to;
            let changed: String = changed.into_iter().collect();
            prop_assert_eq!(keys().verify(&changed, NOW), None);
        }
    }
}
