//! Numbers about an image.

use std::sync::Arc;

use chartroom_compute::histogram::Histogram;
use chartroom_compute::statistics::Statistics;
use chartroom_image::Shape4;
use chartroom_image::wcs::SpectralAxis;

use super::Inspector;
use crate::ViewerError;
use crate::image::Image;
use crate::planes::{Binning, Planes, Summary};
use crate::spectral::{read_round, rounds};
use crate::statistics::beam_pixels;

/// An open image.
#[derive(Debug, Clone)]
pub struct Opened {
    pub(super) planes: Planes,
}

/// How pixel values are distributed.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// Their statistics.
    pub statistics: Statistics,
    /// Their histogram; `None` if no pixel is finite.
    pub histogram: Option<Histogram>,
    /// Their sum divided by the area of the beam, in the unit of the image without the "per beam"; `None` without a beam
    /// or for more than one channel.
    pub flux_density: Option<f64>,
}

/// The values of one pixel in all channels.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// By channel; NaN where nothing is known.
    pub values: Vec<f32>,
    /// Where the channels are; `None` if the channels step through something that is not known.
    pub coordinates: Option<SpectralCoordinates>,
}

/// Where the channels of an image are on its spectral axis.
#[derive(Debug, Clone)]
pub struct SpectralCoordinates {
    /// CTYPE of the axis.
    pub name: String,
    /// Unit of the values, as the header has it.
    pub unit: String,
    /// By channel.
    pub values: Vec<f64>,
}

impl Opened {
    pub(super) fn new(image: Arc<Image>) -> Self {
        Self {
            planes: Planes { image },
        }
    }

    /// Its size.
    #[must_use]
    pub fn shape(&self) -> Shape4 {
        self.planes.image.shape()
    }

    /// The unit of its pixels, empty if it is not given.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.planes.image.description().unit
    }

    /// The distribution of a plane, by the numbers that the ICD has for channel and polarisation.
    ///
    /// # Errors
    /// If there is no such plane, it cannot be read, or the work was cancelled.
    pub async fn plane(
        &self,
        inspector: &Inspector,
        channel: i32,
        stokes: i32,
    ) -> Result<Distribution, ViewerError> {
        let plane = self.planes.image.plane(channel, stokes)?;
        let summary = self
            .planes
            .summary(&inspector.work, plane, Binning::AUTOMATIC)
            .await?;
        let area = beam_pixels(self.planes.image.description(), plane);
        Ok(distribution(&summary, area))
    }

    /// The distribution of all channels of a polarisation. `progress` is told now and then how much is done, from 0 to 1.
    ///
    /// # Errors
    /// As [`Opened::plane`].
    pub async fn cube(
        &self,
        inspector: &Inspector,
        stokes: i32,
        progress: impl Fn(f32) + Send + Sync,
    ) -> Result<Distribution, ViewerError> {
        let polarisation = self.planes.image.polarisation(stokes)?;
        let summary = self
            .planes
            .cube(&inspector.work, polarisation, Binning::AUTOMATIC, progress)
            .await?;
        Ok(distribution(&summary, None))
    }

    /// The spectrum of the pixel in column `x` and row `y`, counted from 0.
    ///
    /// # Errors
    /// As [`Opened::plane`], and if there is no such pixel.
    pub async fn spectrum(
        &self,
        inspector: &Inspector,
        (x, y): (u64, u64),
        stokes: i32,
        progress: impl Fn(f32) + Send + Sync,
    ) -> Result<Spectrum, ViewerError> {
        let image = &self.planes.image;
        let shape = image.shape();
        let polarisation = image.polarisation(stokes)?;
        if x >= shape.width || y >= shape.height {
            return Err(ViewerError::invalid(format!(
                "The image has {} × {} pixels, and none at {x}, {y}.",
                shape.width, shape.height
            )));
        }
        let mut values = Vec::new();
        for round in rounds(&inspector.work, shape.depth) {
            values.extend(read_round(&inspector.work, image, polarisation, (x, y), round).await?);
            progress(values.len() as f32 / shape.depth as f32);
        }
        Ok(Spectrum {
            values,
            coordinates: self.coordinates(),
        })
    }

    fn coordinates(&self) -> Option<SpectralCoordinates> {
        let image = &self.planes.image;
        let axes = image.description().axes;
        let number = axes.spectral.filter(|_| axes.spectral == axes.depth)?;
        let axis = SpectralAxis::from_header(&image.hdu.header, number)?;
        let values: Option<Vec<f64>> = (0..image.shape().depth)
            .map(|channel| Some(axis.at(channel as f64)? / axis.unit.scale))
            .collect();
        let name = image.hdu.header.text(&format!("CTYPE{}", number + 1));
        Some(SpectralCoordinates {
            name: name.unwrap_or_default().trim().to_owned(),
            values: values?,
            unit: axis.unit.name,
        })
    }
}

fn distribution(summary: &Summary, beam_area: Option<f64>) -> Distribution {
    Distribution {
        statistics: summary.statistics,
        histogram: summary.histogram.clone(),
        flux_density: beam_area.map(|area| summary.statistics.sum() / area),
    }
}
