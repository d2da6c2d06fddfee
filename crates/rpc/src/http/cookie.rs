//! The header lines of the client cookie (RFC 6265).

use axum::http::{HeaderMap, header};

use crate::settings::{CookieSettings, SameSite};

const NAME: &str = "clientId";

/// The values of all cookies of the client's name: browsers send one for each path that was set.
pub(super) fn values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == NAME).then_some(value)
    })
}

/// The line that sets the cookie to `value`.
pub(super) fn set(value: &str, settings: &CookieSettings, prefix: &str, secure: bool) -> String {
    let seconds = settings.lifetime.as_secs();
    let path = if prefix.is_empty() { "/" } else { prefix };
    let same_site = match settings.same_site {
        SameSite::Strict => "Strict",
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let secure = if secure { "; Secure" } else { "" };
    format!("{NAME}={value}; HttpOnly; Max-Age={seconds}; Path={path}; SameSite={same_site}{secure}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn all_cookies_of_the_name_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; clientId=x.1.y;xclientId=z; clientId="),
        );
        headers.append(header::COOKIE, HeaderValue::from_static("clientId=second"));
        assert_eq!(values(&headers).collect::<Vec<_>>(), ["x.1.y", "", "second"]);
    }

    #[test]
    fn a_cookie_is_for_the_path_that_the_routes_are_mounted_under() {
        let settings = CookieSettings::default();
        assert_eq!(
            set("v", &settings, "", false),
            "clientId=v; HttpOnly; Max-Age=2592000; Path=/; SameSite=Lax"
        );
        let strict = CookieSettings {
            same_site: SameSite::Strict,
            ..settings
        };
        assert_eq!(
            set("v", &strict, "/app", true),
            "clientId=v; HttpOnly; Max-Age=2592000; Path=/app; SameSite=Strict; Secure"
        );
    }
}
