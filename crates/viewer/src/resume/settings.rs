//! What a file is set to before anything of it is sent.

use chartroom_icd::Request;

use crate::ViewerError;
use crate::channel_map;
use crate::cursor;
use crate::file::OpenFile;
use crate::histograms::CUBE;
use crate::tiles::TileWish;

impl OpenFile {
    /// Takes a request of its client without doing anything about it.
    ///
    /// # Errors
    /// If the image does not have what is asked for.
    pub(super) fn set(&mut self, request: Request) -> Result<(), ViewerError> {
        match request {
            Request::SetImageChannels(m) => {
                let plane = self.image().plane(m.channel, m.stokes)?;
                if self.view.plane != plane {
                    self.look_at(plane);
                }
                if m.channel_map_enabled {
                    self.map_wish = Some(channel_map::shown(&m, self.map_wish.as_ref()));
                } else if let Some(wish) = &m.required_tiles {
                    self.set_tiles(wish)?;
                }
            }
            Request::AddRequiredTiles(m) => self.set_tiles(&m)?,
            Request::SetCursor(m) => {
                if let Some(requirements) = m.spatial_requirements {
                    self.spatial = requirements.spatial_profiles;
                }
                let point = m.point.unwrap_or_default();
                self.cursor = cursor::pixel(point, self.image().shape()).or(self.cursor);
            }
            Request::SetSpatialRequirements(m) => self.spatial = m.spatial_profiles,
            Request::SetSpectralRequirements(m) => self.spectral = m.spectral_profiles,
            Request::SetStatsRequirements(m) => self.statistics = m.stats_configs,
            Request::SetHistogramRequirements(m) if m.region_id == CUBE => {
                self.cube_histograms = m.histograms;
            }
            Request::SetHistogramRequirements(m) => self.histograms = m.histograms,
            // Nothing else sets a file.
            _ => {}
        }
        Ok(())
    }

    fn set_tiles(&mut self, wish: &chartroom_icd::messages::AddRequiredTiles) -> Result<(), ViewerError> {
        let wish = TileWish::new(wish, self.image().shape())?;
        if !wish.tiles.is_empty() {
            self.wish_for(wish);
        }
        Ok(())
    }
}
