//! Who may come in.

use std::{fmt, sync::Arc};

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

use crate::{error::ServerError, percent};

/// Name of the cookie and of the header in which CARTA's clients carry the token.
const CARTA_TOKEN: &str = "carta-auth-token";

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
    fn matches(&self, candidate: &str) -> bool {
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

    /// A stable name, fit for storing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why somebody may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token came with the request.
    Missing,
    /// A token came, but not the right one.
    Wrong,
}

/// Decides who may come in.
#[derive(Debug, Clone)]
pub(crate) enum Gate {
    /// Everybody.
    Open,
    /// Who knows the token.
    Token(AuthToken),
}

impl Gate {
    /// Looks for the token in the query (`token`), in `Authorization: Bearer`, in the cookie and in the header
    /// `carta-auth-token`. One right one is enough, since a browser may still hold the cookie of an earlier start.
    ///
    /// # Errors
    /// [`Refusal`] says whether a token was missing or wrong.
    pub(crate) fn check(&self, query: Option<&str>, headers: &HeaderMap) -> Result<Principal, Refusal> {
        let Self::Token(token) = self else {
            return Ok(Principal::anonymous());
        };
        let mut seen = false;
        let mut right = false;
        for candidate in candidates(query, headers) {
            seen = true;
            // A token with special characters comes escaped from some clients and bare from others.
            right |= token.matches(candidate) | token.matches(&percent::decode(candidate));
        }
        match (right, seen) {
            (true, _) => Ok(Principal::owner()),
            (false, true) => Err(Refusal::Wrong),
            (false, false) => Err(Refusal::Missing),
        }
    }
}

fn candidates<'a>(query: Option<&'a str>, headers: &'a HeaderMap) -> impl Iterator<Item = &'a str> {
    // A `socketUrl` that has a query already gets a second `?` from the client.
    let from_query = query
        .into_iter()
        .flat_map(|query| query.split(['&', '?']))
        .filter_map(|pair| pair.strip_prefix("token="));
    let text = |name| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
    };
    let from_bearer = text(header::AUTHORIZATION.as_str()).filter_map(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let from_cookie = text(header::COOKIE.as_str())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| {
            pair.trim()
                .split_once('=')
                .filter(|(name, _)| *name == CARTA_TOKEN)
        })
        .map(|(_, token)| token);
    from_query
        .chain(from_bearer)
        .chain(from_cookie)
        .chain(text(CARTA_TOKEN))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn check(query: Option<&str>, headers: &[(&'static str, &'static str)]) -> Result<Principal, Refusal> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Gate::Token(AuthToken::new("secret").unwrap()).check(query, &headers)
    }

    #[test]
    fn the_token_is_found_wherever_clients_put_it() {
        let owner = Ok(Principal::owner());
        assert_eq!(check(Some("token=secret"), &[]), owner);
        assert_eq!(check(Some("file=a.fits&token=secret"), &[]), owner);
        assert_eq!(check(Some("a=b?token=secret"), &[]), owner);
        assert_eq!(check(None, &[("authorization", "Bearer secret")]), owner);
        assert_eq!(check(None, &[("authorization", "bearer  secret")]), owner);
        assert_eq!(
            check(None, &[("cookie", "a=b; carta-auth-token=secret; c=d")]),
            owner
        );
        assert_eq!(check(None, &[("carta-auth-token", "secret")]), owner);
    }

    #[test]
    fn an_old_cookie_does_not_stand_in_the_way_of_a_right_token() {
        assert_eq!(
            check(Some("token=secret"), &[("cookie", "carta-auth-token=old")]),
            Ok(Principal::owner())
        );
    }

    #[test]
    fn no_token_and_a_wrong_token_are_told_apart() {
        assert_eq!(check(None, &[]), Err(Refusal::Missing));
        assert_eq!(
            check(Some("tokens=secret"), &[("cookie", "x-carta-auth-token=secret")]),
            Err(Refusal::Missing)
        );
        for wrong in [
            "token=",
            "token=secre",
            "token=secrets",
            "token=no_auth_configured",
            "token=SECRET",
        ] {
            assert_eq!(check(Some(wrong), &[]), Err(Refusal::Wrong), "{wrong}");
        }
        assert_eq!(
            check(None, &[("authorization", "Basic secret")]),
            Err(Refusal::Missing)
        );
    }

    #[test]
    fn an_open_gate_lets_everybody_in_whatever_token_they_bring() {
        assert_eq!(
            Gate::Open.check(Some("token=no_auth_configured"), &HeaderMap::new()),
            Ok(Principal::anonymous())
        );
    }

    #[test]
    fn a_token_with_special_characters_is_known_escaped_and_bare() {
        let token = AuthToken::new("a+b/c=").unwrap();
        assert_eq!(token.in_url(), "a%2Bb%2Fc%3D");
        for query in ["token=a+b/c=", "token=a%2Bb%2Fc%3D"] {
            assert!(
                Gate::Token(token.clone())
                    .check(Some(query), &HeaderMap::new())
                    .is_ok(),
                "{query}"
            );
        }
        for unfit in ["", "a b", "a;b", "a,b", "a&b", "ä", "a\n"] {
            assert!(AuthToken::new(unfit).is_err(), "{unfit}");
        }
    }

    #[test]
    fn random_tokens_have_256_bits_and_differ() {
        let (one, two) = (AuthToken::random().unwrap(), AuthToken::random().unwrap());
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one.expose(), two.expose());
    }
}
