//! Reading the values of options from text. Every error is the end of a sentence that begins with the option.

use std::{num::NonZeroUsize, time::Duration};

/// `true` or `false` and their usual spellings.
pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

/// A TCP port.
pub(super) fn port(text: &str) -> Result<u16, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("'{text}' is not a port number from 0 to 65535"))
}

/// A count of which 0, -1 and `auto` leave the choice to the server.
pub(super) fn optional_count(text: &str) -> Result<Option<NonZeroUsize>, String> {
    match text.trim() {
        "auto" | "-1" => Ok(None),
        digits => digits
            .parse::<usize>()
            .map(NonZeroUsize::new)
            .map_err(|_| format!("'{text}' is not a number; write a number, or 0 for no choice of yours")),
    }
}

/// A count that is at least 1.
pub(super) fn count(text: &str) -> Result<u32, String> {
    let count = text.trim().parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("'{text}' is not a whole number above 0"))
}

/// How often a second, more than 0.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse().ok();
    let rate = rate.filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| format!("'{text}' is not a number above 0"))
}

/// A number of bytes: `4GiB`, `1.5 GB`, `65536`. Units with an i count by 1024, without by 1000.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size; write for instance 512MiB or 4GiB");
    let (number, unit) = split_number(text.trim());
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "ki" | "kib" => 1024.0,
        "mi" | "mib" => 1024.0 * 1024.0,
        "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "ti" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor;
    // Beyond 2^53 a size is a slip of the pen, and floating point would no longer be exact.
    if bytes > 9.0e15 {
        return Err(format!("'{text}' is more than any machine has"));
    }
    Ok(bytes as u64)
}

/// A size that is used as a bound for one buffer.
pub(super) fn buffer_size(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if bytes == 0 {
        return Err("must be more than 0".to_owned());
    }
    usize::try_from(bytes).map_err(|_| format!("'{text}' is more than this machine can address"))
}

/// A length of time: `30s`, `1h30m`, `250ms`; a bare number counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a length of time; write for instance 30s, 15m or 1h30m");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let (number, tail) = split_number(rest);
        let unit_length = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let seconds: f64 = match unit.to_ascii_lowercase().as_str() {
            "ms" => 1e-3,
            "" | "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        total += number.parse::<f64>().map_err(|_| wrong())? * seconds;
        rest = tail.trim_start();
    }
    // A hundred years: longer than any session, and safe to add to any clock.
    if total > 100.0 * 365.25 * 86_400.0 {
        return Err(format!("'{text}' is longer than a hundred years"));
    }
    Ok(Duration::from_secs_f64(total))
}

/// A length of time after which a silent connection is given up. The page says something every 5 seconds.
pub(super) fn liveness(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    if (Duration::from_secs(5)..=Duration::from_secs(3600)).contains(&length) {
        Ok(length)
    } else {
        Err(format!("'{text}' is not between 5s and 1h"))
    }
}

/// A length of time, or `never`; 0 and negative numbers mean never, too.
pub(super) fn optional_duration(text: &str) -> Result<Option<Duration>, String> {
    let trimmed = text.trim();
    if matches!(trimmed, "never" | "off" | "none") || trimmed.starts_with('-') {
        return Ok(None);
    }
    duration(trimmed).map(|length| (!length.is_zero()).then_some(length))
}

/// A length of time, or `never`; negative numbers mean never, too, but 0 means at once.
pub(super) fn exit_timeout(text: &str) -> Result<Option<Duration>, String> {
    match text.trim() {
        "0" => Ok(Some(Duration::ZERO)),
        _ => optional_duration(text),
    }
}

/// Entries between commas, without blanks around them.
pub(crate) fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A prefix for every path, brought into the form `/a/b`; empty for none.
pub(super) fn url_prefix(text: &str) -> Result<String, String> {
    let mut prefix = String::new();
    for part in text.trim().split('/').filter(|part| !part.is_empty()) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
        if !part.chars().all(plain) || part == "." || part == ".." {
            return Err(format!(
                "'{part}' can not be a part of a URL prefix; use letters, digits and - _ . ~"
            ));
        }
        prefix.push('/');
        prefix.push_str(part);
    }
    Ok(prefix)
}

/// An origin as browsers write it, or `*`.
pub(super) fn origins(text: &str) -> Result<Vec<String>, String> {
    let entries = list(text);
    for entry in &entries {
        let authority = entry
            .strip_prefix("http://")
            .or_else(|| entry.strip_prefix("https://"));
        let plain = authority.is_some_and(|rest| !rest.is_empty() && !rest.contains(['/', '?', '#', '@']));
        if entry != "*" && !plain {
            return Err(format!(
                "'{entry}' is not an origin; write for instance https://example.org:8443"
            ));
        }
    }
    Ok(entries)
}

/// Outside services that the CARTA page knows, by name, and where they live.
pub(super) const EXTERNAL_SERVICES: &[(&str, &str)] = &[
    ("hips", "https://alasky.cds.unistra.fr"),
    ("releases", "https://api.github.com"),
    (
        "simbad",
        "https://simbad.u-strasbg.fr https://simbad.cds.unistra.fr",
    ),
    ("splatalogue", "https://splatalogue.online"),
    ("telemetry", "https://telemetry.cartavis.org"),
    ("vizier", "https://vizier.cds.unistra.fr"),
];

/// Names of known services, `all` of them, or origins, as sources for a Content-Security-Policy.
pub(super) fn external_services(text: &str) -> Result<Vec<String>, String> {
    let mut sources = Vec::new();
    for entry in list(text) {
        if entry == "all" {
            sources.extend(
                EXTERNAL_SERVICES
                    .iter()
                    .flat_map(|(_, at)| at.split(' '))
                    .map(str::to_owned),
            );
            continue;
        }
        if let Some((_, at)) = EXTERNAL_SERVICES.iter().find(|(name, _)| *name == entry) {
            sources.extend(at.split(' ').map(str::to_owned));
            continue;
        }
        // A policy is a list of words between blanks and semicolons: nothing else may slip into it.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '/' | '*');
        if !entry.starts_with("https://") && !entry.starts_with("http://") || !entry.chars().all(plain) {
            let names: Vec<_> = EXTERNAL_SERVICES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "'{entry}' is neither an origin nor one of all, {}",
                names.join(", ")
            ));
        }
        sources.push(entry);
    }
    Ok(sources)
}

/// A log level, or directives such as `info,chartroom=debug`.
pub(super) fn log_level(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err(format!(
            "'{text}' is not a log level; use error, warn, info, debug or trace"
        )),
    }
}

/// The level that carta_backend's `--verbosity` number stands for.
pub(super) fn verbosity(text: &str) -> Result<String, String> {
    let level = match text.trim() {
        "0" => "off",
        "1" | "2" => "error",
        "3" => "warn",
        "4" => "info",
        "5" => "debug",
        _ => return Err(format!("'{text}' is not a verbosity from 0 to 5")),
    };
    Ok(level.to_owned())
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_by_1024_with_an_i_and_by_1000_without() {
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("1.5 kb"), Ok(1500));
        assert_eq!(size("512mib"), Ok(512 << 20));
        assert_eq!(size("65536"), Ok(65536));
        for wrong in ["", "GiB", "4 apples", "-1", "1e300", "99999999TiB", "1.2.3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_and_rates_are_above_0() {
        assert_eq!((count(" 7 "), rate("0.5")), (Ok(7), Ok(0.5)));
        for wrong in ["", "0", "-1", "many", "inf", "NaN"] {
            assert!(count(wrong).is_err() && rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_add_their_parts_and_bare_numbers_are_seconds() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(
            duration("2 h"),
            Err("'2 h' is not a length of time; write for instance 30s, 15m or 1h30m".into())
        );
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        for wrong in ["", "s", "1w", "999999999999d", "1..5s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn never_zero_and_negative_timeouts_mean_no_timeout() {
        for never in ["never", "0", "-1", "off"] {
            assert_eq!(optional_duration(never), Ok(None), "{never}");
        }
        assert_eq!(exit_timeout("-1"), Ok(None));
        assert_eq!(exit_timeout("0"), Ok(Some(Duration::ZERO)));
        assert_eq!(optional_duration("10"), Ok(Some(Duration::from_secs(10))));
    }

    #[test]
    fn a_connection_may_be_silent_for_five_seconds_at_least() {
        assert_eq!(liveness("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(liveness("1h"), Ok(Duration::from_secs(3600)));
        for wrong in ["4.9s", "0", "61m", "never"] {
            assert!(liveness(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn url_prefixes_get_one_slash_in_front_and_none_behind() {
        assert_eq!(url_prefix("a/b/"), Ok("/a/b".to_owned()));
        assert_eq!(url_prefix("//a"), Ok("/a".to_owned()));
        assert_eq!(url_prefix("/"), Ok(String::new()));
        for wrong in ["/a/../b", "/a b", "/ä", "/a?b", "/{a}"] {
            assert!(url_prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn external_services_are_names_or_origins_and_never_other_words_of_a_policy() {
        assert_eq!(
            external_services("telemetry"),
            Ok(vec!["https://telemetry.cartavis.org".to_owned()])
        );
        assert_eq!(
            external_services("https://a.org"),
            Ok(vec!["https://a.org".to_owned()])
        );
        assert_eq!(external_services("all").unwrap().len(), 7);
        for wrong in ["https://a.org; script-src *", "'unsafe-eval'", "nothing"] {
            assert!(external_services(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_have_a_scheme_and_an_authority_only() {
        assert!(origins("https://a.org, http://b:80").is_ok());
        assert!(origins("*").is_ok());
        for wrong in ["a.org", "https://a.org/", "https://", "ws://a"] {
            assert!(origins(wrong).is_err(), "{wrong}");
        }
    }
}
