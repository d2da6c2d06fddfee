//! Which versions of the ICD are spoken here.

use crate::IcdError;

/// A version of the ICD that is spoken here: 28, 29 or 30.
///
/// Later versions only add messages and fields to earlier ones, so all are served by the same code. A client
/// finds its own version in the header of every message that is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IcdVersion(u16);

impl IcdVersion {
    /// The oldest version that is spoken here.
    pub const OLDEST: Self = Self(28);
    /// The newest version that is spoken here.
    pub const NEWEST: Self = Self(30);

    /// The number as it stands in a header.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for IcdVersion {
    type Error = IcdError;

    fn try_from(number: u16) -> Result<Self, IcdError> {
        if !(Self::OLDEST.0..=Self::NEWEST.0).contains(&number) {
            return Err(IcdError::Version { found: number });
        }
        Ok(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_28_to_30_are_accepted_and_no_others() {
        for number in [28, 29, 30] {
            assert_eq!(IcdVersion::try_from(number).unwrap().number(), number);
        }
        for number in [0, 27, 31, u16::MAX] {
            assert!(
                matches!(IcdVersion::try_from(number), Err(IcdError::Version { found }) if found == number)
            );
        }
    }
}
