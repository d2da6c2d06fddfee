//! What of all that a server sends is part of the outcome of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use chartroom_icd::messages::{self, AnimationFlowControl, AnimationFrame};
use chartroom_icd::{EventType, Frame, ServerMessage};

use super::{File, Outcome, Part};
use crate::client::{ClientError, fp32, tile};

/// What is known of a run so far.
#[derive(Debug, Default)]
pub(super) struct Observer {
    pub(super) files: BTreeMap<i32, File>,
    /// Places in the script by the numbers of requests.
    pub(super) replies: BTreeMap<u32, usize>,
    pub(super) racing: BTreeSet<usize>,
    pub(super) outcome: Outcome,
    /// Values under the cursors.
    pub(super) values: BTreeMap<i32, f32>,
    /// The newest spectra, which do not say of which pixel they are.
    pub(super) spectra: BTreeMap<i32, Vec<f32>>,
    pub(super) complaints: BTreeSet<String>,
    /// A request that is waited for.
    pub(super) fence: Option<u32>,
    /// A frame of an animation that came.
    pub(super) shown: Option<AnimationFlowControl>,
}

impl Observer {
    pub(super) fn has(&self, part: &Part) -> bool {
        match *part {
            Part::Spectral(file_id) => self.outcome.contains_key(part) && self.is_under_cursor(file_id),
            _ => self.outcome.contains_key(part),
        }
    }

    /// Whether the newest spectrum goes through the value under the cursor; one of a former place hardly does.
    fn is_under_cursor(&self, file_id: i32) -> bool {
        let Some(file) = self.files.get(&file_id) else {
            return false;
        };
        let channel = usize::try_from(file.view.0).ok();
        let in_spectrum = self
            .spectra
            .get(&file_id)
            .zip(channel)
            .and_then(|(values, c)| values.get(c));
        match (in_spectrum, self.values.get(&file_id)) {
            (Some(one), Some(other)) => one == other || (one.is_nan() && other.is_nan()),
            _ => false,
        }
    }

    /// Keeps what is about the last view or cursor of a file; the newest of each part counts.
    pub(super) fn observe(&mut self, frame: &Frame) -> Result<(), ClientError> {
        let header = frame.header;
        if self.fence.is_some_and(|fence| fence == header.request_id) {
            self.fence = None;
            return Ok(());
        }
        if let Some(&at) = self
            .replies
            .get(&header.request_id)
            .filter(|_| header.request_id != 0)
        {
            let text = if self.racing.contains(&at) {
                "answered".to_owned()
            } else {
                reply(frame)?
            };
            self.outcome.insert(Part::Reply(at), text);
            return Ok(());
        }
        match EventType::try_from(i32::from(header.event)) {
            Ok(EventType::RasterTileData) => {
                let data: messages::RasterTileData = decode(frame)?;
                let file_id = data.file_id;
                if self.shows(file_id, data.channel, data.stokes) && data.animation_id == 0 {
                    for one in &data.tiles {
                        let pixels = tile(&data, one)?;
                        let mut hasher = DefaultHasher::new();
                        pixels
                            .values
                            .iter()
                            .for_each(|value| value.to_bits().hash(&mut hasher));
                        let place = (one.layer, one.x, one.y);
                        if self.wants(file_id, place) {
                            let text = format!("{}x{} {:x}", one.width, one.height, hasher.finish());
                            self.outcome.insert(Part::Tile { file_id, place }, text);
                        }
                    }
                }
            }
            Ok(EventType::RasterTileSync) => {
                let sync: messages::RasterTileSync = decode(frame)?;
                if sync.end_sync && sync.animation_id != 0 {
                    self.shown = Some(AnimationFlowControl {
                        file_id: sync.file_id,
                        received_frame: Some(AnimationFrame {
                            channel: sync.channel,
                            stokes: sync.stokes,
                        }),
                        ..Default::default()
                    });
                }
                let last = sync.end_sync && sync.animation_id == 0;
                if last && self.shows(sync.file_id, sync.channel, sync.stokes) && self.is_whole(sync.file_id)
                {
                    let text = format!("channel {} of polarisation {}", sync.channel, sync.stokes);
                    self.outcome.insert(Part::View(sync.file_id), text);
                }
            }
            Ok(EventType::RegionHistogramData) => {
                let data: messages::RegionHistogramData = decode(frame)?;
                // The one that every view begins with is about no coordinate.
                let wanted = data
                    .config
                    .as_ref()
                    .is_some_and(|config| !config.coordinate.is_empty());
                let file_id = data.file_id;
                let part = match wanted {
                    false => Part::Histogram(file_id),
                    true => Part::WantedHistogram(file_id),
                };
                let asked = !wanted || self.files.get(&file_id).is_some_and(|file| file.histogram);
                let done = data.region_id == -1 && data.progress >= 1.0;
                if asked && done && self.shows(file_id, data.channel, data.stokes) {
                    self.outcome.insert(part, format!("{data:?}"));
                }
            }
            Ok(EventType::RegionStatsData) => {
                let data: messages::RegionStatsData = decode(frame)?;
                let wanted = self.files.get(&data.file_id).is_some_and(|file| file.statistics);
                if wanted && data.region_id == -1 && self.shows(data.file_id, data.channel, data.stokes) {
                    self.outcome
                        .insert(Part::Statistics(data.file_id), format!("{data:?}"));
                }
            }
            Ok(EventType::SpatialProfileData) => {
                let data: messages::SpatialProfileData = decode(frame)?;
                let cursor = self.files.get(&data.file_id).and_then(|file| file.cursor);
                let here = cursor.is_some_and(|point| (point.x as i32, point.y as i32) == (data.x, data.y));
                if here && data.region_id == 0 && self.shows(data.file_id, data.channel, data.stokes) {
                    self.values.insert(data.file_id, data.value);
                    self.outcome
                        .insert(Part::Spatial(data.file_id), format!("{data:?}"));
                }
            }
            Ok(EventType::SpectralProfileData) => {
                let data: messages::SpectralProfileData = decode(frame)?;
                let wanted = self.files.get(&data.file_id).is_some_and(|file| file.spectral);
                if wanted && data.region_id == 0 && data.progress >= 1.0 {
                    let values = data
                        .profiles
                        .first()
                        .map(|profile| fp32(&profile.raw_values_fp32));
                    self.spectra.insert(data.file_id, values.unwrap_or_default());
                    self.outcome
                        .insert(Part::Spectral(data.file_id), format!("{data:?}"));
                }
            }
            Ok(EventType::ErrorData) => {
                let error: messages::ErrorData = decode(frame)?;
                // Whether a file is closed before or after what is wanted of it is found is a matter of quickness.
                if !error.message.contains("is not open") {
                    self.complaints.insert(error.message);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn shows(&self, file_id: i32, channel: i32, stokes: i32) -> bool {
        self.files
            .get(&file_id)
            .is_some_and(|file| file.view == (channel, stokes))
    }

    fn wants(&self, file_id: i32, (layer, x, y): (i32, i32, i32)) -> bool {
        self.wish(file_id)
            .contains(&crate::client::tile_number(layer, x, y))
    }

    fn wish(&self, file_id: i32) -> &[i32] {
        let wish = self.files.get(&file_id).and_then(|file| file.tiles.as_ref());
        wish.map_or(&[], |wish| &wish.tiles)
    }

    fn is_whole(&self, file_id: i32) -> bool {
        let of_file = |part: &&Part| matches!(part, Part::Tile { file_id: of, .. } if *of == file_id);
        self.outcome.keys().filter(of_file).count() == self.wish(file_id).len()
    }
}

/// What a reply says, without what differs between runs.
fn reply(frame: &Frame) -> Result<String, ClientError> {
    Ok(match EventType::try_from(i32::from(frame.header.event)) {
        Ok(EventType::StartAnimationAck) => {
            let ack: messages::StartAnimationAck = decode(frame)?;
            format!("animation: {} {}", ack.success, ack.message)
        }
        // Maps have no order on the wire.
        Ok(EventType::FileInfoResponse) => {
            let info: messages::FileInfoResponse = decode(frame)?;
            let sorted: BTreeMap<_, _> = info.file_info_extended.iter().collect();
            format!(
                "{} {} {:?} {sorted:?}",
                info.success, info.message, info.file_info
            )
        }
        event => format!("{event:?} {:x?}", &frame.payload[..]),
    })
}

fn decode<M: ServerMessage + Default>(frame: &Frame) -> Result<M, ClientError> {
    M::decode(frame.payload.clone()).map_err(|error| ClientError::Garbled(error.to_string()))
}
