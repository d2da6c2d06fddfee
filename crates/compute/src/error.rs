//! What can be wrong with the arguments of a kernel.

/// An argument that does not fit the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice does not hold as many elements as the shape asks for.
    #[error("{what} holds {found} elements where {expected} are needed")]
    Length {
        /// The argument.
        what: &'static str,
        /// Its length.
        found: usize,
        /// The length that the other arguments ask for.
        expected: usize,
    },
    /// A downsampling factor that the operation does not offer.
    #[error("a mip of {mip} is not possible here: {rule}")]
    Mip {
        /// The factor asked for.
        mip: usize,
        /// What factors are possible.
        rule: &'static str,
    },
    /// Two partial results that cannot be merged, because they describe different things.
    #[error("partial results cannot be merged: their {what} differ")]
    Merge {
        /// The property that differs.
        what: &'static str,
    },
}

/// Checks that `found` elements are what the shape asks for.
pub(crate) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        what,
        found,
        expected,
    })
}
