//! What a user does, and what goes wrong meanwhile, at random from a seed: as data, so that a run can be repeated.

mod faults;

use chartroom_icd::Request;
use chartroom_icd::messages::{
    self, AddRequiredTiles, AnimationFrame, CloseFile, CompressionType, FileInfoRequest, FileListRequest,
    HistogramConfig, OpenFile, Point, RegionInfo, RegionType, RemoveRegion, SetCursor,
    SetHistogramRequirements, SetImageChannels, SetRegion, SetSpatialRequirements, SetSpectralRequirements,
    SetStatsRequirements, StartAnimation, StatsType, StopAnimation,
};
use messages::set_spatial_requirements::SpatialConfig;
use messages::set_spectral_requirements::SpectralConfig;
use messages::set_stats_requirements::StatsConfig;

use crate::client::tile_number;
use crate::random::Random;
pub use faults::{Fault, FaultPlan};

/// An image that scripts may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptImage {
    /// Its name in the top folder.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Number of channels.
    pub channels: u32,
    /// Number of polarisations.
    pub stokes: u32,
}

/// How often each kind of action comes, relative to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Weights {
    pub open: u32,
    pub close: u32,
    pub channel: u32,
    pub tiles: u32,
    pub cursor: u32,
    pub spatial: u32,
    pub spectral: u32,
    pub histogram: u32,
    pub statistics: u32,
    pub region: u32,
    pub remove_region: u32,
    pub animation: u32,
    pub list: u32,
    pub info: u32,
}

impl Default for Weights {
    /// As a user at work.
    fn default() -> Self {
        Self {
            open: 4,
            close: 2,
            channel: 8,
            tiles: 6,
            cursor: 12,
            spatial: 3,
            spectral: 3,
            histogram: 2,
            statistics: 3,
            region: 4,
            remove_region: 1,
            animation: 3,
            list: 1,
            info: 1,
        }
    }
}

/// Files that a script has open at once, at most.
const FILES: usize = 3;

/// Regions at once, at most.
const REGIONS: usize = 4;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Open,
    Close,
    Channel,
    Tiles,
    Cursor,
    Spatial,
    Spectral,
    Histogram,
    Statistics,
    Region,
    RemoveRegion,
    Animation,
    List,
    Info,
}

/// The requests of a user, in order. All of them are valid in this order.
///
/// Regions are created with the number -1 and named afterwards by the numbers that a server gives: 1 to the first, 2 to
/// the second, and no number twice. A client that was given others has to translate.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// What it comes from.
    pub seed: u64,
    /// The requests.
    pub steps: Vec<Request>,
}

impl Script {
    /// A script of so many actions; each is one request, but the end of an animation, which is followed by the channel
    /// that stays. The last actions of each open file are a channel with its tiles, so that all clients end with a
    /// view.
    #[must_use]
    pub fn random(seed: u64, actions: usize, images: &[ScriptImage], weights: Weights) -> Self {
        let mut writer = Writer {
            random: Random::new(seed),
            images,
            open: Vec::new(),
            next_file: 0,
            regions: Vec::new(),
            next_region: 1,
            animated: None,
            steps: Vec::new(),
        };
        writer.add(Kind::Open);
        for _ in 0..actions {
            let kind = writer.random.weighted(&weights.table()).unwrap_or(Kind::List);
            writer.add(kind);
        }
        writer.stop_animation();
        for at in 0..writer.open.len() {
            writer.channel(at);
        }
        Self {
            seed,
            steps: writer.steps,
        }
    }
}

impl Weights {
    fn table(&self) -> [(u32, Kind); 14] {
        [
            (self.open, Kind::Open),
            (self.close, Kind::Close),
            (self.channel, Kind::Channel),
            (self.tiles, Kind::Tiles),
            (self.cursor, Kind::Cursor),
            (self.spatial, Kind::Spatial),
            (self.spectral, Kind::Spectral),
            (self.histogram, Kind::Histogram),
            (self.statistics, Kind::Statistics),
            (self.region, Kind::Region),
            (self.remove_region, Kind::RemoveRegion),
            (self.animation, Kind::Animation),
            (self.list, Kind::List),
            (self.info, Kind::Info),
        ]
    }
}

struct Writer<'a> {
    random: Random,
    images: &'a [ScriptImage],
    open: Vec<(i32, &'a ScriptImage)>,
    next_file: i32,
    /// Regions with their files.
    regions: Vec<(i32, i32)>,
    next_region: i32,
    /// The file that is animated.
    animated: Option<i32>,
    steps: Vec<Request>,
}

impl Writer<'_> {
    fn add(&mut self, kind: Kind) {
        match kind {
            Kind::Open => return self.open(),
            Kind::List => return self.push(FileListRequest::default()),
            Kind::Info => {
                if let Some(image) = self.random.pick(self.images) {
                    self.push(FileInfoRequest {
                        file: image.name.clone(),
                        ..Default::default()
                    });
                }
                return;
            }
            Kind::RemoveRegion => return self.remove_region(),
            Kind::Animation if self.animated.is_some() => return self.stop_animation(),
            _ => {}
        }
        if self.open.is_empty() {
            return;
        }
        let at = self.random.index(self.open.len());
        let (file_id, image) = self.open[at];
        match kind {
            Kind::Close => {
                self.open.remove(at);
                self.regions.retain(|&(_, of)| of != file_id);
                self.animated = self.animated.filter(|&animated| animated != file_id);
                self.push(CloseFile { file_id });
            }
            // The animation says which channel is shown.
            Kind::Channel if self.animated == Some(file_id) => {}
            Kind::Channel => self.channel(at),
            Kind::Tiles => {
                let wish = self.tiles(file_id, image);
                self.push(wish);
            }
            Kind::Cursor => {
                let point = Some(self.point(image));
                self.push(SetCursor {
                    file_id,
                    point,
                    ..Default::default()
                });
            }
            Kind::Spatial => {
                let config = |coordinate: &str| SpatialConfig {
                    coordinate: coordinate.into(),
                    ..Default::default()
                };
                let spatial_profiles = match self.random.below(3) {
                    0 => vec![],
                    1 => vec![config("x")],
                    _ => vec![config("x"), config("y")],
                };
                self.push(SetSpatialRequirements {
                    file_id,
                    region_id: 0,
                    spatial_profiles,
                });
            }
            Kind::Spectral => {
                let wanted = SpectralConfig {
                    coordinate: "z".into(),
                    stats_types: vec![StatsType::Sum.into()],
                };
                let spectral_profiles = if self.random.one_in(3) {
                    vec![]
                } else {
                    vec![wanted]
                };
                self.push(SetSpectralRequirements {
                    file_id,
                    region_id: 0,
                    spectral_profiles,
                });
            }
            Kind::Histogram => {
                let wanted = HistogramConfig {
                    coordinate: "z".into(),
                    channel: -1,
                    num_bins: -1,
                    ..Default::default()
                };
                let histograms = if self.random.one_in(3) {
                    vec![]
                } else {
                    vec![wanted]
                };
                self.push(SetHistogramRequirements {
                    file_id,
                    region_id: -1,
                    histograms,
                });
            }
            Kind::Statistics => {
                let types = [
                    StatsType::NumPixels,
                    StatsType::Mean,
                    StatsType::Min,
                    StatsType::Max,
                ];
                let wanted = StatsConfig {
                    coordinate: "z".into(),
                    stats_types: types.map(Into::into).to_vec(),
                };
                let stats_configs = if self.random.one_in(3) {
                    vec![]
                } else {
                    vec![wanted]
                };
                self.push(SetStatsRequirements {
                    file_id,
                    region_id: -1,
                    stats_configs,
                });
            }
            Kind::Region => self.region(file_id, image),
            Kind::Animation => self.animation(file_id, image),
            Kind::Open | Kind::List | Kind::Info | Kind::RemoveRegion => {}
        }
    }

    fn push(&mut self, request: impl Into<Request>) {
        self.steps.push(request.into());
    }

    fn open(&mut self) {
        if self.open.len() >= FILES {
            return;
        }
        let Some(image) = self.random.pick(self.images) else {
            return;
        };
        let file_id = self.next_file;
        self.next_file += 1;
        self.open.push((file_id, image));
        self.push(OpenFile {
            file: image.name.clone(),
            file_id,
            ..Default::default()
        });
    }

    /// Draws a region or, as often, moves one of the file.
    fn region(&mut self, file_id: i32, image: &ScriptImage) {
        let of_file: Vec<i32> = self
            .regions
            .iter()
            .filter(|&&(_, of)| of == file_id)
            .map(|&(region_id, _)| region_id)
            .collect();
        let moved = if self.random.one_in(2) {
            self.random.pick(&of_file).copied()
        } else {
            None
        };
        if moved.is_none() {
            if self.regions.len() >= REGIONS {
                return;
            }
            self.regions.push((self.next_region, file_id));
            self.next_region += 1;
        }
        let size = Point { x: 20.0, y: 10.0 };
        let region_info = Some(RegionInfo {
            region_type: RegionType::Rectangle.into(),
            control_points: vec![self.point(image), size],
            rotation: 0.0,
        });
        self.push(SetRegion {
            file_id,
            region_id: moved.unwrap_or(-1),
            region_info,
            preview_region: false,
        });
    }

    fn remove_region(&mut self) {
        if self.regions.is_empty() {
            return;
        }
        let at = self.random.index(self.regions.len());
        let (region_id, _) = self.regions.remove(at);
        self.push(RemoveRegion { region_id });
    }

    fn animation(&mut self, file_id: i32, image: &ScriptImage) {
        let last = image.channels.saturating_sub(1) as i32;
        let frame = |channel| Some(AnimationFrame { channel, stokes: 0 });
        let required_tiles = Some(self.tiles(file_id, image));
        let reverse = self.random.one_in(2);
        self.animated = Some(file_id);
        self.push(StartAnimation {
            file_id,
            first_frame: frame(0),
            start_frame: frame(0),
            last_frame: frame(last),
            delta_frame: frame(1),
            frame_rate: 30,
            looping: true,
            reverse,
            required_tiles,
            ..Default::default()
        });
    }

    fn stop_animation(&mut self) {
        let Some(file_id) = self.animated.take() else {
            return;
        };
        let end_frame = Some(AnimationFrame::default());
        self.push(StopAnimation { file_id, end_frame });
        if let Some(at) = self.open.iter().position(|&(open, _)| open == file_id) {
            self.channel(at);
        }
    }

    fn channel(&mut self, at: usize) {
        let (file_id, image) = self.open[at];
        let channel = self.random.below(image.channels.into()) as i32;
        let stokes = self.random.below(image.stokes.into()) as i32;
        let required_tiles = Some(self.tiles(file_id, image));
        self.push(SetImageChannels {
            file_id,
            channel,
            stokes,
            required_tiles,
            ..Default::default()
        });
    }

    /// All tiles of full resolution, or the one that shows the whole.
    fn tiles(&mut self, file_id: i32, image: &ScriptImage) -> AddRequiredTiles {
        let (columns, rows) = (image.width.div_ceil(256), image.height.div_ceil(256));
        let layer = columns.max(rows).max(1).next_power_of_two().trailing_zeros() as i32;
        let tiles = if self.random.one_in(3) {
            vec![tile_number(0, 0, 0)]
        } else {
            (0..rows as i32)
                .flat_map(|y| (0..columns as i32).map(move |x| tile_number(layer, x, y)))
                .collect()
        };
        AddRequiredTiles {
            file_id,
            tiles,
            compression_type: CompressionType::Zfp.into(),
            compression_quality: 11.0,
            ..Default::default()
        }
    }

    fn point(&mut self, image: &ScriptImage) -> Point {
        Point {
            x: self.random.below(image.width.into()) as f32,
            y: self.random.below(image.height.into()) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn images() -> Vec<ScriptImage> {
        vec![ScriptImage {
            name: "a.fits".into(),
            width: 600,
            height: 300,
            channels: 5,
            stokes: 2,
        }]
    }

    #[test]
    fn a_seed_means_the_same_script_every_time() {
        let script = |seed| Script::random(seed, 50, &images(), Weights::default());
        assert_eq!(script(1), script(1));
        assert_ne!(script(1).steps, script(2).steps);
    }

    #[test]
    fn scripts_speak_of_open_files_only_and_end_with_a_view_of_each() {
        for seed in 0..200 {
            let script = Script::random(seed, 60, &images(), Weights::default());
            let (mut open, mut viewed) = (BTreeSet::new(), BTreeSet::new());
            let (mut regions, mut created, mut animated) = (BTreeMap::new(), 0, None);
            for step in &script.steps {
                match step {
                    Request::OpenFile(m) => assert!(open.insert(m.file_id)),
                    Request::CloseFile(m) => {
                        assert!(open.remove(&m.file_id));
                        viewed.remove(&m.file_id);
                        regions.retain(|_, of| *of != m.file_id);
                        animated = animated.filter(|of| *of != m.file_id);
                    }
                    Request::SetRegion(m) if m.region_id == -1 => {
                        created += 1;
                        regions.insert(created, m.file_id);
                    }
                    Request::SetRegion(m) => assert_eq!(regions.get(&m.region_id), Some(&m.file_id)),
                    Request::RemoveRegion(m) => assert!(regions.remove(&m.region_id).is_some()),
                    Request::StartAnimation(m) => assert_eq!(animated.replace(m.file_id), None),
                    Request::StopAnimation(m) => assert_eq!(animated.take(), Some(m.file_id)),
                    Request::SetImageChannels(m) => {
                        assert!(open.contains(&m.file_id) && m.channel < 5 && m.stokes < 2);
                        viewed.insert(m.file_id);
                    }
                    Request::SetCursor(m) => assert!(open.contains(&m.file_id)),
                    Request::AddRequiredTiles(m) => assert!(open.contains(&m.file_id)),
                    _ => {}
                }
            }
            assert_eq!(open, viewed);
            assert!(open.len() <= FILES && regions.len() <= REGIONS);
            assert_eq!(animated, None);
        }
    }
}
