//! What somebody who has come in may do.

use std::fmt;

/// One thing that may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Look at images and settings. Everybody who has come in may.
    View,
    /// Write files and settings.
    Write,
    /// Drive sessions by programs.
    Script,
    /// See the numbers of the server from other machines, and stop it.
    Admin,
}

impl Permission {
    const ALL: [Self; 4] = [Self::View, Self::Write, Self::Script, Self::Admin];

    fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Write => "write",
            Self::Script => "script",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of permissions; [`Permission::View`] is in every one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Permissions(u8);

impl Permissions {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self(
            Permission::ALL
                .iter()
                .fold(0, |bits, permission| bits | permission.bit()),
        )
    }

    /// Looking only.
    #[must_use]
    pub fn view() -> Self {
        Self(Permission::View.bit())
    }

    /// Looking, and driving sessions by programs.
    #[must_use]
    pub fn script() -> Self {
        Self(Permission::View.bit() | Permission::Script.bit())
    }

    /// The permissions that these words name; viewing is always among them.
    ///
    /// # Errors
    /// A word that names none, as the end of a sentence.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        words.into_iter().try_fold(Self::view(), |set, word| {
            Permission::ALL
                .iter()
                .find(|permission| permission.word() == word)
                .map(|permission| Self(set.0 | permission.bit()))
                .ok_or_else(|| format!("'{word}' is no permission; there are view, write, script and admin"))
        })
    }

    /// Whether `permission` is in this set.
    #[must_use]
    pub fn contain(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// This set without `permission`. Viewing stays.
    #[must_use]
    pub fn without(self, permission: Permission) -> Self {
        Self(self.0 & !permission.bit() | Permission::View.bit())
    }

    /// The words for the permissions in this set.
    pub(crate) fn words(self) -> impl Iterator<Item = &'static str> {
        Permission::ALL
            .into_iter()
            .filter(move |permission| self.contain(*permission))
            .map(Permission::word)
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_written_as_they_are_read() {
        assert_eq!(Permissions::all().to_string(), "view,write,script,admin");
        assert_eq!(
            Permissions::from_words(Permissions::all().words()),
            Ok(Permissions::all())
        );
        assert!(Permissions::from_words(["Write"]).is_err());
    }

    #[test]
    fn whoever_has_come_in_may_look() {
        let writer = Permissions::from_words(["write"]).unwrap();
        assert_eq!(writer.to_string(), "view,write");
        assert_eq!(writer.without(Permission::Write), Permissions::view());
        assert_eq!(Permissions::view().without(Permission::View), Permissions::view());
        assert!(!writer.contain(Permission::Admin));
    }
}
