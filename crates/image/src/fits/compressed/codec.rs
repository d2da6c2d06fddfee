//! What the decoders of single tiles have in common.

/// Why the byte string of one tile could not be decoded. The text completes a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    /// More bits are needed than there are.
    #[error("its byte string ends too early")]
    Truncated,
    /// The byte string breaks the rules of its format.
    #[error("{0}")]
    Invalid(&'static str),
}
