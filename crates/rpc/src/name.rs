//! Names of capabilities: a family and its version.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use semver::Version;

/// The name of a capability, as `chartroom.image@1`.
///
/// The version is a semantic one, of which parts may be left out: `@1` and `@1.0` are `@1.0.0`, and names that differ in
/// this only are equal. A name is shown as it was written.
#[derive(Debug, Clone)]
pub struct CapabilityName {
    written: Box<str>,
    /// Where the family ends in it.
    family: usize,
    version: Version,
}

/// Why a text is no name of a capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is no name of a capability, as family@1 is: {problem}.")]
pub struct InvalidName {
    name: String,
    problem: String,
}

impl CapabilityName {
    /// What it is a version of.
    #[must_use]
    pub fn family(&self) -> &str {
        self.written.get(..self.family).unwrap_or_default()
    }

    /// Its version, with the parts that were left out.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The name as it was written, without white space around it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The name under which an object is granted: its id as the family, in version 1.
    ///
    /// # Errors
    /// [`InvalidName`] for an id that cannot be a family.
    pub fn of_object(id: &str) -> Result<Self, InvalidName> {
        format!("{id}@1").parse()
    }
}

impl FromStr for CapabilityName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let invalid = |problem: String| InvalidName {
            name: text.chars().take(MOST_CHARACTERS).collect(),
            problem,
        };
        if text.len() > MOST_CHARACTERS {
            return Err(invalid(format!("it is longer than {MOST_CHARACTERS} bytes")));
        }
        let (family, version) = text
            .split_once('@')
            .ok_or_else(|| invalid("it has no '@'".to_owned()))?;
        if family.is_empty() {
            return Err(invalid("it has no family".to_owned()));
        }
        if family.contains(|c: char| c.is_whitespace() || c.is_control() || c == '*') {
            return Err(invalid(
                "its family has white space, control characters or '*' in it".to_owned(),
            ));
        }
        let version = coerced(version).map_err(|error| invalid(format!("its version is wrong, {error}")))?;
        Ok(Self {
            written: text.into(),
            family: family.len(),
            version,
        })
    }
}

/// Names are labels in metrics and keys in tables: no place for stories.
const MOST_CHARACTERS: usize = 200;

/// `1` and `1.2` with the zeros that a semantic version has.
fn coerced(text: &str) -> Result<Version, semver::Error> {
    match text.split('.').count() {
        _ if text.contains(['-', '+']) => text.parse(),
        1 => format!("{text}.0.0").parse(),
        2 => format!("{text}.0").parse(),
        _ => text.parse(),
    }
}

impl fmt::Display for CapabilityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written)
    }
}

impl PartialEq for CapabilityName {
    fn eq(&self, other: &Self) -> bool {
        self.family() == other.family() && self.version == other.version
    }
}

impl Eq for CapabilityName {}

impl Hash for CapabilityName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.family().hash(state);
        self.version.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CapabilityName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_a_family_and_a_version() {
        let echo = name("conformance.echo@2.1.3");
        assert_eq!(echo.family(), "conformance.echo");
        assert_eq!(*echo.version(), Version::new(2, 1, 3));
    }

    #[test]
    fn parts_of_the_version_that_are_left_out_are_zero() {
        assert_eq!(*name("echo@1").version(), Version::new(1, 0, 0));
        assert_eq!(*name("echo@1.2").version(), Version::new(1, 2, 0));
        assert_eq!(
            *name("echo@1.2.3-beta.1").version(),
            "1.2.3-beta.1".parse().unwrap()
        );
    }

    #[test]
    fn a_name_is_shown_as_it_was_written_without_white_space_around_it() {
        assert_eq!(name(" echo@1\n").to_string(), "echo@1");
        assert_eq!(name("echo@1.0").to_string(), "echo@1.0");
    }

    #[test]
    fn names_of_the_same_version_are_equal_however_they_are_written() {
        assert_eq!(name("echo@1"), name("echo@1.0.0"));
        assert_ne!(name("echo@1"), name("echo@1.1"));
        assert_ne!(name("echo@1"), name("eco@1"));
        let names = std::collections::HashSet::from([name("echo@1")]);
        assert!(names.contains(&name("echo@1.0")));
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "no '@'"),
            ("echo", "no '@'"),
            ("@1", "no family"),
            ("echo@", "version"),
            ("echo@*", "version"),
            ("echo@one", "version"),
            ("echo@1.2.3.4", "version"),
            ("echo@01", "version"),
            ("echo@-1", "version"),
            ("echo@1@2", "version"),
            ("ec ho@1", "white space"),
            ("*@1", "'*'"),
            ("e\u{0}@1", "control"),
        ] {
            let error = text.parse::<CapabilityName>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        let long = format!("{}@1", "x".repeat(300));
        assert!(
            long.parse::<CapabilityName>()
                .unwrap_err()
                .to_string()
                .contains("longer")
        );
    }

    #[test]
    fn an_object_has_the_name_of_its_id_in_version_1() {
        assert_eq!(
            CapabilityName::of_object("conformance.obj").unwrap(),
            name("conformance.obj@1")
        );
        assert!(CapabilityName::of_object("a@b").is_err());
    }
}
