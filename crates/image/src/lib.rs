//! Opening images: byte sources, FITS, headers, axes and world coordinates behind one trait.
//!
//! The room knows nothing of sessions, networks or schedulers. Everything here is synchronous; callers run it on
//! a pool. Long calls poll an [`Interrupt`].

pub mod bytes;
mod cache;
pub mod conformance;
mod description;
mod error;
pub mod fits;
pub mod info;
mod memory;
mod open;
mod probe;
mod section;
mod source;
mod spill;
pub mod wcs;

pub use cache::{BlockCache, BlockKey, CacheCounters};
pub use description::{Axes, Beam, ImageDescription, PixelType, Shape4};
pub use error::ImageError;
pub use memory::MemoryImage;
pub use open::{OpenImage, OpenOptions, describe, open};
pub use probe::{FileKind, probe, probe_file, probe_folder, probe_open};
pub use section::Section;
pub use source::{ImageSource, Interrupt, never};
pub use spill::SpillSpace;
