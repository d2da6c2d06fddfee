//! Who may come in.

use axum::http::{HeaderMap, header};

use crate::{
    accounts::{Accounts, Identity},
    auth::AuthToken,
    keys::{self, KeyRefusal},
    percent,
};

/// Name of the cookie and of the header in which CARTA's clients carry the token.
pub(crate) const COOKIE: &str = "carta-auth-token";

/// Why somebody may not come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token came with the request.
    Missing,
    /// A token came, but not the right one.
    Wrong,
    /// An access key came that opens nothing.
    Key(KeyRefusal),
}

/// Decides who may come in.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// The token that is asked for; `None` lets everybody in.
    token: Option<AuthToken>,
    /// The token that opens nothing but what programs use.
    scripting_token: Option<AuthToken>,
    accounts: Accounts,
}

impl Gate {
    pub(crate) fn new(
        token: Option<AuthToken>,
        scripting_token: Option<AuthToken>,
        accounts: Accounts,
    ) -> Self {
        Self {
            token,
            scripting_token,
            accounts,
        }
    }

    /// Whether a token is asked for.
    pub(crate) fn asks(&self) -> bool {
        self.token.is_some()
    }

    /// Looks for the token, or an access key, in the query (`token`), in `Authorization: Bearer`, in the cookie and in
    /// the header `carta-auth-token`. The first right one counts, since a browser may still hold the cookie of an
    /// earlier start.
    ///
    /// # Errors
    /// [`Refusal`] says whether a token was missing or wrong.
    pub(crate) async fn check(&self, query: Option<&str>, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let mut refusal = Refusal::Missing;
        let mut keys = Vec::new();
        let mut owner = None;
        for candidate in candidates(query, headers) {
            if keys::looks_like_key(candidate) {
                keys.push(candidate.to_owned());
            } else if self.is_token(candidate) {
                owner = Some(self.accounts.owner());
                break;
            } else {
                refusal = Refusal::Wrong;
            }
        }
        if !keys.is_empty() {
            match self.accounts.identify(keys).await {
                Ok(holder) => return Ok(holder),
                Err(reason) => refusal = Refusal::Key(reason),
            }
        }
        match (owner, &self.token) {
            (Some(owner), _) => Ok(owner),
            (None, None) => Ok(self.accounts.anonymous()),
            (None, Some(_)) => Err(refusal),
        }
    }

    /// As [`Gate::check`], for what programs use: the scripting token opens it as well, and gives the sessions of whoever
    /// needs no access key. Where there is a scripting token, nobody comes in here without any token.
    ///
    /// # Errors
    /// As [`Gate::check`].
    pub(crate) async fn check_program(
        &self,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Identity, Refusal> {
        let Some(scripting) = &self.scripting_token else {
            return self.check(query, headers).await;
        };
        let mut refusal = Refusal::Missing;
        for candidate in candidates(query, headers) {
            if is(scripting, candidate) {
                return Ok(self.accounts.program(self.token.is_some()));
            }
            refusal = Refusal::Wrong;
        }
        let identity = self.check(query, headers).await?;
        if self.token.is_none() && !identity.principal.has_key() {
            return Err(refusal);
        }
        Ok(identity)
    }

    fn is_token(&self, candidate: &str) -> bool {
        self.token.as_ref().is_some_and(|token| is(token, candidate))
    }
}

fn is(token: &AuthToken, candidate: &str) -> bool {
    // A token with special characters comes escaped from some clients and bare from others.
    token.matches(candidate) | token.matches(&percent::decode(candidate))
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
        .filter_map(|pair| pair.trim().split_once('=').filter(|(name, _)| *name == COOKIE))
        .map(|(_, token)| token);
    from_query
        .chain(from_bearer)
        .chain(from_cookie)
        .chain(text(COOKIE))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::{auth::Principal, options::Options};

    fn gate(token: Option<&str>) -> (tempfile::TempDir, Gate) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            state_dir: Some(folder.path().to_owned()),
            ..Options::default()
        };
        let accounts = block_on(Accounts::open(&options)).unwrap();
        let token = token.map(|token| AuthToken::new(token).unwrap());
        let scripting = AuthToken::new("scripts").unwrap();
        (folder, Gate::new(token, Some(scripting), accounts))
    }

    fn check(query: Option<&str>, headers: &[(&'static str, &'static str)]) -> Result<Principal, Refusal> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let (_folder, gate) = gate(Some("secret"));
        block_on(gate.check(query, &headers)).map(|identity| identity.principal)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
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
    fn the_scripting_token_opens_what_programs_use_and_nothing_else() {
        let program = |token: Option<&str>, query: Option<&str>| {
            let (_folder, gate) = gate(token);
            block_on(gate.check_program(query, &HeaderMap::new())).map(|identity| identity.principal)
        };
        let owner = Ok(Principal::owner());
        assert_eq!(program(Some("secret"), Some("token=scripts")), owner);
        assert_eq!(program(Some("secret"), Some("token=secret")), owner);
        assert_eq!(program(Some("secret"), Some("token=other")), Err(Refusal::Wrong));
        assert_eq!(program(Some("secret"), None), Err(Refusal::Missing));
        assert_eq!(program(None, Some("token=scripts")), Ok(Principal::anonymous()));
        assert_eq!(program(None, Some("token=other")), Err(Refusal::Wrong));
        assert_eq!(program(None, None), Err(Refusal::Missing));
        assert_eq!(check(Some("token=scripts"), &[]), Err(Refusal::Wrong));
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
        let (_folder, gate) = gate(None);
        let unknown = format!("token=chk_{}", "A".repeat(43));
        for query in ["token=no_auth_configured", &unknown] {
            let identity = block_on(gate.check(Some(query), &HeaderMap::new())).unwrap();
            assert_eq!(identity.principal, Principal::anonymous());
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_told_from_a_wrong_token() {
        let unknown = format!("token=chk_{}", "A".repeat(43));
        assert_eq!(check(Some(&unknown), &[]), Err(Refusal::Key(KeyRefusal::Unknown)));
        assert_eq!(
            check(Some(&unknown), &[("cookie", "carta-auth-token=secret")]),
            Ok(Principal::owner())
        );
    }

    #[test]
    fn a_token_with_special_characters_is_known_escaped_and_bare() {
        let token = AuthToken::new("a+b/c=").unwrap();
        assert_eq!(token.in_url(), "a%2Bb%2Fc%3D");
        for query in ["token=a+b/c=", "token=a%2Bb%2Fc%3D"] {
            let (_folder, gate) = gate(Some("a+b/c="));
            assert!(
                block_on(gate.check(Some(query), &HeaderMap::new())).is_ok(),
                "{query}"
            );
        }
        for unfit in ["", "a b", "a;b", "a,b", "a&b", "ä", "a\n"] {
            assert!(AuthToken::new(unfit).is_err(), "{unfit}");
        }
    }
}
