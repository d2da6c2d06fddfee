//! A session's state as requests.

use bytes::Bytes;
use chartroom_icd::{Request, messages};

use super::Descriptor;
use crate::cursor::CURSOR;
use crate::file::OpenFile;
use crate::histograms::{CUBE, IMAGE};
use crate::resume::Batch;
use crate::session::{Actor, OpeningFile};

/// Sync ids are written down in steps of so many, and as many are left out: the descriptor does not change with every
/// group of tiles, and groups that were sent after it was written for the last time have no number twice.
const SYNC_IDS: i32 = 1024;

impl Actor {
    /// The descriptor of the session as it is now.
    pub(crate) fn describe(&self) -> Bytes {
        let mut requests = Vec::new();
        for (file_id, file) in &self.files {
            if !self.opening.contains_key(file_id) {
                requests.push(Request::OpenFile(file.request.clone()));
                file.describe(&mut requests);
            }
        }
        for (file_id, opening) in &self.opening {
            self.describe_opening(*file_id, opening, &mut requests);
        }
        requests.extend(self.regions.requests());
        let runs = self.animation.as_ref().map(|a| (a.describe(), a.running()));
        let waits = self.batch.as_ref().and_then(Batch::animation);
        let animation = runs
            .or_else(|| waits.map(|played| (played.request.clone(), played.running)))
            .map(|(request, running)| {
                requests.push(Request::StartAnimation(request));
                running
            });
        let descriptor = Descriptor {
            next_sync_id: (self.next_sync_id / SYNC_IDS + 2).saturating_mul(SYNC_IDS),
            next_region_id: self.regions.next,
            next_animation_id: self.animations.saturating_add(1),
            creations: self.regions.creations.iter().copied().collect(),
            animation,
            scripts: self.scripts.remember(),
            requests,
        };
        descriptor.encode()
    }

    /// A file that is being opened: what it will be set to, and what waits for it.
    fn describe_opening(&self, file_id: i32, opening: &OpeningFile, requests: &mut Vec<Request>) {
        requests.push(Request::OpenFile(opening.request.clone()));
        if let Some(open) = self.files.get(&file_id).filter(|f| f.request == opening.request) {
            open.describe(requests);
        }
        requests.extend(opening.settings.iter().cloned());
        let waiting = opening.waiting.iter().map(|incoming| &incoming.request);
        let lasting = waiting.filter(|request| !matches!(request, Request::StartAnimation(_)));
        requests.extend(lasting.cloned());
    }
}

impl OpenFile {
    /// The requests that set the file to what it is.
    fn describe(&self, requests: &mut Vec<Request>) {
        let file_id = self.id;
        let channels = messages::SetImageChannels {
            file_id,
            channel: self.view.plane.channel as i32,
            stokes: self.view.plane.polarisation.number(),
            ..self.map_wish.clone().unwrap_or_default()
        };
        requests.push(channels.into());
        if let Some(wish) = self.wish.as_ref() {
            let wish = wish.request(file_id, &self.earlier);
            if !wish.tiles.is_empty() {
                requests.push(wish.into());
            }
        }
        if let Some((x, y)) = self.cursor {
            let point = messages::Point {
                x: x as f32,
                y: y as f32,
            };
            let cursor = messages::SetCursor {
                file_id,
                point: Some(point),
                spatial_requirements: None,
            };
            requests.push(cursor.into());
        }
        if !self.spatial.is_empty() {
            let spatial = messages::SetSpatialRequirements {
                file_id,
                region_id: CURSOR,
                spatial_profiles: self.spatial.clone(),
            };
            requests.push(spatial.into());
        }
        if !self.spectral.is_empty() {
            let spectral = messages::SetSpectralRequirements {
                file_id,
                region_id: CURSOR,
                spectral_profiles: self.spectral.clone(),
            };
            requests.push(spectral.into());
        }
        if !self.statistics.is_empty() {
            let statistics = messages::SetStatsRequirements {
                file_id,
                region_id: IMAGE,
                stats_configs: self.statistics.clone(),
            };
            requests.push(statistics.into());
        }
        for (region_id, histograms) in [(IMAGE, &self.histograms), (CUBE, &self.cube_histograms)] {
            if !histograms.is_empty() {
                let histograms = messages::SetHistogramRequirements {
                    file_id,
                    region_id,
                    histograms: histograms.clone(),
                };
                requests.push(histograms.into());
            }
        }
    }
}
