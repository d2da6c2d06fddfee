//! Pure kernels on slices of pixels: tiles, zfp, histograms, statistics, profiles.
//!
//! No IO, no async, no threads of its own: callers cut the work into pieces and poll for cancellation between them.

pub mod zfp;
