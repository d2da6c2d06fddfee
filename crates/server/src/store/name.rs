//! Names that users give, and the file names made of them.

use super::StoreError;
use crate::percent;

/// Most bytes of an encoded name: file systems take 255, and an ending and a mark are added.
const LONGEST: usize = 220;

/// Names that Windows keeps for devices, whatever ending follows.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul"];

/// A name that a user gave to a layout, snippet or workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Takes any text that is not empty and not too long to become a file name.
    pub(crate) fn new(text: &str) -> Result<Self, StoreError> {
        if text.is_empty() {
            return Err(StoreError::Name("A name must not be empty.".to_owned()));
        }
        let name = Self(text.to_owned());
        if name.file_stem().len() > LONGEST {
            return Err(StoreError::Name(
                "The name is too long to become a file name.".to_owned(),
            ));
        }
        Ok(name)
    }

    /// The text as the user gave it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A file name without ending, one to one: small letters, digits and `- _` stay, all other bytes become `%XX`.
    ///
    /// Capital letters are encoded as well, since some file systems do not tell `A` from `a`.
    pub(crate) fn file_stem(&self) -> String {
        let keep = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if !is_device(&self.0) {
            return percent::encode(&self.0, keep);
        }
        // One encoded letter is enough to make it another name.
        let (first, rest) = self.0.split_at(1);
        percent::encode(first, |_| false) + rest
    }

    /// The name behind a file name without ending; `None` for files that this server did not write.
    pub(super) fn from_file_stem(stem: &str) -> Option<Self> {
        let name = Self::new(&percent::decode(stem)).ok()?;
        (name.file_stem() == stem).then_some(name)
    }

    /// An identifier that can stand in a URL without escaping.
    pub(crate) fn id(&self) -> String {
        crate::auth::hex(self.0.as_bytes())
    }

    /// The name behind [`Name::id`].
    pub(crate) fn from_id(id: &str) -> Option<Self> {
        let bytes: Option<Vec<u8>> = id
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let name = Self::new(&String::from_utf8(bytes?).ok()?).ok()?;
        (name.id() == id).then_some(name)
    }
}

fn is_device(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|digit| digit.len() == 1 && digit.bytes().all(|b| b.is_ascii_digit()))
    };
    DEVICES.contains(&name) || numbered("com") || numbered("lpt")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn file_names_are_plain_on_every_file_system() {
        let stem = |name: &str| Name::new(name).unwrap().file_stem();
        assert_eq!(stem("my-layout_2"), "my-layout_2");
        assert_eq!(stem("Default"), "%44efault");
        assert_eq!(stem(".."), "%2E%2E");
        assert_eq!(stem("a/b\\c"), "a%2Fb%5Cc");
        assert_eq!(stem("nul"), "%6Eul");
        assert_eq!(stem("com1"), "%63om1");
        assert_eq!(stem("ä"), "%C3%A4");
    }

    #[test]
    fn empty_and_endless_names_are_refused() {
        assert!(Name::new("").is_err());
        assert!(Name::new(&"ä".repeat(60)).is_err());
        assert!(Name::new(&"a".repeat(220)).is_ok());
    }

    #[test]
    fn foreign_files_have_no_name() {
        for stem in [
            "", "A", "%", "%4", "%zz", "%61", "a.b", "%+1", "nul", "%ff", "%2e",
        ] {
            assert_eq!(Name::from_file_stem(stem), None, "{stem}");
        }
        for id in ["", "6", "zz", "ff", "6A", "+1"] {
            assert_eq!(Name::from_id(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back_from_its_file_name_and_its_id(text in "\\PC{1,40}|[a-z./%\\\\]{1,20}") {
            if let Ok(name) = Name::new(&text) {
                let stem = name.file_stem();
                prop_assert!(stem.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'%' | b'A'..=b'F')));
                prop_assert_eq!(Name::from_file_stem(&stem), Some(name.clone()));
                prop_assert_eq!(Name::from_id(&name.id()), Some(name));
            }
        }
    }
}
