//! The cursor: its value and its spatial profiles. SET_CURSOR and SET_SPATIAL_REQUIREMENTS.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chartroom_compute::profile;
use chartroom_icd::messages::{self, set_spatial_requirements::SpatialConfig};
use chartroom_image::Shape4;
use chartroom_sched::{CancelToken, Class};

use crate::ViewerError;
use crate::file::Purpose;
use crate::image::{Plane, Window};
use crate::planes::{Columns, Pixels, Planes, with_scratch};
use crate::session::{Actor, Topic};
use crate::work::Work;

/// The region number of the cursor.
pub(crate) const CURSOR: i32 = 0;

/// Rows from which on a vertical profile of a large plane is worth more than one job.
const MANY_ROWS: u64 = 1024;

impl Actor {
    pub(crate) fn on_set_cursor(&mut self, request: messages::SetCursor) -> Result<(), ViewerError> {
        let file_id = request.file_id;
        let file = self.file(file_id)?;
        if let Some(requirements) = request.spatial_requirements {
            file.spatial = requirements.spatial_profiles;
        }
        let shape = file.image().shape();
        let cursor = pixel(request.point.unwrap_or_default(), shape);
        if cursor.is_none() {
            // The mouse has left the image: the last profiles stay, as users are used to.
            return Ok(());
        }
        let moved = file.cursor != cursor;
        file.cursor = cursor;
        self.send_spatial_profiles(file_id);
        if moved {
            self.send_spectral_profiles(file_id);
        }
        Ok(())
    }

    pub(crate) fn on_set_spatial_requirements(
        &mut self,
        request: messages::SetSpatialRequirements,
    ) -> Result<(), ViewerError> {
        if request.region_id != CURSOR {
            let (region_id, empty) = (request.region_id, request.spatial_profiles.is_empty());
            let feature = "The spatial profile of a region";
            return self.require_of_region(request.file_id, region_id, request.into(), empty, feature);
        }
        self.file(request.file_id)?.spatial = request.spatial_profiles;
        self.send_spatial_profiles(request.file_id);
        Ok(())
    }

    /// Sends value and profiles of the pixel under the cursor.
    pub(crate) fn send_spatial_profiles(&mut self, file_id: i32) {
        let context = self.context.clone();
        let Some(file) = self.files.get_mut(&file_id) else {
            return;
        };
        let Some((x, y)) = file.cursor else { return };
        let view = file.view.clone();
        let token = file.begin(Purpose::SpatialProfiles, &view.token);
        let planes = file.planes.clone();
        let subject = file.subject(Topic::SpatialProfiles { region_id: CURSOR });
        let configs = file.spatial.clone();
        tokio::spawn(async move {
            let cross = Cross {
                planes,
                plane: view.plane,
                x,
                y,
            };
            let work = context.work(Class::Interactive, &token);
            match cross.profiles(&work, configs).await {
                Ok((value, profiles)) => {
                    let message = messages::SpatialProfileData {
                        file_id,
                        region_id: CURSOR,
                        x: x as i32,
                        y: y as i32,
                        channel: cross.plane.channel as i32,
                        stokes: cross.plane.polarisation.number(),
                        value,
                        profiles,
                    };
                    context.send_newest(subject, &token, &message).await;
                }
                Err(error) => context.complain(Some(file_id), "cursor", &error).await,
            }
        });
    }
}

/// Pixels of all profiles together that are copied without a job.
const FEW_PIXELS: u64 = 64 * 1024;

/// What was fetched of a large plane around a pixel: rows and, for each profile that needs them, columns; with the numbers
/// of the first.
struct Near {
    rows: Option<(u64, Arc<Pixels>)>,
    columns: Vec<Option<(u64, Arc<Columns>)>>,
}

/// The row and the column through a pixel.
#[derive(Debug, Clone)]
struct Cross {
    planes: Planes,
    plane: Plane,
    x: u64,
    y: u64,
}

impl Cross {
    async fn profiles(
        &self,
        work: &Work,
        configs: Vec<SpatialConfig>,
    ) -> Result<(f32, Vec<messages::SpatialProfile>), ViewerError> {
        // What is far apart in the file is fetched beforehand, with its neighbours, where the cursor will move to.
        let rows = self.planes.rows(work, self.plane, self.y).await?;
        let mut columns = Vec::with_capacity(configs.len());
        for config in &configs {
            columns.push(self.columns(work, config).await?);
        }
        let cross = self.clone();
        let near = Near { rows, columns };
        if self.is_at_hand(&configs, &near)? {
            return cross.read(&configs, &near, &work.token);
        }
        work.run(move |token| cross.read(&configs, &near, token)).await
    }

    /// Whether all that is wanted is in memory and so little that copying it takes microseconds: then the way to a thread of
    /// the scheduler and back would take longer.
    fn is_at_hand(&self, configs: &[SpatialConfig], near: &Near) -> Result<bool, ViewerError> {
        let image = &self.planes.image;
        let whole = self.planes.pixels_at_hand(self.plane).is_some();
        let mut pixels = 0;
        for (config, columns) in configs.iter().zip(&near.columns) {
            let (polarisation, axis) = image.coordinate(&config.coordinate, self.plane.polarisation)?;
            if polarisation != self.plane.polarisation || !(axis == "x" || whole || columns.is_some()) {
                return Ok(false);
            }
            let range = visible(config, image.shape().width.max(image.shape().height));
            pixels += range.end - range.start;
        }
        Ok(near.rows.is_some() && pixels <= FEW_PIXELS)
    }

    fn read(
        &self,
        configs: &[SpatialConfig],
        near: &Near,
        token: &CancelToken,
    ) -> Result<(f32, Vec<messages::SpatialProfile>), ViewerError> {
        let row = near.rows.as_ref().map(|(first, rows)| rows.row(self.y - first));
        let value = match row.and_then(|row| row.get(self.x as usize)) {
            Some(value) => *value,
            None => {
                let mut value = [f32::NAN];
                let pixel = Window {
                    x: self.x..self.x + 1,
                    y: self.y..self.y + 1,
                };
                self.planes.read(self.plane, &pixel, &mut value, token)?;
                value[0]
            }
        };
        let profiles = configs.iter().zip(&near.columns).map(|(config, columns)| {
            let columns = columns.as_ref().map(|(first, columns)| (*first, &**columns));
            self.profile(config, row, columns, token)
        });
        Ok((value, profiles.collect::<Result<_, _>>()?))
    }

    /// Adjacent columns around the pixel, if the profile is a long vertical one whose pixels are not at hand.
    async fn columns(
        &self,
        work: &Work,
        config: &SpatialConfig,
    ) -> Result<Option<(u64, Arc<Columns>)>, ViewerError> {
        let (polarisation, axis) = self
            .planes
            .image
            .coordinate(&config.coordinate, self.plane.polarisation)?;
        let plane = Plane {
            polarisation,
            ..self.plane
        };
        let height = self.planes.image.shape().height;
        let range = visible(config, height);
        let long = range.end - range.start > MANY_ROWS;
        if axis != "y" || !long || self.planes.pixels_at_hand(plane).is_some() {
            return Ok(None);
        }
        Ok(Some(self.planes.columns(work, plane, self.x).await?))
    }

    fn profile(
        &self,
        config: &SpatialConfig,
        row: Option<&[f32]>,
        columns: Option<(u64, &Columns)>,
        token: &CancelToken,
    ) -> Result<messages::SpatialProfile, ViewerError> {
        let image = &self.planes.image;
        let (polarisation, axis) = image.coordinate(&config.coordinate, self.plane.polarisation)?;
        let plane = Plane {
            polarisation,
            ..self.plane
        };
        let shape = image.shape();
        let length = match axis {
            "x" => shape.width,
            "y" => shape.height,
            _ => {
                let reason = format!("The cursor has no spatial profile {:?}.", config.coordinate);
                return Err(ViewerError::Invalid { reason });
            }
        };
        let range = visible(config, length);
        let mip = config.mip.max(1);
        let values = with_scratch((range.end - range.start) as usize, |out| {
            let row = row
                .filter(|_| axis == "x" && plane == self.plane)
                .and_then(|row| row.get(range.start as usize..range.end as usize));
            match (row, columns) {
                (Some(row), _) => out.copy_from_slice(row),
                (None, Some((first, columns))) => {
                    columns.copy((self.x - first) as usize, range.start as usize, out);
                }
                (None, None) => {
                    let window = match axis {
                        "x" => Window {
                            x: range.clone(),
                            y: self.y..self.y + 1,
                        },
                        _ => Window {
                            x: self.x..self.x + 1,
                            y: range.clone(),
                        },
                    };
                    self.planes.read(plane, &window, out, token)?;
                }
            }
            if mip == 1 {
                return Ok::<_, ViewerError>(little_endian(out));
            }
            Ok(little_endian(&profile::downsample(out, mip as usize)?))
        })?;
        Ok(messages::SpatialProfile {
            start: range.start as i32,
            end: range.end as i32,
            raw_values_fp32: values,
            coordinate: config.coordinate.clone(),
            mip,
            line_axis: None,
        })
    }
}

/// The pixel at a point, rounded to the nearest one; `None` outside of the image, where NaN is as well.
pub(crate) fn pixel(point: messages::Point, shape: Shape4) -> Option<(u64, u64)> {
    let nearest = |value: f32, length: u64| {
        let rounded = f64::from(value).round();
        (rounded >= 0.0 && rounded < length as f64).then_some(rounded as u64)
    };
    nearest(point.x, shape.width).zip(nearest(point.y, shape.height))
}

/// The part of a row or column that the client sees: all of it unless it says otherwise.
fn visible(config: &SpatialConfig, length: u64) -> Range<u64> {
    let clamp = |value: i32| u64::try_from(value).unwrap_or(0).min(length);
    let (start, end) = (clamp(config.start), clamp(config.end));
    if start < end { start..end } else { 0..length }
}

/// Numbers as the client wants them: bytes, little-endian.
pub(crate) fn little_endian(values: &[f32]) -> Bytes {
    if cfg!(target_endian = "little") {
        return Bytes::copy_from_slice(bytemuck::cast_slice(values));
    }
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
