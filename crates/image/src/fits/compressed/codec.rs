//! What the decoders of single tiles have in common.

use crate::Interrupt;

/// Why the byte string of one tile could not be decoded. The text completes a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    /// More bits are needed than there are.
    #[error("its byte string ends too early")]
    Truncated,
    /// The byte string breaks the rules of its format.
    #[error("{0}")]
    Invalid(&'static str),
    /// The caller's interrupt asked to stop.
    #[error("the decoding was cancelled")]
    Interrupted,
}

/// After how many pixels, roughly, a decoder asks its interrupt again: well under a millisecond of work.
pub(super) const STEP: usize = 1 << 16;

/// Asks the interrupt.
pub(super) fn go_on(interrupt: Interrupt<'_>) -> Result<(), CodecError> {
    if interrupt() {
        Err(CodecError::Interrupted)
    } else {
        Ok(())
    }
}
