//! An image as a session sees it: planes of a channel and a polarisation, stored or computed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use chartroom_compute::decode::ByteOrder;
use chartroom_compute::polarisation::{Computed, Stokes};
use chartroom_image::fits::ImageHdu;
use chartroom_image::{ImageDescription, ImageSource, Interrupt, OpenImage, Section, Shape4};

use crate::ViewerError;
use crate::cache::Cache;
use crate::planes::Key;

/// The numbers by which the ICD names computed polarisations, after its `PolarizationType`.
const COMPUTED: [(i32, &str, Computed); 5] = [
    (13, "Ptotal", Computed::Ptotal),
    (14, "Plinear", Computed::Plinear),
    (15, "PFtotal", Computed::PFtotal),
    (16, "PFlinear", Computed::PFlinear),
    (17, "Pangle", Computed::Pangle),
];

/// FITS Stokes codes and their names (FITS Standard 4.0, table 29).
const STOKES: [(i32, &str); 12] = [
    (1, "I"),
    (2, "Q"),
    (3, "U"),
    (4, "V"),
    (-1, "RR"),
    (-2, "LL"),
    (-3, "RL"),
    (-4, "LR"),
    (-5, "XX"),
    (-6, "YY"),
    (-7, "XY"),
    (-8, "YX"),
];

/// A polarisation of an image: one of those that the file holds, or one computed from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Polarisation {
    /// By its place on the Stokes axis, counted from 0.
    Stored(u32),
    /// By its number in the ICD, 13 to 17.
    Computed(i32),
}

impl Polarisation {
    /// The number as it travels.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Stored(index) => i32::try_from(index).unwrap_or(i32::MAX),
            Self::Computed(number) => number,
        }
    }
}

/// One picture of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Plane {
    pub(crate) channel: u32,
    pub(crate) polarisation: Polarisation,
}

/// A part of a plane, half-open, in pixels counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) x: Range<u64>,
    pub(crate) y: Range<u64>,
}

impl Window {
    /// Number of pixels.
    pub(crate) fn pixels(&self) -> usize {
        ((self.x.end - self.x.start) * (self.y.end - self.y.start)) as usize
    }
}

/// An open image, shared by all sessions that look at it.
#[derive(Debug)]
pub(crate) struct Image {
    /// A number that no other image of this process ever has, for the cache.
    pub(crate) id: u64,
    /// What a client is told of it.
    pub(crate) hdu: ImageHdu,
    pub(crate) cache: Arc<Cache<Key>>,
    source: Arc<dyn ImageSource>,
    shape: Shape4,
    /// How many open files, over all sessions, are this image.
    holders: AtomicUsize,
}

impl Drop for Image {
    fn drop(&mut self) {
        // Nobody can ask for this image any more, not even if the file is opened again.
        let id = self.id;
        self.cache.forget(|key| key.image == id);
    }
}

impl Image {
    pub(crate) fn new(opened: OpenImage, cache: Arc<Cache<Key>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let OpenImage { hdu, source } = opened;
        let shape = source.description().shape4();
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            hdu,
            cache,
            source,
            shape,
            holders: AtomicUsize::new(0),
        }
    }

    /// One more open file is this image.
    pub(crate) fn hold(&self) {
        self.holders.fetch_add(1, Ordering::Relaxed);
    }

    /// One open file less is this image.
    pub(crate) fn release(&self) {
        self.holders.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many open files, over all sessions, are this image.
    pub(crate) fn holders(&self) -> usize {
        self.holders.load(Ordering::Relaxed)
    }

    pub(crate) fn description(&self) -> &ImageDescription {
        self.source.description()
    }

    pub(crate) fn shape(&self) -> Shape4 {
        self.shape
    }

    /// Number of pixels of a plane.
    pub(crate) fn plane_pixels(&self) -> u64 {
        self.shape.width * self.shape.height
    }

    /// The plane with these numbers of the ICD.
    pub(crate) fn plane(&self, channel: i32, stokes: i32) -> Result<Plane, ViewerError> {
        let index = u32::try_from(channel)
            .ok()
            .filter(|&c| u64::from(c) < self.shape.depth)
            .ok_or_else(|| {
                ViewerError::invalid(format!(
                    "Channel {channel} is not one of the {} channels.",
                    self.shape.depth
                ))
            })?;
        Ok(Plane {
            channel: index,
            polarisation: self.polarisation(stokes)?,
        })
    }

    /// The polarisation with this number of the ICD.
    pub(crate) fn polarisation(&self, stokes: i32) -> Result<Polarisation, ViewerError> {
        if let Some(index) = u32::try_from(stokes)
            .ok()
            .filter(|&s| u64::from(s) < self.shape.stokes)
        {
            return Ok(Polarisation::Stored(index));
        }
        let polarisation = Polarisation::Computed(stokes);
        self.ingredients(stokes)?;
        Ok(polarisation)
    }

    /// The polarisation that the beginning of a coordinate such as `Iz` or `Ptotalx` names, and what follows it.
    /// Without a name it is `current`.
    pub(crate) fn coordinate<'a>(
        &self,
        coordinate: &'a str,
        current: Polarisation,
    ) -> Result<(Polarisation, &'a str), ViewerError> {
        let (name, axis) = match coordinate.char_indices().last() {
            Some((at, 'x' | 'y' | 'z')) => coordinate.split_at(at),
            _ => (coordinate, ""),
        };
        if name.is_empty() {
            return Ok((current, axis));
        }
        if let Some((number, ..)) = COMPUTED.iter().find(|(_, n, _)| *n == name) {
            return Ok((self.polarisation(*number)?, axis));
        }
        let index = STOKES
            .iter()
            .find(|(_, n)| *n == name)
            .and_then(|(code, _)| self.description().stokes_codes.iter().position(|c| c == code));
        match index {
            Some(index) => Ok((Polarisation::Stored(index as u32), axis)),
            // An image without a Stokes axis has only one polarisation, by whatever name.
            None if self.shape.stokes == 1 => Ok((Polarisation::Stored(0), axis)),
            None => Err(ViewerError::invalid(format!(
                "The image has no polarisation {name}."
            ))),
        }
    }

    /// What a computed polarisation is computed from: its kind and the places of its inputs on the Stokes axis.
    fn ingredients(&self, number: i32) -> Result<(Computed, Vec<u32>), ViewerError> {
        let Some((_, name, computed)) = COMPUTED.iter().find(|(n, ..)| *n == number) else {
            return Err(ViewerError::invalid(format!(
                "The image has no polarisation number {number}."
            )));
        };
        let place = |stokes: &Stokes| {
            let code = match stokes {
                Stokes::I => 1,
                Stokes::Q => 2,
                Stokes::U => 3,
                Stokes::V => 4,
            };
            let index = self.description().stokes_codes.iter().position(|&c| c == code);
            index.map(|index| index as u32).ok_or_else(|| {
                ViewerError::invalid(format!(
                    "{name} needs Stokes {stokes:?}, which the image does not have."
                ))
            })
        };
        Ok((
            *computed,
            computed.inputs().iter().map(place).collect::<Result<_, _>>()?,
        ))
    }

    /// Reads a window of a plane into `out`, x fastest.
    pub(crate) fn read(
        &self,
        plane: Plane,
        window: &Window,
        out: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<(), ViewerError> {
        let channels = u64::from(plane.channel)..u64::from(plane.channel) + 1;
        self.read_polarisation(plane.polarisation, window, channels, out, interrupt)
    }

    /// As [`Image::read`], but the bytes of the pixels may be left in the order of the file.
    pub(crate) fn read_as_stored(
        &self,
        plane: Plane,
        window: &Window,
        out: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<ByteOrder, ViewerError> {
        let Polarisation::Stored(index) = plane.polarisation else {
            self.read(plane, window, out, interrupt)?;
            return Ok(ByteOrder::Native);
        };
        let channels = u64::from(plane.channel)..u64::from(plane.channel) + 1;
        let section = self.section(index, window, &channels);
        Ok(self.source.read_as_stored(&section, out, interrupt)?)
    }

    /// Reads the spectrum of one pixel over `channels` into `out`.
    pub(crate) fn read_spectrum(
        &self,
        polarisation: Polarisation,
        (x, y): (u64, u64),
        channels: Range<u64>,
        out: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<(), ViewerError> {
        let window = Window {
            x: x..x + 1,
            y: y..y + 1,
        };
        self.read_polarisation(polarisation, &window, channels, out, interrupt)
    }

    fn read_polarisation(
        &self,
        polarisation: Polarisation,
        window: &Window,
        channels: Range<u64>,
        out: &mut [f32],
        interrupt: Interrupt<'_>,
    ) -> Result<(), ViewerError> {
        let number = match polarisation {
            Polarisation::Stored(index) => {
                let section = self.section(index, window, &channels);
                return Ok(self.source.read(&section, out, interrupt)?);
            }
            Polarisation::Computed(number) => number,
        };
        let (computed, places) = self.ingredients(number)?;
        let mut inputs = vec![vec![0.0; out.len()]; places.len()];
        for (values, index) in inputs.iter_mut().zip(places) {
            self.source
                .read(&self.section(index, window, &channels), values, interrupt)?;
        }
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        Ok(computed.compute(&inputs, out)?)
    }

    fn section(&self, stokes: u32, window: &Window, channels: &Range<u64>) -> Section {
        let description = self.source.description();
        let axes = description.shape.len();
        let mut section = Section {
            start: vec![0; axes],
            count: vec![1; axes],
        };
        let mut set = |axis: Option<usize>, range: &Range<u64>| {
            let Some(axis) = axis.filter(|&a| a < axes) else {
                return;
            };
            section.start[axis] = range.start;
            section.count[axis] = range.end - range.start;
        };
        set(Some(0), &window.x);
        set(Some(1), &window.y);
        set(description.axes.depth, channels);
        set(
            description.axes.stokes,
            &(u64::from(stokes)..u64::from(stokes) + 1),
        );
        section
    }
}

/// Names of the polarisations that an image holds, in its order.
pub(crate) fn stokes_names(description: &ImageDescription) -> Vec<String> {
    let name = |code: &i32| {
        STOKES
            .iter()
            .find(|(c, _)| c == code)
            .map_or("", |(_, name)| name)
            .to_owned()
    };
    description.stokes_codes.iter().map(name).collect()
}
