//! Pure kernels on slices of pixels: tiles, zfp, histograms, statistics, profiles.
//!
//! No IO, no async, no threads of its own: callers cut the work into pieces (about 1 MiB) and poll for
//! cancellation between them, so everything that accumulates can be fed piecewise and merged.
//!
//! # Conventions
//!
//! * Pixels are `f32` in row-major order: x runs fastest, rows follow by increasing y.
//! * A pixel is *valid* when it is finite. NaN (blank) and infinite pixels are left out everywhere.
//! * Sums are formed in `f64`, whatever the size of the image.
//! * Kernels choose the widest instruction set of the machine at run time; results do not depend on it.

pub mod beam;
pub mod decode;
mod error;
pub mod histogram;
pub mod mip;
pub mod nan_runs;
pub mod picture;
pub mod polarisation;
pub mod profile;
mod simd;
pub mod statistics;
pub mod zfp;

pub use error::Error;
