//! Opening images: byte sources, FITS, headers, axes and world coordinates behind one trait.
//!
//! The room knows nothing of sessions, networks or schedulers. Everything here is synchronous; callers run it on
//! a pool. Long calls poll an [`Interrupt`].

pub mod bytes;
mod description;
mod error;
pub mod fits;
mod open;
mod probe;
mod section;
mod source;

pub use description::{Axes, Beam, ImageDescription, PixelType, Shape4};
pub use error::ImageError;
pub use open::{OpenImage, OpenOptions, describe, open};
pub use probe::{FileKind, probe, probe_file, probe_folder};
pub use section::Section;
pub use source::{ImageSource, Interrupt, never};
